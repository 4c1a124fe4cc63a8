"""Notices that somebody has deleted tables of a LevelDB that is open.

LevelDB keeps some hundred tables open and opens the others when it wants to look into them. Where one is not there any more, its `Get`
says NotFound, and that is what plyvel takes for a key that is absent: with all tables deleted, 7,429 of 8,572 keys read as absent, where
iterators raised errors. So whoever was told that a key is absent asks here before anybody believes it.

The kernel tells (inotify) which names have gone, before a look-up can find that they have: asking costs one system call a tick.
Most that go are those that a compaction has made superfluous, and the manifest says so. It tells, too, which files are complete, for
`Holding`.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
import threading
from collections.abc import Iterator
from fcntl import ioctl
from termios import FIONREAD

from diskkv.engine.leveldb.holding import Holding
from diskkv.engine.leveldb.manifest import Manifest, Table
from diskkv.engine.leveldb.mending import table_names
from diskkv.errors import Damaged

IN_CLOSE_WRITE, IN_MOVED_FROM, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF = 0x8, 0x40, 0x200, 0x400, 0x800
EVENTS = 64 << 10
NOTHING = bytes(4)

journal = logging.getLogger("diskkv")


class Presence:
    """Watches over the tables in a directory. Its methods may be called from any thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._manifest = Manifest(path)
        self._notices = _watch(path)
        self._holding = Holding(path)
        self._begun = self._notices < 0
        for table in self._manifest.short():
            journal.critical("%(file)s has lost its end: not all of it can be read", {"file": self._file(str(table))})
        self._named: set[int] = set()
        # something has gone, and what could not be found out
        self._unsure = False
        self.missing: list[Table] = []
        # how many were ever found missing
        self.found = 0

    def look(self) -> None:
        """Bring `missing` up to date. Damaged when that can't be done, until it can."""
        try:
            # Half a microsecond, where an attempt to read that finds nothing takes three.
            if self._notices < 0 or (ioctl(self._notices, FIONREAD, NOTHING) == NOTHING and not self._unsure):
                return
        except OSError:
            return
        with self._lock:
            try:
                if self._notices < 0:
                    return
                concerns = False
                for name, complete in _read(self._notices):
                    if complete:
                        self._holding.written(name)
                    else:
                        self._holding.deleted(name)
                        concerns = concerns or self._concerns(name)
                if concerns or self._unsure:
                    self._compare()
            except (OSError, IndexError) as error:
                self._unsure = True
                raise Damaged(f"{self._path}: nobody knows whether tables are missing: {error}") from None

    def let_go(self) -> None:
        """Give the space of deleted files back. Takes as long as that does."""
        with contextlib.suppress(OSError, Damaged):
            if not self._begun:
                self._begun = True
                for name in self._holding.there():
                    with self._lock:
                        self._holding.written(name)
            self.look()
            self._holding.let_go()

    def _compare(self) -> None:
        self.missing = self._manifest.missing()
        self._unsure = False
        for table in self.missing:
            if table.number not in self._named:
                self._named.add(table.number)
                self.found += 1
                journal.critical("%(file)s is missing: somebody has deleted it", {"file": self._file(str(table))})

    def _concerns(self, name: str) -> bool:
        """Whether what has gone under a name may be a table that is in use; without a name, it is the directory."""
        stem = name.partition(".")[0]
        return not name or (stem.isdigit() and int(stem) in self._manifest.live())

    def verify(self, key: bytes) -> None:
        """Damaged if a key that was not found may be in a table that is missing."""
        for table in self.missing:
            if table.low <= key <= table.high and not any(os.path.exists(self._file(name)) for name in table_names(table.number)):
                raise Damaged(f"{self._file(str(table))} is missing")

    def _file(self, name: str) -> str:
        return os.path.join(self._path, name)

    def close(self) -> None:
        """Let go of the handles. A second call does nothing."""
        with self._lock:
            self._manifest.close()
            if self._notices >= 0:
                os.close(self._notices)
                self._notices = -1
                self._holding.close()

    def __del__(self) -> None:
        # LevelDB, too, is closed when nobody holds on to it any more. Not all is there of one that could not be made.
        with contextlib.suppress(AttributeError):
            self.close()


def _read(notices: int) -> Iterator[tuple[str, bool]]:
    """The names that are complete, True, or have gone since this was asked last; the empty one has gone where the kernel tells less."""
    try:
        while data := os.read(notices, EVENTS):
            at = 0
            while at < len(data):
                # watch, mask, cookie, length of the name, and the name with zeros behind it
                mask = int.from_bytes(data[at + 4 : at + 8], sys.byteorder)
                size = int.from_bytes(data[at + 12 : at + 16], sys.byteorder)
                yield os.fsdecode(data[at + 16 : at + 16 + size].rstrip(b"\0")), bool(mask & IN_CLOSE_WRITE)
                at += 16 + size
    except BlockingIOError:
        return


def _watch(path: str) -> int:
    """A handle from which notices of files that are complete and of names that go can be read; -1 where the system has none."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        handle: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if handle < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        told = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF
        if libc.inotify_add_watch(handle, os.fsencode(path), told) < 0:
            number = ctypes.get_errno()
            os.close(handle)
            raise OSError(number, os.strerror(number))
    except (OSError, AttributeError) as error:
        journal.warning(
            "tables that somebody deletes while the store is open may read as absent keys: no notices of that: %(error)s", {"error": error}
        )
        return -1
    return handle
