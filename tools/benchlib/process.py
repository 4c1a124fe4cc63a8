"""What a running process has cost so far, read from /proc."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time of the process, all its threads, the children it has waited for and those that still run."""
    return sum(_cpu_of(each) for each in _family(pid))


def _cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICK  # utime stime cutime cstime


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _family(int(child))


def resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def io_bytes(pid: int) -> dict[str, int]:
    """Bytes given to write(2) (`wchar`) and bytes that went towards the disk (`write_bytes`)."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    counts = {name: int(value) for name, _, value in (line.partition(": ") for line in lines)}
    return {name: counts[name] for name in ("wchar", "write_bytes")}


def disk_bytes(directory: Path) -> int:
    """Blocks in use below a directory, in bytes; files that go away meanwhile count nothing."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def wait_until_quiet(pid: int, seconds: float = 30.0) -> bool:
    """Wait until the process uses next to no CPU for two seconds; False when it never does in that time.

    Two, because servers put work off: diskkv's checkpoint begins when nothing was written for a second, and gives the space of what
    was flushed back after it.
    """
    deadline = time.monotonic() + seconds
    used, calm = cpu_seconds(pid), 0.0
    while time.monotonic() < deadline:
        time.sleep(0.25)
        now = cpu_seconds(pid)
        calm = calm + 0.25 if now - used <= 2 / TICK else 0.0
        if calm >= 2.0:
            return True
        used = now
    return False


class MemoryWatch:
    """Samples the resident memory of a process in the background; `peak` is the largest seen."""

    def __init__(self, pid: int, interval: float = 0.05) -> None:
        self.pid = pid
        self.peak = 0
        self._interval = interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while not self._done.is_set():
            self.peak = max(self.peak, resident_bytes(self.pid))
            self._done.wait(self._interval)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
