"""The checkpoint: what is dirty goes from memory into the engine.

1. `freeze`, under the lock at a tick's end: the dirty values become the frozen ones, large objects hand over what changed in them, and
   the log position is noted. It costs the same however large the objects are.
2. The frozen values are encoded, a few at the end of each tick, or by the writer's thread when ticks are rare; one that a command is
   about to change is encoded by that command first (`secure`). So the batch is the exact state at the noted position. What the large
   objects handed over is packed in the same way.
3. Without the lock, the thread writes the one atomic batch, the log position in it.
4. `land`, under the lock: what flew is clean, and the log's older segments go.

A batch that can't be written is kept and tried again, by reopening the engine once there is room; meanwhile the log goes on, until
it has grown so far that writers must wait.

Stamps say where a value stands. `Store.stamp` is an even number that grows by two with each freeze; a changed value carries it. A value
whose stamp is `frozen_stamp` is frozen and not yet encoded; encoding adds one. Those from `Cache.pinned_from` on are ahead of the
engine and stay resident. So the second change of a value between two checkpoints costs one comparison.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from diskkv.clock import monotonic, perf_ns, sleep
from diskkv.errors import Damaged, StoreError
from diskkv.format import keys
from diskkv.format.meta import decode, pack_state
from diskkv.format.ordered import unpack_u32
from diskkv.store.log import Position
from diskkv.store.quarantine import supplant
from diskkv.store.readying import Readying
from diskkv.store.reclaim import Reclaimer
from diskkv.store.value import UNKNOWN

if TYPE_CHECKING:
    from diskkv.store.database import Database
    from diskkv.store.store import Store
    from diskkv.store.value import Value

# A checkpoint begins when it is so long since the last, if not sooner because of what has gathered; see backlog.py.
SECONDS = 5.0
# When nobody writes, what is dirty need not wait so long.
IDLE_SECONDS = 1.0
# Keys encoded at a time, at the end of a tick: about 0.1 ms. The thread does it only when ticks are rare or all writers wait, because two
# threads that both want the interpreter cost more than the encoding itself: each that gives it up, as for every system call, gets it back
# after 0.2 ms, and after 30 where the other gives it up for a moment with every record, as the engine's batch does. So the thread does it
# under the lock, SLICES at a time: who holds the lock has the interpreter for himself.
SLICE = 96
SLICES = 8
# While all writers wait for it and others ask for much, it may go on by what it has waited for the lock longer than this, in ns.
FAIR = 20_000_000
# A tick of many commands encodes twice as many keys, up to this: else ticks of 800 fill the backlog before the checkpoint is encoded.
MOST = 2000
# Records of large objects are packed so many at a time, for as long as so many keys are taken to need, in ns: some are larger than others.
RECORDS = 16
KEY_TIME = 1_200
# How long the thread leaves it to the ticks, in seconds; if there were none meanwhile; and if all writers wait.
PATIENCE = 0.01
LEISURE = 0.002
HURRY = 0.0001
# How long the thread rests before it looks again whether a checkpoint can begin that large objects make themselves ready for.
BREATH = 0.0003
# Of the values that a checkpoint has written, so many are forgotten in a row.
FORGOTTEN = 2000
RETRY_SECONDS = 0.5
REOPENINGS = 4
# Damage does not go away by itself: LevelDB meets it again with its next compaction. Trying again takes longer each time, up to this.
DAMAGED_SECONDS = 60.0
# What opening the engine anew may write, besides a write buffer: better not to try with less, because it has to be closed for it.
ROOM_TO_REOPEN = 1 << 20

journal = logging.getLogger("diskkv")

Flight = tuple[bytes, Callable[[dict[Any, Any]], Iterator[tuple[bytes, "bytes | None"]]], dict[Any, Any]]


@dataclass(frozen=True, slots=True)
class WriterStatistics:
    active: bool
    checkpoints: int
    failed: int
    last_ms: int
    pending: int


class Writer:
    """Carries out checkpoints on a thread of its own. Methods require the store's lock unless they say otherwise."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.active = False
        # an active checkpoint has frozen values that are not encoded yet; flights that are not packed yet, or such values
        self.encoding = self.packing = False
        # after a failure, until the engine has been opened anew: no checkpoint may begin
        self.healing = False
        self.error: str | None = None
        # how many checkpoints have failed since the last that landed, or have been waiting for room in vain
        self._setbacks = 0
        # how long the thread rests after a failure, and until when nothing is reclaimed
        self._rest = 0.0
        # the last failure was damage, which may be taken out of the engine's way
        self._damaged = False
        # how many wait for the checkpoint and do nothing else meanwhile
        self.awaited = 0
        # writers have been told to wait for the checkpoint that is under way
        self._crowded = False
        self._reclaim_from = float("-inf")
        # how many large objects the last checkpoint has taken something from
        self.handed = 0
        self.readying = Readying(store)
        # how many commands have been logged
        self.recorded = 0
        # how many of those that are ahead of the engine had been executed when something was last encoded for them
        self.keeping_up_with = 0
        self.checkpoints = 0
        self.failures = 0
        self.last_ms = 0
        self.landed_at = store.clock()
        self.reclaimer = Reclaimer(store)
        self.frozen: list[Value] = []
        self.frozen_stamp = -1
        self._at = 0
        self._batch: Any = None
        self._flights: deque[Flight] = deque()
        # what is left of the flight that is being packed
        self._prefix = b""
        self._made: Iterator[tuple[bytes, bytes | None]] = iter(())
        self._values: list[Value] = []
        self._dead: list[bytes] = []
        self._erased: list[bytes] = []
        self._position = Position(0, 0)
        self._makes_up = False
        self._since = monotonic()
        self._ticks = 0
        self._wake = threading.Event()
        self._encoded = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._errands: deque[Callable[[], None]] = deque()

    # -- for the store

    def undisturbed(self, errand: Callable[[], None]) -> None:
        """Have the thread run something soon, while nothing is written to the engine. May be called without the lock."""
        self._errands.append(errand)
        self._wake.set()

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="diskkv-writer", daemon=True)
        self._thread.start()

    def due(self) -> bool:
        """Whether enough is dirty for a checkpoint to begin."""
        return not self.active and self._store.backlog.due()

    @property
    def stuck(self) -> bool:
        """Whether nobody knows when the engine can be written again. After a first failure it is likely to be soon: LevelDB goes on telling
        of a full disk that it has met in the background, long after there was room again, until it is opened anew."""
        return self.healing and (self._setbacks > 1 or self._rest > RETRY_SECONDS)

    def backlogged(self) -> bool:
        """Whether so much waits for the engine that writers must wait, too."""
        if not self.active and not self.healing and self.error is None:
            # What is due begins at the end of the tick: no more than that can have gathered.
            return False
        if not self._crowded or not self.active:
            # It stays so until the checkpoint has landed, which does not rest any more.
            self._crowded = self._store.backlog.full()
        return self._crowded

    def freeze(self) -> None:
        """Begin a checkpoint of the state as it is now, unless the engine is out of order.

        REQUIRES: none is active, and the log has been committed.
        """
        assert not self.active, "one would take the other's place, and what that had taken over would be lost"
        store = self._store
        if self.healing or store.lost is not None:
            return
        store.log.rotate()
        try:
            self._take()
        except Exception as error:
            journal.exception("a checkpoint could not begin")
            self._grow_tired(error)
            self._give_back(str(error))
            return
        self._encoded.clear()
        self._crowded = False
        self.active = self.encoding = self.packing = True
        self._since = monotonic()
        self._wake.set()

    def _take(self) -> None:
        """Take over what is dirty, and begin the batch."""
        store = self._store
        self.keeping_up_with = 0
        store.backlog.begin()
        self.frozen, store.dirty = store.dirty, []
        self.frozen_stamp = store.stamp
        store.stamp += 2
        self._at = 0
        # Each once, however often it came in: handing over twice would forget what was handed over first.
        large, store.large = dict.fromkeys(store.large), []
        self.handed = len(large)
        self.readying.forget()
        for value in large:
            if value.linked:
                self._freeze(value)
        self._dead, store.dead = store.dead, []
        self._erased, store.erased = store.erased, []
        self._position = store.log.position()
        self._makes_up = store.log.sync_error is not None
        store.backlog.take()
        self._batch = batch = store.engine.batch(sync=True)
        # Of a database that is still there, the key's value sees to its records itself.
        living = {db.epoch for db in store.databases}
        for raw in self._erased:
            if unpack_u32(raw, 1) not in living:
                self._erase(raw)
        batch.put(keys.SYSTEM + b"state", pack_state(store.state(self._position)))
        for record in store.identity:
            batch.put(*record)
        store.documents.freeze(batch)
        for raw in self._dead:
            batch.put(raw, b"")

    def _freeze(self, value: Value) -> None:
        """Have a large object hand over what changed in it."""
        self._store.backlog.fly(value)
        try:
            flight = value.freeze()
        except Damaged as error:
            value = self._isolate(value, error)
            flight = value.freeze()
        self._values.append(value)
        self._flights.append(flight)

    def _isolate(self, value: Value, error: Damaged) -> Value:
        """A frozen value can't be encoded: have its key go into quarantine with this checkpoint."""
        isolated = supplant(value.db, value.key, str(error))
        isolated.stamp = self.frozen_stamp
        self.frozen.append(isolated)
        return isolated

    def hasten(self) -> None:
        """Have a checkpoint begin as soon as nothing is left to commit, if anything is dirty (BGREWRITEAOF)."""
        self._since = float("-inf")
        self._wake.set()

    def _erase(self, meta_key: bytes) -> None:
        """Have a meta record deleted, and the expiry record that goes with it, whatever is known of them in memory."""
        try:
            raw = self._store.engine.get(meta_key)
        except Damaged:
            self._batch.delete(meta_key)
            return
        if raw is None:
            return
        self._batch.delete(meta_key)
        expire = decode(raw).wakes()
        if expire:
            self._batch.delete(keys.expiry_key(expire, unpack_u32(meta_key, 1), meta_key[5:]))

    def secure(self, value: Value) -> None:
        """A command is about to change or replace a value: if it is frozen, encode it as it is."""
        if value.stamp == self.frozen_stamp:
            value.save(self._batch)
            value.stamp += 1

    def encode_all(self) -> None:
        """Encode everything frozen now: a command is about to change all keys."""
        while self.encoding:
            self.step()

    def pack_all(self) -> None:
        """Encode and pack everything now: all wait for it."""
        while self.packing:
            self.step(MOST)

    def forget(self, db: Database) -> None:
        """All of a database is dead: should the checkpoint fail, nothing of it is dirty again. REQUIRES: nothing is left to encode."""
        self.frozen = [value for value in self.frozen if value.db is not db]
        self._values = [value for value in self._values if value.db is not db]

    def keep_up(self) -> None:
        """A tick has ended: encode so much that the checkpoint is done before as much is ahead of the engine again. REQUIRES: `packing`."""
        executed = self._store.backlog.commands
        self.step(executed - self.keeping_up_with)
        self.keeping_up_with = executed

    def step(self, commands: int = 0) -> None:
        """Encode a few of the frozen keys, then of what large objects handed over; more when there were many commands. REQUIRES: `packing`:
        a checkpoint is active and not all is in its batch."""
        many = min(max(SLICE, 2 * commands), MOST)
        try:
            if self.encoding:
                self._encode(many)
            else:
                self._pack(many * KEY_TIME)
        except Exception as error:
            journal.exception("a value can't be encoded")
            self._grow_tired(error)
            self._give_back(str(error))

    def _encode(self, many: int) -> None:
        """Encode so many of the frozen values."""
        at, stamp, batch = self._at, self.frozen_stamp, self._batch
        for value in self.frozen[at : at + many]:
            if value.stamp == stamp and value.linked:
                try:
                    value.save(batch)
                except Damaged as error:
                    value = self._isolate(value, error)
                    value.save(batch)
                value.stamp = stamp + 1
        self._at = at + many
        if self._at >= len(self.frozen):
            self.frozen_stamp = -1
            self.encoding = False
            if not self._flights:
                self._packed()

    def _pack(self, time: int) -> None:
        """Put records that large objects handed over into the batch, for so many ns."""
        put, delete = self._batch.put, self._batch.delete
        until = perf_ns() + time
        while perf_ns() < until:
            prefix = self._prefix
            part = list(islice(self._made, RECORDS))
            for sub, value in part:
                if value is None:
                    delete(prefix + sub)
                else:
                    put(prefix + sub, value)
            if not part:
                if not self._flights:
                    self._packed()
                    return
                self._prefix, records, changes = self._flights.popleft()
                self._made = records(changes)

    def _packed(self) -> None:
        """All is in the batch."""
        self.packing = False
        self._made = iter(())
        self._encoded.set()

    def finish(self, *, hurried: bool = True) -> None:
        """Wait until no checkpoint is active. Gives up the lock while it waits. Not `hurried`: others are not to be kept waiting for it."""
        self.awaited += hurried
        try:
            if hurried:
                self.pack_all()
            else:
                self.encode_all()
            while self.active:
                self._store.landed.wait()
        finally:
            self.awaited -= hurried

    def stop(self) -> None:
        """End the thread, after a checkpoint that is under way. Called without the lock."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def statistics(self) -> WriterStatistics:
        return WriterStatistics(self.active, self.checkpoints, self.failures, self.last_ms, self._store.backlog.pending)

    # -- the thread; nothing here holds the lock but where it says so

    def _run(self) -> None:
        store = self._store
        while True:
            reclaims = self.reclaimer.pending() and monotonic() >= self._reclaim_from
            if not self._stopping:
                self._wake.wait(0.0 if reclaims else 1.0)
            self._wake.clear()
            if self.healing:
                self._heal()
            store.engine.tidy()
            if not self.active:
                if self._stopping:
                    return
                self._begin_after_rest()
            if self.active:
                self._carry_out()
            # However fast one checkpoint follows the other, what else there is to do has its turn between them.
            if self._errands:
                self._errands.popleft()()
                self._wake.set()
            elif reclaims:
                try:
                    self.reclaimer.step()
                except (StoreError, OSError) as error:
                    journal.error("reclaiming space failed, will try again: %(error)s", {"error": error})
                    self._grow_tired(error)
                    self._reclaim_from = monotonic() + max(self._rest, RETRY_SECONDS)

    def _grow_tired(self, error: Exception) -> None:
        """Rest longer after each failure that will not go away by itself."""
        self._damaged = isinstance(error, Damaged)
        self._rest = min(max(2 * self._rest, RETRY_SECONDS), DAMAGED_SECONDS) if isinstance(error, Damaged) else RETRY_SECONDS

    def _begin_after_rest(self) -> None:
        store = self._store
        try:
            store.log.prepare()
        except OSError as error:
            journal.warning("no new log segment, going on in the old one: %(error)s", {"error": error})
        with store.lock:
            doubtful = store.log.sync_error is not None
            dirty = store.dirty or store.dead or store.documents.dirty or doubtful
            idle = store.log.ticks == self._ticks and monotonic() - self._since >= IDLE_SECONDS
            self._ticks = store.log.ticks
            rested = doubtful or idle or monotonic() - self._since >= SECONDS
            if dirty and not self.active and not (store.log.parts or store.held or store.recovering) and (rested or self.due()):
                if self.readying.go_on():
                    self.freeze()
                else:
                    self._wake.set()
        if not self.active and self._wake.is_set():
            sleep(BREATH)

    def _carry_out(self) -> None:
        started = monotonic()
        store = self._store
        try:
            self._help()
            batch = self._batch
            if batch is None:
                # A value could not be encoded: all was given back.
                return
            if self._position.offset:
                # The engine must not be ahead of the log on the disk: after a loss of power the position would lie behind its end.
                store.log.sync()
            store.engine.write(batch)
            if store.documents.renews:
                store.engine.settle(keys.SYSTEM, keys.after(keys.SYSTEM))
        except Exception as error:
            # Whatever it is: without this thread the store would come to a standstill.
            if not isinstance(error, (StoreError, OSError)):
                journal.exception("internal error in a checkpoint")
            self._grow_tired(error)
            self._failed(str(error))
            return
        with store.lock:
            # Not that of a checkpoint which begins as soon as the lock is free: the log from here on is needed until that one has landed.
            encoded, position = self.frozen, self._position
            self._land()
            self.last_ms = int((monotonic() - started) * 1000)
            store.landed.notify_all()
        store.engine.tidy()
        # To forget 100,000 values takes 20 ms, for each is far from the processor: let the others have the interpreter in between.
        while encoded:
            del encoded[-FORGOTTEN:]
            sleep(0.001)
        try:
            store.log.drop_before(position.segment)
        except OSError as error:
            journal.error("an old log segment can't be deleted: %(error)s", {"error": error})

    def _help(self) -> None:
        """Wait until the batch is whole; what ticks do not put into it soon is put there here."""
        store = self._store
        patience, ticks = PATIENCE, store.log.ticks
        while not self._encoded.wait(patience):
            asked = perf_ns()
            with store.lock:
                begun = perf_ns()
                until = begun + (begun - asked - FAIR if patience == HURRY else 0)
                steps = SLICES
                while self.packing and (steps > 0 or perf_ns() < until):
                    self.step()
                    steps -= 1
                # There is no tick that would encode anything while all writers wait for this.
                patience = HURRY if self.awaited or self.backlogged() else PATIENCE if ticks != store.log.ticks else LEISURE
                ticks = store.log.ticks

    def _land(self) -> None:
        self._store.cache.pinned_from = self._store.stamp
        for value in self._values:
            value.landed()
        self.reclaimer.add(self._dead)
        self._forget_flight()
        self._store.backlog.land()
        self.checkpoints += 1
        self._setbacks = 0
        self.landed_at = self._store.clock()
        self.error = None
        if self._makes_up:
            self._store.log.sync_error = None

    def _forget_flight(self) -> None:
        self._batch, self._flights, self._values, self._dead, self._erased, self.frozen = None, deque(), [], [], [], []
        self._made = iter(())
        self.frozen_stamp = -1
        self.active = self.encoding = self.packing = False

    def _failed(self, reason: str) -> None:
        """The batch was not written, as far as is known."""
        journal.error("a checkpoint failed, the log goes on and it will be tried again: %(error)s", {"error": reason})
        with self._store.lock:
            self._give_back(reason)

    def _give_back(self, reason: str) -> None:
        """No batch came of it: all that was taken over is dirty again. The thread will open the engine anew."""
        store = self._store
        # What encoding noted as saved may not be, for these and for what has taken their places since.
        for value in self.frozen:
            if value.linked and value.stamp != store.stamp:
                value.stamp = store.stamp
                store.dirty.append(value)
        for value in store.dirty:
            value.saved = UNKNOWN
        for value in self._values:
            value.give_back()
            if value.linked:
                store.large.append(value)
        store.dead = self._dead + store.dead
        store.erased = self._erased + store.erased
        store.documents.give_back()
        store.cache.pinned_from = store.stamp
        self._forget_flight()
        store.backlog.give_back()
        self.failures += 1
        self._setbacks += 1
        self.error = reason
        self.healing = True
        self._encoded.set()
        self._wake.set()
        store.landed.notify_all()

    def _reopen(self) -> None:
        """Open the engine anew. As long as that has not been done nothing can be read, so it is tried more than once."""
        for left in reversed(range(REOPENINGS)):
            try:
                self._store.engine.reopen()
                return
            except (StoreError, OSError):
                if not left:
                    raise

    def _heal(self) -> None:
        """Wait for room and open the engine anew: after a failed write LevelDB refuses all others."""
        store = self._store
        while not self._stopping:
            # `freeze` and `hasten` wake the thread, too: that may not shorten the rest.
            self._wake.clear()
            self._wake.wait(max(self._rest, RETRY_SECONDS))
            self._wake.clear()
            store.engine.tidy()
            try:
                store.log.probe(store.sizes.write_buffer + ROOM_TO_REOPEN)
                if self._damaged and store.engine.diagnose():
                    self._rest = 0.0
                with store.lock:
                    self._reopen()
                    if store.engine.noted_losses():
                        store.documents.renew()
                    self.healing = False
                    store.landed.notify_all()
                return
            except (StoreError, OSError) as error:
                with store.lock:
                    store.complaints.make("still no way to write: %(error)s", {"error": error})
                    self._setbacks += 1
                    store.landed.notify_all()
