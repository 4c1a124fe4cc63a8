"""Runs: how the elements of a large list lie in records.

Positions are cut into runs of `RUN` places, `STRIDE` apart. Short elements that have one of these places lie together in one record
for each run: a queue would else write and delete a record for each element that passes through. An element has a record of its own
when it is long, or when it was put between two others; and in lists that were made before there were runs.

A run's record is written as a whole: who changes an element in it has all of the others among the changes, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from diskkv.errors import Damaged
from diskkv.format import BUCKET, ELEMENT, LIST_RUN, keys
from diskkv.format.meta import pack_items, pack_value, unpack_items, unpack_value
from diskkv.format.ordered import pack_u32, pack_u64, unpack_u64

if TYPE_CHECKING:
    from diskkv.store.store import Store

STRIDE = 4097
RUN = 32
SPAN = RUN * STRIDE
MIDDLE = 1 << 63
# Longer elements have records of their own.
LONG = 512


def run_of(place: int) -> int:
    """The number of the run that a position lies in."""
    return place // SPAN


def pack_run(members: list[tuple[int, bytes]]) -> bytes:
    """The record of a run with these elements, by ascending position."""
    offsets = bytes([place // STRIDE % RUN for place, _ in members])
    return pack_value(pack_items([offsets, *[value for _, value in members]]))


def unpack_run(number: int, raw: bytes) -> dict[int, bytes]:
    """The elements by position that a run's record holds."""
    offsets, *values = unpack_items(unpack_value(raw))
    if len(offsets) != len(values):
        raise Damaged(f"a run of a list has {len(offsets)} places for {len(values)} elements")
    base = number * SPAN
    return {base + offset * STRIDE: value for offset, value in zip(offsets, values, strict=True)}


def run_key(number: int) -> bytes:
    """What stands after the oid: of the first position in the run."""
    return LIST_RUN + pack_u64(number * SPAN + MIDDLE)


def element_key(place: int) -> bytes:
    """What stands after the oid for an element with a record of its own."""
    return ELEMENT + pack_u64(place + MIDDLE)


def read_run(store: Store, oid: int, number: int) -> dict[int, bytes]:
    """The elements by position that the engine has in a run."""
    raw = store.engine.get(keys.data_prefix(oid) + run_key(number))
    return {} if raw is None else unpack_run(number, raw)


def scan_runs(store: Store, oid: int, low: int | None = None, high: int | None = None) -> Iterator[dict[int, bytes]]:
    """The runs that the engine has, from the one of position `low` to that of `high`; None for no bound."""
    prefix = keys.data_prefix(oid)
    at = len(prefix) + 1
    start = prefix + (LIST_RUN if low is None else run_key(run_of(low)))
    stop = keys.after(prefix + LIST_RUN) if high is None else prefix + run_key(run_of(high) + 1)
    for key, raw in store.engine.scan(start, stop):
        yield unpack_run(run_of(unpack_u64(key, at) - MIDDLE), raw)


def records(changes: Mapping[Any, Any], *, loose: bool) -> Iterator[tuple[bytes, bytes | None]]:
    """The records of changed elements by position, None for deleted: with each of a run that run's others. And the records of changed
    counts of buckets, each by a tuple of the bucket's lowest position.

    `loose`: any of them may have a record of its own.
    """
    # One record after the other, and nothing done for all of them ahead: in between others have their turn.
    packed: set[int] = set()
    for place, value in changes.items():
        if place.__class__ is not int:
            yield BUCKET + pack_u64(place[0] + MIDDLE), None if value is None else pack_u32(value)
            continue
        within = not place % STRIDE
        if value is not None and not (within and len(value) <= LONG):
            yield element_key(place), pack_value(value)
        elif loose:
            yield element_key(place), None
        if within and (number := place // SPAN) not in packed:
            packed.add(number)
            row = range(number * SPAN, (number + 1) * SPAN, STRIDE)
            members = [(each, found) for each in row if (found := changes.get(each)) is not None and len(found) <= LONG]
            yield run_key(number), pack_run(members) if members else None
