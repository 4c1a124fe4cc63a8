"""A fixed workload, with the engine or the log failing at each of its writes in turn: what was acknowledged is there after a kill at
that moment, what failed is not, and there is no half MULTI."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.engine import Engine
from diskkv.errors import LogFailed
from diskkv.replies import OK
from diskkv.store import writer
from diskkv.store.store import PROBE_MS
from diskkv.types.strings import String
from tests.support.contents import contents, copy_of
from tests.support.disks import FaultyDisk
from tests.support.engines import Faulty
from tests.support.runner import Runner

CHECKPOINT: list[tuple[Any, ...]] = [("checkpoint",)]

# A list is a tick.
WORKLOAD: list[list[tuple[Any, ...]]] = [
    [("SET", "plain", 1), ("SET", "expires", "soon", "PX", 500)],
    [("MULTI",), ("SET", "left", 1), ("SET", "right", 1), ("EXEC",)],
    [("SETRANGE", "large", 100_000, "end"), ("SADD", "set", *range(300))],
    CHECKPOINT,
    [("APPEND", "large", "x" * 40_000), ("ZADD", "zset", *range(600))],
    [("MULTI",), ("INCR", "left"), ("INCR", "right"), ("EXEC",)],
    [("RENAME", "large", "moved"), ("SREM", "set", *range(100))],
    CHECKPOINT,
    [("SETRANGE", "moved", 50_000, "middle"), ("HSET", "hash", *range(400))],
    [("MULTI",), ("INCR", "left"), ("DEL", "zset"), ("INCR", "right"), ("EXEC",)],
    [("DEL", "plain"), ("PERSIST", "expires"), ("APPEND", "appended", "a")],
    CHECKPOINT,
    [("SELECT", 1), ("SET", "other", "database"), ("SELECT", 0), ("MOVE", "hash", 1)],
    [("APPEND", "appended", "b"), ("INCR", "counter")],
    [("FLUSHDB",), ("SET", "after", "flush"), ("MULTI",), ("INCR", "left"), ("INCR", "right"), ("EXEC",)],
    CHECKPOINT,
    [("SWAPDB", 0, 1), ("SET", "swapped", 1)],
    [("INCR", "counter"), ("APPEND", "appended", "c")],
]


class Trial:
    """A store that something happens to, and a calm one that is told only what the first acknowledged."""

    # whether a checkpoint waits until the engine has healed
    patient = True

    def __init__(
        self, path: Path, *, wrap: Callable[[Engine], Engine] | None = None, disk: FaultyDisk | None = None, **settings: str
    ) -> None:
        self.path = path
        self.calm = Runner(":memory:")
        self.runner = Runner(path / "store", wrap=wrap, disk=disk, clock=self.calm.clock, **settings)
        self.refused = 0

    def play(self, after: Callable[[], bool]) -> bool:
        """Play the workload; True as soon as `after`, asked after each tick, says so."""
        for tick in WORKLOAD:
            if tick is CHECKPOINT:
                self.checkpoint()
            else:
                self.tick(tick)
            if after():
                return True
        return False

    def tick(self, commands: list[tuple[Any, ...]]) -> None:
        try:
            replies = self.runner.batch(commands)
        except LogFailed:
            self.refused += 1
            self.runner.session.select(0)
            self.calm.clock.advance(PROBE_MS + 1)
            return
        assert str(replies) == str(self.calm.batch(commands))

    def checkpoint(self) -> None:
        store = self.runner.executor.store
        with store.lock:
            while self.patient and store.writer.healing:
                store.landed.wait()
            store.writer.freeze()
            store.writer.finish()

    def killed(self) -> None:
        """A copy of the directory, as a kill -9 would leave it now, opens, holds what was acknowledged, and is in order."""
        with self.runner.executor.store.lock:
            copy = copy_of(self.runner.path, self.path / "killed")
        self.compare(Runner(copy, clock=self.calm.clock))

    def compare(self, runner: Runner) -> None:
        try:
            found = contents(runner.executor.store)
            assert found == contents(self.calm.executor.store)
            assert found.get((0, b"left")) == found.get((0, b"right"))
            assert runner.findings() == []
            assert contents(runner.executor.store) == found
        finally:
            runner.close()

    def finish(self) -> None:
        """The store itself heals, and closes in order."""
        self.checkpoint()
        store = self.runner.executor.store
        with store.lock:
            while store.writer.healing:
                store.landed.wait()
        self.compare(self.runner)
        self.calm.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.002)
    yield


@pytest.mark.parametrize("though_applied", [False, True])
def test_the_engine_fails_at_each_write(tmp_path: Path, though_applied: bool) -> None:
    for at in range(2, 100):
        engines: list[Faulty] = []

        def wrap(inner: Engine, at: int = at, engines: list[Faulty] = engines) -> Engine:
            engines.append(Faulty(inner, at, though_applied=though_applied))
            return engines[0]

        trial = Trial(tmp_path / str(at), wrap=wrap)
        failed = trial.play(engines[0].failed.is_set)
        if failed:
            trial.killed()
        trial.play(lambda: False)
        trial.finish()
        if not failed:
            assert at > 4
            return
    raise AssertionError("the workload writes more often than expected")


def test_the_engine_fails_for_good_at_each_write(tmp_path: Path) -> None:
    """All goes on in the log, and the copy is as good as the engine would have been."""
    for at in range(2, 100):
        engines: list[Faulty] = []

        def wrap(inner: Engine, at: int = at, engines: list[Faulty] = engines) -> Engine:
            engines.append(Faulty(inner, at, crash=True))
            return engines[0]

        trial = Trial(tmp_path / str(at), wrap=wrap)
        trial.patient = False
        trial.play(lambda: False)
        trial.killed()
        trial.runner.close()
        reopened = Runner(trial.runner.path, clock=trial.calm.clock)
        trial.compare(reopened)
        trial.calm.close()
        if not engines[0].failed.is_set():
            assert at > 4
            return
    raise AssertionError("the workload writes more often than expected")


FAULTS = {
    "no space": ("write", errno.ENOSPC, False),
    "short write": ("write", errno.ENOSPC, True),
    "I/O error at fsync": ("sync", errno.EIO, False),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_log_fails_at_each_write(tmp_path: Path, fault: str) -> None:
    kind, number, short = FAULTS[fault]
    policy = "always" if kind == "sync" else "everysec"
    for at in range(2, 100):
        disk = FaultyDisk(kind, at, number=number, short=short)
        trial = Trial(tmp_path / str(at), disk=disk, appendfsync=policy)
        failed = trial.play(disk.has_failed)
        if failed:
            assert trial.refused or kind == "sync"
            trial.killed()
            trial.play(lambda: False)
        trial.finish()
        if not failed:
            assert at > 10
            return
    raise AssertionError("the workload writes more often than expected")


def test_a_log_that_fails_twice_and_cannot_be_mended_at_once(tmp_path: Path) -> None:
    """The torn end can't be cut off at first: the next write must do it."""

    class Stubborn(FaultyDisk):
        def truncate(self, handle: int, size: int) -> None:
            if self.failures and not self.stubborn:
                self.stubborn = True
                raise OSError(errno.EIO, "told to fail")
            super().truncate(handle, size)

        stubborn = False

    disk = Stubborn("write", 6, short=True)
    trial = Trial(tmp_path, disk=disk)
    assert trial.play(disk.has_failed)
    trial.killed()
    trial.play(lambda: False)
    trial.killed()
    trial.finish()


def test_closing_with_a_failed_log_gives_up_the_directory(tmp_path: Path) -> None:
    disk = FaultyDisk("none", 1)
    trial = Trial(tmp_path, disk=disk)
    trial.tick([("SET", "a", 1)])
    disk.rearm("write", times=1000)
    trial.tick([("SET", "a", 2)])
    assert trial.refused == 1
    started = time.monotonic()
    trial.runner.close()
    assert time.monotonic() - started < 30
    disk.kind = "none"
    trial.compare(Runner(trial.runner.path, clock=trial.calm.clock))
    trial.calm.close()


def test_closing_while_the_engine_cannot_be_written_does_not_hang(tmp_path: Path) -> None:
    engines: list[Faulty] = []

    def wrap(inner: Engine) -> Engine:
        engines.append(Faulty(inner, 2, crash=True))
        return engines[0]

    trial = Trial(tmp_path, wrap=wrap)
    trial.tick([("SET", "a", 1)])
    trial.patient = False
    for _ in range(3):
        trial.checkpoint()
    trial.runner.close()
    trial.compare(Runner(trial.runner.path, clock=trial.calm.clock))
    trial.calm.close()


@pytest.mark.parametrize("method", ["save", "freeze", "records"])
def test_a_value_that_cannot_be_encoded_does_not_stop_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """A bug in a type, say: the checkpoint fails as if the engine had, and nothing is forgotten."""
    trial = Trial(tmp_path)
    trial.tick([("SET", "large", "x" * 100_000), ("SET", "small", 1)])

    def broken(*_: Any) -> Any:
        raise ValueError("told to fail")

    with monkeypatch.context() as patch:
        patch.setattr(String, method, broken)
        trial.checkpoint()
        assert trial.runner.executor.store.writer.failures == 1
    trial.tick([("APPEND", "large", "y"), ("INCR", "small")])
    trial.killed()
    trial.finish()


@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_session_stays_in_its_database_when_exchanged_ones_are_undone(tmp_path: Path, checkpointed: bool) -> None:
    disk = FaultyDisk("none", 1)
    run = Runner(tmp_path / "store", disk=disk)
    run.batch([("SET", "a", "in 1"), ("SWAPDB", 0, 1), ("SET", "a", "in 0")])
    if checkpointed:
        run.checkpoint()
    for commands in ([("SET", "a", "refused")], [("SWAPDB", 0, 1), ("SET", "a", "refused")]):
        disk.rearm("write")
        with pytest.raises(LogFailed):
            run.batch(commands)
        run.clock.advance(PROBE_MS + 1)
        assert run.batch([("GET", "a"), ("SELECT", 1), ("GET", "a"), ("SELECT", 0)])[::2] == [b"in 0", b"in 1"]
        assert run("SET", "b", 1) is OK
    run.close()
