"""SCAN's cursors: numbers that stand for keys.

Keys lie in byte order, so where a scan goes on is the last key it has seen. Clients want a number, so the number is a fingerprint of
that key, and a bounded table leads back from it. Whatever changes in between, a scan misses no key that is there throughout: it
goes on behind the last key, whether that one still exists or not.
"""

from __future__ import annotations

from hashlib import blake2b

LIMIT = 65_536
BITS = 62


class Cursors:
    """The keys that the most recent `limit` cursors stand for."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._keys: dict[int, bytes] = {}

    def number(self, key: bytes) -> int:
        """A number for a key, never 0; remembered, and the oldest forgotten."""
        keys = self._keys
        number = int.from_bytes(blake2b(key, digest_size=8).digest(), "big") >> (64 - BITS)
        while not number or keys.get(number, key) != key:
            number = (number + 1) % (1 << BITS)
        # As a new entry: a cursor that is handed out again is a recent one.
        keys.pop(number, None)
        keys[number] = key
        if len(keys) > self._limit:
            del keys[next(iter(keys))]
        return number

    def key(self, number: int) -> bytes | None:
        """The key that a number stands for; None when it was never handed out, or was forgotten."""
        return self._keys.get(number)
