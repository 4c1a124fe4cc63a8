"""All that a store contains, as plain values that can be compared."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from diskkv.store.store import Store
from diskkv.store.value import Value
from diskkv.transfer.values import production_of
from diskkv.types.arrays import Array
from diskkv.types.groups import Group
from diskkv.types.hashes import Hash
from diskkv.types.ledgers import ID_MAX
from diskkv.types.lists import List
from diskkv.types.members import Members
from diskkv.types.streams import Stream
from diskkv.types.strings import String
from diskkv.types.zsets import ZSet


def contents(store: Store) -> dict[tuple[int, bytes], tuple[str, int | None, Any]]:
    """(database, key) -> type, expiry, content; documents are in database -1."""
    found: dict[tuple[int, bytes], tuple[str, int | None, Any]] = {}
    with store.lock:
        store.tick()
        for number, db in enumerate(store.databases):
            for key in list(db.scan()):
                value = db.find(key)
                if value is not None:
                    # A hash goes on being a TimedHash for a while after its last field has lost its time.
                    kind = "Hash" if isinstance(value, Hash) else value.__class__.__name__
                    found[number, key] = (kind, value.expire, content(value))
    for name, text in store.documents.named(b"").items():
        found[-1, name] = ("document", None, text)
    return found


def content(value: Value) -> Any:
    """What is in one value."""
    if isinstance(value, String):
        return value.value()
    if isinstance(value, ZSet):
        return value.pairs_by_rank(0, len(value))
    if isinstance(value, List):
        return value.elements()
    if isinstance(value, Stream):
        groups = [group_content(each) for each in value.groups().values()]
        return value.range(0, ID_MAX), value.last, value.max_deleted, value.added, groups, production_of(value)
    if isinstance(value, Array):
        return list(value.scan()), value.cursor
    if isinstance(value, Hash):
        return {field: (data, when) for field, data, when in value.timed_items()}
    assert isinstance(value, Members)
    return dict(value.items())


def group_content(group: Group) -> Any:
    """A consumer group, but for when its consumers were seen: that may be forgotten."""
    pending = [(number, holder and holder.name, time, times) for number, holder, time, times in group.deliveries(0, ID_MAX)]
    released = [number for number, *_ in group.unowned()]
    return group.name, group.last, group.read, pending, released, {name: len(consumer) for name, consumer in group.consumers.items()}


def _manifest(path: Path) -> list[tuple[str, bytes]]:
    """What LevelDB says of its files; it changes when they do."""
    try:
        return [(file.name, file.read_bytes()) for file in sorted((path / "tree").glob("MANIFEST-*"))]
    except FileNotFoundError:
        return []


def copy_of(path: Path | str, to: Path) -> Path:
    """A copy of a store's directory as it lies there now: what a kill -9 at this moment would leave."""
    shutil.rmtree(to, ignore_errors=True)
    for attempt in range(20):
        try:
            before = _manifest(Path(path))
            shutil.copytree(path, to)
            if _manifest(Path(path)) != before:
                # A kill leaves what there is at one moment; this has parts of two.
                raise shutil.Error("the tree has changed")
            return to
        except shutil.Error:
            # LevelDB or the log deleted a file between the listing and the copying.
            shutil.rmtree(to)
            if attempt == 19:
                raise
    raise AssertionError
