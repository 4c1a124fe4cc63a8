"""Lists: a Python list while small, records when large (`list_elements.py`).

An insertion or removal near an end of a large list moves the few elements there are; farther in it makes the list sparse. LTRIM costs
the lesser of what goes and what stays; LINSERT, LREM and LPOS search one element after the other, as in Redis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from diskkv.format import LIST
from diskkv.format.meta import Meta, pack_items, unpack_items
from diskkv.format.ordered import unpack_u64
from diskkv.lib.numbers import parse_int
from diskkv.store.value import Value, data_type
from diskkv.types.list_elements import ELEMENT_WEIGHT, Elements
from diskkv.types.list_runs import LONG, MIDDLE, SPAN, STRIDE, run_of

if TYPE_CHECKING:
    from diskkv.store.database import Database

INLINE_COUNT = 128
INLINE_BYTES = 4096
# So near an end, elements are moved rather than the list made sparse.
NEAR = 128
# Elements looked at together in a search.
TOGETHER = 512
# Reads of up to so many elements leave them in memory.
KEEP = 5000

ITEM_WEIGHT = 48


@data_type
class List(Elements):
    """A list of byte strings. `items` is all of it when it is small (`oid` 0)."""

    __slots__ = ("items", "size")

    tag = LIST

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        self.items: list[bytes] = []
        self.size = 0

    def elements(self) -> list[bytes]:
        """All of it, for SORT."""
        return self.range(0, -1)

    def __len__(self) -> int:
        return self.count if self.oid else len(self.items)

    # -- the ends

    def push_left(self, values: Sequence[bytes]) -> int:
        """Put each value in turn before the first; the new length."""
        if self.oid:
            end = self.first - len(values) * STRIDE
            if len(values) > 1 or end // SPAN not in self.opened:
                self.open_runs(end, self.first - STRIDE)
            elif values and not self.sparse:
                self._push(end, values[0])
                self.first = end
                return self.count
        self.touch()
        if not self.oid:
            items = self.items
            if len(items) + len(values) <= INLINE_COUNT:
                items[:0] = values[::-1]
                return self._grown(values)
            self._promote()
        resident, touched, buckets = self.resident, self.touched, self.index() if self.sparse else None
        place = self.first
        size = 0
        for value in values:
            place -= STRIDE
            resident[place] = touched[place] = value
            size += len(value)
            if buckets is not None:
                buckets.push_left(place)
        self.first = place
        return self._pushed(values, size)

    def push_right(self, values: Sequence[bytes]) -> int:
        """Put each value in turn behind the last; the new length."""
        if self.oid:
            end = self.last + len(values) * STRIDE
            if len(values) > 1 or end // SPAN not in self.opened:
                self.open_runs(self.last + STRIDE, end)
            elif values and not self.sparse:
                self._push(end, values[0])
                self.last = end
                return self.count
        self.touch()
        if not self.oid:
            items = self.items
            if len(items) + len(values) <= INLINE_COUNT:
                items += values
                return self._grown(values)
            self._promote()
        resident, touched, buckets = self.resident, self.touched, self.index() if self.sparse else None
        place = self.last
        size = 0
        for value in values:
            place += STRIDE
            resident[place] = touched[place] = value
            size += len(value)
            if buckets is not None:
                buckets.push_right(place)
        self.last = place
        return self._pushed(values, size)

    def _push(self, place: int, value: bytes) -> None:
        """Put one value at a free place beyond an end, whose run is open."""
        self.touch()
        self.resident[place] = self.touched[place] = value
        self.count += 1
        size = len(value)
        if size > LONG:
            self.loose = True
        self.resized(size + ELEMENT_WEIGHT)
        if self.weight > self.spill_at:
            self.limit()

    def _grown(self, values: Sequence[bytes]) -> int:
        size = 0
        for value in values:
            size += len(value)
        self.size += size
        self.resized(size + ITEM_WEIGHT * len(values))
        if self.size > INLINE_BYTES:
            self._promote()
            return self.count
        return len(self.items)

    def _pushed(self, values: Sequence[bytes], size: int) -> int:
        if size > LONG and max(map(len, values)) > LONG:
            self.loose = True
        count = len(values)
        self.count += count
        self.resized(size + ELEMENT_WEIGHT * count)
        if self.sparse:
            self.weigh()
        if self.weight > self.spill_at:
            self.limit()
        return self.count

    def pop_left(self) -> bytes:
        """Take the first element."""
        if not self.oid:
            self.touch()
            return self._shrunk(self.items.pop(0))
        if self.sparse:
            return self._pop_sparse(self.first)
        place = self.first
        value = self._about_to_pop(place)
        self.first = place + STRIDE
        return self._popped(place, value)

    def pop_right(self) -> bytes:
        """Take the last element."""
        if not self.oid:
            self.touch()
            return self._shrunk(self.items.pop())
        if self.sparse:
            return self._pop_sparse(self.last)
        place = self.last
        value = self._about_to_pop(place)
        self.last = place - STRIDE
        return self._popped(place, value)

    def _shrunk(self, value: bytes) -> bytes:
        self.size -= len(value)
        self.resized(-ITEM_WEIGHT - len(value))
        if not self.items:
            self.vanish()
        return value

    def _about_to_pop(self, place: int) -> bytes:
        """Have all that popping an element needs, before anything is changed; the element."""
        if place // SPAN not in self.opened:
            self.open_run(run_of(place))
        value = self.resident.get(place)
        if value is None:
            value = self.read(place)
        self.touch()
        return value

    def _popped(self, place: int, value: bytes) -> bytes:
        if self.resident.pop(place, None) is not None:
            self.resized(-ELEMENT_WEIGHT - len(value))
        if place > self.high or place < self.low:
            del self.touched[place]
        else:
            self.touched[place] = None
        self.count -= 1
        if not self.count:
            self.vanish()
        return value

    def _pop_sparse(self, place: int) -> bytes:
        value = self._about_to_pop(place)
        if self.count == 1:
            self._vanish_large()
            return value
        buckets = self.index()
        buckets.discard(place)
        self.erase((place,), row=True)
        self.first, self.last = buckets.first(), buckets.last()
        self.weigh()
        return value

    def pops(self, count: int, *, left: bool) -> list[bytes]:
        """Take up to `count` elements from an end, the outermost first. REQUIRES: count > 0."""
        count = min(count, len(self))
        if self.oid:
            return self._take_left(count, touch=True) if left else self._take_right(count, touch=True)
        self.touch()
        if left:
            values = self.items[:count]
            del self.items[:count]
        else:
            values = self.items[-count:][::-1]
            del self.items[-count:]
        self.size -= (size := sum(map(len, values)))
        self.resized(-size - ITEM_WEIGHT * count)
        if not self.items:
            self.vanish()
        return values

    def _take_left(self, count: int, *, vanish: bool = True, touch: bool = False) -> list[bytes]:
        """Take elements from the left of a large list; when none are left it vanishes, unless told otherwise.

        `touch`: it was not touched yet. That comes after the reading, which may fail: all of a tick is undone for what fails halfway.
        """
        places = self.places(0, count)
        self.open_ends(places)
        values = self.values(places)
        if touch:
            self.touch()
        if count < self.count:
            if self.sparse:
                buckets = self.index()
                self.erase(places, row=True)
                buckets.cut_left(count)
                self.first = buckets.first()
                self.weigh()
            else:
                self.erase(places, row=True)
                self.first += count * STRIDE
        elif vanish:
            self._vanish_large()
        else:
            self._clear(places)
        return values

    def _take_right(self, count: int, *, vanish: bool = True, touch: bool = False) -> list[bytes]:
        """As `_take_left`, from the right; the last comes first."""
        places = self.places(self.count - count, self.count)
        self.open_ends(places)
        values = self.values(places)
        if touch:
            self.touch()
        values.reverse()
        if count < self.count:
            if self.sparse:
                buckets = self.index()
                self.erase(places, row=True)
                buckets.cut_right(count)
                self.last = buckets.last()
                self.weigh()
            else:
                self.erase(places, row=True)
                self.last -= count * STRIDE
        elif vanish:
            self._vanish_large()
        else:
            self._clear(places)
        return values

    def _vanish_large(self) -> None:
        self.count = 0
        self.vanish()

    # -- by index

    def at(self, index: int) -> bytes | None:
        """The element at an index, negative from the end; None beyond either."""
        length = self.count if self.oid else len(self.items)
        if index < 0:
            index += length
        if not 0 <= index < length:
            return None
        if not self.oid:
            return self.items[index]
        place = self.places(index, index + 1)[0] if self.sparse else self.first + index * STRIDE
        value = self.resident.get(place)
        return value if value is not None else self.values((place,), keep=True)[0]

    def range(self, start: int, stop: int) -> list[bytes]:
        """The elements from index `start` up to and with `stop`, both negative from the end and cut to what there is."""
        length = self.count if self.oid else len(self.items)
        if start < 0:
            start = max(0, start + length)
        if stop < 0:
            stop += length
        stop = min(stop + 1, length)
        if start >= stop:
            return []
        if not self.oid:
            return self.items[start:stop]
        if stop - start <= KEEP:
            return self.values(self.places(start, stop), keep=True)
        found: list[bytes] = []
        for at in range(start, stop, KEEP):
            found += self.values(self.places(at, min(at + KEEP, stop)))
        return found

    def set(self, index: int, value: bytes) -> bool:
        """Replace the element at an index; False when there is none."""
        length = len(self)
        if index < 0:
            index += length
        if not 0 <= index < length:
            return False
        if self.oid:
            self.open_run(run_of(self.places(index, index + 1)[0]))
        self.touch()
        if not self.oid:
            delta = len(value) - len(self.items[index])
            self.items[index] = value
            self.size += delta
            self.resized(delta)
            if self.size > INLINE_BYTES:
                self._promote()
            return True
        self.put(self.places(index, index + 1)[0], value)
        self.limit()
        return True

    def trim(self, start: int, stop: int) -> None:
        """Keep the elements from index `start` up to and with `stop` only."""
        length = len(self)
        if start < 0:
            start = max(0, start + length)
        if stop < 0:
            stop += length
        stop = min(stop + 1, length)
        if start >= stop:
            self.touch()
            self.vanish()
        elif stop - start == length:
            # Nothing goes, but those who watch the key are told, as by Redis.
            if self.db.heeded:
                self.db.signal(self.key)
        elif self.oid and stop - start < length - (stop - start):
            self._restart(self.range(start, stop - 1))
        else:
            if start:
                self.pops(start, left=True)
            if stop < length:
                self.pops(length - stop, left=False)

    def _restart(self, values: list[bytes]) -> None:
        """Become the few elements that are left of many: a new object; the old one is freed little by little."""
        expire = self.expire
        fresh = self.db.replace(self.key, List)
        fresh.push_right(values)
        if expire is not None:
            self.db.set_expire(fresh, expire)

    # -- by content

    def insert(self, pivot: bytes, value: bytes, *, after: bool) -> int:
        """Put a value before or after the first element that equals `pivot`; the new length, -1 when there is none."""
        index = next((at + values.index(pivot) for at, values in self.runs() if pivot in values), None)
        if index is None:
            return -1
        index += after
        self.touch()
        if not self.oid:
            self.items.insert(index, value)
            self._grown((value,))
            if len(self.items) > INLINE_COUNT:
                self._promote()
        elif index == 0:
            self.push_left((value,))
        elif index == self.count:
            self.push_right((value,))
        elif self.sparse or NEAR < index < self.count - NEAR:
            self.insert_between(index, value)
        elif index <= NEAR:
            moved = self._take_left(index)
            self.push_left([value, *reversed(moved)])
        else:
            moved = self._take_right(self.count - index)
            self.push_right([value, *reversed(moved)])
        return len(self)

    def remove(self, value: bytes, count: int) -> int:
        """Remove the elements that equal `value`: the first `count`, the last `-count`, or with 0 all; how many there were."""
        limit = abs(count) if count else len(self)
        found: list[int] = []
        for at, values in self.runs(reverse=count < 0):
            if value in values:
                hits = [at + offset for offset, element in enumerate(values) if element == value]
                found += hits if count >= 0 else reversed(hits)
                if len(found) >= limit:
                    del found[limit:]
                    break
        if not found:
            return 0
        if count < 0:
            found.reverse()
        self.touch()
        if not self.oid:
            gone = set(found)
            self.items = [item for index, item in enumerate(self.items) if index not in gone]
            self.size -= len(value) * len(found)
            self.resized(-(len(value) + ITEM_WEIGHT) * len(found))
            if not self.items:
                self.vanish()
        elif len(found) == self.count:
            self._vanish_large()
        else:
            self._remove_at(found)
        return len(found)

    def search(self, value: bytes, rank: int, count: int, limit: int) -> list[int]:
        """The indexes of the elements that equal `value`.

        From the `rank`th match on (negative: from the end backwards), at most `count` of them, comparing at most `limit` elements;
        0 means without bound for both.
        """
        found: list[int] = []
        skip = abs(rank) - 1
        left = limit or len(self)
        for at, values in self.runs(reverse=rank < 0):
            if left < len(values):
                cut = len(values) - left
                values = values[:left] if rank > 0 else values[cut:]
                at = at if rank > 0 else at + cut
            left -= len(values)
            if value in values:
                hits = [at + offset for offset, element in enumerate(values) if element == value]
                if rank < 0:
                    hits.reverse()
                found += hits[skip:]
                skip = max(0, skip - len(hits))
                if count and len(found) >= count:
                    return found[:count]
            if not left:
                break
        return found

    def runs(self, *, reverse: bool = False) -> Iterator[tuple[int, Sequence[bytes]]]:
        """All elements, some at a time, each with the index of its first; backwards when `reverse`, but each run forwards."""
        if not self.oid:
            yield 0, self.items
            return
        keep = self.count <= KEEP
        starts = range(0, self.count, TOGETHER)
        for at in reversed(starts) if reverse else starts:
            yield at, self.values(self.places(at, min(at + TOGETHER, self.count)), keep=keep)

    # -- large lists

    def _clear(self, places: Sequence[int]) -> None:
        """Forget all elements, but go on as a large list: others follow at once."""
        self.erase(places, row=True)
        if self.buckets is not None:
            raise AssertionError("a sparse list is never emptied to be filled again")
        self.first, self.last = 0, -STRIDE

    def _remove_at(self, indexes: list[int]) -> None:
        """Remove the elements at some indexes, ascending, not all. REQUIRES: large."""
        if not self.sparse:
            gone = set(indexes)
            if indexes[-1] < NEAR:
                moved = self._take_left(indexes[-1] + 1, vanish=False)
                self.push_left([value for index, value in enumerate(moved) if index not in gone][::-1])
                return
            if self.count - indexes[0] <= NEAR:
                end = self.count - 1
                moved = self._take_right(self.count - indexes[0], vanish=False)
                self.push_right([value for index, value in enumerate(moved) if end - index not in gone][::-1])
                return
        buckets = self.make_sparse()
        places: list[int] = []
        for at in range(0, len(indexes), TOGETHER):
            part = indexes[at : at + TOGETHER]
            if part[-1] - part[0] == len(part) - 1:
                places += buckets.slice(part[0], part[-1] + 1)
            else:
                for index in part:
                    bucket, offset = buckets.find(index)
                    places.append(buckets.known(bucket)[offset])
        self.erase(places, row=False)
        for place in places:
            buckets.discard(place)
        self.first, self.last = buckets.first(), buckets.last()
        self.weigh()

    def _promote(self) -> None:
        items, self.items, self.size = self.items, [], 0
        places = range(0, len(items) * STRIDE, STRIDE)
        self.resident = dict(zip(places, items, strict=True))
        self.count = len(items)
        self.loose = max(map(len, items), default=0) > LONG
        self.first, self.last = 0, (len(items) - 1) * STRIDE
        self.promote(dict(self.resident))
        self.spill_at = self.db.cache.share
        self.resized((ELEMENT_WEIGHT - ITEM_WEIGHT) * len(items))

    # -- what the store needs

    def load(self, meta: Meta) -> None:
        if meta.body is None:
            self.count = meta.length
            self.first = self.low = unpack_u64(meta.extras) - MIDDLE
            self.sparse = len(meta.extras) > 15
            self.loose = not len(meta.extras) % 8 or meta.extras[-1] != 0
            self.last = unpack_u64(meta.extras, 8) - MIDDLE if self.sparse else self.first + (self.count - 1) * STRIDE
            self.high = self.last
            self.spill_at = self.db.cache.share
            return
        self.items = unpack_items(meta.body)
        self.size = sum(map(len, self.items))
        self.weight += self.size + ITEM_WEIGHT * len(self.items)

    def body(self) -> bytes:
        return pack_items(self.items)

    def verify(self) -> Iterator[str]:
        if not len(self):
            yield "it is empty"
        yield from super().verify()

    def copy_to(self, target: Value) -> None:
        if not isinstance(target, List):
            raise TypeError("a list is copied to a list")
        for _, values in self.runs():
            target.push_right(values)

    def encoding(self) -> bytes:
        """`listpack` or `quicklist`, as Redis 7.2 would have a list that was filled with these elements."""
        most, most_bytes = self.db.store.shapes.list_limits()
        if len(self) > most or 2 * len(self) > most_bytes:
            return b"quicklist"
        size = 7
        for _, values in self.runs():
            size += sum(map(_listpack_size, values))
            if size > most_bytes:
                return b"quicklist"
        return b"listpack"


def _listpack_size(value: bytes) -> int:
    """What an element takes in a listpack."""
    length = len(value)
    if length <= 20:
        number = parse_int(value)
        if number is not None:
            for bits, size in ((13, 3), (16, 4), (24, 5), (32, 6)):
                if -(1 << bits - 1) <= number < 1 << bits - 1:
                    return 2 if 0 <= number < 128 else size
            return 10
    size = length + (1 if length < 64 else 2 if length < 4096 else 5)
    return size + (1 if size < 128 else 2 if size < 16384 else 3)
