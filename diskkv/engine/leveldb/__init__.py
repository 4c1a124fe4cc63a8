"""The default engine: LevelDB through plyvel.

Checksums are verified on every read (measured: without, 35 of 100 damaged stores served wrong values; with, none). What plyvel's
iterators and its `get` leave unsaid is asked for here: see `_begin`, `_end` and `presence.py`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import plyvel

from diskkv.engine.leveldb.copying import copy_tree
from diskkv.engine.leveldb.healing import Cure, clean, cure, diagnose
from diskkv.engine.leveldb.losses import GuardedBatch, Losses
from diskkv.engine.leveldb.manifest import listed, missing_tables
from diskkv.engine.leveldb.mappings import occupy
from diskkv.engine.leveldb.mending import judge, mend, undo_last_edit
from diskkv.engine.leveldb.presence import Presence
from diskkv.engine.leveldb.tables import holes
from diskkv.errors import Damaged, StoreError, StoreLocked
from diskkv.lib.directories import bytes_in, sync_path

# RuntimeError is what plyvel raises on a closed database: between a failed `reopen` and the next.
FAILURES = (plyvel.Error, RuntimeError)
# A batch that is not larger is used again; as much as a checkpoint writes at most, as long as no value is huge.
SPARE = 48 << 20


journal = logging.getLogger("diskkv")


class LevelEngine:
    """An `Engine` in a directory of LevelDB's own files."""

    def __init__(self, path: str, *, block_cache: int, write_buffer: int) -> None:
        self.path = path
        self._options: dict[str, Any] = {
            "lru_cache_size": block_cache,
            "write_buffer_size": write_buffer,
            "bloom_filter_bits": 10,
            "max_open_files": 500,
            "max_file_size": 4 << 20,
            "paranoid_checks": True,
            "compression": "snappy",
        }
        self._memory = block_cache + 2 * write_buffer
        # the batch whose write shall reach the disk
        self._durable: Any = None
        # how many bytes have been written since LevelDB was last made to begin a table
        self._gathered = 0
        # An empty one to be used again. A fresh one copies itself over and over as it grows, and holds the interpreter for 25 ms at once.
        self._spare: Any = None
        # LevelDB refuses all writes until it is opened anew; so does this after a failure that nobody was told of: what it said
        self._failed = False
        self._torn = ""
        # a key was said to be absent; and how many tables were missing before
        self._doubtful = False
        self._missed = 0
        # what is to stand in the place of damaged tables from the next opening on
        self._cures: list[Cure] = []
        self._db: Any
        self._lookup: Any
        self._losses: Losses
        self._presence: Presence
        occupy()
        self._open()

    def _open(self) -> None:
        if not os.path.isdir(self.path):
            create_aside(self.path)
        try:
            clean(self.path)
            self._losses = Losses(self.path)
            mend(self.path, thorough=False)
            judge(self.path)
            try:
                self._db = plyvel.DB(self.path, create_if_missing=False, **self._options)
            except plyvel.CorruptionError:
                if not mend(self.path, thorough=True) and not undo_last_edit(self.path):
                    raise
                judge(self.path)
                self._db = plyvel.DB(self.path, create_if_missing=False, **self._options)
        except plyvel.CorruptionError as error:
            raise Damaged(f"{self.path}: {_lacks(self.path) or error}") from None
        except plyvel.IOError as error:
            text = str(error)
            if "lock" in text.lower():
                raise StoreLocked(f"{self.path} is in use by another process") from None
            raise StoreError(f"{self.path}: {text}") from None
        except plyvel.Error as error:
            # The directory is there, but LevelDB finds no database in it.
            raise Damaged(f"{self.path}: {error}") from None
        self._lookup = functools.partial(self._db.get, verify_checksums=True)
        try:
            self._presence = Presence(self.path)
        except (OSError, IndexError) as error:
            self._db.close()
            raise StoreError(f"{self.path}: {error}") from None
        self._failed = False
        self._torn = ""

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._lookup(key)
        except FAILURES as error:
            raise self._failure(error) from None
        if value is None:
            if not self._doubtful:
                self._doubtful = True
                self._missed = self._presence.found
            if self._presence.missing:
                value = self._look_again(key)
        return self._losses.judge(key, value) if self._losses.all else value

    def _look_again(self, key: bytes) -> bytes | None:
        """As `get`, while tables are missing."""
        self._presence.verify(key)
        try:
            value: bytes | None = self._lookup(key)
        except FAILURES as error:
            raise self._failure(error) from None
        return value

    def confirm(self) -> None:
        if self._doubtful:
            self._doubtful = False
            self._presence.look()
            if self._presence.found > self._missed:
                raise Damaged(f"{self.path}: tables are missing: {listed(self._presence.missing)}")

    def scan(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return _scan(self._db, self._failure, self._losses, start, stop, reverse)

    def scan_keys(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[bytes]:
        return _scan_keys(self._db, self._failure, self._losses, start, stop, reverse)

    def scan_around(self, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        return self._losses.passed(_scan_around(self._db, self._failure, start, stop))

    def holes(self) -> Iterator[tuple[str, int, int, bytes | None, bytes | None]]:
        return holes(self.path)

    def batch(self, *, sync: bool = False) -> Any:
        batch = self._spare if sync else None
        if batch is not None:
            self._spare = None
        else:
            try:
                batch = self._db.write_batch(sync=sync)
            except FAILURES as error:
                raise self._failure(error) from None
        if self._losses:
            batch = GuardedBatch(batch, self._losses)
        if sync:
            self._durable = batch
        return batch

    def write(self, batch: Any) -> None:
        self._presence.look()
        self._refuse_torn()
        try:
            batch.write()
        except FAILURES as error:
            self._failed = True
            raise self._failure(error) from None
        if batch is self._durable:
            self._durable = None
            written = batch.inner if isinstance(batch, GuardedBatch) else batch
            self._gathered += written.approximate_size()
            self._spare = _emptied(written)
            # LevelDB syncs its log but, when it has just begun a new one, not the name of it.
            sync_path(self.path)

    def _refuse_torn(self) -> None:
        if self._torn:
            self._failed = True
            raise StoreError(f"{self.path}: {self._torn}")

    def approximate_size(self, start: bytes, stop: bytes) -> int:
        try:
            size: int = self._db.approximate_size(start, stop)
        except FAILURES as error:
            raise self._failure(error) from None
        return size

    def compact(self, start: bytes, stop: bytes) -> None:
        try:
            self._db.compact_range(start=start, stop=stop)
        except FAILURES as error:
            raise self._failure(error) from None

    def tidy(self) -> None:
        self._presence.let_go()
        if self._gathered > self._options["write_buffer_size"]:
            self._gathered = 0
            # Only with the next write LevelDB looks whether what it has in memory and in its log is enough for a table. Until it has made
            # that, an opening has to do it: 0.2 s for the checkpoint of a busy server.
            try:
                self._db.write_batch(sync=True).write()
                sync_path(self.path)
            except (*FAILURES, OSError) as error:
                # It may have been written in part, and what is written behind that can't be read.
                self._torn = str(error)

    def _failure(self, error: Exception) -> StoreError:
        """What plyvel raised, in the contract's words."""
        # Of the classes above them only NotFound is raised here: of a table that is missing.
        damaged = isinstance(error, plyvel.CorruptionError) or type(error) is plyvel.Error
        return (Damaged if damaged else StoreError)(f"{self.path}: {error}")

    def snapshot(self) -> LevelSnapshot:
        try:
            return LevelSnapshot(self._db, self._failure, self._presence, self._losses)
        except FAILURES as error:
            raise self._failure(error) from None

    def copy(self, into: str) -> None:
        copy_tree(self.path, into)

    def reopen(self) -> None:
        self._presence.look()
        missing = _lacks(self.path)
        if missing:
            # LevelDB would not open any more, but as long as it is open it serves the rest.
            if self._failed:
                raise Damaged(f"{self.path}: {missing}")
            return
        self._presence.close()
        self._spare = None
        self._db.close()
        self._cure()
        self._open()

    def diagnose(self) -> bool:
        try:
            self._cures = diagnose(self.path, self._losses)
        except (OSError, IndexError) as error:
            journal.error("damaged tables can't be replaced: %(error)s", {"error": error})
        return bool(self._cures)

    def _cure(self) -> None:
        """Put what `diagnose` has made into force. Without it, all is as before."""
        cures, self._cures = self._cures, []
        try:
            cure(self.path, cures, self._losses)
        except (OSError, IndexError) as error:
            journal.error("damaged tables can't be replaced: %(error)s", {"error": error})

    def noted_losses(self) -> bool:
        return self._losses.noted

    def lost(self, start: bytes, stop: bytes) -> bool:
        return bool(self._losses.touching(start, stop))

    def forget(self, start: bytes, stop: bytes) -> None:
        self._drop(start, stop, lambda value: True)

    def settle(self, start: bytes, stop: bytes) -> None:
        self._drop(start, stop, lambda value: value in (self._losses.lost, self._losses.deleted))

    def _drop(self, start: bytes, stop: bytes, which: Callable[[bytes], bool]) -> None:
        """Forget what was lost of a range, after some of its records have gone, such as those that only tell of it."""
        lost = self._losses.touching(start, stop)
        if not lost:
            return
        self._refuse_torn()
        try:
            # Plainly, not as in a range of which it matters what was lost.
            batch = self._db.write_batch(sync=True)
            for low, high in lost:
                for key, value in _scan_around(self._db, self._failure, low, high):
                    if which(value):
                        batch.delete(key)
            batch.write()
            self._losses.forget(start, stop)
        except FAILURES as error:
            raise self._failure(error) from None

    def statistics(self) -> dict[str, int]:
        return {"disk_bytes": bytes_in(self.path), "memory_bytes": self._memory}

    def close(self) -> None:
        self._presence.close()
        self._db.close()


class LevelSnapshot:
    """The database as it was at one moment."""

    def __init__(self, db: Any, failure: Callable[[Exception], StoreError], presence: Presence, losses: Losses) -> None:
        self._db = db
        self._losses = losses
        self._snapshot = db.snapshot()
        self._failure = failure
        self._presence = presence

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._snapshot.get(key, verify_checksums=True)
        except FAILURES as error:
            raise self._failure(error) from None
        if value is None:
            self._presence.look()
            self._presence.verify(key)
        return self._losses.judge(key, value)

    def scan(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return _scan(self._snapshot, self._failure, self._losses, start, stop, reverse)

    def scan_keys(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[bytes]:
        return _scan_keys(self._snapshot, self._failure, self._losses, start, stop, reverse)

    def scan_around(self, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        return self._losses.passed(_scan_around(self._snapshot, self._failure, start, stop))

    def approximate_size(self, start: bytes, stop: bytes) -> int:
        """As of now, not as of then: it is an estimate either way."""
        try:
            size: int = self._db.approximate_size(start, stop)
        except FAILURES as error:
            raise self._failure(error) from None
        return size

    def close(self) -> None:
        self._snapshot.close()


def _emptied(batch: Any) -> Any:
    """A batch that has been written, to be filled again; None for one that would keep too much memory."""
    if batch.approximate_size() > SPARE:
        return None
    batch.clear()
    return batch


def _scan(
    source: Any, failure: Callable[[Exception], StoreError], losses: Losses, start: bytes, stop: bytes | None, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """The records of a database or a snapshot."""

    def scan(start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        try:
            with source.iterator(reverse=reverse, verify_checksums=True) as records:
                _begin(records, start, stop, reverse)
                if reverse:
                    for record in records:
                        if record[0] < start:
                            return
                        yield record
                elif stop is None:
                    yield from records
                else:
                    for record in records:
                        if record[0] >= stop:
                            return
                        yield record
                _end(source, records, reverse)
        except FAILURES as error:
            raise failure(error) from None

    return losses.scanned(scan, start, stop, reverse=reverse) if losses else scan(start, stop)


def _scan_keys(
    source: Any, failure: Callable[[Exception], StoreError], losses: Losses, start: bytes, stop: bytes | None, reverse: bool
) -> Iterator[bytes]:
    """As `_scan`, keys alone."""

    def scan(start: bytes, stop: bytes | None) -> Iterator[bytes]:
        try:
            with source.iterator(reverse=reverse, include_value=False, verify_checksums=True) as keys:
                _begin(keys, start, stop, reverse)
                if reverse:
                    for key in keys:
                        if key < start:
                            return
                        yield key
                elif stop is None:
                    yield from keys
                else:
                    for key in keys:
                        if key >= stop:
                            return
                        yield key
                _end(source, keys, reverse)
        except FAILURES as error:
            raise failure(error) from None

    return losses.scanned(scan, start, stop, reverse=reverse) if losses else scan(start, stop)


def _begin(records: Any, start: bytes, stop: bytes | None, reverse: bool) -> None:
    """Place an iterator where a scan begins.

    It is given no bounds, and whoever goes on with it looks for the other one: in reverse plyvel finds nothing when the only record in
    range is at its start, and with bounds `_end` would not be told what there is to tell.
    """
    if not reverse:
        records.seek(start)
    elif stop is not None:
        records.seek(stop)


def _end(source: Any, records: Any, reverse: bool) -> None:
    """A scan has found no more records: plyvel's error if that was because they can't be read, of which it tells only where others follow.

    So it has to go back: LevelDB's iterator remembers what it has met. Where nothing at all can be read, another one looks again.
    """
    try:
        records.prev()
    except StopIteration:
        with contextlib.closing(source.raw_iterator(verify_checksums=True)) as ends:
            if reverse:
                ends.seek_to_first()
            else:
                ends.seek_to_last()


def _scan_around(
    source: Any, failure: Callable[[Exception], StoreError], start: bytes, stop: bytes | None
) -> Iterator[tuple[bytes, bytes]]:
    """LevelDB's own iterators go on behind a block that can't be read, and say so each time."""
    try:
        iterator = source.raw_iterator(verify_checksums=True)
    except FAILURES as error:
        raise failure(error) from None
    with contextlib.closing(iterator) as records:
        with contextlib.suppress(plyvel.Error):
            records.seek(start)
        try:
            while records.valid():
                key: bytes = records.key()
                if stop is not None and key >= stop:
                    return
                yield key, records.value()
                with contextlib.suppress(plyvel.Error):
                    records.next()
        except FAILURES as error:
            raise failure(error) from None


def _lacks(path: str) -> str:
    """Which tables of a tree are missing, in words; empty if none is."""
    missing = missing_tables(path)
    return f"tables are missing: {listed(missing)}" if missing else ""


def create_aside(path: str) -> None:
    """Make an empty LevelDB at `path` so that a loss of power leaves either none or one that opens.

    LevelDB's own creation, cut before its first sync, leaves a directory that it refuses to open.
    """
    aside = path + ".new"
    shutil.rmtree(aside, ignore_errors=True)
    plyvel.DB(aside, create_if_missing=True).close()
    for name in [*(os.path.join(aside, entry) for entry in os.listdir(aside)), aside]:
        sync_path(name)
    os.rename(aside, path)
    sync_path(os.path.dirname(path) or ".")


def open(rest: str, *, block_cache: int, write_buffer: int) -> LevelEngine:
    """The engine for `leveldb:PATH`."""
    return LevelEngine(rest, block_cache=block_cache, write_buffer=write_buffer)
