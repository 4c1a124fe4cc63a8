"""Bit operations on strings: BITCOUNT, BITPOS, BITOP and BITFIELD. Bit 0 is the most significant bit of the first byte.

What lies beyond the end of a string reads as zeros.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import reduce
from operator import and_, or_, xor

_NOT_ZEROS = re.compile(rb"[^\x00]")
_NOT_ONES = re.compile(rb"[^\xff]")
_INVERTED = bytes(255 - value for value in range(256))
_CHUNK = 1 << 16
_SIMPLE = {b"AND": and_, b"OR": or_, b"XOR": xor}


class Overflow(Enum):
    """What BITFIELD does with a value that doesn't fit."""

    WRAP = b"WRAP"
    SAT = b"SAT"
    FAIL = b"FAIL"


def get_bit(data: bytes | bytearray, offset: int) -> int:
    """One bit, 0 beyond the end."""
    at = offset >> 3
    return (data[at] >> (7 - (offset & 7))) & 1 if at < len(data) else 0


def set_bit(buffer: bytearray, offset: int, value: int) -> int:
    """Sets one bit, makes the buffer longer if need be, and returns the bit that was there."""
    at, mask = offset >> 3, 0x80 >> (offset & 7)
    if at >= len(buffer):
        buffer.extend(bytes(at + 1 - len(buffer)))
    old = buffer[at] & mask
    buffer[at] = buffer[at] | mask if value else buffer[at] & ~mask
    return 1 if old else 0


def bitcount(data: bytes | bytearray, start: int = 0, end: int = -1, unit_bit: bool = False) -> int:
    """How many ones lie from `start` to `end`, both included, counted in bytes or bits and from the end if negative."""
    if start < 0 and end < 0 and start > end:
        return 0
    first, last = _bounds(len(data), start, end, unit_bit)
    if first > last:
        return 0
    view = memoryview(data)[first >> 3 : (last >> 3) + 1]
    count = sum(int.from_bytes(view[at : at + _CHUNK], "big").bit_count() for at in range(0, len(view), _CHUNK))
    before = view[0] >> (8 - (first & 7))
    after = view[-1] & ((0x80 >> (last & 7)) - 1)
    return count - before.bit_count() - after.bit_count()


def bitpos(data: bytes | bytearray, bit: int, start: int = 0, end: int | None = None, unit_bit: bool = False) -> int:
    """The place of the first such bit in the range, or -1.

    A zero is found behind the end of the data if no `end` was given, and all of the range is ones. An empty range has no bit
    at all; so has an empty string, while for a key that isn't there BITPOS answers 0 for a zero, which is up to the caller.
    """
    first, last = _bounds(len(data), start, -1 if end is None else end, unit_bit)
    if first > last:
        return -1
    # The bits of the first byte that are out of the range must not be found; all further bytes count in full but the last,
    # where a find behind the range is no find.
    at = first >> 3
    ignored = 0xFF >> (first & 7)
    head = data[at] & ignored if bit else ~data[at] & ignored
    if not head:
        pattern = _NOT_ZEROS if bit else _NOT_ONES
        match = pattern.search(data, at + 1, (last >> 3) + 1)
        if match is None:
            return (last >> 3) * 8 + 8 if not bit and end is None else -1
        at = match.start()
        head = data[at] if bit else ~data[at] & 0xFF
    found = at * 8 + 8 - head.bit_length()
    return found if found <= last else -1


def _bounds(size: int, start: int, end: int, unit_bit: bool) -> tuple[int, int]:
    """The first and the last bit of a range; there is none if the first lies behind the last."""
    total = size * 8 if unit_bit else size
    start = max(start + total, 0) if start < 0 else start
    end = max(end + total, 0) if end < 0 else end
    end = min(end, total - 1)
    return (start, end) if unit_bit else (start * 8, end * 8 + 7)


def bitop(op: bytes, sources: Sequence[bytes]) -> bytes:
    """AND, OR, XOR of strings, the shorter ones padded with zeros; NOT of the one string there is.

    DIFF is what the first has and no other, DIFF1 what any other has and not the first, ANDOR what the first has and any other, ONE what
    just one has.
    """
    if op == b"NOT":
        return sources[0].translate(_INVERTED)
    # Read as little-endian numbers, strings are padded at their ends by themselves.
    numbers = [int.from_bytes(source, "little") for source in sources]
    total: int
    if op in _SIMPLE:
        total = reduce(_SIMPLE[op], numbers)
    elif op == b"ONE":
        total = several = 0
        for number in numbers:
            several |= total & number
            total |= number
        total &= ~several
    else:
        first, others = numbers[0], reduce(or_, numbers[1:])
        total = first & others if op == b"ANDOR" else first & ~others if op == b"DIFF" else others & ~first
    return total.to_bytes(max(map(len, sources)), "little")


def get_field(buffer: bytes | bytearray, offset: int, bits: int, signed: bool) -> int:
    """The integer of `bits` bits that begins at bit `offset`."""
    start, stop = offset >> 3, (offset + bits + 7) >> 3
    piece = buffer[start:stop]
    whole = int.from_bytes(piece, "big") << (8 * (stop - start - len(piece)))
    value = (whole >> (8 * stop - offset - bits)) & ((1 << bits) - 1)
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def set_field(buffer: bytearray, offset: int, bits: int, value: int) -> None:
    """Writes an integer that fits, or whose lowest `bits` bits are meant, and makes the buffer longer if need be."""
    start, stop = offset >> 3, (offset + bits + 7) >> 3
    if stop > len(buffer):
        buffer.extend(bytes(stop - len(buffer)))
    shift = 8 * stop - offset - bits
    mask = ((1 << bits) - 1) << shift
    whole = int.from_bytes(buffer[start:stop], "big")
    whole = (whole & ~mask) | ((value << shift) & mask)
    buffer[start:stop] = whole.to_bytes(stop - start, "big")


def fit_sum(old: int, increment: int, bits: int, signed: bool, overflow: Overflow) -> int | None:
    """What BITFIELD INCRBY makes of a field; None if it doesn't fit and the overflow is FAIL."""
    return _fit(old + increment, bits, signed, overflow)


def fit_value(value: int, bits: int, signed: bool, overflow: Overflow) -> int | None:
    """What BITFIELD SET writes for a 64-bit value; None if it doesn't fit and the overflow is FAIL.

    Two quirks are those of BITFIELD SET with OVERFLOW SAT in Redis. For an unsigned field a negative value is a great one, so
    it becomes the greatest, not 0. For a signed field so does a value that is 2^63 or more below the greatest.
    """
    if not signed:
        value &= 0xFFFFFFFFFFFFFFFF
    elif bits < 64 and (1 << (bits - 1)) - 1 - value >= 1 << 63:
        value += 1 << 64
    return _fit(value, bits, signed, overflow)


def _fit(value: int, bits: int, signed: bool, overflow: Overflow) -> int | None:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if low <= value <= high:
        return value
    if overflow is Overflow.FAIL:
        return None
    if overflow is Overflow.SAT:
        return low if value < low else high
    return (value - low) % (1 << bits) + low
