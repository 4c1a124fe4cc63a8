"""Fields that expire while a checkpoint that holds their hashes is on its way, or has failed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from diskkv.store import writer
from tests.crash.test_flights import Flight
from tests.types.test_hash_expiry import KEYS, Drive


@pytest.mark.parametrize("seed", range(6))
def test_flights_that_land_and_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.002)
    monkeypatch.setattr("diskkv.types.deadlines.WINDOW", 20)
    drive = Drive(Flight(tmp_path / "store", maxmemory="4mb"), seed, (12, 300)[seed % 2])
    run, rng = drive.run, random.Random(seed)
    assert isinstance(run, Flight)
    for _ in range(12):
        for _ in range(rng.randrange(12)):
            drive.step()
        run.freeze()
        for _ in range(rng.randrange(12)):
            drive.step()
            if rng.random() < 0.2:
                drive.pass_time(rng.choice((1, 10, 100)))
        run.land(rng.choice((None, "lost", "applied")))
        drive.pass_time(rng.choice((0, 1, 50)))
        for key in KEYS:
            drive.look(key)
        if rng.random() < 0.5:
            assert run.findings() == []
            rng.choice((run.evict, run.reopen))()
    assert run.findings() == []
    run.close()
