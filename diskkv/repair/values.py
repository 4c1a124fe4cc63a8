"""Values of which some records can't be read: what is left of them.

A record that can't be read may hide that a key or a member was deleted or changed, and an older table may still show it as it was. So
nothing is taken over that `get` does not confirm.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import TypeVar

from diskkv import format
from diskkv.engine import Engine
from diskkv.errors import Damaged, StoreError
from diskkv.format import ELEMENT, ENTRY, LIST_RUN, MEMBER, RANKED, SLOT, keys
from diskkv.format.meta import Meta, unpack_items, unpack_mortal, unpack_value
from diskkv.format.ordered import unpack_f64, unpack_u64
from diskkv.rdb.content import Content, StreamState
from diskkv.store.value import Value
from diskkv.transfer.values import PART, groups_of, production_of
from diskkv.types.arrays import Array
from diskkv.types.list_runs import MIDDLE, run_of, unpack_run
from diskkv.types.streams import Stream

T = TypeVar("T")


def confirmed(engine: Engine, prefix: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """The records that begin so, without the prefix; None for the values of those that can't be read, or may have been deleted."""
    for key, _ in engine.scan_around(prefix, keys.after(prefix)):
        try:
            value = engine.get(key)
        except StoreError:
            yield key[len(prefix) :], None
            continue
        if value is not None:
            yield key[len(prefix) :], value


def salvage(engine: Engine, value: Value, meta: Meta) -> Content | None:
    """What is left of a large value, if anything of it can be had without making something up."""
    maker = MAKERS.get(meta.tag)
    return maker(engine, value, meta) if maker is not None else None


def _records(engine: Engine, oid: int, kind: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The sound records of a kind."""
    return ((sub, raw) for sub, raw in confirmed(engine, keys.data_prefix(oid) + kind) if raw is not None)


def _unpacked(records: Iterator[tuple[bytes, bytes]], unpack: Callable[[bytes], T]) -> Iterator[tuple[bytes, T]]:
    for sub, raw in records:
        try:
            yield sub, unpack(raw)
        except (Damaged, ValueError):
            continue


def _parts(items: Iterator[T]) -> Iterator[list[T]]:
    while part := list(islice(items, PART)):
        yield part


def _set(engine: Engine, value: Value, meta: Meta) -> Content:
    return Content(meta.tag, None, _parts(sub[4:] for sub, _ in _records(engine, meta.oid, MEMBER)))


def _hash(engine: Engine, value: Value, meta: Meta) -> Content:
    triples = ((sub[4:], data, when or 0) for sub, (data, when) in _unpacked(_records(engine, meta.oid, MEMBER), unpack_mortal))
    return Content(meta.tag, None, (list(chain.from_iterable(part)) for part in _parts(triples)), timed=True)


def _zset(engine: Engine, value: Value, meta: Meta) -> Content:
    """Either of a member's two records tells all of it."""
    by_member = ((sub[4:], unpack_f64(raw)) for sub, raw in _records(engine, meta.oid, MEMBER))
    by_score = ((sub[8:], unpack_f64(sub)) for sub, _ in _records(engine, meta.oid, RANKED))
    pairs = chain(by_member, by_score)
    return Content(meta.tag, None, (list(chain.from_iterable(part)) for part in _parts(pairs)))


def _list(engine: Engine, value: Value, meta: Meta) -> Content:
    """The elements of runs and those with records of their own, by position."""
    runs = (
        pair
        for sub, raw in _records(engine, meta.oid, LIST_RUN)
        for pair in _run(unpack_u64(sub) - MIDDLE, raw)
    )
    own = ((unpack_u64(sub) - MIDDLE, data) for sub, data in _unpacked(_records(engine, meta.oid, ELEMENT), unpack_value))
    return Content(meta.tag, None, _parts(data for _, data in heapq.merge(runs, own)))


def _run(base: int, raw: bytes) -> list[tuple[int, bytes]]:
    try:
        return list(unpack_run(run_of(base), raw).items())
    except (Damaged, ValueError):
        return []


def _stream(engine: Engine, value: Value, meta: Meta) -> Content:
    assert isinstance(value, Stream)
    found = _unpacked(_records(engine, meta.oid, ENTRY), lambda raw: tuple(unpack_items(unpack_value(raw))))
    entries = ((int.from_bytes(sub, "big"), items) for sub, items in found)
    groups, production = readable(value, groups_of), readable(value, production_of)
    state = StreamState(value.last, value.max_deleted, value.added, groups or [], production)
    return Content(meta.tag, None, _parts(entries), state=state)


def _array(engine: Engine, value: Value, meta: Meta) -> Content:
    assert isinstance(value, Array)
    found = _unpacked(_records(engine, meta.oid, SLOT), unpack_value)
    return Content(meta.tag, None, _parts((int.from_bytes(sub, "big"), data) for sub, data in found), cursor=value.cursor)


def readable(value: Stream, read: Callable[[Stream], T]) -> T | None:
    """Something that belongs to a stream, if it can be read."""
    try:
        return read(value)
    except StoreError:
        return None


MAKERS: dict[int, Callable[[Engine, Value, Meta], Content]] = {
    format.SET: _set,
    format.HASH: _hash,
    format.ZSET: _zset,
    format.LIST: _list,
    format.STREAM: _stream,
    format.ARRAY: _array,
}
