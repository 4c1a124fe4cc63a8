"""Hashes: a map from field to value, both bytes.

The header of a large hash has one more byte, its flags: WIDE once it has had more fields than Redis keeps in a listpack.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from diskkv.format import HASH
from diskkv.format.meta import Meta, pack_items, pack_value, unpack_value
from diskkv.store.value import data_type
from diskkv.types.members import Members

if TYPE_CHECKING:
    from diskkv.store.database import Database

WIDE = 1


@data_type
class Hash(Members):
    """A map of fields."""

    __slots__ = ("flags",)

    tag = HASH
    # Measured on 100,000 short fields: dict entry 87 bytes with its spare room, two bytes objects 33 each, rounded up to 16.
    ENTRY = 160

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        self.flags = 0

    # -- what commands use

    def set(self, pairs: Sequence[bytes]) -> int:
        """Give fields values (field, value, field, value ...); how many fields are new."""
        self.touch()
        if len(pairs) == 2:
            return 1 if self.put(pairs[0], pairs[1]) is None else 0
        added = 0
        for at in range(0, len(pairs), 2):
            if self.put(pairs[at], pairs[at + 1]) is None:
                added += 1
        return added

    # -- what the store needs

    def pack(self, value: Any) -> bytes:
        return pack_value(value)

    def unpack(self, raw: bytes) -> bytes:
        return unpack_value(raw)

    def load(self, meta: Meta) -> None:
        super().load(meta)
        self.flags = meta.extras[0] if meta.extras else 0

    def fill(self, items: list[Any]) -> None:
        self.resident = dict(zip(items[::2], items[1::2], strict=True))
        self.weight += self.ENTRY * len(self.resident) + sum(map(len, items))

    def body(self) -> bytes:
        return pack_items(list(chain.from_iterable(self.resident.items())))

    def extras(self) -> bytes:
        if len(self) > self.db.store.shapes.hash_entries:
            self.flags |= WIDE
        return bytes((self.flags,))

    def enlarge(self) -> None:
        super().enlarge()
        if len(self.resident) > self.db.store.shapes.hash_entries:
            self.flags |= WIDE

    def encoding(self) -> bytes:
        shapes = self.db.store.shapes
        if self.flags & WIDE or len(self) > shapes.hash_entries:
            return b"hashtable"
        if any(len(field) > shapes.hash_value or len(value) > shapes.hash_value for field, value in self.items()):
            return b"hashtable"
        return b"listpack"
