"""The server as a whole: time, stopping, saving, what was slow, what takes memory."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import (
    ADMIN,
    ALLOW_BUSY,
    FAST,
    LOADING,
    NO_ASYNC_LOADING,
    NO_MULTI,
    NOSCRIPT,
    STALE,
    group,
    help_lines,
)  # fmt: skip
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib.numbers import parse_int
from diskkv.replies import NO_REPLY, OK, Simple

command = group("server")


@command("TIME", LOADING | STALE | FAST, since="2.6.0")
def time_(ctx: Session) -> list[bytes]:
    """Return the time, in seconds and the microseconds of the second."""
    return [b"%d" % part for part in divmod(ctx.executor.microseconds(), 1_000_000)]


@command("LASTSAVE", LOADING | STALE | FAST, since="1.0.0")
def lastsave(ctx: Session) -> int:
    """Return the time in seconds of the last save that succeeded, or of the start."""
    return ctx.executor.saver.saved_at // 1000


@command("SAVE", NO_ASYNC_LOADING | ADMIN | NOSCRIPT | NO_MULTI, since="1.0.0")
def save(ctx: Session) -> Any:
    """Write all data to an RDB file, and serve nobody meanwhile."""
    ctx.executor.saver.save()
    return OK


@command("BGSAVE [SCHEDULE]", NO_ASYNC_LOADING | ADMIN | NOSCRIPT, since="1.0.0")
def bgsave(ctx: Session, *mode: bytes) -> Any:
    """Begin to write all data to an RDB file."""
    if mode and (len(mode) > 1 or mode[0].upper() != b"SCHEDULE"):
        raise BadSyntax
    ctx.executor.saver.save_in_background()
    return Simple(b"Background saving started")


@command("BGREWRITEAOF", NO_ASYNC_LOADING | ADMIN | NOSCRIPT, since="1.0.0")
def bgrewriteaof(ctx: Session) -> Any:
    """Begin a checkpoint soon, after which the log so far is not needed any more."""
    ctx.store.writer.hasten()
    return Simple(b"Background append only file rewriting started")


@command(
    "SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]", ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY, since="1.0.0"
)
def shutdown(ctx: Session, *options: bytes) -> Any:
    """Stop, with everything on disk; NOSAVE leaves what is not yet in the tree to the log."""
    words = [option.upper() for option in options]
    if not set(words) <= {b"NOSAVE", b"SAVE", b"NOW", b"FORCE", b"ABORT"} or {b"NOSAVE", b"SAVE"} <= set(words):
        raise BadSyntax
    if b"ABORT" in words:
        if len(words) > 1:
            raise BadSyntax
        if ctx.executor.shutdown is None:
            raise CommandError("No shutdown in progress.")
        ctx.executor.shutdown = None
        return OK
    if ctx.store.failed is not None and b"FORCE" not in words:
        raise CommandError("Errors trying to SHUTDOWN. Check logs.")
    saver = ctx.executor.saver
    if b"NOSAVE" not in words and (b"SAVE" in words or saver.rules()) and ctx.store.path is not None:
        _save_at_the_end(ctx, forced=b"FORCE" in words)
    ctx.executor.shutdown = "nosave" if b"NOSAVE" in words else "save"
    return NO_REPLY


def _save_at_the_end(ctx: Session, *, forced: bool) -> None:
    """SHUTDOWN's save; a background one, which will not come to its end, counts for nothing."""
    if ctx.executor.saver.running:
        return
    try:
        ctx.executor.saver.save()
    except CommandError:
        if not forced:
            raise CommandError("Errors trying to SHUTDOWN. Check logs.") from None


@command("SLOWLOG GET [count]", ADMIN | LOADING | STALE, since="2.2.12")
def slowlog_get(ctx: Session, *count: bytes) -> list[Any]:
    """Return the latest slow commands."""
    wanted = parse_int(count[0]) if count else 10
    if len(count) > 1:
        raise BadSyntax
    if wanted is None or wanted < -1:
        raise CommandError("count should be greater than or equal to -1")
    entries = list(ctx.executor.stats.slow)
    return [
        [entry.id, entry.at, entry.microseconds, list(entry.argv), entry.address.encode(), entry.name]
        for entry in (entries if wanted == -1 else entries[:wanted])
    ]


@command("SLOWLOG LEN", ADMIN | LOADING | STALE, since="2.2.12")
def slowlog_len(ctx: Session) -> int:
    """Return how many slow commands are remembered."""
    return len(ctx.executor.stats.slow)


@command("SLOWLOG RESET", ADMIN | LOADING | STALE, since="2.2.12")
def slowlog_reset(ctx: Session) -> Any:
    """Forget the slow commands."""
    ctx.executor.stats.slow.clear()
    return OK


@command("SLOWLOG HELP", LOADING | STALE, since="6.2.0")
def slowlog_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("slowlog")
