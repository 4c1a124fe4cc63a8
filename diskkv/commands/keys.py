"""Keys of any type."""

from __future__ import annotations

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import FAST, READONLY, WRITE, group

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
    return sum(ctx.db.find(key) is not None for key in keys)
