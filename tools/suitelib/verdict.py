"""Weighs what the two servers made of the suite.

What passes on redis-server and not on diskkv must stand in `data/deviations.tsv`, in a line whose condition is `@suite`, or
`@suite-7.0` for the suite of that version alone: its command is a regular expression for the test as `unit: name`, and its reason says
why. The columns of the replies are not used (`*`).
"""

from __future__ import annotations

from differential import deviations

from .units import OK, Outcome

CONDITION = "@suite"


class Verdict:
    """The sum over all units of the suite of a version, such as `7.0`."""

    def __init__(self, version: str) -> None:
        self.listed = [one for one in deviations.load().listed if one.condition in (CONDITION, f"{CONDITION}-{version}")]
        self.judged = 0
        self.passed = 0
        self.unlisted: list[str] = []
        self.excused: list[str] = []
        self.met: set[str] = set()
        self.needless: list[str] = []
        self.rows: list[tuple[str, int, int, int, int]] = []

    def weigh(self, unit: str, expected: Outcome, found: Outcome, *, words: bool) -> str:
        """Compare a unit's outcomes; a report of it in words."""
        lines = []
        names = [name for name, result in expected.results.items() if result == OK]
        excused = 0
        passed = 0
        for name in names:
            test = f"{unit}: {name}"
            reasons = [one for one in self.listed if one.command.fullmatch(test)]
            result = found.results.get(name, "not reached")
            if result == OK:
                passed += 1
                self.needless += [f"{one.id}: {test}" for one in reasons]
                continue
            self.met |= {one.id for one in reasons}
            if reasons:
                excused += 1
                self.excused.append(f"{test} [{reasons[0].id}]")
                continue
            self.unlisted.append(test)
            said = found.words.get(name, "")
            lines.append(f"  {result}: {name}" + (f"\n      {said}" if words and said else ""))
        lines += [f"  outside of a test: {text}" for text in found.broken]
        self.judged += len(names)
        self.passed += passed
        self.rows.append((unit, len(names), passed, excused, len(names) - passed - excused))
        return "\n".join([f"{unit}: {passed} of {len(names)} pass, {excused} fail as listed", *lines])

    @property
    def clean(self) -> bool:
        """Whether whatever fails is listed, and whatever is listed fails."""
        return not self.unlisted and not self.needless

    def summary(self, *, everything: bool) -> str:
        """The table of all units, and what is wrong with the list."""
        width = max((len(row[0]) for row in self.rows), default=4)
        lines = ["", f"{'unit':<{width}}  redis  diskkv  listed  unlisted"]
        lines += [f"{unit:<{width}} {there:6} {here:7} {excused:7} {rest:9}" for unit, there, here, excused, rest in self.rows]
        share = 100 * self.passed / self.judged if self.judged else 100.0
        lines.append(f"{self.passed} of the {self.judged} tests that redis-server passes: {share:.2f} %")
        lines += [f"fails and is not listed: {test}" for test in self.unlisted]
        lines += [f"is listed and passes: {test}" for test in self.needless]
        if everything:
            lines += [f"is listed and was not met: {one.id}" for one in self.listed if one.id not in self.met]
        return "\n".join(lines)
