"""The keeper: a thread that expires keys at their millisecond, frees dead memory, and sweeps the cache's queues."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from diskkv.errors import LogFailed, StoreError

if TYPE_CHECKING:
    from diskkv.store.store import Store

journal = logging.getLogger("diskkv")

# How many entries one round expires or frees under the lock: about a millisecond.
STEPS = 200
REST = 0.1


class Keeper:
    """Keeps house in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread: threading.Thread | None = None
        self._stop = False
        self._wake = threading.Event()
        # when it will look again, in ms
        self.due = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="diskkv-keeper", daemon=True)
        self._thread.start()

    def rouse(self) -> None:
        """Something is due sooner than the keeper knows."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread. Called without the lock."""
        self._stop = self._store.graves.ended = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        store = self._store
        rest = REST
        while True:
            self._wake.wait(rest)
            self._wake.clear()
            if self._stop:
                return
            rest = REST
            with store.lock:
                try:
                    if store.held:
                        rest = REST
                    elif store.log.parts:
                        rest = 0.001  # a front is in the middle of a tick, which is soon over
                    elif store.failed is None:
                        rest = self._expire()
                        for chore in store.chores:
                            chore()
                except (StoreError, OSError) as error:
                    journal.error("expiring keys failed, will try again: %(error)s", {"error": error})
                store.cache.sweep(STEPS)
                self.due = store.clock() + int(rest * 1000)
            if store.graves.work(STEPS):
                rest = 0 if store.graves.plenty() else min(rest, 0.0005)

    def _expire(self) -> float:
        """Expire what is due; for how many seconds there is nothing more to do."""
        store = self._store
        rest = REST
        store.tick()
        if store.expiry.due(store.now, STEPS) == STEPS:
            rest = 0.0005
        with contextlib.suppress(LogFailed):
            store.commit()
        following = store.expiry.next()
        if following is not None:
            rest = min(rest, max(0.0005, (following - store.clock()) / 1000))
        return rest
