"""The records of a stream's consumer groups, packed and unpacked. See the package's docstring for the grammar."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from diskkv.errors import Damaged
from diskkv.format import CONSUMER, GROUP, MESSAGE, OWNED, PENDING, PRODUCER, RELEASED, SLOT, TURN, WAITING
from diskkv.format.meta import pack_items, unpack_items
from diskkv.format.ordered import pack_u32

# How many bytes the number at the end of a sub has, by kind, if it is no id alone.
_WIDTHS = {WAITING: 24, RELEASED: 24, SLOT: 8}
_DELIVERY = struct.Struct(">IQQ")
_ID = 128  # bits
# The consumer of what was given back; the first consumer has the number 1.
NOBODY = 0


class WaitingRecord(NamedTuple):
    """What the record of a group says of its waiting records: up to which id there are any, how many, and their bounds."""

    upto: int
    entries: int
    low: int
    high: int


class ReleasedRecord(NamedTuple):
    """What the record of a group says of its released records: the next turn, how many there are, and their bounds."""

    turn: int
    entries: int
    low: int
    high: int


class GroupRecord(NamedTuple):
    """What the record of a group says. `read` is -1 where the number of entries read is not known."""

    name: bytes
    last: int
    read: int
    pending: int
    low: int
    high: int
    next_consumer: int
    waiting: WaitingRecord | None = None
    released: ReleasedRecord | None = None


class ConsumerRecord(NamedTuple):
    """What the record of a consumer says. `active` is -1 until it has been given an entry."""

    name: bytes
    seen: int
    active: int
    pending: int
    low: int
    high: int


def pack_id(number: int) -> bytes:
    """An entry's id as keys have it."""
    return number.to_bytes(16, "big")


def unpack_id(raw: bytes) -> int:
    """The id in the last bytes of a key."""
    return int.from_bytes(raw[-16:], "big")


def waiting_number(time: int, number: int) -> int:
    """What orders waiting and released records: when an entry was last delivered or its turn, and its id."""
    return time << _ID | number


def waiting_parts(both: int) -> tuple[int, int]:
    """The time, or turn, and the id of such a record."""
    return both >> _ID, both & (1 << _ID) - 1


def numbered(sub: bytes, number: int) -> bytes:
    """The whole sub of what has a number below a sub that ends with no number: an id, a time or turn and an id, or an index."""
    return sub + number.to_bytes(_WIDTHS.get(sub[:1], 16), "big")


def group_sub(group: int) -> bytes:
    """Kind and sub of a group's record."""
    return GROUP + pack_u32(group)


def consumer_sub(group: int, consumer: int) -> bytes:
    """Kind and sub of a consumer's record."""
    return CONSUMER + pack_u32(group) + pack_u32(consumer)


def pending_sub(group: int) -> bytes:
    """Kind and what the subs of all pending entries of a group begin with; an id follows."""
    return PENDING + pack_u32(group)


def owned_sub(group: int, consumer: int) -> bytes:
    """Kind and what the subs of all of a consumer's pending entries begin with; an id follows."""
    return OWNED + pack_u32(group) + pack_u32(consumer)


def waiting_sub(group: int) -> bytes:
    """Kind and what the subs of a group's waiting records begin with; a time and an id follow."""
    return WAITING + pack_u32(group)


def released_sub(group: int) -> bytes:
    """Kind and what the subs of a group's released records begin with; a turn and an id follow."""
    return RELEASED + pack_u32(group)


def group_parts(group: int) -> tuple[bytes, ...]:
    """What the subs of everything below a group, or a production, begin with, kind first."""
    raw = pack_u32(group)
    return CONSUMER + raw, PENDING + raw, OWNED + raw, WAITING + raw, RELEASED + raw, PRODUCER + raw, MESSAGE + raw, TURN + raw


def pack_group(record: GroupRecord) -> bytes:
    """A group's record."""
    name, last, read, pending, low, high, next_consumer, waiting, released = record
    items = [name, pack_id(last), read, pending, pack_id(low), pack_id(high), next_consumer]
    if waiting is not None:
        items += pack_id(waiting.upto), waiting.entries, *_pack_bounds(waiting)
    if released is not None:
        if waiting is None:
            items += [None] * 4
        items += released.turn, released.entries, *_pack_bounds(released)
    return pack_items(items)


def _pack_bounds(record: WaitingRecord | ReleasedRecord) -> tuple[bytes, bytes]:
    return record.low.to_bytes(24, "big"), record.high.to_bytes(24, "big")


def unpack_group(raw: bytes) -> GroupRecord:
    """What `pack_group` packed. Damaged when it is none."""
    name, last, read, pending, low, high, next_consumer, *more = _items(raw, 7, 11, 15)
    waiting = released = None
    if more and more[0] is not None:
        waiting = WaitingRecord(unpack_id(more[0]), more[1], int.from_bytes(more[2], "big"), int.from_bytes(more[3], "big"))
    if len(more) > 4:
        released = ReleasedRecord(more[4], more[5], int.from_bytes(more[6], "big"), int.from_bytes(more[7], "big"))
    return GroupRecord(name, unpack_id(last), read, pending, unpack_id(low), unpack_id(high), next_consumer, waiting, released)


def pack_consumer(record: ConsumerRecord) -> bytes:
    """A consumer's record."""
    name, seen, active, pending, low, high = record
    return pack_items((name, seen, active, pending, pack_id(low), pack_id(high)))


def unpack_consumer(raw: bytes) -> ConsumerRecord:
    """What `pack_consumer` packed. Damaged when it is none."""
    name, seen, active, pending, low, high = _items(raw, 6)
    return ConsumerRecord(name, seen, active, pending, unpack_id(low), unpack_id(high))


def pack_delivery(consumer: int, time: int, count: int) -> bytes:
    """A pending entry: whom it was delivered to, when (ms), and how often; or NOBODY, its turn, and how often."""
    return _DELIVERY.pack(consumer, time, count)


def unpack_delivery(raw: bytes) -> tuple[int, int, int]:
    """The consumer's number, the time and the count that `pack_delivery` packed."""
    try:
        consumer, time, count = _DELIVERY.unpack(raw)
    except struct.error as error:
        raise Damaged(f"not a pending entry: {raw[:32]!r}") from error
    return consumer, time, count


def _items(raw: bytes, *counts: int) -> list[Any]:
    items = unpack_items(raw)
    if len(items) not in counts:
        raise Damaged(f"{len(items)} items where there should be {' or '.join(map(str, counts))}: {raw[:32]!r}")
    return items
