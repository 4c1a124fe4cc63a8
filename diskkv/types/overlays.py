"""Overlays: in the order of the engine's records, the members of a large object whose changes the engine does not have yet."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

# How many lists the subs are spread over, by the first byte of their hash: a walk that takes few sorts few.
SPREAD = 256


class Overlay:
    """The subs of one generation of changes, in order from wherever they are asked for; those that come later take their places when
    next asked for.

    Measured on a set of 400,000 members of which all are popped, 256 neighbours at a time: 20 us for a member when all subs stand in
    one list, which is sorted again each time, 1 us so.
    """

    __slots__ = ("_buckets", "_sank", "_seen", "_unsorted", "flying", "touched")

    def __init__(self, touched: dict[Any, Any], flying: dict[Any, Any]) -> None:
        self.touched = touched
        self.flying = flying
        # how many of `touched` are in; whether what flies is
        self._seen = 0
        self._sank = False
        self._buckets: list[list[bytes]] = [[] for _ in range(SPREAD)]
        self._unsorted: set[int] = set()

    def subs(self, hash32: Callable[[bytes], bytes], start: bytes) -> Iterator[bytes]:
        """Those from `start` on. REQUIRES: nothing leaves `touched` within a generation, so what is new stands at its end."""
        touched, flying = self.touched, self.flying
        new = len(touched) - self._seen
        if new:
            self._add([hash32(member) + member for member in islice(reversed(touched), new) if member not in flying])
            self._seen += new
        if not self._sank:
            self._add([hash32(member) + member for member in flying])
            self._sank = True
        return self._from(start)

    def _add(self, subs: list[bytes]) -> None:
        buckets = self._buckets
        for sub in subs:
            buckets[sub[0]].append(sub)
        self._unsorted.update([sub[0] for sub in subs])

    def _from(self, start: bytes) -> Iterator[bytes]:
        buckets, unsorted = self._buckets, self._unsorted
        first = start[0] if start else 0
        for number in range(first, SPREAD):
            bucket = buckets[number]
            if number in unsorted:
                bucket.sort()
                unsorted.remove(number)
            yield from bucket[bisect_left(bucket, start) :] if number == first else bucket
