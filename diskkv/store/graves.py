"""What is dead, and whose memory is freed little by little."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diskkv.store.store import Store
    from diskkv.store.value import Value


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
