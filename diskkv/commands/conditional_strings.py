"""Strings on conditions: comparing, setting and deleting what has a certain value, and counting within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diskkv.commands.string_conditions import CONDITIONS, holds
from diskkv.commands.strings import KEEP, deadline, put
from diskkv.dispatch.args import Args, bounded
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, MOVABLEKEYS, READONLY, WRITE, Keys, group
from diskkv.errors import BadSyntax, CommandError, NanOrInfinity, NotFloat, NotInteger, Overflow, WrongArity
from diskkv.lib.digests import digest
from diskkv.lib.numbers import (
    INT_MAX,
    INT_MIN,
    ZERO,
    LongDouble,
    add_long_doubles,
    format_long_double,
    is_finite,
    parse_int,
    parse_long_double,
)
from diskkv.replies import Digits
from diskkv.types.strings import String

command = group("string")

UNITS = frozenset({b"EX", b"PX", b"EXAT", b"PXAT"})


@command("DIGEST key", READONLY | FAST, since="8.4.0")
def digest_(ctx: Session, key: bytes) -> bytes | None:
    """Return a string's hash, by which conditions can compare it."""
    value = ctx.db.get(key, String)
    return digest(value.value()) if value is not None else None


@command(
    "DELEX key [IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest]", WRITE | FAST, since="8.4.0",
)  # fmt: skip
def delex(ctx: Session, key: bytes, *condition: bytes) -> int:
    """Delete a key, or only if it is a string that equals, or does not equal, a value or a digest; reply whether it was deleted."""
    if condition:
        if len(condition) != 2:
            raise WrongArity("delex")
        value = ctx.db.find(key)
        if value is None:
            return 0
        if not isinstance(value, String):
            raise CommandError("Key should be of string type if conditions are specified")
        word = condition[0].upper()
        if word not in CONDITIONS:
            raise CommandError("Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE")
        if not holds(word, condition[1], value):
            return 0
    deleted = ctx.db.delete(key)
    ctx.log_as(b"DEL", key)
    return int(deleted)


@command(
    "MSETEX numkeys key value [key value ...] [NX | XX] "
    "[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    WRITE | DENYOOM | MOVABLEKEYS, since="8.4.0", arity=-4, keys=Keys(step=2, numkeys=1),
)  # fmt: skip
def msetex(ctx: Session, numkeys: bytes, *words: bytes) -> int:
    """Set several keys to strings with one expiry, if none or all of them exist if so asked; reply whether they were set."""
    count = 2 * bounded(numkeys, 1, 2**31 - 1, "invalid numkeys value")
    if len(words) < count:
        raise CommandError("wrong number of key-value pairs")
    pairs, args = words[:count], Args(words[count:])
    condition = unit = raw = b""
    while args:
        match args.word():
            case b"NX" | b"XX" as word if condition in (b"", word):
                condition = word
            case b"KEEPTTL" if unit in (b"", b"KEEPTTL"):
                unit = b"KEEPTTL"
            case b"EX" | b"PX" | b"EXAT" | b"PXAT" as word if unit in (b"", word) and args:
                unit, raw = word, args.next()
            case _:
                raise BadSyntax
    expire = deadline(ctx, unit, raw, "msetex") if unit in UNITS else KEEP if unit else None
    if condition and any((ctx.db.find(key, remember=False) is None) is (condition == b"XX") for key in pairs[::2]):
        return 0
    for at in range(0, count, 2):
        put(ctx, pairs[at], pairs[at + 1], expire)
    lasting = (b"PXAT", b"%d" % expire) if unit in UNITS and expire is not None else (b"KEEPTTL",) if unit else ()
    ctx.log_as(b"MSETEX", numkeys, *pairs, *lasting)
    return 1


# -- counting within bounds


@command(
    "INCREX key [BYFLOAT increment | BYINT increment] [LBOUND lowerbound] [UBOUND upperbound] [SATURATE] "
    "[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] [ENX]",
    WRITE | DENYOOM | FAST, since="8.8.0",
)  # fmt: skip
def increx(ctx: Session, key: bytes, *words: bytes) -> list[Any]:
    """Add to a number unless it would leave its bounds, and set its expiry; reply the number and what was added."""
    given = _parse(words)
    numbers: Any = _Floats if b"BYFLOAT" in given else _Integers
    by = numbers.read(given[numbers.option], "Increment") if numbers.option in given else 1
    low, high = (numbers.read(given[word], word.decode()) if word in given else None for word in (b"LBOUND", b"UBOUND"))
    if low is not None and high is not None and numbers.less(high, low):
        raise CommandError("LBOUND can't be greater than UBOUND")
    unit = next((word for word in UNITS if word in given), b"")
    expire: int | None = deadline(ctx, unit, given[unit], "increx") if unit else None
    value = ctx.db.open(key, String)
    now = numbers.current(value.value()) if value.linked else numbers.zero
    new = numbers.add(now, by, low, high, saturate=b"SATURATE" in given)
    if new is None:
        return [numbers.show(now), numbers.show(numbers.zero)]
    added = numbers.difference(new, now)
    kept = value.expire if value.linked else None
    if b"ENX" in given and kept is not None:
        expire = None
    if expire is not None and expire <= ctx.now:
        ctx.db.delete(key)
        ctx.log_as(b"DEL", key)
    else:
        data = numbers.text(new)
        value.set(data)
        if expire is not None:
            ctx.db.set_expire(value, expire)
            ctx.log_as(b"SET", key, data, b"PXAT", b"%d" % expire)
        elif b"PERSIST" in given and kept is not None:
            ctx.db.set_expire(value, None)
            ctx.log_as(b"SET", key, data)
        else:
            ctx.log_as(b"SET", key, data, b"KEEPTTL")
    return [numbers.show(new), numbers.show(added)]


def _parse(words: Sequence[bytes]) -> dict[bytes, bytes]:
    """INCREX's options with their arguments, each at most once."""
    given: dict[bytes, bytes] = {}
    args = Args(words)
    while args:
        word = args.word()
        excluded: frozenset[bytes] | set[bytes]
        match word:
            case b"BYINT" | b"BYFLOAT":
                excluded = {b"BYINT", b"BYFLOAT"}
            case b"LBOUND" | b"UBOUND" | b"SATURATE":
                excluded = {word}
            case b"EX" | b"PX" | b"EXAT" | b"PXAT":
                excluded = UNITS | {b"PERSIST"}
            case b"PERSIST":
                excluded = UNITS | {b"PERSIST", b"ENX"}
            case b"ENX":
                excluded = {b"ENX", b"PERSIST"}
            case _:
                raise BadSyntax
        if not excluded.isdisjoint(given):
            raise BadSyntax
        given[word] = b"" if word in (b"SATURATE", b"PERSIST", b"ENX") else args.next()
    if b"ENX" in given and UNITS.isdisjoint(given):
        raise CommandError("ENX flag requires an expiration")
    return given


class _Integers:
    """INCREX on integers of 64 bits."""

    option = b"BYINT"
    zero = 0

    @staticmethod
    def read(raw: bytes, name: str) -> int:
        number = parse_int(raw)
        if number is None:
            raise CommandError(f"{name} is not an integer or out of range")
        return number

    @staticmethod
    def current(data: bytes) -> int:
        number = parse_int(data) if len(data) <= 20 else None
        if number is None:
            raise NotInteger
        return number

    @staticmethod
    def less(one: int, other: int) -> bool:
        return one < other

    @staticmethod
    def add(now: int, by: int, low: int | None, high: int | None, *, saturate: bool) -> int | None:
        """The sum, or the bound that it lies beyond, or None if it may not lie there."""
        least, most = INT_MIN if low is None else low, INT_MAX if high is None else high
        new = now + by
        if least <= new <= most:
            return new
        return min(max(new, least), most) if saturate else None

    @staticmethod
    def difference(new: int, now: int) -> int:
        if not INT_MIN <= new - now <= INT_MAX:
            raise Overflow
        return new - now

    @staticmethod
    def text(number: int) -> bytes:
        return b"%d" % number

    @staticmethod
    def show(number: int) -> int:
        return number


class _Floats:
    """INCREX on long doubles, as INCRBYFLOAT."""

    option = b"BYFLOAT"
    zero = ZERO
    most: LongDouble = ((1 << 64) - 1, 16384 - 64)

    @staticmethod
    def read(raw: bytes, name: str) -> LongDouble:
        number = parse_long_double(raw)
        if number is None or not is_finite(number):
            raise CommandError(f"{name} is not a valid float")
        return number

    @staticmethod
    def current(data: bytes) -> LongDouble:
        number = parse_long_double(data)
        if number is None:
            raise NotFloat
        if not is_finite(number):
            raise NanOrInfinity
        return number

    @staticmethod
    def less(one: LongDouble, other: LongDouble) -> bool:
        difference = add_long_doubles(one, (-other[0], other[1]))
        return one[0] < 0 if difference is None else difference[0] < 0

    @staticmethod
    def add(now: LongDouble, by: LongDouble, low: LongDouble | None, high: LongDouble | None, *, saturate: bool) -> LongDouble | None:
        """The sum, or the bound that it lies beyond, or None if it may not lie there."""
        least = (-_Floats.most[0], _Floats.most[1]) if low is None else low
        most = _Floats.most if high is None else high
        new = add_long_doubles(now, by)
        if new is None:
            beyond = most if by[0] > 0 else least
        elif _Floats.less(new, least):
            beyond = least
        elif _Floats.less(most, new):
            beyond = most
        else:
            return new
        return beyond if saturate else None

    @staticmethod
    def difference(new: LongDouble, now: LongDouble) -> LongDouble:
        added = add_long_doubles(new, (-now[0], now[1]))
        if added is None:
            raise NanOrInfinity
        return added

    @staticmethod
    def text(number: LongDouble) -> bytes:
        return format_long_double(number)

    @staticmethod
    def show(number: LongDouble) -> Digits:
        return Digits(format_long_double(number))
