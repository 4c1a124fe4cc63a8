"""What the types are called."""

from __future__ import annotations

from diskkv.format import TAG_NAMES


def type_name(tag: int) -> bytes:
    """What TYPE answers for a type's tag; `none` for 0, no key."""
    return TAG_NAMES[tag].encode() if tag else b"none"
