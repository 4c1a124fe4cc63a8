"""Bit operations: against plain lists of bits, and against what redis-server 7 answered (recorded here)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.lib import bits
from diskkv.lib.bits import Overflow

DATA = st.one_of(st.binary(max_size=12), st.integers(0, 12).map(lambda size: b"\xff" * size), st.integers(0, 12).map(bytes))
INDEX = st.integers(-110, 110)


def unpack(data: bytes) -> list[int]:
    return [(byte >> shift) & 1 for byte in data for shift in range(7, -1, -1)]


def bounds(size: int, start: int, end: int) -> range:
    """The places that a Redis range means."""
    first = max(start + size, 0) if start < 0 else start
    last = max(end + size, 0) if end < 0 else end
    return range(first, min(last, size - 1) + 1)


@given(DATA, INDEX, INDEX)
def test_ones_are_counted(data: bytes, start: int, end: int) -> None:
    ones = unpack(data)
    backwards = start < 0 and end < 0 and start > end
    assert bits.bitcount(data) == sum(ones)
    by_bit = sum(ones[at] for at in bounds(len(ones), start, end))
    by_byte = sum(sum(ones[at * 8 : at * 8 + 8]) for at in bounds(len(data), start, end))
    assert bits.bitcount(data, start, end, True) == (0 if backwards else by_bit)
    assert bits.bitcount(data, start, end) == (0 if backwards else by_byte)


@given(DATA, st.integers(0, 1), INDEX, INDEX)
def test_the_first_bit_is_found(data: bytes, bit: int, start: int, end: int) -> None:
    values = unpack(data)
    assert bits.bitpos(data, bit, start, end, True) == next((at for at in bounds(len(values), start, end) if values[at] == bit), -1)
    places = [at * 8 + shift for at in bounds(len(data), start, end) for shift in range(8)]
    assert bits.bitpos(data, bit, start, end) == next((at for at in places if values[at] == bit), -1)


@pytest.mark.parametrize(
    ("data", "bit", "start", "end", "found"),
    [
        (b"\xff\xf0\x00", 0, 0, None, 12),
        (b"\xff\xff", 0, 0, None, 16),
        (b"\xff\xff", 0, 1, None, 16),
        (b"\xff\xff", 0, 0, -1, -1),
        (b"\xff\xff", 0, 2, None, -1),
        (b"\x00\x00", 1, 0, None, -1),
        (b"", 0, 0, None, -1),
    ],
)
def test_a_zero_lies_behind_the_end_unless_an_end_is_given(data: bytes, bit: int, start: int, end: int | None, found: int) -> None:
    assert bits.bitpos(data, bit, start, end) == found


def test_long_strings() -> None:
    data = b"\0" * 300_000 + b"\x01" + b"\xff" * 100_000
    assert bits.bitcount(data) == 800_001
    assert bits.bitcount(data, 2_400_007, 2_400_009, True) == 3
    assert bits.bitpos(data, 1) == 2_400_007
    assert bits.bitpos(data, 0, 300_001) == 3_200_008


@pytest.mark.parametrize(
    ("op", "sources", "result"),
    [
        (b"AND", [b"foobar", b"abcdef"], b"`bc`ab"),
        (b"OR", [b"\x0f", b"\xf0\x01"], b"\xff\x01"),
        (b"AND", [b"\xff\xff", b"\x01"], b"\x01\x00"),
        (b"XOR", [b"\xff", b"\x0f", b"\x01\x00"], b"\xf1\x00"),
        (b"NOT", [b"\x00\xf1"], b"\xff\x0e"),
        (b"NOT", [b""], b""),
        (b"AND", [b"", b"a"], b"\x00"),
        (b"OR", [b"", b""], b""),
    ],
)
def test_strings_are_combined(op: bytes, sources: list[bytes], result: bytes) -> None:
    assert bits.bitop(op, sources) == result


@given(st.binary(max_size=12), st.integers(0, 90), st.integers(1, 64), st.booleans(), st.integers(-(2**63), 2**63 - 1))
def test_a_field_is_read_back_and_nothing_else_changes(data: bytes, offset: int, size: int, signed: bool, value: int) -> None:
    buffer = bytearray(data)
    bits.set_field(buffer, offset, size, value)
    low = -(1 << (size - 1)) if signed else 0
    assert bits.get_field(buffer, offset, size, signed) == (value - low) % (1 << size) + low
    before, after = unpack(data.ljust(len(buffer), b"\0")), unpack(bytes(buffer))
    assert before[:offset] == after[:offset]
    assert before[offset + size :] == after[offset + size :]


def test_a_field_beyond_the_end_is_zero() -> None:
    assert bits.get_field(b"\xff", 4, 8, False) == 0xF0
    assert bits.get_field(b"\xff", 100, 64, True) == 0


@given(st.binary(max_size=4), st.integers(0, 50), st.integers(0, 1))
def test_a_bit_is_a_field_of_one(data: bytes, offset: int, value: int) -> None:
    buffer = bytearray(data)
    assert bits.set_bit(buffer, offset, value) == bits.get_field(data, offset, 1, False)
    assert bits.get_bit(buffer, offset) == value == bits.get_field(buffer, offset, 1, False)
    assert len(buffer) == max(len(data), offset // 8 + 1)


@pytest.mark.parametrize(
    ("old", "increment", "size", "signed", "overflow", "new"),
    [
        (250, 10, 8, False, Overflow.WRAP, 4),
        (250, 10, 8, False, Overflow.SAT, 255),
        (250, 10, 8, False, Overflow.FAIL, None),
        (1, -2, 8, False, Overflow.SAT, 0),
        (127, 1, 8, True, Overflow.WRAP, -128),
        (-128, -1, 8, True, Overflow.SAT, -128),
        (2**63 - 1, 1, 64, True, Overflow.WRAP, -(2**63)),
        (5, 1, 8, True, Overflow.FAIL, 6),
    ],
)
def test_a_sum_is_made_to_fit(old: int, increment: int, size: int, signed: bool, overflow: Overflow, new: int | None) -> None:
    assert bits.fit_sum(old, increment, size, signed, overflow) == new


@pytest.mark.parametrize(
    ("value", "size", "signed", "overflow", "new"),
    [
        (-1, 8, False, Overflow.SAT, 255),
        (-1, 8, False, Overflow.WRAP, 255),
        (-1, 8, True, Overflow.SAT, -1),
        (-200, 8, True, Overflow.SAT, -128),
        (-(2**63), 8, True, Overflow.SAT, 127),
        (-(2**63), 62, True, Overflow.SAT, 2**61 - 1),
        (-6488342266851181293, 63, True, Overflow.SAT, 2**62 - 1),
        (256, 8, False, Overflow.FAIL, None),
    ],
)
def test_a_value_is_made_to_fit(value: int, size: int, signed: bool, overflow: Overflow, new: int | None) -> None:
    assert bits.fit_value(value, size, signed, overflow) == new
