"""SORT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from diskkv.dispatch.acl.access import reads_everything
from diskkv.dispatch.args import Args
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, MOVABLEKEYS, READONLY, WRITE, group
from diskkv.errors import BadSyntax, CommandError, WrongType
from diskkv.lib.numbers import parse_float
from diskkv.types.lists import List
from diskkv.types.names import type_name
from diskkv.types.strings import String

command = group("generic")

OPTIONS = "[BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]"
SPACES = b" \t\n\v\f\r"


@dataclass(slots=True)
class Order:
    """What SORT's options ask for."""

    by: bytes | None = None
    # once a BY has had no star; a later one does not undo it, as in Redis
    unsorted: bool = False
    offset: int = 0
    count: int = -1
    gets: list[bytes] = field(default_factory=list)
    descending: bool = False
    alpha: bool = False
    store: bytes | None = None


@command(f"SORT key {OPTIONS} [STORE destination]", WRITE | DENYOOM | MOVABLEKEYS, since="1.0.0")
def sort(ctx: Session, key: bytes, *options: bytes) -> Any:
    """Sort a list, set or sorted set, by itself or by other keys, and return or store the result."""
    order = _parse(options, may_store=True, everything=_reads_everything(ctx, b"sort", key, options))
    found = _sorted(ctx, key, order)
    if order.store is None:
        return found
    _store(ctx, order.store, [item if item is not None else b"" for item in found])
    return len(found)


@command(f"SORT_RO key {OPTIONS}", READONLY | MOVABLEKEYS, since="7.0.0")
def sort_ro(ctx: Session, key: bytes, *options: bytes) -> Any:
    """Sort a list, set or sorted set, by itself or by other keys, and return the result."""
    everything = _reads_everything(ctx, b"sort_ro", key, options)
    return _sorted(ctx, key, _parse(options, may_store=False, everything=everything))


def _reads_everything(ctx: Session, name: bytes, key: bytes, options: Sequence[bytes]) -> bool:
    """Whether the client's user may have other keys looked up, which the command line does not name."""
    return not ctx.user.restricted or reads_everything(ctx.user, ctx.executor.table[name], [name, key, *options])


def _parse(options: Sequence[bytes], *, may_store: bool, everything: bool) -> Order:
    order = Order()
    args = Args(options)
    while args:
        match args.word():
            case b"ASC":
                order.descending = False
            case b"DESC":
                order.descending = True
            case b"ALPHA":
                order.alpha = True
            case b"LIMIT" if len(args) >= 2:
                order.offset, order.count = args.int(), args.int()
            case b"STORE" if may_store and args:
                order.store = args.next()
            case b"BY" if args:
                order.by = args.next()
                order.unsorted = order.unsorted or b"*" not in order.by
                if b"*" in order.by and not everything:
                    raise CommandError("BY option of SORT denied due to insufficient ACL permissions.")
            case b"GET" if args:
                if not everything:
                    raise CommandError("GET option of SORT denied due to insufficient ACL permissions.")
                order.gets.append(args.next())
            case _:
                raise BadSyntax
    return order


def _sorted(ctx: Session, key: bytes, order: Order) -> list[Any]:
    value: Any = ctx.db.find(key)
    kind = type_name(value.tag) if value is not None else b"list"
    if kind not in (b"list", b"set", b"zset"):
        raise WrongType
    elements = list(value.elements()) if value is not None else []
    if order.unsorted and kind == b"set" and ctx.script:
        # Nor must what a script is given.
        elements = _in_order(ctx, elements, None, alpha=True, descending=order.descending)
    elif order.unsorted:
        if kind == b"set" and order.store is not None:
            # A set has no order: what is stored must not depend on how it happens to lie.
            elements.sort(reverse=order.descending)
        elif kind != b"set" and order.descending:
            elements.reverse()
    elif elements:
        elements = _in_order(ctx, elements, order.by, alpha=order.alpha, descending=order.descending)
    first, behind = _window(order, len(elements))
    chosen = elements[first:behind]
    if not order.gets:
        return chosen
    return [_look_up(ctx, pattern, element) for element in chosen for pattern in order.gets]


def _in_order(ctx: Session, elements: list[bytes], by: bytes | None, *, alpha: bool, descending: bool) -> list[bytes]:
    """Elements by weight; those of equal weight by themselves, so that the result is always the same."""
    weights: list[Any] = elements
    if by is not None:
        weights = [_look_up(ctx, by, element) for element in elements]
    keys: list[Any]
    if alpha:
        # A missing weight comes before all others.
        keys = [(weight is not None, weight or b"") for weight in weights]
    else:
        keys = [_number(weight) if weight is not None else 0.0 for weight in weights]
    order = sorted(zip(keys, elements, strict=True), reverse=descending)
    return [element for _, element in order]


def _number(raw: bytes) -> float:
    """What C's strtod makes of all of a text: spaces before it are skipped, and the empty text is 0."""
    text = raw.partition(b"\0")[0]
    number = parse_float(text.lstrip(SPACES)) if text else 0.0
    if number is None:
        raise CommandError("One or more scores can't be converted into double")
    return number


def _window(order: Order, length: int) -> tuple[int, int]:
    """LIMIT as a half-open range: a negative offset is 0, a negative count is all."""
    first = min(max(order.offset, 0), length)
    return first, length if order.count < 0 else min(first + order.count, length)


def _look_up(ctx: Session, pattern: bytes, element: bytes) -> bytes | None:
    """What a BY or GET pattern leads to: `#` the element itself, `a*b` a string, `a*b->c` a field of a hash; None when it is missing."""
    if pattern == b"#":
        return element
    before, star, behind = pattern.partition(b"*")
    if not star:
        return None
    behind, arrow, member = behind.partition(b"->")
    if not member:
        behind, arrow = behind + arrow, b""
    value: Any = ctx.db.find(before + element + behind)
    if value is None:
        return None
    if arrow:
        found: bytes | None = value.get(member) if type_name(value.tag) == b"hash" else None
        return found
    return value.value() if isinstance(value, String) else None


def _store(ctx: Session, key: bytes, items: list[bytes]) -> None:
    """Make a key the list of the items, or delete it when there are none."""
    if items:
        ctx.db.replace(key, List).push_right(items)
    else:
        ctx.db.delete(key)
