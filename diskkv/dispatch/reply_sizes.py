"""How long a reply is once it is encoded, without encoding it; of rare kinds of reply about how long."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from diskkv.errors import CommandError
from diskkv.replies import NIL_ARRAY, Encoded, Named, Simple


def bulk_size(length: int) -> int:
    """How long a text of some length is with its header."""
    return header_size(length) + length + 2


def header_size(number: int) -> int:
    """How long a type byte and a number are on a line."""
    return len(b"%d" % number) + 3


def encoded_size(value: Any, protocol: int) -> int:
    """How many bytes a reply, or a request, is in a version of the protocol."""
    if isinstance(value, bytes):
        return bulk_size(len(value))
    if isinstance(value, bool) or value is None:
        return 3 + (protocol == 2 and value is not None) + 2 * (protocol == 2 and value is None)
    if isinstance(value, int):
        return header_size(value)
    if isinstance(value, (list, tuple, Set)):
        return header_size(len(value)) + sum(encoded_size(item, protocol) for item in value)
    if isinstance(value, dict):
        items = sum(encoded_size(name, protocol) + encoded_size(item, protocol) for name, item in value.items())
        return header_size(len(value) * (1 if protocol == 3 else 2)) + items
    if isinstance(value, Named):
        around = len(value.items) * header_size(2) if protocol == 2 else 0
        pairs = sum(encoded_size(name, protocol) + encoded_size(item, protocol) for name, item in value.items)
        return header_size(len(value.items)) + around + pairs
    if value is NIL_ARRAY:
        return 5 if protocol == 2 else 3
    if isinstance(value, Simple):
        return len(value.text) + 3
    if isinstance(value, Encoded):
        return len(value.wire)
    if isinstance(value, CommandError):
        return len(str(value)) + 3
    if isinstance(value, float):
        return bulk_size(len(repr(value))) if protocol == 2 else len(repr(value)) + 3
    # What waits, or goes its own ways.
    return 0
