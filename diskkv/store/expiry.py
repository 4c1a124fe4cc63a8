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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diskkv.store.database import Database
    from diskkv.store.store import Store

journal = logging.getLogger("diskkv")

# How many entries are taken from the engine at once, and left when there are too many: either takes some 10 ms, in which nobody is served.
LIMIT = 10_000
MOST = 3 * LIMIT
UNREADABLE = 50_000
START = (-1, 0, b"")
END = (1 << 63, 0, b"")


class Expiry:
    """The expiry index's part in memory. Every method requires the store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # whether keys expire by themselves, or only when somebody looks for them (DEBUG SET-ACTIVE-EXPIRE)
        self.active = True
        # told for how many nanoseconds everybody had to wait for keys to expire; None: nobody wants to know
        self.told: Callable[[int], None] | None = None
        self._heap: list[tuple[int, int, bytes]] = []
        # Up to this entry all are in the heap, or have been dealt with. Thousands of keys may expire in the same millisecond, so it is
        # an entry, and no time.
        self._horizon = START
        # keys, by epoch, that could not be read when they were to expire, and whether expiry records can't be
        self._unreadable: set[tuple[int, bytes]] = set()
        self._around = False

    def add(self, when: int, db: Database, key: bytes) -> None:
        """A key now expires at `when`."""
        entry = (when, db.epoch, key)
        if entry <= self._horizon:
            heapq.heappush(self._heap, entry)
            if when < self._store.keeper.due:
                self._store.keeper.rouse()
            if len(self._heap) > MOST:
                self._shrink()

    def next(self) -> int | None:
        """When the next key may expire, in ms; None when none will."""
        if not self.active:
            return None
        if not self._heap and self._horizon < END:
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
                if len(self._unreadable) < UNREADABLE:
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
        self._heap = sorted(self._heap)[:LIMIT]
        self._horizon = self._heap[-1]

    def _refill(self) -> None:
        """Take the next window from the engine and from what is dirty."""
        store = self._store
        low = self._horizon
        start = keys.EXPIRY if low == START else keys.expiry_key(*low) + b"\0"
        window = list(islice(self._stored(start, keys.after(keys.EXPIRY)), LIMIT))
        self._horizon = horizon = window[-1] if len(window) == LIMIT else END
        self._heap = window
        first, last = low[0], horizon[0]
        for values in (store.dirty, store.writer.frozen):
            for value in values:
                if not value.linked:
                    continue
                expire = value.expire
                if expire is not None and first <= expire <= last and low < (entry := (expire, value.db.epoch, value.key)) <= horizon:
                    window.append(entry)
                if (
                    value.timed
                    and (due := value.due()) is not None
                    and first <= due <= last
                    and low < (entry := (due, value.db.epoch, value.key)) <= horizon
                ):
                    window.append(entry)
        if len(window) > MOST:
            self._shrink()
        else:
            heapq.heapify(window)

    def clear(self) -> None:
        """Forget everything: the store is about to be read anew."""
        self._heap = []
        self._horizon = START
