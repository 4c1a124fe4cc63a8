"""Time, handed in: the only module that asks the system what time it is.

A clock is any callable that returns the current time as integer milliseconds since the epoch. Tests hand in a `ManualClock`, so
that no test of expiry sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]

monotonic = time.monotonic
perf_ns = time.perf_counter_ns
sleep = time.sleep


def system_clock() -> int:
    """Milliseconds since the epoch, by the wall clock."""
    return time.time_ns() // 1_000_000


def microseconds() -> int:
    """Microseconds since the epoch, by the wall clock (TIME)."""
    return time.time_ns() // 1000


class ManualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, ms: int) -> int:
        """Move on by `ms` and return the new time."""
        self.now += ms
        return self.now
