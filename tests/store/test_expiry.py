"""The expiry index's window."""

from __future__ import annotations

import random

import pytest

from diskkv.store import expiry
from tests.support.runner import Runner


@pytest.mark.parametrize("spread", [1, 3, 1000])
def test_many_keys_expire_in_the_same_millisecond(run: Runner, monkeypatch: pytest.MonkeyPatch, spread: int) -> None:
    """Of them, too, only a part is in memory, and that is not read anew for each that comes."""
    monkeypatch.setattr(expiry, "LIMIT", 10)
    monkeypatch.setattr(expiry, "MOST", 30)
    store = run.executor.store
    refills = []
    refill = store.expiry._refill

    def counted() -> None:
        refills.append(1)
        refill()

    monkeypatch.setattr(store.expiry, "_refill", counted)
    rng = random.Random(spread)
    start = run.clock.now + 100_000
    deadlines: dict[str, int] = {}
    for number in range(1500):
        key = f"key{rng.randrange(700)}"
        deadlines[key] = start + rng.randrange(spread)
        run("SET", key, "v", "PXAT", deadlines[key])
        assert len(store.expiry._heap) <= 31
        if not number % 400:
            run.checkpoint()
    assert len(refills) < 300
    for moment in sorted({start - 1, start, start + spread // 2, start + spread}):
        with store.lock:
            run.clock.now = moment
            store.tick()
            for _ in range(10_000):
                if store.expiry.due(store.now, 7) < 7:
                    break
                assert len(store.expiry._heap) <= 31 + 7
            store.commit()
        alive = sum(deadline > moment for deadline in deadlines.values())
        assert store.databases[0].count == alive
    assert store.expiry.next() is None
