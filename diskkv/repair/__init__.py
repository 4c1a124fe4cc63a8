"""Saves what can be read of a damaged store into a new one, and says what could not be.

1. The tree is copied beside the new store, tables as links, and opened; where LevelDB refuses, what stops it is cut off, and at last its
   list of tables is made anew (`engine/leveldb/rescue.py`). The source is only ever read.
2. Key by key, what the tree says is put into the new store: whole where every record can be read, else what is left of the value
   (`values.py`). A key's record is taken only if the newest one can be read: an older one would be a wrong value.
3. What the log says since the last checkpoint is done again, up to the first hole (`log.py`).
4. The new store is examined as `diskkv check` does.

What the report calls whole is whole as of the checkpoint; a key that was not, and that the log changes, stays in the report.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator

from diskkv.app import open_executor
from diskkv.config import Settings
from diskkv.dispatch.executor import Executor
from diskkv.dispatch.session import Session
from diskkv.engine.leveldb.rescue import copy_closed, open_rescued
from diskkv.engine.leveldb.tables import holes
from diskkv.errors import Damaged, DiskkvError, StoreError
from diskkv.format import FORMAT, TAG_NAMES, keys
from diskkv.format.meta import Meta, decode, unpack_state, unpack_value
from diskkv.format.ordered import unpack_u32, unpack_u64
from diskkv.rdb.content import Content
from diskkv.repair.findings import Outcome
from diskkv.repair.log import ticks
from diskkv.repair.values import confirmed, readable, salvage
from diskkv.resp.parse import RequestParser
from diskkv.store.check import check
from diskkv.store.database import Database
from diskkv.store.directory import lock_directory, settle, workplace
from diskkv.store.log import NullLog, Position, split_stamp
from diskkv.store.sizes import Sizes
from diskkv.store.store import Store
from diskkv.store.value import TYPES, Value
from diskkv.transfer.loading import Loader
from diskkv.transfer.report import Report
from diskkv.transfer.values import content_of, groups_of, production_of, put
from diskkv.types.streams import Stream

BUDGET = 8 << 20
# What a store's directory holds besides.
OWN = frozenset({"tree", "log", "LOCK", "backup"})


def _nobody(outcome: Outcome) -> None:
    """Nobody looks on."""


def repair(source: str, to: str, *, behind_holes: bool = False, look: Callable[[Outcome], None] = _nobody) -> Outcome:
    """Save what can be read of the store in `source` into a new one in `to`, which may not exist or must be empty.

    `behind_holes`: also do again what stands in the log behind a part that can't be read. `look` is called with what has come of it so
    far, now and then, and may raise. StoreError when nothing can be saved.
    """
    if not os.path.isdir(os.path.join(source, "tree")):
        raise StoreError(f"there is no store in {source}")
    work = workplace(to, "repair", ".repairing")
    with _locked(source):
        os.makedirs(work)
        try:
            outcome = Repair(source, work, behind_holes=behind_holes, look=look).run()
            settle(os.path.join(work, "store"), to)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return outcome


@contextlib.contextmanager
def _locked(source: str) -> Iterator[None]:
    """Nobody may open the source meanwhile. One that can't be written to can't be opened anyway."""
    handle = -1
    if os.path.exists(os.path.join(source, "LOCK")):
        with contextlib.suppress(PermissionError):
            handle = lock_directory(source)
    try:
        yield
    finally:
        if handle >= 0:
            os.close(handle)


class Repair:
    """One repair."""

    def __init__(self, source: str, work: str, *, behind_holes: bool, look: Callable[[Outcome], None]) -> None:
        self._source = source
        self._look = look
        self._behind_holes = behind_holes
        self._outcome = Outcome()
        tree = os.path.join(work, "tree")
        copy_closed(os.path.join(source, "tree"), tree)
        for hole in holes(tree):
            name = os.path.join(source, "tree", os.path.basename(hole.file))
            self._outcome.damage.append(f"{name}: {hole.size:,} bytes at {hole.offset:,} can't be read")
        self._engine, remarks, self._old = open_rescued(tree)
        self._outcome.damage += [remark.replace(tree, os.path.join(source, "tree")) for remark in remarks]
        self._target = os.path.join(work, "store")

    def run(self) -> Outcome:
        state, described = self._state()
        count = max([16, *(number + 1 for number in described)])
        executor = open_executor(self._target, Settings(databases=str(count)))
        store = executor.store
        try:
            # Keys whose time has come since may have been made to last by what the log says.
            store.expiry.active = False
            store.replaying = True
            self._loader = Loader(store, Report())
            view = self._view(count, described)
            self._outcome.expected = sum(keys_ or 0 for _, keys_, _ in described.values())
            for number, (epoch, keys_, expiring) in described.items():
                view.databases[number].reset(epoch, keys_ or 0, expiring, doubtful=False)
                self._database(view.databases[number], store.databases[number], number, keys_)
            self._documents(store)
            self._replay(executor, state)
            self._copy_others()
            self._loader.finish()
            with store.lock:
                store.replaying = False
                for finding in check(store, lambda: self._look(self._outcome)):
                    self._outcome.damage.append(f"the new store is not in order: {finding}")
        finally:
            store.replaying = False
            store.close()
            self._engine.close()
        return self._outcome

    # -- what the tree says of itself

    def _system(self, name: bytes) -> bytes | None:
        try:
            return self._engine.get(keys.SYSTEM + name)
        except StoreError:
            return None

    def _state(self) -> tuple[Position | None, dict[int, tuple[int, int | None, int]]]:
        """Where the log goes on, and of each database its epoch, how many keys it has (None: unknown) and how many expire."""
        version = self._system(b"format")
        if version is not None and (len(version) != 4 or unpack_u32(version) > FORMAT):
            raise StoreError("the store has a format that this diskkv does not know")
        raw = self._system(b"state")
        if raw is not None:
            state = unpack_state(raw)
            return Position(*state["log"]), {number: tuple(entry) for number, entry in state["databases"].items() if entry[1]}
        self._outcome.damage.append("the record that tells databases and the place in the log can't be read: databases come as they lie")
        dead = {unpack_u64(raw, 1) for raw, _ in self._engine.scan_around(keys.GARBAGE, keys.after(keys.GARBAGE)) if raw[9:] == b"e"}
        epochs = []
        start = keys.META
        while (found := next(self._engine.scan_around(start, keys.after(keys.META)), None)) is not None:
            epoch = unpack_u32(found[0], 1)
            if epoch not in dead:
                epochs.append(epoch)
            start = keys.after(keys.meta_prefix(epoch))
        if not epochs:
            raise StoreError("not a single key can be read")
        return None, {number: (epoch, None, 0) for number, epoch in enumerate(epochs)}

    def _view(self, count: int, described: dict[int, tuple[int, int | None, int]]) -> Store:
        """The tree as a store, for reading."""
        view = Store(self._engine, NullLog(), sizes=Sizes.of(BUDGET), databases=count, clock=lambda: 0)
        view.databases = [Database(view) for _ in range(count)]
        seed = self._system(b"seed")
        if seed is not None:
            view.hash32 = keys.member_hasher(unpack_u64(seed))
        return view

    # -- keys

    def _database(self, db: Database, target: Database, number: int, expected: int | None) -> None:
        seen = 0
        for name, raw in confirmed(self._engine, db.prefix):
            seen += 1
            self._outcome.seen += 1
            self._look(self._outcome)
            where = f"db {number} key {name!r}"
            if raw is None:
                self._outcome.lost.append(f"{where}: its record can't be read" if expected is not None else f"{where}: can't be read")
                continue
            try:
                meta = decode(raw)
                value = db.decode(name, raw, spoiled=True)
            except Exception as error:  # whatever damage does to a decoder
                self._outcome.lost.append(f"{where}: {error}")
                continue
            self._key(target, value, meta, where)
        if expected is not None:
            self._outcome.unnamed += max(0, expected - seen)

    def _key(self, target: Database, value: Value, meta: Meta, where: str) -> None:
        """Save one key, whole or what is left of it."""
        name = value.key
        kind = TAG_NAMES[meta.tag]
        try:
            saved = self._put(target, name, content_of(value), meta)
            whole = not meta.spoiled and (meta.oid == 0 or saved.length() == meta.length)
        except Exception:  # as above
            whole = False
        if whole:
            self._outcome.whole += 1
            return
        with target.store.lock:
            target.delete(name)
        fresh = TYPES[meta.tag](value.db, name)
        fresh.oid = meta.oid
        fresh.begin({})
        try:
            fresh.load(meta)
            content = salvage(self._engine, fresh, meta) if meta.oid else None
            left = self._put(target, name, content, meta) if content is not None else None
        except (DiskkvError, ValueError, LookupError, TypeError) as error:
            self._outcome.lost.append(f"{where} ({kind}): {error}")
            return
        if left is None or not left.linked:
            with target.store.lock:
                target.delete(name)
            self._outcome.lost.append(f"{where} ({kind}): not all of its records can be read")
            return
        lost = ""
        if isinstance(fresh, Stream) and fresh.group_count and not readable(fresh, groups_of):
            lost = ", its consumer groups are lost"
        if isinstance(fresh, Stream) and fresh.production is not None and readable(fresh, production_of) is None:
            lost += ", what it remembers of messages is lost"
        marked = ", and of its last changes some may be lost" if meta.spoiled else ""
        self._outcome.partial.append(f"{where} ({kind}): {left.length()} of {meta.length} saved{lost}{marked}")

    def _put(self, target: Database, name: bytes, content: Content, meta: Meta) -> Value:
        """Put a key into the new store."""
        with target.store.lock:
            value = put(target, name, content, self._loader.grown)
            if meta.expire is not None and value.linked:
                target.set_expire(value, meta.expire)
            self._loader.grown(value.weight if value.oid == 0 else 0)
            return value

    # -- the rest

    def _documents(self, store: Store) -> None:
        """Libraries."""
        prefix = keys.SYSTEM + keys.DOCUMENT
        with store.lock:
            for name, raw in confirmed(self._engine, prefix):
                try:
                    if raw is None:
                        raise Damaged("can't be read")
                    store.documents.put(name, unpack_value(raw))
                except Damaged as error:
                    self._outcome.lost.append(f"the document {name!r}: {error}")

    def _replay(self, executor: Executor, start: Position | None) -> None:
        """Do again what the log says."""
        outcome, store = self._outcome, executor.store
        if start is None and not self._behind_holes:
            outcome.left_out += sum(1 for _ in ticks(os.path.join(self._source, "log"), None, outcome, behind_holes=True))
            return
        session = Session(executor)
        for tick in ticks(os.path.join(self._source, "log"), start, outcome, behind_holes=self._behind_holes):
            parser = RequestParser(max_bulk=1 << 40)
            requests = parser.feed(split_stamp(tick)[1])
            with store.lock:
                while requests:
                    for argv in requests:
                        try:
                            executor.replay(session, argv)
                        except Exception as error:  # it meets what is damaged
                            name = b" ".join(argv[:2])[:80]
                            outcome.lost.append(f"a change in db {session.index} since the last checkpoint, {name!r}: {error}")
                    requests = parser.feed(b"") if parser.more else []
                store.ready_keys.clear()
                outcome.ticks += 1
                self._loader.grown(len(tick))
            self._look(outcome)

    def _copy_others(self) -> None:
        """What else lies in the directory, such as the users."""
        for name in os.listdir(self._source):
            file = os.path.join(self._source, name)
            if name not in OWN and os.path.isfile(file):
                try:
                    shutil.copy(file, os.path.join(self._target, name))
                except OSError as error:
                    self._outcome.damage.append(str(error))
