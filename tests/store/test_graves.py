"""What is dead is freed, whoever still names it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from diskkv.store import graves
from diskkv.types.lists import List
from tests.support.runner import Runner


@pytest.mark.parametrize("plenty", [0, graves.PLENTY])
@pytest.mark.parametrize("end", ["FLUSHALL", "FLUSHDB", "DEL"])
def test_large_values_are_freed_whichever_way_they_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, plenty: int) -> None:
    monkeypatch.setattr(graves, "PLENTY", plenty)
    run = Runner(tmp_path / "store")
    store = run.executor.store
    values = []
    for _ in range(5):
        run("RPUSH", "key", *range(5000))
        value = store.databases[0].objects[b"key"]
        assert isinstance(value, List)
        values.append(value)
        run(end, *(("key",) if end == "DEL" else ()))
    patience = time.monotonic() + 20
    while any(len(value.resident) for value in values) and time.monotonic() < patience:
        store.keeper.rouse()
        time.sleep(0.001)
    assert [len(value.resident) for value in values] == [0] * 5
    while store.graves and time.monotonic() < patience:
        store.keeper.rouse()
        time.sleep(0.001)
    assert (len(store.graves), store.graves.weight) == (0, 0)
    run.close()
