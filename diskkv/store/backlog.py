"""How much is ahead of the engine: what a replay would have to do again after a crash, and what of it fills the memory.

A checkpoint begins when either is much, and writers wait when it grows faster than the checkpoint takes it away. Both are asked for at
each tick, and would be dear to find out each time. So there are two cheap sums, as large as what they stand for if not larger; only when
one has grown by half of what was left the last time, it is looked at closely. (A command of a few words counts as one, and may change
more parts of an object than it is taken for: so the sums may fall short, and a checkpoint begin late, by up to three times.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from diskkv.store.readahead import look_ups

if TYPE_CHECKING:
    from diskkv.store.store import Store
    from diskkv.store.value import Value

# A checkpoint begins when this much log, or what took so long to execute, in ns, would have to be replayed after a crash. Replay does
# about the same again. Besides it has to read each command, which takes READING, to make an object of each key, which takes MAKING, and
# to ask the engine for keys and members that were in memory then, which takes LOADING, all in ns.
LOG_BYTES = 64 << 20
LOG_WORK = 550_000_000
# However small the log is to be: so short a replay is not worth a checkpoint, and one pause of the machine would begin one.
LEAST_WORK = 20_000_000
READING = 250
MAKING = 1300
LOADING = 2500
# So much, in ns, is taken for the most that a command and a key come to. (A command of many words counts as half as many commands.)
COMMAND_TIME = READING + 2 * LOADING
KEY_TIME = MAKING + LOADING
# What a dirty object takes besides what the log takes for the changes in it.
DIRTY_BYTES = 400
# What a change in an object that is dirty already takes besides that, if it is one of another part of it.
PART_BYTES = 100
COMMAND_BYTES = 2 * PART_BYTES
# Of so many large objects it is counted how many parts of them have changed; of more, as many are taken to be like all of them.
LOOKED_AT = 64
# Writers wait once so many times as much is not yet in the engine.
PATIENCE = 1.4
# Of small elements the log tells far too little, and what is ahead of the engine can't be evicted: so a checkpoint begins, and writers
# wait, also when the cache is so full and a part of what may be dirty is.
FULL = 1.25
FULLER = 1.75
CROWDED = 16
# So much more than its budget the cache may hold before that: a small budget would have every writer wait for a checkpoint.
SLACK = 8 << 20


class Backlog:
    """What has been done since the last freeze, and what a running checkpoint has taken of it. Methods require the store's lock."""

    __slots__ = (
        "_bytes_looked", "_dirty_bytes", "_flying_bytes", "_flying_commands", "_flying_parts", "_flying_pinned", "_flying_replay",
        "_flying_work", "_full_bytes_looked", "_full_time_looked", "_landed_mark", "_log_bytes", "_log_mark", "_log_work", "_store",
        "_time_looked", "bytes", "commands", "pinned", "work",
    )  # fmt: skip

    def __init__(self, store: Store, dirty_bytes: int) -> None:
        self._store = store
        self.commands = 0
        # how long it took, in ns, to execute the commands; noted by who executes them
        self.work = 0
        # bytes of memory that the log's growth does not tell of; noted by those types that have such
        self.bytes = 0
        # bytes of objects that can't be evicted because something small in them has changed; noted by the store
        self.pinned = self._flying_pinned = 0
        self._log_mark = self._landed_mark = 0
        self._flying_commands = self._flying_work = self._flying_bytes = self._flying_replay = self._flying_parts = 0
        self.limit(log_bytes=LOG_BYTES, log_work=LOG_WORK, dirty_bytes=dirty_bytes)

    def limit(self, *, log_bytes: int | None = None, log_work: int | None = None, dirty_bytes: int | None = None) -> None:
        """What is too much: so many bytes of log, so many ns of replay, so many bytes of memory."""
        if log_bytes is not None:
            self._log_bytes = log_bytes
        if log_work is not None:
            self._log_work = log_work
        if dirty_bytes is not None:
            self._dirty_bytes = dirty_bytes
        self._look_anew()

    def _look_anew(self) -> None:
        # how large the cheap sums are when it is time for a close look
        self._time_looked, self._full_time_looked = self._log_work >> 1, self._log_work
        self._bytes_looked, self._full_bytes_looked = self._dirty_bytes >> 1, self._dirty_bytes

    def due(self) -> bool:
        """Whether so much is ahead of the engine that a checkpoint is to begin."""
        store = self._store
        commands, keys = self.commands, len(store.dirty)
        log = store.log.written - self._log_mark
        if log >= self._log_bytes:
            return True
        most = self.work + COMMAND_TIME * commands + KEY_TIME * keys
        if most >= self._time_looked:
            left = self._log_work - self._replay()
            if left <= 0:
                return True
            self._time_looked = most + (left >> 1)
        made = log + self.bytes
        most = made + DIRTY_BYTES * keys + COMMAND_BYTES * commands
        if most >= self._bytes_looked:
            left = self._dirty_bytes - self._memory(made, keys, 0)
            if left <= 0:
                return True
            self._bytes_looked = most + (left >> 1)
        return made + self.pinned >= self._dirty_bytes // CROWDED and self._overfull(FULL)

    def full(self) -> bool:
        """Whether so much is, with what a running checkpoint has taken, that writers are to wait."""
        store = self._store
        commands, keys = self.commands, len(store.dirty)
        log = store.log.written - self._landed_mark
        if log >= PATIENCE * self._log_bytes:
            return True
        most = self.work + COMMAND_TIME * commands + KEY_TIME * keys + self._flying_replay
        if most >= self._full_time_looked:
            left = int(PATIENCE * self._log_work) - self._replay() - self._flying_replay
            if left <= 0:
                return True
            self._full_time_looked = most + (left >> 1)
        made = log + self.bytes + self._flying_bytes
        keys += len(store.writer.frozen)
        most = made + DIRTY_BYTES * keys + COMMAND_BYTES * commands + PART_BYTES * self._flying_parts
        if most >= self._full_bytes_looked:
            left = int(PATIENCE * self._dirty_bytes) - self._memory(made, keys, self._flying_parts)
            if left <= 0:
                return True
            self._full_bytes_looked = most + (left >> 1)
        return made + self.pinned + self._flying_pinned >= self._dirty_bytes // CROWDED and self._overfull(FULLER)

    def _replay(self) -> int:
        """How long it would take, in ns, to do again what has been done since the last freeze."""
        store = self._store
        changed = len(store.dirty)
        count = sum([db.count for db in store.databases])
        asked = look_ups(changed, count) + self._of_large(lambda value: value.look_ups())
        return self.work + READING * self.commands + MAKING * changed + LOADING * asked

    def _memory(self, made: int, keys: int, flying: int) -> int:
        """About how many bytes of memory are ahead of the engine, if so many were made on so many keys."""
        # No more than there is, which is far less where the same keys or parts are changed again and again.
        there = self._store.cache.used + self.bytes + self._flying_bytes
        parts = self._of_large(lambda value: value.parts()) + flying
        return min(made + DIRTY_BYTES * keys, there) + PART_BYTES * parts

    def _of_large(self, number: Callable[[Value], int]) -> int:
        """The sum of a number of all large objects that have changed since the last freeze."""
        large = self._store.large
        step = len(large) // LOOKED_AT + 1
        return step * sum([number(value) for value in large[::step]])

    def _overfull(self, times: float) -> bool:
        cache = self._store.cache
        return cache.used >= max(times * cache.budget, cache.budget + SLACK)

    # -- for a replay

    def clear(self) -> None:
        """All in memory has been forgotten, and what is done again will be counted again."""
        self.commands = self.work = self.bytes = self.pinned = 0

    # -- for the checkpoint

    @property
    def pending(self) -> int:
        """How many bytes of log are only in memory and in the log."""
        return self._store.log.written - self._landed_mark

    def begin(self) -> None:
        """A checkpoint begins. Called while what is dirty still is."""
        self._flying_replay = self._replay()

    def fly(self, value: Value) -> None:
        """A large object is about to hand over what has changed in it."""
        self._flying_parts += value.parts()

    def take(self) -> None:
        """The checkpoint has taken all that there is."""
        self._flying_work, self.work = self.work, 0
        self._flying_commands, self.commands = self.commands, 0
        self._flying_bytes, self.bytes = self.bytes, 0
        self._flying_pinned, self.pinned = self.pinned, 0
        self._log_mark = self._store.log.written
        self._look_anew()

    def land(self) -> None:
        """What the checkpoint has taken is in the engine."""
        self._landed_mark = self._log_mark
        self._forget_flight()

    def give_back(self) -> None:
        """What the checkpoint has taken is not in the engine."""
        self.commands += self._flying_commands
        self.work += self._flying_work
        self.bytes += self._flying_bytes
        self.pinned += self._flying_pinned
        self._forget_flight()

    def _forget_flight(self) -> None:
        self._flying_commands = self._flying_work = self._flying_bytes = self._flying_replay = self._flying_parts = 0
        self._flying_pinned = 0
        self._look_anew()
