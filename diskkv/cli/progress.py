"""A line on the terminal that says how far a long task has come."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

INTERVAL = 0.2
BAR = 30


class Progress:
    """Call `tick` often: it looks at the clock, and draws when it is time and somebody can see it."""

    def __init__(self, done: Callable[[], int], total: int | None, keys: Callable[[], int], *, shown: bool) -> None:
        self._done = done
        self._total = total
        self._keys = keys
        self._shown = shown
        self._begun = self._drawn = time.monotonic()

    def tick(self) -> None:
        if not self._shown:
            return
        now = time.monotonic()
        if now - self._drawn >= INTERVAL:
            self._drawn = now
            self._draw(now)

    def finish(self) -> None:
        """The task has ended, one way or the other: the terminal is left in order."""
        if self._shown:
            self._draw(time.monotonic())
            click.echo(err=True)

    def seconds(self) -> float:
        """For how long it has been going on."""
        return time.monotonic() - self._begun

    def _draw(self, now: float) -> None:
        done, keys = self._done(), self._keys()
        spent = max(now - self._begun, 0.001)
        text = f"{keys} keys, {done / 1e6:.1f} MB, {keys / spent:.0f} keys/s, {done / spent / 1e6:.1f} MB/s"
        if self._total:
            part = min(1.0, done / self._total)
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
