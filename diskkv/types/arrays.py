"""Arrays: elements under indexes of 64 bits, most of which may be empty, and a cursor: the index that was last inserted at.

A small one is a dict in memory. Of a large one nothing is in memory but what is ahead of the engine: its elements are a `Ledger`, and lie
in records SLOT index -> packed. The header's extras, and the first item of an inline body, are the cursor, NONE for none; and of a large
one `low` and `high`, below and above which no element is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from diskkv.errors import Damaged
from diskkv.format import ARRAY, SLOT, keys
from diskkv.format.groups import numbered
from diskkv.format.meta import Meta, pack_items, pack_value, unpack_items, unpack_value
from diskkv.format.ordered import pack_u64, unpack_u64
from diskkv.store.value import Recorded, Value, data_type
from diskkv.types.ledgers import Ledger

if TYPE_CHECKING:
    from diskkv.store.database import Database

INLINE_COUNT = 128
INLINE_BYTES = 4096
EXTRAS = 24
# What an element of a small array takes in memory besides its bytes.
ITEM_WEIGHT = 120
# How many elements are deleted or copied together.
RUN = 512

NONE = (1 << 64) - 1
INDEX_MAX = NONE - 1

Element = tuple[int, bytes]


@data_type
class Array(Recorded):
    """Elements by index. One that becomes empty vanishes."""

    __slots__ = ("cursor", "items", "ledger", "size", "stirred")

    tag = ARRAY

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        self.cursor: int | None = None
        self.items: dict[int, bytes] = {}
        # bytes of content, of an inline array
        self.size = 0
        self.ledger: Ledger | None = None
        self.stirred: dict[Ledger, None] = {}

    def __len__(self) -> int:
        return len(self.items) if self.ledger is None else self.ledger.count

    # -- reading

    def get(self, index: int) -> bytes | None:
        """The element at an index, None for none."""
        if self.ledger is None:
            return self.items.get(index)
        raw = self.ledger.get(index)
        return None if raw is None else unpack_value(raw)

    def scan(self, start: int = 0, stop: int = INDEX_MAX, *, reverse: bool = False) -> Iterator[Element]:
        """The elements with start <= index <= stop in order, descending when `reverse`. REQUIRES: nothing is changed meanwhile."""
        if self.ledger is None:
            for index in sorted(self.items, reverse=reverse):
                if start <= index <= stop:
                    yield index, self.items[index]
            return
        for index, raw in self.ledger.scan(start, stop, reverse=reverse):
            yield index, unpack_value(raw)

    def runs(self) -> Iterator[list[Element]]:
        """All elements in order, a few at a time; between two times a checkpoint may land."""
        start = 0
        while part := list(islice(self.scan(start), RUN)):
            yield part
            start = part[-1][0] + 1

    def span(self) -> int:
        """One more than the highest index."""
        last = max(self.items, default=None) if self.ledger is None else self.ledger.last()
        return 0 if last is None else last + 1

    def next_index(self) -> int:
        """Where inserting goes on."""
        return 0 if self.cursor is None else self.cursor + 1

    def slices(self, width: int) -> Iterator[int]:
        """The numbers of the slices of so many indexes that have an element, ascending; each takes one look-up."""
        start = 0
        while (found := next(self.scan(start), None)) is not None:
            yield found[0] // width
            start = (found[0] // width + 1) * width

    def _back_from(self, anchor: int, span: int) -> Iterator[bytes]:
        """The elements from an index downwards, and from the end of the span on behind the first one, until one is missing."""
        for start, stop in ((0, anchor), (anchor + 1, span - 1)):
            expected = stop
            for index, data in self.scan(start, stop, reverse=True):
                if index != expected:
                    return
                yield data
                expected -= 1
            if expected >= start:
                return

    # -- changing

    def assign(self, elements: Iterable[Element]) -> int:
        """Set elements; how many of their indexes were empty."""
        self.touch()
        return sum([self._set(index, data) for index, data in elements])

    def insert(self, index: int, values: Sequence[bytes]) -> None:
        """Set elements from an index on, and the cursor to the last of them."""
        self.assign(enumerate(values, index))
        self.cursor = index + len(values) - 1

    def ring(self, size: int, values: Sequence[bytes]) -> int:
        """Insert values at the cursor in a ring of so many indexes; the last one's index. What does not fit the ring is packed first."""
        self.touch()
        span = self.span()
        if span > size:
            self._pack(span, size)
        elif span < size and self.cursor is not None and self.cursor + 1 < span:
            # It has gone round: what follows is older than what is before, and there is room between them now.
            self._pack(span, span)
        cursor = 0
        for data in values:
            cursor = self.next_index() % size
            self._set(cursor, data)
            self.cursor = cursor
        return cursor

    def _pack(self, span: int, most: int) -> None:
        """Keep the last `most` elements, or those behind the last hole, from index 0 on in the order in which they were inserted."""
        anchor = span - 1 if self.cursor is None else self.cursor % span
        kept = list(islice(self._back_from(anchor, span), most))
        for index in [index for index, _ in self.scan(len(kept))]:
            self._drop(index)
        for index, data in enumerate(reversed(kept)):
            self._set(index, data)
        self.cursor = len(kept) - 1 if kept else None

    def seek(self, index: int) -> None:
        """Say where inserting goes on."""
        self.touch()
        self.cursor = index - 1 if index else None

    def delete(self, indexes: Iterable[int]) -> int:
        """Delete elements; how many there were."""
        deleted = 0
        for index in indexes:
            if self.get(index) is not None:
                if not deleted:
                    self.touch()
                self._drop(index)
                deleted += 1
        return self._deleted(deleted)

    def delete_range(self, start: int, stop: int) -> int:
        """Delete the elements with start <= index <= stop; how many there were."""
        deleted = 0
        while gone := [index for index, _ in islice(self.scan(start, stop), RUN)]:
            if not deleted:
                self.touch()
            for index in gone:
                self._drop(index)
            deleted += len(gone)
            start = gone[-1] + 1
        return self._deleted(deleted)

    def _deleted(self, count: int) -> int:
        if count and not len(self):
            self.vanish()
        return count

    def _set(self, index: int, data: bytes) -> bool:
        """Set an element; whether there was none."""
        if self.ledger is not None:
            new = self.ledger.get(index) is None
            self.ledger.put(index, pack_value(data), new=new)
            return new
        old = self.items.get(index)
        self.items[index] = data
        grown = len(data) - len(old or b"")
        self.size += grown
        self.resized(grown if old is not None else grown + ITEM_WEIGHT)
        if len(self.items) > INLINE_COUNT or self.size > INLINE_BYTES:
            self._enlarge()
        return old is None

    def _enlarge(self) -> None:
        items, self.items = self.items, {}
        self.resized(-self.size - ITEM_WEIGHT * len(items))
        self.size = 0
        self.promote({})
        self.ledger = Ledger(self, SLOT)
        for index, data in items.items():
            self.ledger.put(index, pack_value(data), new=True)

    def _drop(self, index: int) -> None:
        """Forget an element that there is."""
        if self.ledger is not None:
            self.ledger.drop(index)
            return
        size = len(self.items.pop(index))
        self.size -= size
        self.resized(-size - ITEM_WEIGHT)

    # -- what the store needs

    def load(self, meta: Meta) -> None:
        if meta.body is None:
            if len(meta.extras) != EXTRAS:
                raise Damaged(f"array {self.key!r} has {len(meta.extras)} bytes of extras")
            cursor, low, high = (unpack_u64(meta.extras, at) for at in range(0, EXTRAS, 8))
            self.ledger = ledger = Ledger(self, SLOT)
            ledger.count, ledger.low, ledger.high, ledger.written = meta.length, low, high, high
        else:
            cursor, *rest = unpack_items(meta.body)
            self.items = dict(zip(rest[::2], rest[1::2], strict=True))
            self.size = sum(map(len, self.items.values()))
            self.weight += self.size + ITEM_WEIGHT * len(self.items)
        self.cursor = None if cursor == NONE else cursor

    def _packed_cursor(self) -> int:
        return NONE if self.cursor is None else self.cursor

    def body(self) -> bytes:
        items: list[Any] = [self._packed_cursor()]
        for element in self.scan():
            items += element
        return pack_items(items)

    def length(self) -> int:
        return len(self)

    def extras(self) -> bytes:
        assert self.ledger is not None
        return pack_u64(self._packed_cursor()) + pack_u64(self.ledger.low) + pack_u64(self.ledger.high)

    def freeze(self) -> tuple[bytes, Callable[[dict[Any, Any]], Iterator[tuple[bytes, bytes | None]]], dict[Any, Any]]:
        assert self.ledger is not None
        prefix, records, _ = super().freeze()
        self.stirred = {}
        return prefix, records, self.ledger.freeze()

    def records(self, changes: dict[Any, Any]) -> Iterator[tuple[bytes, bytes | None]]:
        for index, raw in changes.items():
            yield numbered(SLOT, index), raw

    def landed(self) -> None:
        super().landed()
        assert self.ledger is not None
        self._freed(self.ledger.landed())

    def give_back(self) -> None:
        super().give_back()
        assert self.ledger is not None
        self._freed(self.ledger.give_back())

    def _freed(self, size: int) -> None:
        # The accounts are closed for what has died meanwhile.
        if size and self.linked:
            self.resized(-size)

    def verify(self) -> Iterator[str]:
        if self.ledger is None:
            if not self.items:
                yield "there is no element"
            return
        yield from self.ledger.verify("elements")
        prefix = keys.data_prefix(self.oid) + SLOT
        for raw, packed in self.db.store.engine.scan(prefix, keys.after(prefix)):
            if len(raw) != len(prefix) + 8 or raw[len(prefix) :] == pack_u64(NONE):
                yield f"{raw!r} has no index"
            unpack_value(packed)

    def copy_to(self, target: Value) -> None:
        if not isinstance(target, Array):
            raise TypeError("an array is copied to an array")
        for part in self.runs():
            target.assign(part)
        target.seek(self.next_index())

    def encoding(self) -> bytes:
        return b"sliced-array"

    def shed(self, count: int) -> bool:
        for _ in range(min(count, len(self.items))):
            self.items.popitem()
        return not self.items and (self.ledger is None or self.ledger.shed(count))
