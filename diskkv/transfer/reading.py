"""A store as it was at a checkpoint, key by key, however long that takes and whatever is changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from diskkv.format import keys
from diskkv.format.meta import unpack_items
from diskkv.rdb.content import Key, Library, Sizes
from diskkv.store.store import Store
from diskkv.transfer.values import content_of

# A reader's own small cache: of large values it holds what it is looking at.
BUDGET = 8 << 20
# The documents that are function libraries: what they are named, and their code comes first in them.
LIBRARY = b"library:"


class Snapshot:
    """What the engine holds at this moment. REQUIRES: the store's lock while it is made. Close it when done: it costs disk space."""

    def __init__(self, store: Store) -> None:
        self._engine = store.engine.snapshot()
        try:
            self._store = Store.over(self._engine, store, BUDGET)
        except BaseException:
            self._engine.close()
            raise

    def close(self) -> None:
        self._engine.close()

    def keys(self) -> int:
        """How many keys there are in all."""
        return sum(db.count for db in self._store.databases)

    def items(self) -> Iterator[Key | Sizes | Library]:
        """The function libraries, and every key of every database but those that have expired. Before a database's first key comes
        its size."""
        store = self._store
        for raw in store.documents.named(LIBRARY).values():
            yield Library(unpack_items(raw)[0])
        for number, db in enumerate(store.databases):
            if not db.count:
                continue
            yield Sizes(number, db.count, db.expiring)
            width = len(db.prefix)
            for raw_key, raw in self._engine.scan(db.prefix, keys.after(db.prefix)):
                name = raw_key[width:]
                value = db.decode(name, raw)
                if value.expire is None or value.expire > store.now:
                    yield Key(number, name, content_of(value), value.expire)
