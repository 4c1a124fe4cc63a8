"""Intsets, and the zipmaps that Redis 2.4 had."""

from __future__ import annotations

import struct
from itertools import pairwise

from diskkv.errors import BadDump

# An intset's width -> its numbers' format.
NUMBERS = {2: "h", 4: "i", 8: "q"}


def read_intset(raw: bytes) -> list[bytes]:
    """The members of an intset (width:u32le count:u32le numbers, ascending) as digits."""
    width, count = int.from_bytes(raw[:4], "little"), int.from_bytes(raw[4:8], "little")
    if width not in NUMBERS or not count or len(raw) != 8 + width * count:
        raise BadDump("an intset's frame is wrong")
    numbers = struct.unpack(f"<{count}{NUMBERS[width]}", raw[8:])
    if any(one >= other for one, other in pairwise(numbers)):
        raise BadDump("an intset is not in order")
    return [b"%d" % number for number in numbers]


def read_zipmap(raw: bytes) -> list[bytes]:
    """A zipmap's fields and values in turn: count:u8 (254: not known), then length, field, length, unused:u8, value, unused bytes."""
    end = len(raw) - 1
    if end < 1 or raw[end] != 0xFF:
        raise BadDump("a zipmap's frame is wrong")
    found: list[bytes] = []
    at = 1
    try:
        while at < end:
            for unused in (0, 1):
                size = raw[at]
                at += 1
                if size == 0xFE:
                    size = int.from_bytes(raw[at : at + 4], "little")
                    at += 4
                skip = raw[at] if unused else 0
                at += unused
                found.append(raw[at : at + size])
                at += size + skip
    except IndexError:
        at = -1
    if at != end or not found or raw[0] not in (0xFE, len(found) // 2):
        raise BadDump("a zipmap's entries do not fill it")
    return found
