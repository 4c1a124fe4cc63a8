"""What came of an import or an export."""

from __future__ import annotations

from dataclasses import dataclass, field

# So many of what was left out are named, the others counted.
NAMED = 1000


@dataclass(slots=True)
class Report:
    """Counts, and in words what could not be taken along."""

    keys: int = 0
    expired: int = 0
    filtered: int = 0
    commands: int = 0
    libraries: int = 0
    left_out: list[str] = field(default_factory=list)
    unnamed: int = 0

    def leave_out(self, what: str) -> None:
        """Note something that can't be represented where it should go."""
        if len(self.left_out) < NAMED:
            self.left_out.append(what)
        else:
            self.unnamed += 1
