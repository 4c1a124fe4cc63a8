"""Faults of the operating system at the n-th call of a kind, below the log and below LevelDB.

A process plays a workload on a store; strace, attached to it before it opens the store, has the n-th call of each thread fail, or all from
the n-th on. Whatever that is: a write is acknowledged or refused, reads go on and are right, the store heals once the calls succeed again,
and what is found after a kill is what was acknowledged.

Injected are errors, not short writes: a call that strace makes return less has not written that either. (`test_failures.py` has those for
the log, `test_full_disk.py` for both.) Nothing maps files into memory (see `engine/leveldb/mappings.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import multiprocessing
import os
import shutil
import socket
import subprocess
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import diskkv.engine.leveldb  # before the fork
import diskkv.engine.memory  # noqa: F401
from diskkv.clock import ManualClock
from diskkv.engine.leveldb.mappings import occupy
from diskkv.errors import CommandError, LogFailed, StoreError
from diskkv.store import writer
from diskkv.store.store import PROBE_MS
from tests.crash.test_failures import CHECKPOINT
from tests.crash.test_failures import WORKLOAD as TICKS
from tests.support.contents import contents, copy_of
from tests.support.runner import Runner

# What a call may fail with.
CALLS: dict[str, tuple[str, ...]] = {
    "write": ("ENOSPC", "EIO", "EINTR"),
    "pwrite64": ("ENOSPC", "EIO"),
    "fsync": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO", "ENOSPC"),
    "openat": ("EMFILE", "ENOSPC", "EIO"),
    "ftruncate": ("EIO",),
    "fallocate": ("ENOSPC",),
    "rename": ("EIO", "ENOSPC"),
    "unlink": ("EIO",),
    "pread64": ("EIO",),
}
# Nothing expires: how often the clock moves depends on how long a store takes to heal.
WORKLOAD = [
    tick if tick is CHECKPOINT else [command[:3] if command[:2] == ("SET", "expires") else command for command in tick] for tick in TICKS
]
SETTINGS = {"appendfsync": "always", "maxmemory": "1mb", "databases": "4"}
# A process that has said nothing for so long hangs.
PATIENCE = 30.0
# How long a store may take to heal.
HEALING = 20.0
# Forks of a process that has imported all and has no threads: LevelDB has one, which would not be in the fork.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.crash.faults"])
PTRACER, ANYBODY = 0x59616D61, -1


class Fault(NamedTuple):
    """The n-th call of a kind fails, or all from there on (`lasting`)."""

    call: str
    error: str
    at: int
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.call} {self.error} at {self.at}{' and ever after' if self.lasting else ''}"

    def injection(self) -> str:
        return f"inject={self.call}:error={self.error}:when={self.at}{'+' if self.lasting else ''}"


@dataclass
class Outcome:
    """What became of a run."""

    acknowledged: int = 0
    refused: int = 0
    opened: bool = False
    injected: int = 0
    complaints: list[str] = field(default_factory=list)


class Sufferer:
    """The process to which it happens. It says what was acknowledged: the ticks' numbers, and of each the commands'."""

    def __init__(self, path: Path, channel: socket.socket, *, lasting: bool, fresh: bool) -> None:
        self.path = path
        self.channel = channel
        self.lasting = lasting
        self.clock = ManualClock()
        self.calm = Runner(":memory:", clock=self.clock, databases=SETTINGS["databases"])
        if not fresh:
            self.calm.batch(before())
        writer.RETRY_SECONDS = 0.01

    def say(self, **what: Any) -> None:
        # sendto(2), which is never made to fail.
        self.channel.send(json.dumps(what).encode() + b"\n")

    def suffer(self) -> None:
        """Play the workload under the fault."""
        for attempt in (1, 2):
            try:
                self.run = Runner(self.path, clock=self.clock, **SETTINGS)
                break
            except (StoreError, OSError) as error:
                if attempt == 2:
                    if not self.lasting:
                        self.say(complaint=f"does not open, although nothing is wrong any more: {error}")
                    return
        self.say(opened=True)
        for number, tick in enumerate(WORKLOAD):
            if tick is CHECKPOINT:
                self.checkpoint()
            else:
                self.tick(number, tick)
        if not self.lasting:
            self.heal()
        self.compare()

    def checkpoint(self) -> None:
        store = self.run.executor.store
        with store.lock:
            # One may have begun by itself.
            store.writer.finish()
            store.writer.freeze()
            store.writer.finish()
            with contextlib.suppress(StoreError):
                store.engine.compact(b"", b"\xff")

    def tick(self, number: int, commands: list[tuple[Any, ...]]) -> None:
        with self.run.executor.store.lock:
            self.run.executor.store.wait_for_room()
        try:
            replies = self.run.batch(commands)
        except (LogFailed, StoreError):
            self.run.session.leave_multi()
            self.run.session.select(0)
            self.say(refused=number)
            self.clock.advance(PROBE_MS + 1)
            return
        done = list(applied(commands, replies))
        expected = self.calm.batch([commands[index] for index in done])
        found = [told(replies[index]) for index in done]
        if str(found) != str(expected):
            self.say(complaint=f"tick {number} was answered with {found} instead of {expected}"[:1000])
        self.say(acknowledged=number, done=done)
        if len(done) < len(commands):
            self.run.session.select(0)
            self.calm.session.select(0)
            self.clock.advance(PROBE_MS + 1)

    def heal(self) -> None:
        """Nothing is wrong any more: writes and checkpoints go on."""
        deadline = time.monotonic() + HEALING
        store = self.run.executor.store
        while time.monotonic() < deadline:
            self.clock.advance(PROBE_MS + 1)
            # What was undone may have been done again with the databases the other way round.
            self.run.session.select(0)
            with contextlib.suppress(LogFailed, StoreError):
                with store.lock:
                    store.wait_for_room()
                if not isinstance(self.run("SET", "healed", 1), CommandError):
                    self.calm("SET", "healed", 1)
                    self.say(healed=True)
                    with store.lock:
                        store.checkpoint()
                    return
            time.sleep(0.01)
        self.say(complaint=f"does not heal: {store.failed} {store.log.sync_error} {store.writer.error} {store.lost}")

    def compare(self) -> None:
        """Reads go on, and are right."""
        if self.run.executor.store.lost is not None:
            return
        found = None
        # It may be now that the call fails.
        for _ in range(2):
            with contextlib.suppress(StoreError):
                found = contents(self.run.executor.store)
                break
        expected = contents(self.calm.executor.store)
        if found is None:
            if not self.lasting:
                self.say(complaint="can't be read")
        elif found != expected:
            keys = [key for key in {*found, *expected} if found.get(key) != expected.get(key)]
            self.say(complaint=f"what is read is not what was acknowledged: {keys[:10]}")


def before() -> list[tuple[Any, ...]]:
    """What is in the store when it is opened."""
    return [
        ("SET", "old", 1), ("HSET", "older", *range(600)), ("SETRANGE", "oldest", 80_000, "end"), ("DEL", "old"), ("SET", "old", 2),
        *(("SET", f"filler{number}", Random(number).randbytes(2000)) for number in range(60)),
    ]  # fmt: skip


def applied(commands: list[tuple[Any, ...]], replies: list[Any]) -> Iterator[int]:
    """The indices of the commands that were not refused; a transaction is one, or not."""
    group: list[int] | None = None
    for index, (command, reply) in enumerate(zip(commands, replies, strict=True)):
        refused = is_refusal(reply)
        if command[0] == "MULTI":
            group = [index]
        elif group is not None:
            group.append(index)
            if command[0] == "EXEC":
                if not refused:
                    queued = group[1:-1]
                    yield from (group[0], *(at for at, one in zip(queued, reply, strict=True) if not is_refusal(one)), index)
                group = None
        elif not refused:
            yield index


def told(reply: Any) -> Any:
    """A reply without what was refused in a transaction."""
    return [one for one in reply if not is_refusal(one)] if isinstance(reply, list) else reply


def is_refusal(reply: Any) -> bool:
    """Whether a command has not been done because of a fault."""
    return isinstance(reply, CommandError) and any(word in str(reply) for word in ("MISCONF", "EXECABORT", "damaged", "undone"))


class Ordeal:
    """Runs in directories of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with contextlib.closing(Made(directory / "made")) as made:
            self.made = made.killed()
        strace = shutil.which("strace")
        assert strace is not None, "strace is needed"
        self.strace = strace

    def run(self, fault: Fault, *, fresh: bool = False) -> Outcome:
        """Let it happen, on a store that was killed or on a `fresh` one, and verify what is left. Raises nothing: see `complaints`."""
        path = self.directory / "run"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        if not fresh:
            copy_of(self.made, path / "store")
        outcome = Outcome()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(PATIENCE)
            process = FORKS.Process(target=_suffer, args=(path / "store", theirs, fault, fresh))
            process.start()
            theirs.close()
            lines = ours.makefile("rb")
            log = path / "strace"
            tracer = None
            try:
                assert json.loads(lines.readline()) == {"ready": True}
                command = [self.strace, "-f", "-e", f"trace={fault.call}", "-e", fault.injection(), "-o", str(log), "-p", str(process.pid)]
                tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
                assert tracer.stderr is not None
                said = tracer.stderr.readline()
                assert b"attached" in said, said
                ours.send(b"go")
                told = [json.loads(line) for line in lines]
            except TimeoutError:
                outcome.complaints.append("hangs")
                return outcome
            finally:
                lines.close()
                process.kill()
                process.join()
                if tracer is not None:
                    tracer.communicate()
            outcome.injected = log.read_bytes().count(b"(INJECTED)")
        self._verify(path / "store", told, outcome, fresh)
        return outcome

    def _verify(self, store: Path, told: list[dict[str, Any]], outcome: Outcome, fresh: bool) -> None:
        """What was acknowledged is there after a kill, and the store is in order."""
        outcome.complaints += [one["complaint"] for one in told if "complaint" in one]
        outcome.opened = any("opened" in one for one in told)
        outcome.refused = sum("refused" in one for one in told)
        clock = ManualClock()
        calm = Runner(":memory:", clock=clock, databases=SETTINGS["databases"])
        if not fresh:
            calm.batch(before())
        for one in told:
            if "acknowledged" in one:
                outcome.acknowledged += 1
                calm.batch([WORKLOAD[one["acknowledged"]][index] for index in one["done"]])
            elif "healed" in one:
                calm("SET", "healed", 1)
        if fresh and not store.exists():
            return
        try:
            found = Runner(store, clock=clock, **SETTINGS)
        except (StoreError, OSError) as error:
            outcome.complaints.append(f"does not open after a kill: {error}")
            return
        try:
            there, expected = contents(found.executor.store), contents(calm.executor.store)
            if there != expected:
                keys = [key for key in {*there, *expected} if there.get(key) != expected.get(key)]
                outcome.complaints.append(f"after a kill these are not as acknowledged: {keys[:10]}")
            outcome.complaints += [str(finding) for finding in found.findings()]
        finally:
            found.close()
            calm.close()


class Made:
    """A store with something in its tree and something in its log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runner = Runner(path, clock=ManualClock(), **SETTINGS)

    def killed(self) -> Path:
        commands = before()
        self.runner.batch(commands[:20])
        self.runner.checkpoint()
        self.runner.batch(commands[20:])
        with self.runner.executor.store.lock:
            return copy_of(self.path, self.path.parent / "killed")

    def close(self) -> None:
        self.runner.close()


def _suffer(path: Path, channel: socket.socket, fault: Fault, fresh: bool) -> None:
    """In the process that was forked."""
    logging.disable(logging.CRITICAL)
    # Where the system lets only parents look on.
    ctypes.CDLL(None).prctl(PTRACER, ANYBODY, 0, 0, 0)
    try:
        occupy()
        sufferer = Sufferer(path, channel, lasting=fault.lasting, fresh=fresh)
        sufferer.say(ready=True)
        channel.recv(2)
        sufferer.suffer()
    except BaseException:
        sufferer.say(complaint=traceback.format_exc()[-3000:])
    finally:
        os._exit(0)


def faults(random: Random, *, lasting: float = 0.3) -> Iterator[Fault]:
    """Faults without end."""
    while True:
        call = random.choice(list(CALLS))
        error = random.choice(CALLS[call])
        # A call that is interrupted is made again, for ever if need be.
        yield Fault(call, error, int(random.triangular(1, 40, 1)), error != "EINTR" and random.random() < lasting)
