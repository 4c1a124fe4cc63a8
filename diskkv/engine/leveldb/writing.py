"""LevelDB's own formats, for writing: its numbers, its log (of which the manifest is one) and its tables.

    log     := block*, of 32 KiB; in them fragments of records
    fragment := crc:u32 length:u16 kind:u8 data         the masked CRC-32C of kind and data
    edit    := (kind what it says)*                     a record of the manifest
    table, block: see `tables.py`

A key in a table, an internal one, is the user's and eight bytes more: the number of its write and whether that was a deletion. Keys
of one user's key sort by these, the newest first.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import anycrc

# Of the log, and the kinds of its fragments.
BLOCK = 32768
HEADER = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
# What an edit of the manifest consists of.
COMPARATOR, LOG_NUMBER, NEXT_FILE, LAST_SEQUENCE, COMPACT_POINTER, DELETED_FILE, NEW_FILE, PREVIOUS_LOG = 1, 2, 3, 4, 5, 6, 7, 9
# What an internal key says of its write.
DELETION, VALUE = 0, 1
# A table's.
FOOTER = 48
TRAILER = 5
MAGIC = 0xDB4775248B80FB57
PLAIN, SNAPPY = 0, 1

MASK = 0xA282EAD8

_crc32c = anycrc.Model("CRC32C").calc


def masked_crc(data: bytes) -> int:
    """The checksum that LevelDB stores: CRC-32C, rotated and shifted."""
    crc: int = _crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def checksummed(data: bytes, start: int) -> Iterator[int]:
    """Where something may end that begins at a place and has its checksum behind it, the last byte of it being 0 or 1."""
    table = _crc32c_table()
    crc = 0xFFFFFFFF
    for at in range(start, len(data) - 4):
        byte = data[at]
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
        if byte < 2:
            stored = int.from_bytes(data[at + 1 : at + 5], "little") - MASK & 0xFFFFFFFF
            if (stored >> 17 | stored << 15) & 0xFFFFFFFF == crc ^ 0xFFFFFFFF:
                yield at + 1


@functools.cache
def _crc32c_table() -> list[int]:
    # What the checksum of a single byte is, without what is done to it at the beginning and at the end.
    return [_crc32c(bytes((byte ^ 0xFF,))) ^ 0xFF000000 for byte in range(256)]


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def counted(data: bytes) -> bytes:
    return varint(len(data)) + data


def framed(record: bytes, at: int) -> bytes:
    """A record as it stands in a log from an offset on."""
    out = bytearray()
    begun = False
    while True:
        room = BLOCK - (at + len(out)) % BLOCK
        if room < HEADER:
            out += bytes(room)
            continue
        piece, record = record[: room - HEADER], record[room - HEADER :]
        kind = (MIDDLE if record else LAST) if begun else (FIRST if record else FULL)
        data = bytes((kind,)) + piece
        out += masked_crc(data).to_bytes(4, "little") + len(piece).to_bytes(2, "little") + data
        begun = True
        if not record:
            return bytes(out)


def new_file(level: int, number: int, size: int, first: bytes, last: bytes) -> bytes:
    """The part of an edit that adds a table."""
    return varint(NEW_FILE) + varint(level) + varint(number) + varint(size) + counted(first) + counted(last)


def deleted_file(level: int, number: int) -> bytes:
    """The part of an edit that takes a table out."""
    return varint(DELETED_FILE) + varint(level) + varint(number)


def internal(key: bytes, sequence: int, kind: int) -> bytes:
    return key + (sequence << 8 | kind).to_bytes(8, "little")


def user_key(key: bytes) -> bytes:
    return key[:-8]


def write_of(key: bytes) -> tuple[int, int]:
    """The number of the write of which an internal key is, and its kind."""
    number = int.from_bytes(key[-8:], "little")
    return number >> 8, number & 0xFF


def order(key: bytes) -> tuple[bytes, int]:
    """Internal keys sort by this."""
    return key[:-8], -int.from_bytes(key[-8:], "little")


def block(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A table's block, with its trailer. No entry shares anything with the one before, so that every one can be sought for."""
    out = bytearray()
    places = []
    for key, value in entries:
        places.append(len(out))
        out += varint(0) + varint(len(key)) + varint(len(value)) + key + value
    places = places or [0]
    for place in (*places, len(places)):
        out += place.to_bytes(4, "little")
    out.append(PLAIN)
    return bytes(out) + masked_crc(bytes(out)).to_bytes(4, "little")


def table(blocks: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """A table of blocks: each with its key in the index, and with its trailer. It has no filters."""
    index = []
    at = 0
    for key, data in blocks:
        index.append((key, varint(at) + varint(len(data) - TRAILER)))
        at += len(data)
        yield data
    footer = b""
    for data in (block(()), block(index)):
        footer += varint(at) + varint(len(data) - TRAILER)
        at += len(data)
        yield data
    yield footer.ljust(FOOTER - 8, b"\0") + MAGIC.to_bytes(8, "little")
