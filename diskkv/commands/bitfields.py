"""Integers of any width inside strings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diskkv.dispatch.args import Args
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, READONLY, WRITE, group
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib import bits
from diskkv.lib.bits import Overflow
from diskkv.lib.numbers import parse_int
from diskkv.types.strings import String

command = group("bitmap")

_TYPE = re.compile(rb"([iu])([1-9][0-9]?)")


@dataclass(frozen=True, slots=True)
class Operation:
    """One GET, SET or INCRBY on the field of `width` bits that begins at bit `at`."""

    word: bytes
    signed: bool
    width: int
    at: int
    number: int
    overflow: Overflow


@command(
    "BITFIELD key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> "
    "[GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> ...]]",
    WRITE | DENYOOM, since="3.2.0",
)  # fmt: skip
def bitfield(ctx: Session, key: bytes, *words: bytes) -> list[int | None]:
    """Read and change integers of any width in a string."""
    operations = _parse(ctx, words)
    writes = [operation for operation in operations if operation.word != b"GET"]
    if not writes:
        return _read(ctx, key, operations)
    string = ctx.db.open(key, String)
    size = max((operation.at + operation.width + 7) >> 3 for operation in writes)
    if size > len(string):
        string.write(size - 1, b"\0")
    return [_carry_out(string, operation) for operation in operations]


@command("BITFIELD_RO key [GET encoding offset [GET encoding offset ...]]", READONLY | FAST, since="6.0.0")
def bitfield_ro(ctx: Session, key: bytes, *words: bytes) -> list[int | None]:
    """Read integers of any width from a string."""
    operations = _parse(ctx, words)
    if any(operation.word != b"GET" for operation in operations):
        raise CommandError("BITFIELD_RO only supports the GET subcommand")
    return _read(ctx, key, operations)


def _parse(ctx: Session, words: Sequence[bytes]) -> list[Operation]:
    operations = []
    overflow = Overflow.WRAP
    args = Args(words)
    while args:
        match args.word():
            case b"OVERFLOW" if args:
                try:
                    overflow = Overflow(args.word())
                except ValueError:
                    raise CommandError("Invalid OVERFLOW type specified") from None
            case b"GET" if len(args) >= 2:
                signed, width = _encoding(args.next())
                operations.append(Operation(b"GET", signed, width, bit_offset(ctx, args.next(), width), 0, overflow))
            case b"SET" | b"INCRBY" as word if len(args) >= 3:
                signed, width = _encoding(args.next())
                at = bit_offset(ctx, args.next(), width)
                operations.append(Operation(word, signed, width, at, args.int(), overflow))
            case _:
                raise BadSyntax
    return operations


def _encoding(raw: bytes) -> tuple[bool, int]:
    found = _TYPE.fullmatch(raw)
    if found is not None:
        signed, width = found[1] == b"i", int(found[2])
        if width <= 63 + signed:
            return signed, width
    raise CommandError("Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")


def bit_offset(ctx: Session, raw: bytes, width: int = 0) -> int:
    """A bit's place within the longest string; with a field's width, `#n` means the n-th field."""
    number = parse_int(raw[1:] if width and raw[:1] == b"#" else raw)
    if number is not None and width and raw[:1] == b"#":
        number *= width
    if number is None or not 0 <= number >> 3 < ctx.executor.settings["proto-max-bulk-len"]:
        raise CommandError("bit offset is not an integer or out of range")
    return number


def _read(ctx: Session, key: bytes, operations: list[Operation]) -> list[int | None]:
    string = ctx.db.get(key, String)
    return [_field(string, operation)[0] if string is not None else 0 for operation in operations]


def _field(string: String, operation: Operation) -> tuple[int, bytearray]:
    """A field's value, and the bytes it lies in, padded with zeros beyond the end of the string."""
    low, high = operation.at >> 3, (operation.at + operation.width + 7) >> 3
    length = len(string)
    buffer = bytearray(string.read(low, min(high, length)) if low < length else b"")
    buffer.extend(bytes(high - low - len(buffer)))
    return bits.get_field(buffer, operation.at & 7, operation.width, operation.signed), buffer


def _carry_out(string: String, operation: Operation) -> Any:
    old, buffer = _field(string, operation)
    if operation.word == b"GET":
        return old
    if operation.word == b"SET":
        new = bits.fit_value(operation.number, operation.width, operation.signed, operation.overflow)
    else:
        new = bits.fit_sum(old, operation.number, operation.width, operation.signed, operation.overflow)
    if new is None:
        return None
    before = bytes(buffer)
    bits.set_field(buffer, operation.at & 7, operation.width, new)
    if buffer != before:
        string.write(operation.at >> 3, bytes(buffer))
    return old if operation.word == b"SET" else new
