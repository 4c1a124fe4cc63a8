"""What commands cost: calls, time, errors, and the slow log."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diskkv.dispatch.latency import Latencies, new_buckets
from diskkv.dispatch.table import Flag
from diskkv.errors import CommandError, ScriptError
from diskkv.replies import Blocked

if TYPE_CHECKING:
    from diskkv.dispatch.packets import Plan
    from diskkv.dispatch.session import Session
    from diskkv.dispatch.table import Command

# As Redis: a slow log entry shows at most so many arguments, and so many bytes of each.
SHOWN_ARGUMENTS = 32
SHOWN_BYTES = 128


class Usage:
    """One command's figures; `nanoseconds` is the time spent inside it, `buckets` the histogram of the calls (see `latency.py`)."""

    __slots__ = ("buckets", "failed", "nanoseconds", "parked", "rejected", "untracked")

    def __init__(self) -> None:
        self.nanoseconds = self.failed = self.rejected = 0
        self.buckets = new_buckets()
        # parked: calls that began to wait, and will be counted when they end; untracked: the histogram when latency-tracking was turned on
        self.parked = 0
        self.untracked: list[int] | None = None

    @property
    def calls(self) -> int:
        """How often the command was run."""
        return sum(self.buckets) - self.parked

    def tracked(self) -> list[int]:
        """The histogram since latency-tracking was turned on."""
        if self.untracked is None:
            return self.buckets
        return [now - then for now, then in zip(self.buckets, self.untracked, strict=True)]


@dataclass(frozen=True, slots=True)
class SlowEntry:
    """One line of SLOWLOG GET."""

    id: int
    at: int
    microseconds: int
    argv: tuple[bytes, ...]
    address: str
    name: bytes


class Stats:
    """All figures since the start or CONFIG RESETSTAT."""

    def __init__(self) -> None:
        self.usage: dict[Command, Usage] = {}
        # by name what `packets.py` knows of commands, which their figures are part of
        self.plans: dict[bytes, Plan] = {}
        self.errors: dict[str, int] = {}
        self.slow: deque[SlowEntry] = deque()
        self.latencies = Latencies()
        # nanoseconds; `note` is called of a command above it. The slow log's own limit, and the latency monitor's, are not below it.
        self.slow_after = 10_000_000
        self.slow_log_after = 10_000_000
        self.slow_limit = 128
        # when the executor began, in ms
        self.started = 0
        self.connections = 0
        self.rejected_connections = 0
        self.evicted_clients = 0
        self._next_slow = 0

    def usage_of(self, command: Command) -> Usage:
        """A command's figures; the executor counts calls and time in them itself."""
        return self.usage.setdefault(command, Usage())

    def note(self, command: Command, usage: Usage, argv: list[bytes], nanoseconds: int, reply: Any, session: Session) -> None:
        """A command has failed or was slow."""
        if isinstance(reply, CommandError):
            usage.failed += 1
            if not (isinstance(reply, ScriptError) and reply.counted):
                self.errors[reply.code] = self.errors.get(reply.code, 0) + 1
        elif reply.__class__ is Blocked and reply.run is None:
            # It will be tried again, and is noted when it ends. (A script that others got BUSY for has been slow already.)
            return
        if nanoseconds > self.slow_log_after:
            self._note_slow(command, argv, nanoseconds, session)
        if self.latencies.threshold:
            self.latencies.add(b"fast-command" if command.flags & Flag.FAST else b"command", nanoseconds // 1_000_000, int(time.time()))

    def refused(self, error: CommandError, command: Command | None) -> None:
        """A command was unknown, or did not get past the gates."""
        if command is not None:
            self.usage_of(command).rejected += 1
        self.errors[error.code] = self.errors.get(error.code, 0) + 1

    def total_calls(self) -> int:
        return sum(usage.calls for usage in self.usage.values())

    def keyed_calls(self) -> int:
        """How many commands were run that name a key."""
        return sum(usage.calls for command, usage in self.usage.items() if command.keys.first)

    def reset(self) -> None:
        """CONFIG RESETSTAT."""
        self.usage.clear()
        self.plans.clear()
        self.errors.clear()
        self.connections = self.rejected_connections = self.evicted_clients = 0

    def set_limits(self, slow_log: int, latency: int) -> None:
        """slowlog-log-slower-than, in microseconds, and latency-monitor-threshold, in milliseconds."""
        self.slow_log_after = slow_log * 1000 if slow_log >= 0 else 1 << 62
        self.latencies.threshold = latency
        self.slow_after = min(self.slow_log_after, latency * 1_000_000 - 1 if latency else 1 << 62)

    def track_latency(self) -> None:
        """latency-tracking was turned on: histograms begin now."""
        for usage in self.usage.values():
            usage.untracked = list(usage.buckets)

    def limit_slow(self, limit: int) -> None:
        """Remember at most so many slow commands."""
        self.slow_limit = limit
        while len(self.slow) > limit:
            self.slow.pop()

    def _note_slow(self, command: Command, argv: list[bytes], nanoseconds: int, session: Session) -> None:
        if not self.slow_limit or command.flags & Flag.SKIP_SLOWLOG:
            return
        if command.flags & Flag.SECRET:
            argv = argv[: command.skip] + [b"(redacted)"] * (len(argv) - command.skip)
        shown = [_shorten(arg) for arg in argv[:SHOWN_ARGUMENTS]]
        if len(argv) > SHOWN_ARGUMENTS:
            shown[-1] = b"... (%d more arguments)" % (len(argv) - SHOWN_ARGUMENTS + 1)
        address = session.front.describe()["addr"]
        entry = SlowEntry(self._next_slow, int(time.time()), nanoseconds // 1000, tuple(shown), address, session.name)
        self._next_slow += 1
        self.slow.appendleft(entry)
        self.limit_slow(self.slow_limit)


def _shorten(arg: bytes) -> bytes:
    return arg if len(arg) <= SHOWN_BYTES else arg[:SHOWN_BYTES] + b"... (%d more bytes)" % (len(arg) - SHOWN_BYTES)
