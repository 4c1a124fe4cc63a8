"""A command may write far more than the budget, and of that nothing can be given up: finding it out is not to cost more than writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from diskkv.store.value import Value
from diskkv.types.list_elements import Elements
from diskkv.types.strings import String
from tests.support.runner import Runner


@pytest.mark.parametrize(
    ("kind", "parts", "count", "fill", "command"),
    [
        (Elements, "resident", 40_000, ["RPUSH", "from", *range(40_000)], ["COPY", "from", "to"]),
        (String, "pieces", 1024, ["SETRANGE", "from", (16 << 20) - 1, "x"], ["BITOP", "NOT", "to", "from"]),
    ],
)
def test_what_is_looked_through_stays_in_proportion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, parts: str, count: int, fill: list[Any], command: list[Any]
) -> None:
    run = Runner(tmp_path / "store", maxmemory="1mb")
    run(*fill)
    run.checkpoint()
    looked = 0
    spill = kind._spill

    def counted(value: Value, *rest: int) -> None:
        nonlocal looked
        looked += len(getattr(value.more if isinstance(value, String) else value, parts))
        spill(value, *rest)

    monkeypatch.setattr(kind, "_spill", counted)
    run(*command)
    assert 0 < looked < 8 * count
    run.close()
