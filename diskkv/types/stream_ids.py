"""The ids of a stream's entries, as words and as the integers that `Stream` keeps: `ms << 64 | seq`."""

from __future__ import annotations

import re

from diskkv.types.ledgers import ID_MAX

HALF = (1 << 64) - 1
LONGEST = 127
# Neither half of an id that is no longer than this can be too large a number.
PLAIN = 20
# What C's strtoull takes: a number with a minus counts down from 2^64. Redis asks it when its own, stricter reader has refused a text.
_UNSIGNED = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)")
_NEGATIVE = re.compile(rb"-[1-9][0-9]*")


def format_id(number: int) -> bytes:
    """An id as words have it."""
    return b"%d-%d" % (number >> 64, number & HALF)


def parse_id(raw: bytes, missing: int = 0) -> int | None:
    """A complete id, or a time alone, which has `missing` for its sequence number; None when it is neither."""
    if len(raw) > LONGEST:
        return None
    time, dash, sequence = raw.partition(b"\0")[0].partition(b"-")
    ms = parse_half(time)
    seq = parse_half(sequence) if dash else missing
    return None if ms is None or seq is None else ms << 64 | seq


def plain_id(raw: bytes) -> int | None:
    """A complete id in the form that nearly all have, which is the log's; None for any other text, be it an id or not."""
    time, dash, sequence = raw.partition(b"-")
    if dash and len(raw) <= PLAIN and time.isdigit() and sequence.isdigit():
        return int(time) << 64 | int(sequence)
    return None


def parse_time(raw: bytes) -> int | None:
    """The ms of an id whose sequence number is to be found (`ms-*`); None when the text is none such."""
    time, _, sequence = raw.partition(b"\0")[0].partition(b"-")
    return parse_half(time) if sequence == b"*" and len(raw) <= LONGEST else None


def parse_bound(raw: bytes, missing: int) -> int | None:
    """As `parse_id`, with `-` and `+` for the lowest and the highest id."""
    if raw == b"-":
        return 0
    return ID_MAX if raw == b"+" else parse_id(raw, missing)


def parse_half(raw: bytes) -> int | None:
    """An unsigned integer of 64 bits, None when it is none."""
    if raw.isdigit():
        return _half(raw)
    match = _UNSIGNED.fullmatch(raw)
    number = _half(match[2]) if match is not None else None
    if match is None or number is None or (_NEGATIVE.fullmatch(raw) and number <= 1 << 63):
        return None
    return -number & HALF if match[1] == b"-" else number


def _half(digits: bytes) -> int | None:
    """An integer of 64 bits. int() refuses long texts, which zeros may make of any number."""
    digits = digits.lstrip(b"0")
    if len(digits) > 20:
        return None
    number = int(digits or b"0")
    return number if number <= HALF else None


def next_id(last: int, now: int) -> int | None:
    """The id of `*`: of this ms, or just above the last one; None when there is none above."""
    if now > last >> 64:
        return now << 64
    return last + 1 if last < ID_MAX else None


def next_in(last: int, ms: int) -> int | None:
    """The id of `ms-*`, which may be lower than the last one; None when that ms has no sequence number left."""
    if ms != last >> 64:
        return ms << 64
    return last + 1 if last & HALF != HALF else None
