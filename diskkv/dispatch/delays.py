"""What else but commands everybody has to wait for, told to the latency monitor: the log being written, and keys being expired.

Nothing is timed while the monitor is off: only then the log's disk is a `TimedDisk`, and somebody is told by the expiry index.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from diskkv.clock import perf_ns
from diskkv.dispatch.latency import Latencies
from diskkv.store.log import Disk, NullLog
from diskkv.store.store import Store


class TimedDisk(Disk):
    """A disk of which the monitor hears how long it takes."""

    def __init__(self, disk: Disk, told: Callable[[bytes, int], None]) -> None:
        self.disk = disk
        self._told = told

    def open(self, name: str, flags: int) -> int:
        return self.disk.open(name, flags)

    def write(self, handle: int, data: bytes) -> int:
        began = perf_ns()
        written = self.disk.write(handle, data)
        self._told(b"aof-write", perf_ns() - began)
        return written

    def sync(self, handle: int) -> None:
        # On a thread of its own, beside the commands.
        self.disk.sync(handle)

    def sync_now(self, handle: int) -> None:
        began = perf_ns()
        self.disk.sync_now(handle)
        self._told(b"aof-fsync-always", perf_ns() - began)

    def truncate(self, handle: int, size: int) -> None:
        self.disk.truncate(handle, size)

    def reserve(self, handle: int, size: int) -> None:
        self.disk.reserve(handle, size)


def watch_delays(store: Store, latencies: Latencies) -> None:
    """Begin or cease to time things, by the monitor's threshold. REQUIRES: the lock, or that nobody else has the store yet."""

    def told(name: bytes, nanoseconds: int) -> None:
        latencies.add(name, nanoseconds // 1_000_000, store.clock() // 1000)

    log: Any = store.log
    on = latencies.threshold > 0
    store.expiry.told = partial(told, b"expire-cycle") if on else None
    if isinstance(log, NullLog):
        return
    if on and not isinstance(log.disk, TimedDisk):
        log.disk = TimedDisk(log.disk, told)
    elif not on and isinstance(log.disk, TimedDisk):
        log.disk = log.disk.disk
