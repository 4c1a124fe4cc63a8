"""Runs commands in process, under a clock that only moves when told to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from diskkv.app import open_executor
from diskkv.clock import ManualClock
from diskkv.config import Settings
from diskkv.dispatch.executor import Executor
from diskkv.dispatch.session import Session
from diskkv.engine import Engine
from diskkv.store.check import Finding, check, check_memory
from diskkv.store.log import Disk


class Runner:
    """`run("SET", "a", 1)` executes a command and returns its reply value (an error is returned, not raised)."""

    def __init__(
        self,
        path: Path | str,
        *,
        wrap: Callable[[Engine], Engine] | None = None,
        disk: Disk | None = None,
        clock: ManualClock | None = None,
        **settings: str,
    ) -> None:
        self.path = path
        self.clock = clock if clock is not None else ManualClock()
        self.wrap = wrap
        self.disk = disk
        self.settings = Settings(**settings)
        self.executor: Executor
        self.session: Session
        self._open()

    def _open(self) -> None:
        self.executor = open_executor(str(self.path), self.settings, clock=self.clock, engine=self.wrap, disk=self.disk)
        self.session = self.executor.open_session()

    def __call__(self, *argv: Any, session: Session | None = None) -> Any:
        return self.batch([argv], session=session)[0]

    def batch(self, commands: Iterable[Sequence[Any]], *, session: Session | None = None) -> list[Any]:
        """Execute commands in one tick; their replies. Waits before it while writers have to wait, as every front does."""
        with self.executor.store.lock:
            self.executor.store.wait_for_room()
            self.executor.begin()
            replies = []
            for argv in commands:
                words = [word if isinstance(word, bytes) else str(word).encode() for word in argv]
                replies.append(self.executor.execute(session or self.session, words))
            self.executor.store.commit()
        return replies

    def checkpoint(self) -> None:
        """Write everything dirty to the engine now."""
        store = self.executor.store
        with store.lock:
            store.checkpoint()

    def findings(self) -> list[Finding]:
        """Everything that the store finds wrong with itself, after a checkpoint."""
        store = self.executor.store
        with store.lock:
            store.checkpoint()
            # While a checkpoint lands the lock is free, and the keeper may expire keys: go on until nothing is newer than the engine.
            while store.dirty or store.dead:
                store.checkpoint()
            return [*check_memory(store), *check(store)]

    def evict(self) -> None:
        """Checkpoint, then drop everything clean from memory, so that the next look-up reads from the engine."""
        self.checkpoint()
        store = self.executor.store
        with store.lock:
            budget, store.cache.budget = store.cache.budget, 0
            store.cache.trim()
            store.cache.budget = budget

    def reopen(self) -> None:
        """Close the store and open it again."""
        self.executor.store.close()
        self._open()

    def close(self) -> None:
        self.executor.store.close()
