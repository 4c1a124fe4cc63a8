"""Takes damaged blocks out of LevelDB's way.

When a compaction meets a block that can't be read, LevelDB refuses every write, and after it has been opened anew it meets the same
block again: one flipped bit stops all writers for ever. So the damaged table is replaced by another, with all its sound blocks as they
are. In the place of a lost one stands a block of what is known of it: for each of its range's keys of which an older record exists in
another table (LevelDB would serve that from now on), a record that says LOST, newer than the older record and older than anything
newer. What LevelDB can't know is noted beside it: see `losses.py`. A table that has lost its index gets a new one.

What the system can't read (EIO) is not taken for lost: it may come back, with the cable.

`diagnose` looks through all tables and makes the new ones, while LevelDB has them open; `cure` puts them into force, while it has not:

1. The notes are written. From then on nothing that may be lost reads as absent, whatever becomes of the rest.
2. The new tables get their names; the old ones keep a second name (`*.damaged`, the last KEPT).
3. One edit is added to the manifest. Should the power go before, LevelDB takes the new tables for leftovers.

In level 0 a table's number says how new it is. So the newer tables there get new numbers, too.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import NamedTuple

from diskkv.engine.leveldb.copying import link_or_copy
from diskkv.engine.leveldb.losses import Loss, Losses
from diskkv.engine.leveldb.manifest import Manifest, Table
from diskkv.engine.leveldb.mending import table_names
from diskkv.engine.leveldb.tables import Place, TableFile, Unreadable, entries, unpacked
from diskkv.engine.leveldb.writing import (
    LAST_SEQUENCE,
    NEXT_FILE,
    TRAILER,
    VALUE,
    block,
    deleted_file,
    framed,
    internal,
    new_file,
    order,
    table,
    user_key,
    varint,
    write_of,
)
from diskkv.lib.directories import sync_path

MENDED, DAMAGED = ".mended", ".damaged"
KEPT = 8
# So many records that say LOST stand in a block.
CROWD = 64

journal = logging.getLogger("diskkv")


class Cure(NamedTuple):
    """What is to stand in the place of a damaged table: a file, its first and last internal key and the number of the newest write in it;
    without keys, nothing."""

    table: Table
    file: str
    losses: list[Loss]
    first: bytes
    last: bytes
    newest: int


def diagnose(path: str, losses: Losses) -> list[Cure]:
    """Replacements for the damaged tables of a tree. OSError when there can't be one."""
    with contextlib.closing(Manifest(path)) as manifest:
        live = dict(manifest.live())
    cures = []
    searched: dict[int, list[Place]] = {}
    for number in sorted(live):
        # One that has gone meanwhile was compacted: it is in nobody's way.
        with contextlib.suppress(FileNotFoundError):
            cure = Surgery(path, live, live[number], losses, searched).cure()
            if cure is not None:
                cures.append(cure)
    return cures


def clean(path: str) -> None:
    """Give up replacements that did not come into force."""
    for name in os.listdir(path):
        if name.endswith(MENDED):
            os.unlink(os.path.join(path, name))


class Surgery:
    """Examines one table, and makes its replacement if need be."""

    def __init__(self, path: str, live: dict[int, Table], ill: Table, losses: Losses, searched: dict[int, list[Place]]) -> None:
        self._path = path
        self._live = live
        self._table = ill
        self._losses = losses
        # the blocks of those tables that have lost their index
        self._searched = searched
        # the newest write of which a record that says LOST is
        self._newest = 0

    def cure(self) -> Cure | None:
        """Its replacement; None when it is sound."""
        ill = self._table
        file = file_of(self._path, ill.number)
        name = os.path.basename(file)
        with TableFile(file, ill.size) as opened:
            parts: list[Place | Loss] = []
            low = ill.low
            index = self._blocks(opened, ill)
            if ill.number in self._searched and (not index or index[-1].key != ill.last):
                end = sum(place.size + TRAILER for place in index)
                if index:
                    low = user_key(index[-1].key) + b"\0"
                return self._replaced(opened, [*index, Loss(name, end, ill.size - end, low, ill.high + b"\0", b"")])
            for place in index:
                stop = min(user_key(place.key), ill.high) + b"\0"
                try:
                    opened.raw(place)
                    parts.append(place)
                except Unreadable:
                    parts.append(Loss(name, place.offset, place.size, low, stop, opened.filter_of(place)))
                low = stop
            if ill.number not in self._searched and not any(isinstance(part, Loss) for part in parts):
                return None
            return self._replaced(opened, parts)

    def _blocks(self, opened: TableFile, whose: Table) -> list[Place]:
        """A table's blocks, also where they have to be searched for."""
        if whose.number not in self._searched:
            try:
                return opened.index(whose)
            except Unreadable:
                self._searched[whose.number] = opened.search(whose)
        return self._searched[whose.number]

    def _replaced(self, opened: TableFile, parts: list[Place | Loss]) -> Cure:
        """The replacement: sound blocks as they are, and what is known of lost ones."""
        pieces: list[tuple[bytes, bytes]] = []
        for part in parts:
            if isinstance(part, Loss):
                pieces += self._in_place_of(part)
            else:
                pieces.append((part.key, opened.raw(part)))
        losses = [part for part in parts if isinstance(part, Loss)]
        file = os.path.join(self._path, f"{self._table.number:06d}{MENDED}")
        if not pieces:
            return Cure(self._table, file, losses, b"", b"", 0)
        with open(file, "wb") as handle:
            for data in table(pieces):
                handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        first, last = (list(entries(unpacked(pieces[at][1])))[at][0] for at in (0, -1))
        return Cure(self._table, file, losses, first, last, self._newest)

    def _in_place_of(self, loss: Loss) -> Iterator[tuple[bytes, bytes]]:
        """Blocks for a lost one, and their keys in the index."""
        older = self._older(loss)
        said = []
        for key in sorted(older):
            number, kind = older[key]
            if kind == VALUE and loss.may_hold(key):
                said.append(internal(key, number + 1, VALUE))
                self._newest = max(self._newest, number + 1)
        for at in range(0, len(said), CROWD):
            part = said[at : at + CROWD]
            yield part[-1], block((key, self._losses.lost) for key in part)

    def _older(self, loss: Loss) -> dict[bytes, tuple[int, int]]:
        """The newest record of each key of a lost range in what is older than it: the number of its write, and its kind."""
        newest: dict[bytes, tuple[int, int]] = {}
        ill = self._table
        for other in self._live.values():
            if other.high < loss.low or loss.stop <= other.low:
                continue
            if other.number == ill.number:
                # Of the last key in the block there may be older records in the next.
                low = loss.stop[:-1]
            elif other.level > ill.level or (other.level == 0 == ill.level and other.number < ill.number):
                low = loss.low
            elif other.level == ill.level > 0 and order(other.first) > order(ill.first):
                # Its neighbour, which may begin with older records of the last key.
                low = max(loss.low, ill.high)
            else:
                continue
            for key in self._keys_between(other, low, loss.stop):
                number, kind = write_of(key)
                if number > newest.get(user_key(key), (-1, 0))[0]:
                    newest[user_key(key)] = number, kind
        return newest

    def _keys_between(self, other: Table, low: bytes, stop: bytes) -> Iterator[bytes]:
        """The internal keys of a table whose keys lie from `low` to before `stop`, as far as they can be read: what can't is lost, too, and
        noted by itself."""
        with TableFile(file_of(self._path, other.number), other.size) as opened:
            for place in _blocks_between(self._blocks(opened, other), low, stop):
                with contextlib.suppress(Unreadable):
                    for key, _ in opened.entries(place):
                        if low <= user_key(key) < stop:
                            yield key


def _blocks_between(index: list[Place], low: bytes, stop: bytes) -> Iterator[Place]:
    """The blocks in which keys from `low` to before `stop` may be."""
    for place in index:
        if user_key(place.key) >= low:
            yield place
            if user_key(place.key) >= stop:
                return


def file_of(path: str, number: int) -> str:
    """A table's file, under the name that it has."""
    names = [os.path.join(path, name) for name in sorted(table_names(number))]
    return next((name for name in names if os.path.exists(name)), names[0])


def cure(path: str, cures: list[Cure], losses: Losses) -> int:
    """Put replacements into force; of how many tables. OSError when they can't be: all is as before. REQUIRES: LevelDB is closed."""
    with contextlib.closing(Manifest(path)) as manifest:
        live = dict(manifest.live())
        following = max(manifest.next_file, *_numbers(path)) + 1
        last = manifest.last_sequence
    # One that has been compacted meanwhile, or moved to another level, is no more what was examined.
    cures = [found for found in cures if live.get(found.table.number) == found.table]
    if not cures:
        return 0
    if any(found.losses for found in cures):
        losses.add(loss for found in cures for loss in found.losses)
        losses.save()
    edit = bytearray()
    by_number = {found.table.number: found for found in cures}
    shallow = min((number for number in by_number if live[number].level == 0), default=None)
    for number in sorted(live):
        old, found = live[number], by_number.get(number)
        if found is None and (shallow is None or old.level or number < shallow):
            continue
        edit += deleted_file(old.level, number)
        name = os.path.join(path, f"{following:06d}.ldb")
        if found is None:
            link_or_copy(file_of(path, number), name)
            edit += new_file(old.level, following, old.size, old.first, old.last)
            following += 1
            continue
        _keep(path, number)
        if found.first:
            size = os.path.getsize(found.file)
            os.rename(found.file, name)
            edit += new_file(old.level, following, size, found.first, found.last)
            following += 1
    for kind, value in ((NEXT_FILE, following), (LAST_SEQUENCE, max(last, *(found.newest for found in cures)))):
        edit += varint(kind) + varint(value)
    sync_path(path)
    _append(path, bytes(edit))
    for found in cures:
        if not found.losses:
            journal.error("%(file)s had lost its index, and nothing else: it was replaced", {"file": file_of(path, found.table.number)})
        for loss in found.losses:
            journal.critical(
                "%(file)s is damaged and was replaced: %(loss)s. Reading them is an error from now on, until they are written anew or "
                "deleted; `diskkv repair` makes a store without them",
                {"file": os.path.join(path, loss.file), "loss": str(loss)},
            )
    return len(cures)


def _numbers(path: str) -> Iterator[int]:
    for name in os.listdir(path):
        stem = name.partition(".")[0]
        if stem.isdigit():
            yield int(stem)


def _append(path: str, edit: bytes) -> None:
    """Add an edit to the manifest in use."""
    with open(os.path.join(path, "CURRENT"), "rb") as current:
        name = os.fsdecode(current.read().strip())
    with open(os.path.join(path, name), "ab") as manifest:
        end = manifest.tell()
        try:
            manifest.write(framed(edit, end))
            manifest.flush()
            os.fsync(manifest.fileno())
        except OSError:
            os.ftruncate(manifest.fileno(), end)
            raise


def _keep(path: str, number: int) -> None:
    """Keep a damaged table under another name, and of such the last ones."""
    with contextlib.suppress(OSError):
        link_or_copy(file_of(path, number), os.path.join(path, f"{number:06d}{DAMAGED}"))
    kept = sorted(name for name in os.listdir(path) if name.endswith(DAMAGED))
    for name in kept[:-KEPT]:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(path, name))
