"""What LevelDB's manifest says that there is, and what of it is not."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from diskkv.engine.leveldb.mending import edits, records, table_names
from diskkv.engine.leveldb.writing import BLOCK, DELETED_FILE, LAST_SEQUENCE, NEW_FILE, NEXT_FILE, user_key
from diskkv.lib.directories import sizes_in

# So much of a key is named.
SHOWN = 60
LISTED = 5


class Table(NamedTuple):
    """A table that belongs to a tree: its number, its level, its size, and its first and last internal key."""

    number: int
    level: int
    size: int
    first: bytes
    last: bytes

    @property
    def low(self) -> bytes:
        """The first key."""
        return user_key(self.first)

    @property
    def high(self) -> bytes:
        """The last key."""
        return user_key(self.last)

    def __str__(self) -> str:
        return f"{self.number:06d}.ldb (records from {self.low[:SHOWN]!r} to {self.high[:SHOWN]!r})"


class Manifest:
    """Reads the manifest in use, and what is appended to it; OSError when there is none.

    It goes on with the file that it has begun with, whatever becomes of its name: LevelDB does, too.
    """

    def __init__(self, path: str) -> None:
        with open(os.path.join(path, "CURRENT"), "rb") as current:
            name = os.fsdecode(current.read().strip())
        self._file = os.open(os.path.join(path, name), os.O_RDONLY | os.O_CLOEXEC)
        self._path = path
        self._read = 0
        self._live: dict[int, Table] = {}
        # the last that was said of them: the number of the next file, and that of the last write
        self.next_file = 0
        self.last_sequence = 0

    def live(self) -> dict[int, Table]:
        """The tables that belong to the tree now. IndexError when an edit can't be read."""
        block = self._read - self._read % BLOCK
        data = os.pread(self._file, os.fstat(self._file).st_size - block, block)
        for record in records(data, self._read - block):
            for edit in edits(record.data):
                if edit.kind == NEW_FILE:
                    self._live[edit.number] = Table(edit.number, edit.level, edit.size, edit.first, edit.last)
                elif edit.kind == DELETED_FILE:
                    self._live.pop(edit.number, None)
                elif edit.kind == NEXT_FILE:
                    self.next_file = edit.number
                elif edit.kind == LAST_SEQUENCE:
                    self.last_sequence = edit.number
            self._read = block + record.end
        return self._live

    def missing(self) -> list[Table]:
        """The tables that should be there and are not. May be asked while compactions go on."""
        before = set(self.live())
        present = set(os.listdir(self._path)) if os.path.isdir(self._path) else set()
        # One that is still said to be there after the listing was so all the time: a table that has gone never comes back.
        return [table for number, table in self.live().items() if number in before and not present & table_names(number)]

    def short(self) -> list[Table]:
        """The tables whose files are shorter than they should be. REQUIRES: no compaction goes on, or what is found may be superfluous."""
        sizes = sizes_in(self._path)
        return [
            table
            for number, table in self.live().items()
            if any(sizes.get(name, table.size) < table.size for name in table_names(number))
        ]

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def listed(tables: list[Table]) -> str:
    """Some tables, in words."""
    return ", ".join(map(str, tables[:LISTED])) + (f" and {len(tables) - LISTED} more" if len(tables) > LISTED else "")


def missing_tables(path: str) -> list[Table]:
    """As `Manifest.missing`, of a tree that need not be open; none when its manifest can't be read."""
    with contextlib.suppress(OSError, ValueError, IndexError), contextlib.closing(Manifest(path)) as manifest:
        return manifest.missing()
    return []


def live_tables(path: str) -> dict[int, Table] | None:
    """The tables that belong to a tree, by number; None when its manifest can't be read."""
    with contextlib.suppress(OSError, ValueError, IndexError), contextlib.closing(Manifest(path)) as manifest:
        return manifest.live()
    return None
