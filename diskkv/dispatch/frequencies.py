"""How often keys are used, as OBJECT FREQ tells it: counted only while `maxmemory-policy` names an LFU policy.

Redis' counter: of 8 bits, logarithmic (the higher it is, the less likely another use counts) and decaying with every `lfu-decay-time`
minutes. Here no eviction depends on it, so commands do not pay for it: under such a policy each command goes by `Frequencies.call`, and
under any other none does. The count lives as long as its key is in memory; one that comes from disk is as a new key. What a client in
process reads by its short ways (`client/short.py`) is not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diskkv.dispatch.positions import NoKeys, key_positions
from diskkv.store.value import Gone

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session
    from diskkv.dispatch.table import Command
    from diskkv.store.database import Database

FIRST = 5
MOST = 255
MINUTE = 60_000

Call = Callable[["Session", "Command", list[bytes]], Any]


class Frequencies:
    """The counting of one executor's keys."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._store = executor.store

    @property
    def on(self) -> bool:
        """Whether the policy is one that counts."""
        policy: str = self._executor.settings["maxmemory-policy"]
        return policy.endswith("-lfu")

    def call(self, call: Call, session: Session, command: Command, argv: list[bytes]) -> Any:
        """Call a command, and count a use of each of its keys that was there before."""
        if command.name.startswith("object|"):
            return call(session, command, argv)
        try:
            keys = [argv[position] for position in key_positions(command, argv)]
        except NoKeys:
            keys = []
        db = session.db
        uses = db.uses
        before = {
            key: (uses.get(key), self.count(db, key))
            for key in keys
            if (value := db.objects.get(key)) is not None and value.__class__ is not Gone
        }
        reply = call(session, command, argv)
        for key, (mark, count) in before.items():
            value = db.objects.get(key)
            # One that brought its count (RESTORE), or another's (RENAME), keeps that.
            if value is not None and value.__class__ is not Gone and db.uses.get(key) is mark:
                self.put(db, key, self._risen(count))
        return reply

    def count(self, db: Database, key: bytes) -> int:
        """A key's count as of now."""
        count, minute = db.uses.get(key, (FIRST, self._minute()))
        decay: int = self._executor.settings["lfu-decay-time"]
        return max(0, count - (self._minute() - minute) // decay) if decay else count

    def put(self, db: Database, key: bytes, count: int) -> None:
        """Give a key a count (RESTORE)."""
        db.uses[key] = (count, self._minute())

    def _risen(self, count: int) -> int:
        if count >= MOST:
            return MOST
        factor: int = self._executor.settings["lfu-log-factor"]
        return count + (self._store.random.random() < 1 / (max(0, count - FIRST) * factor + 1))

    def _minute(self) -> int:
        return self._store.now // MINUTE
