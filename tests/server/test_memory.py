"""When memory that is free is given back to the system."""

from __future__ import annotations

import pytest

from diskkv.server import memory
from diskkv.server.memory import AGAIN, WORTH, Trimmer


@pytest.fixture
def trimmer(monkeypatch: pytest.MonkeyPatch) -> Trimmer:
    made = Trimmer()
    made._trim = lambda _: 0
    return made


def looks(trimmer: Trimmer, used: int, count: int) -> list[bool]:
    found = []
    for _ in range(count):
        due = trimmer.due(used)
        if due:
            trimmer.trim()
        found.append(due)
    return found


def test_growth_and_what_is_given_up_is_worth_a_trim_and_another_when_things_have_settled(
    trimmer: Trimmer, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 10 * WORTH
    monkeypatch.setattr(memory, "resident", lambda: size)
    trimmer.trim()
    settled = [True, *[False] * (AGAIN - 2), True, *[False] * 10]
    assert looks(trimmer, 0, 10) == [False] * 10
    size += WORTH + 1
    assert looks(trimmer, 5 * WORTH, len(settled)) == settled
    assert looks(trimmer, 4 * WORTH, 10) == [False] * 10
    assert looks(trimmer, 4 * WORTH - 1, len(settled)) == settled
    assert looks(trimmer, 8 * WORTH, 10) == [False] * 10
