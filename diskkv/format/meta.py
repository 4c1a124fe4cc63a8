"""The record that each key has, and the packing of values."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import lz4.block
import msgpack

from diskkv.errors import Damaged
from diskkv.format import COMPRESSED, EXPIRES, RECORDS
from diskkv.format.ordered import pack_u64, unpack_u64

# Below this LZ4 never paid on JSON, text or counters; above, it is kept when it saves an eighth.
COMPRESS_FROM = 512


class Meta(NamedTuple):
    """A meta record taken apart. `body` is for inline objects; `oid`, `length` and `extras` are for those with records."""

    tag: int
    expire: int | None
    body: bytes | None
    oid: int
    length: int
    extras: bytes


def encode_inline(tag: int, expire: int | None, body: bytes) -> bytes:
    """The meta record of an object that lies in it whole."""
    flags = 0
    if len(body) >= COMPRESS_FROM:
        packed = lz4.block.compress(body)
        if len(packed) < len(body) - (len(body) >> 3):
            body = packed
            flags = COMPRESSED
    if expire is None:
        return bytes((tag, flags)) + body
    return bytes((tag, flags | EXPIRES)) + pack_u64(expire) + body


def encode_header(tag: int, expire: int | None, oid: int, count: int, extras: bytes = b"") -> bytes:
    """The meta record of an object whose content lies in data records."""
    if expire is None:
        return bytes((tag, RECORDS)) + pack_u64(oid) + pack_u64(count) + extras
    return bytes((tag, RECORDS | EXPIRES)) + pack_u64(expire) + pack_u64(oid) + pack_u64(count) + extras


def decode(raw: bytes) -> Meta:
    """Take a meta record apart. Damaged when it is none."""
    try:
        tag, flags = raw[0], raw[1]
        at = 2
        expire = None
        if flags & EXPIRES:
            expire = unpack_u64(raw, 2)
            at = 10
        if flags & RECORDS:
            return Meta(tag, expire, None, unpack_u64(raw, at), unpack_u64(raw, at + 8), raw[at + 16 :])
        body = raw[at:]
        if flags & COMPRESSED:
            body = lz4.block.decompress(body)
        return Meta(tag, expire, body, 0, 0, b"")
    except (IndexError, struct.error, lz4.block.LZ4BlockError) as error:
        raise Damaged(f"not a meta record: {raw[:32]!r}") from error


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
