"""Hash slots: where a Redis cluster keeps a key."""

from __future__ import annotations

from binascii import crc_hqx

SLOTS = 16384


def key_slot(key: bytes) -> int:
    """The slot of a key: of what stands between its first `{` and the next `}`, if anything does, else of all of it."""
    start = key.find(b"{")
    if start >= 0:
        stop = key.find(b"}", start + 1)
        if stop > start + 1:
            key = key[start + 1 : stop]
    return crc_hqx(key, 0) % SLOTS
