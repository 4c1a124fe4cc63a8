"""What took long: the latency monitor's events, and each command's histogram.

An event is a `command` or a `fast-command` (as Redis calls them, by the command's flag) that took latency-monitor-threshold milliseconds
or more; or something else that everybody had to wait for: `aof-write` and `aof-fsync-always` are the log being written and, with
appendfsync always, forced to the disk, `expire-cycle` is a round of deleting keys whose time has come (see `delays.py`). Of each the last
samples are kept, one a second at most. What the store does on threads of its own, beside the commands, is no event.

A histogram has a bucket for each power of two nanoseconds: adding to it costs a twentieth of a microsecond, so it is always kept.
Percentiles are taken from it by interpolation: between two powers of two they are estimates.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

KEPT = 160


@dataclass(slots=True)
class Sample:
    """The longest that an event took within one second; `at` is the second."""

    at: int
    milliseconds: int


class Event:
    """The samples of one kind of event, and its longest ever."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self.longest = 0


class Latencies:
    """The latency monitor. `threshold` is in milliseconds, 0 for off."""

    def __init__(self) -> None:
        self.threshold = 0
        self.events: dict[bytes, Event] = {}

    def add(self, name: bytes, milliseconds: int, now: int) -> None:
        """Something took so long. REQUIRES nothing: what is shorter than the threshold is not kept. `now` is in seconds."""
        if not self.threshold or milliseconds < self.threshold:
            return
        event = self.events.setdefault(name, Event())
        event.longest = max(event.longest, milliseconds)
        if event.samples and event.samples[-1].at == now:
            event.samples[-1].milliseconds = max(event.samples[-1].milliseconds, milliseconds)
        else:
            event.samples.append(Sample(now, milliseconds))

    def reset(self, names: Sequence[bytes]) -> int:
        """Forget events, all if none is named; how many there were."""
        chosen = [name for name in names or list(self.events) if name in self.events]
        for name in chosen:
            self.events.pop(name, None)
        return len(chosen)


def new_buckets() -> list[int]:
    """An empty histogram: bucket n counts what took less than 2**n nanoseconds, and not less than half of that."""
    return [0] * 65


def percentile(buckets: Sequence[int], percent: float) -> float:
    """The microseconds that so many of a hundred calls took at most. REQUIRES: there was a call."""
    wanted = max(sum(buckets) * percent / 100, 1)
    seen = 0
    for bits, count in enumerate(buckets):
        if count and seen + count >= wanted:
            high = 1 << bits
            low = high >> 1
            return (low + (high - low) * (wanted - seen) / count) / 1000
        seen += count
    raise ValueError("an empty histogram has no percentiles")


def distribution(buckets: Sequence[int]) -> dict[int, int]:
    """How many calls took at most so many microseconds: cumulative, at the powers of two, without those that add nothing."""
    shown: dict[int, int] = {}
    seen = 0
    total = sum(buckets)
    # Everything below a microsecond or so is one bucket, as in Redis.
    for bits in range(10, len(buckets)):
        upto = sum(buckets[: bits + 1]) if bits == 10 else seen + buckets[bits]
        if upto > seen:
            shown[(1 << bits) // 1000] = upto
        seen = upto
        if seen == total:
            break
    return shown


def sparkline(name: bytes, event: Event, now: int) -> bytes:
    """An event's samples as a picture of characters, four lines high; below each sample, how long ago it was."""
    values = [sample.milliseconds for sample in event.samples]
    low, high = min(values), max(values)
    rows = 4
    heights = [(value - low) * (rows * 2 - 1) // (high - low) if high > low else 0 for value in values]
    lines = [f"{name.decode('utf-8', 'replace')} - high {high} ms, low {low} ms (all time high {event.longest} ms)", "-" * 80]
    for row in range(rows - 1, -1, -1):
        cells = []
        for height in heights:
            level = height - row * 2
            cells.append("#" if level >= 1 else "_" if level == 0 or (row == 0 and level < 0) else "|" if level > 1 else " ")
        lines.append("".join(cells))
    lines.append("")
    ages = [_age(max(now - sample.at, 0)) for sample in event.samples]
    for place in range(max(map(len, ages))):
        lines.append("".join(age[place] if place < len(age) else " " for age in ages))
    return ("\n".join(lines) + "\n").encode()


def _age(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
