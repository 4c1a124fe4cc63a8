"""The record that each key has, and the packing of values."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import lz4.block
import msgpack

from diskkv.errors import Damaged
from diskkv.format import COMPRESSED, EDITED, EXPIRES, PARTS, RECORDS, SPOILED
from diskkv.format.ordered import pack_u64, unpack_u64

# Below this LZ4 never paid on JSON, text or counters; above, it is kept when it saves an eighth.
COMPRESS_FROM = 512


class Meta(NamedTuple):
    """A meta record taken apart. `body` is for inline objects; `oid`, `length` and `extras` are for those with records.

    `due` is when the first of its parts may expire.
    """

    tag: int
    expire: int | None
    body: bytes | None
    oid: int
    length: int
    extras: bytes
    due: int | None = None
    edited: bool = False
    spoiled: bool = False

    def wakes(self) -> int:
        """The time of the expiry record that goes with it, 0 when there is none."""
        return wakes(self.expire, self.due)


def wakes(expire: int | None, due: int | None) -> int:
    """When somebody has to look at an object that expires itself, or whose parts do; 0 for never."""
    if due is None:
        return expire or 0
    return due if expire is None else min(expire, due)


def encode_inline(tag: int, expire: int | None, body: bytes, due: int | None = None, *, edited: bool = False) -> bytes:
    """The meta record of an object that lies in it whole."""
    flags = EDITED if edited else 0
    if len(body) >= COMPRESS_FROM:
        packed = lz4.block.compress(body)
        if len(packed) < len(body) - (len(body) >> 3):
            body = packed
            flags |= COMPRESSED
    if due is not None:
        flags |= PARTS
        body = pack_u64(due) + body
    if expire is None:
        return bytes((tag, flags)) + body
    return bytes((tag, flags | EXPIRES)) + pack_u64(expire) + body


def encode_header(tag: int, expire: int | None, oid: int, count: int, extras: bytes = b"", due: int | None = None) -> bytes:
    """The meta record of an object whose content lies in data records."""
    flags = RECORDS
    rest = pack_u64(oid) + pack_u64(count) + extras
    if due is not None:
        flags |= PARTS
        rest = pack_u64(due) + rest
    if expire is None:
        return bytes((tag, flags)) + rest
    return bytes((tag, flags | EXPIRES)) + pack_u64(expire) + rest


def decode(raw: bytes) -> Meta:
    """Take a meta record apart. Damaged when it is none."""
    try:
        tag, flags = raw[0], raw[1]
        at = 2
        expire = None
        if flags & EXPIRES:
            expire = unpack_u64(raw, 2)
            at = 10
        due = None
        if flags & PARTS:
            due = unpack_u64(raw, at)
            at += 8
        if flags & RECORDS:
            return Meta(tag, expire, None, unpack_u64(raw, at), unpack_u64(raw, at + 8), raw[at + 16 :], due, spoiled=bool(flags & SPOILED))
        body = raw[at:]
        if flags & COMPRESSED:
            body = lz4.block.decompress(body)
        return Meta(tag, expire, body, 0, 0, b"", due, bool(flags & EDITED), bool(flags & SPOILED))
    except (IndexError, struct.error, lz4.block.LZ4BlockError) as error:
        raise Damaged(f"not a meta record: {raw[:32]!r}") from error


def is_simple(raw: bytes, tag: int) -> bool:
    """Whether a meta record is of that type and all that there is of its object: neither it nor a part of it expires."""
    return len(raw) > 1 and raw[0] == tag and not raw[1] & (RECORDS | EXPIRES | PARTS | SPOILED)


def head(raw: bytes) -> tuple[int, int]:
    """Of a meta record, without reading what lies in it: the time of its expiry record and its oid, 0 for none."""
    flags = raw[1]
    at = 2
    expire = due = None
    if flags & EXPIRES:
        expire = unpack_u64(raw, at)
        at += 8
    if flags & PARTS:
        due = unpack_u64(raw, at)
        at += 8
    return wakes(expire, due), unpack_u64(raw, at) if flags & RECORDS else 0


def mark_spoiled(raw: bytes) -> bytes:
    """A meta record as one of a key that is known to be damaged."""
    return bytes((raw[0], raw[1] | SPOILED)) + raw[2:]


def pack_value(value: bytes) -> bytes:
    """`packed` of the grammar: a byte that tells the codec, and the value, compressed when that pays."""
    if len(value) >= COMPRESS_FROM:
        packed: bytes = lz4.block.compress(value)
        if len(packed) < len(value) - (len(value) >> 3):
            return b"\x01" + packed
    return b"\x00" + value


def unpack_value(raw: bytes) -> bytes:
    """The value that `pack_value` packed."""
    if raw[:1] == b"\x00":
        return raw[1:]
    if raw[:1] == b"\x01":
        try:
            value: bytes = lz4.block.decompress(raw[1:])
        except lz4.block.LZ4BlockError as error:
            raise Damaged(f"a compressed value can't be read: {error}") from error
        return value
    raise Damaged(f"unknown codec in {raw[:8]!r}")


def pack_mortal(value: bytes, expire: int) -> bytes:
    """`packed` with the time at which the value expires."""
    raw = pack_value(value)
    return (b"\x03" if raw[0] else b"\x02") + pack_u64(expire) + raw[1:]


def unpack_mortal(raw: bytes) -> tuple[bytes, int | None]:
    """A packed value and when it expires, None for never."""
    if raw[:1] not in (b"\x02", b"\x03"):
        return unpack_value(raw), None
    try:
        return unpack_value((b"\x01" if raw[0] & 1 else b"\x00") + raw[9:]), unpack_u64(raw, 1)
    except struct.error as error:
        raise Damaged(f"not a packed value: {raw[:16]!r}") from error


def pack_items(items: Sequence[Any]) -> bytes:
    """The body of a small collection."""
    body: bytes = msgpack.packb(items)
    return body


def unpack_items(body: bytes) -> list[Any]:
    """The entries that `pack_items` packed."""
    items: list[Any] = msgpack.unpackb(body, use_list=True, strict_map_key=False)
    return items


def pack_state(state: dict[str, Any]) -> bytes:
    """The value of a system record that is a map."""
    raw: bytes = msgpack.packb(state)
    return raw


def unpack_state(raw: bytes) -> dict[str, Any]:
    state: dict[str, Any] = msgpack.unpackb(raw, strict_map_key=False)
    return state
