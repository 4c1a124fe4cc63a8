"""Replies into bytes: one table per protocol, from the type of a value to the function that encodes it.

`encode(value, protocol)` is the plain way; who encodes much takes `ENCODERS[protocol]` once and calls `table[type(value)](value)`.
A subclass (each error is one) is encoded as its nearest base in the table. `str` is no reply: it raises TypeError.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Any

from diskkv.errors import CommandError
from diskkv.lib.multibulk import HEADS, UNBOUNDED, TooLong, encode_bulks
from diskkv.lib.numbers import format_double
from diskkv.replies import (
    Digits,
    Encoded,
    Followed,
    Named,
    NilArray,
    NoReply,
    OrderedSet,
    Pairs,
    Push,
    Score,
    Several,
    Simple,
    Spoken,
    Verbatim,
)

Encoder = Callable[[Any], bytes]

# So many items, which may be lists, are put together before anybody looks how long that has become.
SLICE = 64


class Encoders(dict[type, Encoder]):
    """A table that looks a type's bases up when the type itself isn't there, and remembers what it found."""

    protocol = 2
    # How long a reply of many items may be: TooLong if it would be longer.
    most = UNBOUNDED

    def __missing__(self, kind: type) -> Encoder:
        for base in kind.__mro__:
            encoder = self.get(base)
            if encoder is not None:
                self[kind] = encoder
                return encoder
        raise TypeError(f"no reply can be made of {kind.__name__}")


def encode(value: object, protocol: int) -> bytes:
    """The bytes of a reply in RESP 2 or 3."""
    return ENCODERS[protocol][type(value)](value)


def _integer(value: int) -> bytes:
    return b":%d\r\n" % value


def _bulk(value: bytes) -> bytes:
    size = len(value)
    if size < 4096:
        return HEADS[size] + value + b"\r\n"
    return b"$%d\r\n%b\r\n" % (size, value)


def _nil_bulk(value: None) -> bytes:
    return b"$-1\r\n"


def _nil_array(value: NilArray) -> bytes:
    return b"*-1\r\n"


def _null(value: NilArray | None) -> bytes:
    return b"_\r\n"


def _nothing(value: NoReply) -> bytes:
    return b""


def _simple(value: Simple) -> bytes:
    return b"+" + value.text + b"\r\n"


def _error(value: CommandError) -> bytes:
    return b"-" + value.line() + b"\r\n"


def _bulk_double(value: float) -> bytes:
    return _bulk(format_double(value))


def _double(value: float) -> bytes:
    return b"," + format_double(value) + b"\r\n"


def _verbatim(value: Verbatim) -> bytes:
    return b"=%d\r\n%b:%b\r\n" % (len(value.text) + 4, value.format, value.text)


def _items(table: Encoders, items: Collection[Any]) -> bytes:
    if len(items) <= SLICE:
        return b"".join([table[type(item)](item) for item in items])
    parts: list[bytes] = []
    size, rest = 0, iter(items)
    for _ in range(0, len(items), SLICE):
        part = b"".join([table[type(item)](item) for item in islice(rest, SLICE)])
        size += len(part)
        if size > table.most:
            raise TooLong
        parts.append(part)
    return b"".join(parts)


def _sequence(table: Encoders) -> Encoder:
    def encode_sequence(items: Sequence[Any]) -> bytes:
        if items and type(items[0]) is bytes:
            try:
                return encode_bulks(items, table.most)
            except TypeError:
                pass  # not only bytes
        return b"*%d\r\n" % len(items) + _items(table, items)

    return encode_sequence


def _collection(table: Encoders, mark: bytes) -> Encoder:
    def encode_collection(items: Any) -> bytes:
        return b"%b%d\r\n" % (mark, len(items)) + _items(table, items)

    return encode_collection


def _mapping(table: Encoders, mark: bytes, per_item: int) -> Encoder:
    def encode_mapping(mapping: dict[Any, Any]) -> bytes:
        flat = [part for item in mapping.items() for part in item]
        return b"%b%d\r\n" % (mark, len(mapping) * per_item) + _items(table, flat)

    return encode_mapping


def _resp2() -> Encoders:
    table = Encoders()
    sequence = _sequence(table)
    table.update(
        {
            type(None): _nil_bulk,
            NilArray: _nil_array,
            float: _bulk_double,
            set: _collection(table, b"*"),
            frozenset: _collection(table, b"*"),
            OrderedSet: _collection(table, b"*"),
            dict: _mapping(table, b"*", 2),
            Score: lambda score: _bulk_double(score.value),
            Digits: lambda digits: _bulk(digits.text),
            Verbatim: lambda verbatim: _bulk(verbatim.text),
            Push: lambda push: sequence(push.items),
            # A double is a bulk string here, and a list of nothing else is encoded fastest.
            Named: lambda named: sequence(named.items),
            Pairs: lambda pairs: sequence([format_double(part) if type(part) is float else part for pair in pairs.items for part in pair]),
        }
    )
    return _with_rest(table, sequence)


def _resp3() -> Encoders:
    table = Encoders()
    push = _collection(table, b">")
    sequence = _sequence(table)
    table.update(
        {
            type(None): _null,
            NilArray: _null,
            float: _double,
            set: _collection(table, b"~"),
            frozenset: _collection(table, b"~"),
            OrderedSet: _collection(table, b"~"),
            dict: _mapping(table, b"%", 1),
            Score: lambda score: _double(score.value),
            Digits: lambda digits: b"," + digits.text + b"\r\n",
            Verbatim: _verbatim,
            Push: lambda value: push(value.items),
            Named: lambda named: b"%%%d\r\n" % len(named.items) + _items(table, [part for pair in named.items for part in pair]),
            Pairs: lambda pairs: sequence(pairs.items),
        }
    )
    return _with_rest(table, sequence)


def _with_rest(table: Encoders, sequence: Encoder) -> Encoders:
    """What is the same in both. A `bool` is an integer in both, as in nearly all of Redis' commands."""
    table.update(
        {
            int: _integer,
            bool: _integer,
            bytes: _bulk,
            list: sequence,
            tuple: sequence,
            Simple: _simple,
            Encoded: lambda encoded: encoded.wire,
            NoReply: _nothing,
            CommandError: _error,
            Several: lambda several: _items(table, several.items),
            Followed: lambda followed: _items(table, (followed.reply, *followed.pushes)),
        }
    )
    return table


def make_encoders(most: int) -> dict[int, Encoders]:
    """The tables for whom a reply of more than `most` bytes would be of no use."""
    tables = {2: _resp2(), 3: _resp3()}
    for protocol, table in tables.items():
        table.protocol, table.most = protocol, most
        table[Spoken] = lambda spoken: tables[spoken.protocol][type(spoken.reply)](spoken.reply)
    return tables


ENCODERS = make_encoders(UNBOUNDED)
