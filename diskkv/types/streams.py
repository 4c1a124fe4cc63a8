"""Streams: entries in the order of their ids, in memory those at the end.

An id is one integer here, `ms << 64 | seq`. Both forms look alike in memory: `resident` holds the entries whose id is `tail` or higher,
all of them, `ids` their ids in order. A small stream, or one that has been in memory since its birth, has the tail 0. What is below
the tail is in the engine, but for what `touched` and `flying` say is deleted: new entries come at the end, so all that is pending and
not a deletion is in the tail. When a stream takes too much memory the tail moves up, a few entries at a time, over what has been written.

`low` and `high` bound the ids of what exists: everything removed at an end moves its bound, and no scan meets the deleted records
beyond. Records: ENTRY id -> packed msgpack of fields and values in turn. The header's extras, which are also the first item of an inline
body: last id, highest deleted id, how many were ever added, and `low`.

Unlike other collections a stream may be empty. Its consumer groups (`groups.py`) are read from their records when one is first asked for.
A stream that has ever had one has records; its extras have two more numbers, the next group's and how many groups there are. So has one
that remembers its producers' messages (`producers.py`), and behind these numbers what its memory is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from diskkv.errors import Damaged
from diskkv.format import ENTRY, STREAM, keys
from diskkv.format.groups import numbered, pack_id
from diskkv.format.meta import Meta, pack_items, pack_value, unpack_items, unpack_value
from diskkv.format.ordered import pack_u32, pack_u64, unpack_u32, unpack_u64
from diskkv.format.producers import HEAD_SIZE, pack_production, unpack_production
from diskkv.store.value import Recorded, Value, data_type
from diskkv.types.group_checks import verify_groups
from diskkv.types.groups import GROUP_WEIGHT, Consumer, Group, stored_groups
from diskkv.types.ledgers import ID_MAX, Ledger
from diskkv.types.producer_checks import verify_production
from diskkv.types.producers import Producer, Production

if TYPE_CHECKING:
    from diskkv.store.database import Database

INLINE_COUNT = 128
INLINE_BYTES = 4096

EXTRAS = 56
EXTRAS_WITH_GROUPS = 64
EXTRAS_WITH_PRODUCERS = EXTRAS_WITH_GROUPS + HEAD_SIZE

ENTRY_WEIGHT = 250
ITEM_WEIGHT = 41
# How many entries leave memory at a time: more than a command usually adds, and quickly done.
SPILL = 64
# How many entries are trimmed or copied together.
RUN = 512

Items = tuple[bytes, ...]
Entry = tuple[int, Items]


@data_type
class Stream(Recorded):
    """A log of entries, each a tuple of fields and values in turn under an id."""

    __slots__ = (
        "added", "aloft", "altered", "count", "group_count", "head", "high", "ids", "known_groups", "last", "low", "max_deleted",
        "next_group", "production", "resident", "size", "spill_at", "stirred", "tail", "told", "written",
    )  # fmt: skip

    tag = STREAM

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        self.count = 0
        self.last = 0
        self.max_deleted = 0
        self.added = 0
        self.low = 0
        self.high = 0
        self.resident: dict[int, Items] = {}
        # ids[head:] are those of the residents, and of some that were deleted since
        self.ids: list[int] = []
        self.head = 0
        self.tail = 0
        # bytes of content, of an inline stream
        self.size = 0
        # No id above it has ever been handed to a checkpoint: such an entry leaves no trace when it is deleted.
        self.written = -1
        self.spill_at = 0
        self.group_count = 0
        self.next_group = 1
        # None until they are read
        self.known_groups: dict[bytes, Group] | None = {}
        # The ledgers, and the groups and consumers, that were changed since the last freeze; and those that a checkpoint writes.
        self.stirred: dict[Ledger, None] = {}
        self.altered: dict[Group | Consumer | Producer, None] = {}
        self.aloft: list[Ledger] = []
        self.told: dict[Group | Consumer | Producer, None] = {}
        # what is remembered of its producers' messages; None until somebody asks for that
        self.production: Production | None = None

    def __len__(self) -> int:
        return self.count

    # -- changing

    def append(self, number: int, items: Items) -> None:
        """Add an entry. REQUIRES: its id is higher than `last`."""
        self.touch()
        ids = self.ids
        if ids and ids[-1] >= number:
            # XSETID has moved `last` back, below ids that were trimmed.
            while len(ids) > self.head and ids[-1] >= number:
                ids.pop()
        if not self.count or number < self.low:
            self.low = number
        if number < self.tail:
            self.tail = number
        ids.append(number)
        self.resident[number] = items
        self.last = self.high = number
        self.count += 1
        self.added += 1
        size = sum(map(len, items))
        self.resized(size + ITEM_WEIGHT * len(items) + ENTRY_WEIGHT)
        if self.oid:
            self.touched[number] = items
            if self.weight > self.spill_at:
                self._spill()
            return
        self.size += size
        if self.count > INLINE_COUNT or self.size > INLINE_BYTES:
            self._enlarge()

    def _enlarge(self) -> None:
        self.promote(dict(self.resident))
        self.spill_at = self.db.cache.share

    def delete(self, numbers: Sequence[int]) -> int:
        """Delete entries by their ids; how many there were."""
        deleted = 0
        for number in numbers:
            if not self.has(number):
                continue
            if not deleted:
                self.touch()
            self._forget(number)
            deleted += 1
            self.max_deleted = max(self.max_deleted, number)
        if deleted:
            self._tidy()
        return deleted

    def trim(self, count: int, below: int = ID_MAX + 1) -> int:
        """Delete up to `count` of the first entries, those with an id lower than `below` only; how many were."""
        deleted = 0
        while deleted < count:
            wanted = min(count - deleted, RUN)
            gone = [number for number in self.numbers(wanted) if number < below]
            if not gone:
                break
            if not deleted:
                self.touch()
            for number in gone:
                self._remove(number)
            self.low = min(gone[-1] + 1, ID_MAX)
            self._tidy()
            deleted += len(gone)
            if len(gone) < wanted:
                break
        return deleted

    def trim_with_references(self, count: int, below: int, *, acknowledged: bool) -> int:
        """As `trim`, and the entries are pending in no group any more; or when `acknowledged`, of those only that no group refers to."""
        groups = self.groups().values()
        start, stop = 0, below - 1
        if acknowledged:
            # What lies above has yet to be given to some group.
            stop = min(stop, min(group.last for group in groups))
        deleted = 0
        while deleted < count and (entries := self.range(start, stop, RUN)):
            start = entries[-1][0] + 1
            numbers = [number for number, _ in entries if not (acknowledged and any(group.holds(number) for group in groups))]
            gone = numbers[: count - deleted]
            if gone and not deleted:
                self.touch()
            for number in gone:
                self._forget(number)
            if gone:
                self._tidy()
                self.dereference(gone)
            deleted += len(gone)
        return deleted

    def _forget(self, number: int) -> None:
        """Remove an entry that exists, and move the bounds with it. `_tidy` is to be called when done."""
        self._remove(number)
        if number == self.low:
            self.low = min(number + 1, ID_MAX)
        if number == self.high:
            self.high -= 1

    def set_last(self, last: int, added: int | None, max_deleted: int) -> None:
        """XSETID: say what the last id was; and, unless None and 0, how many were added and the highest id deleted."""
        self.stir()
        self.last = last
        if added is not None:
            self.added = added
        if max_deleted:
            self.max_deleted = max_deleted

    def _remove(self, number: int) -> None:
        """Forget an entry that exists. The caller sees to the bounds, and calls `_tidy` when done."""
        items = self.resident.pop(number, None)
        if items is not None:
            size = sum(map(len, items))
            self.resized(-size - ITEM_WEIGHT * len(items) - ENTRY_WEIGHT)
            if not self.oid:
                self.size -= size
        if self.oid:
            if number > self.written:
                self.touched.pop(number, None)
            else:
                self.touched[number] = None
        self.count -= 1

    def _tidy(self) -> None:
        """Drop the ids of what was deleted: those in front, and the others when they are more than what is left."""
        ids, resident = self.ids, self.resident
        if not resident:
            self.ids, self.head = [], 0
            return
        head = self.head
        while ids[head] not in resident:
            head += 1
        self.head = head
        if len(ids) > 2 * len(resident) + 64:
            self.ids = [number for number in ids[head:] if number in resident]
            self.head = 0

    def spare(self) -> None:
        self._spill()

    def _spill(self) -> None:
        """Too much of the stream is in memory: move the tail up over some entries that the engine has."""
        ids, resident, head = self.ids, self.resident, self.head
        freed = 0
        # The last one stays, so that something is always known of where the tail is.
        for at in range(head, min(head + SPILL, len(ids) - 1)):
            number = ids[at]
            if number in self.touched or number in self.flying:
                break
            self.tail = number + 1
            self.head = at + 1
            items = resident.pop(number, None)
            if items is not None:
                freed += sum(map(len, items)) + ITEM_WEIGHT * len(items) + ENTRY_WEIGHT
        if freed:
            self.resized(-freed)
        self._tidy()

    # -- reading

    def first(self) -> int | None:
        """The lowest id; None when there is no entry."""
        found = self.numbers(1)
        return found[0] if found else None

    def top(self) -> int | None:
        """The highest id; None when there is no entry."""
        found = self.range(0, ID_MAX, 1, reverse=True)
        return found[0][0] if found else None

    def numbers(self, count: int) -> list[int]:
        """Up to `count` of the lowest ids."""
        found: list[int] = []
        if count > 0 and self.count:
            self._first_numbers(count, found)
            # Known once more: what lies below needs no looking at again. On disk `low` may stay behind.
            self.low = found[0]
        return found

    def _first_numbers(self, count: int, found: list[int]) -> None:
        if self.low < self.tail:
            touched, flying = self.touched, self.flying
            for raw in self.db.store.engine.scan_keys(*self._bounds(self.low, self.tail - 1)):
                number = int.from_bytes(raw[10:], "big")
                if number in touched or (number in flying and flying[number] is None):
                    # Below the tail all that is pending is deletions.
                    continue
                found.append(number)
                if len(found) == count:
                    return
        resident, ids = self.resident, self.ids
        for at in range(self.head, len(ids)):
            if ids[at] in resident:
                found.append(ids[at])
                if len(found) == count:
                    return

    def range(self, start: int, stop: int, count: int = 0, *, reverse: bool = False) -> list[Entry]:
        """The entries with start <= id <= stop, descending when `reverse`; the first `count` of these, 0 for all."""
        start, stop = max(start, self.low), min(stop, self.high)
        if start > stop or not self.count:
            return []
        near, far = (self._in_tail, self._in_engine) if reverse else (self._in_engine, self._in_tail)
        found = near(start, stop, count, reverse)
        if not count:
            found += far(start, stop, 0, reverse)
        elif len(found) < count:
            found += far(start, stop, count - len(found), reverse)
        # The bounds are known once more, as in `numbers`.
        if found:
            if start == self.low and not reverse:
                self.low = found[0][0]
            elif stop == self.high and reverse:
                self.high = found[0][0]
        return found

    def _in_tail(self, start: int, stop: int, count: int, reverse: bool) -> list[Entry]:
        ids, resident = self.ids, self.resident
        if not resident:
            return []
        low = bisect_left(ids, start, self.head)
        high = bisect_right(ids, stop, low)
        found: list[Entry] = []
        for at in range(high - 1, low - 1, -1) if reverse else range(low, high):
            items = resident.get(ids[at])
            if items is not None:
                found.append((ids[at], items))
                if len(found) == count:
                    break
        return found

    def _in_engine(self, start: int, stop: int, count: int, reverse: bool) -> list[Entry]:
        stop = min(stop, self.tail - 1)
        if start > stop:
            return []
        touched, flying = self.touched, self.flying
        found: list[Entry] = []
        for raw, value in self.db.store.engine.scan(*self._bounds(start, stop), reverse=reverse):
            number = int.from_bytes(raw[10:], "big")
            if number in touched or (number in flying and flying[number] is None):
                continue
            found.append((number, tuple(unpack_items(unpack_value(value)))))
            if len(found) == count:
                break
        return found

    def _bounds(self, start: int, stop: int) -> tuple[bytes, bytes]:
        """Where a scan of the records with start <= id <= stop begins and ends."""
        prefix = keys.data_prefix(self.oid) + ENTRY
        return prefix + start.to_bytes(16, "big"), prefix + stop.to_bytes(16, "big") + b"\0"

    def entry(self, number: int) -> Items | None:
        """The fields and values of the entry with this id, or None when there is none."""
        items = self.resident.get(number)
        if items is not None:
            return items
        raw = self._record(number)
        return None if raw is None else tuple(unpack_items(unpack_value(raw)))

    def has(self, number: int) -> bool:
        """Whether there is an entry with this id."""
        return number in self.resident or self._record(number) is not None

    def _record(self, number: int) -> bytes | None:
        """What the engine has of an entry that is not resident."""
        if not self.low <= number <= self.high or number >= self.tail:
            return None
        if number in self.touched or (number in self.flying and self.flying[number] is None):
            return None
        return self.db.store.engine.get(keys.data_prefix(self.oid) + ENTRY + pack_id(number))

    # -- consumer groups

    def groups(self) -> dict[bytes, Group]:
        """The consumer groups by name."""
        found = self.known_groups
        if found is None:
            found = self.known_groups = {group.name: group for group in stored_groups(self).values()}
            for group in found.values():
                for consumer in list(group.stored_consumers()):
                    group.enter(consumer)
            self.weigh(sum(GROUP_WEIGHT + len(name) for name in found))
        return found

    def weigh(self, delta: int) -> None:
        """As `resized`, also for a value that is only being read (an export's), of which no accounts are kept."""
        if self.linked:
            self.resized(delta)
        else:
            self.weight += delta

    def create_group(self, name: bytes, last: int, read: int) -> Group:
        """A new consumer group, which has been given what lies up to `last`. REQUIRES: there is none of that name."""
        groups = self.groups()
        self.stir()
        if not self.oid:
            self._enlarge()
        group = groups[name] = Group(self, self.next_group, name, last, read)
        self.next_group += 1
        self.group_count += 1
        self.resized(GROUP_WEIGHT + len(name))
        self.altered[group] = None
        return group

    def destroy_group(self, group: Group) -> None:
        """Forget a group, at once however much is pending in it."""
        self.stir()
        group.forget()
        del self.groups()[group.name]
        self.group_count -= 1
        self.altered[group] = None
        self.db.store.dead.append(keys.garbage_group(self.oid, group.number))

    # -- producers

    def remember(self, seconds: int, most: int) -> Production:
        """Remember producers' messages for so long, so many of each, from now on, and none of those that are remembered."""
        self.stir()
        if not self.oid:
            self._enlarge()
        old = self.production
        self.production = production = Production(self, self.next_group, seconds, most)
        self.next_group += 1
        if old is not None:
            production.added, production.duplicates = old.added, old.duplicates
            old.forget()
            self.db.store.dead.append(keys.garbage_group(self.oid, old.number))
        return production

    def stir(self) -> None:
        """As `touch`, for what changes no entry (consumer groups, XSETID): those who WATCH the key are not told, as in Redis."""
        self.note()
        self.db.store.changes += 1

    def note(self) -> None:
        """Something that is no change to anyone is to be written some time."""
        store = self.db.store
        if self.stamp != store.stamp:
            store.stamp_value(self)

    def referenced(self, number: int) -> bool:
        """Whether an entry is pending in some group, or some group has not yet been given it."""
        return any(group.last < number or group.holds(number) for group in self.groups().values())

    def dereference(self, numbers: Sequence[int]) -> int:
        """Entries are pending in no group any more; in how many they were."""
        return sum(group.acknowledge(numbers) for group in self.groups().values()) if self.group_count else 0

    # -- what the store needs

    def load(self, meta: Meta) -> None:
        if meta.body is None:
            self._read_extras(meta.extras)
            self.count = meta.length
            self.known_groups = None if self.group_count else {}
            self.tail = self.last + 1
            self.written = self.high = self.last
            self.spill_at = self.db.cache.share
            return
        items = unpack_items(meta.body)
        self._read_extras(items[0])
        for at in range(1, len(items), 2):
            number, entry = int.from_bytes(items[at], "big"), tuple(items[at + 1])
            self.ids.append(number)
            self.resident[number] = entry
            self.size += sum(map(len, entry))
            self.weight += ITEM_WEIGHT * len(entry) + ENTRY_WEIGHT
        self.weight += self.size
        self.count = len(self.ids)
        self.high = self.last

    def body(self) -> bytes:
        items: list[Any] = [self.extras()]
        for number, entry in self.resident.items():
            items += (number.to_bytes(16, "big"), entry)
        return pack_items(items)

    def length(self) -> int:
        return self.count

    def extras(self) -> bytes:
        parts = [pack_id(self.last), pack_id(self.max_deleted), pack_u64(self.added), pack_id(self.low)]
        if self.next_group > 1:
            parts += pack_u32(self.next_group), pack_u32(self.group_count)
        if self.production is not None:
            parts.append(pack_production(self.production.header()))
        return b"".join(parts)

    def _read_extras(self, raw: bytes) -> None:
        if len(raw) not in (EXTRAS, EXTRAS_WITH_GROUPS, EXTRAS_WITH_PRODUCERS):
            raise Damaged(f"stream {self.key!r} has {len(raw)} bytes of extras")
        self.last = int.from_bytes(raw[:16], "big")
        self.max_deleted = int.from_bytes(raw[16:32], "big")
        self.added = unpack_u64(raw, 32)
        self.low = int.from_bytes(raw[40:56], "big")
        if len(raw) >= EXTRAS_WITH_GROUPS:
            self.next_group, self.group_count = unpack_u32(raw, 56), unpack_u32(raw, 60)
        if len(raw) == EXTRAS_WITH_PRODUCERS:
            self.production = Production.restored(self, unpack_production(raw[EXTRAS_WITH_GROUPS:]))

    def freeze(self) -> tuple[bytes, Callable[[dict[Any, Any]], Iterator[tuple[bytes, bytes | None]]], dict[Any, Any]]:
        """The changes by what their subs begin with: entries and ledgers by ids, and whole records under the empty one."""
        self.written = max(self.written, self.high, self.last)
        prefix, records, entries = super().freeze()
        changes: dict[bytes, dict[Any, Any]] = {ENTRY: entries}
        if self.altered:
            self.aloft, self.stirred = list(self.stirred), {}
            self.told, self.altered = self.altered, {}
            for ledger in self.aloft:
                changes[ledger.sub] = ledger.freeze()
            changes[b""] = {sub: raw if item.lives() else None for item in self.told for sub, raw in (item.record(),)}
        return prefix, records, changes

    def records(self, changes: dict[Any, Any]) -> Iterator[tuple[bytes, bytes | None]]:
        for start, part in changes.items():
            if start == ENTRY:
                for number, items in part.items():
                    yield ENTRY + pack_id(number), None if items is None else pack_value(pack_items(items))
            elif start:
                for number, raw in part.items():
                    yield numbered(start, number), raw
            else:
                yield from part.items()

    def landed(self) -> None:
        super().landed()
        if self.told:
            self._settle(sum(ledger.landed() for ledger in self.aloft))

    def give_back(self) -> None:
        super().give_back()
        if self.told:
            self.stirred = dict.fromkeys(ledger for ledger in (*self.aloft, *self.stirred) if not ledger.dead)
            self.altered = {**self.told, **self.altered}
            self._settle(sum(ledger.give_back() for ledger in self.aloft))

    def _settle(self, freed: int) -> None:
        """A checkpoint is over, and memory is free."""
        self.aloft, self.told = [], {}
        # The accounts are closed for what has died meanwhile.
        if freed and self.linked:
            self.resized(-freed)

    def verify(self) -> Iterator[str]:
        count, before = 0, -1
        for number, items in self._stored():
            count += 1
            if number <= before:
                yield f"the entry {number:#x} follows {before:#x}"
            if number < self.low or number > self.last:
                yield f"the entry {number:#x} is not within {self.low:#x} and {self.last:#x}"
            if not items or len(items) % 2:
                yield f"the entry {number:#x} has {len(items)} fields and values"
            before = number
        if count != self.count:
            yield f"there are {count} entries, the header says {self.count}"
        if self.oid:
            yield from verify_groups(self)
            yield from verify_production(self)

    def _stored(self) -> Iterator[tuple[int, Sequence[bytes]]]:
        if not self.oid:
            yield from zip(self.ids, map(self.resident.__getitem__, self.ids), strict=True)
            return
        prefix = keys.data_prefix(self.oid) + ENTRY
        for raw, value in self.db.store.engine.scan(prefix, keys.after(prefix)):
            if len(raw) != len(prefix) + 16:
                raise Damaged(f"{raw!r} has no id")
            yield int.from_bytes(raw[len(prefix) :], "big"), unpack_items(unpack_value(value))

    def copy_to(self, target: Value) -> None:
        if not isinstance(target, Stream):
            raise TypeError("a stream is copied to a stream")
        start = 0
        while entries := self.range(start, ID_MAX, RUN):
            for number, items in entries:
                target.append(number, items)
            start = entries[-1][0] + 1
        target.set_last(self.last, self.added, self.max_deleted)
        if self.group_count:
            for group in self.groups().values():
                group.copy_to(target)
        if self.production is not None:
            self.production.copy_to(target, self.db.store.now)

    def encoding(self) -> bytes:
        return b"stream"

    def shed(self, count: int) -> bool:
        for pieces in (self.resident, self.touched) if self.oid else (self.resident,):
            for _ in range(min(count, len(pieces))):
                pieces.popitem()
            if pieces:
                return False
            pieces.clear()  # popping leaves a dict its table
        del self.ids[-count:]
        owners: list[Group | Production] = list((self.known_groups or {}).values())
        if self.production is not None:
            owners.append(self.production)
        return all(ledger.shed(count) for owner in owners for ledger in owner.ledgers()) and not self.ids
