"""Strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diskkv.commands.string_conditions import holds
from diskkv.dispatch.args import Args, integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, READONLY, WRITE, group
from diskkv.errors import (
    BadSyntax,
    CommandError,
    NanOrInfinity,
    NotFloat,
    NotInteger,
    Overflow,
    StringTooLong,
    TooMuch,
    WrongArity,
    WrongType,
)
from diskkv.lib.lcs import longest_common_subsequence
from diskkv.lib.numbers import INT_MAX, INT_MIN, add_long_double, parse_int, parse_long_double
from diskkv.replies import OK
from diskkv.store.residents import SHIFT
from diskkv.types.strings import LARGE, String

command = group("string")

KEEP = -1


@command("GET key", READONLY | FAST, since="1.0.0")
def get(ctx: Session, key: bytes) -> bytes | None:
    """Return a string."""
    value = ctx.db.get(key, String)
    if value is None:
        return None
    return value.data if not value.oid else value.value()


@command(
    "SET key value [NX | XX | IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest] [GET] "
    "[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    WRITE | DENYOOM, since="1.0.0",
)
def set_(ctx: Session, key: bytes, data: bytes, *options: bytes) -> Any:
    """Set a key to a string, whatever it was, and by default let it never expire."""
    if options:
        return _set_with(ctx, key, data, Args(options))
    put(ctx, key, data)
    return OK


def put(ctx: Session, key: bytes, data: bytes, expire: int | None = None) -> None:
    """Make a key a string, whatever it was; `expire` in ms, None for never, KEEP for as it is."""
    db = ctx.db
    value: Any = db.shards[hash(key) >> SHIFT].get(key)
    store = db.store
    if (
        value.__class__ is String and value.stamp == store.stamp and value.expire is None and expire is None
        and not value.oid and not db.heeded and len(data) <= LARGE
    ):  # fmt: skip
        # What `set` and `touch` come to for a value that has changed already since the last checkpoint, the commonest write of all.
        delta = len(data) - len(value.data)
        value.data = data
        value.more = None
        if delta:
            value.resized(delta)
        store.changes += 1
        return
    # A large string stays one while it lives: a new one in its place costs less than changing all of it, and may be small.
    if value.__class__ is not String or value.oid or (value.expire is not None and expire != KEEP):
        if expire == KEEP:
            old = db.find(key, remember=False)
            expire = None if old is None else old.expire
        value = db.replace(key, String)
    value.set(data)
    if expire is not None and expire != KEEP:
        db.set_expire(value, expire)


def put_pairs(ctx: Session, words: Sequence[bytes]) -> None:
    """`put` of each key and the string behind it, up to whatever fails."""
    db = ctx.db
    store, shards = db.store, db.shards
    stamp, unheeded = store.stamp, not db.heeded
    for key, data in zip(words[::2], words[1::2], strict=True):
        value: Any = shards[hash(key) >> SHIFT].get(key)
        if (
            value.__class__ is String and value.stamp == stamp and value.expire is None
            and not value.oid and unheeded and len(data) <= LARGE
        ):  # fmt: skip
            # As in `put`, which a call of takes as long as this.
            delta = len(data) - len(value.data)
            value.data = data
            value.more = None
            if delta:
                value.resized(delta)
            store.changes += 1
        else:
            put(ctx, key, data)


def _set_with(ctx: Session, key: bytes, data: bytes, args: Args) -> Any:
    condition: bytes | None = None
    unit = raw = None
    operand = b""
    keep = get_old = False
    while args:
        match args.word():
            case b"NX" | b"XX" as word if condition is None or condition == word:
                condition = word
            case b"IFEQ" | b"IFNE" | b"IFDEQ" | b"IFDNE" as word if condition is None and args:
                condition, operand = word, args.next()
            case b"GET":
                get_old = True
            case b"KEEPTTL" if unit is None:
                keep = True
            case b"EX" | b"PX" | b"EXAT" | b"PXAT" as word if unit in (None, word) and not keep and args:
                unit, raw = word, args.next()
            case _:
                raise BadSyntax
    expire = deadline(ctx, unit, raw, "set") if unit is not None and raw is not None else KEEP if keep else None
    old = ctx.db.find(key)
    reply: Any = OK
    if get_old:
        if old is not None and not isinstance(old, String):
            raise WrongType
        reply = old.value() if isinstance(old, String) else None
    if condition is not None and not (
        (old is None) is (condition == b"NX") if condition in (b"NX", b"XX") else holds(condition, operand, old)
    ):
        return reply if get_old else None
    put(ctx, key, data, expire)
    if unit is not None:
        ctx.log_as(b"SET", key, data, b"PXAT", b"%d" % (expire or 0))
    elif get_old or condition is not None:
        ctx.log_as(b"SET", key, data, *([b"KEEPTTL"] if keep else []))
    return reply


def deadline(ctx: Session, unit: bytes, raw: bytes, name: str) -> int:
    """The time in ms that EX, PX, EXAT or PXAT with its number means. CommandError, as Redis words it, when it can't be one."""
    number = integer(raw)
    bad = CommandError(f"invalid expire time in '{name}' command")
    if number <= 0:
        raise bad
    if unit in (b"EX", b"EXAT"):
        if number > INT_MAX // 1000:
            raise bad
        number *= 1000
    if unit in (b"EX", b"PX"):
        number += ctx.now
    if number > INT_MAX:
        raise bad
    return number


@command("SETNX key value", WRITE | DENYOOM | FAST, since="1.0.0")
def setnx(ctx: Session, key: bytes, data: bytes) -> int:
    """Set a key to a string if it does not exist."""
    if ctx.db.find(key, remember=False) is not None:
        return 0
    put(ctx, key, data)
    return 1


@command("SETEX key seconds value", WRITE | DENYOOM, since="2.0.0")
def setex(ctx: Session, key: bytes, seconds: bytes, data: bytes) -> Any:
    """Set a string that expires after some seconds."""
    return _set_expiring(ctx, key, data, b"EX", seconds, "setex")


@command("PSETEX key milliseconds value", WRITE | DENYOOM, since="2.6.0")
def psetex(ctx: Session, key: bytes, milliseconds: bytes, data: bytes) -> Any:
    """Set a string that expires after some milliseconds."""
    return _set_expiring(ctx, key, data, b"PX", milliseconds, "psetex")


def _set_expiring(ctx: Session, key: bytes, data: bytes, unit: bytes, raw: bytes, name: str) -> Any:
    expire = deadline(ctx, unit, raw, name)
    put(ctx, key, data, expire)
    ctx.log_as(b"SET", key, data, b"PXAT", b"%d" % expire)
    return OK


@command("GETSET key value", WRITE | DENYOOM | FAST, since="1.0.0")
def getset(ctx: Session, key: bytes, data: bytes) -> bytes | None:
    """Set a key to a string and return the old one."""
    old = get(ctx, key)
    put(ctx, key, data)
    ctx.log_as(b"SET", key, data)
    return old


@command("GETDEL key", WRITE | FAST, since="6.2.0")
def getdel(ctx: Session, key: bytes) -> bytes | None:
    """Return a string and delete its key."""
    data = get(ctx, key)
    if data is not None:
        ctx.db.delete(key)
        ctx.log_as(b"DEL", key)
    return data


@command(
    "GETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
    WRITE | FAST, since="6.2.0",
)
def getex(ctx: Session, key: bytes, *options: bytes) -> bytes | None:
    """Return a string and set, change or remove its expiry."""
    args = Args(options)
    unit = raw = None
    persist = False
    while args:
        match args.word():
            case b"PERSIST" if unit is None:
                persist = True
            case b"EX" | b"PX" | b"EXAT" | b"PXAT" as word if unit in (None, word) and not persist and args:
                unit, raw = word, args.next()
            case _:
                raise BadSyntax
    value = ctx.db.get(key, String)
    if value is None:
        return None
    data = value.value()
    if unit is not None and raw is not None:
        expire = deadline(ctx, unit, raw, "getex")
        if expire <= ctx.now:
            ctx.db.delete(key)
            ctx.log_as(b"DEL", key)
        else:
            ctx.db.set_expire(value, expire)
            ctx.log_as(b"PEXPIREAT", key, b"%d" % expire)
    elif persist and value.expire is not None:
        ctx.db.set_expire(value, None)
        ctx.log_as(b"PERSIST", key)
    return data


@command("MGET key [key ...]", READONLY | FAST, since="1.0.0")
def mget(ctx: Session, *keys: bytes) -> list[bytes | None]:
    """Return several strings; null for keys that are missing or not strings."""
    found: list[bytes | None] = []
    size = 0
    for key in keys:
        value = ctx.db.find(key)
        if isinstance(value, String):
            size += len(value)
            if size > ctx.executor.longest:
                # Each is a copy: a thousand times the same one may be more than there is memory.
                raise TooMuch
            found.append(value.value())
        else:
            found.append(None)
    return found


@command("MSET key value [key value ...]", WRITE | DENYOOM, since="1.0.1")
def mset(ctx: Session, *pairs: bytes) -> Any:
    """Set several keys to strings, all or none."""
    if len(pairs) % 2:
        raise WrongArity("mset")
    put_pairs(ctx, pairs)
    return OK


@command("MSETNX key value [key value ...]", WRITE | DENYOOM, since="1.0.1")
def msetnx(ctx: Session, *pairs: bytes) -> int:
    """Set several keys to strings if none of them exists."""
    if len(pairs) % 2:
        raise WrongArity("msetnx")
    if any(ctx.db.find(key, remember=False) is not None for key in pairs[::2]):
        return 0
    mset(ctx, *pairs)
    return 1


@command("STRLEN key", READONLY | FAST, since="2.2.0")
def strlen(ctx: Session, key: bytes) -> int:
    """Return a string's length in bytes."""
    value = ctx.db.get(key, String)
    return len(value) if value is not None else 0


@command("APPEND key value", WRITE | DENYOOM | FAST, since="2.0.0")
def append(ctx: Session, key: bytes, data: bytes) -> int:
    """Add to the end of a string and return its length."""
    value = ctx.db.open(key, String)
    check_length(ctx, len(value) + len(data))
    return value.append(data)


def check_length(ctx: Session, length: int) -> None:
    """StringTooLong when a string may not become so long (proto-max-bulk-len)."""
    if length > ctx.executor.settings["proto-max-bulk-len"]:
        raise StringTooLong


@command("GETRANGE key start end", READONLY, since="2.4.0")
def getrange(ctx: Session, key: bytes, start: bytes, end: bytes) -> bytes:
    """Return the part of a string between two offsets, both included; negative ones count from the end."""
    low, high = integer(start), integer(end)
    value = ctx.db.get(key, String)
    if value is None:
        return b""
    low, high = clamp(low, high, len(value))
    return value.read(low, high) if low < high else b""


def clamp(start: int, end: int, length: int) -> tuple[int, int]:
    """Redis' inclusive range with negative offsets as a half-open one within a length; empty when start >= end."""
    if start < 0 and end < 0 and start > end:
        return 0, 0
    start = max(start + length, 0) if start < 0 else start
    end = max(end + length, 0) if end < 0 else end
    return start, min(end, length - 1) + 1


@command("SUBSTR key start end", READONLY, since="1.0.0")
def substr(ctx: Session, key: bytes, start: bytes, end: bytes) -> bytes:
    """Return the part of a string between two offsets (the older name of GETRANGE)."""
    return getrange(ctx, key, start, end)


@command("SETRANGE key offset value", WRITE | DENYOOM, since="2.2.0")
def setrange(ctx: Session, key: bytes, offset: bytes, data: bytes) -> int:
    """Overwrite part of a string from an offset on and return its length."""
    at = integer(offset)
    if at < 0:
        raise CommandError("offset is out of range")
    value = ctx.db.open(key, String)
    if not data:
        return len(value)
    check_length(ctx, at + len(data))
    value.write(at, data)
    return len(value)


def increment(ctx: Session, key: bytes, amount: int) -> int:
    value = ctx.db.open(key, String)
    data = value.data
    if not data and not value.linked:
        old: int | None = 0
    elif value.oid:
        old = None
    else:
        old = parse_int(data)
    if old is None:
        raise NotInteger
    new = old + amount
    if not INT_MIN <= new <= INT_MAX:
        raise Overflow
    value.set(b"%d" % new)
    return new


@command("INCR key", WRITE | DENYOOM | FAST, since="1.0.0")
def incr(ctx: Session, key: bytes) -> int:
    """Add one to an integer and return it."""
    return increment(ctx, key, 1)


@command("DECR key", WRITE | DENYOOM | FAST, since="1.0.0")
def decr(ctx: Session, key: bytes) -> int:
    """Subtract one from an integer and return it."""
    return increment(ctx, key, -1)


@command("INCRBY key increment", WRITE | DENYOOM | FAST, since="1.0.0")
def incrby(ctx: Session, key: bytes, amount: bytes) -> int:
    """Add to an integer and return it."""
    return increment(ctx, key, integer(amount))


@command("DECRBY key decrement", WRITE | DENYOOM | FAST, since="1.0.0")
def decrby(ctx: Session, key: bytes, amount: bytes) -> int:
    """Subtract from an integer and return it."""
    number = integer(amount)
    if number == INT_MIN:
        raise CommandError("decrement would overflow")
    return increment(ctx, key, -number)


@command("INCRBYFLOAT key increment", WRITE | DENYOOM | FAST, since="2.6.0")
def incrbyfloat(ctx: Session, key: bytes, amount: bytes) -> bytes:
    """Add to a floating-point number and return it."""
    value = ctx.db.open(key, String)
    data = value.value() if value.linked else b"0"
    if parse_long_double(data) is None or parse_long_double(amount) is None:
        raise NotFloat
    new = add_long_double(data, amount)
    if new is None:
        raise NanOrInfinity
    value.set(new)
    ctx.log_as(b"SET", key, new, b"KEEPTTL")
    return new


@command("LCS key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]", READONLY, since="7.0.0")
def lcs(ctx: Session, key1: bytes, key2: bytes, *options: bytes) -> Any:
    """Return the longest common subsequence of two strings, its length, or where it matches."""
    first = second = None
    try:
        first, second = ctx.db.get(key1, String), ctx.db.get(key2, String)
    except WrongType:
        raise CommandError("The specified keys must contain string values") from None
    args = Args(options)
    want_length = want_index = with_lengths = False
    shortest = 0
    while args:
        match args.word():
            case b"IDX":
                want_index = True
            case b"LEN":
                want_length = True
            case b"WITHMATCHLEN":
                with_lengths = True
            case b"MINMATCHLEN" if args:
                shortest = max(args.int(), 0)
            case _:
                raise BadSyntax
    if want_length and want_index:
        raise CommandError("If you want both the length and indexes, please just use IDX.")
    # What the table would take that Redis fills.
    lengths = [len(value) + 1 if value is not None else 1 for value in (first, second)]
    if 4 * lengths[0] * lengths[1] > ctx.executor.settings["proto-max-bulk-len"]:
        raise CommandError("Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
    a = first.value() if first is not None else b""
    b = second.value() if second is not None else b""
    common, matches = longest_common_subsequence(a, b)
    if want_length:
        return len(common)
    if not want_index:
        return common
    shown: list[Any] = []
    for (a1, a2), (b1, b2) in matches:
        if a2 - a1 + 1 >= shortest:
            shown.append([[a1, a2], [b1, b2], a2 - a1 + 1] if with_lengths else [[a1, a2], [b1, b2]])
    return {b"matches": shown, b"len": len(common)}
