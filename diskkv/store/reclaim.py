"""Gives the space of dead objects back, a little at a time.

DEL of a million-member set only notes the set's oid in a garbage record, in the batch that deletes its meta record. Here, between
checkpoints and on the writer's thread, the dead records are deleted some thousand at a time and their range is compacted, so that
the disk space comes back without anyone asking. A crash in between loses nothing: the garbage record stays until all is done. The
batches are synced as checkpoints are: so what a loss of power can tear is never more than the engine's last batch.
"""

from __future__ import annotations

import logging
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from diskkv.errors import Damaged
from diskkv.format import keys
from diskkv.format.groups import group_parts
from diskkv.format.meta import head
from diskkv.format.ordered import unpack_u32, unpack_u64

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diskkv.engine import Batch
    from diskkv.store.store import Store

journal = logging.getLogger("diskkv")

STEP = 2000
# A range is compacted by itself once so many of its records were deleted; smaller ones wait until so many have gathered.
COMPACT_FROM = 20_000


class Reclaimer:
    """The backlog of garbage records. All but `add` and `pending` run on the writer's thread, without the lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[bytes] = deque()
        self._deleted = 0
        # what can't be read is passed over from now on, and its space never comes back
        self._around = False
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
        try:
            found = list(self._store.engine.scan_keys(keys.GARBAGE, keys.after(keys.GARBAGE)))
        except Damaged as error:
            # One that is met again although it was done with does no harm: neither oids nor epochs are ever used again.
            self._go_around(error)
            found = [key for key, _ in self._scan(keys.GARBAGE)]
        self.add(found)

    def step(self) -> None:
        """Delete up to STEP records of the first in the queue, and drop those that are done with."""
        try:
            self._step()
        except Damaged as error:
            if self._around:
                raise
            self._go_around(error)

    def _go_around(self, error: Damaged) -> None:
        journal.error("the space of damaged records can't be given back, passing over them: %(error)s", {"error": error})
        self._around = True

    def _scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The records that begin so, or those of them that can be read."""
        engine = self._store.engine
        return (engine.scan_around if self._around else engine.scan)(prefix, keys.after(prefix))

    def _scan_keys(self, prefix: bytes) -> Iterator[bytes]:
        if self._around:
            return (key for key, _ in self._scan(prefix))
        return self._store.engine.scan_keys(prefix, keys.after(prefix))

    def _step(self) -> None:
        engine = self._store.engine
        batch = engine.batch(sync=True)
        found: list[bytes] = []
        finished = deleted = 0
        low, high = self._low, self._high
        for raw in list(islice(self._waiting, STEP)):
            room = STEP - deleted - finished
            number = unpack_u64(raw, 1)
            if raw.endswith(b"g"):
                count, prefix = self._group(batch, number, unpack_u32(raw, 9), room)
            else:
                delete = self._object if raw.endswith(b"o") else self._epoch
                count, prefix = delete(batch, number, room, found)
            deleted += count
            if count:
                low = prefix if low is None else min(low, prefix)
                high = max(high, keys.after(prefix))
            if count >= room:
                break
            batch.delete(raw)
            finished += 1
        engine.write(batch)
        for _ in range(finished):
            self._waiting.popleft()
        self.add(found)
        self._deleted += deleted
        self._low, self._high = low, high
        if finished and (self._deleted >= COMPACT_FROM or (not self._waiting and self._deleted >= COMPACT_FROM // 10)):
            self._compact()

    def _object(self, batch: Batch, oid: int, room: int, _: list[bytes]) -> tuple[int, bytes]:
        """Have up to `room` records of a dead object deleted; how many there were, and where."""
        prefix = keys.data_prefix(oid)
        count = 0
        for key in islice(self._scan_keys(prefix), room):
            batch.delete(key)
            count += 1
        return count, prefix

    def _group(self, batch: Batch, oid: int, group: int, room: int) -> tuple[int, bytes]:
        """Have up to `room` records below a destroyed consumer group deleted; how many there were, and where the last of them."""
        count, place = 0, b""
        for part in group_parts(group):
            prefix = keys.data_prefix(oid) + part
            for key in islice(self._scan_keys(prefix), room - count):
                batch.delete(key)
                count += 1
                place = prefix
        return count, place

    def _epoch(self, batch: Batch, epoch: int, room: int, found: list[bytes]) -> tuple[int, bytes]:
        """Have up to `room` keys of a dead database deleted; `found` gets the garbage records of those that have records of their own."""
        prefix = keys.meta_prefix(epoch)
        count = 0
        for key, value in islice(self._scan(prefix), room):
            count += 1
            batch.delete(key)
            wakes, oid = head(value)
            if wakes:
                batch.delete(keys.expiry_key(wakes, epoch, key[len(prefix) :]))
            if oid:
                garbage = keys.garbage_object(oid)
                batch.put(garbage, b"")
                found.append(garbage)
        return count, prefix

    def _compact(self) -> None:
        if self._low is not None:
            self._store.engine.compact(self._low, self._high)
        self._deleted, self._low, self._high = 0, None, b""
