"""Backups of a store that goes on being used, and stores made of them.

A destination holds one directory per backup, named by its moment; each is a whole store, with a file `BACKUP` that was written last. First
the writer's thread, which does nothing else meanwhile, links the tree's tables and copies what is small into `backup` in the store's
directory: that takes milliseconds and nobody waits. A thread of its own then brings it to the destination: what of tables and log the
latest backup there has is linked to it, the rest is linked to the store's or copied.

The state that a backup restores to is that of the end of the last tick before its position in the log.
"""

from __future__ import annotations

import filecmp
import json
import logging
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diskkv.clock import sleep
from diskkv.errors import StoreError
from diskkv.format import keys
from diskkv.format.meta import unpack_state
from diskkv.lib.directories import sizes_in
from diskkv.store.directory import make_directory, sync_directory
from diskkv.store.log import Position, segment_name, segments

if TYPE_CHECKING:
    from diskkv.store.store import Store

journal = logging.getLogger("diskkv")

LABEL = "BACKUP"
STAGE = "backup"
PARTIAL = ".partial"
TABLES = (".ldb", ".sst")
# By how many of its last bytes, among them its index and its checksums, a table is known again.
TAIL = 4096
PIECE = 1 << 20
LOOK_SECONDS = 0.01


@dataclass(slots=True)
class Label:
    """What a backup says of itself: when it was taken (ms), where the log stood then and in which database, and what it cost."""

    time: int
    segment: int
    offset: int
    database: int = 0
    files: int = 0
    bytes: int = 0
    new_files: int = 0
    new_bytes: int = 0


@dataclass(slots=True)
class Status:
    """The backup that runs or was last: its error is empty unless it failed. So many files and bytes are at the destination, of so many
    bytes in all."""

    running: bool = False
    files: int = 0
    done: int = 0
    total: int = 0
    destination: str = ""
    path: str = ""
    error: str = ""
    label: Label | None = None


class Backups:
    """Takes a store's backups, one at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.status = Status()
        self._staged = threading.Event()
        self._failure: Exception | None = None
        self._label = Label(0, 0, 0)
        self._closing = False
        store.at_close.append(self._close)

    def _close(self) -> None:
        self._closing = True

    def clean(self) -> None:
        """Give up what a backup has left that ended with its process: the space of every table in it."""
        if self._store.path is not None:
            shutil.rmtree(Path(self._store.path, STAGE), ignore_errors=True)

    def begin(self, destination: str) -> None:
        """Begin a backup; `status` tells what becomes of it. StoreError when one is running, or there is nothing on disk to copy.

        REQUIRES: the store's lock.
        """
        if self._store.path is None:
            raise StoreError("this store is in memory")
        if self.status.running:
            raise StoreError("a backup is already running")
        self.status = Status(running=True, destination=destination)
        threading.Thread(target=self._run, name="diskkv-backup", daemon=True).start()

    def take(self, destination: str, look: Callable[[Status], None] | None = None) -> Label:
        """Take a backup and wait for it, calling `look` now and then. StoreError when it fails. Called without the lock."""
        with self._store.lock:
            self.begin(destination)
        status = self.status
        while status.running:
            if look is not None:
                look(status)
            sleep(LOOK_SECONDS)
        if status.label is None:
            raise StoreError(status.error)
        return status.label

    def _run(self) -> None:
        status = self.status
        stage = Path(self._store.path or "", STAGE)
        try:
            shutil.rmtree(stage, ignore_errors=True)
            self._staged.clear()
            self._failure = None
            self._store.writer.undisturbed(lambda: self._stage(stage))
            while not self._staged.wait(0.1):
                if self._closing:
                    raise StoreError("the store is being closed")
            if self._failure is not None:
                raise self._failure
            status.total = sum(path.stat().st_size for path in stage.rglob("*") if path.is_file())
            status.path = _deliver(stage, Path(status.destination), self._label, status)
            status.label = self._label
            journal.info(
                "backup: %(path)s, %(new_bytes)d of %(bytes)d bytes are new",
                {"path": status.path, "new_bytes": self._label.new_bytes, "bytes": self._label.bytes},
            )
        except Exception as error:
            if not isinstance(error, (StoreError, OSError)):
                journal.exception("internal error in a backup")
            status.error = str(error) or type(error).__name__
            journal.error("a backup to %(destination)s failed: %(error)s", {"destination": status.destination, "error": status.error})
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            status.running = False

    def _stage(self, stage: Path) -> None:
        """Runs on the writer's thread: nothing is written to the engine, and no segment of the log is deleted."""
        store = self._store
        try:
            assert store.path is not None
            stage.mkdir()
            store.engine.copy(str(stage / "tree"))
            raw = store.engine.get(keys.SYSTEM + b"state")
            assert raw is not None
            start = Position(*unpack_state(raw)["log"])
            with store.lock:
                if store.held:
                    raise StoreError("a script has been running for long, and is half done: try again")
                end = store.log.position()
                self._label = Label(store.clock(), end.segment, end.offset, max(0, store.log.database))
            _copy_log(store.log.path, stage / "log", start, end)
            for name in sizes_in(store.path):
                # users.acl, and what else may once lie beside it
                if name.endswith(".acl"):
                    shutil.copyfile(os.path.join(store.path, name), stage / name)
        except Exception as error:
            self._failure = error
        finally:
            self._staged.set()


def _copy_log(path: str, into: Path, start: Position, end: Position) -> None:
    """The log from one position to another; only the last segment still changes."""
    into.mkdir()
    for number in segments(path):
        if start.segment <= number < end.segment:
            _link_or_copy(Path(segment_name(path, number)), Path(segment_name(str(into), number)))
    with open(segment_name(path, end.segment), "rb") as source, open(segment_name(str(into), end.segment), "wb") as copy:
        left = end.offset
        while left:
            piece = source.read(min(PIECE, left))
            if not piece:
                raise StoreError(f"{source.name} is shorter than it was")
            copy.write(piece)
            left -= len(piece)


def _deliver(stage: Path, destination: Path, label: Label, status: Status) -> str:
    """Bring what was staged to its destination; the directory that it is in."""
    make_directory(str(destination))
    for entry in destination.iterdir():
        if entry.name.endswith(PARTIAL):
            shutil.rmtree(entry, ignore_errors=True)
    earlier = latest(destination)
    moment = datetime.fromtimestamp(label.time / 1000, timezone.utc)
    target = destination / f"{moment:%Y%m%dT%H%M%S}.{label.time % 1000:03d}Z"
    while target.exists():
        target = Path(f"{target}+")
    partial = Path(str(target) + PARTIAL)
    for directory, _, names in os.walk(stage):
        into = partial / Path(directory).relative_to(stage)
        into.mkdir(parents=True)
        for name in names:
            source = Path(directory, name)
            size = source.stat().st_size
            label.files += 1
            label.bytes += size
            known = earlier / into.relative_to(partial) / name if earlier is not None else None
            if known is not None and _same(source, known):
                _link_or_copy(known, into / name)
            else:
                label.new_files += 1
                label.new_bytes += size
                _link_or_copy(source, into / name)
                _sync(into / name)
            status.files += 1
            status.done += size
        sync_directory(str(into))
    with open(partial / LABEL, "w", encoding="utf-8") as file:
        json.dump(asdict(label), file)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(str(partial))
    os.rename(partial, target)
    sync_directory(str(destination))
    return str(target)


def _same(one: Path, other: Path) -> bool:
    """Whether two files of one name are the same table, or the same part of the log."""
    try:
        if one.suffix == ".aof":
            return filecmp.cmp(one, other, shallow=False)
        if one.suffix not in TABLES or one.stat().st_size != other.stat().st_size:
            return False
        with one.open("rb") as first, other.open("rb") as second:
            for file in (first, second):
                file.seek(max(0, one.stat().st_size - TAIL))
            return first.read() == second.read()
    except FileNotFoundError:
        return False


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def read_label(path: Path) -> Label:
    """A backup's label. StoreError when this is no whole backup."""
    try:
        found: dict[str, Any] = json.loads((path / LABEL).read_text(encoding="utf-8"))
        return Label(**found)
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{path} is not a backup: {error}") from None


def latest(destination: Path, until: int | None = None) -> Path | None:
    """The last backup in a destination, or the last that was taken at `until` (ms) or before."""
    if not destination.is_dir():
        return None
    for path in sorted((entry for entry in destination.iterdir() if (entry / LABEL).is_file()), reverse=True):
        if until is None or read_label(path).time <= until:
            return path
    return None


def restore(backup: Path, to: Path, look: Callable[[int], None] | None = None) -> Label:
    """Make a store of a backup, in a new directory; nothing of it is shared with the backup. StoreError when that can't be.

    `look` is called with the bytes of each file that was copied. What an interruption leaves is no whole store: see rewind.py.
    """
    label = read_label(backup)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise StoreError(f"{to} is not empty")
    make_directory(str(to))
    for directory, _, names in os.walk(backup):
        into = to / Path(directory).relative_to(backup)
        into.mkdir(exist_ok=True)
        for name in names:
            if name != LABEL:
                shutil.copyfile(Path(directory, name), into / name)
                _sync(into / name)
                if look is not None:
                    look((into / name).stat().st_size)
        sync_directory(str(into))
    return label
