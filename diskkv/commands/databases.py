"""Databases as a whole."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import small_integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import FAST, READONLY, WRITE, group
from diskkv.errors import BadSyntax, CommandError
from diskkv.replies import OK
from diskkv.store.exchange import exchange

command = group("server")


@command("DBSIZE", READONLY | FAST, since="1.0.0")
def dbsize(ctx: Session) -> int:
    """Return how many keys the database has."""
    # What has expired a moment ago is not counted, even if the keeper has not come by yet.
    ctx.store.expiry.due(ctx.now, 1000)
    return ctx.db.size()


@command("FLUSHDB [ASYNC | SYNC]", WRITE, since="1.0.0")
def flushdb(ctx: Session, *mode: bytes) -> Any:
    """Delete every key of the database, at once whatever its size."""
    _check_mode(mode)
    ctx.db.flush()
    ctx.executor.observers.tracking.flushed()
    return OK


@command("FLUSHALL [ASYNC | SYNC]", WRITE, since="1.0.0")
def flushall(ctx: Session, *mode: bytes) -> Any:
    """Delete every key of every database, at once whatever their size."""
    _check_mode(mode)
    for db in ctx.store.databases:
        db.flush()
    ctx.executor.observers.tracking.flushed()
    return OK


def _check_mode(mode: tuple[bytes, ...]) -> None:
    if mode and (len(mode) > 1 or mode[0].upper() not in (b"ASYNC", b"SYNC")):
        raise BadSyntax


@command("SWAPDB index1 index2", WRITE | FAST, since="4.0.0")
def swapdb(ctx: Session, index1: bytes, index2: bytes) -> Any:
    """Exchange two databases; their clients see each other's keys at once."""
    first, second = small_integer(index1, "invalid first DB index"), small_integer(index2, "invalid second DB index")
    count = len(ctx.store.databases)
    if not (0 <= first < count and 0 <= second < count):
        raise CommandError("DB index is out of range")
    if first != second:
        exchange(ctx.store, first, second)
        ctx.executor.reselect()
        ctx.db = ctx.store.databases[ctx.index]
    return OK
