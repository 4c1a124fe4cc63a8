"""Hashes."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, READONLY, WRITE, group
from diskkv.dispatch.walks import draw_options, read_cursor, scan_options
from diskkv.errors import CommandError, NanOrInfinity, NotFloat, Overflow, WrongArity
from diskkv.lib.numbers import INT_MAX, INT_MIN, add_long_double, is_finite, parse_int, parse_long_double
from diskkv.replies import OK, Pairs
from diskkv.types.hashes import Hash

command = group("hash")


@command("HSET key field value [field value ...]", WRITE | DENYOOM | FAST, since="2.0.0")
def hset(ctx: Session, key: bytes, *pairs: bytes) -> int:
    """Set fields of a hash, creating it if need be, and return how many are new."""
    if len(pairs) % 2:
        raise WrongArity("hset")
    return ctx.db.open(key, Hash).set(pairs)


@command("HMSET key field value [field value ...]", WRITE | DENYOOM | FAST, since="2.0.0")
def hmset(ctx: Session, key: bytes, *pairs: bytes) -> Any:
    """Set fields of a hash (the older form of HSET)."""
    if len(pairs) % 2:
        raise WrongArity("hmset")
    ctx.db.open(key, Hash).set(pairs)
    return OK


@command("HSETNX key field value", WRITE | DENYOOM | FAST, since="2.0.0")
def hsetnx(ctx: Session, key: bytes, field: bytes, data: bytes) -> int:
    """Set a field of a hash if there is none of that name."""
    value = ctx.db.open(key, Hash)
    if value.get(field) is not None:
        return 0
    return value.set((field, data))


@command("HGET key field", READONLY | FAST, since="2.0.0")
def hget(ctx: Session, key: bytes, field: bytes) -> bytes | None:
    """Return a field of a hash."""
    value = ctx.db.get(key, Hash)
    if value is None:
        return None
    data: bytes | None = value.resident.get(field)
    return data if data is not None or value.complete else value.get(field)


@command("HMGET key field [field ...]", READONLY | FAST, since="2.0.0")
def hmget(ctx: Session, key: bytes, *fields: bytes) -> list[bytes | None]:
    """Return several fields of a hash; null for those that it has not."""
    value = ctx.db.get(key, Hash)
    if value is None:
        return [None] * len(fields)
    return [value.get(field) for field in fields]


@command("HDEL key field [field ...]", WRITE | FAST, since="2.0.0")
def hdel(ctx: Session, key: bytes, *fields: bytes) -> int:
    """Delete fields of a hash and return how many there were."""
    value = ctx.db.get(key, Hash)
    return value.remove(fields) if value is not None else 0


@command("HEXISTS key field", READONLY | FAST, since="2.0.0")
def hexists(ctx: Session, key: bytes, field: bytes) -> int:
    """Return whether a hash has a field."""
    value = ctx.db.get(key, Hash)
    return int(value is not None and value.get(field) is not None)


@command("HLEN key", READONLY | FAST, since="2.0.0")
def hlen(ctx: Session, key: bytes) -> int:
    """Return how many fields a hash has."""
    value = ctx.db.get(key, Hash)
    return len(value) if value is not None else 0


@command("HSTRLEN key field", READONLY | FAST, since="3.2.0")
def hstrlen(ctx: Session, key: bytes, field: bytes) -> int:
    """Return the length of a field's value."""
    return len(hget(ctx, key, field) or b"")


@command("HGETALL key", READONLY, since="2.0.0")
def hgetall(ctx: Session, key: bytes) -> dict[bytes, bytes]:
    """Return all fields of a hash and their values."""
    value = ctx.db.get(key, Hash)
    if value is None:
        return {}
    items = value.items()
    # Copying a dict is ten times as fast as making one of its items.
    return value.resident.copy() if value.complete else dict(items)


@command("HKEYS key", READONLY, since="2.0.0")
def hkeys(ctx: Session, key: bytes) -> list[bytes]:
    """Return all fields of a hash."""
    value = ctx.db.get(key, Hash)
    return list(value.members()) if value is not None else []


@command("HVALS key", READONLY, since="2.0.0")
def hvals(ctx: Session, key: bytes) -> list[bytes]:
    """Return the values of all fields of a hash."""
    value = ctx.db.get(key, Hash)
    return [data for _, data in value.items()] if value is not None else []


@command("HINCRBY key field increment", WRITE | DENYOOM | FAST, since="2.0.0")
def hincrby(ctx: Session, key: bytes, field: bytes, amount: bytes) -> int:
    """Add to the integer in a field of a hash and return it."""
    number = integer(amount)
    value = ctx.db.open(key, Hash)
    data = value.get(field)
    old = 0 if data is None else parse_int(data)
    if old is None:
        raise CommandError("hash value is not an integer")
    new = old + number
    if not INT_MIN <= new <= INT_MAX:
        raise Overflow
    value.update(field, b"%d" % new)
    return new


@command("HINCRBYFLOAT key field increment", WRITE | DENYOOM | FAST, since="2.6.0")
def hincrbyfloat(ctx: Session, key: bytes, field: bytes, amount: bytes) -> bytes:
    """Add to the floating-point number in a field of a hash and return it."""
    number = parse_long_double(amount)
    if number is None:
        raise NotFloat
    if not is_finite(number):
        raise CommandError("value is NaN or Infinity")
    value = ctx.db.open(key, Hash)
    data = value.get(field)
    old = b"0" if data is None else data
    if parse_long_double(old) is None:
        raise CommandError("hash value is not a float")
    new = add_long_double(old, amount)
    if new is None:
        raise NanOrInfinity
    value.update(field, new)
    ctx.log_as(b"HSET", key, field, new)
    if (when := value.expiry(field)) is not None:
        # HSET has taken it away.
        ctx.log_as(b"HPEXPIREAT", key, b"%d" % when, b"FIELDS", b"1", field)
    return new


@command("HRANDFIELD key [count [WITHVALUES]]", READONLY, since="6.2.0")
def hrandfield(ctx: Session, key: bytes, *words: bytes) -> Any:
    """Return one or several random fields of a hash; a negative count may return a field more than once."""
    if not words:
        value = ctx.db.get(key, Hash)
        return value.pick()[0] if value is not None else None
    count, with_values = draw_options(words[0], words[1:], b"WITHVALUES")
    value = ctx.db.get(key, Hash)
    if value is None or not count:
        return []
    items = value.sample(count) if count > 0 else value.choices(-count)
    return Pairs(items) if with_values else [field for field, _ in items]


@command("HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]", READONLY, since="2.8.0")
def hscan(ctx: Session, key: bytes, cursor: bytes, *options: bytes) -> list[Any]:
    """Return some fields of a hash with their values, and a cursor with which to go on; 0 begins and means the end."""
    place = read_cursor(cursor)
    value = ctx.db.get(key, Hash)
    if value is None:
        return [b"0", []]
    flags: list[bytes] = []
    matches, count = scan_options(options, b"NOVALUES", flags)
    place, items = value.cursor_scan(place, count)
    if flags:
        return [b"%d" % place, [field for field, _ in items if matches is None or matches(field)]]
    return [b"%d" % place, [part for item in items if matches is None or matches(item[0]) for part in item]]
