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
from diskkv.store.value import Gone, Value

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session
    from diskkv.dispatch.table import Command

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
        before = {key: value for key in keys if (value := db.objects.get(key)) is not None and value.__class__ is not Gone}
        reply = call(session, command, argv)
        for key, old in before.items():
            value = db.objects.get(key)
            # A value in another's place has a count only if it came with one (RESTORE).
            if value is not None and value.__class__ is not Gone and (value is old or not hasattr(value, "uses")):
                value.uses = (self._risen(self.count(old)), self._minute())
        return reply

    def count(self, value: Value) -> int:
        """A value's count as of now."""
        uses: tuple[int, int] = getattr(value, "uses", (FIRST, self._minute()))
        decay: int = self._executor.settings["lfu-decay-time"]
        return max(0, uses[0] - (self._minute() - uses[1]) // decay) if decay else uses[0]

    def put(self, value: Value, count: int) -> None:
        """Give a value a count (RESTORE)."""
        value.uses = (count, self._minute())

    def _risen(self, count: int) -> int:
        if count >= MOST:
            return MOST
        factor: int = self._executor.settings["lfu-log-factor"]
        return count + (self._store.random.random() < 1 / (max(0, count - FIRST) * factor + 1))

    def _minute(self) -> int:
        return self._store.now // MINUTE
