"""Sorted sets, member by member; ranges are in `zset_ranges.py`, unions and their like in `zset_algebra.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diskkv.dispatch.args import Args, bounded, double, integer, timeout
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import BLOCKING, DENYOOM, FAST, MOVABLEKEYS, READONLY, WRITE, Keys, group
from diskkv.dispatch.walks import draw_options, read_cursor, scan_options
from diskkv.errors import BadSyntax, CommandError, NotPositive, WrongArity
from diskkv.format import ZSET
from diskkv.lib.numbers import INT_MAX, format_double, parse_float
from diskkv.replies import NIL_ARRAY, Blocked, Pairs
from diskkv.types.zsets import ZSet

command = group("sorted_set")

@command("ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]", WRITE | DENYOOM | FAST, since="1.2.0")
def zadd(ctx: Session, key: bytes, raw: bytes, member: bytes, *more: bytes) -> Any:
    """Give members scores, adding those that are not there; reply how many were new (or, with INCR, the new score)."""
    if not more:
        score = parse_float(raw)
        if score is not None:
            return 1 if ctx.db.open(key, ZSet).assign(member, score + 0.0) else 0
    return _zadd(ctx, key, (raw, member, *more))


def _zadd(ctx: Session, key: bytes, words: Sequence[bytes]) -> Any:
    given = set()
    at = 0
    while at < len(words) and (word := words[at].upper()) in ZADD_OPTIONS:
        given.add(word)
        at += 1
    pairs = words[at:]
    if not pairs or len(pairs) % 2:
        raise BadSyntax
    if {b"NX", b"XX"} <= given:
        raise CommandError("XX and NX options at the same time are not compatible")
    if len({b"NX", b"GT", b"LT"} & given) > 1:
        raise CommandError("GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in given and len(pairs) > 2:
        raise CommandError("INCR option supports a single increment-element pair")
    scores = [double(raw) + 0.0 for raw in pairs[::2]]
    zset = ctx.db.get(key, ZSet) if b"XX" in given else ctx.db.open(key, ZSet)
    if zset is None:
        return None if b"INCR" in given else 0
    if b"INCR" in given:
        return _increase(zset, pairs[1], scores[0], given)
    added = changed = 0
    for score, member in zip(scores, pairs[1::2], strict=True):
        if given:
            old = zset.get(member)
            if not _admitted(given, old, score):
                continue
            changed += old != score
        added += zset.assign(member, score)
    return changed if b"CH" in given else added


ZADD_OPTIONS = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})


def _admitted(given: set[bytes], old: float | None, score: float) -> bool:
    """Whether ZADD's conditions let a member have a score."""
    if old is None:
        return b"XX" not in given
    return not (b"NX" in given or (b"GT" in given and score <= old) or (b"LT" in given and score >= old))


def _increase(zset: ZSet, member: bytes, amount: float, given: set[bytes]) -> float | None:
    if given != {b"INCR"}:
        old = zset.get(member)
        if (old is None and b"XX" in given) or (old is not None and b"NX" in given):
            return None
        # A sum that is not a number is an error before it is compared.
        if old is not None and old + amount == old + amount and not _admitted(given, old, old + amount):
            return None
    return zset.increase(member, amount)


@command("ZINCRBY key increment member", WRITE | DENYOOM | FAST, since="1.2.0")
def zincrby(ctx: Session, key: bytes, increment: bytes, member: bytes) -> float:
    """Add to a member's score, adding the member if need be; reply the new score."""
    amount = double(increment) + 0.0
    return ctx.db.open(key, ZSet).increase(member, amount)


@command("ZREM key member [member ...]", WRITE | FAST, since="1.2.0")
def zrem(ctx: Session, key: bytes, *members: bytes) -> int:
    """Take members away; reply how many were there."""
    zset = ctx.db.get(key, ZSet)
    return zset.remove(members) if zset is not None else 0


@command("ZSCORE key member", READONLY | FAST, since="1.2.0")
def zscore(ctx: Session, key: bytes, member: bytes) -> float | None:
    """Return a member's score."""
    zset = ctx.db.get(key, ZSet)
    return zset.get(member) if zset is not None else None


@command("ZMSCORE key member [member ...]", READONLY | FAST, since="6.2.0")
def zmscore(ctx: Session, key: bytes, *members: bytes) -> list[float | None]:
    """Return several members' scores."""
    zset = ctx.db.get(key, ZSet)
    if zset is None:
        return [None] * len(members)
    return [zset.get(member) for member in members]


@command("ZCARD key", READONLY | FAST, since="1.2.0")
def zcard(ctx: Session, key: bytes) -> int:
    """Return how many members a sorted set has."""
    zset = ctx.db.get(key, ZSet)
    return len(zset) if zset is not None else 0


@command("ZRANK key member [WITHSCORE]", READONLY | FAST, since="2.0.0")
def zrank(ctx: Session, key: bytes, member: bytes, *options: bytes) -> Any:
    """Return how many members stand before one, by score."""
    return _rank(ctx, "zrank", key, member, options)


@command("ZREVRANK key member [WITHSCORE]", READONLY | FAST, since="2.0.0")
def zrevrank(ctx: Session, key: bytes, member: bytes, *options: bytes) -> Any:
    """Return how many members stand behind one, by score."""
    return _rank(ctx, "zrevrank", key, member, options)


def _rank(ctx: Session, name: str, key: bytes, member: bytes, options: Sequence[bytes]) -> Any:
    if len(options) > 1:
        raise WrongArity(name)
    if options and options[0].upper() != b"WITHSCORE":
        raise BadSyntax
    zset = ctx.db.get(key, ZSet)
    found = zset.rank(member) if zset is not None else None
    if zset is None or found is None:
        return NIL_ARRAY if options else None
    rank = len(zset) - 1 - found[0] if name == "zrevrank" else found[0]
    return [rank, found[1]] if options else rank


# -- popping


@command("ZPOPMIN key [count]", WRITE | FAST, since="5.0.0")
def zpopmin(ctx: Session, key: bytes, *count: bytes) -> Any:
    """Take the members with the lowest scores away and return them."""
    return _pop_counted(ctx, key, count, highest=False)


@command("ZPOPMAX key [count]", WRITE | FAST, since="5.0.0")
def zpopmax(ctx: Session, key: bytes, *count: bytes) -> Any:
    """Take the members with the highest scores away and return them."""
    return _pop_counted(ctx, key, count, highest=True)


def _pop_counted(ctx: Session, key: bytes, raw: Sequence[bytes], *, highest: bool) -> Any:
    if len(raw) > 1:
        raise BadSyntax
    count = integer(raw[0], NotPositive) if raw else 1
    if count < 0:
        raise NotPositive
    zset = ctx.db.get(key, ZSet)
    if zset is None or not count:
        return []
    found = pop(zset, count, highest=highest)
    # Without a count this is one flat pair, in both protocols.
    return Pairs(found) if raw else list(found[0])


def pop(zset: ZSet, count: int, *, highest: bool) -> list[tuple[bytes, float]]:
    """Take up to `count` items from one end of a sorted set, the outermost first."""
    count = min(count, len(zset))
    if not highest:
        return zset.remove_by_rank(0, count)
    return zset.remove_by_rank(len(zset) - count, len(zset))[::-1]


@command("BZPOPMIN key [key ...] timeout", WRITE | FAST | BLOCKING, since="5.0.0", keys=Keys(1, -2, 1))
def bzpopmin(ctx: Session, *words: bytes) -> Any:
    """Take the member with the lowest score away from the first sorted set that has any, or wait for one."""
    return _pop_or_wait(ctx, words[:-1], words[-1], b"ZPOPMIN")


@command("BZPOPMAX key [key ...] timeout", WRITE | FAST | BLOCKING, since="5.0.0", keys=Keys(1, -2, 1))
def bzpopmax(ctx: Session, *words: bytes) -> Any:
    """Take the member with the highest score away from the first sorted set that has any, or wait for one."""
    return _pop_or_wait(ctx, words[:-1], words[-1], b"ZPOPMAX")


def _pop_or_wait(ctx: Session, keys: Sequence[bytes], raw_timeout: bytes, name: bytes) -> Any:
    seconds = timeout(raw_timeout)
    for key in keys:
        zset = ctx.db.get(key, ZSet)
        if zset is not None:
            member, score = pop(zset, 1, highest=name == b"ZPOPMAX")[0]
            ctx.log_as(name, key)
            return [key, member, score]
    return Blocked(keys, ZSET, _deadline(ctx, seconds))


def _deadline(ctx: Session, seconds: float) -> int | None:
    # Rounded up, as a wait must not end early.
    return ctx.now - int(-seconds * 1000 // 1) if seconds else None


@command("ZMPOP numkeys key [key ...] <MIN | MAX> [COUNT count]", WRITE | MOVABLEKEYS, since="7.0.0")
def zmpop(ctx: Session, *words: bytes) -> Any:
    """Take members from an end of the first sorted set that has any, and return them with its key."""
    keys, count, highest = _parse_mpop(words)
    return _pop_first(ctx, keys, count, highest) or NIL_ARRAY


@command("BZMPOP timeout numkeys key [key ...] <MIN | MAX> [COUNT count]", WRITE | BLOCKING | MOVABLEKEYS, since="7.0.0")
def bzmpop(ctx: Session, raw_timeout: bytes, *words: bytes) -> Any:
    """Take members from an end of the first sorted set that has any, or wait until one has."""
    keys, count, highest = _parse_mpop(words)
    seconds = timeout(raw_timeout)
    return _pop_first(ctx, keys, count, highest) or Blocked(keys, ZSET, _deadline(ctx, seconds))


def _parse_mpop(words: Sequence[bytes]) -> tuple[Sequence[bytes], int, bool]:
    args = Args(words)
    numkeys = bounded(args.next(), 1, INT_MAX, "numkeys should be greater than 0")
    keys = args.take(numkeys)
    where = args.word()
    if where not in (b"MIN", b"MAX"):
        raise BadSyntax
    count = None
    while args:
        match args.word():
            case b"COUNT" if count is None and args:
                count = bounded(args.next(), 1, INT_MAX, "count should be greater than 0")
            case _:
                raise BadSyntax
    return keys, count or 1, where == b"MAX"


def _pop_first(ctx: Session, keys: Sequence[bytes], count: int, highest: bool) -> list[Any] | None:
    for key in keys:
        zset = ctx.db.get(key, ZSet)
        if zset is not None:
            found = pop(zset, count, highest=highest)
            ctx.log_as(b"ZPOPMAX" if highest else b"ZPOPMIN", key, b"%d" % len(found))
            return [key, [list(pair) for pair in found]]
    return None


# -- chance and walking


@command("ZRANDMEMBER key [count [WITHSCORES]]", READONLY, since="6.2.0")
def zrandmember(ctx: Session, key: bytes, *options: bytes) -> Any:
    """Return one or more random members."""
    if not options:
        zset = ctx.db.get(key, ZSet)
        return zset.at_rank(ctx.random.randrange(len(zset)))[0] if zset is not None else None
    count, with_scores = draw_options(options[0], options[1:], b"WITHSCORES")
    zset = ctx.db.get(key, ZSet)
    if zset is None or not count:
        return []
    found = _draw(ctx, zset, count)
    return Pairs(found) if with_scores else [member for member, _ in found]


def _draw(ctx: Session, zset: ZSet, count: int) -> list[tuple[bytes, float]]:
    """That many random items: different ones, or if negative, each drawn from all."""
    size = len(zset)
    if count >= size:
        return zset.pairs_by_rank(0, size)
    if count < 0:
        return [zset.at_rank(rank) for rank in ctx.random.choices(range(size), k=-count)]
    return [zset.at_rank(rank) for rank in ctx.random.sample(range(size), count)]


@command("ZSCAN key cursor [MATCH pattern] [COUNT count]", READONLY, since="2.8.0")
def zscan(ctx: Session, key: bytes, cursor: bytes, *options: bytes) -> list[Any]:
    """Walk through a sorted set's members and scores, some at a call."""
    place = read_cursor(cursor)
    zset = ctx.db.get(key, ZSet)
    if zset is None:
        return [b"0", []]
    matches, count = scan_options(options)
    following, found = zset.cursor_scan(place, count)
    shown: list[bytes] = []
    for member, score in found:
        if matches is None or matches(member):
            shown += (member, format_double(score))
    return [b"%d" % following, shown]
