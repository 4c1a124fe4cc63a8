"""Streams: adding, counting, reading, deleting. An entry is logged with the id it got, trimming as the length it came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from diskkv.commands.stream_bounds import bound, identifier
from diskkv.commands.stream_producing import known_entry, note_message
from diskkv.dispatch.args import Args, integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, READONLY, WRITE, group
from diskkv.errors import BadSyntax, CommandError, NoSuchKey, WrongArity
from diskkv.lib.digests import digest_entry
from diskkv.lib.eventclasses import Classes
from diskkv.replies import NIL_ARRAY, OK, Simple
from diskkv.types.ledgers import ID_MAX
from diskkv.types.stream_ids import format_id, next_id, next_in, parse_time, plain_id
from diskkv.types.streams import Entry, Stream

command = group("stream")

TOO_LOW = "The ID specified in XADD is equal or smaller than the target stream top item"
NO_LIMIT = 1 << 63
# How many runs of entries an approximate trimming removes at most if it is not told, and how many entries at the very most.
ABOUT = 100
ABOUT_MOST = 1_000_000
# How many entries are looked at together to find those below an id.
LOOKS = 10_000


KEEPREF, DELREF, ACKED = b"KEEPREF", b"DELREF", b"ACKED"
REFERENCES = frozenset({KEEPREF, DELREF, ACKED})


class Trimming(NamedTuple):
    """What MAXLEN and MINID ask for: `limit` entries at most go, until `length` are left, or those below `minid`; and when `about`,
    only whole runs of so many go, as in Redis, where they are the nodes of a tree. `references` is what becomes of entries that
    consumer groups refer to: KEEPREF, DELREF, or ACKED, which trims the others only."""

    length: int | None
    minid: int
    limit: int
    about: int
    references: bytes

    def apply(self, value: Stream) -> int:
        """Trim a stream; how many entries went."""
        if self.references != KEEPREF and value.group_count:
            below = ID_MAX + 1 if self.length is not None else self.minid
            most = self.limit if self.length is None else min(self.limit, len(value) - self.length)
            return value.trim_with_references(most, below, acknowledged=self.references == ACKED)
        if self.length is not None:
            return value.trim(self._whole_runs(value, min(self.limit, len(value) - self.length)))
        if self.about < 2:
            return value.trim(self.limit, self.minid)
        total = 0
        while total < self.limit:
            looks = min(max(LOOKS, 2 * self.about), self.limit - total)
            below = sum(number < self.minid for number in value.numbers(looks))
            deleted = value.trim(self._whole_runs(value, below))
            total += deleted
            if below < looks or not deleted:
                break
        return total

    def logged(self, value: Stream) -> tuple[bytes, ...]:
        """The words that have the log trim a stream as it has been, unless ACKED."""
        words = (b"MAXLEN", b"%d" % len(value))
        return (*words, DELREF) if self.references == DELREF and value.group_count else words

    def _whole_runs(self, value: Stream, most: int) -> int:
        """How many entries up to `most` can go in whole runs, which are counted from the first entry that was ever added."""
        if self.about < 2 or most >= len(value):
            return most
        first = value.added - len(value)
        return (first + most) // self.about * self.about - first


class Options(NamedTuple):
    """What stands before the id of XADD, or behind the key of XTRIM. The message is empty where its content names it."""

    trimming: Trimming | None
    create: bool
    producer: bytes = b""
    message: bytes = b""


def shown(entries: Sequence[Entry]) -> list[Any]:
    """Entries as replies have them."""
    return [[format_id(number), list(items)] for number, items in entries]


# Those of XADD that has none.
PLAIN = Options(None, True)


def _read_options(ctx: Session, args: Args, *, adding: bool) -> Options:
    """Read words up to one that is no option, which must be the id when `adding`."""
    create, strategy, about, references = True, b"", False, b""
    producer = message = b""
    limit: int | None = None
    threshold = 0
    while args:
        word = args.peek()
        more = len(args) > 1
        if adding and word == b"*":
            break
        if word in (b"MAXLEN", b"MINID") and more:
            if strategy:
                raise CommandError("syntax error, MAXLEN and MINID options at the same time are not compatible")
            strategy = args.word()
            about = False
            if len(args) > 1 and args.peek() in (b"~", b"="):
                about = args.next() == b"~"
            if strategy == b"MAXLEN":
                threshold = args.int()
                if threshold < 0:
                    raise CommandError("The MAXLEN argument must be >= 0.")
            else:
                threshold = identifier(args.next())
        elif word == b"LIMIT" and more:
            args.next()
            limit = args.int()
            if limit < 0:
                raise CommandError("The LIMIT argument must be >= 0.")
        elif word in REFERENCES and not references:
            references = args.word()
        elif adding and word == b"NOMKSTREAM":
            args.next()
            create = False
        elif adding and ((word == b"IDMPAUTO" and more) or (word == b"IDMP" and len(args) > 2)):
            option = args.word().decode()
            if producer:
                raise CommandError("syntax error, IDMP/IDMPAUTO specified multiple times")
            producer = args.next()
            if not producer:
                raise CommandError(f"syntax error, {option} requires a non-empty producer ID")
            if option == "IDMP":
                message = args.next()
                if not message:
                    raise CommandError("syntax error, IDMP requires a non-empty idempotent ID")
        elif adding:
            if parse_time(word) is None:
                identifier(word)
            if producer and not ctx.store.replaying:
                raise CommandError("syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs")
            break
        else:
            raise BadSyntax
    if limit and not strategy:
        raise CommandError("syntax error, LIMIT cannot be used without specifying a trimming strategy")
    if not adding and not strategy:
        raise CommandError("syntax error, XTRIM must be called with a trimming strategy")
    if limit is not None and not about:
        raise CommandError("syntax error, LIMIT cannot be used without the special ~ option")
    if not strategy:
        return Options(None, create, producer, message)
    run, most = 0, NO_LIMIT
    if about:
        run = ctx.executor.settings["stream-node-max-entries"] or 1
        most = min(ABOUT * run, ABOUT_MOST) if limit is None else limit or NO_LIMIT
    trimming = Trimming(threshold if strategy == b"MAXLEN" else None, threshold, most, run, references or KEEPREF)
    return Options(trimming, create, producer, message)


@command(
    "XADD key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [IDMPAUTO producer-id | IDMP producer-id idempotent-id] "
    "[<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]",
    WRITE | DENYOOM | FAST, since="5.0.0", arity=-5,
)  # fmt: skip
def xadd(ctx: Session, key: bytes, *words: bytes) -> bytes | None:
    """Add an entry to a stream, creating it if need be; reply its id."""
    trimming, create, producer, message = PLAIN
    number = plain_id(words[0])
    if number is not None or words[0] == b"*":
        word, items = words[0], words[1:]
    else:
        args = Args(words)
        trimming, create, producer, message = _read_options(ctx, args, adding=True)
        word = args.next() if args else b"*"
        items = tuple(args.rest())
    ms = None
    if number is None and word != b"*":
        ms = parse_time(word)
        if ms is None:
            number = identifier(word)
    if len(items) < 2 or len(items) % 2:
        raise WrongArity("xadd")
    if number == 0:
        raise CommandError("The ID specified in XADD must be greater than 0-0")
    if create:
        value = ctx.db.open(key, Stream)
    else:
        found = ctx.db.get(key, Stream)
        if found is None:
            return None
        value = found
    if producer:
        message = message or digest_entry(items)
        # What is replayed with an id was added then: what is known of the message had been forgotten.
        known = known_entry(ctx, value, producer, message) if word == b"*" else None
        if known is not None:
            return format_id(known)
    last = value.last
    if last == ID_MAX:
        raise CommandError("The stream has exhausted the last possible ID, unable to add more items")
    if number is None:
        number = next_id(last, ctx.now) if ms is None else next_in(last, ms)
    if number is None or number <= last:
        raise CommandError(TOO_LOW)
    value.append(number, items)
    db = ctx.db
    if key in db.awaited:
        db.store.ready(db, key)
    reply = format_id(number)
    if trimming is not None:
        trimmed: Sequence[bytes] = ()
        if trimming.apply(value):
            ctx.say(Classes.STREAM, b"xtrim", key)
            # What ACKED leaves is not the last entries: the same words find the same again.
            acked = trimming.references == ACKED and value.group_count
            trimmed = _without_producer(words[: -len(items) - 1]) if acked else trimming.logged(value)
        ctx.log_as(b"XADD", key, *trimmed, reply, *items)
    elif word != reply:
        ctx.log_as(b"XADD", key, reply, *items)
    if producer:
        note_message(ctx, key, value, producer, message, number)
    return reply


def _without_producer(words: Sequence[bytes]) -> Sequence[bytes]:
    """Options of XADD without what names the message, which the log is told by itself."""
    for at, word in enumerate(words):
        option = word.upper()
        if option in (b"IDMP", b"IDMPAUTO"):
            return (*words[:at], *words[at + (3 if option == b"IDMP" else 2) :])
    return words


@command("XLEN key", READONLY | FAST, since="5.0.0")
def xlen(ctx: Session, key: bytes) -> int:
    """Return how many entries a stream has."""
    value = ctx.db.get(key, Stream)
    return 0 if value is None else value.count


def _range(ctx: Session, key: bytes, start: bytes, end: bytes, options: Sequence[bytes], *, reverse: bool) -> Any:
    low = bound(start, 0, 1, "invalid start ID for the interval")
    high = bound(end, (1 << 64) - 1, -1, "invalid end ID for the interval")
    count = -1
    args = Args(options)
    while args:
        if args.word() != b"COUNT":
            raise BadSyntax
        count = max(args.int(), 0)
    value = ctx.db.get(key, Stream)
    if value is None:
        return []
    return shown(value.range(low, high, max(count, 0), reverse=reverse)) if count else NIL_ARRAY


@command("XRANGE key start end [COUNT count]", READONLY, since="5.0.0")
def xrange(ctx: Session, key: bytes, start: bytes, end: bytes, *options: bytes) -> Any:
    """Return the entries of a stream whose ids are within bounds."""
    return _range(ctx, key, start, end, options, reverse=False)


@command("XREVRANGE key end start [COUNT count]", READONLY, since="5.0.0")
def xrevrange(ctx: Session, key: bytes, end: bytes, start: bytes, *options: bytes) -> Any:
    """Return the entries of a stream whose ids are within bounds, from the last to the first."""
    return _range(ctx, key, start, end, options, reverse=True)


@command("XDEL key id [id ...]", WRITE | FAST, since="5.0.0")
def xdel(ctx: Session, key: bytes, *words: bytes) -> int:
    """Delete entries of a stream; reply how many there were."""
    value = ctx.db.get(key, Stream)
    return 0 if value is None else value.delete([identifier(word) for word in words])


@command(
    "XTRIM key <MAXLEN | MINID> [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]", WRITE, since="5.0.0", arity=-4
)  # fmt: skip
def xtrim(ctx: Session, key: bytes, *options: bytes) -> int:
    """Delete the first entries of a stream until it is as short as wanted; reply how many there were."""
    trimming = _read_options(ctx, Args(options), adding=False).trimming
    value = ctx.db.get(key, Stream)
    if value is None or trimming is None:
        return 0
    deleted = trimming.apply(value)
    if deleted and not (trimming.references == ACKED and value.group_count):
        ctx.log_as(b"XTRIM", key, *trimming.logged(value))
    return deleted


@command("XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]", WRITE | DENYOOM | FAST, since="5.0.0")
def xsetid(ctx: Session, key: bytes, last_id: bytes, *options: bytes) -> Simple:
    """Set a stream's last id."""
    last = identifier(last_id)
    added, highest = None, 0
    args = Args(options)
    while args:
        option = args.word()
        if option == b"ENTRIESADDED" and args:
            added = integer(args.next())
            if added < 0:
                raise CommandError("entries_added must be positive")
        elif option == b"MAXDELETEDID" and args:
            highest = identifier(args.next())
            if last < highest:
                raise CommandError("The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
        else:
            raise BadSyntax
    value = ctx.db.get(key, Stream)
    if value is None:
        raise NoSuchKey
    if last < value.max_deleted:
        raise CommandError("The ID specified in XSETID is smaller than current max_deleted_entry_id")
    top = value.top()
    if top is not None:
        if last < top:
            raise CommandError("The ID specified in XSETID is smaller than the target stream top item")
        if added is not None and added < len(value):
            raise CommandError("The entries_added specified in XSETID is smaller than the target stream length")
    value.set_last(last, added, highest)
    ctx.say(Classes.STREAM, b"xsetid", key)
    return OK
