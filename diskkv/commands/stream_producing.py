"""Streams: remembering what producers have sent, so that a message that is sent again is not added again.

What XADD adds is logged as an entry with an id and its message's names; a message that is known already as it came. Where a stream begins
to remember the log says for how long, so that it does not depend on the settings at the time of its replay.
"""

from __future__ import annotations

from diskkv.commands.stream_bounds import identifier
from diskkv.dispatch.args import Args
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, WRITE, group
from diskkv.errors import BadSyntax, CommandError, NoSuchKey
from diskkv.replies import OK, Simple
from diskkv.types.stream_ids import format_id
from diskkv.types.streams import Stream

command = group("stream")

# Seconds, and messages of each producer.
MOST_SECONDS = 86_400
MOST_MESSAGES = 10_000


def known_entry(ctx: Session, value: Stream, producer: bytes, message: bytes) -> int | None:
    """The entry that a message became that has been sent again, or None when it is a new one."""
    production = value.production
    known = None if production is None else production.find(producer, message, _now(ctx))
    if production is not None and known is not None:
        production.repeated()
    return known


def note_message(ctx: Session, key: bytes, value: Stream, producer: bytes, message: bytes, entry: int) -> None:
    """Remember that a message became an entry, and have the log say so."""
    if value.production is None:
        _configure(ctx, key, value, *_usual(ctx))
    assert value.production is not None
    value.production.add(producer, message, entry, _now(ctx))
    ctx.log_as(b"XIDMPRECORD", key, producer, message, format_id(entry))


def _now(ctx: Session) -> int | None:
    """The moment by which messages are too old; None while the log is replayed, in which none is."""
    return None if ctx.store.replaying else ctx.now


def _usual(ctx: Session) -> tuple[int, int]:
    settings = ctx.executor.settings
    return settings["stream-idmp-duration"], settings["stream-idmp-maxsize"]


def _configure(ctx: Session, key: bytes, value: Stream, seconds: int, most: int) -> None:
    value.remember(seconds, most)
    ctx.log_as(b"XCFGSET", key, b"IDMP-DURATION", b"%d" % seconds, b"IDMP-MAXSIZE", b"%d" % most)


@command("XCFGSET key [IDMP-DURATION idmp-duration] [IDMP-MAXSIZE idmp-maxsize]", WRITE | FAST, since="8.6.0")
def xcfgset(ctx: Session, key: bytes, *options: bytes) -> Simple:
    """Say for how many seconds, and how many of each producer, messages are remembered; what is remembered is forgotten if that differs."""
    value = ctx.db.get(key, Stream)
    if value is None:
        raise NoSuchKey
    seconds, most = _read_options(Args(options))
    ctx.log_nothing()
    old = value.production
    before = _usual(ctx) if old is None else (old.seconds, old.most)
    wanted = (seconds or before[0], most or before[1])
    if old is None or wanted != before:
        _configure(ctx, key, value, *wanted)
    return OK


def _read_options(args: Args) -> tuple[int, int]:
    """Seconds and messages; 0 for what is not said."""
    said = {b"IDMP-DURATION": 0, b"IDMP-MAXSIZE": 0}
    while args:
        option = args.word()
        if option not in said or not args:
            raise BadSyntax
        if said[option]:
            raise CommandError(f"{option.decode()} specified multiple times")
        number = args.int()
        most, unit = (MOST_SECONDS, "seconds") if option == b"IDMP-DURATION" else (MOST_MESSAGES, "entries")
        if not 1 <= number <= most:
            raise CommandError(f"{option.decode()} must be between 1 and {most} {unit}")
        said[option] = number
    if not any(said.values()):
        raise CommandError("At least one parameter must be specified")
    return said[b"IDMP-DURATION"], said[b"IDMP-MAXSIZE"]


@command("XIDMPRECORD key pid iid stream-id", WRITE | DENYOOM | FAST, since="8.6.2")
def xidmprecord(ctx: Session, key: bytes, producer: bytes, message: bytes, word: bytes) -> Simple:
    """Remember that a message of a producer became an entry that there is."""
    number = identifier(word)
    if not producer:
        raise CommandError("producer ID must be non-empty")
    if not message:
        raise CommandError("idempotent ID must be non-empty")
    value = ctx.db.get(key, Stream)
    if value is None:
        raise NoSuchKey
    if not value.has(number) and not ctx.store.replaying:
        raise CommandError("No such message in stream")
    ctx.log_nothing()
    # What is replayed was remembered then: if it is known, that had been forgotten.
    found = None if value.production is None or ctx.store.replaying else value.production.find(producer, message, ctx.now)
    if found is None:
        note_message(ctx, key, value, producer, message, number)
    elif found != number:
        raise CommandError("IID already exists for this producer with a different stream ID")
    return OK
