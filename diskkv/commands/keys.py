"""Keys of any type."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import Args, small_integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, LOADING, READONLY, STALE, WRITE, group, help_lines
from diskkv.errors import BadSyntax, CommandError, NoSuchKey
from diskkv.replies import OK, Simple
from diskkv.store.database import Database
from diskkv.types.names import type_name

command = group("generic")


@command("DEL key [key ...]", WRITE, since="1.0.0")
def del_(ctx: Session, *keys: bytes) -> int:
    """Delete keys and return how many there were."""
    return sum(ctx.db.delete(key) for key in keys)


@command("UNLINK key [key ...]", WRITE | FAST, since="4.0.0")
def unlink(ctx: Session, *keys: bytes) -> int:
    """Delete keys (as DEL, which here takes no time either)."""
    return sum(ctx.db.delete(key) for key in keys)


@command("EXISTS key [key ...]", READONLY | FAST, since="1.0.0")
def exists(ctx: Session, *keys: bytes) -> int:
    """Return how many of the keys exist; one named twice counts twice."""
    return sum(ctx.db.glance(key) is not None for key in keys)


@command("TOUCH key [key ...]", READONLY | FAST, since="3.2.1")
def touch(ctx: Session, *keys: bytes) -> int:
    """Use keys, so that the cache keeps them, and return how many exist."""
    return sum(ctx.db.find(key) is not None for key in keys)


@command("TYPE key", READONLY | FAST, since="1.0.0")
def type_(ctx: Session, key: bytes) -> Any:
    """Return the name of a key's type."""
    value = ctx.db.glance(key)
    return Simple(type_name(value.tag if value is not None else 0))


@command("RENAME key newkey", WRITE, since="1.0.0")
def rename(ctx: Session, key: bytes, newkey: bytes) -> Any:
    """Give a key another name, replacing what has it."""
    value = ctx.db.find(key)
    if value is None:
        raise NoSuchKey
    if key != newkey:
        ctx.db.move(value, ctx.db, newkey)
    return OK


@command("RENAMENX key newkey", WRITE | FAST, since="1.0.0")
def renamenx(ctx: Session, key: bytes, newkey: bytes) -> int:
    """Give a key another name if nothing has it."""
    value = ctx.db.find(key)
    if value is None:
        raise NoSuchKey
    if key == newkey or ctx.db.find(newkey) is not None:
        return 0
    ctx.db.move(value, ctx.db, newkey)
    return 1


@command("MOVE key db", WRITE | FAST, since="1.0.0")
def move(ctx: Session, key: bytes, db: bytes) -> int:
    """Move a key to another database, unless it is there already."""
    target = _database(ctx, db)
    if target is ctx.db:
        raise CommandError("source and destination objects are the same")
    value = ctx.db.find(key)
    if value is None or target.find(key) is not None:
        return 0
    ctx.db.move(value, target, key)
    return 1


@command("COPY source destination [DB destination-db] [REPLACE]", WRITE | DENYOOM, since="6.2.0")
def copy(ctx: Session, source: bytes, destination: bytes, *options: bytes) -> int:
    """Copy a key, with its expiry, unless the destination exists or REPLACE is given."""
    args = Args(options)
    target = ctx.db
    replace = False
    while args:
        match args.word():
            case b"REPLACE":
                replace = True
            case b"DB" if args:
                target = _database(ctx, args.next())
            case _:
                raise BadSyntax
    if target is ctx.db and source == destination:
        raise CommandError("source and destination objects are the same")
    value = ctx.db.find(source)
    if value is None:
        return 0
    old = target.find(destination)
    if old is not None:
        if not replace:
            return 0
        target.remove(old)
    fresh = type(value)(target, destination)
    value.copy_to(fresh)
    if value.expire is not None:
        target.set_expire(fresh, value.expire)
    return 1


def _database(ctx: Session, raw: bytes) -> Database:
    number = small_integer(raw)
    databases = ctx.store.databases
    if not 0 <= number < len(databases):
        raise CommandError("DB index is out of range")
    return databases[number]


@command("OBJECT ENCODING key", READONLY, since="2.2.3")
def object_encoding(ctx: Session, key: bytes) -> bytes | None:
    """Return how Redis would hold the value."""
    value = ctx.db.find(key)
    return value.encoding() if value is not None else None


@command("OBJECT REFCOUNT key", READONLY, since="2.2.3")
def object_refcount(ctx: Session, key: bytes) -> int | None:
    """Return 1 for a key that exists: values are never shared."""
    return 1 if ctx.db.find(key) is not None else None


ADJUSTING = "Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."


@command("OBJECT IDLETIME key", READONLY, since="2.2.3")
def object_idletime(ctx: Session, key: bytes) -> int | None:
    """Return for how many seconds nobody has looked a key up; 0 for one that has just come from disk."""
    held = ctx.db.objects.get(key)
    seen = held.seen if held is not None else ctx.store.moment
    value = ctx.db.find(key)
    if value is None:
        return None
    value.seen = seen
    if ctx.executor.counting:
        raise CommandError(f"An LFU maxmemory policy is selected, idle time not tracked. {ADJUSTING}")
    return max(0, ctx.now // 1000 - seen // 1000)


@command("OBJECT FREQ key", READONLY, since="4.0.0")
def object_freq(ctx: Session, key: bytes) -> int | None:
    """Return about how often a key is used, on a logarithmic scale from 0 to 255. Requires an LFU policy to be selected."""
    value = ctx.db.find(key)
    if value is None:
        return None
    if not ctx.executor.counting:
        raise CommandError(f"An LFU maxmemory policy is not selected, access frequency not tracked. {ADJUSTING}")
    return ctx.executor.frequencies.count(ctx.db, key)


@command("OBJECT HELP", LOADING | STALE, since="6.2.0")
def object_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("object")
