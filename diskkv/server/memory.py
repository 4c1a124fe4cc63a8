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
# So much growth since the last time, or so much given up, is worth a trim: each is then short.
WORTH = 16 << 20
# What had made the process grow may still have been in use then, so one more follows after so many looks.
AGAIN = 5


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
        self._most = 0
        self._looks = 0

    def due(self, used: int) -> bool:
        """Whether enough has gathered since the last trim. To be asked once a second; `used` is what the store has in use."""
        if self._trim is None:
            return False
        self._most = max(self._most, used)
        if resident() > self._from or used < self._most - WORTH:
            self._most = used
            self._looks = AGAIN
            return True
        self._looks = max(0, self._looks - 1)
        return self._looks == 1

    def trim(self) -> None:
        """Give back what is free."""
        if self._trim is not None:
            self._trim(0)
        self._from = resident() + WORTH
