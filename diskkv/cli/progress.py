"""A line on the terminal that says how far a long task has come, and what Ctrl-C does to such a task."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, TypeVar

import click

INTERVAL = 0.2
BAR = 30
SIGNALS = (signal.SIGINT, signal.SIGTERM)

T = TypeVar("T")


class Progress:
    """Around a task, which calls `tick` often: that looks at the clock, and draws when it is time and somebody can see it.

    SIGINT and SIGTERM take effect in `tick` alone, where the task can be given up without harm to a store: it raises KeyboardInterrupt
    there. `stopped` says what became of it then, and the exit status is a shell's for the signal. The second signal ends the process as it
    is, which every file is made to survive.
    """

    def __init__(
        self, part: Callable[[], float | None], done: Callable[[], int] | None, count: Callable[[], int], *, noun: str = "keys",
        stopped: str, quiet: bool = False,
    ) -> None:  # fmt: skip
        """`part` is how much of the task is done, None when nobody knows; `done` how many bytes, if that can be told, and `count` how many
        of what `noun` names."""
        self._part = part
        self._done = done
        self._count = count
        self._noun = noun
        self._stopped = stopped
        self._shown = not quiet and sys.stderr.isatty()
        self._begun = self._drawn = time.monotonic()
        self._before: dict[signal.Signals, Any] = {}
        self._signal = 0

    def __enter__(self) -> Progress:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._interrupted)
        return self

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, action in self._before.items():
            signal.signal(number, action)
        if self._shown:
            self._draw(time.monotonic())
            click.echo(err=True)
        if kind is KeyboardInterrupt:
            click.echo(f"interrupted: {self._stopped}", err=True)
            sys.exit(128 + (self._signal or signal.SIGINT))

    def tick(self) -> None:
        if self._signal:
            raise KeyboardInterrupt
        self.look()

    def look(self) -> None:
        """As `tick` where the task can't be given up."""
        if not self._shown:
            return
        now = time.monotonic()
        if now - self._drawn >= INTERVAL:
            self._drawn = now
            self._draw(now)

    def over(self, parts: Iterator[T]) -> Iterator[T]:
        """Parts of something large that has to be done whole, each looked at when it is taken."""
        for part in parts:
            self.look()
            yield part

    def seconds(self) -> float:
        """For how long it has been going on."""
        return time.monotonic() - self._begun

    def _draw(self, now: float) -> None:
        part, count = self._part(), self._count()
        spent = max(now - self._begun, 0.001)
        text = f"{count:,} {self._noun}, {count / spent:,.0f}/s"
        if self._done is not None:
            done = self._done()
            text += f", {done / 1e6:,.1f} MB, {done / spent / 1e6:,.1f} MB/s"
        if part is not None:
            part = min(1.0, part)
            left = spent / part - spent if part > 0.001 else None
            filled = int(part * BAR)
            text = f"[{'#' * filled}{'-' * (BAR - filled)}] {100 * part:3.0f} %  {text}"
            if left is not None:
                text += f", {duration(left)} left"
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
