"""Ziplists: what Redis had before 7.0 where it has listpacks now.

ziplist := total bytes:u32le, offset of the last entry:u32le, count:u16le (65535: not known), entry*, 0xff
entry   := size of the entry before it (u8, or 0xfe u32le), encoding, data
"""

from __future__ import annotations

from diskkv.errors import BadDump

HEADER = 10
UNKNOWN = 0xFFFF
WIDTHS = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}


def read(raw: bytes) -> list[bytes]:
    """All entries, integers as digits. BadDump when anything in it is not as it must be."""
    end = len(raw) - 1
    if end < HEADER or int.from_bytes(raw[:4], "little") != len(raw) or raw[end] != 0xFF:
        raise BadDump("a ziplist's frame is wrong")
    found: list[bytes] = []
    append = found.append
    at = HEADER
    last = HEADER
    before = 0
    try:
        while at < end:
            last = start = at
            previous = raw[at]
            at += 1
            if previous == 0xFE:
                previous = int.from_bytes(raw[at : at + 4], "little")
                at += 4
            if previous != before:
                raise BadDump("a ziplist's entry has a wrong size before it")
            first = raw[at]
            if first < 0x40:
                at += 1
                stop = at + first
                append(raw[at:stop])
            elif first < 0x80:
                stop = at + 2 + ((first & 0x3F) << 8 | raw[at + 1])
                append(raw[at + 2 : stop])
            elif first == 0x80:
                stop = at + 5 + int.from_bytes(raw[at + 1 : at + 5], "big")
                append(raw[at + 5 : stop])
            elif 0xF1 <= first <= 0xFD:
                append(b"%d" % ((first & 0x0F) - 1))
                stop = at + 1
            else:
                stop = at + 1 + WIDTHS[first]
                append(b"%d" % int.from_bytes(raw[at + 1 : stop], "little", signed=True))
            before = stop - start
            at = stop
    except (IndexError, KeyError):
        at = -1
    if at != end:
        raise BadDump("a ziplist's entries do not fill it")
    if int.from_bytes(raw[4:8], "little") != last:
        raise BadDump("a ziplist's last entry is not where it must be")
    count = int.from_bytes(raw[8:10], "little")
    if count not in (UNKNOWN, len(found)):
        raise BadDump("a ziplist's count is wrong")
    return found
