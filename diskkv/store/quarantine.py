"""Keys that are damaged: what of them lies on the disk can't be read, so that what changed in them can't be brought there.

One such key must not stop the others, nor may it be served as it was before those changes. So it goes into quarantine: its record is
marked (SPOILED), and from then on every command on it answers with an error, until it is deleted or replaced as a whole. What is marked
stays where it is, for `diskkv repair`; so does what can still be written of its changes (`Value.remains`).

A key gets there when a checkpoint can't encode it, or when the log says of a change to it that can't be done again. Damage that only
reads have met is no reason: the rest of such a key is served.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from diskkv.errors import Damaged
from diskkv.format.meta import decode, head, mark_spoiled
from diskkv.store.value import UNKNOWN, Gone, Recorded, Value

if TYPE_CHECKING:
    from diskkv.store.database import Database

# Of a key of which nothing can be said.
NO_RECORD = b"\0\0"


class Quarantined(Recorded):
    """Stands for a key in quarantine until its mark is on the disk, and as long as it stays in memory."""

    __slots__ = ("_made_by", "raw")

    def __init__(self, db: Database, key: bytes, raw: bytes) -> None:
        super().__init__(db, key)
        self.raw = mark_spoiled(raw)
        self.begin({})
        # whose records the changes in `touched` are
        self._made_by: Value | None = None

    @classmethod
    def of(cls, value: Value) -> Quarantined:
        """In the place of a value that can't be encoded."""
        made = cls(value.db, value.key, value.record(value.due() if value.timed else None))
        made.expire, made.oid, made.saved = value.expire, value.oid, value.saved
        changes = value.remains()
        if changes is not None:
            made.touched, made._made_by = changes, value
        return made

    @classmethod
    def of_key(cls, db: Database, key: bytes) -> Quarantined:
        """In the place of whatever the engine has for a key, which may be nothing that can be read."""
        made = cls(db, key, NO_RECORD)
        try:
            raw = db.store.engine.get(db.prefix + key)
        except Damaged:
            # Most likely there is a record: of what is not there LevelDB's filters mostly know without reading.
            made.saved = UNKNOWN
            db.doubtful = True
            return made
        if raw is None:
            return made
        made.saved = UNKNOWN
        try:
            meta = decode(raw)
        except Damaged:
            db.doubtful = True
            return made
        made.raw = mark_spoiled(raw)
        made.expire, made.oid = meta.expire, meta.oid
        return made

    def records(self, changes: dict[Any, Any]) -> Iterator[tuple[bytes, bytes | None]]:
        return iter(()) if self._made_by is None else self._made_by.records(changes)

    def landed(self) -> None:
        super().landed()
        self._made_by = None

    def save(self, batch: Any) -> None:
        if self.saved == UNKNOWN:
            self.resolve()
        batch.put(self.db.prefix + self.key, self.raw)
        self.save_expiry(batch, head(self.raw)[0])


def isolate(db: Database, key: bytes, reason: str) -> Quarantined:
    """Put a key into quarantine, with the next checkpoint."""
    store = db.store
    held = db.objects.get(key)
    if held is not None:
        # A checkpoint that is under way has it as it was.
        with contextlib.suppress(Damaged):
            store.writer.secure(held)
    made = supplant(db, key, reason)
    if made.stamp != store.stamp:
        made.stamp = store.stamp
        store.dirty.append(made)
        store.changes += 1
    return made


def supplant(db: Database, key: bytes, reason: str) -> Quarantined:
    """As `isolate`, but whoever calls this sees to it that the mark is written."""
    held = db.objects.get(key)
    if isinstance(held, Quarantined):
        return held
    store = db.store
    store.complaints.make(
        "database %(database)d, key %(key)r is in quarantine until it is deleted or replaced: %(reason)s",
        {"database": store.databases.index(db), "key": key, "reason": reason},
    )
    store.isolated += 1
    if held is None:
        made = Quarantined.of_key(db, key)
    elif held.__class__ is Gone:
        # What the engine has belongs to what was deleted.
        made = Quarantined(db, key, NO_RECORD)
        made.saved = held.saved
    else:
        made = Quarantined.of(held)
    if held.__class__ is Gone or made.saved is None:
        # It does not exist: what has failed would have made it.
        db.count += 1
    db.supplant(made)
    return made
