"""Keeps LevelDB from mapping its tables into memory.

LevelDB maps the first thousand tables that a process opens and reads the rest with pread(2); plyvel has no switch for it. Mapped tables
count as the process's memory, whatever the block cache's size: after 120,000 random reads of a 450 MB store it was 560 MB where pread
left 53 MB, and pread was the faster (9 us a read against 12: a fault maps sixteen pages to read one block).

So once per process, before the first real table is opened, the thousand mappings are given to a thousand names of one tiny table: a
database that LevelDB believes to have them is written by hand in a temporary directory, each table is looked into once, and the files
are removed. It takes about 50 ms and 4 MB.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
from typing import Any

import plyvel

from diskkv.engine.leveldb.writing import (
    COMPARATOR,
    LAST_SEQUENCE,
    LOG_NUMBER,
    NEXT_FILE,
    VALUE,
    counted,
    framed,
    internal,
    new_file,
    varint,
)

MAPPINGS = 1000
NICE = 10

journal = logging.getLogger("diskkv")

_lock = threading.Lock()
# The database that holds the mappings, as long as the process lives.
_holder: list[Any] = []


def occupy() -> None:
    """Take all of LevelDB's mappings, once per process. Where that can't be done, nothing is lost but memory.

    It is done on a thread of low priority, because LevelDB's one compaction thread is started by it and inherits the priority: whoever
    waits for an answer goes before a compaction.
    """
    with _lock:
        if not _holder:
            thread = threading.Thread(target=_occupy, name="diskkv-mappings")
            thread.start()
            thread.join()


def _occupy() -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    try:
        with tempfile.TemporaryDirectory(prefix="diskkv-", ignore_cleanup_errors=True) as path:
            _holder.append(_open_all(_write(path)))
    except (OSError, plyvel.Error) as error:
        journal.warning("LevelDB will map its tables, which counts as this process's memory: %(error)s", {"error": error})
        _holder.append(None)


def _open_all(path: str) -> Any:
    database = plyvel.DB(path, max_open_files=4 * MAPPINGS)
    for number in range(MAPPINGS):
        database.get(_key(number))
    return database


def _key(number: int) -> bytes:
    return b"%06d" % number


def _write(parent: str) -> str:
    """A database of MAPPINGS tables, all of them links to one."""
    path = os.path.join(parent, "tables")
    with plyvel.DB(path, create_if_missing=True, compression=None) as database:
        database.put(_key(0), b"")
        database.compact_range()
    table = next(os.path.join(path, name) for name in os.listdir(path) if name.endswith(".ldb"))
    model = os.path.join(parent, "table")
    os.rename(table, model)
    shutil.rmtree(path)
    os.mkdir(path)
    size = os.stat(model).st_size
    first = 10
    edits = [bytearray(varint(COMPARATOR) + counted(b"leveldb.BytewiseComparator"))]
    for kind, number in ((LOG_NUMBER, 3), (NEXT_FILE, first + MAPPINGS), (LAST_SEQUENCE, 1)):
        edits[0] += varint(kind) + varint(number)
    for number in range(MAPPINGS):
        os.link(model, os.path.join(path, f"{first + number:06d}.ldb"))
        bound = internal(_key(number), 1, VALUE)
        if len(edits[-1]) > 8000:
            edits.append(bytearray())
        edits[-1] += new_file(2, first + number, size, bound, bound)
    with open(os.path.join(path, "MANIFEST-000002"), "wb") as file:
        for edit in edits:
            file.write(framed(bytes(edit), file.tell()))
    with open(os.path.join(path, "CURRENT"), "wb") as file:
        file.write(b"MANIFEST-000002\n")
    return path
