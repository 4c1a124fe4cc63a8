"""Buckets: which positions the elements of a list with holes have.

The elements are cut into buckets of up to `FULL` (twice that for a moment), each named by a position, `low`: the bucket holds the
elements from its low up to the next bucket's; the first bucket also holds whatever lies below its low. Lows and counts of all
buckets are in memory (one in 512 elements), the positions themselves are loaded bucket by bucket. So an index is found by adding
up counts, and an insertion or removal changes one bucket.

This knows neither values nor records. `changed` collects the lows whose record is to be written or deleted; `weight` is the memory
taken.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from diskkv.errors import Damaged

FULL = 512
# Neighbours that have together no more than this become one.
SPARSE = 128
PLACE_WEIGHT = 40
BUCKET_WEIGHT = 160


Load = Callable[["int | None", "int | None"], "list[int]"]


class Buckets:
    """The index of one list.

    What `load()` gives is asked for positions: `load()(low, high)` must return those of all elements with low <= p < high,
    ascending; None for no bound. (A step in between, so that it can be a weak reference to the list that owns the index.)
    """

    __slots__ = ("changed", "counts", "load", "lows", "places", "sums", "weight")

    def __init__(self, load: Callable[[], Load | None], lows: list[int], counts: list[int]) -> None:
        self.load = load
        self.lows = lows
        self.counts = counts
        # None: not loaded. A range: of a list that had no holes when its index was made.
        self.places: list[list[int] | range | None] = [None] * len(lows)
        self.sums: list[int] | None = None
        self.changed: set[int] = set()
        self.weight = BUCKET_WEIGHT * len(lows)

    def fill(self, places: range) -> None:
        """Become the index of a list without holes. REQUIRES: empty."""
        for at in range(0, len(places), FULL):
            part = places[at : at + FULL]
            self._enter(len(self.lows), part)

    # -- looking up

    def find(self, index: int) -> tuple[int, int]:
        """The bucket and the offset in it of the element at an index. REQUIRES: there is one."""
        if self.sums is None:
            self.sums = list(accumulate(self.counts))
        bucket = bisect_right(self.sums, index)
        return bucket, index - (self.sums[bucket - 1] if bucket else 0)

    def slice(self, start: int, stop: int) -> list[int]:
        """The positions of the elements at the indexes start <= i < stop. REQUIRES: there are such."""
        if start >= stop:
            return []
        bucket, offset = self.find(start)
        found: list[int] = []
        need = stop - start
        while need > 0:
            part = self.known(bucket)[offset : offset + need]
            found += part
            need -= len(part)
            bucket += 1
            offset = 0
        return found

    def known(self, bucket: int) -> Sequence[int]:
        """A bucket's positions, loaded if need be."""
        places = self.places[bucket]
        if places is None:
            low = self.lows[bucket] if bucket else None
            high = self.lows[bucket + 1] if bucket + 1 < len(self.lows) else None
            load = self.load()
            assert load is not None
            places = load(low, high)
            if len(places) != self.counts[bucket]:
                raise Damaged(f"a list has {len(places)} elements where its index says {self.counts[bucket]}")
            self.places[bucket] = places
            self.weight += PLACE_WEIGHT * len(places)
        return places

    def first(self) -> int:
        return self.known(0)[0]

    def last(self) -> int:
        return self.known(len(self.lows) - 1)[-1]

    def count_of(self, low: int) -> int | None:
        """The count that stands in the record of `low`; None when there is to be no such record."""
        at = bisect_left(self.lows, low)
        return self.counts[at] if at < len(self.lows) and self.lows[at] == low else None

    # -- changing

    def push_left(self, place: int) -> None:
        """A new first element. REQUIRES: `place` is below all others."""
        if self.counts[0] >= FULL:
            self._rename_first()
            self._enter(0, [place])
            return
        self._own(0).insert(0, place)
        self._grow(0)

    def push_right(self, place: int) -> None:
        """A new last element. REQUIRES: `place` is above all others."""
        last = len(self.lows) - 1
        if self.counts[last] >= FULL:
            self._enter(last + 1, [place])
            return
        self._own(last).append(place)
        self._grow(last)

    def insert(self, bucket: int, offset: int, place: int) -> None:
        """A new element within a bucket. REQUIRES: `place` keeps the order and is not below the bucket's low, unless it is the first."""
        self._own(bucket).insert(offset, place)
        self._grow(bucket)
        if self.counts[bucket] > 2 * FULL:
            self._split(bucket)

    def discard(self, place: int) -> None:
        """An element is gone. REQUIRES: it was there, and others are left."""
        bucket = max(0, bisect_right(self.lows, place) - 1)
        places = self._own(bucket)
        del places[bisect_left(places, place)]
        self.weight -= PLACE_WEIGHT
        self._shrunk(bucket, 1)

    def cut_left(self, count: int) -> None:
        """The first `count` elements are gone. REQUIRES: others are left."""
        while count >= self.counts[0]:
            count -= self.counts[0]
            self._remove(0)
        if count:
            del self._own(0)[:count]
            self.weight -= PLACE_WEIGHT * count
            self._shrunk(0, count)

    def cut_right(self, count: int) -> None:
        """The last `count` elements are gone. REQUIRES: others are left."""
        while count >= self.counts[-1]:
            count -= self.counts[-1]
            self._remove(len(self.lows) - 1)
        if count:
            last = len(self.lows) - 1
            del self._own(last)[-count:]
            self.weight -= PLACE_WEIGHT * count
            self._shrunk(last, count)

    def replace(self, bucket: int, offset: int, places: Sequence[int]) -> None:
        """Some elements of one bucket have moved. REQUIRES: as for `insert`."""
        self._own(bucket)[offset : offset + len(places)] = places
        self.changed.add(self.lows[bucket])

    def relay(self, start: int, stop: int, places: Sequence[int]) -> None:
        """All elements of the buckets start <= b < stop have moved: lay them out anew."""
        for bucket in range(stop - 1, start - 1, -1):
            self._remove(bucket)
        for number, at in enumerate(range(0, len(places), FULL)):
            self._enter(start + number, list(places[at : at + FULL]))

    def forget(self, pending: Callable[[int], bool]) -> None:
        """Drop the positions of the buckets that have no pending changes: they can be loaded again."""
        for bucket, places in enumerate(self.places):
            low = self.lows[bucket]
            if places.__class__ is list and low not in self.changed and not pending(low):
                self.weight -= PLACE_WEIGHT * len(places or ())
                self.places[bucket] = None

    # -- inside

    def _own(self, bucket: int) -> list[int]:
        places = self.known(bucket)
        if not isinstance(places, list):
            places = self.places[bucket] = list(places)
            self.weight += PLACE_WEIGHT * len(places)
        return places

    def _grow(self, bucket: int) -> None:
        self.counts[bucket] += 1
        self.weight += PLACE_WEIGHT
        self.sums = None
        self.changed.add(self.lows[bucket])

    def _shrunk(self, bucket: int, count: int) -> None:
        self.counts[bucket] -= count
        self.sums = None
        self.changed.add(self.lows[bucket])
        if not self.counts[bucket]:
            self._remove(bucket)
            return
        for left in (bucket, bucket - 1):
            if 0 <= left < len(self.lows) - 1 and self.counts[left] + self.counts[left + 1] <= SPARSE:
                self._join(left)
                return

    def _enter(self, bucket: int, places: list[int] | range) -> None:
        low = places[0]
        self.lows.insert(bucket, low)
        self.counts.insert(bucket, len(places))
        self.places.insert(bucket, places)
        self.weight += BUCKET_WEIGHT + (PLACE_WEIGHT * len(places) if isinstance(places, list) else 0)
        self.sums = None
        self.changed.add(low)

    def _remove(self, bucket: int) -> None:
        low = self.lows.pop(bucket)
        del self.counts[bucket]
        places = self.places.pop(bucket)
        self.weight -= BUCKET_WEIGHT + (PLACE_WEIGHT * len(places) if isinstance(places, list) else 0)
        self.sums = None
        self.changed.add(low)

    def _rename_first(self) -> None:
        """Let the first bucket's low be its first element, so that a bucket can come before it."""
        low = self.known(0)[0]
        self.changed.add(self.lows[0])
        self.lows[0] = low
        self.changed.add(low)

    def _split(self, bucket: int) -> None:
        if not bucket:
            self._rename_first()
        places = self._own(bucket)
        half = len(places) // 2
        upper = places[half:]
        del places[half:]
        self.weight -= PLACE_WEIGHT * len(upper)
        self.counts[bucket] = half
        self.changed.add(self.lows[bucket])
        self._enter(bucket + 1, upper)

    def _join(self, bucket: int) -> None:
        """Merge a bucket with the next one."""
        places = self._own(bucket)
        places += self.known(bucket + 1)
        self.weight += PLACE_WEIGHT * self.counts[bucket + 1]
        self.counts[bucket] += self.counts[bucket + 1]
        self.changed.add(self.lows[bucket])
        self._remove(bucket + 1)
