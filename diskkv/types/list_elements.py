"""The elements of a large list: their positions, their values, their records; what `lists.py` builds lists of.

Elements have positions, integers that start in the middle of 64 bits and go outwards in steps of `STRIDE`. As long as there are no
holes the element at index i is at `first + i * STRIDE`, so an index costs arithmetic and one look-up, and both ends are known:
nothing ever seeks across what has been popped.

An insertion or removal far from both ends makes a hole or needs a place in between: the list is *sparse* from then on, and its
positions are found through counted `Buckets`. Where there is no place left between two neighbours, elements around are spread out
again.

Elements lie in runs, or in records of their own (`list_runs.py`); a sparse list has a record for each bucket, too. In memory positions
count from the middle. `touched` and `flying` have them as keys, and `(low,)` for buckets.

In memory `resident` holds elements by position: all those with pending changes, and of the others what has been touched. What is not
in it is in the engine. Whoever changes an element opens its run first (`open_run`): so all of the run is in `touched`, or nothing of it
is in the engine. STRIDE is odd because multiples of a power of two collide in a dict, and leaves room for 2^51 pushes on
either side: seventy years at a million a second.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from diskkv.errors import Damaged
from diskkv.format import BUCKET, ELEMENT, keys
from diskkv.format.meta import unpack_value
from diskkv.format.ordered import pack_u64, unpack_u32, unpack_u64
from diskkv.store.value import OVERHEAD, Recorded, mostly_clean
from diskkv.types import list_runs
from diskkv.types.list_buckets import Buckets
from diskkv.types.list_runs import LONG, MIDDLE, SPAN, STRIDE, element_key, run_of

if TYPE_CHECKING:
    from diskkv.store.database import Database

# Up to so many missing elements are fetched one by one, more by a scan.
FEW = 8

ELEMENT_WEIGHT = 160


class Elements(Recorded):
    """What is in a large list; `List` is made of it. Where nothing else is said the methods require `oid` > 0."""

    __slots__ = (
        "__weakref__", "buckets", "buckets_weight", "count", "first", "high", "last", "loose", "low", "opened", "resident", "sparse",
        "spill_at",
    )  # fmt: skip

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        self.count = 0
        self.first = 0
        self.last = -STRIDE
        self.resident: dict[int, bytes] = {}
        # Positions outside of low..high have never been handed to a checkpoint: what is popped there leaves no trace.
        self.low = MIDDLE
        self.high = -MIDDLE
        # Elements may have records of their own.
        self.loose = False
        # runs that are whole in `touched`
        self.opened: set[int] = set()
        self.spill_at = 0
        self.sparse = False
        self.buckets: Buckets | None = None
        self.buckets_weight = 0

    # -- positions

    def places(self, start: int, stop: int) -> Sequence[int]:
        """The positions of the elements at start <= index < stop."""
        if not self.sparse:
            return range(self.first + start * STRIDE, self.first + stop * STRIDE, STRIDE)
        places = self.index().slice(start, stop)
        self.weigh()
        return places

    def index(self) -> Buckets:
        """The buckets of a sparse list, read from the engine if need be."""
        buckets = self.buckets
        if buckets is None:
            # Nothing is pending: a change to a sparse list has its buckets read first, and they stay as long as the list does.
            prefix = keys.data_prefix(self.oid) + BUCKET
            records = list(self.db.store.engine.scan(prefix, keys.after(prefix)))
            lows = [unpack_u64(raw, len(prefix)) - MIDDLE for raw, _ in records]
            counts = [unpack_u32(raw) for _, raw in records]
            if sum(counts) != self.count:
                raise Damaged(f"list {self.key!r} has {self.count} elements, {sum(counts)} by its buckets")
            self.buckets = buckets = Buckets(WeakMethod(self._load_places), lows, counts)
            self.weigh()
        return buckets

    def _load_places(self, low: int | None, high: int | None) -> list[int]:
        """For `Buckets`: the positions in a part of the list that has no new ones pending."""
        low = self.first if low is None else low
        high = self.last + 1 if high is None else high
        touched, flying = self.touched, self.flying
        store = self.db.store
        found = [place for run in list_runs.scan_runs(store, self.oid, low, high) for place in run if low <= place < high]
        if self.loose:
            prefix = keys.data_prefix(self.oid)
            at = len(prefix) + 1
            own = store.engine.scan_keys(prefix + element_key(low), prefix + element_key(high))
            # A checkpoint that lands between the two scans has some elements move from one kind of record to the other.
            landing = (place for place, value in flying.items() if value is not None and place.__class__ is int and low <= place < high)
            found = sorted({*found, *(unpack_u64(raw, at) - MIDDLE for raw in own), *landing})
        return [place for place in found if (touched[place] if place in touched else flying.get(place, b"")) is not None]

    def weigh(self) -> None:
        buckets = self.buckets
        if buckets is not None and buckets.weight != self.buckets_weight:
            self.resized(buckets.weight - self.buckets_weight)
            self.buckets_weight = buckets.weight

    def make_sparse(self) -> Buckets:
        """From now on positions are found through buckets."""
        if not self.sparse:
            self.sparse = True
            self.buckets = Buckets(WeakMethod(self._load_places), [], [])
            self.buckets.fill(range(self.first, self.last + 1, STRIDE))
        return self.index()

    def insert_between(self, index: int, value: bytes) -> None:
        """Put a value at an index of a list made sparse. REQUIRES: 0 < index < count."""
        buckets = self.make_sparse()
        bucket, offset = buckets.find(index)
        if not offset:
            bucket -= 1
            offset = buckets.counts[bucket]
        left, right = self._neighbours(buckets, bucket, offset)
        if right - left < 2:
            self._spread(buckets, bucket, offset)
            bucket, offset = buckets.find(index)
            if not offset:
                bucket -= 1
                offset = buckets.counts[bucket]
            left, right = self._neighbours(buckets, bucket, offset)
        place = (left + right) // 2
        buckets.insert(bucket, offset, place)
        self.put(place, value)
        self.count += 1
        self.weigh()
        self.limit()

    def _neighbours(self, buckets: Buckets, bucket: int, offset: int) -> tuple[int, int]:
        """The positions between which an element at `offset` > 0 of a bucket is to have its own."""
        places = buckets.known(bucket)
        return places[offset - 1], places[offset] if offset < len(places) else buckets.lows[bucket + 1]

    def _spread(self, buckets: Buckets, bucket: int, offset: int) -> None:
        """There is no place left before `offset`: spread elements around it out, few if there is room nearby, else more.

        The more elements a stretch has the roomier it must be for them to be spread in it, or the next insertion would soon have
        to move as many again.
        """
        places = buckets.known(bucket)
        gap = 4
        for width in (32, 128):
            start, stop = max(1, offset - width // 2), min(len(places), offset + width // 2)
            if stop == len(places) and bucket + 1 == len(buckets.lows):
                stop -= 1
            high = places[stop] if stop < len(places) else buckets.lows[bucket + 1]
            if start < stop and high - places[start - 1] >= gap * (stop - start + 1):
                fresh = _even(places[start - 1], high, stop - start)
                self._move(list(places[start:stop]), fresh)
                buckets.replace(bucket, start, fresh)
                return
            gap += gap // 2
        start, stop = bucket, bucket + 1
        while start > 0 and stop < len(buckets.lows):
            if buckets.lows[stop] - buckets.lows[start] >= gap * (sum(buckets.counts[start:stop]) + 1):
                break
            width = stop - start
            start, stop = max(0, start - (width + 1) // 2), min(len(buckets.lows), stop + (width + 1) // 2)
            gap += gap // 2
        old = [place for number in range(start, stop) for place in buckets.known(number)]
        if stop == len(buckets.lows):
            # There is all the room in the world beyond an end.
            low = buckets.lows[start] if start else self.first
            fresh = list(range(low, low + len(old) * STRIDE, STRIDE))
            self.last = fresh[-1]
        elif start == 0:
            high = buckets.lows[stop]
            fresh = list(range(high - len(old) * STRIDE, high, STRIDE))
            self.first = fresh[0]
        else:
            fresh = _even(buckets.lows[start] - 1, buckets.lows[stop], len(old))
        self._move(old, fresh)
        buckets.relay(start, stop, fresh)

    def _move(self, old: Sequence[int], fresh: Sequence[int]) -> None:
        """Give elements other positions."""
        values = self.values(old)
        self.erase(old, row=True)
        self.count += len(old)
        for place, value in zip(fresh, values, strict=True):
            self.put(place, value)

    # -- values

    def values(self, places: Sequence[int], *, keep: bool = False) -> list[bytes]:
        """The values at some positions, ascending; what had to be fetched stays in memory when `keep`."""
        resident = self.resident
        try:
            return list(map(resident.__getitem__, places))
        except KeyError:
            pass
        missing = [place for place in places if place not in resident]
        found = {place: self.read(place) for place in missing} if len(missing) <= FEW else self._scan(missing)
        values = [resident[place] if place in resident else found[place] for place in places]
        if keep:
            resident.update(found)
            self.resized(sum(map(len, found.values())) + ELEMENT_WEIGHT * len(found))
            self.limit()
        return values

    def read(self, place: int) -> bytes:
        """An element from the engine."""
        store = self.db.store
        if not place % STRIDE:
            value = list_runs.read_run(store, self.oid, run_of(place)).get(place)
            if value is not None:
                return value
        raw = store.engine.get(keys.data_prefix(self.oid) + element_key(place)) if self.loose else None
        if raw is None:
            raise Damaged(f"list {self.key!r} lacks an element")
        return unpack_value(raw)

    def _scan(self, places: Sequence[int]) -> dict[int, bytes]:
        """Many elements from the engine, in one pass, or two."""
        store = self.db.store
        wanted = dict.fromkeys(places, b"")
        seen = 0
        for run in list_runs.scan_runs(store, self.oid, places[0], places[-1]):
            for place, value in run.items():
                if place in wanted:
                    wanted[place] = value
                    seen += 1
        if self.loose:
            prefix = keys.data_prefix(self.oid)
            at = len(prefix) + 1
            for raw, packed in store.engine.scan(prefix + element_key(places[0]), prefix + element_key(places[-1] + 1)):
                place = unpack_u64(raw, at) - MIDDLE
                if place in wanted:
                    wanted[place] = unpack_value(packed)
                    seen += 1
        if seen != len(wanted):
            raise Damaged(f"list {self.key!r} lacks elements")
        return wanted

    def open_run(self, number: int) -> None:
        """Have all of a run among the changes. Damaged when it can't be read; so it comes before `touch`."""
        if number in self.opened:
            return
        base = number * SPAN
        if base <= self.high and base + SPAN > self.low:
            self._join(self._at_hand(base) or self._flown(base) or list_runs.read_run(self.db.store, self.oid, number))
        self.opened.add(number)

    def open_runs(self, first: int, last: int) -> None:
        """The same for all runs from the one of a position to that of another."""
        for number in range(run_of(first), run_of(last) + 1):
            self.open_run(number)

    def open_ends(self, places: Sequence[int]) -> None:
        """The same for the runs of the first and the last of some positions: `erase` will need them, and `values` then has them at hand."""
        self.open_run(run_of(places[0]))
        self.open_run(run_of(places[-1]))

    def _at_hand(self, base: int) -> dict[int, bytes | None]:
        """A run of a list without holes, if all of it is in memory; else nothing."""
        if self.sparse:
            return {}
        places = range(max(base, self.first), min(base + SPAN, self.last + STRIDE), STRIDE)
        resident = self.resident
        try:
            return dict(zip(places, map(resident.__getitem__, places), strict=True))
        except KeyError:
            return {}

    def _flown(self, base: int) -> dict[int, bytes | None]:
        """What a running checkpoint writes of a run; all of it, or nothing."""
        flying = self.flying
        if not flying:
            return {}
        return {place: flying[place] for place in range(base, base + SPAN, STRIDE) if place in flying}

    def _join(self, run: Mapping[int, Any]) -> None:
        """The elements of a run, as they were before they changed, are among the changes from now on."""
        resident, touched = self.resident, self.touched
        values = run.values()
        if run and touched.keys().isdisjoint(run) and None not in values and max(map(len, values)) <= LONG:
            # As nearly always. All of it is in memory, or nothing, but for what has been popped or put since.
            joined = sum(map(len, values)) + ELEMENT_WEIGHT * len(run)
            held = [resident[place] for place in run if place in resident]
            grown = joined - sum(map(len, held)) - ELEMENT_WEIGHT * len(held)
            touched.update(run)
            resident.update(run)
        else:
            grown = joined = 0
            for place, value in run.items():
                if value is None or place in touched or len(value) > LONG:
                    continue
                touched[place] = value
                joined += len(value) + ELEMENT_WEIGHT
                if place not in resident:
                    resident[place] = value
                    grown += len(value) + ELEMENT_WEIGHT
        self.resized(grown)
        self.db.store.backlog.bytes += joined

    def put(self, place: int, value: bytes) -> None:
        """Give a position a value."""
        if place % STRIDE:
            self.loose = True
        else:
            self.open_run(run_of(place))
            self.loose |= len(value) > LONG
        old = self.resident.get(place)
        self.resident[place] = self.touched[place] = value
        self.resized(len(value) + ELEMENT_WEIGHT if old is None else len(value) - len(old))

    def erase(self, places: Sequence[int], *, row: bool) -> None:
        """Forget elements that were taken out. `row`: nothing is left between the first and the last of them."""
        if row:
            self.open_ends(places)
        else:
            for place in places:
                if not place % STRIDE:
                    self.open_run(run_of(place))
        resident, touched, low, high = self.resident, self.touched, self.low, self.high
        freed = 0
        for place in places:
            value = resident.pop(place, None)
            if value is not None:
                freed += len(value) + ELEMENT_WEIGHT
            if place > high or place < low:
                del touched[place]
            else:
                touched[place] = None
        self.count -= len(places)
        self.resized(-freed)

    def limit(self) -> None:
        """Keep the list's share of memory within bounds. To be called when some was taken, at the end of a command's work."""
        if self.weight > self.spill_at:
            self._spill()

    def spare(self) -> None:
        if mostly_clean(self, self.resident):
            self._let_go()

    def _spill(self) -> None:
        """Too much of one list is in memory: keep what has pending changes only. While much flies that is put off if it can be: it takes
        far less time when that has landed, which is soon."""
        if not self.flying or self.weight > self.spill_at * 3 // 2:
            self._let_go()

    def _let_go(self) -> None:
        touched, flying = self.touched, self.flying
        ahead = {**flying, **touched}
        # The loop is done without where that is possible: there may be hundreds of thousands.
        gone = self.sparse or None in ahead.values()
        kept = {place: value for place, value in ahead.items() if value is not None and place.__class__ is int} if gone else ahead
        if self.buckets is not None:
            self.buckets.forget(lambda low: (low,) in touched or (low,) in flying)
            self.weigh()
        # A dead list takes the rest to the grave, where a large dict is freed little by little.
        rest = Elements(self.db, self.key)
        rest.resident, self.resident = self.resident, kept
        self.db.store.free_later(rest, self.weight)
        weight = OVERHEAD + len(self.key) + self.buckets_weight + sum(map(len, kept.values())) + ELEMENT_WEIGHT * len(kept)
        self.resized(weight - self.weight)
        # With what has to stay the bound rises: one command may push more than the budget, and each spill copies the dict.
        cache = self.db.cache
        self.spill_at = max(cache.share, weight + max(cache.budget // 8, weight // 4))

    # -- for the writer

    def length(self) -> int:
        return self.count

    def extras(self) -> bytes:
        ends = (self.first, self.last) if self.sparse else (self.first,)
        return b"".join([pack_u64(place + MIDDLE) for place in ends]) + bytes((self.loose,))

    def freeze(self) -> tuple[bytes, Callable[[dict[Any, Any]], Iterator[tuple[bytes, bytes | None]]], dict[Any, Any]]:
        self.low = min(self.low, self.first)
        self.high = max(self.high, self.last)
        self.opened = set()
        buckets = self.buckets
        if buckets is not None:
            for low in buckets.changed:
                self.touched[(low,)] = buckets.count_of(low)
            buckets.changed.clear()
        return super().freeze()

    def landed(self) -> None:
        super().landed()
        self.spill_at = self.db.cache.share
        if self.linked:
            self.limit()

    def records(self, changes: dict[Any, Any]) -> Iterator[tuple[bytes, bytes | None]]:
        # That a list has become `loose` since the freeze does no harm: what is deleted for it is not there.
        return list_runs.records(changes, loose=self.loose)

    def verify(self) -> Iterator[str]:
        if not self.oid:
            return
        engine = self.db.store.engine
        bucket = keys.data_prefix(self.oid) + BUCKET
        width = len(bucket)
        lows = [(unpack_u64(key, width) - MIDDLE, unpack_u32(raw)) for key, raw in engine.scan(bucket, keys.after(bucket))]
        if bool(lows) != self.sparse:
            yield f"{len(lows)} buckets in a list that is {'' if self.sparse else 'not '}sparse"
        counts = [0] * len(lows)
        at = count = 0
        place = self.first
        for found in heapq.merge(self._in_runs(), self._on_their_own()):
            if found != place and (not self.sparse or not count):
                yield f"an element at {found} where {place} was expected"
            count += 1
            place = found + STRIDE
            while at + 1 < len(lows) and lows[at + 1][0] <= found:
                at += 1
            if lows:
                counts[at] += 1
        if count != self.count:
            yield f"there are {count} elements, the header says {self.count}"
        if place - STRIDE != self.last:
            yield f"the last element is at {place - STRIDE}, not {self.last}"
        if not self.loose and next(self._on_their_own(), None) is not None:
            yield "an element has a record of its own, and the header says that none has"
        for (low, said), really in zip(lows, counts, strict=True):
            if said != really:
                yield f"the bucket at {low} says {said}, there are {really} elements"

    def _in_runs(self) -> Iterator[int]:
        for run in list_runs.scan_runs(self.db.store, self.oid):
            yield from run

    def _on_their_own(self) -> Iterator[int]:
        prefix = keys.data_prefix(self.oid) + ELEMENT
        for key, raw in self.db.store.engine.scan(prefix, keys.after(prefix)):
            unpack_value(raw)
            yield unpack_u64(key, len(prefix)) - MIDDLE

    def shed(self, count: int) -> bool:
        for pieces in (self.resident, self.touched) if self.oid else (self.resident,):
            for _ in range(min(count, len(pieces))):
                pieces.popitem()
            if pieces:
                return False
            # A dict from which all was popped keeps its table.
            pieces.clear()
        self.buckets = None
        return True


def _even(low: int, high: int, count: int) -> list[int]:
    """So many positions, evenly spread between two others. REQUIRES: there are as many."""
    room = high - low
    return [low + room * number // (count + 1) for number in range(1, count + 1)]
