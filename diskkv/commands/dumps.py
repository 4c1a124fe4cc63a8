"""DUMP and RESTORE: values as Redis' bytes."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import Args, integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, READONLY, WRITE, group
from diskkv.errors import BadDump, BadSyntax, BusyKey, CommandError
from diskkv.rdb.payload import BadFooter, read_payload, write_payload
from diskkv.replies import OK
from diskkv.transfer.values import check, content_of, put

command = group("generic")


@command("DUMP key", READONLY, since="2.6.0")
def dump(ctx: Session, key: bytes) -> bytes | None:
    """Return a value in the form that RESTORE takes, here or in Redis."""
    value = ctx.db.find(key)
    return write_payload(content_of(value)) if value is not None else None


@command("RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]", WRITE | DENYOOM, since="2.6.0")
def restore(ctx: Session, key: bytes, ttl: bytes, serialized_value: bytes, *options: bytes) -> Any:
    """Give a key the value that DUMP returned, to expire in `ttl` ms (0: never), or with ABSTTL at that time."""
    replace, absolute, idle, frequency = _options(options)
    db = ctx.db
    if not replace and db.find(key) is not None:
        raise BusyKey
    when = integer(ttl)
    if when < 0:
        raise CommandError("Invalid TTL value, must be >= 0")
    try:
        content = read_payload(serialized_value)
        check(content)
    except BadFooter:
        raise CommandError("DUMP payload version or checksum are wrong") from None
    except BadDump:
        raise CommandError("Bad data format") from None
    if when and not absolute:
        when += ctx.now
    if when and when <= ctx.now and not ctx.store.replaying:
        if db.delete(key):
            ctx.log_as(b"DEL", key)
        return OK
    value = put(db, key, content)
    if key in db.awaited:
        # Redis deletes the old key and adds a new one; what merely takes another's place wakes nobody.
        ctx.store.ready(db, key)
    if when:
        db.set_expire(value, when)
    if idle is not None:
        value.seen = ctx.now - 1000 * idle
    if frequency is not None and ctx.executor.counting:
        ctx.executor.frequencies.put(db, key, frequency)
    ctx.log_as(b"RESTORE", key, b"%d" % when, serialized_value, b"REPLACE", b"ABSTTL")
    return OK


def _options(options: tuple[bytes, ...]) -> tuple[bool, bool, int | None, int | None]:
    """REPLACE, ABSTTL, how many seconds ago the key was last used, and its count, which has no meaning without an LFU policy."""
    args = Args(options)
    replace = absolute = False
    idle = frequency = None
    while args:
        match args.word():
            case b"REPLACE":
                replace = True
            case b"ABSTTL":
                absolute = True
            case b"IDLETIME" if args and frequency is None:
                idle = args.int()
                if idle < 0:
                    raise CommandError("Invalid IDLETIME value, must be >= 0")
            case b"FREQ" if args and idle is None:
                frequency = args.int()
                if not 0 <= frequency <= 255:
                    raise CommandError("Invalid FREQ value, must be >= 0 and <= 255")
            case _:
                raise BadSyntax
    return replace, absolute, idle, frequency
