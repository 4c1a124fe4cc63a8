"""What the store tells those who care that a key was touched or came to exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from diskkv.store.database import Database


class Watcher:
    """One client's WATCH: `touched` once any of its keys may have changed."""

    __slots__ = ("touched",)

    def __init__(self) -> None:
        self.touched = False


class Listener(Protocol):
    """Whoever wants to hear of every key. Called with the store's lock, by any thread: the keeper's expires keys."""

    def touched(self, db: Database, key: bytes) -> None:
        """The key's value is about to change, or was replaced; more than once in a command, perhaps."""

    def created(self, db: Database, key: bytes) -> None:
        """A key comes to exist."""

    def removed(self, db: Database, key: bytes) -> None:
        """A key ceases to exist."""

    def expired(self, db: Database, key: bytes) -> None:
        """The key that `removed` was just called with was removed because its time had come."""

    def faded(self, db: Database, key: bytes) -> None:
        """Parts of the key's value have just been removed, perhaps all of them, because their time had come."""

    def missed(self, db: Database, key: bytes) -> None:
        """A key was looked up for reading and is not there."""

    def undone(self) -> None:
        """Changes that were heard of have been undone."""
