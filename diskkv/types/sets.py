"""Sets: members without values (`PRESENT` stands for one), and the three operations on several sets.

Redis keeps small sets of integers in numeric order and shows them so; `ordered` tells whether a set is such a one. The header of a large
set has one more byte, its form: an all-integer set of up to 512 members is large here and an intset there. A small set remembers in its
flags what has been taken out of it: MIXED, something that is no integer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from diskkv.format import SET
from diskkv.format.meta import Meta, pack_items
from diskkv.lib.numbers import parse_int
from diskkv.store.shapes import Shapes
from diskkv.store.value import Value, data_type
from diskkv.types.members import SUNK, Members

if TYPE_CHECKING:
    from diskkv.store.database import Database

PRESENT = b""

# What Redis would keep a large set in.
HASHTABLE = 0
INTSET = 1
LISTPACK = 2
# In `flags`.
MIXED = 2
NAMES = {HASHTABLE: b"hashtable", INTSET: b"intset", LISTPACK: b"listpack"}


@data_type
class Set(Members):
    """A set of byte strings."""

    __slots__ = ("form",)

    tag = SET
    # Measured on 100,000 short members: dict entry 52 to 105 bytes as it grows, a bytes object 33, rounded up.
    ENTRY = 120

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        # of a large set; a small one's is looked for when asked for
        self.form = HASHTABLE

    # -- what commands use

    def add(self, members: Sequence[bytes]) -> int:
        """Add members; how many are new."""
        added = 0
        for member in members:
            if self.resident.get(member) is not None or (not self.complete and self.get(member) is not None):
                continue
            if not added:
                self.touch()
            added += 1
            self.put(member, PRESENT)
            if self.form:
                self._reform(member)
        return added

    def become(self, members: dict[bytes, bytes]) -> None:
        """Take a dict of members as its own. REQUIRES: just made by `Database.replace`; nobody else keeps the dict."""
        self.resident = members
        self.resized(self.ENTRY * len(members) + sum(map(len, members)))
        self._grown()

    def pop_some(self, count: int) -> list[bytes]:
        """Remove up to `count` random members. REQUIRES: linked, count > 0. The key goes with the last one."""
        count = min(count, len(self))
        if self.oid and self.complete:
            return self._pop_resident(count)
        self.about_to_pop()
        self.touch()
        popped = [self.pop()[0] for _ in range(count)]
        if not len(self):
            self.vanish()
        return popped

    def _pop_resident(self, count: int) -> list[bytes]:
        """As `pop_some`, of a large set that is whole in memory: without a step through `drop` for each, which is half of the time."""
        self.touch()
        popped = self.all_picks().take(self.db.store.random, count)
        resident, touched = self.resident, self.touched
        size = 0
        for member in popped:
            del resident[member]
            touched[member] = None
            size += len(member)
        self.resized(-self.ENTRY * count - size)
        if not resident:
            self.vanish()
        return popped

    def ordered(self) -> bool:
        """Whether Redis would show the members in numeric order."""
        return self._form() == INTSET

    # -- what the store needs

    def pack(self, value: Any) -> bytes:
        return PRESENT

    def unpack(self, raw: bytes) -> bytes:
        return PRESENT

    def load(self, meta: Meta) -> None:
        super().load(meta)
        if meta.body is None:
            self.form = meta.extras[0] if meta.extras else HASHTABLE
            self.flags = SUNK

    def fill(self, items: list[Any]) -> None:
        self.resident = dict.fromkeys(items, PRESENT)
        self.weight += self.ENTRY * len(items) + sum(map(len, items))

    def body(self) -> bytes:
        return pack_items([self.flags, *self.resident] if self.flags else list(self.resident))

    def extras(self) -> bytes:
        return bytes((self.form,))

    def enlarge(self) -> None:
        self.form = self._form()
        super().enlarge()
        # From now on the form is kept up with every change.
        self.flags = SUNK

    def encoding(self) -> bytes:
        return NAMES[self._form()]

    def copy_to(self, target: Value) -> None:
        super().copy_to(target)
        if isinstance(target, Set) and self.oid:
            # What is left of a large set may be small, and the copy then is.
            target.form = self.form
            target.flags = SUNK if target.oid or self.form == HASHTABLE else MIXED if self.form == LISTPACK else 0

    def _form(self) -> int:
        if self.oid:
            return self.form
        flags = self.flags
        if flags & SUNK:
            return HASHTABLE
        form = form_of(self.resident, self.db.store.shapes)
        return LISTPACK if form == INTSET and flags & MIXED else form

    def _taken(self, member: bytes, value: Any, count: int) -> None:
        shapes = self.db.store.shapes
        if not self.flags & MIXED:
            if member.isdigit() or parse_int(member) is not None:
                if count > shapes.set_intset and count > shapes.set_entries:
                    self.flags |= SUNK
                return
            self.flags |= MIXED
        if count > shapes.set_entries or len(member) > shapes.set_value:
            self.flags |= SUNK

    def _reform(self, member: bytes) -> None:
        """A large set has got another member: it may no longer be what it was. There is no way back."""
        shapes = self.db.store.shapes
        if self.form == INTSET and parse_int(member) is None:
            self.form = LISTPACK
        if self.form == INTSET:
            if len(self) > shapes.set_intset:
                self.form = HASHTABLE
        elif len(self) > shapes.set_entries or len(member) > shapes.set_value:
            self.form = HASHTABLE


def form_of(members: dict[bytes, Any], shapes: Shapes) -> int:
    """What Redis would keep some members in."""
    count = len(members)
    if count <= shapes.set_intset and all(parse_int(member) is not None for member in members):
        return INTSET
    if count <= shapes.set_entries and all(len(member) <= shapes.set_value for member in members):
        return LISTPACK
    return HASHTABLE


# Each of these holds nothing in memory but what the caller keeps of the result; None stands for a key that does not exist.


def intersect(sets: Sequence[Set | None], limit: int | None = None) -> Iterator[bytes]:
    """The members that all sets have, `limit` at most. REQUIRES: at least one set; nothing is changed meanwhile."""
    present = [one for one in sets if one is not None]
    if len(present) < len(sets):
        return iter(())
    first, *others = sorted(present, key=len)
    found = (member for member in first.members() if all(other.get(member) is not None for other in others))
    return islice(found, limit)


def subtract(sets: Sequence[Set | None]) -> Iterator[bytes]:
    """The members of the first set that no other has. REQUIRES: at least one set; nothing is changed meanwhile."""
    first = sets[0]
    if first is None:
        return iter(())
    others = sorted([other for other in sets[1:] if other is not None], key=len, reverse=True)
    return (member for member in first.members() if all(other.get(member) is None for other in others))


def unite(sets: Sequence[Set | None]) -> Iterator[bytes]:
    """The members of all sets, those of several more than once. REQUIRES: nothing is changed meanwhile."""
    return (member for one in sets if one is not None for member in one.members())


def in_order(members: Iterable[bytes]) -> list[bytes]:
    """Integers in numeric order."""
    return sorted(members, key=int)
