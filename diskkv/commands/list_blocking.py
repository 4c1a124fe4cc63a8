"""Lists: the commands that wait until there is something to take. They are logged as what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from diskkv.commands.lists import move, move_several, pop_first, read_moving, read_pop, side
from diskkv.dispatch.args import timeout
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import BLOCKING, DENYOOM, MOVABLEKEYS, WRITE, Keys, group
from diskkv.errors import CommandError
from diskkv.format import LIST
from diskkv.lib.numbers import INT_MAX
from diskkv.replies import Blocked
from diskkv.types.lists import List

command = group("list")


def _deadline(ctx: Session, seconds: float) -> int | None:
    if not seconds:
        return None
    deadline = ctx.now + ceil(seconds * 1000)
    if deadline > INT_MAX:
        raise CommandError("timeout is out of range")
    return deadline


def _pop_or_wait(ctx: Session, words: Sequence[bytes], *, left: bool) -> Any:
    deadline = _deadline(ctx, timeout(words[-1]))
    for key in words[:-1]:
        value = ctx.db.get(key, List)
        if value is not None:
            element = value.pop_left() if left else value.pop_right()
            ctx.log_as(b"LPOP" if left else b"RPOP", key)
            return [key, element]
    return Blocked(words[:-1], LIST, deadline)


@command("BLPOP key [key ...] timeout", WRITE | BLOCKING, since="2.0.0", keys=Keys(1, -2, 1))
def blpop(ctx: Session, *words: bytes) -> Any:
    """Take the first element of the first of several lists that exists, waiting for one if need be; reply its key and the element."""
    return _pop_or_wait(ctx, words, left=True)


@command("BRPOP key [key ...] timeout", WRITE | BLOCKING, since="2.0.0", keys=Keys(1, -2, 1))
def brpop(ctx: Session, *words: bytes) -> Any:
    """Take the last element of the first of several lists that exists, waiting for one if need be; reply its key and the element."""
    return _pop_or_wait(ctx, words, left=False)


@command("BLMPOP timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]", WRITE | BLOCKING | MOVABLEKEYS, since="7.0.0")
def blmpop(ctx: Session, seconds: bytes, *words: bytes) -> Any:
    """Take elements from the first of several lists that exists, waiting for one if need be; reply its key and the elements."""
    names, left, count = read_pop(words)
    deadline = _deadline(ctx, timeout(seconds))
    reply = pop_first(ctx, names, left, count)
    return reply if reply is not None else Blocked(names, LIST, deadline)


@command("BLMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout", WRITE | DENYOOM | BLOCKING, since="6.2.0")
def blmove(ctx: Session, source: bytes, destination: bytes, whence: bytes, whither: bytes, seconds: bytes) -> Any:
    """Take an element from an end of one list and put it at an end of another, waiting for one if need be; reply it."""
    left, to_left = side(whence), side(whither)
    deadline = _deadline(ctx, timeout(seconds))
    element = move(ctx, source, destination, left, to_left)
    if element is None:
        return Blocked((source,), LIST, deadline, refusal=None)
    ctx.log_as(b"LMOVE", source, destination, whence, whither)
    return element


@command("BRPOPLPUSH source destination timeout", WRITE | DENYOOM | BLOCKING, since="2.2.0")
def brpoplpush(ctx: Session, source: bytes, destination: bytes, seconds: bytes) -> Any:
    """Take the last element of one list and put it before another's first, waiting for one if need be; reply it."""
    deadline = _deadline(ctx, timeout(seconds))
    element = move(ctx, source, destination, False, True)
    if element is None:
        return Blocked((source,), LIST, deadline, refusal=None)
    ctx.log_as(b"RPOPLPUSH", source, destination)
    return element


@command(
    "BLMOVEM source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout [<COUNT count | EXACTLY exactly> <OBO | BULK>]",
    WRITE | DENYOOM | BLOCKING, since="8.10.0", arity=-6, keys=Keys(1, 2, 1),
)  # fmt: skip
def blmovem(ctx: Session, source: bytes, destination: bytes, whence: bytes, whither: bytes, seconds: bytes, *how_many: bytes) -> Any:
    """Take elements from an end of one list and put them at an end of another, waiting for enough of them if need be; reply them."""
    left, to_left = side(whence), side(whither)
    count, exactly, one_by_one = read_moving(how_many)
    deadline = _deadline(ctx, timeout(seconds))
    moved = move_several(ctx, source, destination, left, to_left, count, exactly, one_by_one)
    if moved is None:
        return Blocked((source,), LIST, deadline, growing=exactly and count > 1)
    order = b"OBO" if one_by_one else b"BULK"
    ctx.log_as(b"LMOVEM", source, destination, whence, whither, b"EXACTLY", b"%d" % len(moved), order)
    return moved
