"""Sorted sets by rank, score or member: reading ranges, counting, removing, storing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from diskkv.dispatch.args import Args, integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, READONLY, WRITE, Keys, group
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib.numbers import parse_float
from diskkv.replies import Pairs
from diskkv.types.zsets import LexBound, ZSet

command = group("sorted_set")

# The ranks, from and up to, that a range means in a sorted set.
Span = Callable[[ZSet], tuple[int, int]]


# -- bounds


def _by_rank(start: bytes, stop: bytes, *, reverse: bool = False) -> Span:
    """Ranks, both included, negative ones from the end; counted from the highest score when `reverse`."""
    low, high = integer(start), integer(stop)

    def span(zset: ZSet) -> tuple[int, int]:
        size = len(zset)
        first, behind = clamp(low, high, size)
        return (size - behind, size - first) if reverse else (first, behind)

    return span


def clamp(low: int, high: int, size: int) -> tuple[int, int]:
    """Redis' inclusive range of ranks as a half-open one within a size; (0, 0) when it is empty."""
    if low < 0:
        low = max(low + size, 0)
    if high < 0:
        high += size
    if high >= size:
        high = size - 1
    return (low, high + 1) if low <= high else (0, 0)


def _by_score(low: bytes, high: bytes) -> Span:
    """Scores, both included unless they begin with a parenthesis."""
    (least, without_least), (most, without_most) = _score_bound(low), _score_bound(high)
    return lambda zset: zset.between(least, most, without_low=without_least, without_high=without_most)


def _score_bound(raw: bytes) -> tuple[float, bool]:
    open_ = raw[:1] == b"("
    text = raw[1:] if open_ else raw
    score = parse_float(text)
    if score is None:
        score = _as_strtod(text)
    return score, open_


def _as_strtod(text: bytes) -> float:
    """Bounds are read less strictly than scores: nothing is 0, spaces may lead, and what overflows is infinite."""
    text = text.partition(b"\0")[0].lstrip(b" \t\n\v\f\r")
    score = parse_float(text) if text else 0.0
    if score is None:
        try:
            score = float(text)
        except ValueError:
            score = None
        # What `float` takes and C does not: not-a-numbers apart, underscores and spaces at the end.
        if score is None or score != score or b"_" in text or text[-1:].isspace():
            raise CommandError("min or max is not a float")
    return score


def _by_member(low: bytes, high: bytes, *, reverse: bool = False) -> Span:
    """Members by their bytes: each bound has a bracket or a parenthesis, or is `-` or `+`."""
    least, most = _member_bound(low), _member_bound(high)
    if least is HIGHEST or most is LOWEST:
        return lambda zset: (0, 0)
    return lambda zset: zset.between_members(least, most, reverse=reverse)


LOWEST: LexBound = (None, False)
HIGHEST: LexBound = (None, True)


def _member_bound(raw: bytes) -> LexBound:
    if raw == b"-":
        return LOWEST
    if raw == b"+":
        return HIGHEST
    if raw[:1] not in (b"[", b"("):
        raise CommandError("min or max not valid string range item")
    return raw[1:], raw[:1] == b"("


# -- reading


@dataclass(frozen=True, slots=True)
class Options:
    """A range command's options."""

    by: bytes = b""
    reverse: bool = False
    with_scores: bool = False
    offset: int = 0
    limit: int = -1


# The few that a client uses over and over again are read once: reading them takes longer than a short range.
CACHED_WORDS = 8


def _options(words: Sequence[bytes], by: bytes, reverse: bool | None, storing: bool) -> Options:
    with_scores = False
    offset, limit = 0, -1
    args = Args(words)
    while args:
        match args.word():
            case b"WITHSCORES" if not storing:
                with_scores = True
            case b"LIMIT" if len(args) >= 2:
                offset, limit = args.int(), args.int()
            case b"REV" if reverse is None:
                reverse = True
            case b"BYLEX" if not by:
                by = b"LEX"
            case b"BYSCORE" if not by:
                by = b"SCORE"
            case _:
                raise BadSyntax
    if by in (b"", b"RANK"):
        # As in Redis, LIMIT with a count of -1 is not noticed here, and without effect.
        if limit != -1:
            raise CommandError("syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
        offset = 0
    if with_scores and by == b"LEX":
        raise CommandError("syntax error, WITHSCORES not supported in combination with BYLEX")
    return Options(by, bool(reverse), with_scores, offset, limit)


_cached_options = lru_cache(512)(_options)


def read_options(words: tuple[bytes, ...], by: bytes, reverse: bool | None, storing: bool = False) -> Options:
    """The options that words say; see `Range`."""
    return _cached_options(words, by, reverse, storing) if len(words) <= CACHED_WORDS else _options(words, by, reverse, storing)


class Range:
    """What a range command asks for, read from its words."""

    __slots__ = ("limit", "offset", "reverse", "span", "with_scores")

    def __init__(
        self, low: bytes, high: bytes, words: tuple[bytes, ...], *, by: bytes = b"", reverse: bool | None = False, storing: bool = False
    ) -> None:
        """`by` is SCORE, LEX, RANK, or empty when an option may say so; `reverse` is None when REV may be given."""
        options = read_options(words, by, reverse, storing)
        self.offset, self.limit = options.offset, options.limit
        self.with_scores = options.with_scores
        self.reverse = reversed_ = options.reverse
        by = options.by
        if by == b"SCORE":
            self.span = _by_score(high, low) if reversed_ else _by_score(low, high)
        elif by == b"LEX":
            self.span = _by_member(high, low, reverse=True) if reversed_ else _by_member(low, high)
        else:
            self.span = _by_rank(low, high, reverse=reversed_)

    def ranks(self, zset: ZSet) -> tuple[int, int]:
        """The ranks, from and up to, of what is asked for."""
        start, stop = self.span(zset)
        offset, limit = self.offset, self.limit
        if not offset and limit < 0:
            return start, stop
        if offset < 0 or not limit:
            return 0, 0
        if self.reverse:
            stop -= offset
            if limit > 0:
                start = max(start, stop - limit)
        else:
            start += offset
            if limit > 0:
                stop = min(stop, start + limit)
        return (start, stop) if start < stop else (0, 0)


def _read_ranks(ctx: Session, key: bytes, start: bytes, stop: bytes, options: Options) -> Any:
    """The commonest range, by rank, on a shorter way."""
    low, high = integer(start), integer(stop)
    zset = ctx.db.get(key, ZSet)
    if zset is None:
        return []
    size = len(zset)
    low, high = clamp(low, high, size)
    if options.reverse:
        low, high = size - high, size - low
    if options.with_scores:
        pairs = zset.pairs_by_rank(low, high)
        return Pairs(pairs[::-1] if options.reverse else pairs)
    members = zset.by_rank(low, high)
    return members[::-1] if options.reverse else members


def _read(ctx: Session, key: bytes, asked: Range) -> Any:
    zset = ctx.db.get(key, ZSet)
    if zset is None:
        return []
    start, stop = asked.ranks(zset)
    if asked.with_scores:
        pairs = zset.pairs_by_rank(start, stop)
        return Pairs(pairs[::-1] if asked.reverse else pairs)
    members = zset.by_rank(start, stop)
    return members[::-1] if asked.reverse else members


@command(
    "ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]", READONLY, since="1.2.0",
)
def zrange(ctx: Session, key: bytes, start: bytes, stop: bytes, *options: bytes) -> Any:
    """Return the members in a range of ranks, scores or members."""
    if options:
        read = read_options(options, b"", None)
        return _read(ctx, key, Range(start, stop, options, reverse=None)) if read.by else _read_ranks(ctx, key, start, stop, read)
    low, high = integer(start), integer(stop)
    zset = ctx.db.get(key, ZSet)
    return zset.by_rank(*clamp(low, high, len(zset))) if zset is not None else []


@command("ZREVRANGE key start stop [WITHSCORES]", READONLY, since="1.2.0")
def zrevrange(ctx: Session, key: bytes, start: bytes, stop: bytes, *options: bytes) -> Any:
    """Return the members in a range of ranks, from the highest score."""
    return _read_ranks(ctx, key, start, stop, read_options(options, b"RANK", True))


@command("ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]", READONLY, since="1.0.5")
def zrangebyscore(ctx: Session, key: bytes, low: bytes, high: bytes, *options: bytes) -> Any:
    """Return the members in a range of scores."""
    return _read(ctx, key, Range(low, high, options, by=b"SCORE"))


@command("ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]", READONLY, since="2.2.0")
def zrevrangebyscore(ctx: Session, key: bytes, high: bytes, low: bytes, *options: bytes) -> Any:
    """Return the members in a range of scores, from the highest."""
    return _read(ctx, key, Range(high, low, options, by=b"SCORE", reverse=True))


@command("ZRANGEBYLEX key min max [LIMIT offset count]", READONLY, since="2.8.9")
def zrangebylex(ctx: Session, key: bytes, low: bytes, high: bytes, *options: bytes) -> Any:
    """Return the members between two, where all scores are equal."""
    return _read(ctx, key, Range(low, high, options, by=b"LEX"))


@command("ZREVRANGEBYLEX key max min [LIMIT offset count]", READONLY, since="2.8.9")
def zrevrangebylex(ctx: Session, key: bytes, high: bytes, low: bytes, *options: bytes) -> Any:
    """Return the members between two, from the last, where all scores are equal."""
    return _read(ctx, key, Range(high, low, options, by=b"LEX", reverse=True))


@command(
    "ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]", WRITE | DENYOOM, since="6.2.0", keys=Keys(1, 2, 1),
)
def zrangestore(ctx: Session, destination: bytes, source: bytes, low: bytes, high: bytes, *options: bytes) -> int:
    """Store a range of a sorted set as another; reply how many members it has."""
    asked = Range(low, high, options, reverse=None, storing=True)
    zset = ctx.db.get(source, ZSet)
    return store(ctx, destination, zset.pairs_by_rank(*asked.ranks(zset)) if zset is not None else [])


def store(ctx: Session, key: bytes, pairs: Sequence[tuple[bytes, float]]) -> int:
    """Make a key a sorted set with these scores, whatever it was, or nothing when there are none; how many there are."""
    if not pairs:
        ctx.db.delete(key)
        return 0
    zset = ctx.db.replace(key, ZSet)
    for member, score in pairs:
        zset.assign(member, score)
    return len(zset)


# -- counting and removing


def _count(ctx: Session, key: bytes, span: Span) -> int:
    zset = ctx.db.get(key, ZSet)
    if zset is None:
        return 0
    start, stop = span(zset)
    return stop - start


@command("ZCOUNT key min max", READONLY | FAST, since="2.0.0")
def zcount(ctx: Session, key: bytes, low: bytes, high: bytes) -> int:
    """Return how many members have scores in a range."""
    return _count(ctx, key, _by_score(low, high))


@command("ZLEXCOUNT key min max", READONLY | FAST, since="2.8.9")
def zlexcount(ctx: Session, key: bytes, low: bytes, high: bytes) -> int:
    """Return how many members lie between two, where all scores are equal."""
    return _count(ctx, key, _by_member(low, high))


def _remove(ctx: Session, key: bytes, span: Span) -> int:
    zset = ctx.db.get(key, ZSet)
    return len(zset.remove_by_rank(*span(zset))) if zset is not None else 0


@command("ZREMRANGEBYRANK key start stop", WRITE, since="2.0.0")
def zremrangebyrank(ctx: Session, key: bytes, start: bytes, stop: bytes) -> int:
    """Take the members in a range of ranks away; reply how many."""
    return _remove(ctx, key, _by_rank(start, stop))


@command("ZREMRANGEBYSCORE key min max", WRITE, since="1.2.0")
def zremrangebyscore(ctx: Session, key: bytes, low: bytes, high: bytes) -> int:
    """Take the members with scores in a range away; reply how many."""
    return _remove(ctx, key, _by_score(low, high))


@command("ZREMRANGEBYLEX key min max", WRITE, since="2.8.9")
def zremrangebylex(ctx: Session, key: bytes, low: bytes, high: bytes) -> int:
    """Take the members between two away, where all scores are equal; reply how many."""
    return _remove(ctx, key, _by_member(low, high))
