"""A key as the commands that make it: what append-only files hold, and what a server is told that can't take a key whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from diskkv import format
from diskkv.rdb.content import ID_BITS, Content, Group, Key, StreamState
from diskkv.rdb.payload import write_payload

# Streams with groups of no more entries than this are restored whole.
WHOLE = 10_000
LOW = (1 << ID_BITS) - 1


def encode_command(argv: list[bytes]) -> bytes:
    """A command in RESP."""
    return b"".join([b"*%d\r\n" % len(argv), *[b"$%d\r\n%s\r\n" % (len(word), word) for word in argv]])


def commands_of(key: Key) -> Iterator[list[bytes]]:
    """What makes a key that does not exist, each command of bounded size, its expiry last."""
    yield from MAKERS[key.content.tag](key.name, key.content)
    if key.expire is not None:
        yield [b"PEXPIREAT", key.name, b"%d" % key.expire]


def _string(name: bytes, content: Content) -> Iterator[list[bytes]]:
    yield [b"SET", name, next(content.parts, b"")]
    for piece in content.parts:
        yield [b"APPEND", name, piece]


def _elements(command: bytes) -> Callable[[bytes, Content], Iterator[list[bytes]]]:
    def make(name: bytes, content: Content) -> Iterator[list[bytes]]:
        for part in content.parts:
            yield [command, name, *part]

    return make


def _hash(name: bytes, content: Content) -> Iterator[list[bytes]]:
    if not content.timed:
        yield from _elements(b"HSET")(name, content)
        return
    for part in content.parts:
        yield [b"HSET", name, *[item for at in range(0, len(part), 3) for item in part[at : at + 2]]]
        for at in range(0, len(part), 3):
            if part[at + 2]:
                yield [b"HPEXPIREAT", name, b"%d" % part[at + 2], b"FIELDS", b"1", part[at]]


def _zset(name: bytes, content: Content) -> Iterator[list[bytes]]:
    for part in content.parts:
        command: list[Any] = [b"ZADD", name, *part]
        command[2::2] = [repr(score).encode() for score in part[1::2]]
        command[3::2] = part[::2]
        yield command


def _stream(name: bytes, content: Content) -> Iterator[list[bytes]]:
    state = content.state
    assert state is not None
    content.sound(WHOLE)
    if (state.groups or state.production) and content.count is not None and content.count <= WHOLE:
        # Commands can't make an entry pending, or that of a message, that was deleted.
        yield [b"RESTORE", name, b"0", write_payload(content)]
        return
    empty = True
    messages = _messages(state)
    held = set()
    for part in content.parts:
        for number, items in part:
            yield [b"XADD", name, stream_id(number), *items]
            empty = False
            if number in messages:
                held.add(number)
    if empty:
        yield [b"XADD", name, b"MAXLEN", b"0", b"0-1", b"x", b"y"]
    yield [
        b"XSETID", name, stream_id(state.last), b"ENTRIESADDED", b"%d" % state.added, b"MAXDELETEDID", stream_id(state.max_deleted)
    ]  # fmt: skip
    for group in state.groups:
        yield from _group(name, group)
    production = state.production
    if production is not None:
        seconds, most = b"%d" % production.seconds, b"%d" % production.most
        yield [b"XCFGSET", name, b"IDMP-DURATION", seconds, b"IDMP-MAXSIZE", most]
        for producer, told in production.producers.items():
            for message, number in told:
                if number in held:
                    yield [b"XIDMPRECORD", name, producer, message, stream_id(number)]


def _messages(state: StreamState) -> set[int]:
    """The entries that messages became which are remembered."""
    told = state.production.producers.values() if state.production is not None else ()
    return {number for messages in told for _, number in messages}


def _group(name: bytes, group: Group) -> Iterator[list[bytes]]:
    """A group, its consumers, and what is pending. As in Redis' own files, a pending entry that was deleted comes to nothing."""
    read = -1 if group.read is None else group.read
    yield [b"XGROUP", b"CREATE", name, group.name, stream_id(group.last), b"ENTRIESREAD", b"%d" % read]
    for consumer in group.consumers:
        yield [b"XGROUP", b"CREATECONSUMER", name, group.name, consumer.name]
    counts = {}
    for one in group.pending:
        if one.consumer is None:
            counts[one.id] = one.count
            continue
        yield [
            b"XCLAIM", name, group.name, one.consumer, b"0", stream_id(one.id),
            b"TIME", b"%d" % one.time, b"RETRYCOUNT", b"%d" % one.count, b"JUSTID", b"FORCE",
        ]  # fmt: skip
    for number in group.released:
        times = b"%d" % counts[number]
        yield [b"XNACK", name, group.name, b"FAIL", b"IDS", b"1", stream_id(number), b"RETRYCOUNT", times, b"FORCE"]


def _array(name: bytes, content: Content) -> Iterator[list[bytes]]:
    for part in content.parts:
        yield [b"ARMSET", name, *[word for index, data in part for word in (b"%d" % index, data)]]
    if content.cursor is not None:
        yield [b"ARSEEK", name, b"%d" % (content.cursor + 1)]


def stream_id(number: int) -> bytes:
    """A stream's id as it is typed."""
    return b"%d-%d" % (number >> ID_BITS, number & LOW)


MAKERS: dict[int, Callable[[bytes, Content], Iterator[list[bytes]]]] = {
    format.STRING: _string,
    format.LIST: _elements(b"RPUSH"),
    format.SET: _elements(b"SADD"),
    format.HASH: _hash,
    format.ZSET: _zset,
    format.STREAM: _stream,
    format.ARRAY: _array,
}
