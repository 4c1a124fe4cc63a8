"""Whatever is written is read again: from memory, after eviction, after a restart."""

from __future__ import annotations

from tests.support.runner import Runner


def test_strings_survive_eviction_and_restart(run: Runner) -> None:
    run("SET", "small", "value")
    run("SETRANGE", "large", 200_000, "end")
    for step in (run.evict, run.reopen):
        step()
        assert run("GET", "small") == b"value"
        assert run("GETRANGE", "large", 199_998, -1) == b"\0\0end"
        assert run("STRLEN", "large") == 200_003
        assert run("GET", "missing") is None


def test_keys_expire_at_their_millisecond(run: Runner) -> None:
    run("SET", "key", "value", "PX", 100)
    run.evict()
    run.clock.advance(99)
    assert run("GET", "key") == b"value"
    run.clock.advance(1)
    assert run("GET", "key") is None
    run.reopen()
    assert run("GET", "key") is None


def test_deleted_keys_stay_deleted(run: Runner) -> None:
    run("SET", "a", 1)
    run("SETRANGE", "b", 100_000, "x")
    run.evict()
    assert run("DEL", "a", "b", "c") == 2
    run.evict()
    assert run("EXISTS", "a", "b") == 0
    run.reopen()
    assert run("EXISTS", "a", "b") == 0
    assert run.executor.store.databases[0].count == 0


def test_a_large_key_that_goes_away_and_comes_back_keeps_its_expiry_record(run: Runner) -> None:
    run("HSET", "here", *range(600))
    run("PEXPIREAT", "here", run.clock() + 500)
    run.checkpoint()
    run("RENAME", "here", "there")
    run("RENAME", "there", "here")
    assert run.findings() == []
    run.evict()
    run.clock.advance(500)
    assert run("EXISTS", "here") == 0
    assert run.findings() == []


def test_a_large_key_moved_out_of_a_database_that_is_flushed_lives(run: Runner) -> None:
    run("HSET", "here", *range(600))
    run.checkpoint()
    run("MOVE", "here", 1)
    run("FLUSHDB")
    assert run.findings() == []
    run.reopen()
    run("SELECT", 1)
    assert run("HLEN", "here") == 300
    assert run.findings() == []
