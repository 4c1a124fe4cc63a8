"""Sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from diskkv.dispatch.args import Args, bounded
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, MOVABLEKEYS, READONLY, WRITE, group
from diskkv.dispatch.walks import draw_count, read_cursor, scan_options
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib import hyperloglog as hll
from diskkv.lib.numbers import INT_MAX
from diskkv.types.sets import INTSET, PRESENT, Set, form_of, in_order, intersect, subtract, unite

command = group("set")

# A logged SREM has no more members than this.
LOGGED_AT_ONCE = 1024


class Ordered(set[bytes]):
    """A set that is sent, and iterated over, in an order: members of an intset come sorted."""

    def __init__(self, members: Sequence[bytes]) -> None:
        super().__init__(members)
        self.order = members

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.order)


@command("SADD key member [member ...]", WRITE | DENYOOM | FAST, since="1.0.0")
def sadd(ctx: Session, key: bytes, *members: bytes) -> int:
    """Add members to a set, creating it if need be, and return how many are new."""
    return ctx.db.open(key, Set).add(members)


@command("SREM key member [member ...]", WRITE | FAST, since="1.0.0")
def srem(ctx: Session, key: bytes, *members: bytes) -> int:
    """Remove members from a set and return how many there were."""
    value = ctx.db.get(key, Set)
    return value.remove(members) if value is not None else 0


@command("SMEMBERS key", READONLY, since="1.0.0")
def smembers(ctx: Session, key: bytes) -> set[bytes]:
    """Return all members of a set."""
    return _shown(ctx.db.get(key, Set))


def _shown(value: Set | None) -> set[bytes]:
    if value is None:
        return set()
    members = value.members()
    return Ordered(in_order(members)) if value.ordered() else set(members)


@command("SISMEMBER key member", READONLY | FAST, since="1.0.0")
def sismember(ctx: Session, key: bytes, member: bytes) -> int:
    """Return whether a set has a member."""
    value = ctx.db.get(key, Set)
    return int(value is not None and value.get(member) is not None)


@command("SMISMEMBER key member [member ...]", READONLY | FAST, since="6.2.0")
def smismember(ctx: Session, key: bytes, *members: bytes) -> list[int]:
    """Return for each of several members whether a set has it."""
    value = ctx.db.get(key, Set)
    if value is None:
        return [0] * len(members)
    return [int(value.get(member) is not None) for member in members]


@command("SCARD key", READONLY | FAST, since="1.0.0")
def scard(ctx: Session, key: bytes) -> int:
    """Return how many members a set has."""
    value = ctx.db.get(key, Set)
    return len(value) if value is not None else 0


@command("SPOP key [count]", WRITE | FAST, since="1.0.0")
def spop(ctx: Session, key: bytes, *words: bytes) -> Any:
    """Remove one or several random members from a set and return them."""
    if words:
        return _pop_some(ctx, key, words)
    value = ctx.db.get(key, Set)
    if value is None:
        return None
    (member,) = value.pop_some(1)
    ctx.log_as(b"SREM", key, member)
    return member


def _pop_some(ctx: Session, key: bytes, words: Sequence[bytes]) -> set[bytes]:
    if len(words) > 1:
        raise BadSyntax
    count = bounded(words[0], 0, INT_MAX, "value is out of range, must be positive")
    value = ctx.db.get(key, Set)
    if value is None or not count:
        return set()
    if count >= len(value):
        members = _shown(value)
        ctx.db.delete(key)
        ctx.log_as(b"DEL", key)
        return members
    popped = value.pop_some(count)
    # It is one command, but as much of it waits for the engine.
    ctx.store.backlog.commands += count
    for at in range(0, len(popped), LOGGED_AT_ONCE):
        ctx.log_as(b"SREM", key, *popped[at : at + LOGGED_AT_ONCE])
    return set(popped)


@command("SRANDMEMBER key [count]", READONLY, since="1.0.0")
def srandmember(ctx: Session, key: bytes, *words: bytes) -> Any:
    """Return one or several random members of a set; a negative count may return a member more than once."""
    if not words:
        value = ctx.db.get(key, Set)
        return value.pick()[0] if value is not None else None
    if len(words) > 1:
        raise BadSyntax
    count = draw_count(words[0])
    value = ctx.db.get(key, Set)
    if value is None or not count:
        return []
    return [member for member, _ in (value.sample(count) if count > 0 else value.choices(-count))]


@command("SMOVE source destination member", WRITE | FAST, since="1.0.0")
def smove(ctx: Session, source: bytes, destination: bytes, member: bytes) -> int:
    """Move a member from one set to another."""
    origin = ctx.db.find(source)
    if origin is None:
        return 0
    origin, target = ctx.db.get(source, Set), ctx.db.open(destination, Set)
    if origin is None or origin.get(member) is None:
        return 0
    if origin is not target:
        origin.remove((member,))
        target.add((member,))
    return 1


# -- operations on several sets


def _sets(ctx: Session, keys: Iterable[bytes]) -> list[Set | None]:
    return [ctx.db.get(key, Set) for key in keys]


def _result(ctx: Session, members: Iterable[bytes]) -> set[bytes]:
    found = set(members)
    shapes = ctx.store.shapes
    if found and len(found) <= shapes.set_intset and form_of(dict.fromkeys(found), shapes) == INTSET:
        return Ordered(in_order(found))
    return found


def _store(ctx: Session, destination: bytes, members: Iterable[bytes]) -> int:
    found = dict.fromkeys(members, PRESENT)
    if found:
        ctx.db.replace(destination, Set).become(found)
    else:
        ctx.db.delete(destination)
    return len(found)


@command("SINTER key [key ...]", READONLY, since="1.0.0")
def sinter(ctx: Session, *keys: bytes) -> set[bytes]:
    """Return the members that all of several sets have."""
    return _result(ctx, intersect(_sets(ctx, keys)))


@command("SINTERSTORE destination key [key ...]", WRITE | DENYOOM, since="1.0.0")
def sinterstore(ctx: Session, destination: bytes, *keys: bytes) -> int:
    """Make a key the set of the members that all of several sets have, and return how many."""
    return _store(ctx, destination, intersect(_sets(ctx, keys)))


@command("SINTERCARD numkeys key [key ...] [LIMIT limit]", READONLY | MOVABLEKEYS, since="7.0.0")
def sintercard(ctx: Session, numkeys: bytes, *words: bytes) -> int:
    """Return how many members all of several sets have, counting no further than the limit."""
    names, limit, _ = _read_counting(numkeys, words)
    return sum(1 for _ in intersect(_sets(ctx, names), limit or None))


def _read_counting(numkeys: bytes, words: Sequence[bytes], *, may_approximate: bool = False) -> tuple[Sequence[bytes], int, bool]:
    """The keys of `numkeys key [key ...] [APPROX] [LIMIT limit]`, the limit, 0 for none, and whether to approximate."""
    count = bounded(numkeys, 1, INT_MAX, "numkeys should be greater than 0")
    if count > len(words):
        raise CommandError("Number of keys can't be greater than number of args")
    args = Args(words[count:])
    limit, approximate = 0, False
    while args:
        match args.word():
            case b"LIMIT" if args:
                limit = bounded(args.next(), 0, INT_MAX, "LIMIT can't be negative")
            case b"APPROX" if may_approximate:
                approximate = True
            case _:
                raise BadSyntax
    return words[:count], limit, approximate


@command("SDIFFCARD numkeys key [key ...] [LIMIT limit]", READONLY | MOVABLEKEYS, since="8.10.0")
def sdiffcard(ctx: Session, numkeys: bytes, *words: bytes) -> int:
    """Return how many members the first set has that none of the others has, counting no further than the limit."""
    names, limit, _ = _read_counting(numkeys, words)
    return sum(1 for _ in islice(subtract(_sets(ctx, names)), limit or None))


@command("SUNIONCARD numkeys key [key ...] [APPROX] [LIMIT limit]", READONLY | MOVABLEKEYS, since="8.10.0")
def sunioncard(ctx: Session, numkeys: bytes, *words: bytes) -> int:
    """Return how many members several sets have, or about how many, counting no further than the limit."""
    names, limit, approximate = _read_counting(numkeys, words, may_approximate=True)
    members = unite(_sets(ctx, names))
    if approximate:
        count = hll.count_registers(hll.registers_of(members))
        return min(count, limit) if limit else count
    found: set[bytes] = set()
    for member in members:
        found.add(member)
        if len(found) == limit:
            break
    return len(found)


@command("SUNION key [key ...]", READONLY, since="1.0.0")
def sunion(ctx: Session, *keys: bytes) -> set[bytes]:
    """Return the members of several sets."""
    return _result(ctx, unite(_sets(ctx, keys)))


@command("SUNIONSTORE destination key [key ...]", WRITE | DENYOOM, since="1.0.0")
def sunionstore(ctx: Session, destination: bytes, *keys: bytes) -> int:
    """Make a key the set of the members of several sets, and return how many."""
    return _store(ctx, destination, unite(_sets(ctx, keys)))


@command("SDIFF key [key ...]", READONLY, since="1.0.0")
def sdiff(ctx: Session, *keys: bytes) -> set[bytes]:
    """Return the members of the first set that none of the others has."""
    return _result(ctx, subtract(_sets(ctx, keys)))


@command("SDIFFSTORE destination key [key ...]", WRITE | DENYOOM, since="1.0.0")
def sdiffstore(ctx: Session, destination: bytes, *keys: bytes) -> int:
    """Make a key the set of the members of the first set that none of the others has, and return how many."""
    return _store(ctx, destination, subtract(_sets(ctx, keys)))


@command("SSCAN key cursor [MATCH pattern] [COUNT count]", READONLY, since="2.8.0")
def sscan(ctx: Session, key: bytes, cursor: bytes, *options: bytes) -> list[Any]:
    """Return some members of a set, and a cursor with which to go on; 0 begins and means the end."""
    place = read_cursor(cursor)
    value = ctx.db.get(key, Set)
    if value is None:
        return [b"0", []]
    matches, count = scan_options(options)
    place, items = value.cursor_scan(place, count)
    members = [member for member, _ in items if matches is None or matches(member)]
    return [b"%d" % place, members if value.oid or not value.ordered() else in_order(members)]
