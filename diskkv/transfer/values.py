"""A value's content, and a content as a value.

REQUIRES, of all of it: the store's lock; nothing else changes what is being read until its parts are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, TypeVar

from diskkv import format
from diskkv.errors import BadDump
from diskkv.rdb.content import Consumer, Content, Group, Pending, Production, StreamState
from diskkv.store.database import Database
from diskkv.store.value import Value
from diskkv.types import groups
from diskkv.types.arrays import Array
from diskkv.types.hashes import Hash
from diskkv.types.ledgers import ID_MAX
from diskkv.types.lists import List
from diskkv.types.progress import UNKNOWN
from diskkv.types.sets import PRESENT, Set
from diskkv.types.streams import Stream
from diskkv.types.strings import String
from diskkv.types.zsets import ZSet

# How many elements make a part, and how many bytes of a string.
PART = 512
PIECE = 1 << 18
# A set of no more members than this is taken over whole.
WHOLE = 128
# What a pending entry costs until it is in the engine.
PENDING_COST = 400
# What an element costs besides its bytes, and a stream's entry besides its fields.
ELEMENT_COST = 200
ENTRY_COST = 400

T = TypeVar("T")


def content_of(value: Value) -> Content:
    """What a value holds."""
    if isinstance(value, String):
        return Content(format.STRING, len(value), _pieces(value))
    if isinstance(value, List):
        return Content(format.LIST, len(value), (part for _, part in value.runs()))
    if isinstance(value, Set):
        return Content(format.SET, len(value), _chunks(value.members()))
    if isinstance(value, Hash) and value.timed:
        # A time of 0 stands for none.
        triples = ((field, data, when or 0) for field, data, when in value.timed_items())
        return Content(value.tag, len(value), (list(chain.from_iterable(part)) for part in _chunks(triples)), timed=True)
    if isinstance(value, (Hash, ZSet)):
        return Content(value.tag, len(value), (list(chain.from_iterable(part)) for part in _chunks(value.items())))
    if isinstance(value, Stream):
        state = StreamState(value.last, value.max_deleted, value.added, groups_of(value), production_of(value))
        return Content(format.STREAM, len(value), _entries(value), state=state)
    if isinstance(value, Array):
        return Content(format.ARRAY, len(value), value.runs(), cursor=value.cursor)
    raise TypeError(f"{type(value).__name__} has no content")


def _pieces(value: String) -> Iterator[bytes]:
    size = len(value)
    for at in range(0, size, PIECE):
        yield value.read(at, min(at + PIECE, size))


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(islice(rest, PART)):
        yield part


def _entries(value: Stream) -> Iterator[list[Any]]:
    start = 0
    while part := value.range(start, ID_MAX, PART):
        yield part
        start = part[-1][0] + 1


def groups_of(value: Stream) -> list[Group]:
    """A stream's consumer groups."""
    return [_group(group) for group in value.groups().values()]


def production_of(value: Stream) -> Production | None:
    """What a stream remembers of messages, if it does."""
    production = value.production
    if production is None:
        return None
    now = value.db.store.now
    messages = {producer.name: list(production.told(producer, now)) for producer in production.producers().values()}
    held = {name: told for name, told in messages.items() if told}
    return Production(production.seconds, production.most, production.added, production.duplicates, held)


def _group(group: groups.Group) -> Group:
    consumers = [Consumer(one.name, one.seen, None if one.active == groups.NEVER else one.active) for one in group.sorted_consumers()]
    pending = [
        Pending(number, None if owner is None else owner.name, time, times)
        for number, owner, time, times in group.deliveries(0, ID_MAX)
    ]
    released = [number for number, *_ in group.unowned()]
    return Group(group.name, group.last, None if group.read == UNKNOWN else group.read, consumers, pending, released)


def check(content: Content) -> None:
    """BadDump when a gathered content of members, fields or elements has one twice."""
    parts = list(content.parts)
    content.parts = iter(parts)
    if content.tag == format.ARRAY and len({index for part in parts for index, _ in part}) != content.count:
        raise BadDump("an array has an index twice")
    if content.tag in (format.SET, format.HASH, format.ZSET):
        width = content.width()
        seen: set[bytes] = set()
        count = 0
        for part in parts:
            seen.update(part[::width])
            count += len(part) // width
        if len(seen) != count:
            raise BadDump("a collection has a member twice")


def put(db: Database, key: bytes, content: Content, rest: Callable[[int], None] | None = None) -> Value:
    """Give a key a content, in place of whatever it has; the value, which does not expire.

    `rest` is called between parts, with about how many bytes of memory that takes: there the store may commit and make a checkpoint.
    """
    return FILLERS[content.tag](db, key, content, rest or _go_on)


def _go_on(size: int) -> None:
    """Nothing is to be done between parts."""


def _cost(part: Iterable[bytes]) -> int:
    """About what some elements take in memory until they are in the engine."""
    return sum([ELEMENT_COST + len(element) for element in part])


Rest = Callable[[int], None]


def _fill_string(db: Database, key: bytes, content: Content, rest: Rest) -> Value:
    value = db.replace(key, String)
    at = 0
    for piece in content.parts:
        if at or len(piece) != content.count:
            value.write(at, piece)
            rest(len(piece))
        else:
            value.set(piece)
        at += len(piece)
    return value


def _fill_list(db: Database, key: bytes, content: Content, rest: Rest) -> Value:
    value = db.replace(key, List)
    for part in content.parts:
        value.push_right(part)
        rest(_cost(part))
    return value


def _fill_set(db: Database, key: bytes, content: Content, rest: Rest) -> Value:
    value = db.replace(key, Set)
    for part in content.parts:
        if len(part) == content.count and len(part) <= WHOLE:
            value.become(dict.fromkeys(part, PRESENT))
        else:
            value.assume_absent(part)
            value.add(part)
            rest(_cost(part))
    return _counted(value, content)


def _fill_hash(db: Database, key: bytes, content: Content, rest: Rest) -> Value:
    value = db.replace(key, Hash)
    for part in content.parts:
        value.assume_absent(part[:: content.width()])
        if content.timed:
            value.set([item for at in range(0, len(part), 3) for item in part[at : at + 2]])
            for field, when in zip(part[::3], part[2::3], strict=True):
                if when:
                    value.set_expiry(field, when)
            rest(_cost(part[::3]) + _cost(part[1::3]))
        else:
            value.set(part)
            rest(_cost(part))
    return _counted(value, content)


def _fill_zset(db: Database, key: bytes, content: Content, rest: Rest) -> Value:
    value = db.replace(key, ZSet)
    assign = value.assign
    for part in content.parts:
        value.assume_absent(part[::2])
        for at in range(0, len(part), 2):
            assign(part[at], part[at + 1])
        rest(2 * _cost(part[::2]))
    return _counted(value, content)


def _counted(value: Hash | Set | ZSet, content: Content) -> Value:
    # In one that is not complete a member that came twice was counted twice.
    count = len(value) if value.complete else sum(1 for _ in value.walk())
    if count != len(value) or content.count not in (None, count):
        value.db.remove(value)
        raise BadDump("a collection has a member twice")
    return value


def _fill_stream(db: Database, key: bytes, content: Content, rest: Rest) -> Value:
    value = db.replace(key, Stream)
    for part in content.parts:
        size = 0
        for number, items in part:
            value.append(number, items)
            size += ENTRY_COST + _cost(items)
        rest(size)
    state = content.state
    assert state is not None
    value.set_last(state.last, state.added, state.max_deleted)
    for group in state.groups:
        _fill_group(value, group, rest)
    if state.production is not None:
        _fill_production(value, state.production, rest)
    return value


def _fill_production(stream: Stream, production: Production, rest: Rest) -> None:
    made = stream.remember(production.seconds, production.most)
    for producer, messages in production.producers.items():
        for count, (message, entry) in enumerate(messages):
            made.add(producer, message, entry, None)
            if count % PART == PART - 1:
                rest(PART * PENDING_COST)
    made.added, made.duplicates = production.added, production.duplicates


def _fill_group(stream: Stream, group: Group, rest: Rest) -> None:
    made = stream.create_group(group.name, group.last, UNKNOWN if group.read is None else group.read)
    for consumer in group.consumers:
        created = made.create_consumer(consumer.name, consumer.seen)
        if consumer.active is not None:
            created.active = consumer.active
    counts = {}
    for count, one in enumerate(group.pending):
        if one.consumer is None:
            counts[one.id] = one.count
        else:
            made.give(made.consumers[one.consumer], one.id, one.time, one.count)
        if count % PART == PART - 1:
            rest(PART * PENDING_COST)
    for number in group.released:
        made.release(number, counts[number])


def _fill_array(db: Database, key: bytes, content: Content, rest: Rest) -> Value:
    value = db.replace(key, Array)
    for part in content.parts:
        value.assign(part)
        rest(_cost(data for _, data in part))
    if content.cursor is not None:
        value.seek(content.cursor + 1)
    if not len(value) or content.count not in (None, len(value)):
        db.remove(value)
        raise BadDump("an array has an index twice, or no element")
    return value


FILLERS: dict[int, Callable[[Database, bytes, Content, Rest], Value]] = {
    format.STRING: _fill_string,
    format.LIST: _fill_list,
    format.SET: _fill_set,
    format.HASH: _fill_hash,
    format.ZSET: _fill_zset,
    format.STREAM: _fill_stream,
    format.ARRAY: _fill_array,
}
