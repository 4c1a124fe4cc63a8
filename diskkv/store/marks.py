"""How far the log was known to be on the disk, in a file beside its segments.

After a crash the last tick of a log that can't be read is either one that was never finished, which nobody was promised, or one that was
there and has been damaged since. The ticks tell of each other (see `log.py`), but not of the last one. So after each sync the place that it
reached is noted here: what the log lacks before that place is damage. The file itself is only put on the disk once a second: after a
`kill -9` the mark is exact, after a loss of power it may be an older one, which is true, too. A mark that can't be read proves nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from diskkv.store.log import Disk

NAME = "synced"
MARK = re.compile(rb"(\d{10} \d{16}) ([0-9a-f]{8})\n")


class Mark:
    """The mark of the log in a directory, for writing. What can't be written is left out: it is no more than a proof."""

    def __init__(self, path: str, disk: Disk) -> None:
        self._name = os.path.join(path, NAME)
        self._disk = disk
        self._lock = threading.Lock()
        self._file = -1
        self._said = (0, 0)
        self._kept = (0, 0)

    def put(self, segment: int, offset: int) -> None:
        """Note that the log is on the disk up to a place. May be called from any thread."""
        place = segment, offset
        with self._lock, contextlib.suppress(OSError):
            if place <= self._said:
                return
            if self._file < 0:
                self._file = self._disk.open(self._name, os.O_WRONLY | os.O_CREAT)
            text = b"%010d %016d" % place
            self._disk.overwrite(self._file, b"%b %08x\n" % (text, crc32(text)))
            self._said = place

    def keep(self) -> None:
        """Put the mark on the disk."""
        with self._lock, contextlib.suppress(OSError):
            if self._file >= 0 and self._kept < self._said:
                self._disk.sync(self._file)
                self._kept = self._said

    def close(self) -> None:
        self.keep()
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1


def read_mark(path: str) -> tuple[int, int]:
    """The segment and the offset up to which the log in a directory was on the disk; 0 and 0 when nothing is known."""
    try:
        with open(os.path.join(path, NAME), "rb") as file:
            found = MARK.fullmatch(file.read(100))
    except OSError:
        return 0, 0
    if found is None or crc32(found[1]) != int(found[2], 16):
        return 0, 0
    segment, offset = map(int, found[1].split())
    return segment, offset
