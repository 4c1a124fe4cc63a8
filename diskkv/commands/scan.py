"""Walking over the keys."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import Args
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import READONLY, group
from diskkv.dispatch.walks import read_cursor
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib.glob import compile_glob, literal_prefix
from diskkv.types.names import type_name

command = group("generic")


@command("KEYS pattern", READONLY, since="1.0.0")
def keys(ctx: Session, pattern: bytes) -> list[bytes]:
    """Return all keys that match a pattern."""
    matches = compile_glob(pattern)
    prefix = literal_prefix(pattern)
    return [key for key in ctx.db.scan(prefix, _behind(prefix)) if matches(key)]


@command("RANDOMKEY", READONLY, since="1.0.0")
def randomkey(ctx: Session) -> bytes | None:
    """Return a random key."""
    return ctx.db.random_key()


@command("SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]", READONLY, since="2.8.0")
def scan(ctx: Session, cursor: bytes, *options: bytes) -> list[Any]:
    """Return some of the keys, and a cursor with which to go on; 0 begins and means the end."""
    number = read_cursor(cursor)
    pattern, count, kind = None, 10, None
    args = Args(options)
    while args:
        match args.word():
            case b"MATCH" if args:
                pattern = args.next()
            case b"COUNT" if args:
                count = args.int()
                if count < 1:
                    raise BadSyntax
            case b"TYPE" if args:
                kind = args.next().lower()
            case _:
                raise BadSyntax
    start, stop = b"", None
    if pattern is not None:
        start = literal_prefix(pattern)
        stop = _behind(start)
    if number:
        last = ctx.executor.cursors.key(number)
        if last is None:
            raise CommandError("unknown cursor: it was not handed out here, or so long ago that it was forgotten; begin again with 0")
        start = max(start, last + b"\0")
    return _page(ctx, start, stop, pattern, count, kind)


def _page(ctx: Session, start: bytes, stop: bytes | None, pattern: bytes | None, count: int, kind: bytes | None) -> list[Any]:
    """Look at `count` keys from `start` on: SCAN's reply."""
    db = ctx.db
    matches = compile_glob(pattern) if pattern is not None else None
    found: list[bytes] = []
    gone: list[bytes] = []
    last = b""
    following = b"0"
    for seen, key in enumerate(db.scan(start, stop, gone)):
        if seen == count:
            following = b"%d" % ctx.executor.cursors.number(last)
            break
        last = key
        if (matches is None or matches(key)) and (kind is None or type_name(db.peek_tag(key)) == kind):
            found.append(key)
    for key in gone:
        # What has expired is deleted by whoever comes across it.
        db.find(key)
    return [following, found]


def _behind(prefix: bytes) -> bytes | None:
    """The first key behind all that begin with a prefix; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None
