"""Ctrl-C and kill -9 in the middle of long tasks; tools/interrupt does as many rounds as one likes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from itertools import cycle

import pytest

from tests.crash.interrupting import ENDS, TASKS, Interruptions


@pytest.fixture(scope="module")
def ordeal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interruptions]:
    yield Interruptions(tmp_path_factory.mktemp("interruptions"), seed=1, keys=100)


@pytest.mark.parametrize(("task", "end"), list(zip(TASKS, cycle(ENDS), strict=False)))
def test_no_harm_is_done(ordeal: Interruptions, task: str, end: signal.Signals) -> None:
    ordeal.round(task, end)
