"""Listpacks: the entries of a small collection in one string.

listpack := total bytes:u32le, count:u16le (65535: not known), entry*, 0xff
entry    := data, the size of data in 7-bit groups so that it can be read backwards
"""

from __future__ import annotations

from diskkv.errors import BadDump
from diskkv.lib.numbers import parse_int

HEADER = 6
UNKNOWN = 0xFFFF
# Integers by their leading byte: how many bytes follow.
WIDTHS = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}


def read(raw: bytes) -> list[bytes]:
    """All entries, integers as digits. BadDump when anything in it is not as it must be."""
    end = len(raw) - 1
    if end < HEADER or int.from_bytes(raw[:4], "little") != len(raw) or raw[end] != 0xFF:
        raise BadDump("a listpack's frame is wrong")
    found: list[bytes] = []
    append = found.append
    at = HEADER
    try:
        while at < end:
            first = raw[at]
            if first < 0x80:
                append(b"%d" % first)
                size = 1
            elif first < 0xC0:
                size = 1 + (first & 0x3F)
                append(raw[at + 1 : at + size])
            elif first < 0xE0:
                number = (first & 0x1F) << 8 | raw[at + 1]
                append(b"%d" % (number if number < 0x1000 else number - 0x2000))
                size = 2
            elif first < 0xF0:
                size = 2 + ((first & 0x0F) << 8 | raw[at + 1])
                append(raw[at + 2 : at + size])
            elif first == 0xF0:
                size = 5 + int.from_bytes(raw[at + 1 : at + 5], "little")
                append(raw[at + 5 : at + size])
            else:
                size = 1 + WIDTHS[first]
                append(b"%d" % int.from_bytes(raw[at + 1 : at + size], "little", signed=True))
            at += size
            if size < 128:
                if raw[at] != size:
                    raise BadDump("a listpack's entry has a wrong size behind it")
                at += 1
            else:
                back = encode_back(size)
                if raw[at : at + len(back)] != back:
                    raise BadDump("a listpack's entry has a wrong size behind it")
                at += len(back)
    except (IndexError, KeyError):
        at = -1
    if at != end:
        raise BadDump("a listpack's entries do not fill it")
    count = int.from_bytes(raw[4:6], "little")
    if count not in (UNKNOWN, len(found)):
        raise BadDump("a listpack's count is wrong")
    return found


def encode_back(size: int) -> bytes:
    """The size behind an entry: groups of 7 bits, the highest first, all but the first with the top bit set."""
    groups = [size & 0x7F]
    while size := size >> 7:
        groups.append(size & 0x7F)
    return bytes((groups[-1], *(group | 0x80 for group in groups[-2::-1])))


def write(entries: list[bytes]) -> bytes:
    """A listpack of entries; digits become integers, as in Redis."""
    body = b"".join(map(encode_entry, entries))
    total = HEADER + len(body) + 1
    return total.to_bytes(4, "little") + min(len(entries), UNKNOWN).to_bytes(2, "little") + body + b"\xff"


def encode_entry(entry: bytes) -> bytes:
    """One entry with the size behind it."""
    size = len(entry)
    if size <= 20:
        number = parse_int(entry)
        if number is not None:
            return encode_integer(number)
    if size < 64:
        data = bytes((0x80 | size,)) + entry
    elif size < 4096:
        data = bytes((0xE0 | size >> 8, size & 0xFF)) + entry
    else:
        data = b"\xf0" + size.to_bytes(4, "little") + entry
    return data + (bytes((len(data),)) if len(data) < 128 else encode_back(len(data)))


def encode_integer(number: int) -> bytes:
    """An integer entry with the size behind it."""
    if 0 <= number < 128:
        return bytes((number, 1))
    if -0x1000 <= number < 0x1000:
        number &= 0x1FFF
        return bytes((0xC0 | number >> 8, number & 0xFF, 2))
    for first, width in WIDTHS.items():
        if -(1 << 8 * width - 1) <= number < 1 << 8 * width - 1:
            return bytes((first,)) + number.to_bytes(width, "little", signed=True) + bytes((width + 1,))
    raise ValueError("no 64-bit integer")
