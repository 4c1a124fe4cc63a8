"""Opens trees that LevelDB does not open any more. Only for copies: what can't be read is cut off or left out."""

from __future__ import annotations

import os
import shutil

import plyvel

from diskkv.engine.leveldb import LevelEngine
from diskkv.engine.leveldb.copying import link_or_copy
from diskkv.engine.leveldb.mending import cut_at_hole
from diskkv.errors import StoreError

BLOCK_CACHE = 8 << 20
WRITE_BUFFER = 4 << 20


def copy_closed(path: str, into: str) -> None:
    """Copy a tree that nobody has open; tables are linked, since they never change."""
    os.mkdir(into)
    for name in os.listdir(path):
        file, to = os.path.join(path, name), os.path.join(into, name)
        if name.endswith((".ldb", ".sst")):
            link_or_copy(file, to)
        elif os.path.isfile(file) and not name.startswith("LO"):
            # Not LOCK and LOG.
            shutil.copyfile(file, to)
        elif name.endswith(".log"):
            shutil.copyfile(file, to)


def open_rescued(path: str) -> tuple[LevelEngine, list[str], bool]:
    """A tree's engine, what had to be done for it, and whether its records may be older than the last ones. StoreError if nothing helps."""
    remarks: list[str] = []
    try:
        return _open(path), remarks, False
    except StoreError as error:
        remarks.append(f"does not open: {error}")
    cut = False
    for name in sorted(os.listdir(path)):
        if name.endswith(".log"):
            dropped = cut_at_hole(os.path.join(path, name))
            if dropped:
                cut = True
                remarks.append(f"{name}: the last {dropped:,} bytes, from the first that can't be read on, are lost")
    if cut:
        try:
            return _open(path), remarks, True
        except StoreError:
            pass
    remarks.append("its list of tables was lost: made anew of all tables that there are")
    try:
        plyvel.repair_db(path, paranoid_checks=True)
        return _open(path), remarks, True
    except (plyvel.Error, OSError, StoreError) as error:
        raise StoreError(f"nothing of the tree can be read: {error}") from None


def _open(path: str) -> LevelEngine:
    engine = LevelEngine(path, block_cache=BLOCK_CACHE, write_buffer=WRITE_BUFFER)
    # A table that has lost its index can't be read by LevelDB; and a lost key of which there is an older record has a name so.
    if engine.diagnose():
        engine.reopen()
    return engine
