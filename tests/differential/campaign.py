"""A whole run: chapters from a seed until the count is reached, differences told once per signature."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .compare import Judge
from .deviations import Deviations
from .runner import Difference, Runner
from .shrink import shrink
from .steps import Step, chapter, save
from .wire import Address, Lost, show_command

CHAPTER = 2000
PROTOCOLS = {"2": (2,), "3": (3,), "both": (2, 3)}


@dataclass
class Finding:
    """A difference, the steps that show it, and where in the run it came up."""

    difference: Difference
    steps: list[Step]
    seed: int
    chapter: int
    place: int

    def text(self, names: tuple[str, str]) -> str:
        listing = "\n".join(f"    {step.lane} {step.mode:5} {show_command(step.argv)}" for step in self.steps[-60:])
        cut = f"    ... {len(self.steps) - 60} steps before\n" if len(self.steps) > 60 else ""
        return (
            f"difference: seed {self.seed}, chapter {self.chapter}, step {self.place}\n{self.difference.text(names)}\n"
            f"  steps that show it (client, mode, command):\n{cut}{listing}"
        )


@dataclass
class Outcome:
    """What a run came to."""

    commands: int = 0
    errors: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    repeated: Counter[tuple[str, ...]] = field(default_factory=Counter)
    listed: Counter[str] = field(default_factory=Counter)
    lost: str = ""

    @property
    def clean(self) -> bool:
        return not self.findings and not self.lost


class Campaign:
    """Settings of a run. `names` are those of the two sides, for what is printed."""

    def __init__(
        self,
        left: Address,
        right: Address,
        *,
        deviations: Deviations,
        names: tuple[str, str] = ("diskkv", "redis"),
        encodings: bool = True,
        resp: str = "both",
        shrink_seconds: float = 60.0,
        most: int = 10,
        keep: Path | None = None,
        tell: Callable[[str], None] = print,
    ) -> None:
        self.names = names
        self.shrink_seconds = shrink_seconds
        self.most = most
        self.keep = keep
        self.tell = tell
        self.runner = Runner(left, right, judge=Judge(encodings=encodings), deviations=deviations, protocols=PROTOCOLS[resp])

    def run(self, seed: int, count: int, groups: Sequence[str], length: int = CHAPTER, first: int = 0) -> Outcome:
        """Play chapters until `count` commands were sent, or `most` different differences were found."""
        outcome = Outcome()
        began, number = time.monotonic(), first
        while self.runner.commands < count and len(outcome.findings) < self.most and not outcome.lost:
            steps = chapter(seed, number, min(length, count), groups)
            self._chapter(outcome, steps, seed, number)
            number += 1
        return self._close(outcome, began)

    def replay(self, steps: list[Step]) -> Outcome:
        """Play these steps once, telling all that differs."""
        outcome, began = Outcome(), time.monotonic()
        self._chapter(outcome, steps, 0, 0)
        return self._close(outcome, began)

    def _close(self, outcome: Outcome, began: float) -> Outcome:
        self.runner.close()
        outcome.commands, outcome.errors, outcome.seconds = self.runner.commands, self.runner.errors, time.monotonic() - began
        outcome.listed = self.runner.deviations.met
        return outcome

    def _chapter(self, outcome: Outcome, steps: list[Step], seed: int, number: int) -> None:
        """Play a chapter. After a difference the rest is played from empty again, so that no echo of it is reported."""
        offset = 0
        while offset < len(steps) and len(outcome.findings) < self.most:
            rest = steps[offset:]
            try:
                difference = next(iter(self.runner.play(rest)), None)
                if difference is None:
                    return
                self._report(outcome, rest, difference, seed, number, offset)
            except (Lost, OSError) as lost:
                outcome.lost = f"seed {seed}, chapter {number}, step {offset}: {lost}"
                return
            offset += difference.place + 1

    def _report(self, outcome: Outcome, rest: list[Step], difference: Difference, seed: int, number: int, offset: int) -> None:
        seen = difference.signature in outcome.repeated
        outcome.repeated[difference.signature] += 1
        if seen:
            return
        sent, failed = self.runner.commands, self.runner.errors
        fewest, shown = shrink(self.runner, rest, difference, self.shrink_seconds)
        self.runner.commands, self.runner.errors = sent, failed
        finding = Finding(shown, fewest, seed, number, offset + difference.place)
        outcome.findings.append(finding)
        self.tell(finding.text(self.names))
        if self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            file = self.keep / f"{seed}-{number}-{finding.place}.jsonl"
            save(file, fewest)
            self.tell(f"  again with: --replay {file}")


def summary(outcome: Outcome) -> str:
    """The end of a run in a few lines."""
    rate = outcome.commands / outcome.seconds if outcome.seconds else 0.0
    lines = [
        f"{outcome.commands} commands, {outcome.errors} error replies, {outcome.seconds:.1f} s ({rate:.0f}/s): "
        f"{len(outcome.findings)} different differences, {sum(outcome.repeated.values())} in all"
    ]
    lines += [f"  {times} x {' | '.join(signature)}" for signature, times in outcome.repeated.most_common()]
    lines += [f"  listed deviation {name}: {times} times" for name, times in sorted(outcome.listed.items())]
    if outcome.lost:
        lines.append(f"  the run ended early: {outcome.lost}")
    return "\n".join(lines)
