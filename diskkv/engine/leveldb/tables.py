"""Looks through LevelDB's tables for damage, block by block, without LevelDB: its errors name neither files nor places.

    table   := block* metaindex index footer
    block   := data codec:u8 crc:u32          the masked CRC-32C of data and codec
    data    := entry* restart:u32* count:u32  of the index: the last key of each block, or one behind it, -> handle
    entry   := shared unshared length bytes bytes
    footer  := handle handle padding magic:u64, 48 bytes; a handle is offset and size; all of them varints

A key in a table is the user's and eight bytes more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from diskkv.engine.leveldb.manifest import Table, live_tables, missing_tables
from diskkv.engine.leveldb.mending import masked_crc

FOOTER = 48
MAGIC = 0xDB4775248B80FB57
TRAILER = 5
PLAIN, SNAPPY = 0, 1


class Hole(NamedTuple):
    """A part of a file that can't be read: where it lies, and between which keys, None for unknown. `low` is exclusive, `high` not."""

    file: str
    offset: int
    size: int
    low: bytes | None
    high: bytes | None


class Unreadable(Exception):
    """A block's checksum or structure is wrong."""


def holes(path: str) -> Iterator[Hole]:
    """What can't be read of a tree's tables."""
    live = live_tables(path)
    for name in sorted(os.listdir(path)):
        # What a compaction that did not come to its end has left belongs to nothing.
        if name.endswith((".ldb", ".sst")) and (live is None or int(name[:-4]) in live):
            yield from holes_in(os.path.join(path, name), None if live is None else live[int(name[:-4])])
    for table in missing_tables(path):
        yield Hole(os.path.join(path, f"{table.number:06d}.ldb"), 0, table.size, table.low, table.high)


def holes_in(file: str, table: Table | None = None) -> Iterator[Hole]:
    """What can't be read of one table; all of it, when it is not what the manifest says of it."""
    size = os.path.getsize(file) if table is None else table.size
    with open(file, "rb") as handle:

        def read(offset: int, length: int) -> bytes:
            handle.seek(offset)
            block = handle.read(length + TRAILER)
            if len(block) < length + TRAILER or masked_crc(block[: length + 1]) != int.from_bytes(block[-4:], "little"):
                raise Unreadable
            if block[length] == SNAPPY:
                return unsnappy(block[:length])
            if block[length] != PLAIN:
                raise Unreadable
            return block[:length]

        try:
            handle.seek(max(0, size - FOOTER))
            index = list(entries(read(*_index_of(size, handle.read(FOOTER)))))
        except (Unreadable, IndexError, OSError):
            yield Hole(file, 0, size, table and table.low, table and table.high)
            return
        low: bytes | None = None
        for key, place in index:
            offset, length = _handle(place, 0)[:2]
            try:
                block = read(offset, length)
                if low is None and table is not None and next(entries(block))[0][:-8] != table.low:
                    # A whole table, but another one.
                    yield Hole(file, 0, size, table.low, table.high)
                    return
            except (Unreadable, IndexError, OSError):
                yield Hole(file, offset, length, low, key[:-8])
            low = key[:-8]


def _index_of(size: int, footer: bytes) -> tuple[int, int]:
    """Where a table's index lies."""
    if len(footer) < FOOTER or int.from_bytes(footer[-8:], "little") != MAGIC:
        raise Unreadable
    _, _, at = _handle(footer, 0)
    offset, length, _ = _handle(footer, at)
    if offset + length + TRAILER > size:
        raise Unreadable
    return offset, length


def _handle(data: bytes, at: int) -> tuple[int, int, int]:
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return offset, size, at


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A block's keys and values."""
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    at = 0
    key = b""
    while at < end:
        shared, at = varint(block, at)
        rest, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + rest]
        at += rest
        yield key, block[at : at + length]
        at += length


def unsnappy(data: bytes) -> bytes:
    """What Snappy has compressed. Its checksum has been verified."""
    _, at = varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        kind, length = tag & 3, tag >> 2
        if kind == 0:
            if length >= 60:
                width = length - 59
                length = int.from_bytes(data[at : at + width], "little")
                at += width
            out += data[at : at + length + 1]
            at += length + 1
            continue
        if kind == 1:
            offset = (tag >> 5) << 8 | data[at]
            length = (length & 7) + 4
            at += 1
        else:
            width = 2 if kind == 2 else 4
            offset = int.from_bytes(data[at : at + width], "little")
            length += 1
            at += width
        for _ in range(length):
            out.append(out[-offset])
    return bytes(out)
