"""Lines of the report that a client can cause as often as it likes: reading one damaged key in a loop would fill the disk with them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diskkv.store.store import Store

# So many of a kind are reported in so many milliseconds; of the others, how many they were.
MOST = 20
SPAN = 10_000

journal = logging.getLogger("diskkv")


class Complaints:
    """Reports of one store. Its methods require the store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # since when the present span runs; kind -> how many there were in it
        self._since = 0
        self._seen: dict[str, int] = {}
        store.chores.append(self._tell)

    def make(self, kind: str, details: dict[str, object], *, level: int = logging.ERROR, failure: Exception | None = None) -> None:
        """Report something, unless there were too many of its kind lately."""
        self._tell()
        if not self._seen:
            self._since = self._store.clock()
        seen = self._seen[kind] = self._seen.get(kind, 0) + 1
        if seen <= MOST:
            journal.log(level, kind, details, exc_info=failure)

    def _tell(self) -> None:
        """End the span when its time is over: say what was left out."""
        if self._seen and not 0 <= self._store.clock() - self._since < SPAN:
            self.end()

    def end(self) -> None:
        """Say what was left out so far."""
        for kind, seen in self._seen.items():
            if seen > MOST:
                journal.error("%(count)d more reports of this kind were left out: %(kind)s", {"count": seen - MOST, "kind": kind})
        self._seen = {}
