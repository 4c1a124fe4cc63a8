"""Fields of hashes that expire, and the commands that read or set fields together with their expiry.

A field whose time has come is not there: the look-up of its hash has seen to that before any of these commands is called. In Redis 7.4
HLEN, EXISTS, KEYS and HDEL go on counting it until it has been deleted there; otherwise replies are the same, but that OBJECT ENCODING
is `listpackex` only once a field has had a time, not when a command that gives times found nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from diskkv.dispatch.args import Args, bounded, integer, quoted
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, READONLY, WRITE, group
from diskkv.errors import CommandError, WrongArity
from diskkv.lib.numbers import INT_MAX
from diskkv.types.hashes import TIMED, Hash

command = group("hash")

# The end of time for fields, as in Redis.
LAST = 0xFFFFFFFFFFFF >> 2

# Replies for one field.
NO_FIELD = -2
NO_EXPIRY = -1
REFUSED = 0
DONE = 1
DELETED = 2

UNITS = {b"EX": (1000, True), b"PX": (1, True), b"EXAT": (1000, False), b"PXAT": (1, False)}
CONDITIONS = (b"NX", b"XX", b"GT", b"LT")
OPTIONS = "[NX | XX | GT | LT] FIELDS numfields field [field ...]"
FIELDS = "FIELDS numfields field [field ...]"


@command(f"HEXPIRE key seconds {OPTIONS}", WRITE | DENYOOM | FAST, since="7.4.0", arity=-6)
def hexpire(ctx: Session, key: bytes, seconds: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire after some seconds."""
    return _expire(ctx, key, seconds, words, name="hexpire", unit=1000, base=ctx.now)


@command(f"HPEXPIRE key milliseconds {OPTIONS}", WRITE | DENYOOM | FAST, since="7.4.0", arity=-6)
def hpexpire(ctx: Session, key: bytes, milliseconds: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire after some milliseconds."""
    return _expire(ctx, key, milliseconds, words, name="hpexpire", unit=1, base=ctx.now)


@command(f"HEXPIREAT key unix-time-seconds {OPTIONS}", WRITE | DENYOOM | FAST, since="7.4.0", arity=-6)
def hexpireat(ctx: Session, key: bytes, seconds: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire at a time in seconds."""
    return _expire(ctx, key, seconds, words, name="hexpireat", unit=1000, base=0)


@command(f"HPEXPIREAT key unix-time-milliseconds {OPTIONS}", WRITE | DENYOOM | FAST, since="7.4.0", arity=-6)
def hpexpireat(ctx: Session, key: bytes, milliseconds: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire at a time in milliseconds."""
    return _expire(ctx, key, milliseconds, words, name="hpexpireat", unit=1, base=0)


def _expire(ctx: Session, key: bytes, raw: bytes, words: Sequence[bytes], *, name: str, unit: int, base: int) -> list[int]:
    value = ctx.db.get(key, Hash)
    when = _moment(raw, name=name, unit=unit, base=base)
    condition = words[0].upper()
    if condition in CONDITIONS:
        words = words[1:]
    fields = _fields(words, "Parameter `numFields` should be greater than 0")
    if value is None:
        return [NO_FIELD] * len(fields)
    return _set_expiry(ctx, value, fields, when, condition)


def _set_expiry(ctx: Session, value: Hash, fields: Sequence[bytes], when: int, condition: bytes = b"") -> list[int]:
    """Have those fields expire of which the condition holds; what became of each. Those that had to already are deleted."""
    past = when <= ctx.now and not ctx.store.replaying
    chosen: list[bytes] = []
    replies = []
    for field in fields:
        if value.get(field) is None:
            replies.append(NO_FIELD)
            continue
        if condition in CONDITIONS and not _allowed(condition, when, value.expiry(field)):
            replies.append(REFUSED)
            continue
        if not chosen:
            value.touch()
            value.flags |= TIMED
        chosen.append(field)
        replies.append(DELETED if past else DONE)
        if past:
            value.drop(field)
        else:
            value.set_expiry(field, when)
    if past:
        if not len(value):
            value.vanish()
        ctx.store.expired_parts += len(chosen)
        ctx.log_as(b"HDEL", value.key, *chosen)
    else:
        ctx.log_as(b"HPEXPIREAT", value.key, b"%d" % when, b"FIELDS", b"%d" % len(chosen), *chosen)
    return replies


def _allowed(condition: bytes, when: int, old: int | None) -> bool:
    """Whether a condition holds. A field that does not expire counts as one that expires at the end of time."""
    if condition == b"NX":
        return old is None
    if condition == b"XX":
        return old is not None
    if condition == b"GT":
        return old is not None and when > old
    return old is None or when < old


def _moment(raw: bytes, *, name: str, unit: int, base: int) -> int:
    """A time in ms, given in a unit from a base on."""
    when = integer(raw)
    if when < 0:
        raise CommandError("invalid expire time, must be >= 0")
    if when > (LAST - base if unit == 1 else LAST // unit) or when * unit > LAST - base:
        raise CommandError(f"invalid expire time in '{name}' command")
    return when * unit + base


def _fields(words: Sequence[bytes], unfit: str = "Number of fields must be a positive integer") -> Sequence[bytes]:
    """The fields behind FIELDS and their number."""
    if not words or words[0].upper() != b"FIELDS":
        raise CommandError("Mandatory argument FIELDS is missing or not at the right position")
    count = bounded(words[1] if len(words) > 1 else b"", 1, INT_MAX, unfit)
    if count != len(words) - 2:
        raise CommandError("The `numfields` parameter must match the number of arguments")
    return words[2:]


@command(f"HTTL key {FIELDS}", READONLY | FAST, since="7.4.0")
def httl(ctx: Session, key: bytes, *words: bytes) -> list[int]:
    """Return the seconds until fields of a hash expire; -1 for never, -2 for a missing field."""
    return _times(ctx, key, words, lambda when: (when + 999 - ctx.now) // 1000)


@command(f"HPTTL key {FIELDS}", READONLY | FAST, since="7.4.0")
def hpttl(ctx: Session, key: bytes, *words: bytes) -> list[int]:
    """Return the milliseconds until fields of a hash expire; -1 for never, -2 for a missing field."""
    return _times(ctx, key, words, lambda when: when - ctx.now)


@command(f"HEXPIRETIME key {FIELDS}", READONLY | FAST, since="7.4.0")
def hexpiretime(ctx: Session, key: bytes, *words: bytes) -> list[int]:
    """Return the times in seconds at which fields of a hash expire; -1 for never, -2 for a missing field."""
    return _times(ctx, key, words, lambda when: (when + 999) // 1000)


@command(f"HPEXPIRETIME key {FIELDS}", READONLY | FAST, since="7.4.0")
def hpexpiretime(ctx: Session, key: bytes, *words: bytes) -> list[int]:
    """Return the times in milliseconds at which fields of a hash expire; -1 for never, -2 for a missing field."""
    return _times(ctx, key, words, lambda when: when)


def _times(ctx: Session, key: bytes, words: Sequence[bytes], shown: Callable[[int], int]) -> list[int]:
    value = ctx.db.get(key, Hash)
    fields = _fields(words)
    replies = []
    for field in fields:
        if value is None or value.get(field) is None:
            replies.append(NO_FIELD)
        else:
            when = value.expiry(field)
            replies.append(NO_EXPIRY if when is None else shown(when))
    return replies


@command(f"HPERSIST key {FIELDS}", WRITE | FAST, since="7.4.0")
def hpersist(ctx: Session, key: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash never expire."""
    value = ctx.db.get(key, Hash)
    fields = _fields(words)
    return [NO_FIELD] * len(fields) if value is None else _persist(value, fields)


def _persist(value: Hash, fields: Sequence[bytes]) -> list[int]:
    replies = []
    touched = False
    for field in fields:
        if value.get(field) is None:
            replies.append(NO_FIELD)
        elif value.expiry(field) is None:
            replies.append(NO_EXPIRY)
        else:
            if not touched:
                value.touch()
                touched = True
            value.set_expiry(field, None)
            replies.append(DONE)
    return replies


@command(
    "HGETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] "
    "FIELDS numfields field [field ...]",
    WRITE | FAST,
    since="8.0.0",
)
def hgetex(ctx: Session, key: bytes, *words: bytes) -> list[bytes | None]:
    """Return fields of a hash, and have them expire, or never expire."""
    value = ctx.db.get(key, Hash)
    option = words[0].upper()
    when = None
    if option in UNITS:
        unit, relative = UNITS[option]
        when = _moment(words[1], name="hgetex", unit=unit, base=ctx.now if relative else 0)
        words = words[2:]
    elif option == b"PERSIST":
        words = words[1:]
    fields = _fields(words)
    if value is None:
        return [None] * len(fields)
    found = [value.get(field) for field in fields]
    if when is not None:
        # A field that is named twice and deleted at once is gone when it is looked for again.
        replies = _set_expiry(ctx, value, fields, when)
        return [data if reply != NO_FIELD else None for data, reply in zip(found, replies, strict=True)]
    if option == b"PERSIST":
        _persist(value, fields)
        ctx.log_as(b"HPERSIST", key, b"FIELDS", b"%d" % len(fields), *fields)
    return found


@command(
    "HSETEX key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] "
    "FIELDS numfields field value [field value ...]",
    WRITE | DENYOOM | FAST,
    since="8.0.0",
)
def hsetex(ctx: Session, key: bytes, *words: bytes) -> int:
    """Set fields of a hash and when they expire, all or, if the condition does not hold, none of them."""
    condition, expiry, when, pairs = _set_options(ctx, words)
    value = ctx.db.open(key, Hash)
    fields = pairs[::2]
    if condition and any((value.get(field) is None) == (condition == b"FXX") for field in fields):
        return 0
    if expiry == b"KEEPTTL":
        for field, data in zip(fields, pairs[1::2], strict=True):
            value.update(field, data)
        return 1
    if when is not None and when <= ctx.now and not ctx.store.replaying:
        if value.remove(fields):
            ctx.log_as(b"HDEL", key, *fields)
        ctx.store.expired_parts += len(set(fields))
        return 1
    value.set(pairs)
    if when is not None:
        for field in fields:
            value.set_expiry(field, when)
        ctx.log_as(b"HSETEX", key, b"PXAT", b"%d" % when, b"FIELDS", b"%d" % len(fields), *pairs)
    return 1


def _set_options(ctx: Session, words: Sequence[bytes]) -> tuple[bytes, bytes, int | None, Sequence[bytes]]:
    """HSETEX's condition, kind of expiry, time, and pairs."""
    condition = expiry = b""
    when = None
    args = Args(words)
    while args:
        raw = args.next()
        match raw.upper():
            case b"FIELDS":
                if len(args) < 3:
                    raise WrongArity("hsetex")
                count = bounded(args.next(), 1, 2**31 - 1, "invalid number of fields")
                if count * 2 != len(args):
                    raise WrongArity("hsetex")
                return condition, expiry, when, args.rest()
            case b"EX" | b"PX" | b"EXAT" | b"PXAT" as option:
                if expiry:
                    raise CommandError("Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")
                if not args:
                    raise CommandError("missing expire time")
                expiry = option
                unit, relative = UNITS[option]
                when = _moment(args.next(), name="hsetex", unit=unit, base=ctx.now if relative else 0)
            case b"KEEPTTL":
                if expiry:
                    raise CommandError("Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")
                expiry = b"KEEPTTL"
            case b"FXX" | b"FNX" as option:
                if condition:
                    raise CommandError("Only one of FXX or FNX arguments can be specified")
                condition = option
            case _:
                raise CommandError(f"unknown argument: {quoted(raw)}")
    raise WrongArity("hsetex")


@command(f"HGETDEL key {FIELDS}", WRITE | FAST, since="8.0.0")
def hgetdel(ctx: Session, key: bytes, *words: bytes) -> list[bytes | None]:
    """Return fields of a hash and delete them."""
    value = ctx.db.get(key, Hash)
    fields = _fields(words)
    if value is None:
        return [None] * len(fields)
    # A field that is named twice is gone the second time.
    taken: dict[bytes, bytes] = {}
    found = []
    for field in fields:
        data = value.get(field) if field not in taken else None
        if data is not None:
            taken[field] = data
        found.append(data)
    if value.remove(taken):
        ctx.log_as(b"HDEL", key, *taken)
    return found
