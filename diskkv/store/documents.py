"""The store's documents: named texts that belong to no database, such as libraries of functions. Few and small: all are in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskkv.format import keys
from diskkv.format.meta import pack_value, unpack_value

if TYPE_CHECKING:
    from diskkv.engine import Batch, Engine
    from diskkv.store.store import Store

PREFIX = keys.SYSTEM + keys.DOCUMENT


class Documents:
    """Documents by name. Whoever changes one logs the command that does it, as with keys; checkpoints carry them to the engine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._texts: dict[bytes, bytes] = {}
        self._changed: set[bytes] = set()
        self._flying: set[bytes] = set()
        # system records were lost in the engine, and the next checkpoint, or the one under way, writes all that there are
        self._renewed = False
        self.renews = False
        # another number after every change, so that what is made of documents knows when to be made anew
        self.version = 0

    def get(self, name: bytes) -> bytes | None:
        """A document, if there is one of that name."""
        return self._texts.get(name)

    def named(self, prefix: bytes) -> dict[bytes, bytes]:
        """The documents whose names begin with something, by the rest of their names."""
        return {name[len(prefix) :]: text for name, text in self._texts.items() if name.startswith(prefix)}

    def put(self, name: bytes, text: bytes | None) -> None:
        """Set a document, or with None have there be none."""
        if text is None:
            if self._texts.pop(name, None) is None:
                return
        else:
            self._texts[name] = text
        self._changed.add(name)
        self._store.changes += 1
        self.version += 1

    # -- for the store and its writer

    @property
    def dirty(self) -> bool:
        """Whether something is not in the engine, nor on its way to it."""
        return bool(self._changed) or self._renewed

    def load(self, engine: Engine) -> None:
        """Become what the engine has."""
        found = engine.scan(PREFIX, keys.after(PREFIX))
        self._texts = {key[len(PREFIX) :]: unpack_value(raw) for key, raw in found}
        self._changed.clear()
        self._flying.clear()
        self.version += 1

    def freeze(self, batch: Batch) -> None:
        """Put what has changed into a checkpoint's batch."""
        self._flying, self._changed = self._changed, set()
        self.renews, self._renewed = self._renewed, False
        for name in self._flying:
            text = self._texts.get(name)
            if text is None:
                batch.delete(PREFIX + name)
            else:
                batch.put(PREFIX + name, pack_value(text))

    def give_back(self) -> None:
        """The batch was not written."""
        self._changed |= self._flying
        self._flying = set()
        self._renewed |= self.renews

    def renew(self) -> None:
        """Have the next checkpoint write all of them."""
        self._changed |= self._texts.keys()
        self._renewed = True
