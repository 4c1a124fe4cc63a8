"""Streams: reading what is new, for oneself or as one of a group's consumers, and waiting for it if need be.

What XREADGROUP does is logged as an XCLAIM of what it gave, and the XGROUP SETID that goes with it. With CLAIM it gives first what others,
or the consumer itself, have been given long ago and not acknowledged; what is in the stream no more is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from diskkv.commands.stream_bounds import identifier
from diskkv.commands.stream_limits import Limits
from diskkv.commands.streams import shown
from diskkv.dispatch.args import integer, milliseconds
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import BLOCKING, MOVABLEKEYS, READONLY, WRITE, Keys, group
from diskkv.errors import BadSyntax, CommandError, NoSuchGroup
from diskkv.format import STREAM
from diskkv.lib.eventclasses import Classes
from diskkv.lib.numbers import INT_MAX, parse_int
from diskkv.replies import NIL_ARRAY, Blocked, Named
from diskkv.types.groups import Consumer, Delivery, Group
from diskkv.types.ledgers import ID_MAX
from diskkv.types.stream_ids import format_id
from diskkv.types.streams import Entry, Stream

command = group("stream")

# What is said of `$` and `+` where they make no sense.
MEANINGLESS = (
    "The {} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, "
    "or use the > ID to get new messages. The {} ID would just return an empty result set."
)

# What CLAIM tells of a new entry: how long it has been pending, and how often it was delivered.
NEVER_PENDING = (0, 0)


class Reading(NamedTuple):
    """What stands behind XREAD and XREADGROUP. `limit` is of each stream, `limits` of all; `wait` is in ms, negative for not at all; `idle`
    is how long in ms an entry must have been pending to be claimed, None for never; `group` and `consumer` are names."""

    limit: int
    limits: Limits | None
    wait: int
    idle: int | None
    group: bytes | None
    consumer: bytes
    acknowledged: bool
    names: Sequence[bytes]
    marks: Sequence[bytes]


def _read_options(ctx: Session, words: Sequence[bytes], name: str) -> Reading:
    # By index: consumers ask often and for little, and a cursor would cost as much as all the rest.
    count, wait = 0, -1
    most = room = 0
    of_group = name == "xreadgroup"
    idle: int | None = None
    group_name, consumer, noack = None, b"", False
    at, end = 0, len(words)
    while at < end:
        option = words[at].upper()
        at += 1
        if option == b"STREAMS" and at < end:
            break
        if option == b"COUNT" and at < end:
            count = max(integer(words[at]), 0)
            at += 1
        elif option == b"BLOCK" and at < end:
            wait = milliseconds(words[at])
            if ctx.now + wait > INT_MAX:
                raise CommandError("timeout is out of range")
            at += 1
        elif option in (b"MAXCOUNT", b"MAXSIZE") and at < end:
            limit = integer(words[at])
            if limit <= 0:
                raise CommandError(f"{option.decode()} must be a positive integer")
            if option == b"MAXCOUNT":
                most = limit
            else:
                room = limit
            at += 1
        elif option == b"CLAIM" and at < end:
            if not of_group:
                raise CommandError("The CLAIM option is only supported by XREADGROUP. You called XREAD instead.")
            idle = parse_int(words[at])
            if idle is None:
                raise CommandError("min-idle-time is not an integer or out of range")
            if idle < 0:
                raise CommandError("min-idle-time must be a positive integer")
            at += 1
        elif option == b"GROUP" and at + 1 < end:
            if not of_group:
                raise CommandError("The GROUP option is only supported by XREADGROUP. You called XREAD instead.")
            group_name, consumer = words[at], words[at + 1]
            at += 2
        elif option == b"NOACK":
            if not of_group:
                raise CommandError("The NOACK option is only supported by XREADGROUP. You called XREAD instead.")
            noack = True
        else:
            raise BadSyntax
    if at == end:
        raise BadSyntax
    if (end - at) % 2:
        mark = ">" if of_group else "$"
        raise CommandError(f"Unbalanced '{name}' list of streams: for each stream key an ID or '{mark}' must be specified.")
    if of_group and group_name is None:
        raise CommandError("Missing GROUP option for XREADGROUP")
    if 0 < most < count:
        raise CommandError("MAXCOUNT must be greater than or equal to COUNT")
    middle = (at + end) // 2
    limits = Limits(most, room, ctx.protocol) if most or room else None
    return Reading(count, limits, wait, idle, group_name, consumer, noack, words[at:middle], words[middle:])


@command(
    "XREAD [COUNT count] [MAXCOUNT maxcount] [MAXSIZE maxsize] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    READONLY | BLOCKING | MOVABLEKEYS, since="5.0.0", arity=-4, keys=Keys(),
)  # fmt: skip
def xread(ctx: Session, *words: bytes) -> Any:
    """Return the entries of several streams whose ids are higher than the given ones, waiting for one if need be."""
    reading = _read_options(ctx, words, "xread")
    wanted = []
    after: list[int] = []
    for key, mark in zip(reading.names, reading.marks, strict=True):
        value = ctx.db.get(key, Stream)
        wanted.append((key, value))
        if mark == b"$":
            after.append(0 if value is None else value.last)
        elif mark == b"+":
            # The last entry, if there is one.
            top = None if value is None else value.top()
            after.append((0 if value is None else value.last) if top is None else top - 1)
        elif mark == b">":
            raise CommandError("The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.")
        else:
            after.append(identifier(mark))
    found = []
    limits = reading.limits
    # Who names a stream ten thousand times is shown the same entries each time, not ten thousand copies of them.
    shown_from: dict[tuple[bytes, int], list[Any]] = {}
    for (key, value), number in zip(wanted, after, strict=True):
        if limits is not None and not limits.turn(key):
            break
        if value is not None and number < value.last:
            entries = shown_from.get((key, number)) if limits is None else None
            if entries is None:
                entries = shown_from[key, number] = shown(_new(value, number + 1, reading.limit, limits))
            if entries or (limits is not None and limits.told):
                found.append((key, entries))
    if found:
        return Named(found)
    if reading.wait < 0:
        return NIL_ARRAY
    # What `$` meant, it meant when the client came.
    again = [b"XREAD", *words[: -len(after)], *map(format_id, after)]
    return Blocked(reading.names, STREAM, ctx.now + reading.wait if reading.wait else None, argv=again)


@command(
    "XREADGROUP GROUP group consumer [COUNT count] [MAXCOUNT maxcount] [MAXSIZE maxsize] [BLOCK milliseconds] [CLAIM min-idle-time] "
    "[NOACK] STREAMS key [key ...] id [id ...]",
    WRITE | BLOCKING | MOVABLEKEYS, since="5.0.0", arity=-7, keys=Keys(), name_words=1,
)  # fmt: skip
def xreadgroup(ctx: Session, *words: bytes) -> Any:
    """Give entries of several streams to a consumer of a group: new ones, waiting if need be, or those that it has not acknowledged."""
    reading = _read_options(ctx, words, "xreadgroup")
    name = reading.group
    assert name is not None
    wanted: list[tuple[bytes, Stream, Group, int]] = []
    for key, mark in zip(reading.names, reading.marks, strict=True):
        value = ctx.db.get(key, Stream)
        found = None if value is None else value.groups().get(name)
        if value is None or found is None:
            raise NoSuchGroup(key, name, in_xreadgroup=True)
        if mark in (b"$", b"+"):
            raise CommandError(MEANINGLESS.format(mark.decode(), mark.decode()))
        wanted.append((key, value, found, ID_MAX if mark == b">" else identifier(mark)))
    ctx.log_nothing()
    replies = []
    again: int | None = None
    limits = reading.limits
    for key, value, of, after in wanted:
        if limits is not None and not limits.turn(key):
            break
        consumer = of.consumers.get(reading.consumer)
        if consumer is None:
            consumer = of.create_consumer(reading.consumer, ctx.now)
            ctx.log_as(b"XGROUP", b"CREATECONSUMER", key, name, reading.consumer)
            ctx.say(Classes.STREAM, b"xgroup-createconsumer", key)
        else:
            of.notice(consumer, ctx.now)
        if after != ID_MAX:
            replies.append((key, _history(ctx, key, value, consumer, after, reading)))
            continue
        told: list[Any] = []
        if reading.idle is not None:
            of.sort()
            told = _claim(ctx, key, value, consumer, reading.idle, reading)
        left = reading.limit - len(told)
        beside = () if reading.idle is None else NEVER_PENDING
        if (
            of.last < value.last
            and (left > 0 or not reading.limit)
            and (entries := _new(value, of.last + 1, max(left, 0), limits, beside))
        ):
            of.deliver(consumer, entries, ctx.now, pending=not reading.acknowledged)
            if not reading.acknowledged:
                log_claim(ctx, key, consumer, [number for number, _ in entries], ctx.now, 1)
            ctx.log_as(b"XGROUP", b"SETID", key, name, format_id(of.last), b"ENTRIESREAD", b"%d" % of.read)
            told += [[*entry, *beside] for entry in shown(entries)] if beside else shown(entries)
        if told or (limits is not None and limits.told):
            replies.append((key, told))
        elif reading.idle is not None:
            since = of.first_after(ctx.now - reading.idle)
            # What is not sorted yet may have waited for long enough.
            due = ctx.now + 1 if not of.sorted else None if since is None else since + reading.idle
            again = min((each for each in (again, due) if each is not None), default=None)
    if replies:
        return Named(replies)
    if reading.wait < 0:
        return NIL_ARRAY
    return Blocked(reading.names, STREAM, ctx.now + reading.wait if reading.wait else None, vanishing=True, again=again)


def _new(value: Stream, start: int, count: int, limits: Limits | None, beside: tuple[int, ...] = ()) -> Sequence[Entry]:
    """The entries from an id on, up to `count`, 0 for all, as far as they may be replied."""
    return value.range(start, ID_MAX, count) if limits is None else limits.take(value, start, count, beside)


def _claim(ctx: Session, key: bytes, value: Stream, consumer: Consumer, idle: int, reading: Reading) -> list[Any]:
    """Make a consumer the one for whom what has been pending for long enough is; as the reply has it."""
    group = consumer.group
    limits = reading.limits
    told: list[Any] = []
    taken: list[Delivery] = []
    for found in group.by_time(ctx.now - idle):
        items = value.entry(found.number)
        if items is not None:
            if limits is not None and not limits.admit():
                break
            taken.append(found)
            told.append([format_id(found.number), list(items), ctx.now - found.time, found.times])
            if limits is not None:
                limits.add(told[-1])
            if len(taken) == reading.limit:
                break
    by_times: dict[int, list[int]] = {}
    for found in taken:
        group.give(consumer, found.number, ctx.now, found.again)
        by_times.setdefault(found.again, []).append(found.number)
    if taken:
        group.serve(consumer, ctx.now)
    for times, numbers in by_times.items():
        log_claim(ctx, key, consumer, numbers, ctx.now, times)
    return told


def log_claim(ctx: Session, key: bytes, consumer: Consumer, numbers: Sequence[int], time: int, times: int) -> None:
    """Have the log say that some entries are pending for a consumer now, last delivered at a time and so many times."""
    # What is pending takes much more memory than log, and its replay more work than one command's.
    ctx.store.backlog.commands += len(numbers)
    ids = map(format_id, numbers)
    options = (b"TIME", b"%d" % time, b"RETRYCOUNT", b"%d" % times, b"FORCE", b"JUSTID")
    ctx.log_as(b"XCLAIM", key, consumer.group.name, consumer.name, b"0", *ids, *options)


def _history(ctx: Session, key: bytes, value: Stream, consumer: Consumer, after: int, reading: Reading) -> list[Any]:
    """The entries behind an id that are pending for a consumer, as the reply has them; those that are no more have no fields."""
    told: list[Any] = []
    again = []
    limits = reading.limits
    for number, _ in consumer.owned.scan(after + 1):
        if limits is not None and not limits.admit():
            break
        items = value.entry(number)
        if items is not None:
            again.append(number)
        told.append([format_id(number), NIL_ARRAY if items is None else list(items)])
        if limits is not None:
            limits.add(told[-1])
        if len(told) == reading.limit:
            break
    if again:
        for times, numbers in consumer.group.deliver_again(consumer, again, ctx.now).items():
            log_claim(ctx, key, consumer, numbers, ctx.now, times)
    return told
