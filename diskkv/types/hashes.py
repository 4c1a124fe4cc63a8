"""Hashes: a map from field to value, both bytes.

The header of a large hash has one more byte, its flags.

Fields that expire. A hash becomes a `TimedHash` when its first field is given a time, and a `Hash` again some time after its last one has
lost it; it is the same object, which changes its class. So all the hashes of which no field expires, nearly all of them, ask nothing about
it. A look-up of a TimedHash has those fields expire first whose time has come (`Database.find`), so nobody ever meets one that has, and
counts are exact. The keeper comes by at each field's millisecond and takes a few at a time, so a look-up finds little to do, unless very
many fields of one hash have the same time; if that is all its fields, the key goes at once, whatever its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from diskkv.format import DEADLINE, HASH, MEMBER, keys
from diskkv.format.meta import Meta, pack_items, pack_mortal, pack_value, unpack_mortal, unpack_value
from diskkv.format.ordered import pack_u64, unpack_u64
from diskkv.store.value import Value, data_type
from diskkv.types.deadlines import COST, FAR, Deadlines
from diskkv.types.members import SMALL_COUNT, SUNK, Members

if TYPE_CHECKING:
    from diskkv.store.database import Database

# Fields of it have expired, or were to.
TIMED = 2

Records = Callable[[dict[Any, Any]], Iterator[tuple[bytes, "bytes | None"]]]


@data_type
class Hash(Members):
    """A map of fields."""

    # `deadlines` is there in a TimedHash only.
    __slots__ = ("deadlines",)

    deadlines: Deadlines

    tag = HASH
    # Measured on 100,000 short fields: dict entry 87 bytes with its spare room, two bytes objects 33 each, rounded up to 16.
    ENTRY = 160

    # -- what commands use

    def set(self, pairs: Sequence[bytes]) -> int:
        """Give fields values (field, value, field, value ...); how many fields are new."""
        if not self.complete:
            # What can't be read shows before anything is changed: all of a tick is undone for what fails halfway.
            for field in pairs[::2]:
                self.get(field)
        self.touch()
        if len(pairs) == 2:
            return 1 if self.put(pairs[0], pairs[1]) is None else 0
        if len(pairs) > 2 * self.db.store.shapes.hash_entries:
            # Redis does not look whether fields are named twice.
            self.flags |= SUNK
        added = 0
        for at in range(0, len(pairs), 2):
            if self.put(pairs[at], pairs[at + 1]) is None:
                added += 1
        return added

    def update(self, field: bytes, data: bytes) -> None:
        """Give a field another value; when it expires does not change."""
        self.touch()
        self.put(field, data)

    def expiry(self, field: bytes) -> int | None:
        """When a field expires, in ms; None for never, or when there is no such field."""
        return None

    def expiries(self) -> Iterable[tuple[bytes, int]]:
        """All fields that expire, with their times in ms. REQUIRES: nothing is changed meanwhile."""
        return ()

    def timed_items(self) -> Iterable[tuple[bytes, bytes, int | None]]:
        """All fields with values and times, as a stream if they are many. REQUIRES: nothing is changed meanwhile."""
        return ((field, data, None) for field, data in self.items())

    def set_expiry(self, field: bytes, when: int | None) -> None:
        """Have a field expire at `when` (ms), or never. REQUIRES: the field is there; `touch` has been called by this command."""
        if when is not None:
            self.deadlines = Deadlines()
            self.flags |= TIMED
            self.__class__ = TimedHash
            self.set_expiry(field, when)

    # -- what the store needs

    def pack(self, value: Any) -> bytes:
        return pack_value(value)

    def unpack(self, raw: bytes) -> bytes:
        return unpack_value(raw)

    def load(self, meta: Meta) -> None:
        if meta.due is not None:
            self.__class__ = TimedHash
            self.deadlines = Deadlines(meta.due)
            if meta.body is None:
                self.deadlines = Deadlines(meta.due, unpack_u64(meta.extras, 1), unpack_u64(meta.extras, 9))
        if meta.extras:
            self.flags = meta.extras[0]
        super().load(meta)

    def fill(self, items: list[Any]) -> None:
        self.resident = dict(zip(items[::2], items[1::2], strict=True))
        self.weight += self.ENTRY * len(self.resident) + sum(map(len, items))

    def body(self) -> bytes:
        items = chain.from_iterable(self.resident.items())
        return pack_items([self.flags, *items] if self.flags else list(items))

    def extras(self) -> bytes:
        if len(self) > self.db.store.shapes.hash_entries:
            self.flags |= SUNK
        return bytes((self.flags,))

    def enlarge(self) -> None:
        super().enlarge()
        if len(self.resident) > self.db.store.shapes.hash_entries:
            self.flags |= SUNK

    def _taken(self, member: bytes, value: Any, count: int) -> None:
        shapes = self.db.store.shapes
        if count > shapes.hash_entries or len(value) > shapes.hash_value or len(member) > shapes.hash_value:
            self.flags |= SUNK

    def encoding(self) -> bytes:
        shapes = self.db.store.shapes
        if self.flags & SUNK or len(self) > shapes.hash_entries:
            return b"hashtable"
        if any(len(field) > shapes.hash_value or len(value) > shapes.hash_value for field, value in self.items()):
            return b"hashtable"
        return b"listpackex" if self.flags & TIMED else b"listpack"


class TimedHash(Hash):
    """A map of fields of which some expire, or did a moment ago."""

    __slots__ = ()

    timed = True

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        self.deadlines = Deadlines()
        self.flags = TIMED

    # -- fields

    def set(self, pairs: Sequence[bytes]) -> int:
        self.touch()
        added = 0
        for at in range(0, len(pairs), 2):
            if self.put(pairs[at], pairs[at + 1]) is None:
                added += 1
            elif pairs[at] in self.deadlines.times:
                self.set_expiry(pairs[at], None)
        return added

    def put(self, member: bytes, value: Any) -> Any:
        old = super().put(member, value)
        if self.oid:
            when = self.deadlines.times.get(member)
            if when is not None:
                self.touched[member] = (value, when)
        return old

    def drop(self, member: bytes) -> Any:
        old = super().drop(member)
        when = self.deadlines.times.pop(member, None)
        if when is not None:
            self.resized(-COST)
            self._changed(member, when, None)
        return old

    def expiry(self, field: bytes) -> int | None:
        # Who is resident has its time in memory; looking it up makes it so.
        return None if self.get(field) is None else self.deadlines.times.get(field)

    def expiries(self) -> Iterable[tuple[bytes, int]]:
        deadlines = self.deadlines
        if self.complete:
            return deadlines.times.items()
        stored = deadlines.stored(self.db, self.oid)
        return ((field, when) for entries in (stored, deadlines.newer()) for when, field in entries)

    def timed_items(self) -> Iterable[tuple[bytes, bytes, int | None]]:
        times = self.deadlines.times
        if self.complete:
            return ((field, data, times.get(field)) for field, data in self.resident.items())
        return self._streamed()

    def _streamed(self) -> Iterator[tuple[bytes, bytes, int | None]]:
        times, resident = self.deadlines.times, self.resident
        newer = {**self.flying, **self.touched}
        prefix = keys.data_prefix(self.oid) + MEMBER
        for raw_key, raw in self.db.store.engine.scan(prefix, keys.after(prefix)):
            field = raw_key[len(prefix) + 4 :]
            if field not in newer:
                data, when = unpack_mortal(raw)
                yield field, data, when
        for field in newer:
            value = resident.get(field)
            if value is not None:
                yield field, value, times.get(field)

    def set_expiry(self, field: bytes, when: int | None) -> None:
        old = self.expiry(field)
        if old == when:
            return
        times = self.deadlines.times
        if when is None:
            del times[field]
            self.resized(-COST)
        else:
            times[field] = when
            if old is None:
                self.resized(COST)
        if self.oid:
            value = self.resident[field]
            self.touched[field] = value if when is None else (value, when)
        self._changed(field, old, when)
        if when is not None and self.oid and self.weight > self.ceiling:
            self._spill()

    def _changed(self, field: bytes, old: int | None, new: int | None) -> None:
        """`times` has another time for a field, or none: everything else that knows of it follows."""
        deadlines = self.deadlines
        if self.oid:
            deadlines.change(field, old, new)
        if new is not None and new < deadlines.due:
            deadlines.due = new
            self.db.store.expiry.add(new, self.db, self.key)
        elif old == deadlines.due and not self.oid:
            self._look_ahead()

    def _look_ahead(self) -> None:
        """Find out what is due next."""
        deadlines = self.deadlines
        if self.oid:
            entry = deadlines.next(self.db, self.oid)
            following = entry[0] if entry is not None else FAR
        else:
            following = min(deadlines.times.values(), default=FAR)
        if following != deadlines.due:
            deadlines.due = following
            if following < FAR:
                self.db.store.expiry.add(following, self.db, self.key)

    # -- expiring

    def due(self) -> int | None:
        deadlines = self.deadlines
        # With no field that expires, `due` may still say when one would have.
        return deadlines.due if deadlines.due < FAR and self._expiring() else None

    def _expiring(self) -> int:
        return self.deadlines.count if self.oid else len(self.deadlines.times)

    def over(self, now: int) -> bool:
        deadlines = self.deadlines
        if self._expiring() < len(self) or deadlines.due > now:
            return False
        return (deadlines.last if self.oid else max(deadlines.times.values())) <= now

    def fade(self, now: int, limit: int | None) -> tuple[int, list[tuple[bytes, ...]]]:
        if self.over(now):
            # However many they are.
            count = len(self)
            self.vanish()
            return count, [(b"DEL", self.key)]
        fields = self._due_fields(now, limit)
        if fields:
            self.touch()
            for field, when in fields.items():
                if self.complete or self.resident.get(field) is not None:
                    self.drop(field)
                else:
                    self._drop_unseen(field, when)
            if self.oid and self.weight > self.ceiling:
                self._spill()
        else:
            # What was due is no longer: not a change to anybody, but the expiry record has to go.
            store = self.db.store
            self.memo = None
            if self.stamp != store.stamp:
                store.stamp_value(self)
        if not len(self):
            self.vanish()
            return len(fields), [(b"DEL", self.key)]
        self._look_ahead()
        names = list(fields)
        return len(names), [(b"HDEL", self.key, *names[at : at + 1000]) for at in range(0, len(names), 1000)]

    def _drop_unseen(self, field: bytes, when: int) -> None:
        """Remove a field that is in the engine only, without reading what it holds."""
        self.resident[field] = self.touched[field] = None
        self.size -= 1
        self.resized(self.ENTRY + len(field))
        self.deadlines.change(field, when, None)

    def _due_fields(self, now: int, limit: int | None) -> dict[bytes, int]:
        """The fields, with their times, that are to expire."""
        deadlines = self.deadlines
        if not self.oid:
            due = ((field, when) for field, when in deadlines.times.items() if when <= now)
            return dict(islice(due, limit))
        found: dict[bytes, int] = {}
        engine, prefix = self.db.store.engine, keys.data_prefix(self.oid) + DEADLINE
        while limit is None or len(found) < limit:
            entry = deadlines.next(self.db, self.oid)
            if entry is None or entry[0] > now:
                break
            when, field = deadlines.pop()
            # Who is not resident has not been changed since the engine was written: there the entry is, if it is still true.
            if self.complete or field in self.resident:
                if deadlines.times.get(field) == when:
                    found[field] = when
            elif engine.get(prefix + pack_u64(when) + field) is not None:
                found[field] = when
        return found

    # -- memory and engine

    def admit(self, member: bytes, raw: bytes) -> Any:
        value, when = unpack_mortal(raw)
        if when is not None:
            self.deadlines.times[member] = when
            self.resized(COST)
        return value

    def unpack(self, raw: bytes) -> bytes:
        return unpack_mortal(raw)[0]

    def enlarge(self) -> None:
        super().enlarge()
        self.deadlines.enlarge()
        for field, when in self.deadlines.times.items():
            self.touched[field] = (self.resident[field], when)

    def _grown(self) -> None:
        if self.oid:
            if self.weight > self.ceiling:
                self._spill()
        elif (
            len(self.resident) > SMALL_COUNT
            or self.weight - self.ENTRY * len(self.resident) - COST * len(self.deadlines.times) > self.limit
        ):
            self.enlarge()

    def _gather(self) -> None:
        super()._gather()
        if self.complete:
            deadlines = self.deadlines
            known = len(deadlines.times)
            self.complete = False
            deadlines.times = dict(self.expiries())
            self.complete = True
            self.resized(COST * (len(deadlines.times) - known))

    def _pending(self) -> dict[bytes, Any]:
        return {field: value[0] if value.__class__ is tuple else value for field, value in super()._pending().items()}

    def _hold(self, resident: dict[bytes, Any], weight: int) -> None:
        # Who was resident and still is keeps its time; `_gather` fills in the others'.
        times = self.deadlines.times
        self.deadlines.times = {field: times[field] for field in resident if field in times}
        remains = self.__class__(self.db, self.key)
        remains.deadlines.times = times
        self.db.store.free_later(remains, COST * len(times))
        super()._hold(resident, weight + COST * len(self.deadlines.times))

    # -- what the store needs

    def fill(self, items: list[Any]) -> None:
        times = items.pop(0)
        super().fill(items)
        pairs = zip(self.resident, times, strict=True)
        self.deadlines.times = {field: when for field, when in pairs if when is not None}
        self.weight += COST * len(self.deadlines.times)

    def body(self) -> bytes:
        times = self.deadlines.times
        if not times:
            return super().body()
        items = chain.from_iterable(self.resident.items())
        return pack_items([self.flags, [times.get(field) for field in self.resident], *items])

    def extras(self) -> bytes:
        deadlines = self.deadlines
        if not deadlines.count:
            return super().extras()
        return super().extras() + pack_u64(deadlines.count) + pack_u64(deadlines.last)

    def freeze(self) -> tuple[bytes, Records, dict[Any, Any]]:
        marks = self.deadlines.freeze()
        prefix, _, members = super().freeze()
        return prefix, self.records, {MEMBER: members, DEADLINE: marks}

    def landed(self) -> None:
        self.deadlines.flying = {}
        super().landed()
        if not self.deadlines.count and not self.deadlines.marks and self.linked:
            self.__class__ = Hash  # type: ignore[assignment]  # mypy allows the way down only

    def records(self, changes: dict[Any, Any]) -> Iterator[tuple[bytes, bytes | None]]:
        hash32 = self.db.store.hash32
        for member, value in changes[MEMBER].items():
            sub = MEMBER + hash32(member) + member
            if value is None:
                yield sub, None
            else:
                yield sub, pack_mortal(*value) if value.__class__ is tuple else pack_value(value)
        for (when, field), there in changes[DEADLINE].items():
            yield DEADLINE + pack_u64(when) + field, b"" if there else None

    def copy_to(self, target: Value) -> None:
        super().copy_to(target)
        if isinstance(target, TimedHash):
            for field, when in self.expiries():
                target.set_expiry(field, when)

    def shed(self, count: int) -> bool:
        return self.deadlines.shed(count) and super().shed(count)

    def verify(self) -> Iterator[str]:
        yield from super().verify()
        deadlines = self.deadlines
        if self.complete:
            first = min(deadlines.times.values(), default=0)
            if first != deadlines.due:
                yield f"its first field expires at {first}, the record says {deadlines.due}"
            return
        engine, hash32 = self.db.store.engine, self.db.store.hash32
        prefix = keys.data_prefix(self.oid)
        members = prefix + MEMBER
        found = 0
        for raw_key, raw in engine.scan(members, keys.after(members)):
            field, when = raw_key[len(members) + 4 :], unpack_mortal(raw)[1]
            if when is not None and engine.get(prefix + DEADLINE + pack_u64(when) + field) is None:
                yield f"field {field!r} expires at {when}, but no deadline record says so"
        for when, field in deadlines.stored(self.db, self.oid):
            found += 1
            record = engine.get(members + hash32(field) + field)
            if record is None or unpack_mortal(record)[1] != when:
                yield f"a deadline record for {when}, unknown to field {field!r}"
            if not deadlines.due <= when <= deadlines.last:
                yield f"field {field!r} expires at {when}, not from {deadlines.due} to {deadlines.last}"
        if found != deadlines.count:
            yield f"{found} fields expire, the header says {deadlines.count}"
