"""Streams: words that must be ids, or the ends of an interval of them."""

from __future__ import annotations

from diskkv.errors import CommandError
from diskkv.types.ledgers import ID_MAX
from diskkv.types.stream_ids import parse_bound, parse_id

BAD_ID = "Invalid stream ID specified as stream command argument"


def identifier(raw: bytes, missing: int = 0, *, bounds: bool = False) -> int:
    """A word that must be an id, or with `bounds` may be `-` or `+`."""
    number = parse_bound(raw, missing) if bounds else parse_id(raw, missing)
    if number is None:
        raise CommandError(BAD_ID)
    return number


def bound(raw: bytes, missing: int, step: int, text: str) -> int:
    """An end of an interval; behind a bracket the id next to it."""
    open_end = len(raw) > 1 and raw[:1] == b"("
    number = parse_id(raw[1:], missing) if open_end else parse_bound(raw, missing)
    if number is None:
        raise CommandError(BAD_ID)
    if open_end:
        number += step
        if not 0 <= number <= ID_MAX:
            raise CommandError(text)
    return number
