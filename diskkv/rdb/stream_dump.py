"""Streams as `stream_load.py` describes them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from diskkv.rdb.content import ID_BITS, Content, Group, Production
from diskkv.rdb.lengths import encode_length
from diskkv.rdb.listpack import HEADER, UNKNOWN, encode_entry, encode_integer
from diskkv.rdb.stream_load import NEVER, SAME_FIELDS, USUAL
from diskkv.rdb.stream_load import UNKNOWN as UNREAD

# Redis' own nodes have up to so many entries. How many a node gets must be fixed before the first, so it is by these first ones' size.
NODE_ENTRIES = 100
NODE_BYTES = 1 << 15

LOW = (1 << ID_BITS) - 1


def dump_stream(content: Content, form: int) -> Iterator[bytes]:
    """A stream in its `form`th form, from the second on."""
    count, state = content.count, content.state
    assert count is not None and state is not None
    sample: list[Any] = next(content.parts, [])
    first = sample[0][0] if sample else 0
    average = sum(len(item) + 12 for _, items in sample for item in items) // len(sample) if sample else 1
    width = max(1, min(NODE_ENTRIES, NODE_BYTES // average))
    yield encode_length(-(-count // width))
    waiting: list[Any] = []
    for part in chain((sample,), content.parts):
        waiting += part
        at = 0
        while len(waiting) - at >= width:
            yield _node(waiting[at : at + width])
            at += width
        del waiting[:at]
    if waiting:
        yield _node(waiting)
    yield b"".join(
        (
            encode_length(count),
            _id(state.last),
            _id(first),
            _id(state.max_deleted),
            encode_length(state.added),
            encode_length(len(state.groups)),
        )
    )
    for group in state.groups:
        yield from _group(group, form)
    if form > 3:
        yield from _production(state.production or Production(*USUAL))


def _production(production: Production) -> Iterator[bytes]:
    yield b"".join(map(encode_length, (production.seconds, production.most, len(production.producers))))
    for name, messages in production.producers.items():
        yield _string(name) + encode_length(len(messages)) + b"".join([_string(message) + _id(number) for message, number in messages])
    yield encode_length(production.added) + encode_length(production.duplicates)


def _id(number: int) -> bytes:
    return encode_length(number >> ID_BITS) + encode_length(number & LOW)


def _node(entries: list[tuple[int, tuple[bytes, ...]]]) -> bytes:
    base, sample = entries[0]
    names = sample[::2]
    integer, entry = encode_integer, encode_entry
    parts = [integer(len(entries)), integer(0), integer(len(names)), *map(entry, names), integer(0)]
    base_ms, base_seq = base >> ID_BITS, base & LOW
    for number, items in entries:
        same = items[::2] == names
        parts.append(integer(SAME_FIELDS if same else 0))
        parts.append(integer(_signed((number >> ID_BITS) - base_ms)))
        parts.append(integer(_signed((number & LOW) - base_seq)))
        if same:
            parts += map(entry, items[1::2])
            parts.append(integer(len(names) + 3))
        else:
            parts.append(integer(len(items) // 2))
            parts += map(entry, items)
            parts.append(integer(len(items) + 4))
    body = b"".join(parts)
    head = (HEADER + len(body) + 1).to_bytes(4, "little") + min(len(parts), UNKNOWN).to_bytes(2, "little")
    size = len(head) + len(body) + 1
    return b"\x10" + base.to_bytes(16, "big") + encode_length(size) + head + body + b"\xff"


def _signed(number: int) -> int:
    """A difference as Redis counts it, in 64 bits that wrap around."""
    number &= LOW
    return number if number < 1 << 63 else number - (1 << 64)


def _group(group: Group, form: int) -> Iterator[bytes]:
    yield b"".join(
        (
            _string(group.name),
            _id(group.last),
            encode_length(UNREAD if group.read is None else group.read),
            encode_length(len(group.pending)),
        )
    )
    owned: dict[bytes, list[bytes]] = {consumer.name: [] for consumer in group.consumers}
    for at in range(0, len(group.pending), 512):
        parts = []
        for one in group.pending[at : at + 512]:
            raw = one.id.to_bytes(16, "big")
            if one.consumer is not None:
                owned[one.consumer].append(raw)
            parts.append(raw + _time(one.time) + encode_length(one.count))
        yield b"".join(parts)
    yield encode_length(len(group.consumers))
    for consumer in group.consumers:
        parts = [_string(consumer.name), _time(consumer.seen)]
        if form > 2:
            parts.append(_time(NEVER if consumer.active is None else consumer.active))
        yield b"".join((*parts, encode_length(len(owned[consumer.name])), *owned[consumer.name]))
    if form > 4:
        yield encode_length(len(group.released)) + b"".join([number.to_bytes(16, "big") for number in group.released])


def _string(data: bytes) -> bytes:
    return encode_length(len(data)) + data


def _time(ms: int) -> bytes:
    return ms.to_bytes(8, "little", signed=True)
