"""Who expires next.

A heap holds every expiry up to a horizon; later ones wait in the engine's expiry records (and in dirty objects) until the horizon
moves on. So a store with a billion keys that expire keeps some ten thousand of them in memory, opens at once, and still deletes
each key at its millisecond. Entries are checked against the key when they are popped: stale ones are harmless.

A key of which parts expire (the fields of a hash) has an entry for the earliest of them, and when that has been dealt with, for the next.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from diskkv.clock import perf_ns
from diskkv.errors import Damaged, StoreError
from diskkv.format import keys
from diskkv.format.ordered import pack_u64

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diskkv.store.database import Database
    from diskkv.store.store import Store

journal = logging.getLogger("diskkv")

LIMIT = 50_000
FAR = 1 << 63


class Expiry:
    """The expiry index's part in memory. Every method requires the store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # whether keys expire by themselves, or only when somebody looks for them (DEBUG SET-ACTIVE-EXPIRE)
        self.active = True
        # told for how many nanoseconds everybody had to wait for keys to expire; None: nobody wants to know
        self.told: Callable[[int], None] | None = None
        self._heap: list[tuple[int, int, bytes]] = []
        self._horizon = -1
        # keys, by epoch, that could not be read when they were to expire, and whether expiry records can't be
        self._unreadable: set[tuple[int, bytes]] = set()
        self._around = False

    def add(self, when: int, db: Database, key: bytes) -> None:
        """A key now expires at `when`."""
        if when <= self._horizon:
            heapq.heappush(self._heap, (when, db.epoch, key))
            if when < self._store.keeper.due:
                self._store.keeper.rouse()
            if len(self._heap) > 4 * LIMIT:
                self._shrink()

    def next(self) -> int | None:
        """When the next key may expire, in ms; None when none will."""
        if not self.active:
            return None
        if not self._heap and self._horizon < FAR:
            self._refill()
        return self._heap[0][0] if self._heap else None

    def backlog(self, now: int) -> int:
        """How many keys' time has come, as far as the window in memory tells."""
        return sum(when <= now for when, _, _ in self._heap) if self._heap and self._heap[0][0] <= now else 0

    def due(self, now: int, limit: int) -> int:
        """Expire up to `limit` keys, or parts of keys, whose time has come; how many entries were looked at."""
        if self.told is None:
            return self._expire(now, limit)
        began = perf_ns()
        seen = self._expire(now, limit)
        self.told(perf_ns() - began)
        return seen

    def _expire(self, now: int, limit: int) -> int:
        store = self._store
        seen = 0
        by_epoch = {db.epoch: db for db in store.databases}
        while seen < limit:
            when = self.next()
            if when is None or when > now:
                break
            seen += 1
            _, epoch, key = heapq.heappop(self._heap)
            db = by_epoch.get(epoch)
            if db is None:
                continue
            if (epoch, key) in self._unreadable:
                continue
            changes = store.changes
            try:
                seen += self._fade(db, key, now, limit - seen)
            except StoreError as error:
                journal.error(
                    "the key %(key)r in epoch %(epoch)d can't be read, so it does not expire by itself: %(error)s",
                    {"key": key, "epoch": epoch, "error": error},
                )
                if store.changes != changes:
                    store.spoiled = "expiring"
                if len(self._unreadable) < LIMIT:
                    self._unreadable.add((epoch, key))
        return seen

    def _fade(self, db: Database, key: bytes, now: int, room: int) -> int:
        """Have a key expire, or up to `room` + 1 parts of it, whose time has come; how many parts but one."""
        store = self._store
        value = db.peek(key)
        if value is None:
            return 0
        if value.expire is not None and value.expire <= now:
            store.expire(db, value)
        elif value.timed:
            before = store.expired_parts
            if not store.expire_parts(db, value, room + 1) and (due := value.due()) is not None:
                self.add(due, db, key)
            return max(0, store.expired_parts - before - 1)
        return 0

    def _stored(self, start: bytes, stop: bytes) -> Iterator[tuple[int, int, bytes]]:
        """The expiry records in a range."""
        engine = self._store.engine
        if not self._around:
            try:
                for raw in engine.scan_keys(start, stop):
                    yield keys.split_expiry(raw)
                    start = raw + b"\0"
                return
            except Damaged as error:
                # Whoever asks for a key finds that it has expired, all the same; and what is met again although it was deleted is stale.
                journal.error("not all keys will expire by themselves, some only when they are asked for: %(error)s", {"error": error})
                self._around = True
        for raw, _ in engine.scan_around(start, stop):
            yield keys.split_expiry(raw)

    def _shrink(self) -> None:
        self._heap = heapq.nsmallest(LIMIT, self._heap)
        self._horizon = self._heap[-1][0] if self._heap else -1
        # Entries that share the horizon's millisecond may have been cut off: step below it.
        while self._heap and self._heap[-1][0] == self._horizon:
            self._heap.pop()
        self._horizon -= 1

    def _refill(self) -> None:
        """Take the next window from the engine and from what is dirty."""
        store = self._store
        start = keys.EXPIRY + pack_u64(self._horizon + 1)
        window = list(islice(self._stored(start, keys.after(keys.EXPIRY)), LIMIT))
        horizon = window[-1][0] if len(window) == LIMIT else FAR
        if horizon < FAR and window[0][0] == horizon:
            # A whole window in one millisecond: take all of it, or the horizon would never pass it.
            stop = keys.EXPIRY + pack_u64(horizon + 1)
            window = list(self._stored(start, stop))
        elif horizon < FAR:
            horizon -= 1
            window = [entry for entry in window if entry[0] <= horizon]
        low = self._horizon
        self._horizon = horizon
        self._heap = window
        for values in (store.dirty, store.writer.frozen):
            for value in values:
                if not value.linked:
                    continue
                if value.expire is not None and low < value.expire <= horizon:
                    self._heap.append((value.expire, value.db.epoch, value.key))
                if value.timed and (due := value.due()) is not None and low < due <= horizon:
                    self._heap.append((due, value.db.epoch, value.key))
        heapq.heapify(self._heap)

    def clear(self) -> None:
        """Forget everything: the store is about to be read anew."""
        self._heap = []
        self._horizon = -1
