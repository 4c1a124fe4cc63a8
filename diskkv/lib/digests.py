"""The digest by which DIGEST, SET and DELEX compare strings: XXH3 of 64 bits, as 16 hexadecimal digits."""

from __future__ import annotations

import re

import xxhash

_DIGEST = re.compile(rb"[0-9A-Fa-f]{16}")


def digest(data: bytes) -> bytes:
    """A string's digest."""
    return xxhash.xxh3_64_hexdigest(data).encode()


def is_digest(raw: bytes) -> bool:
    """Whether this may be one; capitals are taken, too."""
    return _DIGEST.fullmatch(raw) is not None
