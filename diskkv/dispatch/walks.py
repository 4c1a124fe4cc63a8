"""What HSCAN, SSCAN, ZSCAN and HRANDFIELD, SRANDMEMBER, ZRANDMEMBER have in common: the reading of their arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from diskkv.dispatch.args import Args, integer
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib.glob import Matcher, compile_glob
from diskkv.lib.numbers import INT_MAX

_CURSOR = re.compile(rb"[+-]?[0-9]*")
_CURSOR_MAX = 2**64 - 1

# Redis takes negative counts down to -(2^63 - 1) and would build such a reply until memory is used up. No reply here has more members
# than this (two seconds' work, some 100 MB of reply); a count below it gets the error that Redis has for those beyond its own bound.
MOST_DRAWN = 1 << 22


def read_cursor(raw: bytes) -> int:
    """The cursor of a SCAN, HSCAN, SSCAN or ZSCAN, as C's strtoul reads it. CommandError when it is none."""
    raw = raw.partition(b"\0")[0]
    digits = raw.lstrip(b"+-").lstrip(b"0")
    # int() of a long text is quadratic, or refused, and no 64-bit integer is longer.
    if _CURSOR.fullmatch(raw) is None or raw in (b"+", b"-") or len(digits) > 20 or (number := int(digits or b"0")) > _CURSOR_MAX:
        raise CommandError("invalid cursor")
    return (-number if raw[:1] == b"-" else number) & _CURSOR_MAX


def scan_options(options: Sequence[bytes], flag: bytes = b"", flags: list[bytes] | None = None) -> tuple[Matcher | None, int]:
    """MATCH (None: everything matches) and COUNT of an HSCAN, SSCAN or ZSCAN. If `flag` is among the words it comes into `flags`."""
    matches: Matcher | None = None
    count = 10
    args = Args(options)
    while args:
        match args.word():
            case b"COUNT" if args:
                count = args.int()
                if count < 1:
                    raise BadSyntax
            case b"MATCH" if args:
                pattern = args.next()
                matches = None if pattern == b"*" else compile_glob(pattern)
            case word if flags is not None and word == flag:
                flags.append(flag)
            case _:
                raise BadSyntax
    return matches, count


def draw_count(raw: bytes) -> int:
    """How many random members are wanted; negative: that many, perhaps the same more than once."""
    count = integer(raw)
    if count < -MOST_DRAWN:
        least = -MOST_DRAWN if count >= -INT_MAX else -INT_MAX
        raise CommandError(f"value is out of range, value must between {least} and {INT_MAX}")
    return count


def draw_options(count: bytes, options: Sequence[bytes], word: bytes) -> tuple[int, bool]:
    """The count, and whether `word` (WITHVALUES, WITHSCORES) follows it."""
    number = draw_count(count)
    if len(options) > 1 or (options and options[0].upper() != word):
        raise BadSyntax
    if options and number > INT_MAX // 2:
        raise CommandError("value is out of range")
    return number, bool(options)
