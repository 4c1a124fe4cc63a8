"""Streams: what is known of them, of their consumer groups and of the consumers."""

from __future__ import annotations

from itertools import islice
from typing import Any

from diskkv.commands.stream_groups import existing_group
from diskkv.commands.streams import shown
from diskkv.dispatch.args import Args
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import LOADING, READONLY, STALE, group, help_lines
from diskkv.errors import CommandError, NoSuchKey
from diskkv.types.groups import NEVER, Group
from diskkv.types.ledgers import ID_MAX
from diskkv.types.progress import UNKNOWN, lag
from diskkv.types.stream_ids import format_id
from diskkv.types.streams import Stream

command = group("stream")

# How many entries XINFO STREAM FULL shows unless it is told.
FEW = 10


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
    # Redis keeps about so many entries in one node of its tree, which is what it tells the number of.
    nodes = -(-len(value) // (ctx.executor.settings["stream-node-max-entries"] or 1))
    told: dict[bytes, Any] = {
        b"length": len(value),
        b"radix-tree-keys": nodes,
        b"radix-tree-nodes": nodes + 1,
        b"last-generated-id": format_id(value.last),
        b"max-deleted-entry-id": format_id(value.max_deleted),
        b"entries-added": _signed(value.added),
        b"recorded-first-entry-id": format_id(first or 0),
    }
    told |= _production(value, ctx.now)
    if full:
        entries = shown(value.range(0, ID_MAX, count))
        return {**told, b"entries": entries, b"groups": [_whole_group(value, each, count) for each in _sorted_groups(value)]}
    ends = [shown(value.range(0, ID_MAX, 1, reverse=reverse)) for reverse in (False, True)]
    shown_ends = {b"first-entry": ends[0][0] if ends[0] else None, b"last-entry": ends[1][0] if ends[1] else None}
    return {**told, b"groups": value.group_count, **shown_ends}


def _production(value: Stream, now: int) -> dict[bytes, Any]:
    """What Redis 8.6 tells besides, of streams that remember messages; the reply is otherwise the one of 7.2."""
    production = value.production
    if production is None:
        return {}
    producers, messages = production.counted(now)
    return {
        b"idmp-duration": production.seconds,
        b"idmp-maxsize": production.most,
        b"pids-tracked": producers,
        b"iids-tracked": messages,
        b"iids-added": production.added,
        b"iids-duplicates": production.duplicates,
    }


def _signed(count: int) -> int:
    """A count of 64 bits, which XSETID may have brought near its end, as the reply has it."""
    return count - (1 << 64) if count >> 63 else count


def _sorted_groups(value: Stream) -> list[Group]:
    groups = value.groups()
    return [groups[name] for name in sorted(groups)]


def _read(found: Group) -> int | None:
    return None if found.read == UNKNOWN else found.read


def _whole_group(value: Stream, found: Group, count: int) -> dict[bytes, Any]:
    """A group in XINFO STREAM FULL, with up to `count` of what is pending in it and for each consumer; 0 for all."""
    few = count or None
    # What Redis 8.8 tells besides is told where it is of use, so that the reply is otherwise the one of 7.2.
    released = {} if found.released is None else {b"nacked-count": found.released.count}
    return {
        b"name": found.name,
        b"last-delivered-id": format_id(found.last),
        b"entries-read": _read(found),
        b"lag": lag(value, found),
        b"pel-count": len(found),
        **released,
        b"pending": [
            [format_id(number), b"" if holder is None else holder.name, time, times]
            for number, holder, time, times in islice(found.deliveries(0, ID_MAX), few)
        ],
        b"consumers": [
            {
                b"name": consumer.name,
                b"seen-time": consumer.seen,
                b"active-time": consumer.active,
                b"pel-count": len(consumer),
                b"pending": [
                    [format_id(number), time, times]
                    for number, _, time, times in islice(found.deliveries_to(consumer, 0, ID_MAX), few)
                ],
            }
            for consumer in found.sorted_consumers()
        ],
    }  # fmt: skip


@command("XINFO GROUPS key", READONLY, since="5.0.0")
def xinfo_groups(ctx: Session, key: bytes) -> list[Any]:
    """Return what is known of a stream's consumer groups."""
    value = _existing(ctx, key)
    return [
        {
            b"name": found.name,
            b"consumers": len(found.consumers),
            b"pending": len(found),
            b"last-delivered-id": format_id(found.last),
            b"entries-read": _read(found),
            b"lag": lag(value, found),
        }
        for found in _sorted_groups(value)
    ]


@command("XINFO CONSUMERS key group", READONLY, since="5.0.0")
def xinfo_consumers(ctx: Session, key: bytes, name: bytes) -> list[Any]:
    """Return what is known of a group's consumers."""
    now = ctx.now
    return [
        {
            b"name": consumer.name,
            b"pending": len(consumer),
            b"idle": max(now - consumer.seen, 0),
            b"inactive": NEVER if consumer.active == NEVER else now - consumer.active,
        }
        for consumer in existing_group(_existing(ctx, key), key, name).sorted_consumers()
    ]


@command("XINFO HELP", LOADING | STALE, since="5.0.0")
def xinfo_help(ctx: Session) -> Any:
    """Return what the subcommands do."""
    return help_lines("xinfo")


def _existing(ctx: Session, key: bytes) -> Stream:
    value = ctx.db.get(key, Stream)
    if value is None:
        raise NoSuchKey
    return value
