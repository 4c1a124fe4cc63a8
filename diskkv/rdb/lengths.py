"""How lengths are written."""

from __future__ import annotations

# The lengths below 64, one byte each.
HEADS = tuple(bytes((size,)) for size in range(64))


def encode_length(number: int) -> bytes:
    """A length in as few bytes as may be."""
    if number < 64:
        return HEADS[number]
    if number < 1 << 14:
        return (number | 0x4000).to_bytes(2, "big")
    if number < 1 << 32:
        return b"\x80" + number.to_bytes(4, "big")
    return b"\x81" + number.to_bytes(8, "big")
