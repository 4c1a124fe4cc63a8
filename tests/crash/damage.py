"""A store that is damaged, one place in one file at a time, and read.

Whatever the place: opening is refused with the file and what can be done, or every reply is the one of the sound store or an error that
says what is damaged. `python -m tests.crash.damage FROM TO` plays the damages of these seeds (tools/damage).
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from diskkv.errors import BadFormat, CommandError, Damaged, LogFailed, StoreError
from diskkv.replies import OK, POSTPONED
from diskkv.store import writer
from tests.support.contents import copy_of
from tests.support.runner import Runner
from tests.support.workload import DATABASES, Workload

PAGE = 4096
REFUSED, WRITABLE = "refused", "writable"
# What asks for all of a key, by type, and then for parts of it.
READS: dict[str, list[tuple[Any, ...]]] = {
    "string": [("GET",), ("STRLEN",), ("GETRANGE", 70_000, 70_100)],
    "hash": [("HGETALL",), ("HLEN",), *(("HGET", number) for number in (3, 70, 150)), ("HSCAN", 0, "COUNT", 5000)],
    "set": [("SMEMBERS",), ("SCARD",), ("SISMEMBER", 7), ("SMISMEMBER", 3, 70, 150, 299)],
    "zset": [("ZRANGE", 0, -1, "WITHSCORES"), ("ZCARD",), ("ZSCORE", 9), ("ZRANK", 9), ("ZRANGE", 0, 25, "BYSCORE"), ("ZCOUNT", 3, 30)],
    "list": [("LRANGE", 0, -1), ("LLEN",), ("LINDEX", 70), ("LPOS", 7)],
    "array": [("ARSCAN", 0, 2**64 - 2), ("ARCOUNT",), ("ARGETRANGE", 0, 99), ("ARGET", 70)],
    "stream": [("XRANGE", "-", "+"), ("XLEN",), ("XREVRANGE", "+", "-", "COUNT", 3)],
}


class Specimen:
    """A store of all types, small and large, whose replies are known. It was killed, and has something in its log."""

    def __init__(self, directory: Path, seed: int = 1) -> None:
        self.directory = directory
        runner = Runner(directory / "made", maxmemory="1mb", checkpoint_log_size="64kb", databases=str(DATABASES))
        self.clock = runner.clock

        def run(*command: Any) -> None:
            with runner.executor.store.lock:
                runner.executor.store.wait_for_room()
                assert runner(*command) is not POSTPONED

        random = Random(seed)
        workload = Workload(random)
        for number in range(240):
            for command in workload.tick():
                if command[0] not in ("PEXPIRE", "FLUSHDB", "FLUSHALL", "GETEX"):
                    run(*command)
            if number % 60 == 59:
                runner.checkpoint()
        run("SELECT", 0)
        run("SETRANGE", "large:string", 150_000, random.randbytes(90_000))
        run("HSET", "large:hash", *(word for number in range(3000) for word in (number, random.randbytes(30))))
        run("SADD", "large:set", *range(5000))
        run("ZADD", "large:zset", *(word for number in range(3000) for word in (number % 50, number)))
        run("RPUSH", "large:list", *(random.randbytes(50) for _ in range(2000)))
        for number in range(1, 900):
            run("XADD", "large:stream", f"{number}-1", "field", random.randbytes(40))
        for number in range(2500):
            run("SET", f"small:{number}", random.randbytes(60), "PX", 10**9 + number)
        runner.checkpoint()
        with runner.executor.store.lock:
            runner.executor.store.engine.compact(b"", b"\xff")
        run("HSET", "large:hash", *(word for number in range(0, 3000, 7) for word in (number, "newer")))
        run("DEL", *(f"small:{number}" for number in range(0, 2500, 50)))
        runner.reopen()
        run("ZADD", "large:zset", *(word for number in range(0, 3000, 9) for word in (number % 41, number)))
        runner.checkpoint()
        for number in range(40):
            run("SET", f"logged:{number}", "x" * 50)
        with runner.executor.store.lock:
            self.made = copy_of(directory / "made", directory / "killed")
        runner.close()
        self.expected: dict[tuple[int, tuple[Any, ...]], str] = {}
        calm = Runner(copy_of(self.made, directory / "calm"), clock=self.clock)
        for index in range(DATABASES):
            calm("SELECT", index)
            for key in calm("KEYS", "*"):
                kind = str(calm("TYPE", key))
                name = max((name for name in READS if name in kind), key=len)
                for command in (("PEXPIRETIME", key), ("EXISTS", key), *((first, key, *rest) for first, *rest in READS[name])):
                    self.expected[index, command] = plain(calm(*command))
            for command in (("DBSIZE",), ("EXISTS", "no such key"), ("KEYS", "*"), ("SCAN", 0, "COUNT", 100_000)):
                self.expected[index, command] = plain(calm(*command))
        calm.close()

    def files(self) -> list[Path]:
        return sorted(file.relative_to(self.made) for file in self.made.rglob("*") if file.is_file() and not file.name.startswith("LOG"))

    def injure(self, seed: int) -> tuple[Path, str]:
        """A copy of the store with one damage, and in words which."""
        random = Random(seed)
        place = copy_of(self.made, self.directory / "injured")
        file = random.choice(self.files())
        data = bytearray((place / file).read_bytes())
        at = random.randrange(max(1, len(data)))
        kind = random.choice(("bit", "bit", "page", "cut", "zeros")) if data else "garbage"
        match kind:
            case "bit":
                data[at] ^= 1 << random.randrange(8)
            case "page":
                start = at // PAGE * PAGE
                data[start : start + PAGE] = bytes(len(data[start : start + PAGE]))
            case "zeros":
                data[at : at + 16] = bytes(len(data[at : at + 16]))
            case "cut":
                del data[at:]
            case "garbage":
                data += random.randbytes(20)
        (place / file).write_bytes(data)
        return place, f"seed {seed}: {kind} at {at} of {file} ({len(data)} bytes)"

    def examine(self, seed: int) -> Counter[str]:
        """Injure a copy and read it: what came of it, counted. AssertionError when something is served that is not so."""
        path, what = self.injure(seed)
        found: Counter[str] = Counter()
        for opening in ("first", "second"):
            try:
                run = Runner(path, clock=self.clock, maxmemory="1mb")
            except (Damaged, BadFormat) as error:
                assert str(path) in str(error), f"{what}: the error does not say where: {error}"
                assert isinstance(error, BadFormat) or "diskkv repair" in str(error), f"{what}: no way out is named: {error}"
                found[f"{REFUSED} at the {opening} opening"] += 1
                return found
            try:
                self._read(run, what, found)
                if opening == "first":
                    self._write(run, what, found)
                    self._compact(run, what, found)
                    self._read(run, what, found)
                else:
                    self._delete(run, what, found)
            finally:
                with contextlib.suppress(StoreError):
                    run.close()
        return found

    def _read(self, run: Runner, what: str, found: Counter[str]) -> None:
        lost = {("logged", index) for index in range(40)} if run("EXISTS", "logged:39") == 0 else set()
        for (index, command), reply in self.expected.items():
            run("SELECT", index)
            got = run(*command)
            if isinstance(got, CommandError):
                assert "damaged" in str(got), f"{what}: {command}: {got}"
                found["errors"] += 1
                continue
            if lost and (command[0] in ("DBSIZE", "KEYS", "SCAN") or b"logged:" in str(command[1]).encode()):
                # The end of the log could not be told from one that was torn: what was written last is gone, from its end on.
                found["cut off"] += 1
                continue
            assert plain(got) == reply, f"{what}: {command}: {plain(got)[:200]} instead of {reply[:200]}"
            found["right"] += 1

    def _write(self, run: Runner, what: str, found: Counter[str]) -> None:
        """Writes work, too, or say why not."""
        run("SELECT", DATABASES)
        for number in range(20):
            try:
                reply = run("SET", f"new{number}", number)
            except LogFailed as error:
                reply = error
            if reply is OK:
                assert run("GET", f"new{number}") == b"%d" % number, what
                found[WRITABLE] += 1
            else:
                assert isinstance(reply, CommandError), f"{what}: {reply!r}"
        with run.executor.store.lock, contextlib.suppress(StoreError):
            run.executor.store.checkpoint()


    def _compact(self, run: Runner, what: str, found: Counter[str]) -> None:
        """Compactions meet what is damaged: after that checkpoints go on."""
        store = run.executor.store
        with store.lock:
            for number in range(3):
                run("SET", "compacted", number)
                with contextlib.suppress(StoreError):
                    store.checkpoint()
                with contextlib.suppress(StoreError):
                    store.engine.compact(b"", b"\xff")
            for _ in range(2000):
                try:
                    run("SET", "compacted", "all")
                    store.checkpoint()
                    break
                except StoreError:
                    assert store.lost is None, what
                    store.landed.wait(0.01)
            else:
                raise AssertionError(f"{what}: no checkpoint succeeds: {store.writer.error}")
        found["healed"] += store.engine.noted_losses()

    def _delete(self, run: Runner, what: str, found: Counter[str]) -> None:
        """What can't be read can be deleted and replaced."""
        for index, key in {(index, command[1]) for index, command in self.expected if command[0] == "PEXPIRETIME"}:
            run("SELECT", index)
            if not isinstance(run("DUMP", key), CommandError):
                continue
            for command in (("DEL", key), ("SET", key, "new"), ("DEL", key)):
                try:
                    reply = run(*command)
                except LogFailed as error:
                    reply = error
                assert isinstance(reply, LogFailed) or reply in (OK, 1), f"{what}: {command}: {reply!r}"
                if isinstance(reply, LogFailed):
                    return
                assert run("GET", key) == (b"new" if command[0] == "SET" else None), f"{what}: {command}"
            found["deleted"] += 1
        with run.executor.store.lock, contextlib.suppress(StoreError):
            run.executor.store.checkpoint()


def plain(reply: Any) -> str:
    """A reply as something that can be compared; sets have no order."""
    if isinstance(reply, (set, frozenset)):
        return str(sorted(reply))
    if isinstance(reply, list):
        return "[" + ", ".join(map(plain, reply)) + "]"
    return str(reply)


def main() -> None:
    first, last = map(int, sys.argv[1:3])
    writer.RETRY_SECONDS = 0.01
    with tempfile.TemporaryDirectory(prefix="diskkv-damage-") as directory:
        specimen = Specimen(Path(directory))
        total: Counter[str] = Counter()
        for seed in range(first, last):
            total += specimen.examine(seed)
            shutil.rmtree(Path(directory) / "injured", ignore_errors=True)
        print(dict(total))


if __name__ == "__main__":
    main()
