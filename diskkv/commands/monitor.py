"""MONITOR."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ADMIN, LOADING, NOSCRIPT, STALE, group
from diskkv.errors import CommandError
from diskkv.replies import NO_REPLY, OK

command = group("server")


@command("MONITOR", ADMIN | NOSCRIPT | LOADING | STALE, since="1.0.0")
def monitor(ctx: Session) -> Any:
    """See every command that is run, but those that administer the server."""
    if ctx.executor.nested:
        raise CommandError("MONITOR isn't allowed for DENY BLOCKING client")
    if ctx.monitoring:
        return NO_REPLY
    ctx.executor.observers.monitors.begin(ctx)
    return OK
