"""Stores made of a backup and of the segments of the log that were archived since: any moment between comes back."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from diskkv.app import open_executor
from diskkv.clock import ManualClock
from diskkv.config import Settings
from diskkv.dispatch.executor import Executor
from diskkv.errors import CommandError, Damaged, StoreError
from diskkv.resp.parse import RequestParser
from diskkv.store.backup import PARTIAL, Label, latest, read_label, restore
from diskkv.store.directory import settle, workplace
from diskkv.store.log import LogReader, Position, segment_name, segments, split_stamp


def _nobody(done: int, size: int, ticks: int) -> None:
    """Nobody looks on."""


def choose(source: Path, until: int | None) -> Path:
    """The backup to begin with: `source` itself, or the last in it at `until` (ms) or before. StoreError when there is none."""
    if (source / "BACKUP").is_file():
        if until is not None and read_label(source).time > until:
            raise StoreError(f"the backup {source} is of a later moment")
        return source
    found = latest(source, until)
    if found is None:
        raise StoreError(f"there is no backup{' of that time or before' if until is not None else ''} in {source}")
    return found


def restore_until(
    backup: Path, to: Path, archives: list[Path], until: int | None, look: Callable[[int, int, int], None] = _nobody
) -> tuple[Label, int]:
    """Restore a backup, then what the archived segments say happened until a time (ms; None: to their end).

    The label of the backup, and how many ticks of the log followed it. The log notes seconds: what happened within the last one is in.
    StoreError or Damaged when a segment is missing or can't be read; the store is then as far as it could be brought. Until it is whole
    it has another name, and what an interruption leaves is given up with it. `look` is called with how many bytes of how many, and
    how many ticks, are done; it may raise.
    """
    work = Path(workplace(str(to), "restore", PARTIAL))
    keep = False
    try:
        with tempfile.TemporaryDirectory(prefix="diskkv-archive-") as gathered:
            _gather(archives, gathered)
            size = sum(path.stat().st_size for path in backup.rglob("*") if path.is_file())
            label = read_label(backup)
            size += sum(os.path.getsize(segment_name(gathered, number)) for number in segments(gathered) if number >= label.segment)
            done = 0

            def copied(count: int) -> None:
                nonlocal done
                done += count
                look(done, size, 0)

            restore(backup, work, copied)
            if not archives:
                keep = True
                return label, 0
            clock = ManualClock(label.time)
            executor = open_executor(str(work), Settings(), clock=clock)
            try:
                reader = LogReader(gathered, Position(label.segment, label.offset))
                ticks = _follow(executor, reader, clock, label.database, until, lambda bytes_, ticks: look(done + bytes_, size, ticks))
                keep = True
            except StoreError as error:
                keep = True
                raise StoreError(str(error).replace(gathered, "the archive")) from None
            finally:
                executor.store.close()
            return label, ticks
    finally:
        if keep:
            settle(str(work), str(to))
        else:
            shutil.rmtree(work, ignore_errors=True)


def _gather(archives: list[Path], into: str) -> None:
    """Have the longest of each segment that archives hold in one directory."""
    for archive in archives:
        for number in segments(str(archive)):
            name = segment_name(into, number)
            if not os.path.exists(name) or os.path.getsize(name) < os.path.getsize(segment_name(str(archive), number)):
                if os.path.lexists(name):
                    os.unlink(name)
                os.symlink(os.path.abspath(segment_name(str(archive), number)), name)


def _follow(
    executor: Executor, reader: LogReader, clock: ManualClock, database: int, until: int | None, look: Callable[[int, int], None]
) -> int:
    """Do what the log says, as the store's own commands, beginning in a database."""
    store = executor.store
    session = executor.open_session(owner=True)
    session.select(database)
    ticks = size = 0
    for tick in reader:
        stamp, commands = split_stamp(tick)
        if stamp is not None:
            if until is not None and stamp * 1000 > until:
                break
            clock.now = max(clock.now, stamp * 1000)
        with store.lock:
            store.wait_for_room()
            store.tick()
            # What was to expire has been logged, when it did.
            store.replaying = True
            log = store.log
            log.parts += [(b"SELECT", b"%d" % session.index), commands]
            log.database = -1
            try:
                parser = RequestParser(max_bulk=1 << 40)
                requests = parser.feed(commands)
                while requests:
                    for argv in requests:
                        executor.replay(session, argv)
                    requests = parser.feed(b"") if parser.more else []
            except CommandError as error:
                raise Damaged(f"the log does not fit the backup: {error}") from None
            finally:
                store.replaying = False
            store.commit()
        ticks += 1
        size += len(tick)
        look(size, ticks)
    return ticks
