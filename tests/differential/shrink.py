"""Makes the list of steps that shows a difference short: delta debugging over steps, then over the words of each command."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .runner import Difference, Runner
from .steps import Step
from .wire import Lost

Shows = Callable[[Sequence[Step]], bool]


def shrink(runner: Runner, steps: Sequence[Step], difference: Difference, seconds: float = 60.0) -> tuple[list[Step], Difference]:
    """A short list of steps, played from empty, that ends in a difference of the same signature; and that difference.

    The list given back is the shortest found in the time; if the difference does not come back at all, all steps up to it.
    """
    deadline = time.monotonic() + seconds
    last = difference

    def shows(candidate: Sequence[Step]) -> bool:
        nonlocal last
        try:
            for found in runner.play(candidate, check_every=len(candidate) + 1):
                if found.signature == difference.signature:
                    last = found
                    return True
                if found.fatal:
                    return False
        except (Lost, OSError):
            return False
        return False

    whole = list(steps[: difference.place + 1])
    tails = (list(whole[-size:]) for size in (1, 10, 50, 200, 1000) if size < len(whole))
    start = next((tail for tail in tails if time.monotonic() < deadline and shows(tail)), None) or whole
    if start is whole and not shows(whole):
        return whole, difference
    found = _fewer_steps(start, shows, deadline)
    found = _fewer_words(found, shows, deadline)
    if not shows(found):  # chance or time plays a part: show what was seen first
        return whole, difference
    return found, last


def _fewer_steps(steps: list[Step], shows: Shows, deadline: float) -> list[Step]:
    size = max(1, len(steps) // 2)
    while size >= 1 and time.monotonic() < deadline:
        at, smaller = 0, False
        while at < len(steps) and len(steps) > 1 and time.monotonic() < deadline:
            candidate = steps[:at] + steps[at + size :]
            if candidate and shows(candidate):
                steps, smaller = candidate, True
            else:
                at += size
        if size == 1 and not smaller:
            break
        size = max(1, size // 2) if not smaller or size > 1 else 1
    return steps


def _fewer_words(steps: list[Step], shows: Shows, deadline: float) -> list[Step]:
    """Drop runs of words, then cut long words, as long as the difference stays."""
    for place in range(len(steps)):
        size = max(1, len(steps[place].argv) // 2)
        while size >= 1 and time.monotonic() < deadline:
            at = 1
            while at + size <= len(steps[place].argv) and time.monotonic() < deadline:
                argv = steps[place].argv
                candidate = [*steps]
                candidate[place] = Step(steps[place].lane, steps[place].mode, argv[:at] + argv[at + size :])
                if shows(candidate):
                    steps = candidate
                else:
                    at += 1
            size //= 2
        for at, word in enumerate(steps[place].argv):
            while len(word) > 8 and time.monotonic() < deadline:
                word = word[: len(word) // 2]
                argv = steps[place].argv
                candidate = [*steps]
                candidate[place] = Step(steps[place].lane, steps[place].mode, (*argv[:at], word, *argv[at + 1 :]))
                if not shows(candidate):
                    break
                steps = candidate
    return steps
