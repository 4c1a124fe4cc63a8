"""Streams: reading what is new, waiting for it if need be, and what is known of a stream."""

from __future__ import annotations

from typing import Any

from diskkv.commands.streams import identifier, shown
from diskkv.dispatch.args import Args, milliseconds
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import BLOCKING, LOADING, MOVABLEKEYS, READONLY, STALE, Keys, group, help_lines
from diskkv.errors import BadSyntax, CommandError, NoSuchKey
from diskkv.format import STREAM
from diskkv.lib.numbers import INT_MAX
from diskkv.replies import NIL_ARRAY, Blocked, Named
from diskkv.types.stream_ids import format_id
from diskkv.types.streams import ID_MAX, Stream

command = group("stream")

# How many entries XINFO STREAM FULL shows unless it is told.
FEW = 10
# Redis keeps about so many entries in one node of its tree, which is what XINFO counts.
NODE_ENTRIES = 100


@command(
    "XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    READONLY | BLOCKING | MOVABLEKEYS, since="5.0.0", arity=-4, keys=Keys(),
)  # fmt: skip
def xread(ctx: Session, *words: bytes) -> Any:
    """Return the entries of several streams whose ids are higher than the given ones, waiting for one if need be."""
    count, wait = 0, -1
    args = Args(words)
    while args:
        option = args.word()
        if option == b"BLOCK" and args:
            wait = milliseconds(args.next())
            if ctx.now + wait > INT_MAX:
                raise CommandError("timeout is out of range")
        elif option == b"COUNT" and args:
            count = max(args.int(), 0)
        elif option == b"STREAMS" and args:
            break
        elif option == b"GROUP" and len(args) > 1:
            raise CommandError("The GROUP option is only supported by XREADGROUP. You called XREAD instead.")
        elif option == b"NOACK":
            raise CommandError("The NOACK option is only supported by XREADGROUP. You called XREAD instead.")
        else:
            raise BadSyntax
    if not args:
        raise BadSyntax
    if len(args) % 2:
        raise CommandError("Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.")
    names = args.take(len(args) // 2)
    marks = args.rest()
    values: list[Stream | None] = []
    after: list[int] = []
    for key, mark in zip(names, marks, strict=True):
        value = ctx.db.get(key, Stream)
        values.append(value)
        if mark == b"$":
            after.append(0 if value is None else value.last)
        elif mark == b">":
            raise CommandError("The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.")
        else:
            after.append(identifier(mark))
    found = []
    for key, value, number in zip(names, values, after, strict=True):
        if value is not None and number < value.last:
            entries = value.range(number + 1, ID_MAX, count)
            if entries:
                found.append((key, shown(entries)))
    if found:
        return Named(found)
    if wait < 0:
        return NIL_ARRAY
    # What `$` meant, it meant when the client came.
    again = [b"XREAD", *words[: -len(marks)], *map(format_id, after)]
    return Blocked(names, STREAM, ctx.now + wait if wait else None, argv=again)


@command("XINFO STREAM key [FULL [COUNT count]]", READONLY, since="5.0.0")
def xinfo_stream(ctx: Session, key: bytes, *options: bytes) -> dict[bytes, Any]:
    """Return what is known of a stream."""
    count = FEW
    args = Args(options)
    full = bool(args)
    value = _existing(ctx, key)
    if full:
        if args.word() != b"FULL" or len(args) not in (0, 2) or (args and args.word() != b"COUNT"):
            raise CommandError("unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.")
        if args:
            count = args.int()
            count = FEW if count < 0 else count
    first = value.first()
    nodes = -(-len(value) // NODE_ENTRIES)
    told: dict[bytes, Any] = {
        b"length": len(value),
        b"radix-tree-keys": nodes,
        b"radix-tree-nodes": nodes + 1,
        b"last-generated-id": format_id(value.last),
        b"max-deleted-entry-id": format_id(value.max_deleted),
        b"entries-added": value.added,
        b"recorded-first-entry-id": format_id(first or 0),
    }
    if full:
        return {**told, b"entries": shown(value.range(0, ID_MAX, count)), b"groups": []}
    ends = [shown(value.range(0, ID_MAX, 1, reverse=reverse)) for reverse in (False, True)]
    return {**told, b"groups": 0, b"first-entry": ends[0][0] if ends[0] else None, b"last-entry": ends[1][0] if ends[1] else None}


@command("XINFO GROUPS key", READONLY, since="5.0.0")
def xinfo_groups(ctx: Session, key: bytes) -> list[Any]:
    """Return a stream's consumer groups, of which there are none."""
    _existing(ctx, key)
    return []


@command("XINFO HELP", LOADING | STALE, since="5.0.0")
def xinfo_help(ctx: Session) -> Any:
    """Return what the subcommands do."""
    return help_lines("xinfo")


def _existing(ctx: Session, key: bytes) -> Stream:
    value = ctx.db.get(key, Stream)
    if value is None:
        raise NoSuchKey
    return value
