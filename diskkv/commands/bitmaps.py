"""Bits of strings. A large string is worked on piece by piece, so SETBIT on a bitmap of 500 MB costs one piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from diskkv.commands.bitfields import bit_offset
from diskkv.dispatch.args import integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, READONLY, WRITE, Keys, group
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib import bits
from diskkv.lib.numbers import parse_int
from diskkv.types.strings import String

command = group("bitmap")

# A whole number of a string's pieces.
STRIDE = 1 << 20
OPERATIONS = frozenset({b"AND", b"OR", b"XOR", b"NOT", b"DIFF", b"DIFF1", b"ANDOR", b"ONE"})


@command("SETBIT key offset value", WRITE | DENYOOM, since="2.2.0")
def setbit(ctx: Session, key: bytes, offset: bytes, value: bytes) -> int:
    """Set or clear one bit of a string and return what it was."""
    at = bit_offset(ctx, offset)
    bit = parse_int(value)
    if bit not in (0, 1):
        raise CommandError("bit is not an integer or out of range")
    string = ctx.db.open(key, String)
    place, mask = at >> 3, 0x80 >> (at & 7)
    grows = place >= len(string)
    byte = 0 if grows else string.read(place, place + 1)[0]
    old = 1 if byte & mask else 0
    if grows or old != bit:
        string.write(place, bytes((byte | mask if bit else byte & ~mask,)))
    return old


@command("GETBIT key offset", READONLY | FAST, since="2.2.0")
def getbit(ctx: Session, key: bytes, offset: bytes) -> int:
    """Return one bit of a string; beyond its end all are 0."""
    at = bit_offset(ctx, offset)
    string = ctx.db.get(key, String)
    place = at >> 3
    if string is None or place >= len(string):
        return 0
    return 1 if string.read(place, place + 1)[0] & (0x80 >> (at & 7)) else 0


@command("BITCOUNT key [start end [BYTE | BIT]]", READONLY, since="2.6.0")
def bitcount(ctx: Session, key: bytes, *span: bytes) -> int:
    """Return how many bits are set, in all of a string or in a part given in bytes or bits."""
    if len(span) not in (0, 2, 3):
        raise BadSyntax
    start, end = (integer(span[0]), integer(span[1])) if span else (0, -1)
    unit = _unit(span[2:])
    string = ctx.db.get(key, String)
    if string is None or (start < 0 and end < 0 and start > end):
        return 0
    first, last = _bounds(len(string), start, end, unit)
    return sum(bits.bitcount(piece, low, high, True) for _, piece, low, high in _pieces(string, first, last))


@command("BITPOS key bit [start [end [BYTE | BIT]]]", READONLY, since="2.8.7")
def bitpos(ctx: Session, key: bytes, bit: bytes, *span: bytes) -> int:
    """Return the place of the first bit that is 0, or 1, in a string or in a part of it; -1 for none."""
    wanted = integer(bit)
    if wanted not in (0, 1):
        raise CommandError("The bit argument must be 1 or 0.")
    if len(span) > 3:
        raise BadSyntax
    start = integer(span[0]) if span else 0
    unit = _unit(span[2:])
    end = integer(span[1]) if len(span) > 1 else -1
    string = ctx.db.get(key, String)
    if string is None:
        return -1 if wanted else 0
    first, last = _bounds(len(string), start, end, unit)
    if first > last:
        return -1
    for base, piece, low, high in _pieces(string, first, last):
        found = bits.bitpos(piece, wanted, low, high, True)
        if found >= 0:
            return base * 8 + found
    # All ones, and no end was given: the first zero is the one behind the string.
    return len(string) * 8 if not wanted and len(span) < 2 else -1


def _unit(words: Sequence[bytes]) -> int:
    """How many bits the unit of a range has."""
    if not words or words[0].upper() == b"BYTE":
        return 8
    if words[0].upper() == b"BIT":
        return 1
    raise BadSyntax


def _bounds(size: int, start: int, end: int, unit: int) -> tuple[int, int]:
    """The first and the last bit of a range, both included; there is none when the first lies behind the last."""
    total = size * 8 // unit
    start = max(start + total, 0) if start < 0 else start
    end = max(end + total, 0) if end < 0 else end
    end = min(end, total - 1)
    return start * unit, end * unit + unit - 1


def _pieces(string: String, first: int, last: int) -> Iterator[tuple[int, bytes, int, int]]:
    """The bytes that bits `first` to `last` lie in, a stride at a time: where a piece begins, its bytes, and its first and last bit."""
    at, stop = first >> 3, (last >> 3) + 1
    while at < stop:
        behind = min(at + STRIDE - at % STRIDE, stop)
        yield at, string.read(at, behind), max(first - at * 8, 0), min(last - at * 8, (behind - at) * 8 - 1)
        at = behind


@command(
    "BITOP <AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]",
    WRITE | DENYOOM, since="2.6.0", keys=Keys(2, -1, 1),
)  # fmt: skip
def bitop(ctx: Session, operation: bytes, destkey: bytes, *keys: bytes) -> int:
    """Combine strings bit by bit, the shorter ones padded with zeros, into another; its length."""
    operation = operation.upper()
    if operation not in OPERATIONS:
        raise BadSyntax
    if operation == b"NOT" and len(keys) != 1:
        raise CommandError("BITOP NOT must be called with a single source key.")
    if operation in (b"DIFF", b"DIFF1", b"ANDOR") and len(keys) < 2:
        raise CommandError(f"BITOP {operation.decode()} must be called with at least two source keys.")
    sources = [ctx.db.get(key, String) for key in keys]
    length = max(len(source) if source is not None else 0 for source in sources)
    if not length:
        ctx.db.delete(destkey)
        return 0
    target: Any = ctx.db.find(destkey)
    if target is None or all(source is not target for source in sources):
        target = ctx.db.replace(destkey, String)
    elif target.expire is not None:
        ctx.db.set_expire(target, None)
    # Each stride of the result depends on the same stride of the sources only, so the target may be one of them.
    for at in range(0, length, STRIDE):
        target.write(at, bits.bitop(operation, [_stride(source, at) for source in sources]))
    return length


def _stride(string: String | None, at: int) -> bytes:
    if string is None or at >= len(string):
        return b""
    return string.read(at, min(at + STRIDE, len(string)))
