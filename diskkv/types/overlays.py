"""Overlays: in the order of the engine's records, the members of a large object whose changes the engine does not have yet."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any


class Overlay:
    """The subs of one generation of changes, in order from wherever they are asked for; those that come later take their places when
    next asked for. They are spread over lists by the first byte of their hash, so that a walk which takes few sorts few.

    Measured on a set of 100,000 new members: 21 ms for the first step of a SCAN, 42 when all are sorted at once; 0.06 ms for one after
    150 more have come, 1.0 when all are sorted again.
    """

    __slots__ = ("_buckets", "_flown", "_seen", "_unsorted", "flying", "touched")

    def __init__(self, touched: dict[Any, Any], flying: dict[Any, Any]) -> None:
        self.touched = touched
        self.flying = flying
        # how many of `touched` are in; whether what flies is
        self._seen = 0
        self._flown = False
        self._buckets: dict[int, list[bytes]] = {}
        self._unsorted: set[int] = set()

    def subs(self, hash32: Callable[[bytes], bytes], start: bytes) -> Iterator[bytes]:
        """Those from `start` on. REQUIRES: nothing leaves `touched` within a generation, so what is new stands at its end."""
        touched, flying = self.touched, self.flying
        new = len(touched) - self._seen
        if new:
            self._add([hash32(member) + member for member in islice(reversed(touched), new) if member not in flying])
            self._seen += new
        if not self._flown:
            self._add([hash32(member) + member for member in flying])
            self._flown = True
        return self._from(start)

    def _add(self, subs: list[bytes]) -> None:
        buckets = self._buckets
        for sub in subs:
            bucket = buckets.get(sub[0])
            if bucket is None:
                bucket = buckets[sub[0]] = []
            bucket.append(sub)
        self._unsorted.update([sub[0] for sub in subs])

    def _from(self, start: bytes) -> Iterator[bytes]:
        buckets, unsorted = self._buckets, self._unsorted
        first = start[0] if start else 0
        for number in sorted(buckets):
            if number < first:
                continue
            bucket = buckets[number]
            if number in unsorted:
                bucket.sort()
                unsorted.remove(number)
            yield from bucket[bisect_left(bucket, start) :] if number == first else bucket
