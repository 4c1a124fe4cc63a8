"""Arrays: finding elements, and computing with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from itertools import islice
from operator import and_, or_, xor
from typing import Any

from diskkv.commands.arrays import read_index, read_limit, scanned, told
from diskkv.dispatch.args import Args
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import READONLY, group
from diskkv.errors import BadSyntax, CommandError, WrongArity
from diskkv.lib.ere import BadExpression, Expression
from diskkv.lib.glob import compile_glob
from diskkv.lib.numbers import (
    LongDouble,
    add_long_doubles,
    format_general,
    is_finite,
    is_less,
    number_of,
    parse_long_double,
    truncated,
)
from diskkv.types.arrays import Array

command = group("array")

PREDICATES = 250
LONGEST = 2048

Test = Callable[[bytes], bool]


@command("ARSCAN key start end [LIMIT count]", READONLY, since="8.8.0")
def arscan(ctx: Session, key: bytes, first: bytes, last: bytes, *words: bytes) -> list[Any]:
    """Return index and element of what an array has in a range, backwards if that ends before it starts."""
    start, stop = read_index(first), read_index(last)
    limit = None
    if len(words) == 2:
        if words[0].upper() != b"LIMIT":
            raise BadSyntax
        limit = read_limit(words[1])
    elif words:
        raise WrongArity("arscan")
    value = ctx.db.get(key, Array)
    return told(list(islice(scanned(value, start, stop), limit))) if value is not None else []


# -- ARGREP


@command(
    "ARGREP key start end <EXACT string | MATCH string | GLOB pattern | RE pattern>"
    " [EXACT string | MATCH string | GLOB pattern | RE pattern | AND | OR | LIMIT count | WITHVALUES | NOCASE ...]",
    READONLY, since="8.8.0", arity=-6,
)  # fmt: skip
def argrep(ctx: Session, key: bytes, first: bytes, last: bytes, *words: bytes) -> list[Any]:
    """Return the indexes, and with WITHVALUES the elements, of what matches in an array: equal, containing, by glob or by expression."""
    bounds = [None if word in (b"-", b"+") else read_index(word) for word in (first, last)]
    args = Args(words)
    predicates: list[tuple[bytes, bytes]] = []
    every = with_values = nocase = False
    limit = None
    while args:
        match args.word():
            case b"EXACT" | b"MATCH" | b"GLOB" | b"RE" as kind:
                pattern = args.next()
                if len(predicates) == PREDICATES:
                    raise CommandError(f"too many predicates, maximum is {PREDICATES}")
                if kind == b"RE" and len(pattern) > LONGEST:
                    raise CommandError(f"regular expression is too long, maximum is {LONGEST} bytes")
                predicates.append((kind, pattern))
            case b"LIMIT":
                limit = read_limit(args.next())
            case b"WITHVALUES":
                with_values = True
            case b"NOCASE":
                nocase = True
            case b"AND" | b"OR" as word:
                every = word == b"AND"
            case _:
                raise BadSyntax
    if not predicates:
        raise BadSyntax
    tests = [_test(kind, pattern, nocase=nocase) for kind, pattern in predicates]
    value = ctx.db.get(key, Array)
    if value is None:
        return []
    start, stop = (_bound(index, word, value) for index, word in zip(bounds, (first, last), strict=True))
    combine = all if every else any
    matching = (element for element in scanned(value, start, stop) if combine(test(element[1]) for test in tests))
    found = list(islice(matching, limit))
    return told(found) if with_values else [index for index, _ in found]


def _bound(index: int | None, word: bytes, value: Array) -> int:
    if index is not None:
        return index
    return 0 if word == b"-" else value.span() - 1


def _test(kind: bytes, pattern: bytes, *, nocase: bool) -> Test:
    """What tells whether an element matches."""
    if kind == b"GLOB":
        return compile_glob(pattern, nocase)
    if kind == b"RE":
        return _expression(pattern, nocase=nocase)
    wanted = pattern.lower() if nocase else pattern
    if kind == b"EXACT":
        return (lambda data: data.lower() == wanted) if nocase else (lambda data: data == wanted)
    return (lambda data: wanted in data.lower()) if nocase else (lambda data: wanted in data)


def _expression(pattern: bytes, *, nocase: bool) -> Test:
    if not pattern:
        raise CommandError("regular expression is empty")
    try:
        found = Expression(pattern, nocase=nocase)
    except BadExpression as error:
        raise CommandError(f"invalid regular expression: {error}") from None
    if found.refers:
        raise CommandError("regular expression backreferences are not supported")
    return found.found_in


# -- AROP


@command("AROP key start end <SUM | MIN | MAX | AND | OR | XOR | USED | MATCH value>", READONLY, since="8.8.0", arity=-5)
def arop(ctx: Session, key: bytes, first: bytes, last: bytes, *words: bytes) -> bytes | int | None:
    """Compute with the elements of an array in a range: their sum, the least or greatest, bits, how many there are or equal a value."""
    start, stop = read_index(first), read_index(last)
    operation = words[0].upper()
    if operation not in OPERATIONS and operation not in (b"USED", b"MATCH"):
        raise CommandError("unknown operation")
    if operation == b"MATCH" and len(words) != 2:
        raise CommandError("MATCH requires a value argument")
    if operation != b"MATCH" and len(words) != 1:
        raise WrongArity("arop")
    value = ctx.db.get(key, Array)
    found = (data for _, data in scanned(value, start, stop)) if value is not None else iter(())
    if operation == b"USED":
        return sum(1 for _ in found)
    if operation == b"MATCH":
        return sum(data == words[1] for data in found)
    return OPERATIONS[operation](number for data in found if (number := number_of(data)) is not None)


def _sum(numbers: Iterable[LongDouble]) -> bytes | None:
    total: LongDouble | None = None
    for number in numbers:
        if total is None:
            total = number
        elif is_finite(total) and is_finite(number):
            # Two numbers of which the sum is too great have one sign.
            total = add_long_doubles(total, number) or _infinite(total)
        elif not is_finite(total) and not is_finite(number) and total != number:
            # as C prints what is no number, and stays so whatever is added
            return b"-nan"
        elif is_finite(total):
            total = number
    return None if total is None else format_general(total)


def _infinite(sign: LongDouble) -> LongDouble | None:
    return parse_long_double(b"-inf" if sign[0] < 0 else b"inf")


def _least(numbers: Iterable[LongDouble]) -> bytes | None:
    found = reduce(lambda best, number: number if is_less(number, best) else best, numbers, next(iter(numbers), None))
    return None if found is None else format_general(found)


def _greatest(numbers: Iterable[LongDouble]) -> bytes | None:
    found = reduce(lambda best, number: number if is_less(best, number) else best, numbers, next(iter(numbers), None))
    return None if found is None else format_general(found)


def _bits(combine: Callable[[int, int], int]) -> Callable[[Iterable[LongDouble]], int | None]:
    def compute(numbers: Iterable[LongDouble]) -> int | None:
        found: int | None = None
        for number in numbers:
            whole = truncated(number)
            if whole is not None:
                found = whole if found is None else combine(found, whole)
        return found

    return compute


OPERATIONS: dict[bytes, Callable[[Iterable[LongDouble]], bytes | int | None]] = {
    b"SUM": _sum,
    b"MIN": _least,
    b"MAX": _greatest,
    b"AND": _bits(and_),
    b"OR": _bits(or_),
    b"XOR": _bits(xor),
}
