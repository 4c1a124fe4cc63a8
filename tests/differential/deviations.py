"""The differences that are known and have a reason: `data/deviations.tsv`, whose header comment describes the columns."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .compare import Argv
from .servers import ROOT
from .wire import Reply, show, show_command

FILE = ROOT / "data" / "deviations.tsv"
COLUMNS = ("id", "command", "condition", "diskkv", "redis", "reason")
SAME_NUMBERS = "@same-numbers"


class BadDeviation(Exception):
    """A line of the file that is not in its format."""


@dataclass(frozen=True)
class Deviation:
    id: str
    command: re.Pattern[str]
    condition: str
    diskkv: re.Pattern[str]
    redis: re.Pattern[str]
    reason: str

    def covers(self, argv: Argv, left: Reply, right: Reply) -> bool:
        line = show_command(argv, limit=1000)
        if not any(self.command.fullmatch(name) for name in _names(argv)):
            return False
        if self.condition == SAME_NUMBERS:
            if not same_numbers(left, right):
                return False
        elif self.condition != "-" and not re.search(self.condition, line):
            return False
        return bool(self.diskkv.fullmatch(show(left, 10_000)) and self.redis.fullmatch(show(right, 10_000)))


def _names(argv: Argv) -> list[str]:
    words = [word.decode("latin-1").upper() for word in argv[:2]]
    return [words[0], " ".join(words)] if words else [""]


def same_numbers(left: Reply, right: Reply) -> bool:
    """Whether two replies are equal when every text that is a number is read as one (0.1 and 0.10000000000000001 are)."""
    if left == right:
        return True
    if left[0] != right[0] or left[1] is None or right[1] is None:
        return False
    if left[0] == "%":
        return len(left[1]) == len(right[1]) and all(
            same_numbers(a, c) and same_numbers(b, d) for (a, b), (c, d) in zip(left[1], right[1], strict=True)
        )
    if left[0] in "*~>":
        return len(left[1]) == len(right[1]) and all(same_numbers(a, b) for a, b in zip(left[1], right[1], strict=True))
    try:
        return float(left[1]) == float(right[1])
    except ValueError:
        return False


class Deviations:
    """The listed differences, and how often each was met."""

    def __init__(self, listed: list[Deviation]) -> None:
        self.listed = listed
        self.met: Counter[str] = Counter()

    def cover(self, argv: Argv, left: Reply, right: Reply) -> bool:
        """Whether some line covers this pair of replies (diskkv's, Redis'); counts it."""
        for deviation in self.listed:
            if deviation.covers(argv, left, right):
                self.met[deviation.id] += 1
                return True
        return False


def load(path: Path = FILE) -> Deviations:
    """Read the file; `BadDeviation` names the line that cannot be read."""
    listed: list[Deviation] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        cells = line.split("\t")
        if not line.strip() or line.startswith("#") or tuple(cells) == COLUMNS:
            continue
        if len(cells) != len(COLUMNS) or not all(cells):
            raise BadDeviation(f"{path}:{number}: {len(COLUMNS)} columns, none empty: {', '.join(COLUMNS)}")
        try:
            command, diskkv, redis = (re.compile(".*" if cells[place] == "*" else cells[place], re.DOTALL) for place in (1, 3, 4))
        except re.error as error:
            raise BadDeviation(f"{path}:{number}: {error}") from error
        listed.append(Deviation(cells[0], command, cells[2], diskkv, redis, cells[5]))
    return Deviations(listed)
