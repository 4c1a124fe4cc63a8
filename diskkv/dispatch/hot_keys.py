"""HOTKEYS: which keys take the most time, and the most bytes of requests and replies.

While nobody asks it costs nothing; while somebody does it stands with the other observers. A command's time and bytes are shared equally
among its keys. What a script calls is its caller's, whose keys were named; what EXEC runs is counted command by command. In Redis the
time is that of the processor; here it is that of the command, which is the same but where it waited for the disk. The last reply of a
command that waited counts for the turn in which it was served.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

from diskkv.dispatch.positions import NoKeys, key_positions
from diskkv.dispatch.reply_sizes import encoded_size
from diskkv.lib.heavy import HeavyHitters

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session
    from diskkv.dispatch.table import Command

# For each key that is asked for so many are counted, as in Redis.
PLACES = 100


class Watch:
    """One collection, from START on: of `count` keys by time, by bytes, or both, for `duration` ms (0 for any time), of one command in
    `ratio`."""

    __slots__ = (
        "active", "by_bytes", "by_time", "bytes", "count", "duration", "kernel", "microseconds", "ratio", "sampled", "started", "user",
    )  # fmt: skip

    def __init__(self, now: int, count: int, duration: int, ratio: int, *, time: bool, traffic: bool) -> None:
        self.count = count
        self.duration = duration
        self.ratio = ratio
        self.started = now
        self.active = True
        self.by_time = HeavyHitters(count * PLACES) if time else None
        self.by_bytes = HeavyHitters(count * PLACES) if traffic else None
        # of all commands with keys; and the bytes of those that were sampled
        self.microseconds = self.bytes = self.sampled = 0
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.user, self.kernel = used.ru_utime, used.ru_stime

    def look(self, now: int) -> bool:
        """Whether it goes on."""
        if self.active and self.duration and now - self.started >= self.duration:
            self.active = False
        return self.active

    def stop(self, now: int) -> None:
        """STOP: what was found stays."""
        self.active = False
        self.duration = now - self.started

    def add(self, keys: list[bytes], microseconds: int, size: int, *, sampled: bool) -> None:
        """A command with these keys was run."""
        self.microseconds += microseconds
        self.bytes += size
        if not sampled:
            return
        for key in keys:
            if self.by_time is not None:
                self.by_time.add(key, microseconds // len(keys))
            if self.by_bytes is not None:
                self.by_bytes.add(key, size // len(keys))
                self.sampled += size // len(keys)

    def told(self, now: int) -> dict[bytes, Any]:
        """GET."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        found: dict[bytes, Any] = {
            b"tracking-active": int(self.active),
            b"sample-ratio": self.ratio,
            b"selected-slots": [[0, 16383]],
            b"all-commands-all-slots-us": self.microseconds,
            b"net-bytes-all-commands-all-slots": self.bytes,
            b"collection-start-time-unix-ms": self.started,
            b"collection-duration-ms": now - self.started if self.active else self.duration,
        }
        if self.by_time is not None:
            found[b"total-cpu-time-user-ms"] = int((used.ru_utime - self.user) * 1000)
            found[b"total-cpu-time-sys-ms"] = int((used.ru_stime - self.kernel) * 1000)
        if self.by_bytes is not None:
            found[b"total-net-bytes"] = self.sampled
        for name, hitters in ((b"by-cpu-time-us", self.by_time), (b"by-net-bytes", self.by_bytes)):
            if hitters is not None:
                found[name] = [item for pair in hitters.heaviest(self.count) for item in pair]
        return found


class HotKeys:
    """The collection that goes on, or the last one."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.watch: Watch | None = None

    @property
    def on(self) -> bool:
        """Whether one goes on."""
        return self.watch is not None and self.watch.active

    def set(self, watch: Watch | None) -> None:
        """Begin one, or forget the last."""
        self.watch = watch
        self._executor.observers.arrange()

    def latest(self, now: int) -> Watch | None:
        """The one that goes on, or the last one; None when there is none."""
        if self.watch is not None and not self.watch.look(now):
            self._executor.observers.arrange()
        return self.watch

    def note(self, session: Session, command: Command, argv: list[bytes], nanoseconds: int, reply: Any) -> None:
        """A command was run."""
        watch = self.latest(session.now)
        if watch is None or not watch.active or session.script:
            return
        try:
            keys = [argv[position] for position in key_positions(command, argv)]
        except NoKeys:
            return
        if keys:
            size = encoded_size(argv, session.protocol) + encoded_size(reply, session.protocol)
            sampled = watch.ratio == 1 or session.random.random() * watch.ratio < 1
            watch.add(keys, nanoseconds // 1000, size, sampled=sampled)
