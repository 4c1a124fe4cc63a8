"""Arrays: setting and getting by index, and inserting at a cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from diskkv.dispatch.args import bounded, integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, FAST, READONLY, WRITE, group
from diskkv.errors import BadSyntax, CommandError, WrongArity
from diskkv.lib.numbers import INT_MAX, INT_MIN
from diskkv.types.arrays import INDEX_MAX, NONE, Array
from diskkv.types.stream_ids import parse_half

command = group("array")

# So many indexes ARGETRANGE tells of.
MOST = 1_000_000
# So many indexes together are what Redis calls a slice.
SLICE = 4096


def read_index(raw: bytes, highest: int = INDEX_MAX) -> int:
    """A word that must be an index."""
    index = parse_half(raw)
    if index is None or index > highest:
        raise CommandError("invalid array index")
    return index


# -- by index


@command("ARGET key index", READONLY | FAST, since="8.8.0")
def arget(ctx: Session, key: bytes, word: bytes) -> bytes | None:
    """Return the element of an array at an index."""
    value = ctx.db.get(key, Array)
    index = read_index(word)
    return value.get(index) if value is not None else None


@command("ARMGET key index [index ...]", READONLY | FAST, since="8.8.0")
def armget(ctx: Session, key: bytes, *words: bytes) -> list[bytes | None]:
    """Return the elements of an array at several indexes."""
    value = ctx.db.get(key, Array)
    indexes = list(map(read_index, words))
    if value is None:
        return [None] * len(indexes)
    return list(map(value.get, indexes))


@command("ARSET key index value [value ...]", WRITE | DENYOOM | FAST, since="8.8.0")
def arset(ctx: Session, key: bytes, word: bytes, *values: bytes) -> int:
    """Set elements of an array from an index on, creating it if need be, and return how many of the indexes were empty."""
    start = read_index(word)
    if start + len(values) - 1 > INDEX_MAX:
        raise CommandError("array index overflow")
    return ctx.db.open(key, Array).assign(enumerate(values, start))


@command("ARMSET key index value [index value ...]", WRITE | DENYOOM | FAST, since="8.8.0")
def armset(ctx: Session, key: bytes, *words: bytes) -> int:
    """Set elements of an array at several indexes, creating it if need be, and return how many of these were empty."""
    if len(words) % 2:
        raise WrongArity("armset")
    indexes = list(map(read_index, words[::2]))
    return ctx.db.open(key, Array).assign(zip(indexes, words[1::2], strict=True))


@command("ARDEL key index [index ...]", WRITE | FAST, since="8.8.0")
def ardel(ctx: Session, key: bytes, *words: bytes) -> int:
    """Delete elements of an array and return how many there were."""
    indexes = list(map(read_index, words))
    value = ctx.db.get(key, Array)
    return value.delete(indexes) if value is not None else 0


@command("ARDELRANGE key start end [start end ...]", WRITE, since="8.8.0")
def ardelrange(ctx: Session, key: bytes, *words: bytes) -> int:
    """Delete the elements of an array in ranges of indexes and return how many there were."""
    if len(words) % 2:
        raise WrongArity("ardelrange")
    ends = list(map(read_index, words))
    value = ctx.db.get(key, Array)
    deleted = 0
    for pair in zip(ends[::2], ends[1::2], strict=True):
        if value is not None and len(value):
            deleted += value.delete_range(min(pair), max(pair))
    return deleted


@command("ARLEN key", READONLY | FAST, since="8.8.0")
def arlen(ctx: Session, key: bytes) -> int:
    """Return one more than the highest index of an array."""
    value = ctx.db.get(key, Array)
    return value.span() if value is not None else 0


@command("ARCOUNT key", READONLY | FAST, since="8.8.0")
def arcount(ctx: Session, key: bytes) -> int:
    """Return how many elements an array has."""
    value = ctx.db.get(key, Array)
    return len(value) if value is not None else 0


@command("ARGETRANGE key start end", READONLY, since="8.8.0")
def argetrange(ctx: Session, key: bytes, first: bytes, last: bytes) -> list[bytes | None]:
    """Return what an array has at each index of a range, backwards if it ends before it starts."""
    start, stop = read_index(first), read_index(last)
    value = ctx.db.get(key, Array)
    low, high = min(start, stop), max(start, stop)
    if high - low >= MOST:
        raise CommandError(f"range exceeds maximum of {MOST} items")
    found: list[bytes | None] = [None] * (high - low + 1)
    if value is not None:
        for index, data in value.scan(low, high):
            found[index - low] = data
    return found if start <= stop else found[::-1]


# -- at the cursor


@command("ARINSERT key value [value ...]", WRITE | DENYOOM | FAST, since="8.8.0")
def arinsert(ctx: Session, key: bytes, *values: bytes) -> int:
    """Insert elements at an array's cursor, creating it if need be, and return the last one's index."""
    value = ctx.db.open(key, Array)
    start = value.next_index()
    if start + len(values) - 1 > INDEX_MAX:
        raise CommandError("insert index overflow")
    value.insert(start, values)
    return start + len(values) - 1


@command("ARRING key size value [value ...]", WRITE | DENYOOM, since="8.8.0")
def arring(ctx: Session, key: bytes, word: bytes, *values: bytes) -> int:
    """Insert elements at an array's cursor, which goes round after so many, and return the last one's index."""
    size = bounded(word, INT_MIN, INT_MAX, "invalid size")
    if size <= 0:
        raise CommandError("size must be positive")
    return ctx.db.open(key, Array).ring(size, values)


@command("ARNEXT key", READONLY | FAST, since="8.8.0")
def arnext(ctx: Session, key: bytes) -> int | None:
    """Return the index that is inserted at next; nil when there is none left."""
    value = ctx.db.get(key, Array)
    index = value.next_index() if value is not None else 0
    return index if index <= INDEX_MAX else None


@command("ARSEEK key index", WRITE | FAST, since="8.8.0")
def arseek(ctx: Session, key: bytes, word: bytes) -> int:
    """Set the index that is inserted at next, and return whether there is such an array."""
    index = read_index(word, NONE)
    value = ctx.db.get(key, Array)
    if value is None:
        return 0
    value.seek(index)
    return 1


@command("ARLASTITEMS key count [REV]", READONLY, since="8.8.0")
def arlastitems(ctx: Session, key: bytes, number: bytes, *words: bytes) -> list[bytes | None]:
    """Return what an array has at the indexes that were last inserted at, with REV the last one first."""
    count = bounded(number, INT_MIN, INT_MAX, "invalid COUNT")
    if count <= 0:
        return []
    if len(words) > 1:
        raise WrongArity("arlastitems")
    if words and words[0].upper() != b"REV":
        raise BadSyntax
    value = ctx.db.get(key, Array)
    if value is None:
        return []
    found = _last(value, min(count, len(value)))
    return found if words else found[::-1]


def _last(value: Array, count: int) -> list[bytes | None]:
    """What there is from the cursor downwards, and from the end on behind index 0."""
    span = value.span()
    anchor = span - 1 if value.cursor is None else value.cursor
    found: list[bytes | None] = []
    while len(found) < count:
        low = max(anchor - (count - len(found)) + 1, 0)
        part: list[bytes | None] = [None] * (anchor - low + 1)
        for index, data in value.scan(low, anchor):
            part[anchor - index] = data
        found += part
        anchor = span - 1
    return found


# -- what it looks like


@command("ARINFO key [FULL]", READONLY, since="8.8.0")
def arinfo(ctx: Session, key: bytes, *words: bytes) -> dict[bytes, Any]:
    """Return what is known of an array, with FULL also how its elements are spread."""
    if words and (len(words) > 1 or words[0].upper() != b"FULL"):
        raise BadSyntax
    value = ctx.db.get(key, Array)
    if value is None:
        raise CommandError("no such key")
    following = value.next_index()
    slices = list(value.slices(SLICE))
    told: dict[bytes, Any] = {
        b"count": len(value),
        b"len": value.span(),
        b"next-insert-index": following if following <= INDEX_MAX else 0,
        b"slices": len(slices),
        b"directory-size": slices[-1] - slices[0] + 1,
        b"super-dir-entries": 0,
        b"slice-size": SLICE,
    }
    return {**told, **_spread(_windows(value))} if words else told


def _windows(value: Array) -> Iterator[tuple[int, int]]:
    """Of each slice how many elements it has, and how many indexes from the first to the last of them."""
    number, count, first, last = -1, 0, 0, 0
    for index, _ in value.scan():
        if index // SLICE != number:
            if count:
                yield count, last - first + 1
            number, count, first = index // SLICE, 0, index
        count += 1
        last = index
    yield count, last - first + 1


def _spread(windows: Iterator[tuple[int, int]]) -> dict[bytes, Any]:
    """How full slices are: those are dense that have elements at half of the indexes between their first and last, or more."""
    dense: list[tuple[int, int]] = []
    sparse: list[int] = []
    for count, width in windows:
        if 2 * count >= width:
            dense.append((count, width))
        else:
            sparse.append(count)
    widths = sum(width for _, width in dense)
    return {
        b"dense-slices": len(dense),
        b"sparse-slices": len(sparse),
        b"avg-dense-size": widths / len(dense) if dense else 0.0,
        b"avg-dense-fill": sum(count for count, _ in dense) / widths if dense else 0.0,
        b"avg-sparse-size": sum(sparse) / len(sparse) if sparse else 0.0,
    }


def read_limit(raw: bytes) -> int:
    """How many elements are wanted at most."""
    limit = integer(raw)
    if limit <= 0:
        raise CommandError("LIMIT must be positive")
    return limit


def scanned(value: Array, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """The elements of a range, backwards if it ends before it starts."""
    return value.scan(min(start, stop), max(start, stop), reverse=start > stop)


def told(elements: Sequence[tuple[int, bytes]]) -> list[list[Any]]:
    """Elements as replies have them."""
    return [list(element) for element in elements]
