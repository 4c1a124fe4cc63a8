"""Two numbered databases, exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diskkv.store.store import Store


def exchange(store: Store, first: int, second: int) -> None:
    """Exchange two databases (SWAPDB)."""
    one, other = store.databases[first], store.databases[second]
    for db, target in ((one, other), (other, one)):
        for key in db.watched:
            if db.may_exist(key) or target.may_exist(key):
                db.alert(key)
    store.databases[first], store.databases[second] = other, one
    one.watched, other.watched = other.watched, one.watched
    one.awaited, other.awaited = other.awaited, one.awaited
    one.heed()
    other.heed()
    store.changes += 1
    for db in (one, other):
        for key in db.awaited:
            store.ready(db, key)
