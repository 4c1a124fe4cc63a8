"""SAVE and BGSAVE: a dump.rdb beside the store, for Redis' tools and for other machines. The store itself has no need of it.

What is written is the state of a checkpoint made for it, read from a snapshot of the engine: so it is consistent, takes little memory
whatever the size, and clients are served meanwhile. In the background it works in slices of SLICE seconds, after each of which it
gives up the interpreter: a client waits for at most one of these. The file takes its name when it is complete and on the disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Protocol

from diskkv.clock import monotonic
from diskkv.errors import BadDump, CommandError, StoreError
from diskkv.rdb.content import Key, Sizes
from diskkv.rdb.writer import FileWriter
from diskkv.store.directory import sync_directory
from diskkv.store.store import Store
from diskkv.transfer.reading import Snapshot
from diskkv.transfer.remarks import remarks

journal = logging.getLogger("diskkv")

SLICE = 0.0003
REST = 0.0001
# How long after a failure the rules have no say.
RETRY_SECONDS = 5
# While a tick is open no checkpoint can begin; it is soon over.
TICK_SECONDS = 0.001


class Options(Protocol):
    """The settings: dbfilename, rdbcompression, rdbchecksum, save."""

    def __getitem__(self, name: str) -> Any: ...


class Aborted(Exception):
    """The store is being closed."""


class Saver:
    """Writes one store's dump file. Its methods require the store's lock."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._slice_ends = 0.0
        self.saves = 0
        self.saved_at = store.clock()
        self.tried_at = 0
        self.failed = False
        self.last_seconds = -1
        # of the save that is going on in the background
        self.begun: int | None = None
        self.done_keys = 0
        self.all_keys = 0
        # called again and again while SAVE keeps everybody waiting
        self.pulse: Callable[[], None] = lambda: None
        self._mark = 0

    def attach(self) -> None:
        """Have the store see to it that rules are obeyed, and that saving ends before the store does."""
        self._store.before_close.append(self.stop)
        self._store.chores.append(self.look_at_rules)

    @property
    def running(self) -> bool:
        """Whether a save is going on in the background."""
        return self._thread is not None

    def changes(self) -> int:
        """How much was changed since the last save."""
        log = self._store.log
        return self._store.writer.recorded + len(log.parts) + log.merged - self._mark

    def rules(self) -> list[tuple[int, int]]:
        """When to save: after so many seconds, if so much was changed."""
        words = self._options["save"].split()
        return list(zip(map(int, words[::2]), map(int, words[1::2]), strict=True))

    def look_at_rules(self) -> None:
        """Begin a save in the background if a rule says so. REQUIRES: no tick is open."""
        if not self._options["save"] or self._thread is not None:
            return
        now = self._store.clock()
        if self.failed and now - self.tried_at < 1000 * RETRY_SECONDS:
            return
        changes = self.changes()
        for seconds, least in self.rules():
            if changes >= least and now - self.saved_at >= 1000 * seconds:
                journal.info("%(changes)d changes in %(seconds)d seconds: saving", {"changes": least, "seconds": seconds})
                with contextlib.suppress(CommandError):
                    self.save_in_background()
                return

    def save(self) -> None:
        """Write the file now. The lock is given up only until the checkpoint has landed. CommandError when that fails."""
        if self._thread is not None:
            raise CommandError("Background save already in progress")
        path = self._path()
        self.tried_at = self._store.clock()
        try:
            self._store.checkpoint()
            mark = self._store.writer.recorded
            snapshot = Snapshot(self._store)
            try:
                self._write(path, snapshot, self.pulse)
            finally:
                snapshot.close()
        except (StoreError, OSError, BadDump) as error:
            self.failed = True
            journal.error("saving failed: %(error)s", {"error": error})
            raise CommandError("saving failed, see the server's log") from None
        self._saved(mark, self.tried_at)

    def save_in_background(self) -> None:
        """Begin to write the file. CommandError when that is already going on."""
        if self._thread is not None:
            raise CommandError("Background save already in progress")
        path = self._path()
        self.begun = self.tried_at = self._store.clock()
        self.done_keys = self.all_keys = 0
        self._thread = threading.Thread(target=self._run, args=(path,), name="diskkv-saver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give up what is going on, for good; its file goes. Called without the lock."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            # The store is about to close: the checkpoint that is saved is waited for.
            with self._store.lock:
                self._store.writer.awaited += 1
            thread.join()
            with self._store.lock:
                self._store.writer.awaited -= 1

    def _path(self) -> str:
        if self._store.path is None:
            raise CommandError("the store is in memory alone: there is no directory to save in")
        return os.path.join(self._store.path, self._options["dbfilename"])

    def _saved(self, mark: int, at: int) -> None:
        self._mark = mark
        self.saved_at = at
        self.saves += 1
        self.failed = False

    # -- the thread; nothing here holds the lock but where it says so

    def _run(self, path: str) -> None:
        store = self._store
        started = monotonic()
        snapshot = None
        try:
            mark, at, snapshot = self._begin()
            self._write(path, snapshot, self._pause)
        except (StoreError, OSError, BadDump, Aborted) as error:
            with store.lock:
                self.failed = True
                self._end(started)
            if not isinstance(error, Aborted):
                journal.error("saving in the background failed: %(error)s", {"error": error})
        except Exception:
            with store.lock:
                self.failed = True
                self._end(started)
            journal.exception("internal error while saving in the background")
        else:
            with store.lock:
                self._saved(mark, at)
                self._end(started)
            journal.info("saved %(keys)d keys in the background", {"keys": self.done_keys})
        finally:
            if snapshot is not None:
                snapshot.close()

    def _end(self, started: float) -> None:
        self.last_seconds = int(monotonic() - started)
        self._thread = None
        self.begun = None

    def _begin(self) -> tuple[int, int, Snapshot]:
        """Have a checkpoint made, and take a snapshot of it; how much had been changed by then, and when that was."""
        store = self._store
        while True:
            with store.lock:
                if self._may_freeze():
                    store.writer.finish(hurried=False)
                # The lock was free meanwhile.
                if self._may_freeze():
                    mark, at = store.writer.recorded, store.clock()
                    store.writer.freeze()
                    store.writer.finish(hurried=False)
                    if store.writer.error is not None:
                        raise StoreError(f"the checkpoint failed: {store.writer.error}")
                    snapshot = Snapshot(store)
                    self.all_keys = snapshot.keys()
                    return mark, at, snapshot
            if self._stop.wait(TICK_SECONDS):
                raise Aborted

    def _may_freeze(self) -> bool:
        store = self._store
        return not (store.log.parts or store.held or store.recovering)

    def _pause(self) -> None:
        now = monotonic()
        if now < self._slice_ends:
            return
        if self._stop.wait(REST):
            raise Aborted
        self._slice_ends = monotonic() + SLICE

    def _write(self, path: str, snapshot: Snapshot, pause: Callable[[], None]) -> None:
        aside = f"{path}.{os.getpid()}.part"
        try:
            with open(aside, "wb") as file:
                writer = FileWriter(file.write, packing=self._options["rdbcompression"], checksum=self._options["rdbchecksum"], pause=pause)
                writer.begin(remarks())
                for item in snapshot.items():
                    if isinstance(item, Key):
                        writer.key(item)
                        self.done_keys += 1
                        pause()
                    elif isinstance(item, Sizes):
                        writer.database(item.db, item.keys, item.expiring)
                    else:
                        writer.library(item.code)
                header = writer.end()
                file.seek(0)
                file.write(header)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
            sync_directory(os.path.dirname(path) or ".")
        finally:
            with contextlib.suppress(OSError):
                os.unlink(aside)
