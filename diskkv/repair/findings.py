"""What a repair has saved, and what not."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """Counts, and in words what is not as it was. Nothing that was not verified counts as saved."""

    # keys that are whole as of the last checkpoint, those of which parts are missing, those that are gone
    whole: int = 0
    partial: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    # keys that the store has counted, and whose very names can't be read
    unnamed: int = 0
    # keys that were come to, of about so many
    seen: int = 0
    expected: int = 0
    # ticks of the log that were done again; those that were there and left out
    ticks: int = 0
    left_out: int = 0
    # about files
    damage: list[str] = field(default_factory=list)

    def complete(self) -> bool:
        """Whether everything was saved."""
        return not (self.partial or self.lost or self.unnamed or self.left_out or self.damage)
