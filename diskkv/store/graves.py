"""What is dead, and whose memory is freed little by little."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diskkv.store.store import Store
    from diskkv.store.value import Value


# How many dead values one round frees at most, if each is small: with one at a time, a client that replaced strings of 100 kB at full
# speed was 700 MB ahead of the keeper.
ROUND = 16


class Graveyard:
    """The dead in order; the keeper frees them."""

    def __init__(self) -> None:
        self._dead: deque[Value | DeadDatabase] = deque()
        self.freed = 0
        # somebody waits for it: the keeper is not to rest before all is free
        self.urgent = False

    def __len__(self) -> int:
        """How many are still to be freed."""
        return len(self._dead)

    def add(self, dead: Value | DeadDatabase) -> None:
        self._dead.append(dead)

    def work(self, steps: int) -> bool:
        """Free some, of each about `steps` pieces; whether there was anything to do. Called without the store's lock."""
        for done in range(ROUND):
            if not self._dead:
                return done > 0
            while not (free := self._dead[0].shed(steps)):
                if not self.urgent:
                    break
            if not free:
                break
            self._dead.popleft()
            self.freed += 1
        return True

    def forget_databases(self) -> None:
        """The store is being read anew: what databases had is in no cache any more."""
        for dead in list(self._dead):
            if isinstance(dead, DeadDatabase):
                dead.clear()


class DeadDatabase:
    """The resident objects of a flushed database, freed a few at a time."""

    def __init__(self, store: Store, objects: dict[bytes, Value]) -> None:
        self._store = store
        self._objects = objects

    def clear(self) -> None:
        """Drop them all: the cache has forgotten them."""
        self._objects = {}

    def shed(self, count: int) -> bool:
        """Free about `count` of them; True when none are left."""
        with self._store.lock:
            cache = self._store.cache
            for _ in range(min(count, len(self._objects))):
                _, value = self._objects.popitem()
                if value.linked:
                    cache.forget(value)
        return not self._objects
