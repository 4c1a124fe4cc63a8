"""Copies LevelDB's files while it has them open."""

from __future__ import annotations

import os
import shutil

from diskkv.engine.leveldb.losses import NAMES
from diskkv.errors import StoreError

TABLES = (".ldb", ".sst")
# Compactions change the manifest; between two of them there is time to look once.
ATTEMPTS = 1000


def copy_tree(path: str, into: str) -> None:
    """Make of a LevelDB in `path` one in `into`, a new directory, with its tables as hard links where that is possible.

    Tables never change, and one that goes is linked already, or the manifest says that it is gone: so when the manifest is the same before
    and after the tables have been linked, the copy is whole. REQUIRES: nobody writes meanwhile; compactions may go on.
    """
    os.mkdir(into)
    for _ in range(ATTEMPTS):
        name, manifest = _manifest(path)
        try:
            logs = {entry: _read(os.path.join(path, entry)) for entry in os.listdir(path) if entry.endswith(".log")}
            for entry in os.listdir(path):
                if entry.endswith(TABLES) and not os.path.exists(os.path.join(into, entry)):
                    link_or_copy(os.path.join(path, entry), os.path.join(into, entry))
        except FileNotFoundError:
            # Gone between the listing and the linking: the manifest has changed.
            continue
        if _manifest(path) == (name, manifest):
            # They only change while LevelDB is closed.
            notes = {entry: _read(os.path.join(path, entry)) for entry in NAMES if os.path.exists(os.path.join(path, entry))}
            for entry, data in (*logs.items(), *notes.items(), (name, manifest), ("CURRENT", name.encode() + b"\n")):
                with open(os.path.join(into, entry), "wb") as file:
                    file.write(data)
            return
    raise StoreError(f"{path} changes too quickly to be copied")


def _manifest(path: str) -> tuple[str, bytes]:
    for _ in range(ATTEMPTS):
        name = os.fsdecode(_read(os.path.join(path, "CURRENT")).strip())
        try:
            return name, _read(os.path.join(path, name))
        except FileNotFoundError:
            continue
    raise StoreError(f"{path} has no manifest")


def _read(file: str) -> bytes:
    with open(file, "rb") as handle:
        return handle.read()


def link_or_copy(file: str, to: str) -> bool:
    """Have a file that never changes under another name, too; whether it takes no more space so."""
    try:
        os.link(file, to)
    except FileNotFoundError:
        raise
    except OSError:
        # Another file system, or one without links.
        shutil.copyfile(file, to)
        return False
    return True
