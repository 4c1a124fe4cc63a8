"""Connections."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import small_integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import FAST, LOADING, STALE, group
from diskkv.errors import CommandError, WrongArity
from diskkv.replies import OK, PONG

command = group("connection")


@command("PING [message]", FAST, since="1.0.0")
def ping(ctx: Session, *message: bytes) -> Any:
    """Reply PONG, or the message."""
    if len(message) > 1:
        raise WrongArity("ping")
    if ctx.protocol == 2 and ctx.subscribed():
        return [b"pong", message[0] if message else b""]
    return message[0] if message else PONG


@command("ECHO message", LOADING | STALE | FAST, since="1.0.0")
def echo(ctx: Session, message: bytes) -> bytes:
    """Reply the message."""
    return message


@command("SELECT index", LOADING | STALE | FAST, since="1.0.0")
def select(ctx: Session, index: bytes) -> Any:
    """Choose the numbered database that the following commands work on."""
    number = small_integer(index)
    if not 0 <= number < len(ctx.store.databases):
        raise CommandError("DB index is out of range")
    ctx.select(number)
    return OK
