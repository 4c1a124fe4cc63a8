"""LZF, in which RDB files compress strings.

packed := (literal | match)*
literal := 000xxxxx, x + 1 bytes as they are
match   := xxxyyyyy z, x from 1 to 6     x + 2 bytes from 256 * y + z + 1 before
         | 111yyyyy w z                  w + 9 bytes from there
"""

from __future__ import annotations

from collections.abc import Iterator

import lzf

from diskkv.errors import BadDump

# No byte of packed data stands for more than so many of the plain.
RATIO = 100
# How far back a match reaches.
WINDOW = 8192
# Literals of so many bytes make a window up when a piece is unpacked alone.
RUN = 32


def compress(data: bytes) -> bytes | None:
    """The packed form, or None when it would not save at least four bytes."""
    packed: bytes | None = lzf.compress(data, len(data) - 4)
    return packed


def decompress(packed: bytes, size: int) -> bytes:
    """The `size` bytes that `packed` stands for. BadDump when it does not."""
    if not 0 < size <= RATIO * len(packed):
        raise BadDump("a compressed string has an impossible size")
    try:
        data: bytes | None = lzf.decompress(packed, size)
    except ValueError:
        data = None
    if data is None or len(data) != size:
        raise BadDump("a compressed string can't be unpacked")
    return data


def decompress_pieces(packed: bytes, size: int, piece: int) -> Iterator[bytes]:
    """As `decompress`, some `piece` bytes at a time: for strings that are not to be in memory whole.

    A piece refers to the window before it, so it is unpacked behind that window, put in front of it as literals.
    """
    at, end, done = 0, len(packed), 0
    window = b""
    while at < end:
        start, made = at, 0
        while at < end and made < piece:
            control = packed[at]
            if control < 32:
                made += control + 1
                at += control + 2
            elif control < 224:
                made += (control >> 5) + 2
                at += 2
            elif at + 1 < end:
                made += packed[at + 1] + 9
                at += 3
            else:
                at = end + 1
        if at > end or done + made > size:
            raise BadDump("a compressed string can't be unpacked")
        front = b"".join([bytes((len(part) - 1,)) + part for part in _runs(window)])
        data = decompress(front + packed[start:at], len(window) + made)
        yield data[len(window) :]
        window = data[-WINDOW:]
        done += made
    if done != size:
        raise BadDump("a compressed string can't be unpacked")


def _runs(window: bytes) -> Iterator[bytes]:
    for at in range(0, len(window), RUN):
        yield window[at : at + RUN]
