"""The records of what a stream remembers of its producers' messages, packed and unpacked. See the package's docstring for the grammar."""

from __future__ import annotations

import struct
from typing import NamedTuple

from diskkv.errors import Damaged
from diskkv.format import MESSAGE, PRODUCER, TURN
from diskkv.format.meta import pack_items, unpack_items
from diskkv.format.ordered import pack_u32

_HEAD = struct.Struct(">IIIQQIIQ16s16s")
_MESSAGE = struct.Struct(">IQ16s")
HEAD_SIZE = _HEAD.size


class ProductionRecord(NamedTuple):
    """What a stream's extras say of its memory of messages: its number, for how many seconds it lasts and how many of each producer it
    holds, how many there have been and how many were there already, the number the next producer gets, how many producers and messages
    there are, and hashes below and above which no message is."""

    number: int
    seconds: int
    most: int
    added: int
    duplicates: int
    next_producer: int
    producers: int
    messages: int
    low: int
    high: int


class ProducerRecord(NamedTuple):
    """What the record of a producer says: its name, the next turn, how many messages it has, and the bounds of their turns."""

    name: bytes
    turn: int
    messages: int
    low: int
    high: int


class MessageRecord(NamedTuple):
    """A message: its producer's number, its turn, the id of the entry that it became, and its name."""

    producer: int
    turn: int
    entry: int
    name: bytes


def producer_sub(production: int, producer: int) -> bytes:
    """Kind and sub of a producer's record."""
    return PRODUCER + pack_u32(production) + pack_u32(producer)


def message_sub(production: int) -> bytes:
    """Kind and what the subs of all messages begin with; a hash follows."""
    return MESSAGE + pack_u32(production)


def turn_sub(production: int, producer: int) -> bytes:
    """Kind and what the subs of all of a producer's turns begin with; a turn follows."""
    return TURN + pack_u32(production) + pack_u32(producer)


def pack_production(record: ProductionRecord) -> bytes:
    """What follows in a stream's extras."""
    *numbers, low, high = record
    return _HEAD.pack(*numbers, low.to_bytes(16, "big"), high.to_bytes(16, "big"))


def unpack_production(raw: bytes) -> ProductionRecord:
    """What `pack_production` packed. REQUIRES: as many bytes."""
    record = ProductionRecord(*_HEAD.unpack(raw))
    low, high = raw[-32:-16], raw[-16:]
    return record._replace(low=int.from_bytes(low, "big"), high=int.from_bytes(high, "big"))


def pack_producer(record: ProducerRecord) -> bytes:
    """A producer's record."""
    return pack_items(record)


def unpack_producer(raw: bytes) -> ProducerRecord:
    """What `pack_producer` packed. Damaged when it is none."""
    items = unpack_items(raw)
    if len(items) != len(ProducerRecord._fields):
        raise Damaged(f"not a producer: {raw[:32]!r}")
    return ProducerRecord(*items)


def pack_message(record: MessageRecord) -> bytes:
    """A message's record."""
    producer, turn, entry, name = record
    return _MESSAGE.pack(producer, turn, entry.to_bytes(16, "big")) + name


def unpack_message(raw: bytes) -> MessageRecord:
    """What `pack_message` packed. Damaged when it is none."""
    try:
        producer, turn, entry = _MESSAGE.unpack_from(raw)
    except struct.error as error:
        raise Damaged(f"not a message: {raw[:32]!r}") from error
    return MessageRecord(producer, turn, int.from_bytes(entry, "big"), raw[_MESSAGE.size :])
