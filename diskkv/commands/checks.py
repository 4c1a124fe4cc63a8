"""Examinations of a store that is being served."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ADMIN, NO_ASYNC_LOADING, NOSCRIPT, group, help_lines
from diskkv.errors import CommandError, StoreError
from diskkv.replies import Simple

command = group("server")


@command("DISKKV.CHECK START", ADMIN | NOSCRIPT | NO_ASYNC_LOADING, since="7.2.0")
def check_start(ctx: Session) -> Any:
    """Begin to examine what the last checkpoint has written, in the background."""
    try:
        ctx.executor.checks.begin()
    except StoreError as error:
        raise CommandError(str(error)) from None
    return Simple(b"Check started")


@command("DISKKV.CHECK STATUS", ADMIN | NOSCRIPT | NO_ASYNC_LOADING, since="7.2.0")
def check_status(ctx: Session) -> dict[bytes, Any]:
    """Return what is known of the examination that runs, or was last, and its findings."""
    status = ctx.executor.checks.status
    state = b"running" if status.running else b"failed" if status.error else b"done" if status.done else b"none"
    return {
        b"state": state,
        b"error": status.error.encode("utf-8", "surrogateescape"),
        b"began": status.began,
        b"ended": status.ended,
        b"keys": status.keys,
        b"part": b"%.4f" % status.part,
        b"records": status.records,
        b"bytes": status.bytes,
        b"findings": status.findings,
        b"named": [text.encode("utf-8", "surrogateescape") for text in status.named],
    }


@command("DISKKV.CHECK HELP", NOSCRIPT | NO_ASYNC_LOADING, since="7.2.0")
def check_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("diskkv.check")
