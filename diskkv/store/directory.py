"""The directory of a store: one process at a time, and names that survive a loss of power."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from diskkv.clock import sleep
from diskkv.engine import Engine, open_engine
from diskkv.errors import Damaged, StoreError, StoreLocked

# A process that was killed while it began another leaves it the lock for some milliseconds, until that runs its own program.
TRIES = 10
REST = 0.03
# What a file system that was just made has in it.
MOUNTED = frozenset({"lost+found"})


def lock_directory(path: str) -> int:
    """Take a store's directory for this process; close the handle to give it up. StoreLocked when another has it."""
    handle = os.open(os.path.join(path, "LOCK"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sleep(REST)
        else:
            return handle
    os.close(handle)
    raise StoreLocked(f"{path} is in use by another process")


@contextlib.contextmanager
def open_records(path: str) -> Iterator[Engine]:
    """The engine alone of a store that nobody has open, for reading its records. StoreError when there is none or somebody has."""
    tree = os.path.join(path, "tree")
    if not os.path.isdir(tree):
        raise StoreError("there is no store")
    lock_file = lock_directory(path)
    try:
        engine = open_engine(f"leveldb:{tree}")
        try:
            yield engine
        finally:
            engine.close()
    finally:
        os.close(lock_file)


@contextlib.contextmanager
def advised(path: str | None) -> Iterator[None]:
    """Errors of damage that come of opening the store in `path` say what can be done."""
    try:
        yield
    except Damaged as error:
        if path is None:
            raise
        raise Damaged(f"{error}. Restore the store from a backup, or save what can be read with `diskkv repair {path} NEW_STORE`") from None


def sync_directory(path: str) -> None:
    """fsync a directory, so that the names in it survive a loss of power."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_directory(path: str) -> None:
    """Make a directory, and those above it, so that their names survive a loss of power; nothing if it exists."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(os.path.abspath(path))
    make_directory(above)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    sync_directory(above)


def workplace(to: str, task: str, suffix: str) -> str:
    """Where to make what shall be the store in `to`, which may not exist or must be empty, until it is whole: beside it or, if it exists,
    in it, because a mount point can't be replaced. StoreError when something is in the way."""
    inside = os.path.isdir(to)
    work = os.path.join(to, f"{task}{suffix}") if inside else os.path.abspath(to) + suffix
    if os.path.lexists(work):
        raise StoreError(f"{work} is in the way: it is of a {task} that did not come to its end, delete it")
    if (os.path.lexists(to) and not inside) or (inside and set(os.listdir(to)) - MOUNTED):
        raise StoreError(f"{to} is not an empty directory")
    return work


def settle(whole: str, to: str) -> None:
    """Give a whole store its name."""
    if not os.path.isdir(to):
        os.rename(whole, to)
        sync_directory(os.path.dirname(os.path.abspath(to)))
        return
    # The log comes last: what a kill leaves without it is refused when it is opened.
    moved = []
    try:
        for name in sorted(os.listdir(whole), key=lambda name: name == "log"):
            os.rename(os.path.join(whole, name), os.path.join(to, name))
            moved.append(name)
        sync_directory(to)
    except BaseException:
        for name in moved:
            os.rename(os.path.join(to, name), os.path.join(whole, name))
        raise
    os.rmdir(whole)
