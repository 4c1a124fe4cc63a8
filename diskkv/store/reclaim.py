"""Gives the space of dead objects back, a little at a time.

DEL of a million-member set only notes the set's oid in a garbage record, in the batch that deletes its meta record. Here, between
checkpoints and on the writer's thread, the dead records are deleted some thousand at a time, and `Compaction` sees to it that
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
from diskkv.store.compaction import Compaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diskkv.engine import Batch
    from diskkv.store.store import Store

journal = logging.getLogger("diskkv")

STEP = 2000
# behind every key
LAST = b"\xff" * 32


class Reclaimer:
    """The backlog of garbage records. All but `add` and `pending` run on the writer's thread, without the lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[bytes] = deque()
        self._compaction = Compaction(store)
        # below which prefix the last step deleted last, and up to where. To look for the rest from the beginning would be to walk over
        # all that was deleted again and again.
        self._place = (b"", b"")
        # what can't be read is passed over from now on, and its space never comes back
        self._around = False

    def add(self, garbage: Iterable[bytes]) -> None:
        """Garbage records that are in the engine now."""
        self._waiting.extend(garbage)

    def pending(self) -> int:
        """How many objects, epochs and ranges to be compacted wait."""
        return len(self._waiting) + len(self._compaction.pieces)

    def compact_all(self) -> None:
        """Have everything compacted soon, unless something is about to be."""
        if not self._compaction.pieces:
            self._compaction.cover(b"", LAST)

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
        """Compact a piece if one waits, or delete up to STEP records of the first in the queue, and drop those that are done with."""
        before = self._place
        try:
            self._step()
        except BaseException as error:
            # Nothing was deleted.
            self._place = before
            if self._around or not isinstance(error, Damaged):
                raise
            self._go_around(error)

    def _go_around(self, error: Damaged) -> None:
        journal.error("the space of damaged records can't be given back, passing over them: %(error)s", {"error": error})
        self._around = True

    def _scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The records that begin so, or those of them that can be read."""
        engine = self._store.engine
        return (engine.scan_around if self._around else engine.scan)(self._start(prefix), keys.after(prefix))

    def _start(self, prefix: bytes) -> bytes:
        """From where on there may be records below a dead prefix."""
        last, key = self._place
        return key if last == prefix else prefix

    def _scan_keys(self, prefix: bytes) -> Iterator[bytes]:
        if self._around:
            return (key for key, _ in self._scan(prefix))
        return self._store.engine.scan_keys(self._start(prefix), keys.after(prefix))

    def _step(self) -> None:
        if self._compaction.pieces:
            self._compaction.step()
            return
        engine = self._store.engine
        batch = engine.batch(sync=True)
        found: list[bytes] = []
        ended: list[bytes] = []
        finished = deleted = 0
        for raw in list(islice(self._waiting, STEP)):
            room = STEP - deleted - finished
            number = unpack_u64(raw, 1)
            if raw.endswith(b"g"):
                prefixes = [keys.data_prefix(number) + part for part in group_parts(unpack_u32(raw, 9))]
                count = self._group(batch, prefixes, room)
            elif raw.endswith(b"o"):
                prefixes = [keys.data_prefix(number)]
                count = self._below(batch, prefixes[0], room)
            else:
                prefixes = [keys.meta_prefix(number)]
                count = self._epoch(batch, number, room, found)
            deleted += count
            if count >= room:
                break
            if any(engine.lost(prefix, keys.after(prefix)) for prefix in prefixes):
                # What is deleted of it now may have to be told from what was lost: that ends when it has been done.
                ended = prefixes
                break
            batch.delete(raw)
            finished += 1
        engine.write(batch)
        for prefix in ended:
            engine.forget(prefix, keys.after(prefix))
        # Before they leave the queue, so that there is something `pending` as long as there is something to do.
        idle = finished == len(self._waiting) and not found
        self._compaction.look(idle=idle)
        if idle:
            self._forget_all()
        for _ in range(finished):
            self._waiting.popleft()
        self.add(found)

    def _forget_all(self) -> None:
        """Without a key in any database nothing matters of what was lost."""
        store = self._store
        with store.lock:
            if any(db.count for db in store.databases):
                return
        store.engine.forget(b"", keys.SYSTEM)

    def _below(self, batch: Batch, prefix: bytes, room: int) -> int:
        """Have up to `room` records below a prefix deleted; how many there were."""
        return self._bury(batch, prefix, list(islice(self._scan_keys(prefix), room)))

    def _bury(self, batch: Batch, prefix: bytes, found: list[bytes]) -> int:
        """Have the first records below a prefix deleted; how many they are."""
        for key in found:
            batch.delete(key)
        if found:
            self._compaction.died(prefix, found[0], found[-1] + b"\0")
            self._place = (prefix, found[-1])
        return len(found)

    def _group(self, batch: Batch, prefixes: list[bytes], room: int) -> int:
        """Have up to `room` records below the prefixes of a destroyed consumer group deleted; how many there were."""
        count = 0
        for prefix in prefixes:
            count += self._below(batch, prefix, room - count)
        return count

    def _epoch(self, batch: Batch, epoch: int, room: int, found: list[bytes]) -> int:
        """Have up to `room` keys of a dead database deleted; `found` gets the garbage records of those that have records of their own."""
        prefix = keys.meta_prefix(epoch)
        records = list(islice(self._scan(prefix), room))
        for key, value in records:
            # Empty when no more of it is known than that there was one.
            wakes, oid = head(value) if value else (0, 0)
            if wakes:
                batch.delete(keys.expiry_key(wakes, epoch, key[len(prefix) :]))
            if oid:
                garbage = keys.garbage_object(oid)
                batch.put(garbage, b"")
                found.append(garbage)
        return self._bury(batch, prefix, [key for key, _ in records])
