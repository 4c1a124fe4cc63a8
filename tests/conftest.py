"""Fixtures that every test may use."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from diskkv import app
from diskkv.dispatch import executor
from diskkv.store import backlog, writer
from tests.support.runner import Runner

# No test depends on a speed.
settings.register_profile("diskkv", deadline=None)
settings.load_profile("diskkv")


@pytest.fixture(autouse=True, scope="session")
def unhurried() -> Iterator[None]:
    """In the tests' own process no checkpoint begins because of the time that has gone by, or that a command took, nor does a client's turn
    end: else a pause of the machine would decide what is in memory and what in the engine, and what a round has done."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "SECONDS", math.inf)
        patch.setattr(writer, "IDLE_SECONDS", math.inf)
        for module in (app, backlog):
            patch.setattr(module, "LOG_WORK", 1 << 60)
        patch.setattr(executor, "TURN_TIME", 1 << 60)
        yield


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Runner]:
    """Runs commands in process on a fresh store on disk; the store is checked when the test ends."""
    runner = Runner(tmp_path / "store")
    yield runner
    findings = runner.findings()
    runner.close()
    assert not findings
