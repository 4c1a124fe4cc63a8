"""What happens to keys while a checkpoint that holds them is frozen, in flight, or has failed. Each story once by hand, for the record;
`test_weather.py` makes up others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.store import writer
from tests.support.contents import contents, copy_of
from tests.support.engines import Held
from tests.support.runner import Runner


class Flight(Runner):
    """A runner whose checkpoints can be stopped on their way."""

    def __init__(self, path: Path, maxmemory: str = "256mb") -> None:
        self.engines: list[Held] = []
        super().__init__(path, wrap=self._held, maxmemory=maxmemory)

    def _held(self, inner: Any) -> Held:
        self.engines.append(Held(inner))
        return self.engines[-1]

    def checkpoint(self) -> None:
        """As always; afterwards some keys elsewhere are dirty, so that the next checkpoint has to encode those first."""
        super().checkpoint()
        self.fill()

    def fill(self) -> None:
        index = self.session.index
        self.batch([("SELECT", 9), *(("INCR", f"filler{number}") for number in range(50)), ("SELECT", index)])

    def freeze(self) -> None:
        """Begin a checkpoint; nothing of it reaches the engine before `land`."""
        store = self.executor.store
        self.engines[-1].hold()
        with store.lock:
            store.commit()
            store.writer.freeze()

    def land(self, failure: str | None = None) -> None:
        """Let the checkpoint reach the engine, or fail: `lost`, or `applied` all the same."""
        store = self.executor.store
        with store.lock:
            self.engines[-1].fail_next = failure
            self.engines[-1].release()
            store.writer.finish()
            while store.writer.healing:
                store.landed.wait()


@pytest.fixture(params=["frozen", "encoded"])
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Flight]:
    """`frozen`: a tick encodes one value of no interest, so commands meet values whose turn has not come. `encoded`: all are, in the
    next tick."""
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.002)
    monkeypatch.setattr(writer, "PATIENCE", 60 if request.param == "frozen" else 0.01)
    monkeypatch.setattr(writer, "SLICE", 1 if request.param == "frozen" else 1000)
    runner = Flight(tmp_path / "store")
    runner.fill()
    yield runner
    monkeypatch.setattr(writer, "SLICE", 1000)
    monkeypatch.setattr(writer, "PATIENCE", 0.01)
    runner.engines[-1].release()
    findings = runner.findings()
    before = contents(runner.executor.store)
    runner.reopen()
    after = contents(runner.executor.store)
    runner.engines[-1].release()
    runner.close()
    assert not findings
    assert after == before


@pytest.fixture(params=[None, "lost", "applied"])
def end(request: pytest.FixtureRequest, run: Flight, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ends a flight in one of the ways there are, then checks the store and what a kill leaves."""

    def end_flight() -> None:
        monkeypatch.setattr(writer, "SLICE", 1000)
        run.land(request.param)
        before = contents(run.executor.store)
        with run.executor.store.lock:
            copy = copy_of(run.path, Path(run.path).parent / "killed")
        killed = Runner(copy, clock=run.clock)
        assert contents(killed.executor.store) == before
        assert killed.findings() == []
        killed.close()
        assert run.findings() == []

    return end_flight


LARGE = "x" * 100_000


def test_deleted_and_made_again(run: Flight, end: Any) -> None:
    run("SET", "a", 1, "PX", 10_000)
    run("SET", "large", LARGE)
    run("SADD", "set", *range(300))
    run.freeze()
    assert run("DEL", "a", "large", "set") == 3
    run("SET", "a", 2)
    run("SET", "large", "small")
    run("HSET", "set", "now", "a hash")
    end()
    assert (run("GET", "a"), run("PTTL", "a"), run("GET", "large"), run("HGET", "set", "now")) == (b"2", -1, b"small", b"a hash")


def test_made_and_deleted(run: Flight, end: Any) -> None:
    run("SET", "a", 1)
    run("SET", "large", LARGE)
    run.freeze()
    run("DEL", "a", "large")
    end()
    run.evict()
    assert run("EXISTS", "a", "large") == 0


def test_a_large_value_changed_and_renamed(run: Flight, end: Any) -> None:
    """It is noted as changed twice then: by its change and by its renaming."""
    run("SET", "large", LARGE)
    run.checkpoint()
    run("APPEND", "large", "1")
    run("RENAME", "large", "moved")
    run.freeze()
    run("APPEND", "moved", "2")
    run("RENAME", "moved", "again")
    end()
    run.evict()
    assert run("GETRANGE", "again", -3, -1) == b"x12"
    assert run("EXISTS", "large", "moved") == 0


def test_renamed_over_another(run: Flight, end: Any) -> None:
    run("SADD", "set", *range(300))
    run("ZADD", "zset", *range(600))
    run.checkpoint()
    run("SADD", "set", "new")
    run.freeze()
    run("RENAME", "set", "zset")
    run("SREM", "zset", "new")
    end()
    run.evict()
    assert (run("SCARD", "zset"), run("EXISTS", "set")) == (300, 0)


def test_expiry_changed(run: Flight, end: Any) -> None:
    run("SET", "later", 1, "PX", 1000)
    run("SET", "never", 1, "PX", 1000)
    run("SET", "still", 1)
    run.checkpoint()
    run("PEXPIRE", "later", 2000)
    run.freeze()
    run("PEXPIRE", "later", 3000)
    run("PERSIST", "never")
    run("PEXPIRE", "still", 500)
    end()
    run.evict()
    assert [run("PTTL", key) for key in ("later", "never", "still")] == [3000, -1, 500]
    run.clock.advance(2999)
    assert [run("EXISTS", key) for key in ("later", "never", "still")] == [1, 1, 0]
    run.clock.advance(1)
    assert run("EXISTS", "later") == 0


def test_flushed(run: Flight, end: Any) -> None:
    run("SET", "a", 1, "PX", 10_000)
    run("SADD", "set", *range(300))
    run.checkpoint()
    run("SADD", "set", "more")
    run("SET", "b", 2)
    run.freeze()
    run("FLUSHALL")
    assert run("KEYS", "*") == []
    run("SET", "after", 1)
    end()
    run.evict()
    assert run("KEYS", "*") == [b"after"]


def test_moved_to_another_database_and_flushed_behind(run: Flight, end: Any) -> None:
    """The reclaimer must not take the moved object for one of the dead database's."""
    run("SADD", "set", *range(300))
    run.checkpoint()
    run.freeze()
    assert run("MOVE", "set", 1) == 1
    run("SET", "set", "another")
    run("FLUSHDB")
    end()
    run.evict()
    drain(run)
    run("SELECT", 1)
    assert run("SCARD", "set") == 300
    assert run("SISMEMBER", "set", 7) == 1


def test_moved_into_a_database_that_is_flushed(run: Flight, end: Any) -> None:
    run("SADD", "set", *range(300))
    run("PEXPIRE", "set", 5000)
    run.checkpoint()
    run.freeze()
    assert run("MOVE", "set", 1) == 1
    run("SELECT", 1)
    run("FLUSHDB")
    end()
    drain(run)
    assert list(run.engines[-1].scan_keys(b"D", b"E")) == []


def test_databases_exchanged(run: Flight, end: Any) -> None:
    run("SET", "zero", 1)
    run("SELECT", 1)
    run("SADD", "one", *range(300))
    run.freeze()
    run("SWAPDB", 0, 1)
    run("SET", "one", "in 1")
    end()
    run.evict()
    assert sorted(run("KEYS", "*")) == [b"one", b"zero"]
    run("SELECT", 0)
    assert run("SCARD", "one") == 300


def test_a_swap_and_what_follows_it_in_the_same_tick_are_replayed_in_their_databases(run: Flight, end: Any) -> None:
    run.freeze()
    run.batch([("SET", "a", 0), ("SWAPDB", 0, 1), ("SET", "b", 0), ("SELECT", 1), ("SET", "c", 1)])
    end()
    assert sorted(run("KEYS", "*")) == [b"a", b"c"]


def test_the_database_after_a_checkpoint_that_did_not_rotate_the_log(run: Flight, end: Any) -> None:
    """Replay begins in the middle of a segment then, and has to be told the database."""
    run("SELECT", 3)
    run("SET", "before", 1)
    run.land()
    for _ in range(3):
        run.freeze()
        run.executor.store.writer.encode_all()
        run.land()
        run("INCR", "count")
    run.freeze()
    end()
    assert run("GET", "count") == b"3"


def test_a_failing_command_that_meets_an_expired_key_can_be_replayed(run: Flight, end: Any) -> None:
    run("SET", "a", 1, "PX", 5)
    run("SET", "b", 1, "PX", 5)
    run.clock.advance(10)
    assert "not a valid float" in str(run("INCRBYFLOAT", "a", "abc"))
    assert "no such key" in str(run("RENAME", "b", "c"))
    run.freeze()
    end()
    run.reopen()
    assert run("EXISTS", "a", "b") == 0


def test_the_reclaimer_goes_on_after_a_restart(tmp_path: Path) -> None:
    run = Flight(tmp_path / "store")
    run("SADD", "set", *range(5000))
    run("ZADD", "other", *range(2000))
    run.checkpoint()
    run("DEL", "set")
    run("FLUSHDB")
    run("SADD", "kept", *range(500))
    run.checkpoint()
    run.close()
    run.reopen()
    drain(run)
    oids = {key[:9] for key in run.engines[-1].scan_keys(b"D", b"E")}
    assert len(oids) == 1
    assert run("SCARD", "kept") == 500
    assert run.findings() == []
    run.close()


def drain(run: Flight) -> None:
    """Checkpoint, and wait until the reclaimer has nothing left to do."""
    run.checkpoint()
    store = run.executor.store
    store.writer._wake.set()
    for _ in range(10_000):
        if not store.writer.reclaimer.pending():
            return
        time.sleep(0.001)
    raise AssertionError("the reclaimer does not come to an end")


def test_the_accounts_are_right_under_eviction(tmp_path: Path) -> None:
    run = Flight(tmp_path / "store", maxmemory="1mb")
    for round_ in range(3):
        for index in range(400):
            run("SET", f"s{index}", "v" * 1000 * (1 + index % 3))
            run("SADD", f"set{index % 20}", *range(round_ * 100, round_ * 100 + 40))
            run("GET", f"missing{index}")
            if index % 7 == 0:
                run("DEL", f"s{index - 3}")
            if index % 50 == 0:
                run("RENAME", f"set{index % 20}", f"renamed{index}")
                run.checkpoint()
        store = run.executor.store
        assert run.findings() == []
        # What has become clean goes in the next tick.
        run("PING")
        assert store.cache.used <= store.cache.budget
        assert store.cache.evicted
    run.close()
