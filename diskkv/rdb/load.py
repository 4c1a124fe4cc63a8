"""A kind's value, read from a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from diskkv import format, rdb
from diskkv.errors import BadDump
from diskkv.lib.numbers import format_double
from diskkv.rdb import listpack, ziplist
from diskkv.rdb.content import Content
from diskkv.rdb.packed import read_intset, read_zipmap
from diskkv.rdb.source import Source, parse_double
from diskkv.rdb.stream_load import load_stream

# How many elements make a part.
PART = 512
# What a quicklist's node holds.
ONE_ELEMENT = 1
LISTPACK = 2
# An array's indexes are below.
INDEXES = (1 << 64) - 1


class EmptyValue(BadDump):
    """A collection without elements: Redis itself passes over such keys in a file."""


def load(kind: int, source: Source) -> Content:
    """The value of a kind that stands next in the source. BadDump at once or when its parts are taken."""
    loader = LOADERS.get(kind)
    if loader is None:
        raise BadDump(f"there is no kind {kind} of value")
    return loader(source)


def _string(source: Source) -> Content:
    size, pieces = source.pieces()
    return Content(format.STRING, size, pieces)


def _count(source: Source) -> int:
    count = source.length()
    if not count:
        raise EmptyValue("a collection is empty")
    return count


def _elements(tag: int) -> Callable[[Source], Content]:
    def load(source: Source) -> Content:
        count = _count(source)
        return Content(tag, count, _strings(source, count))

    return load


def _strings(source: Source, count: int) -> Iterator[list[bytes]]:
    while count:
        part = source.strings(min(count, PART))
        count -= len(part)
        yield part


def _hash(source: Source) -> Content:
    count = _count(source)
    return Content(format.HASH, count, _strings(source, 2 * count))


def _zset(read: Callable[[Source], float]) -> Callable[[Source], Content]:
    def load(source: Source) -> Content:
        count = _count(source)
        return Content(format.ZSET, count, _scored(source, count, read))

    return load


def _scored(source: Source, count: int, read: Callable[[Source], float]) -> Iterator[list[Any]]:
    string = source.string
    while count:
        part: list[Any] = []
        for _ in range(min(count, PART)):
            part.append(string())
            # -0.0 is folded.
            part.append(read(source) + 0.0)
        count -= len(part) // 2
        yield part


def _timed_hash(*, relative: bool) -> Callable[[Source], Content]:
    """A hash whose fields may expire; `relative`: their times count from the earliest, which comes first."""

    def load(source: Source) -> Content:
        base = source.milliseconds() - 1 if relative else 0
        count = _count(source)
        return Content(format.HASH, count, fields(source, count, base), timed=True)

    def fields(source: Source, count: int, base: int) -> Iterator[list[Any]]:
        while count:
            part: list[Any] = []
            for _ in range(min(count, PART)):
                deadline = source.length()
                part += source.strings(2)
                part.append(_deadline(deadline + base if deadline else 0))
            count -= len(part) // 3
            yield part

    return load


def _deadline(ms: int) -> int:
    if not 0 <= ms < 1 << 48:
        raise BadDump("a field's expiry is impossible")
    return ms


def _timed_listpack(*, relative: bool) -> Callable[[Source], Content]:
    def load(source: Source) -> Content:
        if relative:
            source.milliseconds()
        items: list[Any] = _not_empty(listpack.read(source.string()))
        if len(items) % 3:
            raise BadDump("a hash has a field too many")
        for at in range(2, len(items), 3):
            items[at] = _deadline(_integer(items[at]))
        return Content(format.HASH, len(items) // 3, iter((items,)), timed=True)

    return load


def _integer(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadDump("there is no integer where one must be") from None


def _not_empty(items: list[bytes]) -> list[bytes]:
    if not items:
        raise EmptyValue("a collection is empty")
    return items


def _packed(tag: int, read: Callable[[bytes], list[bytes]]) -> Callable[[Source], Content]:
    """A whole collection in one string."""

    def load(source: Source) -> Content:
        items: list[Any] = _not_empty(read(source.string()))
        content = Content(tag, len(items), iter((items,)))
        width = content.width()
        if width > 1:
            if len(items) % width:
                raise BadDump("a collection has an item too many")
            content.count = len(items) // width
        if tag == format.ZSET:
            items[1::2] = [parse_double(text) + 0.0 for text in items[1::2]]
        return content

    return load


def _quicklist(read: Callable[[bytes], list[bytes]], *, contained: bool) -> Callable[[Source], Content]:
    """A list in nodes, of which `contained` ones say what they are."""

    def load(source: Source) -> Content:
        rest = nodes(source, _count(source))
        # Now, because an empty list must show before anybody takes it for one.
        first = next(rest, None)
        if first is None:
            raise EmptyValue("a collection is empty")
        return Content(format.LIST, None, chain((first,), rest))

    def nodes(source: Source, count: int) -> Iterator[list[bytes]]:
        for _ in range(count):
            container = source.length() if contained else LISTPACK
            if container not in (ONE_ELEMENT, LISTPACK):
                raise BadDump("a list's node is of no known sort")
            data = source.string()
            if not data:
                raise BadDump("a list's node is empty")
            part = [data] if container == ONE_ELEMENT else read(data)
            if part:
                yield part

    return load


def _array(source: Source) -> Content:
    count = _count(source)
    has_cursor = source.length()
    cursor = source.length() if has_cursor else None
    if has_cursor > 1 or cursor == INDEXES:
        raise BadDump("an array's cursor is impossible")
    return Content(format.ARRAY, count, _slots(source, count), cursor=cursor)


def _slots(source: Source, count: int) -> Iterator[list[tuple[int, bytes]]]:
    while count:
        part: list[tuple[int, bytes]] = []
        for _ in range(min(count, PART)):
            index = source.length()
            form = source.length()
            if index == INDEXES or form >= len(SLOTS):
                raise BadDump("an array's element is impossible")
            part.append((index, SLOTS[form](source)))
        count -= len(part)
        yield part


def _double_slot(source: Source) -> bytes:
    """A double in binary, as the digits that it was made of."""
    text = format_double(source.double())
    return text if b"." in text else text + b".0"


# What an element may be written as: a string, an integer, a double, a short string.
SLOTS: tuple[Callable[[Source], bytes], ...] = (
    Source.string,
    lambda source: b"%d" % source.milliseconds(),
    _double_slot,
    Source.string,
)
LOADERS: dict[int, Callable[[Source], Content]] = {
    rdb.STRING: _string,
    rdb.LIST: _elements(format.LIST),
    rdb.SET: _elements(format.SET),
    rdb.ZSET: _zset(Source.old_double),
    rdb.HASH: _hash,
    rdb.ZSET_2: _zset(Source.double),
    rdb.HASH_ZIPMAP: _packed(format.HASH, read_zipmap),
    rdb.LIST_ZIPLIST: _packed(format.LIST, ziplist.read),
    rdb.SET_INTSET: _packed(format.SET, read_intset),
    rdb.ZSET_ZIPLIST: _packed(format.ZSET, ziplist.read),
    rdb.HASH_ZIPLIST: _packed(format.HASH, ziplist.read),
    rdb.LIST_QUICKLIST: _quicklist(ziplist.read, contained=False),
    rdb.STREAM_LISTPACKS: lambda source: load_stream(source, 1),
    rdb.HASH_LISTPACK: _packed(format.HASH, listpack.read),
    rdb.ZSET_LISTPACK: _packed(format.ZSET, listpack.read),
    rdb.LIST_QUICKLIST_2: _quicklist(listpack.read, contained=True),
    rdb.STREAM_LISTPACKS_2: lambda source: load_stream(source, 2),
    rdb.SET_LISTPACK: _packed(format.SET, listpack.read),
    rdb.STREAM_LISTPACKS_3: lambda source: load_stream(source, 3),
    rdb.STREAM_LISTPACKS_4: lambda source: load_stream(source, 4),
    rdb.STREAM_LISTPACKS_5: lambda source: load_stream(source, 5),
    rdb.ARRAY: _array,
    rdb.HASH_METADATA_PRE_GA: _timed_hash(relative=False),
    rdb.HASH_LISTPACK_EX_PRE_GA: _timed_listpack(relative=False),
    rdb.HASH_METADATA: _timed_hash(relative=True),
    rdb.HASH_LISTPACK_EX: _timed_listpack(relative=True),
}
