"""Members: the common ground of hashes, sets and sorted sets, a map from member to value.

`resident` maps members to values in memory. While `complete` is true it holds exactly the members and nothing else: always in the
inline form, and in a large object from its birth until it is evicted or `_spill`ed. A large object that is not complete knows its
exact `size`, and of `resident` this holds: a value is the truth, None means known to be absent, and every member in `touched` or
`flying` is in it. So a look-up is `resident` and then, unless complete, the engine; touched and flying matter to scans alone.

On disk a large object's members are records `MEMBER hash32(member) member`, hence in hash order, and that order is the one of
`cursor_scan` and the space in which `_window` throws its dart. A walk merges the engine's records with the sorted subs of what is
touched or flying; these are kept, and grow, until a checkpoint freezes or lands (`overlays.py`).

Random members. `Picks` is a list of all members, made when a large complete object is first asked for a random one; from then on
additions and removals keep it right at O(1) each, so draws are exactly uniform. An incomplete object answers from a window of
neighbours in hash order at a random place, which nobody without the seed can tell from chance; `pop` uses a window up.

What Redis would keep the object in (OBJECT ENCODING) is judged from what is in it, but Redis never goes back to a form for smaller ones. So
whoever takes something out asks first whether it was this that was too much, and `flags` remembers it. Putting something in asks nothing.

What a type adds: `ENTRY`, `weigh`, `pack` and `unpack` (below), `body` and the inline part of `load`. One that keeps other records
beside the members (sorted sets) extends `put`, `drop` and `records`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from diskkv.format import MEMBER, keys
from diskkv.format.meta import Meta, unpack_items
from diskkv.format.ordered import pack_u32, unpack_u32
from diskkv.store.readahead import look_ups
from diskkv.store.value import Recorded, Value, mostly_clean
from diskkv.types.overlays import Overlay

if TYPE_CHECKING:
    from random import Random

    from diskkv.store.database import Database

# An object becomes large when it has more members than this, or more bytes in them.
SMALL_COUNT = 128
SMALL_BYTES = 4096
# A whole read makes an object of up to so many members complete, if it takes no more than an eighth of the budget.
GATHER_COUNT = 5000
# How many neighbours a random member of an incomplete object is chosen from, and how many `pop` takes at a time.
WINDOW = 64
POP_WINDOW = 256
# From one wanted member in so many on, reading all of an incomplete object is cheaper than a window for each.
READ_ALL_FROM = 64
CURSOR_END = 1 << 32
# In `flags`: Redis would keep it in a hashtable or a skiplist from now on, whatever is still taken out of it.
SUNK = 1


class Weigher(Protocol):
    """Tells the bytes of a value."""

    def __call__(self, value: Any, /) -> int: ...


class Members(Recorded):
    """A map from member to value; see the module's docstring. `len` is exact and O(1)."""

    __slots__ = ("ceiling", "complete", "flags", "limit", "overlay", "picks", "resident", "size")

    # What a resident member costs besides its bytes, and a value's bytes. (A builtin or a staticmethod: it must not bind.)
    ENTRY: ClassVar[int] = 100
    weigh: ClassVar[Weigher] = len

    resident: dict[bytes, Any]

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        self.resident = {}
        self.complete = True
        self.flags = 0
        self.size = 0
        self.limit = self.weight + SMALL_BYTES
        self.ceiling = 0
        self.picks: Picks | None = None
        self.overlay: Overlay | None = None

    # -- for each type to define

    def pack(self, value: Any) -> bytes:
        """A value as its record holds it. Runs in another thread."""
        raise NotImplementedError

    def unpack(self, raw: bytes) -> Any:
        """The value that `pack` packed; never None."""
        raise NotImplementedError

    def fill(self, items: list[Any]) -> None:
        """Fill `resident` and add to `weight` from the entries of the inline form."""
        raise NotImplementedError

    def weigh_all(self, members: dict[bytes, Any]) -> int:
        """The bytes of all values there, of which any may be None."""
        return sum(map(len, filter(None, members.values())))

    # -- looking at members

    def __len__(self) -> int:
        return len(self.resident) if self.complete else self.size

    def get(self, member: bytes) -> Any:
        """The member's value, or None when it is absent."""
        value = self.resident.get(member)
        if value is not None or self.complete:
            return value
        return self._stored(member)

    def items(self) -> Iterable[tuple[bytes, Any]]:
        """All members with their values, as a stream if they are many. REQUIRES: nothing is changed meanwhile."""
        if not self.complete and self.size <= GATHER_COUNT:
            self._gather()
        if self.complete:
            return self.resident.items()
        if self.touched or self.flying:
            return ((sub[4:], value) for sub, value in self.walk())
        # Nothing to merge: half of the time of a walk.
        prefix = keys.data_prefix(self.oid) + MEMBER
        width, unpack = len(prefix) + 4, self.unpack
        records = self.db.store.engine.scan(prefix, keys.after(prefix))
        return ((raw_key[width:], unpack(raw)) for raw_key, raw in records)

    def members(self) -> Iterable[bytes]:
        """All members. REQUIRES: nothing is changed meanwhile."""
        if self.complete:
            return self.resident
        return (member for member, _ in self.items())

    def elements(self) -> list[bytes]:
        """All members, for SORT."""
        return list(self.members())

    def cursor_scan(self, cursor: int, count: int) -> tuple[int, list[tuple[bytes, Any]]]:
        """From a cursor (0 at the start) about `count` members with values, and where to go on, 0 for the end.

        The cursor is the least hash that has not been returned, so it stays good over changes, eviction and restart: a member that is
        present from the first call to the last is returned. Members of the same hash come together. A small object comes whole.
        """
        if not self.oid:
            return 0, list(self.resident.items())
        found: list[tuple[bytes, Any]] = []
        if cursor >= CURSOR_END:
            return 0, found
        last = b""
        for sub, value in self.walk(pack_u32(cursor)):
            place = sub[:4]
            if len(found) >= count and place != last:
                return unpack_u32(place), found
            last = place
            found.append((sub[4:], value))
        return 0, found

    def walk(self, start: bytes = b"") -> Iterator[tuple[bytes, Any]]:
        """The (hash32 + member, value) in order from `start` on. REQUIRES: large; nothing is changed meanwhile."""
        prefix = keys.data_prefix(self.oid) + MEMBER
        width = len(prefix)
        unpack = self.unpack
        newer = self._newer(start)
        following = next(newer, None)
        for raw_key, raw in self.db.store.engine.scan(prefix + start, keys.after(prefix)):
            sub = raw_key[width:]
            while following is not None and following < sub:
                value = self.resident.get(following[4:])
                if value is not None:
                    yield following, value
                following = next(newer, None)
            if following != sub:
                yield sub, unpack(raw)
        while following is not None:
            value = self.resident.get(following[4:])
            if value is not None:
                yield following, value
            following = next(newer, None)

    # -- changing members

    def put(self, member: bytes, value: Any) -> Any:
        """Give a member a value; the old one, or None when it is new. REQUIRES: `touch` has been called by this command."""
        old = self.resident.get(member)
        if old is None:
            if self.complete:
                self.resident[member] = value
                if self.oid:
                    self.touched[member] = value
                    if self.picks is not None:
                        self.picks.added(member)
                self.resized(self.ENTRY + len(member) + self.weigh(value))
                self._grown()
                return None
            old = self._stored(member)
        self.resident[member] = value
        if self.oid:
            self.touched[member] = value
        if old is None:
            self.size += 1
            self.resized(self.weigh(value))
            return None
        delta = self.weigh(value) - self.weigh(old)
        if delta:
            self.resized(delta)
            if delta > 0:
                self._grown()
            elif not self.flags & SUNK:
                self._taken(b"", old, 0)
        return old

    def assume_absent(self, members: Iterable[bytes]) -> None:
        """Spare some members that are about to be put the look-up in the engine.

        REQUIRES: they are not there; or else that whoever calls this counts the members in the end, and discards the object.
        """
        if self.complete:
            return
        resident, entry = self.resident, self.ENTRY
        grown = 0
        for member in members:
            if member not in resident:
                resident[member] = None
                grown += entry + len(member)
        self.resized(grown)

    def drop(self, member: bytes) -> Any:
        """Remove a member; its value, or None when it was absent. REQUIRES: `touch` has been called by this command.

        Does not `vanish`: whoever removes looks afterwards whether anything is left.
        """
        if self.complete:
            old = self.resident.pop(member, None)
            if old is None:
                return None
            if self.oid:
                self.touched[member] = None
                if self.picks is not None:
                    self.picks.stale.add(member)
            self.resized(-self.ENTRY - len(member) - self.weigh(old))
            if not self.flags & SUNK:
                self._taken(member, old, len(self.resident) + 1)
            return old
        old = self.get(member)
        if old is not None:
            if not self.flags & SUNK:
                self._taken(member, old, self.size)
            self.resident[member] = self.touched[member] = None
            self.size -= 1
            self.resized(-self.weigh(old))
        return old

    def remove(self, members: Iterable[bytes]) -> int:
        """Remove members; how many there were. The key goes with the last one."""
        removed = 0
        for member in members:
            if self.get(member) is not None:
                if not removed:
                    self.touch()
                self.drop(member)
                removed += 1
        if removed and not len(self):
            self.vanish()
        return removed

    def _taken(self, member: bytes, value: Any, count: int) -> None:
        """A member, or only the value of one, goes from an object of `count` members, or an unknown number of them: see above."""

    def _grown(self) -> None:
        if self.oid:
            if self.weight > self.ceiling:
                self._spill()
        elif len(self.resident) > SMALL_COUNT or self.weight - self.ENTRY * len(self.resident) > self.limit:
            self.enlarge()

    def enlarge(self) -> None:
        """Become large: every member is a change."""
        self.promote(dict(self.resident))
        self.ceiling = max(self.db.cache.share, 2 * self.weight)

    # -- random members

    def about_to_pop(self) -> None:
        """Read what `pop` will need, which may fail, as long as nothing is changed. To be called before `touch`."""
        if not self.complete and (self.picks is None or not self.picks.entries):
            self.picks = self._refill(self.db.store.random)

    def pop(self) -> tuple[bytes, Any]:
        """Remove a random member; it and its value. REQUIRES: not empty; small, or not whole in memory; `touch` has been called by this
        command."""
        rng = self.db.store.random
        if not self.complete:
            return self._pop_stored(rng)
        member = self._nth(int(rng.random() * len(self.resident)))
        return member, self.drop(member)

    def pick(self) -> tuple[bytes, Any]:
        """A random member and its value. REQUIRES: not empty."""
        rng = self.db.store.random
        if not self.complete:
            return rng.choice(self._window(rng, WINDOW))
        member = self.all_picks().draw(rng) if self.oid else self._nth(int(rng.random() * len(self.resident)))
        return member, self.resident[member]

    def all_picks(self) -> Picks:
        """All members to draw from. REQUIRES: large, and whole in memory."""
        if self.picks is None:
            self.picks = Picks(self.resident)
        return self.picks

    def sample(self, count: int) -> list[tuple[bytes, Any]]:
        """Up to `count` different random members with values: all of them when they are no more."""
        total = len(self)
        if count >= total:
            return list(self.items())
        rng = self.db.store.random
        if self.complete and (not self.oid or count * 4 > total):
            chosen: Iterable[bytes] = rng.sample(list(self.resident), count)
            return [(member, self.resident[member]) for member in chosen]
        if not self.complete and count * READ_ALL_FROM > total:
            return self._at_ranks(sorted(rng.sample(range(total), count)))
        found: dict[bytes, Any] = {}
        while len(found) < count:
            member, value = self.pick()
            found[member] = value
        return list(found.items())

    def choices(self, count: int) -> list[tuple[bytes, Any]]:
        """`count` random members with values, each independent of the others. REQUIRES: not empty."""
        rng = self.db.store.random
        total = len(self)
        if self.complete:
            if count * 4 > total:
                return rng.choices(list(self.resident.items()), k=count)
        elif count * READ_ALL_FROM > total:
            return self._at_ranks(sorted(rng.choices(range(total), k=count)))
        return [self.pick() for _ in range(count)]

    def _nth(self, place: int) -> bytes:
        return next(islice(self.resident, place, None))

    def _at_ranks(self, ranks: list[int]) -> list[tuple[bytes, Any]]:
        """The members at some ranks, which ascend, in random order: one pass over all."""
        found: list[tuple[bytes, Any]] = []
        wanted = iter(ranks)
        following = next(wanted, None)
        for rank, item in enumerate(self.items()):
            while following == rank:
                found.append(item)
                following = next(wanted, None)
            if following is None:
                break
        self.db.store.random.shuffle(found)
        return found

    def _window(self, rng: Random, count: int) -> list[tuple[bytes, Any]]:
        """Up to `count` neighbours in hash order from a random place on, over the end to the start. REQUIRES: large, not empty."""
        found = list(islice(self.walk(pack_u32(rng.getrandbits(32))), count))
        missing = min(count, len(self)) - len(found)
        if missing > 0:
            found += islice(self.walk(), missing)
        return [(sub[4:], value) for sub, value in found]

    def _pop_stored(self, rng: Random) -> tuple[bytes, Any]:
        while True:
            picks = self.picks
            if picks is None or not picks.entries:
                picks = self.picks = self._refill(rng)
            member = picks.entries.pop()
            value = self.drop(member)
            if value is not None:
                return member, value

    def _refill(self, rng: Random) -> Picks:
        if self.weight > self.ceiling:
            self._spill()
        window = self._window(rng, POP_WINDOW)
        weigh, entry = self.weigh, self.ENTRY
        resident = self.resident
        grown = 0
        for member, value in window:
            if member not in resident:
                resident[member] = value
                grown += entry + len(member) + weigh(value)
        self.resized(grown)
        picks = Picks(member for member, _ in window)
        rng.shuffle(picks.entries)
        return picks

    # -- memory and engine

    def _stored(self, member: bytes) -> Any:
        """What the engine has for a member, remembered. REQUIRES: not complete; `resident` has no value for it."""
        if self.weight > self.ceiling:
            self._spill()
        if member in self.resident:
            return None
        store = self.db.store
        prefix, name = keys.data_prefix(self.oid) + MEMBER, store.hash32(member) + member
        raw = store.engine.get(prefix + name) if store.readahead is None else store.readahead.get(prefix, name, self.size)
        if raw is None:
            self.resident[member] = None
            self.resized(self.ENTRY + len(member))
            return None
        value = self.resident[member] = self.admit(member, raw)
        self.resized(self.ENTRY + len(member) + self.weigh(value))
        return value

    def admit(self, member: bytes, raw: bytes) -> Any:
        """The value in a member's record, which is about to be resident."""
        return self.unpack(raw)

    def _gather(self) -> None:
        """Read everything and become complete, unless that takes too much memory."""
        most = self.db.cache.budget // 8
        weigh, entry = self.weigh, self.ENTRY
        found: dict[bytes, Any] = {}
        weight = 0
        for sub, value in self.walk():
            member = sub[4:]
            found[member] = value
            weight += entry + len(member) + weigh(value)
            if weight > most:
                return
        self._hold(found, weight)
        self.complete = True

    def spare(self) -> None:
        if mostly_clean(self, self.resident):
            self._let_go()

    def vanish(self) -> None:
        super().vanish()
        if not self.oid:
            # It weighs nothing, but its table would be as large as ever until its turn in the cache's queue has come.
            self.resident = {}

    def _spill(self) -> None:
        """Too much of one object is in memory: keep only what the engine does not have yet. While much flies that is put off if it can be:
        it takes far less time when that has landed, which is soon."""
        if not self.flying or self.weight > self.ceiling * 3 // 2:
            self._let_go()

    def _let_go(self) -> None:
        if self.complete:
            self.size = len(self.resident)
            self.complete = False
        # The dict goes the way of dead objects: freeing a million entries at once would stop everything for 60 ms.
        remains = self.__class__(self.db, self.key)
        remains.resident = self.resident
        self.db.store.free_later(remains, self.weight)
        kept = self._pending()
        self._unload(kept)
        # No loop of Python's: there may be hundreds of thousands.
        self._hold(kept, self.ENTRY * len(kept) + sum(map(len, kept)) + self.weigh_all(kept))
        self.ceiling = max(self.db.cache.share, 2 * self.weight)

    def _unload(self, kept: Container[bytes]) -> None:
        """Only the members `kept` stay in memory: let go of what else goes with that."""

    def _pending(self) -> dict[bytes, Any]:
        """What the engine does not have yet: members and their values, None for the absent."""
        return {**self.flying, **self.touched}

    def _hold(self, resident: dict[bytes, Any], weight: int) -> None:
        """Another `resident`, whose members weigh `weight`."""
        self.resident = resident
        self.picks = None
        self.resized(self.limit - SMALL_BYTES + weight - self.weight)

    def _newer(self, start: bytes) -> Iterator[bytes]:
        """The subs of all that is touched or flying, in order from `start` on."""
        if not self.touched and not self.flying:
            return iter(())
        overlay = self.overlay
        if overlay is None or overlay.touched is not self.touched or overlay.flying is not self.flying:
            overlay = self.overlay = Overlay(self.touched, self.flying)
        return overlay.subs(self.db.store.hash32, start)

    # -- what the store needs

    def load(self, meta: Meta) -> None:
        if meta.body is None:
            self.size = meta.length
            self.complete = False
            self.ceiling = self.db.cache.share
        else:
            items = unpack_items(meta.body)
            if items and items[0].__class__ is int:
                self.flags = items.pop(0)
            self.fill(items)

    def length(self) -> int:
        return len(self)

    def look_ups(self) -> int:
        return look_ups(len(self.touched), len(self))

    def records(self, changes: dict[Any, Any]) -> Iterator[tuple[bytes, bytes | None]]:
        hash32, pack = self.db.store.hash32, self.pack
        for member, value in changes.items():
            yield MEMBER + hash32(member) + member, None if value is None else pack(value)

    def landed(self) -> None:
        self.flying = {}
        self.overlay = None
        if self.weight > self.db.cache.share and self.linked:
            self._spill()

    def verify(self) -> Iterator[str]:
        if not len(self):
            yield "it is empty"
        if self.complete:
            return
        hash32 = self.db.store.hash32
        prefix = keys.data_prefix(self.oid) + MEMBER
        width = len(prefix)
        count = 0
        for key, raw in self.db.store.engine.scan(prefix, keys.after(prefix)):
            count += 1
            member = key[width + 4 :]
            if key[width : width + 4] != hash32(member):
                yield f"member {member!r} has another's hash"
            self.unpack(raw)
        if count != self.size:
            yield f"there are {count} members, the header says {self.size}"

    def shed(self, count: int) -> bool:
        if self.picks is not None and self.picks.entries:
            del self.picks.entries[-count:]
            return False
        for remains in (self.resident, self.touched if self.oid else {}):
            for _ in range(min(count, len(remains))):
                remains.popitem()
            if remains:
                return False
            # A dict from which all was popped keeps its table.
            remains.clear()
        return True

    def copy_to(self, target: Value) -> None:
        if not isinstance(target, Members) or target.__class__ is not self.__class__:
            raise TypeError("members are copied to a value of the same type")
        target.touch()
        for member, value in self.items():
            target.put(member, value)
        target.flags |= self.flags


class Picks:
    """Members to draw from. One that was removed elsewhere is `stale` until it is met, or comes back.

    Invariant for a complete object: each of its members stands in `entries` exactly once, and what else stands there is in `stale`.
    """

    __slots__ = ("entries", "stale")

    def __init__(self, members: Iterable[bytes]) -> None:
        self.entries = list(members)
        self.stale: set[bytes] = set()

    def added(self, member: bytes) -> None:
        """A member is new in the object."""
        if member in self.stale:
            self.stale.remove(member)
        else:
            self.entries.append(member)

    def draw(self, rng: Random) -> bytes:
        """A random member."""
        entries, stale = self.entries, self.stale
        while True:
            place = int(rng.random() * len(entries))
            member = entries[place]
            if member not in stale:
                return member
            stale.remove(member)
            entries[place] = entries[-1]
            entries.pop()

    def take(self, rng: Random, count: int) -> list[bytes]:
        """So many different random members, which are no longer in the list. REQUIRES: there are as many."""
        entries, stale, random = self.entries, self.stale, rng.random
        taken: list[bytes] = []
        while len(taken) < count:
            place = int(random() * len(entries))
            member = entries[place]
            last = entries.pop()
            if place < len(entries):
                entries[place] = last
            if member in stale:
                stale.remove(member)
            else:
                taken.append(member)
        return taken
