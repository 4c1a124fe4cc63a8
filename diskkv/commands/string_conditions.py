"""The conditions of SET and DELEX: what a string must be, or must not be."""

from __future__ import annotations

from diskkv.errors import CommandError, WrongType
from diskkv.lib.digests import digest, is_digest
from diskkv.store.value import Value
from diskkv.types.strings import String

CONDITIONS = frozenset({b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE"})


def holds(word: bytes, operand: bytes, value: Value | None) -> bool:
    """Whether a key's value meets a condition; where there is none, only what must not be equal is met."""
    if value is None:
        return word in (b"IFNE", b"IFDNE")
    if not isinstance(value, String):
        raise WrongType
    if word in (b"IFEQ", b"IFNE"):
        same = value.value() == operand
    else:
        if not is_digest(operand):
            raise CommandError("The digest must be exactly 16 hexadecimal characters")
        same = digest(value.value()) == operand.lower()
    return same is (word in (b"IFEQ", b"IFDEQ"))
