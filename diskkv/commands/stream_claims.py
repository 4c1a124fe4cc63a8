"""Consumer groups of streams: taking over what is pending for others, and giving back what one can't deal with.

Claims are logged as who got what, when, and how often it has been delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from diskkv.commands.stream_bounds import bound, identifier
from diskkv.commands.stream_groups import group_of
from diskkv.commands.stream_reading import log_claim
from diskkv.dispatch.args import Args, bounded, quoted
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import FAST, WRITE, group
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib.eventclasses import Classes
from diskkv.lib.numbers import INT_MAX, parse_int
from diskkv.types.groups import MOST_TIMES, Consumer, Group
from diskkv.types.ledgers import ID_MAX
from diskkv.types.stream_ids import format_id, parse_id
from diskkv.types.streams import Stream

command = group("stream")

# How many pending entries XAUTOCLAIM looks at for each one that it may claim, and how many it claims unless it is told.
LOOKS = 10
CLAIMED = 100


class Claiming(NamedTuple):
    """What stands behind the ids of XCLAIM. `time` is when it was delivered, in ms, None for now; `times` is None to count on."""

    time: int | None
    times: int | None
    last: int
    force: bool
    only_ids: bool


def _idle(raw: bytes, name: str) -> int:
    number = parse_int(raw)
    if number is None:
        raise CommandError(f"Invalid min-idle-time argument for {name}")
    return max(number, 0)


def _read_options(ctx: Session, args: Args) -> Claiming:
    time: int | None = None
    times: int | None = None
    last = 0
    force = only_ids = False
    while args:
        word = args.next()
        option = word.upper()
        if option == b"FORCE":
            force = True
        elif option == b"JUSTID":
            only_ids = True
        elif option in (b"IDLE", b"TIME", b"RETRYCOUNT") and args:
            number = parse_int(args.next())
            if number is None:
                raise CommandError(f"Invalid {option.decode()} option argument for XCLAIM")
            if option == b"RETRYCOUNT":
                times = None if number < 0 else number
            else:
                time = ctx.now - number if option == b"IDLE" else number
        elif option == b"LASTID" and args:
            last = identifier(args.next())
        else:
            raise CommandError(f"Unrecognized XCLAIM option '{quoted(word)}'")
    if time is not None and not ctx.store.replaying and not 0 <= time <= ctx.now:
        time = None
    return Claiming(time, times, last, force, only_ids)


@command(
    "XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] "
    "[LASTID lastid]",
    WRITE | FAST, since="5.0.0", arity=-6,
)  # fmt: skip
def xclaim(ctx: Session, key: bytes, name: bytes, consumer: bytes, idle: bytes, *words: bytes) -> Any:
    """Make a consumer the one for whom some entries are pending, if they have been for long enough."""
    value, found = group_of(ctx, key, name)
    least = _idle(idle, "XCLAIM")
    numbers = []
    for word in words:
        number = parse_id(word)
        if number is None:
            break
        numbers.append(number)
    options = _read_options(ctx, Args(words[len(numbers) :]))
    ctx.log_nothing()
    if options.last > found.last:
        found.set_last(options.last, found.read)
        ctx.log_as(b"XGROUP", b"SETID", key, name, format_id(found.last), b"ENTRIESREAD", b"%d" % found.read)
    time = ctx.now if options.time is None else options.time
    claimer = _claimer(ctx, key, found, consumer, time)
    claims: dict[int, int] = {}
    lost: list[int] = []
    entries: list[Any] = []
    for number in numbers:
        held = found.find(number)
        items = value.entry(number)
        if items is None:
            if held is not None:
                found.acknowledge((number,))
                lost.append(number)
            continue
        if held is None:
            if not options.force:
                continue
            # Redis counts the entry's being made as one delivery, and then this one.
            times = 1
        elif least and held.consumer is not None and ctx.now - held.time < least:
            continue
        else:
            times = held.times
        if options.times is not None:
            times = options.times
        elif not options.only_ids:
            times = min(times + 1, MOST_TIMES)
        found.give(claimer, number, time, times)
        claims[number] = times
        entries.append(format_id(number) if options.only_ids else [format_id(number), list(items)])
    _finish(ctx, key, claimer, claims, lost, time)
    return entries


@command("XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]", WRITE | FAST, since="6.2.0")
def xautoclaim(ctx: Session, key: bytes, name: bytes, consumer: bytes, idle: bytes, start: bytes, *words: bytes) -> Any:
    """As XCLAIM of whatever has been pending for long enough, from an id on; reply where to go on, what it is, and what is gone."""
    least = _idle(idle, "XAUTOCLAIM")
    first = bound(start, 0, 1, "invalid start ID for the interval")
    count, only_ids = CLAIMED, False
    args = Args(words)
    while args:
        option = args.word()
        if option == b"COUNT" and args:
            count = bounded(args.next(), 1, INT_MAX // 16, "COUNT must be > 0")
        elif option == b"JUSTID":
            only_ids = True
        else:
            raise BadSyntax
    value, found = group_of(ctx, key, name)
    ctx.log_nothing()
    claimer = _claimer(ctx, key, found, consumer, ctx.now)
    taken, lost, following = _choose(value, found, first, ctx.now - least if least else None, count)
    claims: dict[int, int] = {}
    entries: list[Any] = []
    for number, times, items in taken:
        if not only_ids:
            times = min(times + 1, MOST_TIMES)
        found.give(claimer, number, ctx.now, times)
        claims[number] = times
        entries.append(format_id(number) if only_ids else [format_id(number), list(items)])
    found.acknowledge(lost)
    _finish(ctx, key, claimer, claims, lost, ctx.now)
    return [format_id(following), entries, list(map(format_id, lost))]


def _choose(
    value: Stream, found: Group, first: int, before: int | None, count: int
) -> tuple[list[tuple[int, int, Sequence[bytes]]], list[int], int]:
    """The pending entries that XAUTOCLAIM takes, those that are in the stream no more, and where to go on."""
    taken: list[tuple[int, int, Sequence[bytes]]] = []
    lost: list[int] = []
    looks = count * LOOKS
    for number, holder, time, times in found.deliveries(first, ID_MAX):
        if not looks or len(taken) + len(lost) == count:
            return taken, lost, number
        looks -= 1
        if before is not None and holder is not None and time > before:
            if not value.has(number):
                lost.append(number)
            continue
        items = value.entry(number)
        if items is None:
            lost.append(number)
        else:
            taken.append((number, times, items))
    return taken, lost, 0


# How often an entry was delivered that is given back, by the word that says why.
MODES: dict[bytes, Callable[[int], int]] = {
    b"SILENT": lambda times: max(times - 1, 0),
    b"FAIL": lambda times: times,
    b"FATAL": lambda times: MOST_TIMES,
}


class Releasing(NamedTuple):
    """What stands behind the mode of XNACK. `times` is None for what the mode says."""

    ids: Sequence[bytes]
    times: int | None
    force: bool


def _read_releasing(args: Args) -> Releasing:
    ids: Sequence[bytes] = ()
    times: int | None = None
    force = False
    while args:
        word = args.next()
        option = word.upper()
        if option == b"IDS" and args:
            count = bounded(args.next(), 1, 2**31 - 1, "numids must be a positive integer")
            if count > len(args):
                raise CommandError("number of IDs doesn't match numids")
            ids = args.take(count)
        elif option == b"FORCE":
            force = True
        elif option == b"RETRYCOUNT" and args:
            times = args.int()
            if times < 0:
                raise CommandError("Invalid RETRYCOUNT value, must be >= 0")
        else:
            raise CommandError(f"Unrecognized XNACK option '{quoted(word)}'")
    if not ids:
        raise CommandError("syntax error, expected IDS keyword")
    return Releasing(ids, times, force)


@command(
    "XNACK key group <SILENT | FAIL | FATAL> IDS numids id [id ...] [RETRYCOUNT count] [FORCE]",
    WRITE | FAST, since="8.8.0", arity=-7,
)  # fmt: skip
def xnack(ctx: Session, key: bytes, name: bytes, mode: bytes, *words: bytes) -> int:
    """Give pending entries back, so that the next who claims gets them first; reply how many there were."""
    value, found = group_of(ctx, key, name)
    counted = MODES.get(mode.upper())
    if counted is None:
        raise CommandError("mode must be SILENT, FAIL, or FATAL")
    options = _read_releasing(Args(words))
    released = 0
    for number in [identifier(word) for word in options.ids]:
        held = found.find(number)
        if held is not None or (options.force and value.has(number)):
            times = counted(0 if held is None else held.times) if options.times is None else options.times
            found.release(number, times)
            released += 1
    if released:
        # As in `log_claim`.
        ctx.store.backlog.commands += released
        if key in ctx.db.awaited:
            ctx.store.ready(ctx.db, key)
    return released


def _claimer(ctx: Session, key: bytes, found: Group, name: bytes, time: int) -> Consumer:
    """The consumer that claims: made if need be, and seen."""
    # In replay the command's own moment is nearer to the truth than now.
    now = time if ctx.store.replaying else ctx.now
    consumer = found.consumers.get(name)
    if consumer is None:
        consumer = found.create_consumer(name, now)
        ctx.log_as(b"XGROUP", b"CREATECONSUMER", key, found.name, name)
        ctx.say(Classes.STREAM, b"xgroup-createconsumer", key)
    else:
        found.notice(consumer, now)
    return consumer


def _finish(ctx: Session, key: bytes, claimer: Consumer, claims: dict[int, int], lost: Sequence[int], time: int) -> None:
    """Log what was claimed, how often that has been delivered now, and what was found to be gone."""
    if claims:
        claimer.group.serve(claimer, time if ctx.store.replaying else ctx.now)
    by_times: dict[int, list[int]] = {}
    for number, times in claims.items():
        by_times.setdefault(times, []).append(number)
    for times, numbers in by_times.items():
        log_claim(ctx, key, claimer, numbers, time, times)
    if lost:
        ctx.log_as(b"XACK", key, claimer.group.name, *map(format_id, lost))
