"""Consumer groups of streams: making and destroying them, acknowledging, and looking at what is pending."""

from __future__ import annotations

from itertools import islice
from typing import Any

from diskkv.commands.stream_bounds import bound, identifier
from diskkv.dispatch.args import Args, integer, quoted
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, LOADING, READONLY, STALE, WRITE, group, help_lines
from diskkv.errors import BadSyntax, CommandError, NoSuchGroup
from diskkv.lib.eventclasses import Classes
from diskkv.lib.numbers import INT_MAX
from diskkv.replies import NIL_ARRAY, OK, Simple
from diskkv.types.groups import Group
from diskkv.types.progress import UNKNOWN
from diskkv.types.stream_ids import format_id
from diskkv.types.streams import Stream

command = group("stream")

# How long XPENDING says that nobody has had an entry.
NOT_IDLE = -1

NO_KEY = (
    "The XGROUP subcommand requires the key to exist. "
    "Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically."
)


def existing_group(value: Stream, key: bytes, name: bytes) -> Group:
    """The group of a stream with a name, or the error of XGROUP and XINFO."""
    found = value.groups().get(name)
    if found is None:
        raise CommandError(f"No such consumer group '{quoted(name)}' for key name '{quoted(key)}'", code="NOGROUP")
    return found


def group_of(ctx: Session, key: bytes, name: bytes) -> tuple[Stream, Group]:
    """A stream and one of its groups, or the error of XPENDING and the claiming commands."""
    value = ctx.db.get(key, Stream)
    found = None if value is None else value.groups().get(name)
    if value is None or found is None:
        raise NoSuchGroup(key, name)
    return value, found


def _stream(ctx: Session, key: bytes) -> Stream:
    value = ctx.db.get(key, Stream)
    if value is None:
        raise CommandError(NO_KEY)
    return value


def _read_options(sub: str, options: tuple[bytes, ...], *, creating: bool) -> tuple[bool, int]:
    """Whether a missing stream is to be made, and the number of entries read."""
    create, read = False, UNKNOWN
    args = Args(options)
    while args:
        option = args.word()
        if creating and option == b"MKSTREAM":
            create = True
        elif option == b"ENTRIESREAD" and args:
            read = integer(args.next())
            if read < 0 and read != UNKNOWN:
                raise CommandError("value for ENTRIESREAD must be positive or -1")
        else:
            raise wrong_subcommand(sub, "XGROUP")
    return create, read


def wrong_subcommand(sub: str, container: str) -> CommandError:
    """The error of a subcommand whose words can't be made out."""
    return CommandError(f"unknown subcommand or wrong number of arguments for '{sub}'. Try {container} HELP.")


@command("XGROUP CREATE key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]", WRITE | DENYOOM, since="5.0.0")
def xgroup_create(ctx: Session, key: bytes, name: bytes, mark: bytes, *options: bytes) -> Simple:
    """Create a consumer group of a stream, which begins behind an id."""
    create, read = _read_options("CREATE", options, creating=True)
    value = ctx.db.open(key, Stream)
    if not value.linked and not create:
        raise CommandError(NO_KEY)
    if len(options) > 3:
        raise wrong_subcommand("CREATE", "XGROUP")
    last = value.last if mark == b"$" else identifier(mark)
    if name in value.groups():
        raise CommandError("Consumer Group name already exists", code="BUSYGROUP")
    value.create_group(name, last, read)
    ctx.say(Classes.STREAM, b"xgroup-create", key)
    return OK


@command("XGROUP SETID key group <id | $> [ENTRIESREAD entries-read]", WRITE, since="5.0.0")
def xgroup_setid(ctx: Session, key: bytes, name: bytes, mark: bytes, *options: bytes) -> Simple:
    """Say which id was delivered last to a consumer group."""
    _, read = _read_options("SETID", options, creating=False)
    value = _stream(ctx, key)
    found = existing_group(value, key, name)
    if len(options) not in (0, 2):
        raise wrong_subcommand("SETID", "XGROUP")
    last = value.last if mark == b"$" else identifier(mark, bounds=True)
    found.set_last(last, read)
    ctx.say(Classes.STREAM, b"xgroup-setid", key)
    return OK


@command("XGROUP DESTROY key group", WRITE, since="5.0.0")
def xgroup_destroy(ctx: Session, key: bytes, name: bytes) -> int:
    """Destroy a consumer group."""
    value = _stream(ctx, key)
    found = value.groups().get(name)
    if found is None:
        return 0
    value.destroy_group(found)
    ctx.say(Classes.STREAM, b"xgroup-destroy", key)
    if key in ctx.db.awaited:
        ctx.store.ready(ctx.db, key)
    return 1


@command("XGROUP CREATECONSUMER key group consumer", WRITE | DENYOOM, since="6.2.0")
def xgroup_createconsumer(ctx: Session, key: bytes, name: bytes, consumer: bytes) -> int:
    """Create a consumer of a group; reply 0 when there is one of that name."""
    found = existing_group(_stream(ctx, key), key, name)
    if consumer in found.consumers:
        return 0
    found.create_consumer(consumer, ctx.now)
    ctx.say(Classes.STREAM, b"xgroup-createconsumer", key)
    return 1


@command("XGROUP DELCONSUMER key group consumer", WRITE, since="5.0.0")
def xgroup_delconsumer(ctx: Session, key: bytes, name: bytes, consumer: bytes) -> int:
    """Delete a consumer of a group with all that is pending for it; reply how many entries that was."""
    found = existing_group(_stream(ctx, key), key, name)
    held = found.consumers.get(consumer)
    if held is None:
        return 0
    ctx.say(Classes.STREAM, b"xgroup-delconsumer", key)
    return found.delete_consumer(held)


@command("XGROUP HELP", LOADING | STALE, since="5.0.0")
def xgroup_help(ctx: Session) -> Any:
    """Return what the subcommands do."""
    return help_lines("xgroup")


@command("XACK key group id [id ...]", WRITE | FAST, since="5.0.0")
def xack(ctx: Session, key: bytes, name: bytes, *words: bytes) -> int:
    """Acknowledge entries: they are pending in the group no more; reply how many were."""
    value = ctx.db.get(key, Stream)
    found = None if value is None else value.groups().get(name)
    return 0 if found is None else found.acknowledge([identifier(word) for word in words])


@command("XPENDING key group [[IDLE min-idle-time] start end count [consumer]]", READONLY, since="5.0.0")
def xpending(ctx: Session, key: bytes, name: bytes, *options: bytes) -> Any:
    """Return how much is pending in a group, or which entries, for whom, for how long, and how often they were delivered."""
    if not options:
        return _summary(group_of(ctx, key, name)[1])
    if not 3 <= len(options) <= 6:
        raise BadSyntax
    args = Args(options)
    least = 0
    if args.peek() == b"IDLE":
        args.next()
        least = args.int()
        if len(args) < 3:
            raise BadSyntax
    first, last = args.take(2)
    count = max(args.int(), 0)
    start = bound(first, 0, 1, "invalid start ID for the interval")
    stop = bound(last, (1 << 64) - 1, -1, "invalid end ID for the interval")
    consumer = args.next() if args else None
    _, found = group_of(ctx, key, name)
    if consumer is None:
        deliveries = found.deliveries(start, stop)
    else:
        holder = found.consumers.get(consumer)
        if holder is None:
            return []
        deliveries = found.deliveries_to(holder, start, stop)
    now = ctx.now
    chosen = (each for each in deliveries if each.consumer is None or now - each.time >= least) if least else deliveries
    return [
        [format_id(number), *((b"", NOT_IDLE) if holder is None else (holder.name, max(now - time, 0))), times]
        for number, holder, time, times in islice(chosen, min(count, INT_MAX))
    ]


def _summary(found: Group) -> list[Any]:
    first, last = found.pending.first(), found.pending.last()
    if first is None or last is None:
        return [0, None, None, NIL_ARRAY]
    holders = [[holder.name, b"%d" % len(holder)] for holder in found.sorted_consumers() if len(holder)]
    return [len(found), format_id(first), format_id(last), holders]
