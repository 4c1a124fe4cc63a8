"""A content as a kind's value, in pieces of bounded size."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain
from typing import Any

from diskkv import format, rdb
from diskkv.rdb.content import Content
from diskkv.rdb.lengths import HEADS, encode_length
from diskkv.rdb.lzf import compress
from diskkv.rdb.stream_dump import dump_stream

# Shorter strings hardly ever become shorter still, and looking costs as much as writing them.
COMPRESS_FROM = 64
# Longer ones are written as they are: they come in pieces.
COMPRESS_TO = 1 << 20

_F64 = struct.Struct("<d")


def dump(content: Content, *, version: int = rdb.PLAIN, packing: bool = True) -> tuple[int, int, Iterator[bytes]]:
    """The kind to write a content as, the version of the format that has it (`version` or higher), and the value's bytes.

    `packing` allows strings to be compressed. A content whose count is not known is gathered.
    """
    if content.count is None:
        parts = list(content.parts)
        content.parts = iter(parts)
        content.count = sum(map(len, parts)) // content.width()
    if content.tag == format.STREAM:
        form, version = _stream_form(content, version)
        return STREAMS[form], version, dump_stream(content, form)
    if content.tag == format.STRING:
        return rdb.STRING, version, _string(content, packing)
    if content.tag == format.ARRAY:
        return rdb.ARRAY, max(version, 14), _array(content, packing)
    if content.timed:
        return rdb.HASH_METADATA, max(version, 12), _timed_hash(content, packing)
    if content.tag == format.ZSET:
        return rdb.ZSET_2, version, _zset(content, packing)
    return KINDS[content.tag], version, _strings(content, packing)


STREAMS = {
    2: rdb.STREAM_LISTPACKS_2,
    3: rdb.STREAM_LISTPACKS_3,
    4: rdb.STREAM_LISTPACKS_4,
    5: rdb.STREAM_LISTPACKS_5,
}


def _stream_form(content: Content, version: int) -> tuple[int, int]:
    """The form that has all that a stream is, and the version that has the form."""
    state = content.state
    assert state is not None
    if any(group.released for group in state.groups):
        return 5, max(version, 14)
    if state.production is not None:
        return 4, max(version, 13)
    return 3 if version > 10 else 2, version


KINDS = {format.LIST: rdb.LIST, format.SET: rdb.SET, format.HASH: rdb.HASH}


def encode_string(data: bytes, packing: bool = True) -> bytes:
    """A string, compressed if that pays."""
    size = len(data)
    if packing and COMPRESS_FROM <= size <= COMPRESS_TO:
        packed = compress(data)
        if packed is not None:
            return b"\xc3" + encode_length(len(packed)) + encode_length(size) + packed
    return encode_length(size) + data


def encode_strings(strings: list[bytes], packing: bool) -> bytes:
    """Strings one after the other."""
    sizes = list(map(len, strings))
    if max(sizes) < COMPRESS_FROM:
        return b"".join(chain.from_iterable(zip(map(HEADS.__getitem__, sizes), strings, strict=True)))
    return b"".join([encode_string(data, packing) for data in strings])


def _string(content: Content, packing: bool) -> Iterator[bytes]:
    assert content.count is not None
    if content.count <= COMPRESS_TO:
        yield encode_string(b"".join(content.parts), packing)
        return
    yield encode_length(content.count)
    yield from content.parts


def _strings(content: Content, packing: bool) -> Iterator[bytes]:
    assert content.count is not None
    yield encode_length(content.count)
    for part in content.parts:
        yield encode_strings(part, packing)


def _zset(content: Content, packing: bool) -> Iterator[bytes]:
    assert content.count is not None
    yield encode_length(content.count)
    pack = _F64.pack
    for part in content.parts:
        members, scores = part[::2], map(pack, part[1::2])
        sizes = list(map(len, members))
        if max(sizes) < COMPRESS_FROM:
            yield b"".join(chain.from_iterable(zip(map(HEADS.__getitem__, sizes), members, scores, strict=True)))
        else:
            yield b"".join([encode_string(member, packing) + score for member, score in zip(members, scores, strict=True)])


def _array(content: Content, packing: bool) -> Iterator[bytes]:
    """All elements are written as strings, which Redis takes for the numbers that some are."""
    assert content.count is not None
    cursor = b"\0" if content.cursor is None else b"\1" + encode_length(content.cursor)
    yield encode_length(content.count) + cursor
    for part in content.parts:
        yield b"".join([encode_length(index) + b"\0" + encode_string(data, packing) for index, data in part])


def _timed_hash(content: Content, packing: bool) -> Iterator[bytes]:
    """Deadlines are written as their distance from the earliest, and that may be any time before it: so it need not be known."""
    assert content.count is not None
    first: list[Any] = next(content.parts)
    deadlines = [deadline for deadline in first[2::3] if deadline]
    base = min(deadlines) if deadlines and len(first) == 3 * content.count else 1
    yield base.to_bytes(8, "little") + encode_length(content.count)
    for part in chain((first,), content.parts):
        pieces = []
        for at in range(0, len(part), 3):
            deadline = part[at + 2]
            pieces.append(encode_length(deadline - base + 1 if deadline else 0))
            pieces.append(encode_string(part[at], packing))
            pieces.append(encode_string(part[at + 1], packing))
        yield b"".join(pieces)
