"""Ledger: records ordered by the ids of a stream's entries, in memory only while they are ahead of the engine.

The pending entries of a group are one, and those of each consumer another; so are, with the time put before the id, those of a group by
how long they wait. A group may have millions of them, most of which are never
asked for again but once, to be acknowledged; so nothing is kept once a checkpoint has written it. `fresh` is what was changed since
the last freeze, `flying` what a running checkpoint writes (both: id -> record, None for removed; both newer than the engine).

`low` and `high` bound the ids of what exists, so that no scan meets again and again the deleted records beyond them; they are moved when
something at an end is removed, and set right by whoever scans. `written` is the highest id that a checkpoint has ever been given: what is
removed above it leaves no trace. `order` is `fresh` and `flying` in order, made when a scan asks for it and kept until a checkpoint lands.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import TYPE_CHECKING

from diskkv.format import keys
from diskkv.format.groups import numbered

if TYPE_CHECKING:
    from diskkv.types.streams import Stream

ID_MAX = (1 << 128) - 1
MOST = (1 << 192) - 1
# What a record takes while it is in memory (measured: dict slot with spare room 90, id 44, bytes 53; and what is kept beside it).
WEIGHT = 220
# Longer ones take as much more as they are long.
LONG = 128


class Ledger:
    """id -> record, ordered. Every method that changes it requires that `Stream.stir` has been called."""

    __slots__ = ("bulk", "bulk_flying", "count", "dead", "flying", "fresh", "high", "low", "order", "stream", "sub", "written")

    def __init__(self, stream: Stream, sub: bytes) -> None:
        self.stream = stream
        self.sub = sub
        self.count = 0
        self.low = 0
        self.high = 0
        self.written = -1
        self.dead = False
        self.fresh: dict[int, bytes | None] = {}
        self.flying: dict[int, bytes | None] = {}
        self.order: list[int] | None = None
        # bytes of long records in `fresh`, of some that are gone again too, and in `flying`
        self.bulk = self.bulk_flying = 0

    # -- looking

    def get(self, number: int) -> bytes | None:
        """The record of an id, or None when there is none."""
        if number in self.fresh:
            return self.fresh[number]
        if number in self.flying:
            return self.flying[number]
        if number > self.written or not self.low <= number <= self.high or not self.count:
            return None
        stream = self.stream
        return stream.db.store.engine.get(keys.data_prefix(stream.oid) + numbered(self.sub, number))

    def scan(self, start: int = 0, stop: int = MOST) -> Iterator[tuple[int, bytes]]:
        """The (id, record) with start <= id <= stop in order. REQUIRES: nothing is changed meanwhile."""
        start, stop = max(start, self.low), min(stop, self.high)
        if start > stop or not self.count:
            return
        lowest = start == self.low
        for number, record in self._merged(start, stop):
            if lowest:
                self.low, lowest = number, False
            yield number, record

    def _merged(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        newer = self._newer()
        at, end = bisect_left(newer, start), bisect_right(newer, stop)
        before = -1
        for number, record in self._stored(start, stop):
            while at < end and newer[at] < number:
                before, found = self._at(newer[at], before)
                if found is not None:
                    yield newer[at], found
                at += 1
            if at == end or newer[at] != number:
                yield number, record
        while at < end:
            before, found = self._at(newer[at], before)
            if found is not None:
                yield newer[at], found
            at += 1

    def first(self) -> int | None:
        """The lowest id; None when there is none."""
        return next((number for number, _ in self.scan()), None)

    def last(self) -> int | None:
        """The highest id; None when there is none."""
        if not self.count:
            return None
        found = next((number for number, _ in self._stored(self.low, self.high, reverse=True) if number not in self), None)
        newer = self._newer()
        for at in range(bisect_right(newer, self.high) - 1, -1, -1):
            if found is not None and newer[at] < found:
                break
            if self._at(newer[at], -1)[1] is not None:
                found = newer[at]
                break
        if found is not None:
            self.high = found
        return found

    def __contains__(self, number: int) -> bool:
        """Whether memory, and not the engine, knows about an id."""
        return number in self.fresh or number in self.flying

    def _at(self, number: int, before: int) -> tuple[int, bytes | None]:
        """What memory says of an id in `order`, where one may stand twice, or have been forgotten; the id, to be `before` next time."""
        if number == before:
            return before, None
        return number, self.fresh[number] if number in self.fresh else self.flying.get(number)

    def _newer(self) -> list[int]:
        if self.order is None:
            self.order = sorted(self.flying.keys() | self.fresh.keys()) if self.flying else sorted(self.fresh)
        return self.order

    def _stored(self, start: int, stop: int, *, reverse: bool = False) -> Iterator[tuple[int, bytes]]:
        stop = min(stop, self.written)
        if start > stop:
            return
        stream = self.stream
        prefix = keys.data_prefix(stream.oid)
        bounds = prefix + numbered(self.sub, start), prefix + numbered(self.sub, stop) + b"\0"
        skipped = len(prefix) + len(self.sub)
        for raw, record in stream.db.store.engine.scan(*bounds, reverse=reverse):
            yield int.from_bytes(raw[skipped:], "big"), record

    # -- changing

    def put(self, number: int, record: bytes, *, new: bool) -> None:
        """Enter a record, or replace the one of an id that is not `new`."""
        fresh = self.fresh
        if number not in fresh:
            self.stream.resized(WEIGHT)
            self.stream.db.store.writer.ahead += WEIGHT
            order = self.order
            if order is not None:
                if not order or order[-1] < number:
                    order.append(number)
                elif number not in self.flying:
                    insort(order, number)
            if not fresh:
                self.stream.stirred[self] = None
        fresh[number] = record
        if len(record) > LONG:
            self.bulk += len(record)
            self.stream.resized(len(record))
            self.stream.db.store.writer.ahead += len(record)
        if new:
            if not self.count:
                self.low = self.high = number
            elif number > self.high:
                self.high = number
            elif number < self.low:
                self.low = number
            self.count += 1

    def drop(self, number: int) -> None:
        """Remove the record of an id. REQUIRES: it has one."""
        fresh = self.fresh
        self.count -= 1
        if number == self.low < self.high:
            self.low = number + 1
        if number == self.high:
            self.high = max(number - 1, 0)
        if number > self.written:
            del fresh[number]
            self.stream.resized(-WEIGHT)
            if not fresh:
                self.order = None
                self.stream.resized(-self.bulk)
                self.bulk = 0
            return
        if number not in fresh:
            self.put(number, b"", new=False)
        fresh[number] = None

    def bury(self) -> None:
        """The ledger's group was destroyed: its records are somebody else's affair."""
        self.dead = True
        self.stream.resized(-WEIGHT * len(self.fresh) - self.bulk)
        self.fresh = {}
        self.bulk = 0
        self.stream.stirred.pop(self, None)

    # -- for the checkpoint

    def freeze(self) -> dict[int, bytes | None]:
        """Hand over what changed."""
        self.flying = changes = self.fresh
        self.fresh = {}
        self.bulk, self.bulk_flying = 0, self.bulk
        self.written = max(self.written, self.high)
        return changes

    def landed(self) -> int:
        """What was handed over is in the engine; how many bytes of memory that frees."""
        freed = WEIGHT * len(self.flying) + self.bulk_flying
        self.flying = {}
        self.bulk_flying = 0
        self.order = None
        return freed

    def give_back(self) -> int:
        """What was handed over did not reach the engine; how many bytes of memory that frees."""
        before = len(self.flying) + len(self.fresh)
        self.fresh = {**self.flying, **self.fresh}
        self.flying = {}
        self.bulk, self.bulk_flying = self.bulk + self.bulk_flying, 0
        return WEIGHT * (before - len(self.fresh))

    def shed(self, count: int) -> bool:
        """Free about `count` records of a dead stream's; True when none are left."""
        for _ in range(min(count, len(self.fresh))):
            self.fresh.popitem()
        return not self.fresh
