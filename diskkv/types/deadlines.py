"""When the fields of one hash expire.

`times` holds the times of the fields in memory, so all of them while the hash is complete. Of a large hash the engine has, besides the
time in each member record, a deadline record for each field that expires; `marks` are the deadlines that are newer than the engine's
(True: there is one, False: there is none any more), `flying` those that a running checkpoint writes.

Who is next. A heap holds every deadline of a large hash up to a horizon; later ones wait in the engine and in the marks until the horizon
moves on, so that a million fields that expire take no more memory than a window of them, and expiring one costs no more than finding it.
Measured on 100,000 fields that are on disk only and expire at once: 5 us each.
Entries of the heap are checked when they are popped: stale ones are harmless. An inline hash has no heap, its few times are gone through.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from diskkv.format import DEADLINE, keys
from diskkv.format.ordered import pack_u64, unpack_u64

if TYPE_CHECKING:
    from diskkv.store.database import Database

Deadline = tuple[int, bytes]

FAR = 1 << 62
WINDOW = 2000
# What a field's time takes in memory: its place in `times`, an int, and a part of the heap.
COST = 150


class Deadlines:
    """The times of one hash's fields; see the module's docstring."""

    __slots__ = ("count", "due", "flying", "heap", "horizon", "last", "marks", "room", "times")

    def __init__(self, due: int = FAR, count: int = 0, last: int = 0) -> None:
        self.times: dict[bytes, int] = {}
        # no field expires before `due` nor after `last`; `count` fields do (both of large hashes)
        self.due = due
        self.last = last
        self.count = count
        self.marks: dict[Deadline, bool] = {}
        self.flying: dict[Deadline, bool] = {}
        self.heap: list[Deadline] = []
        # so many entries the heap may have before it is shrunk
        self.room = 4 * WINDOW
        # of a hash that has no deadlines in the engine, the heap has them all
        self.horizon = -1 if count else FAR

    def change(self, field: bytes, old: int | None, new: int | None) -> None:
        """A field of a large hash gets another time, or none."""
        if old is not None:
            self.marks[old, field] = False
            self.count -= 1
        if new is not None:
            self.marks[new, field] = True
            self.count += 1
            self.last = max(self.last, new)
            if new <= self.horizon:
                heapq.heappush(self.heap, (new, field))
                if len(self.heap) > self.room:
                    self._shrink()

    def enlarge(self) -> None:
        """The hash has become large: all that `times` says is newer than the engine."""
        self.count = len(self.times)
        self.last = max(self.times.values(), default=0)
        self.heap = [(when, field) for field, when in self.times.items()]
        heapq.heapify(self.heap)
        self.marks = dict.fromkeys(self.heap, True)

    def freeze(self) -> dict[Deadline, bool]:
        """The marks that a checkpoint takes over; what did not land the last time goes along."""
        self.flying = {**self.flying, **self.marks} if self.flying else self.marks
        self.marks = {}
        return self.flying

    def next(self, db: Database, oid: int) -> Deadline | None:
        """The first entry of the heap, which may be stale; None when no field expires."""
        while not self.heap and self.horizon < FAR:
            self._refill(db, oid)
        return self.heap[0] if self.heap else None

    def pop(self) -> Deadline:
        """Take what `next` has returned."""
        return heapq.heappop(self.heap)

    def stored(self, db: Database, oid: int, after: int = -1) -> Iterator[Deadline]:
        """The engine's deadlines behind a time, in order, but those of which the marks say otherwise."""
        prefix = keys.data_prefix(oid) + DEADLINE
        width = len(prefix)
        marks, flying = self.marks, self.flying
        for raw in db.store.engine.scan_keys(prefix + pack_u64(after + 1), keys.after(prefix)):
            entry = (unpack_u64(raw, width), raw[width + 8 :])
            if entry not in marks and entry not in flying:
                yield entry

    def newer(self) -> Iterator[Deadline]:
        """The deadlines that are newer than the engine's."""
        marks = self.marks
        for entry, there in self.flying.items():
            if there and entry not in marks:
                yield entry
        for entry, there in marks.items():
            if there:
                yield entry

    def _shrink(self) -> None:
        """Keep a window of the heap. A time of which many fields expire is not cut in two."""
        entries = sorted(self.heap)
        horizon = entries[WINDOW][0]
        if horizon < entries[-1][0]:
            self.heap = [entry for entry in entries if entry[0] <= horizon]
            self.horizon = horizon
        # If most expire at one time it is as large as before, and sorting it for each of them would never end.
        self.room = max(4 * WINDOW, 2 * len(self.heap))

    def _refill(self, db: Database, oid: int) -> None:
        """Take the next window from the engine and from the marks; as large as a part of the marks, lest these be walked too often."""
        low = self.horizon
        room = WINDOW + (len(self.marks) + len(self.flying)) // 8
        stored = self.stored(db, oid, low)
        window = list(islice(stored, room))
        horizon = FAR
        if len(window) == room:
            horizon = window[-1][0]
            # A time of which many fields expire is not cut in two.
            for entry in stored:
                if entry[0] > horizon:
                    break
                window.append(entry)
        newer = [entry for entry in self.newer() if low < entry[0] <= horizon]
        if len(newer) > 2 * room:
            newer.sort()
            horizon = newer[room][0]
            newer = [entry for entry in newer if entry[0] <= horizon]
            window = [entry for entry in window if entry[0] <= horizon]
        self.heap = window + newer
        heapq.heapify(self.heap)
        self.horizon = horizon

    def shed(self, count: int) -> bool:
        """Free about `count` pieces; True when none are left."""
        del self.heap[-count:]
        for remains in (self.times, self.marks):
            for _ in range(min(count, len(remains))):
                remains.popitem()
            if not remains:
                # A dict from which all was popped keeps its table.
                remains.clear()
        return not (self.heap or self.times or self.marks)
