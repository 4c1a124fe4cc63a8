"""Content into a store that this process has opened, past the log.

What comes in goes to the engine by checkpoints alone, one each time enough is dirty: the log would hold all of it a second time. So
what a crash leaves is the state of the last checkpoint, with every key whole but perhaps the one that was just coming in. Doing it
all again is always right: a key replaces whatever stands under its name.
"""

from __future__ import annotations

from collections.abc import Callable

from diskkv.errors import StoreError
from diskkv.rdb.content import Key
from diskkv.store.store import Store
from diskkv.transfer.report import Report
from diskkv.transfer.values import put

# What a key costs in memory besides its value.
KEY_COST = 600


class Loader:
    """Puts keys into a store. Its methods take the store's lock and give it up."""

    def __init__(self, store: Store, report: Report, wanted: Callable[[int, bytes], bool] | None = None) -> None:
        self._store = store
        self._report = report
        self._wanted = wanted
        self._dirty = 0
        self._limit = store.sizes.dirty

    def take(self, key: Key) -> None:
        """Put one key in, if it is wanted and has not expired."""
        store, report = self._store, self._report
        if self._wanted is not None and not self._wanted(key.db, key.name):
            for _ in key.content.parts:
                pass
            report.filtered += 1
            return
        if key.expire is not None and key.expire <= store.now:
            for _ in key.content.parts:
                pass
            report.expired += 1
            return
        if key.db >= len(store.databases):
            raise StoreError(f"there is no database {key.db}: --databases allows for more")
        with store.lock:
            db = store.databases[key.db]
            value = put(db, key.name, key.content, self.grown)
            if key.expire is not None:
                db.set_expire(value, key.expire)
            if key.idle is not None:
                value.seen = store.now - 1000 * key.idle
            report.keys += 1
            self._dirty += value.weight if value.oid == 0 else KEY_COST
            if self._dirty >= self._limit:
                self.flush()

    def grown(self, size: int) -> None:
        """So many bytes of memory have come in. REQUIRES: the lock, which is given up when it is time for a checkpoint."""
        self._dirty += size
        if self._dirty >= self._limit:
            self.flush()

    def flush(self) -> None:
        """Begin a checkpoint of all that came in, after the one before has landed. REQUIRES: the lock, given up meanwhile."""
        store = self._store
        self._wait_for_graves()
        store.tick()
        store.commit()
        # Last of what gives up the lock: the writer's thread may have begun one of its own in the meantime.
        store.writer.finish()
        if store.writer.error is not None:
            raise StoreError(f"the checkpoint failed: {store.writer.error}")
        store.writer.freeze()
        store.writer.encode_all()
        self._dirty = 0

    def _wait_for_graves(self) -> None:
        """Wait until the memory of what has left it is free: the keeper, left alone, would not keep up with what comes in."""
        store = self._store
        store.graves.urgent = True
        try:
            while store.graves:
                store.keeper.rouse()
                store.landed.wait(0.002)
        finally:
            store.graves.urgent = False

    def finish(self) -> None:
        """Have everything on the disk."""
        with self._store.lock:
            self._store.checkpoint()
