"""The digests that Redis makes of strings, and of a stream's entry: XXH3 of 64 bits and of 128."""

from __future__ import annotations

import re
from collections.abc import Sequence

import xxhash

MASK = (1 << 64) - 1
_DIGEST = re.compile(rb"[0-9A-Fa-f]{16}")


def digest(data: bytes) -> bytes:
    """A string's digest, by which DIGEST, SET and DELEX compare strings: 16 hexadecimal digits."""
    return xxhash.xxh3_64_hexdigest(data).encode()


def is_digest(raw: bytes) -> bool:
    """Whether this may be one; capitals are taken, too."""
    return _DIGEST.fullmatch(raw) is not None


def digest_entry(items: Sequence[bytes]) -> bytes:
    """The 16 bytes by which XADD's IDMPAUTO knows an entry with these fields and values: the same whatever the order of the pairs."""
    sums, sieves = [0, 0], [0, 0]
    for at in range(0, len(items), 2):
        name = items[at]
        digest = xxhash.xxh3_128_intdigest(name + len(name).to_bytes(8, "little") + items[at + 1])
        for half, number in enumerate((digest & MASK, digest >> 64)):
            sums[half] += number
            sieves[half] ^= number
    halves = [sums[half] & MASK ^ _rotated(sieves[1 - half]) for half in (0, 1)]
    return b"".join(half.to_bytes(8, "little") for half in halves)


def _rotated(number: int) -> int:
    return (number << 1 | number >> 63) & MASK
