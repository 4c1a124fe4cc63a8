"""What large objects do ahead of a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskkv.clock import perf_ns

if TYPE_CHECKING:
    from diskkv.store.store import Store
    from diskkv.store.value import Value

# Before a checkpoint begins large objects do ahead, for so many ns at the end of each tick, what they would do then while nobody is served.
READYING = 3_000_000


class Readying:
    """How many of the large objects that have changed are ready for the next checkpoint."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._large: list[Value] = []
        self._at = 0

    def forget(self) -> None:
        """A checkpoint has taken them."""
        self._large, self._at = [], 0

    def go_on(self, commands: int = 0) -> bool:
        """A checkpoint is to begin: have objects make themselves ready for it, but not for long. Whether all of them are.

        Between two calls there were so many commands: twice as many objects at least, so it comes to an end. REQUIRES: the store's lock.
        """
        large = self._store.large
        if large is not self._large:
            self._large, self._at = large, 0
        at = self._at
        least, until = at + 2 * commands, perf_ns() + READYING
        while at < len(large):
            value = large[at]
            at += 1
            if value.linked:
                value.ready()
            if at > least and perf_ns() > until:
                break
        self._at = at
        return at >= len(large)
