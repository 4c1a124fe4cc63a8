"""What may not be exceeded: when there is no room, commands that may add something are refused, and all others go on.

The disk: `max-disk-size` bounds the tree and the log together. They are measured once a second, off the loop, and what is logged since
counts too; writers overrun the limit by about what they write in a second. Above it the engine is told to give back what deletions left,
once these are in it; below it again, writers go on by themselves. Memory: a `maxmemory` below the least with which anything can be done.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from diskkv.dispatch.table import Flag
from diskkv.errors import DiskQuota, OutOfMemory
from diskkv.lib.directories import bytes_in

if TYPE_CHECKING:
    from diskkv.dispatch.session import Session
    from diskkv.dispatch.table import Command
    from diskkv.store.store import Store

journal = logging.getLogger("diskkv")

# Commands by which a client leaves MULTI, which may always be done.
LEAVING = frozenset({"discard", "quit", "reset"})
INTERVAL = 1000
# So often, in ms, everything is compacted while there is no room.
COMPACTING = 10_000


class Quota:
    """One store's room. Methods require the store's lock unless they say otherwise."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: bytes, 0 for no limit; and what was measured last
        self.limit = 0
        self.measured = 0
        self.over = False
        #: maxmemory is so small that nothing may be added
        self.no_memory = False
        self._log_then = 0
        self._due = 0
        self._measuring = False
        self._compacted = -1
        self._compact_due = 0

    @property
    def starved(self) -> bool:
        """Whether nothing may be added."""
        return self.over or self.no_memory

    @property
    def used(self) -> int:
        """Bytes of disk, as far as is known; 0 unless there is a limit."""
        return self.measured + max(0, self._store.log.written - self._log_then) if self.limit else 0

    def refusal(self) -> OutOfMemory:
        """What is answered when nothing may be added."""
        return OutOfMemory() if self.no_memory else DiskQuota()

    def set_limit(self, limit: int) -> None:
        """Have another limit, from now on."""
        self.limit = limit if self._store.path is not None else 0
        if self.limit and not self._measuring:
            self._take(*self._sizes())
        self._judge()

    def chore(self) -> None:
        """Now and then: measure, and judge."""
        if not self.limit:
            return
        now = self._store.clock()
        if not self._measuring and now >= self._due:
            self._due = now + INTERVAL
            self._measuring = True
            self._store.writer.undisturbed(self._measure)
        self._judge()
        if self.over and now >= self._compact_due and self._settled():
            self._compact_due = now + COMPACTING
            self._compacted = self._store.log.written
            self._store.writer.undisturbed(self._store.writer.reclaimer.compact_all)

    def _judge(self) -> None:
        over = 0 < self.limit < self.used
        if over != self.over:
            self.over = over
            if over:
                journal.warning(
                    "the store takes %(bytes)d bytes, max-disk-size is %(limit)d: nothing may be added",
                    {"bytes": self.used, "limit": self.limit},
                )
            else:
                journal.warning("the store takes %(bytes)d bytes, less than max-disk-size: writing goes on", {"bytes": self.used})

    def _settled(self) -> bool:
        """Whether all that was deleted is so in the engine, and something may have been since it was last compacted."""
        writer = self._store.writer
        return not writer.active and not writer.statistics().pending and self._store.log.written != self._compacted

    # -- on the writer's thread, without the lock

    def _measure(self) -> None:
        try:
            found = self._sizes()
        except OSError as error:
            journal.warning("can't measure the store: %(error)s", {"error": error})
        else:
            with self._store.lock:
                self._take(*found)
        finally:
            self._measuring = False

    def _sizes(self) -> tuple[int, int]:
        """How much of the log had been written, and how much the tree and the log take. May be called without the lock."""
        store = self._store
        assert store.path is not None
        written = store.log.written
        return written, store.engine.statistics().get("disk_bytes", 0) + bytes_in(os.path.join(store.path, "log"))

    def _take(self, written: int, size: int) -> None:
        self._log_then, self.measured = written, size


def takes_memory(session: Session, command: Command) -> bool:
    """Whether a command may add to what there is, if only to a queue."""
    if command.flags & Flag.DENYOOM:
        return True
    queue = session.queue
    if queue is None:
        return False
    if command.name == "exec":
        return any(queued.flags & Flag.DENYOOM for queued, _ in queue)
    return command.name not in LEAVING
