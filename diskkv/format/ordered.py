"""Numbers as bytes that sort as the numbers do."""

from __future__ import annotations

import struct

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_F64 = struct.Struct(">d")

_ZERO = b"\x80" + bytes(7)

pack_u32 = _U32.pack
pack_u64 = _U64.pack


def unpack_u32(raw: bytes, at: int = 0) -> int:
    number: int = _U32.unpack_from(raw, at)[0]
    return number


def unpack_u64(raw: bytes, at: int = 0) -> int:
    number: int = _U64.unpack_from(raw, at)[0]
    return number


def pack_f64(number: float) -> bytes:
    """Eight bytes; -0.0 becomes 0.0. REQUIRES: not NaN, which has no place in the order."""
    # A positive number with its sign changed has the highest bit set, and so lies above all negative ones, whose bits are turned over.
    if number > 0:
        return _F64.pack(-number)
    if number < 0:
        return _U64.pack(0xFFFFFFFFFFFFFFFF ^ int.from_bytes(_F64.pack(number), "big"))
    return _ZERO


def unpack_f64(raw: bytes, at: int = 0) -> float:
    """The number that `pack_f64` packed."""
    bits: int = _U64.unpack_from(raw, at)[0]
    bits = bits ^ 0x8000000000000000 if bits & 0x8000000000000000 else bits ^ 0xFFFFFFFFFFFFFFFF
    number: float = _F64.unpack(_U64.pack(bits))[0]
    return number
