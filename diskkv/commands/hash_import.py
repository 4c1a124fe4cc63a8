"""HIMPORT: hashes that share their fields' names, which a connection tells once. The names are the session's, in any database.

What is made of them are hashes like any other. Logged as the HSET that it amounts to.
"""

from __future__ import annotations

from itertools import chain

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, WRITE, Flag, group
from diskkv.errors import CommandError
from diskkv.replies import OK, Simple
from diskkv.types.hashes import Hash

command = group("hash")

PLAIN = Flag(0)


# What a field's name takes beside its bytes.
WEIGHT = 45


@command("HIMPORT PREPARE fieldset-name field [field ...]", DENYOOM, since="8.10.0")
def himport_prepare(ctx: Session, name: bytes, *fields: bytes) -> Simple:
    """Name an ordered list of fields, for this connection to import hashes by."""
    if len(set(fields)) < len(fields):
        raise CommandError("duplicate field name in fieldset")
    _forget(ctx, name)
    ctx.fieldsets[name] = fields
    ctx.fieldset_size += _size(name, fields)
    return OK


@command("HIMPORT SET key fieldset-name value [value ...]", WRITE | DENYOOM, since="8.10.0")
def himport_set(ctx: Session, key: bytes, name: bytes, *values: bytes) -> Simple:
    """Make a key a hash that has a fieldset's fields and these values, in its order."""
    fields = ctx.fieldsets.get(name)
    if fields is None:
        raise CommandError("no such fieldset")
    if len(values) != len(fields):
        raise CommandError("value count does not match the fieldset")
    if ctx.db.get(key, Hash) is not None:
        ctx.log_as(b"DEL", key)
    pairs = tuple(chain.from_iterable(zip(fields, values, strict=True)))
    ctx.db.replace(key, Hash).set(pairs)
    ctx.log_as(b"HSET", key, *pairs)
    return OK


@command("HIMPORT DISCARD fieldset-name", PLAIN, since="8.10.0")
def himport_discard(ctx: Session, name: bytes) -> int:
    """Forget a fieldset, and return whether there was one of that name."""
    return int(_forget(ctx, name))


@command("HIMPORT DISCARDALL", PLAIN, since="8.10.0")
def himport_discardall(ctx: Session) -> int:
    """Forget every fieldset, and return how many there were."""
    return sum(_forget(ctx, name) for name in list(ctx.fieldsets))


def _forget(ctx: Session, name: bytes) -> bool:
    fields = ctx.fieldsets.pop(name, None)
    if fields is None:
        return False
    ctx.fieldset_size -= _size(name, fields)
    return True


def _size(name: bytes, fields: tuple[bytes, ...]) -> int:
    return len(name) + sum(map(len, fields)) + WEIGHT * (len(fields) + 1)
