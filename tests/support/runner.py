"""Runs commands in process, under a clock that only moves when told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diskkv.app import open_executor
from diskkv.clock import ManualClock
from diskkv.config import Settings
from diskkv.dispatch.executor import Executor
from diskkv.dispatch.session import Session


class Runner:
    """`run("SET", "a", 1)` executes a command and returns its reply value (an error is returned, not raised)."""

    def __init__(self, path: Path | str, **settings: str) -> None:
        self.path = path
        self.clock = ManualClock()
        self.settings = Settings(**settings)
        self.executor: Executor
        self.session: Session
        self._open()

    def _open(self) -> None:
        self.executor = open_executor(str(self.path), self.settings, clock=self.clock)
        self.session = self.executor.open_session()

    def __call__(self, *argv: Any, session: Session | None = None) -> Any:
        words = [word if isinstance(word, bytes) else str(word).encode() for word in argv]
        with self.executor.store.lock:
            self.executor.begin()
            reply = self.executor.execute(session or self.session, words)
            self.executor.store.commit()
        return reply

    def checkpoint(self) -> None:
        """Write everything dirty to the engine now."""
        store = self.executor.store
        with store.lock:
            store.commit()
            store.writer.finish()
            store.writer.freeze()
            store.writer.finish()

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
