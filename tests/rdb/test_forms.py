"""Every form of every primitive and value, also those that no present Redis writes: made here by hand, read, and damaged."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diskkv import format, rdb
from diskkv.errors import BadDump
from diskkv.rdb import listpack, lzf, ziplist
from diskkv.rdb.checksum import combine, crc64
from diskkv.rdb.content import Content
from diskkv.rdb.dump import dump, encode_string
from diskkv.rdb.lengths import encode_length
from diskkv.rdb.load import EmptyValue, load
from diskkv.rdb.packed import read_intset, read_zipmap
from diskkv.rdb.source import Source
from tests.rdb.values import EDGES, word

INTEGER = ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4), (0xE0, 8))


def make_ziplist(entries: list[bytes]) -> bytes:
    """A ziplist as Redis made them: integers packed, each entry with the size of the one before it."""
    body, before, last = b"", 0, 10
    for entry in entries:
        head = bytes((before,)) if before < 254 else b"\xfe" + before.to_bytes(4, "little")
        number = int(entry) if entry.lstrip(b"-").isdigit() and b"%d" % int(entry) == entry and len(entry) < 20 else None
        if number is not None and 0 <= number <= 12:
            data = bytes((0xF1 + number,))
        elif number is not None and -(1 << 63) <= number < 1 << 63:
            first, width = next(one for one in INTEGER if -(1 << 8 * one[1] - 1) <= number < 1 << 8 * one[1] - 1)
            data = bytes((first,)) + number.to_bytes(width, "little", signed=True)
        elif len(entry) < 64:
            data = bytes((len(entry),)) + entry
        elif len(entry) < 1 << 14:
            data = (len(entry) | 0x4000).to_bytes(2, "big") + entry
        else:
            data = b"\x80" + len(entry).to_bytes(4, "big") + entry
        last = 10 + len(body)
        body += head + data
        before = len(head) + len(data)
    total = 11 + len(body)
    return struct.pack("<IIH", total, last, min(len(entries), 65535)) + body + b"\xff"


def make_zipmap(entries: list[bytes], unused: int) -> bytes:
    out = bytes((min(len(entries) // 2, 254),))
    for place, entry in enumerate(entries):
        out += bytes((len(entry),)) if len(entry) < 254 else b"\xfe" + len(entry).to_bytes(4, "little")
        out += (bytes((unused,)) if place % 2 else b"") + entry + (b"\0" * unused if place % 2 else b"")
    return out + b"\xff"


def taken(content: Content) -> Any:
    parts = list(content.parts)
    return b"".join(parts) if content.tag == format.STRING else [item for part in parts for item in part]


def loaded(kind: int, raw: bytes) -> Any:
    source = Source.of(raw)
    found = taken(load(kind, source))
    assert source.ended()
    return found


entries = st.lists(st.one_of(st.binary(max_size=300), st.sampled_from([b"%d" % edge for edge in EDGES])), max_size=60)


@given(entries)
@settings(max_examples=100)
def test_listpacks_and_ziplists(items: list[bytes]) -> None:
    assert listpack.read(listpack.write(items)) == items
    assert ziplist.read(make_ziplist(items)) == items


def test_long_entries() -> None:
    for size in (63, 64, 127, 128, 253, 254, 4095, 4096, 16383, 16384, 70000, 300_000):
        items = [b"x" * size, b"1", b"y" * size]
        assert listpack.read(listpack.write(items)) == items == ziplist.read(make_ziplist(items))
    many = [b"%d" % number for number in range(70_000)]
    assert listpack.read(listpack.write(many)) == many == ziplist.read(make_ziplist(many))


@pytest.mark.parametrize(("width", "letter"), [(2, "h"), (4, "i"), (8, "q")])
def test_intsets(width: int, letter: str) -> None:
    rng = random.Random(width)
    numbers = sorted({rng.randrange(-(1 << 8 * width - 1), 1 << 8 * width - 1) for _ in range(60)})[:50]
    raw = struct.pack(f"<II50{letter}", width, 50, *numbers)
    assert read_intset(raw) == [b"%d" % number for number in numbers]
    for wrong in (raw[:-1], raw + b"\0", struct.pack("<II", 3, 0), struct.pack(f"<II2{letter}", width, 2, 5, 5), b""):
        with pytest.raises(BadDump):
            read_intset(wrong)


def test_zipmaps() -> None:
    for items in ([b"f", b"v"], [b"a" * 300, b"b" * 254, b"", b"x"], [b"%d" % number for number in range(600)]):
        for unused in (0, 3):
            assert read_zipmap(make_zipmap(items, unused)) == items


def test_every_kind() -> None:
    rng = random.Random(2)
    items = [b"%d-%b" % (number, word(rng)[:100]) for number in range(0, 80)]
    pairs = [(one, other) for one, other in zip(items[::2], items[1::2], strict=True)]
    flat = [part for pair in pairs for part in pair]
    scores = [1.5, -3.0, float("inf"), float("-inf"), 0.0, 1e300, 17.0, -0.1] * 5
    scored = [part for pair in zip(items, scores, strict=False) for part in pair]
    packed_scores = [part for item, score in zip(items, scores, strict=False) for part in (item, repr(score).encode())]
    strings = b"".join(map(encode_string, items))
    assert loaded(rdb.LIST, encode_length(80) + strings) == items == loaded(rdb.SET, encode_length(80) + strings)
    assert loaded(rdb.HASH, encode_length(40) + strings) == flat
    texts = [b"\xfe" if score == float("inf") else b"\xff" if score == float("-inf") else b"%c%b" % (len(repr(score)), repr(score).encode())
             for score in scores]  # fmt: skip
    old = b"".join(encode_string(item) + text for item, text in zip(items, texts, strict=False))
    new = b"".join(encode_string(item) + struct.pack("<d", score) for item, score in zip(items, scores, strict=False))
    assert loaded(rdb.ZSET, encode_length(40) + old) == scored == loaded(rdb.ZSET_2, encode_length(40) + new)
    for kind, make in ((rdb.LIST_ZIPLIST, make_ziplist), (rdb.SET_LISTPACK, listpack.write)):
        assert loaded(kind, encode_string(make(items))) == items
    for kind, make in (
        (rdb.HASH_ZIPLIST, make_ziplist),
        (rdb.HASH_LISTPACK, listpack.write),
        (rdb.HASH_ZIPMAP, lambda all_: make_zipmap(all_, 1)),
    ):
        assert loaded(kind, encode_string(make(flat))) == flat
    for kind, make in ((rdb.ZSET_ZIPLIST, make_ziplist), (rdb.ZSET_LISTPACK, listpack.write)):
        assert loaded(kind, encode_string(make(packed_scores))) == scored
    nodes = b"".join(encode_string(make_ziplist(part)) for part in (items[:30], [], items[30:]))
    assert loaded(rdb.LIST_QUICKLIST, encode_length(3) + nodes) == items
    mixed = b"\x02" + encode_string(listpack.write(items[:79])) + b"\x01" + encode_string(items[79])
    assert loaded(rdb.LIST_QUICKLIST_2, encode_length(2) + mixed) == items
    now = 1_700_000_000_000
    timed = [part for number, (field, value) in enumerate(pairs) for part in (field, value, now + number if number % 3 else 0)]
    texts = [part if isinstance(part, bytes) else b"%d" % part for part in timed]
    least = (now + 1).to_bytes(8, "little")
    assert loaded(rdb.HASH_LISTPACK_EX_PRE_GA, encode_string(listpack.write(texts))) == timed
    assert loaded(rdb.HASH_LISTPACK_EX, least + encode_string(listpack.write(texts))) == timed

    def rows(base: int) -> bytes:
        return encode_length(40) + b"".join(
            encode_length(timed[at + 2] and timed[at + 2] - base) + encode_string(timed[at]) + encode_string(timed[at + 1])
            for at in range(0, len(timed), 3)
        )

    assert loaded(rdb.HASH_METADATA_PRE_GA, rows(0)) == timed
    assert loaded(rdb.HASH_METADATA, least + rows(now)) == timed


def test_streams_of_the_first_form() -> None:
    base = (5 << 64 | 1).to_bytes(16, "big")
    node = [
        b"2",
        b"1",
        b"1",
        b"f",
        b"0",
        b"2",
        b"0",
        b"0",
        b"v1",
        b"4",
        b"3",
        b"0",
        b"1",
        b"gone",
        b"4",
        b"0",
        b"7",
        b"-1",
        b"1",
        b"g",
        b"v2",
        b"6",
    ]
    pending = encode_length(1) + base + (123).to_bytes(8, "little") + encode_length(2)
    group = encode_string(b"group") + encode_length(5) + encode_length(1) + pending
    group += encode_length(1) + encode_string(b"me") + (99).to_bytes(8, "little") + encode_length(1) + base
    tail = encode_length(2) + encode_length(12) + encode_length(0) + encode_length(1) + group
    raw = encode_length(1) + encode_string(base) + encode_string(listpack.write(node)) + tail
    content = load(rdb.STREAM_LISTPACKS, Source.of(raw))
    assert taken(content) == [(5 << 64 | 1, (b"f", b"v1")), (12 << 64, (b"g", b"v2"))]
    state = content.state
    assert state is not None and (state.last, state.added) == (12 << 64, 2)
    found = state.groups[0]
    assert (found.name, found.read, found.pending[0].consumer, found.pending[0].count, found.consumers[0].seen) == (
        b"group",
        1,
        b"me",
        2,
        99,
    )
    # and what is written of it reads the same
    for version in (10, 11):
        again = load(rdb.STREAM_LISTPACKS, Source.of(raw))
        kind, _, pieces = dump(again, version=version)
        second = load(kind, Source.of(b"".join(pieces)))
        assert taken(second) == taken(load(rdb.STREAM_LISTPACKS, Source.of(raw)))
        assert second.state is not None and second.state.groups[0].pending == found.pending


@pytest.mark.parametrize("kind", [rdb.LIST, rdb.SET, rdb.HASH, rdb.ZSET, rdb.ZSET_2, rdb.LIST_QUICKLIST, rdb.LIST_QUICKLIST_2])
def test_empty_collections_are_told_from_damage(kind: int) -> None:
    with pytest.raises(EmptyValue):
        load(kind, Source.of(b"\x00"))


def test_strings_of_every_form() -> None:
    for number in EDGES:
        for first, layout in ((b"\xc0", "<b"), (b"\xc1", "<h"), (b"\xc2", "<i")):
            if -(1 << 8 * struct.calcsize(layout) - 1) <= number < 1 << 8 * struct.calcsize(layout) - 1:
                assert loaded(rdb.STRING, first + struct.pack(layout, number)) == b"%d" % number
    for size in (0, 1, 63, 64, 16383, 16384, 3 << 20):
        for data in (b"ab" * (size // 2) + b"c" * (size % 2), random.Random(size).randbytes(size)):
            assert loaded(rdb.STRING, encode_string(data)) == data
            assert Source.of(encode_string(data)).string() == data
    assert Source.of(b"\x81" + (3).to_bytes(8, "big") + b"abc").string() == b"abc"
    assert Source.of(b"\x80" + (3).to_bytes(4, "big") + b"abc").string() == b"abc"


def test_compressed_strings_in_pieces() -> None:
    """The pieces of what the compressor made are the whole, wherever they are cut."""
    rng = random.Random(3)
    words = [rng.randbytes(rng.randrange(1, 40)) for _ in range(50)]
    for size in (100, 9000, 200_000):
        data = b"".join(rng.choice(words) for _ in range(size // 10)) + b"x" * size
        packed = lzf.compress(data)
        assert packed is not None and lzf.decompress(packed, len(data)) == data
        for piece in (1, 100, 5000, 1 << 20):
            assert b"".join(lzf.decompress_pieces(packed, len(data), piece)) == data
        for _ in range(50):
            wrong = bytearray(packed)
            wrong[rng.randrange(len(wrong))] ^= 1 << rng.randrange(8)
            for size_ in (len(data), len(data) + 1):
                with contextlib.suppress(BadDump):
                    assert len(b"".join(lzf.decompress_pieces(bytes(wrong), size_, 1000))) == size_
    with pytest.raises(BadDump):
        lzf.decompress(b"\x00a", 1 << 40)


def test_lies_about_sizes_cost_nothing() -> None:
    """A count or length far beyond what is there is an error at once."""
    huge = b"\x81" + b"\x7f" + b"\xff" * 7
    for kind in range(1, 26):
        for raw in (huge, huge * 3, b"\xc3" + huge * 2 + b"x", b"\x02" + huge, b"\x01" + huge, huge + b"\x01a" * 50):
            with pytest.raises(BadDump):
                taken(load(kind, Source.of(raw)))
    for raw in (huge, b"\xc3" + huge * 2 + b"x"):
        with pytest.raises(BadDump):
            taken(load(rdb.STRING, Source.of(raw)))


@given(st.binary(max_size=200), st.integers(0, 25))
@settings(max_examples=400)
def test_anything_is_a_value_or_an_error(raw: bytes, kind: int) -> None:
    with contextlib.suppress(BadDump):
        taken(load(kind, Source.of(raw)))


def test_sources_in_small_pieces() -> None:
    """The same whether bytes come all at once or one by one; position and checksum, too."""
    rng = random.Random(5)
    words = [word(rng) for _ in range(300)]
    raw = b"".join(map(encode_string, words)) + encode_length(1 << 33)
    for limit in (1, 7, 1000):
        source = Source(chopped(raw, limit))
        assert source.strings(100) == words[:100]
        assert [source.string() for _ in range(100)] == words[100:200]
        assert [b"".join(source.pieces()[1]) for _ in range(100)] == words[200:]
        assert source.length() == 1 << 33
        assert (source.position, source.checksum(), source.ended()) == (len(raw), crc64(raw), True)


def chopped(raw: bytes, limit: int) -> Callable[[int], bytes]:
    rest = memoryview(raw)

    def read(count: int) -> bytes:
        nonlocal rest
        taken_, rest = bytes(rest[: min(count, limit)]), rest[min(count, limit) :]
        return taken_

    return read


def test_checksums() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert combine(crc64(b"1234"), crc64(b"56789"), 5) == crc64(b"123456789") == crc64(b"56789", crc64(b"1234"))
