"""The archive of a log: segments that the store does not need any more, kept to restore any moment.

An archive is one store's, whose name it carries in the file STORE; a store makes itself a name when it first has an archive. What was
restored from a backup is another store, with another history from there on, and needs an archive of its own.
"""

from __future__ import annotations

import errno
import filecmp
import os
import secrets
import shutil

from diskkv.errors import StoreError
from diskkv.store.directory import make_directory, sync_directory

# In the archive and in the store's log directory; the latter does not go into backups.
NAME = "STORE"


def claim(archive: str, log: str) -> None:
    """Make a directory the archive of the store whose log is in `log`, unless it is already. StoreError when it is another's, OSError when
    it can't be used."""
    make_directory(archive)
    theirs, ours = _read(archive), _read(log)
    if not ours:
        ours = secrets.token_hex(16)
        _write(log, ours)
    if not theirs:
        _write(archive, ours)
    elif theirs != ours:
        raise StoreError(
            f"the archive {archive} is another store's, or that of the store that this one was restored from: give each one of its own"
        )


def keep(segment: str, archive: str) -> None:
    """Copy a segment into the archive, unless it is there. OSError when that fails, or another one has its name."""
    target = os.path.join(archive, os.path.basename(segment))
    if os.path.exists(target):
        if not filecmp.cmp(segment, target, shallow=False):
            raise FileExistsError(errno.EEXIST, "the archive has another segment of this name: it belongs to another store", target)
        return
    make_directory(archive)
    partial = target + ".partial"
    shutil.copyfile(segment, partial)
    _settle(partial, target)


def _read(directory: str) -> str:
    try:
        with open(os.path.join(directory, NAME), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def _write(directory: str, name: str) -> None:
    target = os.path.join(directory, NAME)
    partial = target + ".partial"
    with open(partial, "w", encoding="ascii") as file:
        file.write(f"{name}\n")
    _settle(partial, target)


def _settle(partial: str, target: str) -> None:
    """Give a file its name once it is on the disk."""
    with open(partial, "rb") as file:
        os.fsync(file.fileno())
    os.rename(partial, target)
    sync_directory(os.path.dirname(target))
