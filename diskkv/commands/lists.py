"""Lists, all but the commands that wait (`list_blocking.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diskkv.dispatch.args import Args, bounded, integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, MOVABLEKEYS, READONLY, WRITE, Keys, group
from diskkv.errors import BadSyntax, CommandError, IndexOutOfRange, NoSuchKey, WrongArity
from diskkv.lib.numbers import INT_MAX, INT_MIN
from diskkv.replies import NIL_ARRAY, OK
from diskkv.types.lists import List

command = group("list")


@command("LPUSH key element [element ...]", WRITE | DENYOOM | FAST, since="1.0.0")
def lpush(ctx: Session, key: bytes, *elements: bytes) -> int:
    """Put elements before a list's first, each in turn, creating the list if need be; reply its length."""
    return ctx.db.open(key, List).push_left(elements)


@command("RPUSH key element [element ...]", WRITE | DENYOOM | FAST, since="1.0.0")
def rpush(ctx: Session, key: bytes, *elements: bytes) -> int:
    """Put elements behind a list's last, each in turn, creating the list if need be; reply its length."""
    return ctx.db.open(key, List).push_right(elements)


@command("LPUSHX key element [element ...]", WRITE | DENYOOM | FAST, since="2.2.0")
def lpushx(ctx: Session, key: bytes, *elements: bytes) -> int:
    """Put elements before a list's first, if the list exists."""
    value = ctx.db.get(key, List)
    return value.push_left(elements) if value is not None else 0


@command("RPUSHX key element [element ...]", WRITE | DENYOOM | FAST, since="2.2.0")
def rpushx(ctx: Session, key: bytes, *elements: bytes) -> int:
    """Put elements behind a list's last, if the list exists."""
    value = ctx.db.get(key, List)
    return value.push_right(elements) if value is not None else 0


@command("LPOP key [count]", WRITE | FAST, since="1.0.0")
def lpop(ctx: Session, key: bytes, *count: bytes) -> Any:
    """Take a list's first element, or the first `count`."""
    if count:
        return _pops(ctx, "lpop", key, count, left=True)
    value = ctx.db.get(key, List)
    return value.pop_left() if value is not None else None


@command("RPOP key [count]", WRITE | FAST, since="1.0.0")
def rpop(ctx: Session, key: bytes, *count: bytes) -> Any:
    """Take a list's last element, or the last `count`."""
    if count:
        return _pops(ctx, "rpop", key, count, left=False)
    value = ctx.db.get(key, List)
    return value.pop_right() if value is not None else None


def _pops(ctx: Session, name: str, key: bytes, words: Sequence[bytes], *, left: bool) -> Any:
    if len(words) > 1:
        raise WrongArity(name)
    count = bounded(words[0], 0, INT_MAX, "value is out of range, must be positive")
    value = ctx.db.get(key, List)
    if value is None:
        return NIL_ARRAY
    return value.pops(count, left=left) if count else []


@command("LLEN key", READONLY | FAST, since="1.0.0")
def llen(ctx: Session, key: bytes) -> int:
    """Return a list's length."""
    value = ctx.db.get(key, List)
    return len(value) if value is not None else 0


@command("LINDEX key index", READONLY, since="1.0.0")
def lindex(ctx: Session, key: bytes, index: bytes) -> bytes | None:
    """Return the element at an index, negative from the end."""
    value = ctx.db.get(key, List)
    return value.at(integer(index)) if value is not None else None


@command("LRANGE key start stop", READONLY, since="1.0.0")
def lrange(ctx: Session, key: bytes, start: bytes, stop: bytes) -> list[bytes]:
    """Return the elements from one index to another, both included."""
    first, last = integer(start), integer(stop)
    value = ctx.db.get(key, List)
    return value.range(first, last) if value is not None else []


@command("LSET key index element", WRITE | DENYOOM, since="1.0.0")
def lset(ctx: Session, key: bytes, index: bytes, element: bytes) -> Any:
    """Replace the element at an index."""
    value = ctx.db.get(key, List)
    if value is None:
        raise NoSuchKey
    if not value.set(integer(index), element):
        raise IndexOutOfRange
    return OK


@command("LINSERT key <BEFORE | AFTER> pivot element", WRITE | DENYOOM, since="2.2.0")
def linsert(ctx: Session, key: bytes, where: bytes, pivot: bytes, element: bytes) -> int:
    """Put an element before or after the first that equals the pivot; reply the length, -1 when there is no pivot."""
    word = where.upper()
    if word not in (b"BEFORE", b"AFTER"):
        raise BadSyntax
    value = ctx.db.get(key, List)
    return value.insert(pivot, element, after=word == b"AFTER") if value is not None else 0


@command("LREM key count element", WRITE, since="1.0.0")
def lrem(ctx: Session, key: bytes, count: bytes, element: bytes) -> int:
    """Remove the elements that equal one: the first `count`, the last `-count`, or with 0 all; reply how many."""
    limit = integer(count)
    value = ctx.db.get(key, List)
    return value.remove(element, limit) if value is not None else 0


@command("LTRIM key start stop", WRITE, since="1.0.0")
def ltrim(ctx: Session, key: bytes, start: bytes, stop: bytes) -> Any:
    """Keep only the elements from one index to another, both included."""
    first, last = integer(start), integer(stop)
    value = ctx.db.get(key, List)
    if value is not None:
        value.trim(first, last)
    return OK


@command("LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]", READONLY, since="6.0.6")
def lpos(ctx: Session, key: bytes, element: bytes, *options: bytes) -> Any:
    """Return the index of the first element that equals one, or with COUNT the indexes of several."""
    args = Args(options)
    rank, count, limit = 1, -1, 0
    while args:
        match args.word():
            case b"RANK" if args:
                rank = _rank(args.next())
            case b"COUNT" if args:
                count = bounded(args.next(), 0, INT_MAX, "COUNT can't be negative")
            case b"MAXLEN" if args:
                limit = bounded(args.next(), 0, INT_MAX, "MAXLEN can't be negative")
            case _:
                raise BadSyntax
    value = ctx.db.get(key, List)
    if count >= 0:
        return value.search(element, rank, count, limit) if value is not None else []
    found = value.search(element, rank, 1, limit) if value is not None else []
    return found[0] if found else None


def _rank(raw: bytes) -> int:
    rank = integer(raw)
    if rank == INT_MIN:
        raise CommandError(f"value is out of range, value must between {-INT_MAX} and {INT_MAX}")
    if not rank:
        raise CommandError(
            "RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
            "or use negative to start from the end of the list"
        )
    return rank


def side(word: bytes) -> bool:
    """Whether a word is LEFT; BadSyntax when it is neither LEFT nor RIGHT."""
    upper = word.upper()
    if upper == b"LEFT":
        return True
    if upper != b"RIGHT":
        raise BadSyntax
    return False


def move(ctx: Session, source: bytes, destination: bytes, left: bool, to_left: bool) -> bytes | None:
    """Take an element from an end of one list and put it at an end of another or the same; None when there is none."""
    origin = ctx.db.get(source, List)
    if origin is None:
        return None
    target = origin if source == destination else ctx.db.open(destination, List)
    if target is origin and len(origin) == 1:
        # It would vanish for a moment and lose its expiry: as in Redis the list is only said to have changed.
        origin.set(0, element := origin.range(0, 0)[0])
        return element
    element = origin.pop_left() if left else origin.pop_right()
    if to_left:
        target.push_left((element,))
    else:
        target.push_right((element,))
    return element


@command("LMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT>", WRITE | DENYOOM, since="6.2.0")
def lmove(ctx: Session, source: bytes, destination: bytes, whence: bytes, whither: bytes) -> bytes | None:
    """Take an element from an end of one list and put it at an end of another; reply it."""
    return move(ctx, source, destination, side(whence), side(whither))


@command("RPOPLPUSH source destination", WRITE | DENYOOM, since="1.2.0")
def rpoplpush(ctx: Session, source: bytes, destination: bytes) -> bytes | None:
    """Take the last element of one list and put it before another's first; reply it."""
    return move(ctx, source, destination, False, True)


def read_moving(words: Sequence[bytes]) -> tuple[int, bool, bool]:
    """How many elements LMOVEM moves, whether just as many, and whether one by one, of `[<COUNT | EXACTLY> number <OBO | BULK>]`."""
    if not words:
        return 1, False, True
    if len(words) != 3 or words[0].upper() not in (b"COUNT", b"EXACTLY") or words[2].upper() not in (b"OBO", b"BULK"):
        raise BadSyntax
    return bounded(words[1], 1, INT_MAX, "count should be greater than 0"), words[0].upper() == b"EXACTLY", words[2].upper() == b"OBO"


def move_several(
    ctx: Session, source: bytes, destination: bytes, left: bool, to_left: bool, count: int, exactly: bool, one_by_one: bool
) -> list[bytes] | None:
    """Take elements from an end of one list and put them at an end of another or the same; they in the order of their new places.

    None, and nothing is done, when there are none, or not as many as there must be.
    """
    origin = ctx.db.get(source, List)
    if origin is None or (exactly and len(origin) < count):
        return None
    target = origin if source == destination else ctx.db.open(destination, List)
    if target is origin and count >= len(origin):
        # All of it is put in another order; it may not vanish for a moment and lose its expiry.
        taken = origin.range(0, -1)
        moved = taken[::-1] if one_by_one and left is to_left else taken
        for index, element in enumerate(moved):
            origin.set(index, element)
        return moved
    taken = origin.pops(count, left=left)
    # One by one, each is put beyond the one before; as a whole, they keep the order they had.
    moved = taken[::-1] if (to_left if one_by_one else not left) else taken
    if to_left:
        target.push_left(moved[::-1])
    else:
        target.push_right(moved)
    return moved


@command(
    "LMOVEM source destination <LEFT | RIGHT> <LEFT | RIGHT> [<COUNT count | EXACTLY exactly> <OBO | BULK>]",
    WRITE | DENYOOM, since="8.10.0", arity=-5, keys=Keys(1, 2, 1),
)  # fmt: skip
def lmovem(ctx: Session, source: bytes, destination: bytes, whence: bytes, whither: bytes, *how_many: bytes) -> Any:
    """Take elements from an end of one list and put them at an end of another; reply them."""
    moved = move_several(ctx, source, destination, side(whence), side(whither), *read_moving(how_many))
    return NIL_ARRAY if moved is None else moved


def read_pop(words: Sequence[bytes]) -> tuple[Sequence[bytes], bool, int]:
    """Keys, whether LEFT, and the count, of `numkeys key [key ...] <LEFT | RIGHT> [COUNT count]`."""
    args = Args(words)
    numkeys = bounded(args.next(), 1, INT_MAX, "numkeys should be greater than 0")
    names = args.take(numkeys)
    left = side(args.next())
    count = 0
    while args:
        match args.word():
            case b"COUNT" if not count and args:
                count = bounded(args.next(), 1, INT_MAX, "count should be greater than 0")
            case _:
                raise BadSyntax
    return names, left, count or 1


def pop_first(ctx: Session, names: Sequence[bytes], left: bool, count: int) -> list[Any] | None:
    """Take elements from the first of some lists that exists: its key and they; None when there is none. Logs what it did."""
    for key in names:
        value = ctx.db.get(key, List)
        if value is not None:
            elements = value.pops(count, left=left)
            ctx.log_as(b"LPOP" if left else b"RPOP", key, b"%d" % len(elements))
            return [key, elements]
    return None


@command("LMPOP numkeys key [key ...] <LEFT | RIGHT> [COUNT count]", WRITE | MOVABLEKEYS, since="7.0.0")
def lmpop(ctx: Session, *words: bytes) -> Any:
    """Take elements from the first of several lists that exists; reply its key and the elements."""
    reply = pop_first(ctx, *read_pop(words))
    return reply if reply is not None else NIL_ARRAY
