"""Transactions."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ALLOW_BUSY, DURING_MULTI, FAST, LOADING, NOSCRIPT, SKIP_SLOWLOG, STALE, group
from diskkv.errors import CommandError
from diskkv.replies import NIL_ARRAY, OK

command = group("transactions")


@command("MULTI", NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | DURING_MULTI, since="1.2.0")
def multi(ctx: Session) -> Any:
    """Begin a transaction: the commands that follow are queued until EXEC."""
    if ctx.queue is not None:
        raise CommandError("MULTI calls can not be nested")
    ctx.enter_multi()
    return OK


@command("EXEC", NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG | DURING_MULTI, since="1.2.0")
def exec_(ctx: Session) -> Any:
    """Run the queued commands as one, unless a watched key was changed; their replies, or null."""
    if ctx.queue is None:
        raise CommandError("EXEC without MULTI")
    try:
        replies = ctx.executor.execute_queue(ctx)
    finally:
        # What was queued has logged itself.
        ctx.log_nothing()
    return NIL_ARRAY if replies is None else replies


@command("DISCARD", NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | DURING_MULTI, since="2.0.0")
def discard(ctx: Session) -> Any:
    """Forget the queued commands and the watched keys."""
    if ctx.queue is None:
        raise CommandError("DISCARD without MULTI")
    ctx.leave_multi()
    return OK


@command("WATCH key [key ...]", NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | DURING_MULTI, since="2.2.0")
def watch(ctx: Session, *keys: bytes) -> Any:
    """Have the next EXEC do nothing if one of the keys changes until then."""
    if ctx.queue is not None:
        raise CommandError("WATCH inside MULTI is not allowed")
    for key in keys:
        # A key that has expired is deleted here, and not later, when that would count as a change.
        ctx.db.find(key)
        ctx.watch(key)
    return OK


@command("UNWATCH", NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, since="2.2.0")
def unwatch(ctx: Session) -> Any:
    """Forget the watched keys."""
    ctx.unwatch()
    return OK
