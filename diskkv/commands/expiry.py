"""When keys expire."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import integer, quoted
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import FAST, READONLY, WRITE, group
from diskkv.errors import CommandError
from diskkv.lib.numbers import INT_MAX, INT_MIN

command = group("generic")

OPTIONS = "[NX | XX | GT | LT]"


@command(f"EXPIRE key seconds {OPTIONS}", WRITE | FAST, since="1.0.0")
def expire(ctx: Session, key: bytes, seconds: bytes, *options: bytes) -> int:
    """Have a key expire after some seconds."""
    return _expire(ctx, key, seconds, options, name="expire", unit=1000, base=ctx.now)


@command(f"PEXPIRE key milliseconds {OPTIONS}", WRITE | FAST, since="2.6.0")
def pexpire(ctx: Session, key: bytes, milliseconds: bytes, *options: bytes) -> int:
    """Have a key expire after some milliseconds."""
    return _expire(ctx, key, milliseconds, options, name="pexpire", unit=1, base=ctx.now)


@command(f"EXPIREAT key unix-time-seconds {OPTIONS}", WRITE | FAST, since="1.2.0")
def expireat(ctx: Session, key: bytes, seconds: bytes, *options: bytes) -> int:
    """Have a key expire at a time in seconds."""
    return _expire(ctx, key, seconds, options, name="expireat", unit=1000, base=0)


@command(f"PEXPIREAT key unix-time-milliseconds {OPTIONS}", WRITE | FAST, since="2.6.0")
def pexpireat(ctx: Session, key: bytes, milliseconds: bytes, *options: bytes) -> int:
    """Have a key expire at a time in milliseconds."""
    return _expire(ctx, key, milliseconds, options, name="pexpireat", unit=1, base=0)


def _expire(ctx: Session, key: bytes, raw: bytes, options: tuple[bytes, ...], *, name: str, unit: int, base: int) -> int:
    conditions = _conditions(options) if options else frozenset()
    when = integer(raw)
    if unit != 1 and not INT_MIN // unit < when <= INT_MAX // unit:
        raise CommandError(f"invalid expire time in '{name}' command")
    when *= unit
    if when > INT_MAX - base:
        raise CommandError(f"invalid expire time in '{name}' command")
    when += base
    value = ctx.db.find(key)
    if value is None or (conditions and not _allowed(conditions, when, value.expire)):
        return 0
    if when <= ctx.now and not ctx.store.replaying:
        ctx.db.remove(value)
        ctx.log_as(b"DEL", key)
    else:
        ctx.db.set_expire(value, when)
        ctx.log_as(b"PEXPIREAT", key, b"%d" % when)
    return 1


def _conditions(options: tuple[bytes, ...]) -> frozenset[bytes]:
    found = set()
    for option in options:
        if option.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise CommandError(f"Unsupported option {quoted(option)}")
        found.add(option.upper())
    if b"NX" in found and len(found) > 1:
        raise CommandError("NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= found:
        raise CommandError("GT and LT options at the same time are not compatible")
    return frozenset(found)


def _allowed(conditions: frozenset[bytes], when: int, old: int | None) -> bool:
    """Whether the conditions hold. A key that does not expire counts as one that expires at the end of time."""
    return not (
        (b"NX" in conditions and old is not None)
        or (b"XX" in conditions and old is None)
        or (b"GT" in conditions and (old is None or when <= old))
        or (b"LT" in conditions and old is not None and when >= old)
    )


@command("TTL key", READONLY | FAST, since="1.0.0")
def ttl(ctx: Session, key: bytes) -> int:
    """Return the seconds until a key expires; -1 for never, -2 for a missing key."""
    left = pttl(ctx, key)
    return left if left < 0 else (left + 500) // 1000


@command("PTTL key", READONLY | FAST, since="2.6.0")
def pttl(ctx: Session, key: bytes) -> int:
    """Return the milliseconds until a key expires; -1 for never, -2 for a missing key."""
    when = pexpiretime(ctx, key)
    return when if when < 0 else when - ctx.now


@command("EXPIRETIME key", READONLY | FAST, since="7.0.0")
def expiretime(ctx: Session, key: bytes) -> int:
    """Return the time in seconds at which a key expires; -1 for never, -2 for a missing key."""
    when = pexpiretime(ctx, key)
    return when if when < 0 else (when + 500) // 1000


@command("PEXPIRETIME key", READONLY | FAST, since="7.0.0")
def pexpiretime(ctx: Session, key: bytes) -> int:
    """Return the time in milliseconds at which a key expires; -1 for never, -2 for a missing key."""
    value = ctx.db.glance(key)
    if value is None:
        return -2
    return -1 if value.expire is None else value.expire


@command("PERSIST key", WRITE | FAST, since="2.2.0")
def persist(ctx: Session, key: bytes) -> Any:
    """Have a key never expire; 0 when it was missing or did not expire."""
    value = ctx.db.glance(key)
    if value is None or value.expire is None:
        return 0
    ctx.db.set_expire(value, None)
    return 1
