"""The store: owns the databases, the log, the writer and the cache, and what they share.

The lock. Everything that touches a store holds `store.lock`. A tick is what a front does between taking it and `commit`: the server's
is one round of its event loop, in process it is one call or pipeline. The clock (`now`) is fixed at its beginning by `tick`.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any

from diskkv.clock import Clock, perf_ns, system_clock
from diskkv.engine import Engine, open_engine
from diskkv.errors import BadFormat, Damaged, LogFailed, StoreError, Undone
from diskkv.format import FORMAT, keys
from diskkv.format.meta import pack_state, unpack_state
from diskkv.format.ordered import pack_u32, pack_u64, unpack_u32, unpack_u64
from diskkv.store.backlog import Backlog
from diskkv.store.backup import Backups
from diskkv.store.cache import Cache
from diskkv.store.complaints import Complaints
from diskkv.store.database import Database
from diskkv.store.directory import advised, lock_directory, make_directory, sync_directory
from diskkv.store.documents import Documents
from diskkv.store.events import Listener
from diskkv.store.expiry import Expiry
from diskkv.store.graves import DeadDatabase, Graveyard
from diskkv.store.keeper import Keeper
from diskkv.store.log import FIRST, Disk, Log, LogReader, NullLog, Position
from diskkv.store.readahead import ReadAhead
from diskkv.store.shapes import Shapes
from diskkv.store.sizes import Sizes
from diskkv.store.value import Value
from diskkv.store.writer import Writer

journal = logging.getLogger("diskkv")

# How long writes are refused before it is tried again whether the log can be written.
PROBE_MS = 100
# Of the change of an object of more bytes than this the log may tell far too little.
HEFTY = 1000


class ReplayAgain(Exception):
    """A replay did half of something, and has to be done again from its beginning."""


class Store:
    """An open store. Build it with `Store.open`."""

    # More than thirty attributes: in a dict of its own each would be found more slowly.
    __slots__ = (
        "_apply", "_closed", "_lock_file", "_next_epoch", "_next_oid", "_numbers", "_probe_at", "at_close", "backlog", "backups",
        "before_close", "cache", "changes", "chores", "clock", "complaints", "databases", "dead", "dirty",
        "documents", "engine", "erased", "expired", "expired_parts", "expiry", "failed", "failures", "graves", "hash32", "hash128",
        "held", "identity", "isolated", "keeper", "landed", "large", "listener", "lock", "log", "lost",
        "moment", "now", "on_commit", "on_undone", "path", "random", "readahead", "ready_keys", "recovering", "replaying", "shapes",
        "sizes", "spoiled", "stamp", "writer",
    )  # fmt: skip

    def __init__(self, engine: Engine, log: Log, *, sizes: Sizes, databases: int, clock: Clock) -> None:
        self.engine = engine
        self.log = log
        self.lock = threading.RLock()
        self.sizes = sizes
        self.shapes = Shapes()
        self.landed = threading.Condition(self.lock)
        self.clock = clock
        self.now = self.moment = 0
        self.tick()
        self.random = random.Random()
        self.backlog = Backlog(self, sizes.dirty)
        self.changes = 0
        self.expired = 0
        self.expired_parts = 0
        self.isolated = 0  # how many keys were put into quarantine
        self.replaying = False
        # what a replay asks for the engine's records
        self.readahead: ReadAhead | None = None
        self.recovering = False
        self.failed: str | None = None
        # the command that failed halfway through its changes in this tick: the tick must be undone
        self.spoiled: str | None = None
        self.failures = 0
        self.lost: str | None = None  # why the engine and the log could not be read anew: nothing may be served any more
        # changed since the last freeze; of these, those with records; garbage records to be written; meta records to be deleted
        self.dirty: list[Value] = []
        self.large: list[Value] = []
        self.dead: list[bytes] = []
        self.erased: list[bytes] = []
        # what `Value.stamp` becomes with a change; see `Writer`
        self.stamp = 2
        self.ready_keys: list[tuple[Database, bytes, bool]] = []
        self.held = False  # a script has done half of what it does, and others have their turn meanwhile; see `hold`
        self.hash32: Callable[[bytes], bytes] = keys.member_hasher(0)
        # the records without which it does not open: each checkpoint writes them, should they be lost while it is open
        self.identity: tuple[tuple[bytes, bytes], ...] = ()
        self.hash128: Callable[[bytes], int] = keys.message_hasher(0)
        self.path: str | None = None
        self.cache = Cache(sizes.cache)
        self.documents = Documents(self)
        self.cache.pinned_from = self.stamp
        self.expiry = Expiry(self)
        self.writer = Writer(self)
        self.databases: list[Database] = []
        # what the keeper does besides, each at most a few microseconds, under the lock between ticks; and what ends before the store
        self.chores: list[Callable[[], None]] = []
        self.before_close: list[Callable[[], None]] = []
        self.complaints = Complaints(self)
        self.listener: Listener | None = None  # who hears of every changed key; whoever sets it has each database `heed`
        self.on_commit: Callable[[], None] | None = None  # called when a tick has been committed
        self.on_undone: Callable[[], None] | None = None  # called when what was done has been undone, before anybody looks
        self.at_close: list[Callable[[], None]] = []  # called, with the lock, when it is about to close
        self.backups = Backups(self)
        self.graves = Graveyard(self)
        self._next_oid = 1
        self._next_epoch = 1
        self._apply: Callable[[bytes], None] = _no_replay
        self._lock_file = -1
        self.keeper = Keeper(self)
        self._closed = False
        self._probe_at = 0
        self._numbers = databases

    # -- opening and closing

    @classmethod
    def open(
        cls,
        path: str,
        *,
        apply: Callable[[Store, bytes], None],
        budget: int = 256 << 20,
        policy: str = "everysec",
        databases: int = 16,
        clock: Clock = system_clock,
        engine: Callable[[Engine], Engine] | None = None,
        disk: Disk | None = None,
    ) -> Store:
        """Open the store in a directory, or a fresh one in memory for `:memory:`, creating what is not there.

        `apply` executes the commands of one tick of the log. `engine` may wrap the engine and `disk` be what the log writes to
        (tests). Raises StoreLocked, BadFormat, Damaged, or StoreError.
        """
        sizes = Sizes.of(budget)
        lock_file = -1
        address = "memory:"
        log: Log = NullLog()
        if path != ":memory:":
            make_directory(path)
            lock_file = lock_directory(path)
        try:
            if path != ":memory:":
                address = f"leveldb:{os.path.join(path, 'tree')}"
                log = Log(os.path.join(path, "log"), policy, disk)
            with advised(None if path == ":memory:" else path):
                opened = open_engine(address, block_cache=sizes.block_cache, write_buffer=sizes.write_buffer)
            if engine is not None:
                opened = engine(opened)
            store = cls(opened, log, sizes=sizes, databases=databases, clock=clock)
            store._lock_file = lock_file
            store.path = None if path == ":memory:" else path
            store._apply = lambda tick: apply(store, tick)
            try:
                with store.lock, advised(store.path):
                    store._prepare()
                    store._recover()
                    store.writer.reclaimer.load()
            except BaseException:
                with contextlib.suppress(OSError):
                    log.close()
                opened.close()
                raise
        except BaseException:
            if lock_file >= 0:
                os.close(lock_file)
            raise
        store.writer.start()
        store.keeper.start()
        return store

    @classmethod
    def over(cls, snapshot: Any, original: Store, budget: int) -> Store:
        """A store as a snapshot of the original's engine has it, at the original's present time. For reading: it has no threads and no
        log, and nothing may be changed in it. Whoever made the snapshot closes it."""
        store = cls(snapshot, NullLog(), sizes=Sizes.of(budget), databases=len(original.databases), clock=lambda: original.now)
        store.hash32 = original.hash32
        store._recover()
        return store

    def _prepare(self) -> None:
        """Read the format and the seed, or write them to a new store."""
        engine = self.engine
        raw = engine.get(keys.SYSTEM + b"format")
        if raw is None:
            if next(engine.scan_keys(b""), None) is not None:
                raise BadFormat("there is data here, but no format version: not a diskkv store, or a damaged one")
            self.log.create()
            batch = engine.batch(sync=True)
            batch.put(keys.SYSTEM + b"format", pack_u32(FORMAT))
            batch.put(keys.SYSTEM + b"seed", pack_u64(secrets.randbits(64)))
            batch.put(keys.SYSTEM + b"state", pack_state({"log": list(FIRST), "oid": 1, "epoch": 1, "databases": {}}))
            engine.write(batch)
            if self.path is not None:
                sync_directory(self.path)
        elif len(raw) != 4:
            raise BadFormat("the store's format record is not a version number")
        elif unpack_u32(raw) > FORMAT:
            raise BadFormat(f"the store has format {unpack_u32(raw)}; this diskkv knows formats up to {FORMAT}")
        elif unpack_u32(raw) < FORMAT:
            batch = engine.batch(sync=True)
            batch.put(keys.SYSTEM + b"format", pack_u32(FORMAT))
            engine.write(batch)
        seed = engine.get(keys.SYSTEM + b"seed")
        if seed is None:
            raise BadFormat("the store has no seed record")
        self.identity = ((keys.SYSTEM + b"format", pack_u32(FORMAT)), (keys.SYSTEM + b"seed", seed))
        self.hash32 = keys.member_hasher(unpack_u64(seed))
        self.hash128 = keys.message_hasher(unpack_u64(seed))

    def _recover(self, stop: Position | None = None) -> None:
        """Become what the engine and the log, up to `stop` if given, together say. Forgets everything in memory first."""
        raw = self.engine.get(keys.SYSTEM + b"state")
        if raw is None:
            raise BadFormat("the store has no state record")
        state = unpack_state(raw)
        if self.path is not None and state.get("losses") and not self.engine.noted_losses():
            raise Damaged(f"{self.path}: the notes of which records are lost are gone")
        self.cache.clear()
        self.cache.pinned_from = self.stamp
        self.expiry.clear()
        self.dirty.clear()
        self.large.clear()
        self.dead.clear()
        self.erased.clear()
        self.documents.load(self.engine)
        self.graves.forget_databases()
        self.backlog.clear()
        self.log.parts.clear()
        self._next_oid = state["oid"]
        self._next_epoch = state["epoch"]
        described = state["databases"]
        count = max([self._numbers, *(number + 1 for number, (_, keys_, _) in described.items() if keys_)])
        for number in range(count):
            epoch, size, expiring = described.get(number, (0, 0, 0))
            # Sessions hold on to the databases that there are: they are reset, not replaced.
            if number == len(self.databases):
                self.databases.append(Database(self))
            self.databases[number].reset(epoch or self.new_epoch(), size, expiring, doubtful=number in state.get("doubtful", ()))
        start = Position(*state["log"])
        reader = LogReader(self.log.path, start, stop) if self.path is not None else None
        if reader is not None:
            self.replaying = True
            self.readahead = ReadAhead(self.engine, self.cache.budget // 8)
            # Replay makes objects by the hundred thousand and no cycles: the collector would only walk over them.
            collecting = gc.isenabled()
            gc.disable()
            began = perf_ns()
            try:
                for tick in reader:
                    self._apply(tick)
            except ReplayAgain:
                self._recover(stop)
                return
            finally:
                self.replaying, self.readahead = False, None
                self.backlog.work = perf_ns() - began
                if collecting:
                    gc.enable()
            if stop is None:
                self.log.start(reader.end, reader.before)
        self.ready_keys.clear()
        self.tick()

    def close(self) -> None:
        """Write everything to the engine and release the store. A second call does nothing.

        StoreError when the end of the log may not be on the disk; the store is released all the same.
        """
        if self._closed:
            return
        self._closed = True
        self.keeper.stop()
        for end in self.before_close:
            end()
        with self.lock:
            for call in self.at_close:
                call()
            if self.held:
                # A script is in the middle of it: what it has done so far never was.
                self.held = False
                self.log.forget()
                self._go_back()
            if self.failed is None:
                with contextlib.suppress(LogFailed):
                    self.commit()
            self.complaints.end()
            self.writer.finish()
            if self.failed is None and self.writer.error is None:
                self.writer.freeze()
                self.writer.finish()
            landed = self.failed is None and self.writer.error is None
        self.writer.stop()
        try:
            self.log.close()
        except OSError as error:
            if not landed:
                raise StoreError(f"the log can't be put on the disk: {error}") from None
            journal.warning("the log can't be put on the disk, but all that it says is in the engine: %(error)s", {"error": error})
        finally:
            self.engine.close()
            if self._lock_file >= 0:
                os.close(self._lock_file)
                self._lock_file = -1

    def checkpoint(self) -> None:
        """Write everything dirty to the engine now, and wait for it. StoreError when that fails. REQUIRES: the lock, given up meanwhile."""
        self.commit()
        self.writer.finish()
        self.writer.freeze()
        self.writer.finish()
        if self.lost is not None or self.writer.error is not None:
            raise StoreError(f"the checkpoint failed: {self.lost or self.writer.error}")

    def reload(self, *, checkpoint: bool) -> None:
        """Forget all that is in memory and read the store anew, from the tree alone when there is to be a `checkpoint` first.

        StoreError when that fails: nothing is forgotten then, or `lost` says why. REQUIRES: the lock, given up meanwhile.
        """
        if checkpoint:
            self.checkpoint()
        else:
            self.commit()
        # What is replayed is no change: nothing of it is to be logged again.
        changes = self.changes
        try:
            self._go_back()
        finally:
            self.changes = changes

    # -- a tick

    def tick(self) -> None:
        """A front begins to execute commands: fix the clock. `moment` is when the second began: one object, which all look-ups note."""
        self.now = now = self.clock()
        if not 0 <= now - self.moment < 1000:
            self.moment = now - now % 1000

    def commit(self) -> None:
        """End a tick: log what changed, begin a checkpoint when one is due, keep the budget.

        LogFailed when the log can't be written: everything since the last commit has then been undone.
        """
        log = self.log
        if self.held:
            return
        try:
            self.engine.confirm()
        except Damaged as error:
            self.complaints.make("what was found absent may not be: %(error)s", {"error": error}, level=logging.CRITICAL)
            self.spoiled = "looking up a key"
        if self.spoiled is not None:
            self._undo_spoiled()
        if log.parts:
            count = len(log.parts) + log.merged
            self.writer.recorded += count
            self.backlog.commands += count
            try:
                log.commit()
            except OSError as error:
                self._undo(os.strerror(error.errno or 0))
            writer = self.writer
            if writer.packing:
                writer.keep_up()
            elif writer.due() and writer.readying.go_on(count):
                writer.freeze()
        if log.sync_asked:
            log.sync_asked = False
            try:
                log.sync()
            except OSError as error:
                self._undo(os.strerror(error.errno or 0))
        if self.cache.used > self.cache.budget:
            self.cache.trim_some()
        if self.graves.plenty():
            self.graves.relieve()
        if self.on_commit is not None:
            self.on_commit()

    def hold(self, mark: int) -> bool:
        """What was recorded since the log held `mark` parts is half of something: nothing is committed, frozen or expired from now on.

        What stood before is logged now. False when that failed: the tick's commit will say so, and undo everything.
        """
        log = self.log
        begun = log.parts[mark:]
        del log.parts[mark:]
        if log.parts:
            before = list(log.parts)
            try:
                log.commit()
            except OSError:
                log.parts[:0] = before + begun
                self.spoiled = "writing the log"
                return False
        log.parts.extend(begun)
        self.held = True
        return True

    def record(self, number: int, argv: Sequence[bytes]) -> None:
        """Have the next commit log a change: a command in its deterministic form, made in database `number`."""
        log = self.log
        if log.database != number:
            log.database = number
            log.parts.append((b"SELECT", b"%d" % number))
        log.parts.append(argv)

    def _undo(self, reason: str) -> None:
        self.failed = reason
        self.failures += 1
        self._probe_at = self.clock() + PROBE_MS
        self.complaints.make("the log can't be written, the last changes were undone: %(error)s", {"error": reason})
        self._go_back()
        raise LogFailed(reason)

    def _undo_spoiled(self) -> None:
        self.complaints.make("%(command)s failed halfway, the last changes were undone", {"command": self.spoiled})
        self.spoiled = None
        self.log.forget()
        self._go_back()
        raise Undone

    def _go_back(self) -> None:
        """Become what the engine and the log say: everything since the last commit is undone. Without them the store is `lost`."""
        self.recovering = True
        try:
            self.writer.finish()
            self._recover(self.log.position())
            if self.on_undone is not None:
                self.on_undone()
        except Exception as error:
            self.failed = self.lost = f"{error}; restart, or save what can be read with `diskkv repair`"
            journal.critical("the store can't be read anew, nothing is served any more: %(error)s", {"error": error})
            raise StoreError(self.lost) from error
        finally:
            self.recovering = False
            self.landed.notify_all()
        # Not before: whoever is told of it may begin a tick, which waits for the recovery.
        if self.listener is not None:
            self.listener.undone()

    def admit(self) -> None:
        """Refuse writes while the log can't be written: LogFailed. Tries now and then whether it can again."""
        reason = self.failed or self.log.sync_error
        if reason is None:
            return
        if self.recovering or self.lost is not None:
            raise LogFailed(reason)
        if self.failed is not None and self.clock() >= self._probe_at:
            self._probe_at = self.clock() + PROBE_MS
            try:
                self.log.probe()
            except OSError as error:
                self.failed = reason = os.strerror(error.errno or 0)
            else:
                self.failed = None
                journal.warning("the log can be written again")
                return
        raise LogFailed(reason)

    def wait_until_recovered(self) -> None:
        """Another thread's tick is being undone, which may give up the lock meanwhile: nobody is to see what will not have been."""
        while self.recovering:
            self.landed.wait()

    def wait_for_room(self) -> None:
        """Wait while too much is not yet in the engine, if that can be written. REQUIRES: no tick is open; the lock, given up meanwhile."""
        writer = self.writer
        writer.awaited += 1
        try:
            while writer.backlogged() and self.failed is None and not writer.stuck:
                if not writer.active and not writer.healing and not self.log.parts and not self.held:
                    writer.freeze()
                # With a limit, because an engine that has to be opened anew first lets nothing land meanwhile.
                self.landed.wait(0.05)
        finally:
            writer.awaited -= 1

    # -- what objects need

    def stamp_value(self, value: Value) -> None:
        """A value is about to change for the first time since the last freeze, or for the first time at all."""
        if not value.linked:
            value.db.link(value)
            self.changes -= 1
            return
        self.writer.secure(value)
        value.stamp = self.stamp
        self.dirty.append(value)
        if value.oid:
            self.large.append(value)
        elif value.weight > HEFTY:
            self.backlog.pinned += value.weight

    def new_oid(self) -> int:
        """An object id that was never used before."""
        self._next_oid += 1
        return self._next_oid - 1

    def new_epoch(self) -> int:
        """A database epoch that was never used before."""
        self._next_epoch += 1
        return self._next_epoch - 1

    def state(self, position: Position) -> dict[str, Any]:
        """The state record for a checkpoint at a log position."""
        return {
            "log": list(position),
            "oid": self._next_oid,
            "epoch": self._next_epoch,
            "databases": {number: [db.epoch, db.count, db.expiring] for number, db in enumerate(self.databases)},
            # The engine knows which, and is asked for it when the store is opened.
            "losses": self.engine.noted_losses(),
            "doubtful": [number for number, db in enumerate(self.databases) if db.doubtful],
        }

    def expire(self, db: Database, value: Value) -> None:
        """Delete a key whose time has come, and log it as the DEL it amounts to."""
        key = value.key
        # Not a change by the command that came across it: if that fails or only reads, it is not to be logged.
        changes = self.changes
        db.remove(value)
        self.changes = changes
        self.expired += 1
        self.record(self.databases.index(db), (b"DEL", key))
        if self.listener is not None:
            self.listener.expired(db, key)

    def expire_parts(self, db: Database, value: Value, limit: int | None = None) -> bool:
        """Have the parts of a `timed` value expire whose time has come, `limit` at most, and log it. True when nothing is left of it."""
        due = value.due()
        if due is None or due > self.now or self.replaying:
            return False
        # As above, not a change by the command.
        changes = self.changes
        count, effects = value.fade(self.now, limit)
        self.changes = changes
        self.expired_parts += count
        if count and self.listener is not None:
            self.listener.faded(db, value.key)
        for effect in effects:
            self.record(self.databases.index(db), effect)
        return not value.linked

    def bury(self, value: Value) -> None:
        """A value is dead: have its records deleted and its memory freed, little by little."""
        if value.oid:
            self.dead.append(keys.garbage_object(value.oid))
            self.graves.add(value, value.weight)

    def free_later(self, dead: Value, weight: int) -> None:
        """Nobody holds a value of that weight any more: free its memory little by little, because a huge dict freed at once stops
        everything."""
        self.graves.add(dead, weight)

    def bury_database(self, db: Database) -> None:
        """All of a database is dead (before it gets a new epoch)."""
        # The reclaimer finds the objects by the epoch's meta records. Those that were moved here may have none in the engine.
        for value in (*self.dirty, *self.writer.frozen):
            if value.db is db and value.oid and value.linked:
                self.dead.append(keys.garbage_object(value.oid))
        self.dirty = [value for value in self.dirty if value.db is not db]
        self.large = [value for value in self.large if value.db is not db]
        self.writer.forget(db)
        self.dead.append(keys.garbage_epoch(db.epoch))
        self.graves.add(DeadDatabase(self, db.objects))

    def ready(self, db: Database, key: bytes, *, ended: bool = False) -> None:
        """A key that somebody waits for has come to exist, or has grown; or, `ended`, its value is no longer its own."""
        self.ready_keys.append((db, key, ended))


def _no_replay(tick: bytes) -> None:
    raise StoreError("opened without a way to replay the log")
