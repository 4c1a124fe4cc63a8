"""Gives the space of dead objects back, a little at a time.

DEL of a million-member set only notes the set's oid in a garbage record, in the batch that deletes its meta record. Here, between
checkpoints and on the writer's thread, the dead records are deleted some thousand at a time and their range is compacted, so that
the disk space comes back without anyone asking. A crash in between loses nothing: the garbage record stays until all is done.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from diskkv.format import keys
from diskkv.format.meta import head
from diskkv.format.ordered import unpack_u64

if TYPE_CHECKING:
    from collections.abc import Iterable

    from diskkv.store.store import Store

STEP = 2000
# A range is compacted by itself once so many of its records were deleted; smaller ones wait until so many have gathered.
COMPACT_FROM = 20_000


class Reclaimer:
    """The backlog of garbage records. All but `add` and `pending` run on the writer's thread, without the lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[bytes] = deque()
        self._deleted = 0
        self._low: bytes | None = None
        self._high = b""

    def add(self, garbage: Iterable[bytes]) -> None:
        """Garbage records that are in the engine now."""
        self._waiting.extend(garbage)

    def pending(self) -> int:
        """How many objects and epochs wait."""
        return len(self._waiting)

    def load(self) -> None:
        """Take up what an earlier process left."""
        self.add(self._store.engine.scan_keys(keys.GARBAGE, keys.after(keys.GARBAGE)))

    def step(self) -> None:
        """Delete some records of the first in the queue; drop it when it is done."""
        raw = self._waiting[0]
        number = unpack_u64(raw, 1)
        done = self._object(raw, number) if raw.endswith(b"o") else self._epoch(raw, number)
        if done:
            self._waiting.popleft()
            if self._deleted >= COMPACT_FROM or (not self._waiting and self._deleted >= COMPACT_FROM // 10):
                self._compact()

    def _object(self, raw: bytes, oid: int) -> bool:
        prefix = keys.data_prefix(oid)
        engine = self._store.engine
        batch = engine.batch()
        found = 0
        for key in islice(engine.scan_keys(prefix, keys.after(prefix)), STEP):
            batch.delete(key)
            found += 1
        done = found < STEP
        if done:
            batch.delete(raw)
        engine.write(batch)
        self._note(prefix, found)
        return done

    def _epoch(self, raw: bytes, epoch: int) -> bool:
        prefix = keys.meta_prefix(epoch)
        engine = self._store.engine
        batch = engine.batch()
        objects = []
        found = 0
        for key, value in islice(engine.scan(prefix, keys.after(prefix)), STEP):
            found += 1
            batch.delete(key)
            wakes, oid = head(value)
            if wakes:
                batch.delete(keys.expiry_key(wakes, epoch, key[len(prefix) :]))
            if oid:
                garbage = keys.garbage_object(oid)
                batch.put(garbage, b"")
                objects.append(garbage)
        done = found < STEP
        if done:
            batch.delete(raw)
        engine.write(batch)
        self._note(prefix, found)
        self.add(objects)
        return done

    def _note(self, prefix: bytes, found: int) -> None:
        self._deleted += found
        if found:
            self._low = prefix if self._low is None else min(self._low, prefix)
            self._high = max(self._high, keys.after(prefix))

    def _compact(self) -> None:
        if self._low is not None:
            self._store.engine.compact(self._low, self._high)
        self._deleted, self._low, self._high = 0, None, b""
