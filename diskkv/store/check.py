"""The store examines itself: every invariant that holds between its records, and between what it keeps in memory.

`check` reads the engine alone, so it REQUIRES that everything is there: after a checkpoint, under the lock. It keeps no more in memory
than the oids of the large objects. `check_memory` may be called at any time under the lock.

The reclaimer goes on meanwhile; what it deletes between two looks is looked at again before it is called a finding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from diskkv.errors import Damaged
from diskkv.format import (
    BUCKET,
    COMPRESSED,
    CONSUMER,
    DEADLINE,
    EDITED,
    ELEMENT,
    ENTRY,
    EXPIRES,
    GROUP,
    LIST_RUN,
    MEMBER,
    MESSAGE,
    OWNED,
    PARTS,
    PENDING,
    PIECE,
    PRODUCER,
    RANKED,
    RECORDS,
    RELEASED,
    SLOT,
    SPOILED,
    TURN,
    WAITING,
    keys,
)  # fmt: skip
from diskkv.format.meta import decode, unpack_state
from diskkv.format.ordered import unpack_u32, unpack_u64
from diskkv.store.database import Database
from diskkv.store.log import segment_name
from diskkv.store.scrutiny import UNREADABLE, Scrutiny
from diskkv.store.store import Store
from diskkv.store.value import TYPES

# `damage`: something a client can read is wrong or may become so. `leftover`: space that nobody will give back.
DAMAGE = "damage"
LEFTOVER = "leftover"

KINDS = frozenset(
    {
        MEMBER, RANKED, BUCKET, ELEMENT, LIST_RUN, PIECE, ENTRY, GROUP, CONSUMER, PENDING, OWNED, WAITING, RELEASED, PRODUCER, MESSAGE,
        TURN, DEADLINE, SLOT,
    }
)  # fmt: skip
FLAGS = EXPIRES | RECORDS | COMPRESSED | PARTS | EDITED | SPOILED
# Those that grow, in the order in which they are examined.
TABLES = (keys.META, keys.EXPIRY, keys.DATA)
SYSTEM_NAMES = frozenset({b"format", b"seed", b"state"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    severity: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what}"


def check(store: Store, rest: Callable[[], None] | None = None) -> Iterator[Finding]:
    """Everything that is wrong with what a store has in its engine. See the module's docstring for what it REQUIRES.

    `rest` is called now and then, and may raise.
    """
    yield from Examination(store, rest).findings()


class Examination:
    """One walk over all records."""

    def __init__(self, store: Store, rest: Callable[[], None] | None = None) -> None:
        self._store = store
        # goes on behind what can't be read
        self._engine = Scrutiny(store.engine, rest)
        self._databases: dict[int, Database] = {db.epoch: db for db in store.databases}
        self._dead_epochs: set[int] = set()
        self._dead_oids: set[int] = set()
        # oid -> the record of the key that it belongs to
        self._owners: dict[int, bytes] = {}
        self._next_oid = self._next_epoch = 0

    def progress(self) -> tuple[float, int, int]:
        """About which part is done, how many records were read, and about how many bytes all of them take on the disk. It takes a while:
        not for every record."""
        size = self._store.engine.approximate_size
        at = self._engine.at
        sizes = [size(table, keys.after(table)) for table in TABLES]
        place = TABLES.index(at[:1]) if at[:1] in TABLES else 0
        done = sum(sizes[:place]) + (size(TABLES[place], at) if at[:1] in TABLES else 0)
        return done / max(1, sum(sizes)), self._engine.read, sum(sizes)

    def findings(self) -> Iterator[Finding]:
        yield from self._tables()
        yield from self._state()
        yield from self._garbage()
        for epoch, db in self._databases.items():
            yield from self._database(epoch, db)
            yield from self._missed()
        yield from self._other_epochs()
        yield from self._expiries()
        yield from self._data()
        yield from self._missed()
        for what in sorted(self._engine.errors):
            yield Finding(DAMAGE, "disk", what)

    def _missed(self) -> Iterator[Finding]:
        """The records that could not be read."""
        told = set()
        for raw in self._engine.take_missed():
            if raw[:1] == keys.META:
                where = f"key {raw[5:]!r} in epoch {unpack_u32(raw, 1)}"
            elif raw[:1] == keys.DATA:
                owner = self._owners.get(unpack_u64(raw, 1))
                where = f"oid {unpack_u64(raw, 1)}" if owner is None else f"key {owner[5:]!r} in epoch {unpack_u32(owner, 1)}"
            else:
                where = repr(raw)
            if where not in told:
                told.add(where)
                yield Finding(DAMAGE, where, "a record of it can't be read, or it was deleted")

    def _tables(self) -> Iterator[Finding]:
        """That there are no records but those of the tables."""
        known = sorted((keys.META, keys.DATA, keys.EXPIRY, keys.GARBAGE, keys.SYSTEM))
        low = b""
        for table in [*known, None]:
            for raw in self._engine.scan_keys(low, table):
                yield Finding(DAMAGE, repr(raw), "a record of no known table")
            if table is not None:
                low = keys.after(table)
        for raw in self._engine.scan_keys(keys.SYSTEM, keys.after(keys.SYSTEM)):
            if raw[1:] not in SYSTEM_NAMES and not raw.startswith(keys.SYSTEM + keys.DOCUMENT):
                yield Finding(DAMAGE, repr(raw), "an unknown system record")

    def _state(self) -> Iterator[Finding]:
        """That the state record says what memory says, and that its place in the log exists."""
        store = self._store
        raw = self._engine.get(keys.SYSTEM + b"state")
        if raw is None:
            yield Finding(DAMAGE, "state", "there is no state record")
            return
        if raw == UNREADABLE:
            return
        state = unpack_state(raw)
        self._next_oid, self._next_epoch = state["oid"], state["epoch"]
        described = {number: tuple(entry) for number, entry in state["databases"].items()}
        present = {number: (db.epoch, db.count, db.expiring) for number, db in enumerate(store.databases)}
        for number, entry in present.items():
            if described.get(number) != entry:
                yield Finding(DAMAGE, f"database {number}", f"epoch, keys, expiring are {entry}, the state says {described.get(number)}")
        epochs = [db.epoch for db in store.databases]
        if len(set(epochs)) < len(epochs) or max(epochs) >= self._next_epoch:
            yield Finding(DAMAGE, "state", f"epochs {epochs} are not all different and below {self._next_epoch}")
        if store.path is None:
            return
        segment, offset = state["log"]
        name = segment_name(store.log.path, segment)
        if not os.path.exists(name):
            yield Finding(DAMAGE, "log", f"the segment {segment} that the state names is missing")
        elif os.path.getsize(name) < offset:
            yield Finding(DAMAGE, "log", f"the segment {segment} is shorter than the offset {offset} that the state names")

    def _garbage(self) -> Iterator[Finding]:
        for raw in self._engine.scan_keys(keys.GARBAGE, keys.after(keys.GARBAGE)):
            number = unpack_u64(raw, 1) if len(raw) == 10 else -1
            if len(raw) == 14 and raw[13:] == b"g":
                continue
            if raw[9:] == b"o":
                self._dead_oids.add(number)
            elif raw[9:] == b"e":
                self._dead_epochs.add(number)
                if number in self._databases:
                    yield Finding(DAMAGE, f"epoch {number}", "a living database is marked as garbage")
            else:
                yield Finding(DAMAGE, repr(raw), "an unknown garbage record")

    def _database(self, epoch: int, db: Database) -> Iterator[Finding]:
        """Every key's record, what belongs to it, and the counts."""
        count = expiring = 0
        prefix = keys.meta_prefix(epoch)
        for raw_key, raw in self._engine.scan(prefix, keys.after(prefix)):
            count += 1
            name = raw_key[len(prefix) :]
            where = f"key {name!r} in epoch {epoch}"
            try:
                meta = decode(raw)
            except Damaged as error:
                yield Finding(DAMAGE, where, str(error))
                continue
            if raw[1] & ~FLAGS:
                yield Finding(DAMAGE, where, f"unknown flags {raw[1]:#x}")
            if meta.expire is not None:
                expiring += 1
            wakes = meta.wakes()
            if wakes and self._engine.get(keys.expiry_key(wakes, epoch, name)) is None:
                yield Finding(DAMAGE, where, f"it or a part of it expires at {wakes}, but no expiry record says so")
            if meta.tag not in TYPES and not meta.spoiled:
                yield Finding(DAMAGE, where, f"unknown tag {meta.tag}")
                continue
            if meta.oid:
                yield from self._own(meta.oid, raw_key, where)
            yield from self._value(db, name, raw, where)
        known = "; damage has put it in doubt, DBSIZE counts anew" if db.doubtful else ""
        if count != db.count:
            yield Finding(DAMAGE, f"epoch {epoch}", f"there are {count} keys, the count says {db.count}{known}")
        if expiring != db.expiring:
            yield Finding(DAMAGE, f"epoch {epoch}", f"{expiring} keys expire, the count says {db.expiring}{known}")

    def _own(self, oid: int, raw_key: bytes, where: str) -> Iterator[Finding]:
        if oid in self._owners:
            yield Finding(DAMAGE, where, f"oid {oid} belongs to {self._owners[oid]!r}, too")
        if oid in self._dead_oids:
            yield Finding(DAMAGE, where, f"its oid {oid} is marked as garbage")
        if oid >= self._next_oid:
            yield Finding(DAMAGE, where, f"oid {oid} is not below the next one, {self._next_oid}")
        self._owners[oid] = raw_key

    def _value(self, db: Database, name: bytes, raw: bytes, where: str) -> Iterator[Finding]:
        """That the type can read its object and finds it in order."""
        try:
            for what in db.decode(name, raw).verify():
                yield Finding(DAMAGE, where, what)
        except Exception as error:  # whatever damage does to a decoder
            yield Finding(DAMAGE, where, f"unreadable: {error!r}")

    def _other_epochs(self) -> Iterator[Finding]:
        """The keys of databases that there are no more: they have owners, too, until the reclaimer has come to them."""
        reported = set()
        for raw_key, raw in self._engine.scan(keys.META, keys.after(keys.META)):
            epoch = unpack_u32(raw_key, 1) if len(raw_key) >= 5 else -1
            if epoch in self._databases:
                continue
            if epoch not in self._dead_epochs and epoch not in reported and self._engine.get(raw_key) is not None:
                reported.add(epoch)
                yield Finding(LEFTOVER, f"epoch {epoch}", "keys of no database, and not marked as garbage")
            if len(raw) > 1 and raw[1] & RECORDS:
                oid = decode(raw).oid
                if oid in self._owners:
                    yield Finding(DAMAGE, f"epoch {epoch}", f"the reclaimer will take oid {oid}, which belongs to {self._owners[oid]!r}")
                else:
                    self._dead_oids.add(oid)

    def _expiries(self) -> Iterator[Finding]:
        for raw in self._engine.scan_keys(keys.EXPIRY, keys.after(keys.EXPIRY)):
            if len(raw) < 13:
                yield Finding(DAMAGE, repr(raw), "an expiry record that is too short")
                continue
            when, epoch, name = keys.split_expiry(raw)
            if epoch in self._dead_epochs:
                continue
            meta = self._engine.get(keys.meta_prefix(epoch) + name) if epoch in self._databases else None
            if meta == UNREADABLE:
                continue
            if (meta is None or decode(meta).wakes() != when) and self._engine.get(raw) is not None:
                yield Finding(LEFTOVER, f"key {name!r} in epoch {epoch}", f"an expiry record for {when}, unknown to its meta record")

    def _data(self) -> Iterator[Finding]:
        reported = set()
        for raw in self._engine.scan_keys(keys.DATA, keys.after(keys.DATA)):
            if len(raw) < 10 or raw[9:10] not in KINDS:
                yield Finding(DAMAGE, repr(raw), "a data record of no known kind")
                continue
            oid = unpack_u64(raw, 1)
            if oid in self._owners or oid in self._dead_oids or oid in reported:
                continue
            if self._engine.get(keys.garbage_object(oid)) is None and self._engine.get(raw) is not None:
                reported.add(oid)
                yield Finding(LEFTOVER, f"oid {oid}", "data records that belong to no key")


def check_memory(store: Store) -> Iterator[Finding]:
    """Everything that is wrong with what a store keeps in memory. REQUIRES: the lock, between commands."""
    for what in store.cache.verify():
        yield Finding(DAMAGE, "cache", what)
    for number, db in enumerate(store.databases):
        for key, value in db.objects.items():
            where = f"key {key!r} in database {number}"
            if value.key != key or value.db is not db:
                yield Finding(DAMAGE, where, f"is held by a value for {value.key!r}")
            if not value.linked:
                yield Finding(DAMAGE, where, "is held by a value that is not linked")
    yield from _ahead(store)


def _ahead(store: Store) -> Iterator[Finding]:
    """That what is ahead of the engine is what look-ups find."""
    for value in store.dirty:
        where = f"key {value.key!r}"
        if value.linked and value.db.objects.get(value.key) is not value:
            yield Finding(DAMAGE, where, "is dirty, but a look-up finds another value")
        if value.linked and value.stamp != store.stamp:
            yield Finding(DAMAGE, where, f"is dirty with the stamp {value.stamp}, not {store.stamp}")
    dirty: set[Any] = set(store.dirty)
    for value in store.large:
        if value.linked and value not in dirty:
            yield Finding(DAMAGE, f"key {value.key!r}", "has changed records, but is not dirty")
