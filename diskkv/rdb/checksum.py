"""CRC-64 as Redis computes it (polynomial 0xad93d23594c935a9, reflected, no final xor)."""

from __future__ import annotations

import anycrc

_MODEL = anycrc.Model("CRC64-REDIS")


def crc64(data: bytes | memoryview, crc: int = 0) -> int:
    """The checksum of some bytes, going on from the checksum of those before them."""
    result: int = _MODEL.calc(data, crc)
    return result


def combine(first: int, second: int, length: int) -> int:
    """The checksum of two pieces one after the other, from the checksum of each and the second's length."""
    result: int = _MODEL.combine(first, second, length)
    return result
