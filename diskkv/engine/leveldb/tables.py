"""Looks through LevelDB's tables for damage, block by block, without LevelDB: its errors name neither files nor places.

    table   := block* metaindex index footer
    block   := data codec:u8 crc:u32          the masked CRC-32C of data and codec
    data    := entry* restart:u32* count:u32  of the index: the last key of each block, or one behind it, -> handle
    entry   := shared unshared length bytes bytes
    footer  := handle handle padding magic:u64, 48 bytes; a handle is offset and size; all of them varints
    filters := filter* offset:u32* where:u32 log:u8     one for the blocks that begin in each 2^log bytes; the offsets begin `where`

What an internal key is stands in `writing.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from diskkv.engine.leveldb.losses import Losses
from diskkv.engine.leveldb.manifest import Table, live_tables, missing_tables
from diskkv.engine.leveldb.writing import FOOTER, MAGIC, PLAIN, SNAPPY, TRAILER, checksummed, masked_crc, user_key

FILTERS = b"filter.leveldb.BuiltinBloomFilter2"


class Hole(NamedTuple):
    """A part of a file that can't be read: where it lies, and between which keys, None for unknown. `low` is exclusive, `high` not;
    of records that were lost earlier it is the other way round."""

    file: str
    offset: int
    size: int
    low: bytes | None
    high: bytes | None


class Unreadable(Exception):
    """A block's checksum or structure is wrong."""


def holes(path: str) -> Iterator[Hole]:
    """What can't be read of a tree's tables."""
    for loss in Losses(path).all:
        yield Hole(os.path.join(path, loss.file), loss.offset, loss.size, loss.low, loss.stop)
    live = live_tables(path)
    for name in sorted(os.listdir(path)):
        # What a compaction that did not come to its end has left belongs to nothing.
        if name.endswith((".ldb", ".sst")) and (live is None or int(name[:-4]) in live):
            # One that has gone meanwhile was compacted, or is missing.
            with contextlib.suppress(FileNotFoundError):
                yield from holes_in(os.path.join(path, name), None if live is None else live[int(name[:-4])])
    for table in missing_tables(path):
        yield Hole(os.path.join(path, f"{table.number:06d}.ldb"), 0, table.size, table.low, table.high)


def holes_in(file: str, table: Table | None = None) -> Iterator[Hole]:
    """What can't be read of one table; all of it, when it is not what the manifest says of it."""
    with TableFile(file, table.size if table is not None else None) as opened:
        try:
            index = opened.index(table)
        except (Unreadable, OSError):
            yield Hole(file, 0, opened.size, table and table.low, table and table.high)
            return
        low: bytes | None = None
        for place in index:
            try:
                opened.raw(place)
            except (Unreadable, OSError):
                yield Hole(file, place.offset, place.size, low, user_key(place.key))
            low = user_key(place.key)


class Place(NamedTuple):
    """Where a block lies, and a key that is neither before its last one nor behind the next block's first."""

    key: bytes
    offset: int
    size: int


class TableFile:
    """A table's file. Its methods raise Unreadable for what is damaged, and OSError where the system can't read."""

    def __init__(self, file: str, size: int | None = None) -> None:
        self._file = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._file).st_size if size is None else size

    def __enter__(self) -> TableFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def index(self, table: Table | None = None) -> list[Place]:
        """The blocks in order. Unreadable, too, when this is not the table that is asked for."""
        try:
            index = [Place(key, *_handle(place, 0)[:2]) for key, place in entries(self._block(*self._handles()[1]))]
        except IndexError:
            raise Unreadable from None
        if table is not None and index:
            first = None
            with contextlib.suppress(Unreadable):
                first = self.entries(index[0])[0][0]
            if first is not None and user_key(first) != table.low:
                raise Unreadable
        return index

    def search(self, table: Table) -> list[Place]:
        """The first blocks in order, up to one that can't be read, without the index: there is none, or it is not this table's.

        A block does not say how long it is, but its checksum stands behind it. The last one is that which ends with the table's last key.
        """
        data = self._pread(0, self.size)
        found: list[Place] = []
        at = 0
        while not found or found[-1].key != table.last:
            place = next(filter(None, (self._ending(data, at, end, table) for end in checksummed(data, at))), None)
            if place is None or (not found and self.entries(place)[0][0] != table.first):
                break
            found.append(place)
            at += place.size + TRAILER
        return found

    def _ending(self, data: bytes, start: int, end: int, table: Table) -> Place | None:
        """The block from one place to another, its codec the last byte, if it is one of the table's."""
        with contextlib.suppress(Unreadable, IndexError):
            held = list(entries(unpacked(data[start : end + TRAILER - 1])))
            if held and all(len(key) > 8 and table.low <= user_key(key) <= table.high for key, _ in held):
                return Place(held[-1][0], start, end - 1 - start)
        return None

    def entries(self, place: Place) -> list[tuple[bytes, bytes]]:
        """What is in a block: internal keys and values."""
        try:
            return list(entries(self._block(place.offset, place.size)))
        except IndexError:
            raise Unreadable from None

    def raw(self, place: Place) -> bytes:
        """A block as it stands in the file, with its trailer."""
        return self._read(place.offset, place.size)

    def filter_of(self, place: Place) -> bytes:
        """The filter of a block: whatever it excludes is not in there. Empty when there is none that can be read."""
        try:
            metaindex = dict(entries(self._block(*self._handles()[0])))
            offset, size, _ = _handle(metaindex[FILTERS], 0)
            filters = self._block(offset, size)
            ends = int.from_bytes(filters[-5:-1], "little")
            at = ends + 4 * (place.offset >> filters[-1])
            if at + 8 > len(filters) - 1:
                return b""
            low, high = (int.from_bytes(filters[here : here + 4], "little") for here in (at, at + 4))
            return filters[low:high]
        except (Unreadable, LookupError):
            return b""

    def _handles(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Where a table's metaindex lies, and its index."""
        footer = self._pread(max(0, self.size - FOOTER), FOOTER)
        if len(footer) < FOOTER or int.from_bytes(footer[-8:], "little") != MAGIC:
            raise Unreadable
        offset, size, at = _handle(footer, 0)
        return (offset, size), _handle(footer, at)[:2]

    def _block(self, offset: int, size: int) -> bytes:
        return unpacked(self._read(offset, size))

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size + TRAILER > self.size:
            raise Unreadable
        block = self._pread(offset, size + TRAILER)
        if not _sound(block, size):
            # Perhaps it is only the system's copy of it that is damaged.
            with contextlib.suppress(OSError, AttributeError):
                os.posix_fadvise(self._file, offset, size + TRAILER, os.POSIX_FADV_DONTNEED)
            block = self._pread(offset, size + TRAILER)
            if not _sound(block, size):
                raise Unreadable
        return block

    def _pread(self, offset: int, size: int) -> bytes:
        return os.pread(self._file, size, offset)


def unpacked(block: bytes) -> bytes:
    """What is in a block that was read with its trailer."""
    if block[-TRAILER] == SNAPPY:
        return unsnappy(block[:-TRAILER])
    if block[-TRAILER] != PLAIN:
        raise Unreadable
    return block[:-TRAILER]


def _sound(block: bytes, size: int) -> bool:
    return len(block) == size + TRAILER and masked_crc(block[: size + 1]) == int.from_bytes(block[-4:], "little")


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
