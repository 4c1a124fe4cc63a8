"""Unions, intersections and differences of sorted sets. Plain sets take part with scores of 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from diskkv.commands.zset_ranges import store
from diskkv.dispatch.args import Args, double, integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, MOVABLEKEYS, READONLY, WRITE, group
from diskkv.errors import BadSyntax, CommandError, WrongType
from diskkv.format import SET, ZSET
from diskkv.replies import Pairs
from diskkv.types.members import Members

command = group("sorted_set")


class BadWeight(CommandError):
    text = "weight value is not a float"


class NegativeLimit(CommandError):
    text = "LIMIT can't be negative"


class Source:
    """One input: a sorted set or set, or none, and its weight."""

    __slots__ = ("value", "weight")

    def __init__(self, value: Members | None) -> None:
        self.value = value
        self.weight = 1.0

    def __len__(self) -> int:
        return len(self.value) if self.value is not None else 0

    def items(self) -> Iterable[tuple[bytes, float]]:
        """The members with their scores, unweighted."""
        if self.value is None:
            return ()
        if self.value.tag == SET:
            return ((member, 1.0) for member in self.value.members())
        return self.value.items()

    def score(self, member: bytes) -> float | None:
        """A member's score, unweighted, or None."""
        score = self.value.get(member) if self.value is not None else None
        return score if score is None or self.value is None or self.value.tag == ZSET else 1.0


def _no_nan(score: float) -> float:
    """Redis has inf - inf be 0 here, and inf * 0 as well. -0.0 is folded."""
    return score + 0.0 if score == score else 0.0


AGGREGATES: dict[bytes, Callable[[float, float], float]] = {
    b"SUM": lambda one, other: _no_nan(one + other),
    b"MIN": min,
    b"MAX": max,
}


class Request:
    """The inputs and options of one of these commands, read from its words from `numkeys` on."""

    __slots__ = ("aggregate", "limit", "sources", "with_scores")

    def __init__(self, ctx: Session, name: str, words: Sequence[bytes], *, storing: bool = False, difference: bool = False,
                 counting: bool = False) -> None:  # fmt: skip
        args = Args(words)
        numkeys = integer(args.next())
        if numkeys < 1:
            raise CommandError(f"at least 1 input key is needed for '{name}' command")
        self.sources = [Source(_find(ctx, key)) for key in args.take(numkeys)]
        self.aggregate = AGGREGATES[b"SUM"]
        self.limit = 0
        self.with_scores = False
        while args:
            match args.word():
                case b"WEIGHTS" if not (difference or counting) and len(args) >= numkeys:
                    for source in self.sources:
                        source.weight = double(args.next(), BadWeight)
                case b"AGGREGATE" if not (difference or counting) and args:
                    aggregate = AGGREGATES.get(args.word())
                    if aggregate is None:
                        raise BadSyntax
                    self.aggregate = aggregate
                case b"WITHSCORES" if not (storing or counting):
                    self.with_scores = True
                case b"LIMIT" if counting and args:
                    self.limit = integer(args.next(), NegativeLimit)
                    if self.limit < 0:
                        raise NegativeLimit
                case _:
                    raise BadSyntax

    def ascending(self) -> list[Source]:
        """The inputs from the smallest on. Scores are added up in this order, which can be seen in their last digits."""
        return sorted(self.sources, key=len)


def _find(ctx: Session, key: bytes) -> Members | None:
    value: Any = ctx.db.find(key)
    if value is None:
        return None
    if value.tag not in (ZSET, SET):
        raise WrongType
    found: Members = value
    return found


def _union(asked: Request) -> list[tuple[bytes, float]]:
    scores: dict[bytes, float] = {}
    aggregate = asked.aggregate
    for source in asked.ascending():
        weight = source.weight
        for member, score in source.items():
            weighted = _no_nan(score * weight)
            old = scores.get(member)
            scores[member] = weighted if old is None else aggregate(old, weighted)
    return _sorted(scores)


def _intersection(asked: Request) -> list[tuple[bytes, float]]:
    first, *others = asked.ascending()
    scores: dict[bytes, float] = {}
    aggregate = asked.aggregate
    for member, score in first.items():
        total = _no_nan(score * first.weight)
        for source in others:
            found = source.score(member)
            if found is None:
                break
            # Unlike a union's, a product that is not a number counts here as it is: the sum becomes 0, the others pass it over.
            total = aggregate(total, found * source.weight)
        else:
            scores[member] = total + 0.0
    return _sorted(scores)


def _difference(asked: Request) -> list[tuple[bytes, float]]:
    first, *others = asked.sources
    others = [source for source in others if len(source)]
    return _sorted({member: score for member, score in first.items() if all(source.score(member) is None for source in others)})


def _sorted(scores: dict[bytes, float]) -> list[tuple[bytes, float]]:
    return [(member, score) for score, member in sorted([(score, member) for member, score in scores.items()])]


def _shown(found: list[tuple[bytes, float]], asked: Request) -> Any:
    if asked.with_scores:
        return Pairs(found)
    return [member for member, _ in found]


@command(
    "ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]", READONLY | MOVABLEKEYS,
    since="6.2.0",
)
def zunion(ctx: Session, *words: bytes) -> Any:
    """Return the members of any of several sorted sets."""
    asked = Request(ctx, "zunion", words)
    return _shown(_union(asked), asked)


@command(
    "ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]", READONLY | MOVABLEKEYS,
    since="6.2.0",
)
def zinter(ctx: Session, *words: bytes) -> Any:
    """Return the members that are in all of several sorted sets."""
    asked = Request(ctx, "zinter", words)
    return _shown(_intersection(asked), asked)


@command("ZDIFF numkeys key [key ...] [WITHSCORES]", READONLY | MOVABLEKEYS, since="6.2.0")
def zdiff(ctx: Session, *words: bytes) -> Any:
    """Return the first sorted set's members that are in none of the others."""
    asked = Request(ctx, "zdiff", words, difference=True)
    return _shown(_difference(asked), asked)


@command(
    "ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
    WRITE | DENYOOM | MOVABLEKEYS, since="2.0.0",
)
def zunionstore(ctx: Session, destination: bytes, *words: bytes) -> int:
    """Store the members of any of several sorted sets; reply how many there are."""
    return store(ctx, destination, _union(Request(ctx, "zunionstore", words, storing=True)))


@command(
    "ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
    WRITE | DENYOOM | MOVABLEKEYS, since="2.0.0",
)
def zinterstore(ctx: Session, destination: bytes, *words: bytes) -> int:
    """Store the members that are in all of several sorted sets; reply how many there are."""
    return store(ctx, destination, _intersection(Request(ctx, "zinterstore", words, storing=True)))


@command("ZDIFFSTORE destination numkeys key [key ...]", WRITE | DENYOOM | MOVABLEKEYS, since="6.2.0")
def zdiffstore(ctx: Session, destination: bytes, *words: bytes) -> int:
    """Store the first sorted set's members that are in none of the others; reply how many there are."""
    return store(ctx, destination, _difference(Request(ctx, "zdiffstore", words, storing=True, difference=True)))


@command("ZINTERCARD numkeys key [key ...] [LIMIT limit]", READONLY | MOVABLEKEYS, since="7.0.0")
def zintercard(ctx: Session, *words: bytes) -> int:
    """Return how many members are in all of several sorted sets, counting up to a limit."""
    asked = Request(ctx, "zintercard", words, counting=True)
    first, *others = asked.ascending()
    count = 0
    for member, _ in first.items():
        if all(source.score(member) is not None for source in others):
            count += 1
            if count == asked.limit:
                break
    return count
