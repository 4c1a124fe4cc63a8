"""Ledger: records ordered by a number (the ids of a stream's entries, an array's indexes), in memory only while ahead of the engine.

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
from typing import TYPE_CHECKING, Protocol

from diskkv.format import keys
from diskkv.format.groups import numbered

if TYPE_CHECKING:
    from diskkv.store.database import Database

ID_MAX = (1 << 128) - 1
MOST = (1 << 192) - 1
# What a record takes while it is in memory (measured: dict slot with spare room 90, id 44, bytes 53; and what is kept beside it).
WEIGHT = 220
# Longer ones take as much more as they are long.
LONG = 128


class Owner(Protocol):
    """The value that a ledger belongs to. In `stirred` are its ledgers that have changed since the last freeze."""

    db: Database
    oid: int
    stirred: dict[Ledger, None]

    def resized(self, delta: int) -> None: ...


def _bulk(record: bytes | None) -> int:
    """What a record takes in memory besides WEIGHT."""
    return len(record) if record is not None and len(record) > LONG else 0


class Ledger:
    """id -> record, ordered. Every method that changes it requires that `Stream.stir`, or `Value.touch`, has been called."""

    __slots__ = ("bulk", "bulk_flying", "count", "dead", "flying", "fresh", "high", "low", "order", "owner", "sub", "written")

    def __init__(self, owner: Owner, sub: bytes) -> None:
        self.owner = owner
        self.sub = sub
        self.count = 0
        self.low = 0
        self.high = 0
        self.written = -1
        self.dead = False
        self.fresh: dict[int, bytes | None] = {}
        self.flying: dict[int, bytes | None] = {}
        self.order: list[int] | None = None
        # bytes of the long records in `fresh` and in `flying`
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
        owner = self.owner
        return owner.db.store.engine.get(keys.data_prefix(owner.oid) + numbered(self.sub, number))

    def scan(self, start: int = 0, stop: int = MOST, *, reverse: bool = False) -> Iterator[tuple[int, bytes]]:
        """The (id, record) with start <= id <= stop in order, descending when `reverse`. REQUIRES: nothing is changed meanwhile."""
        start, stop = max(start, self.low), min(stop, self.high)
        if start > stop or not self.count:
            return
        at_end = stop == self.high if reverse else start == self.low
        for number, record in self._merged(start, stop, reverse=reverse):
            if at_end:
                # The bound is known once more.
                self.low, self.high = (self.low, number) if reverse else (number, self.high)
                at_end = False
            yield number, record

    def _merged(self, start: int, stop: int, *, reverse: bool) -> Iterator[tuple[int, bytes]]:
        newer = self._newer()
        at, end, step = bisect_left(newer, start), bisect_right(newer, stop), 1
        if reverse:
            at, end, step = end - 1, at - 1, -1
        before = -1
        for number, record in self._stored(start, stop, reverse=reverse):
            while at != end and (newer[at] > number if reverse else newer[at] < number):
                before, found = self._at(newer[at], before)
                if found is not None:
                    yield newer[at], found
                at += step
            if at == end or newer[at] != number:
                yield number, record
        while at != end:
            before, found = self._at(newer[at], before)
            if found is not None:
                yield newer[at], found
            at += step

    def first(self) -> int | None:
        """The lowest id; None when there is none."""
        return next((number for number, _ in self.scan()), None)

    def last(self) -> int | None:
        """The highest id; None when there is none."""
        return next((number for number, _ in self.scan(reverse=True)), None)

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

    def _stored(self, start: int, stop: int, *, reverse: bool) -> Iterator[tuple[int, bytes]]:
        stop = min(stop, self.written)
        if start > stop:
            return
        owner = self.owner
        prefix = keys.data_prefix(owner.oid)
        bounds = prefix + numbered(self.sub, start), prefix + numbered(self.sub, stop) + b"\0"
        skipped = len(prefix) + len(self.sub)
        for raw, record in owner.db.store.engine.scan(*bounds, reverse=reverse):
            yield int.from_bytes(raw[skipped:], "big"), record

    # -- changing

    def put(self, number: int, record: bytes, *, new: bool) -> None:
        """Enter a record, or replace the one of an id that is not `new`."""
        fresh = self.fresh
        if number not in fresh:
            self.owner.resized(WEIGHT)
            self.owner.db.store.backlog.bytes += WEIGHT
            order = self.order
            if order is not None:
                if not order or order[-1] < number:
                    order.append(number)
                elif number not in self.flying:
                    insort(order, number)
            if not fresh:
                self.owner.stirred[self] = None
        elif (old := _bulk(fresh[number])):
            self.bulk -= old
            self.owner.resized(-old)
        fresh[number] = record
        if size := _bulk(record):
            self.bulk += size
            self.owner.resized(size)
            self.owner.db.store.backlog.bytes += size
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
            size = _bulk(fresh.pop(number))
            self.bulk -= size
            self.owner.resized(-WEIGHT - size)
            if not fresh:
                self.order = None
            return
        self.put(number, b"", new=False)
        fresh[number] = None

    def bury(self) -> None:
        """The ledger's group was destroyed: its records are somebody else's affair."""
        self.dead = True
        self.owner.resized(-WEIGHT * len(self.fresh) - self.bulk)
        self.fresh = {}
        self.bulk = 0
        self.owner.stirred.pop(self, None)

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
        bulk = self.bulk + self.bulk_flying
        self.fresh = {**self.flying, **self.fresh}
        self.flying = {}
        self.bulk, self.bulk_flying = sum(map(_bulk, self.fresh.values())), 0
        return WEIGHT * (before - len(self.fresh)) + bulk - self.bulk

    def verify(self, where: str) -> Iterator[str]:
        """As `Value.verify`: that the count is right, and nothing lies beyond the bounds."""
        prefix = keys.data_prefix(self.owner.oid) + self.sub
        count = 0
        for raw in self.owner.db.store.engine.scan_keys(prefix, keys.after(prefix)):
            count += 1
            number = int.from_bytes(raw[len(prefix) :], "big")
            if not self.low <= number <= self.high:
                yield f"{where}: {number:#x} is not within {self.low:#x} and {self.high:#x}"
        if count != self.count:
            yield f"{where}: there are {count} of its records, its own says {self.count}"

    def shed(self, count: int) -> bool:
        """Free about `count` records of a dead stream's; True when none are left."""
        for _ in range(min(count, len(self.fresh))):
            self.fresh.popitem()
        return not self.fresh
