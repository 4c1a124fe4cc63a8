"""OBJECT FREQ and IDLETIME under the policies."""

from __future__ import annotations

from diskkv.errors import CommandError
from diskkv.replies import Simple
from tests.support.runner import Runner


def test_an_lfu_policy_counts_and_another_does_not(run: Runner) -> None:
    run("SET", "key", 1)
    assert isinstance(run("OBJECT", "FREQ", "key"), CommandError)
    assert run("OBJECT", "IDLETIME", "key") == 0
    assert run("CONFIG", "SET", "maxmemory-policy", "allkeys-LFU") == Simple(b"OK")
    assert run("CONFIG", "GET", "maxmemory-policy") == {b"maxmemory-policy": b"allkeys-lfu"}
    assert run("OBJECT", "FREQ", "missing") is None
    assert run("OBJECT", "FREQ", "key") == 5
    idle = run("OBJECT", "IDLETIME", "key")
    assert isinstance(idle, CommandError)
    assert idle.text.startswith("An LFU maxmemory policy is selected, idle time not tracked.")
    assert isinstance(run("CONFIG", "SET", "maxmemory-policy", "some"), CommandError)
    run("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    assert run("OBJECT", "IDLETIME", "key") == 0


def test_uses_are_counted_ever_more_rarely_and_forgotten_by_the_minute(run: Runner) -> None:
    run("CONFIG", "SET", "maxmemory-policy", "volatile-lfu")
    run("SET", "key", 1)
    assert run("OBJECT", "FREQ", "key") == 5
    run("GET", "key")
    assert run("OBJECT", "FREQ", "key") == 6
    for _ in range(500):
        run("GET", "key")
    first = run("OBJECT", "FREQ", "key")
    assert 8 < first < 40
    run("SET", "key", 2)
    assert first <= run("OBJECT", "FREQ", "key") <= first + 1
    first = run("OBJECT", "FREQ", "key")
    run.clock.advance(3 * 60_000)
    assert first - 4 <= run("OBJECT", "FREQ", "key") <= first - 3
    run("CONFIG", "SET", "lfu-log-factor", 0, "lfu-decay-time", 0)
    for _ in range(300):
        run("EXISTS", "key")
    assert run("OBJECT", "FREQ", "key") == 255
    run.clock.advance(600 * 60_000)
    assert run("OBJECT", "FREQ", "key") == 255


def test_transactions_count_and_restore_brings_its_count(run: Runner) -> None:
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", 0)
    run("SET", "key", 1)
    run("MULTI")
    run("GET", "key")
    run("GET", "key")
    run("EXEC")
    assert run("OBJECT", "FREQ", "key") == 7
    raw = run("DUMP", "key")
    for _ in range(2):
        assert run("RESTORE", "copy", 0, raw, "REPLACE", "FREQ", 100) == Simple(b"OK")
        assert run("OBJECT", "FREQ", "copy") == 100
