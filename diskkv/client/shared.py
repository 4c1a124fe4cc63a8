"""The stores that this process has open: one executor per directory, however many clients there are."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import threading
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as Disconnected

from diskkv.app import open_executor
from diskkv.config import Settings
from diskkv.errors import SettingError, StoreError

if TYPE_CHECKING:
    from diskkv.client.caller import Caller

CLOSED = "the store is closed"
FORKED = "the store was opened before a fork, and can only be used in the process that opened it"


class Shared:
    """One open store and its users. `lock` is the store's."""

    def __init__(self, path: str, settings: Settings, place: str) -> None:
        self.place = place
        self.executor = open_executor(path, settings)
        self.store = self.executor.store
        self.lock: Any = self.store.lock
        self.users = 0
        self.closed: str | None = None
        # set when the store closes, for those who wait for room
        self.over = threading.Event()
        self.callers: set[Caller] = set()
        self.left: list[Caller] = []

    def leave(self, caller: Caller) -> None:
        """A caller is no longer used. May be called by a finalizer, at any time."""
        # A finalizer may run in the middle of a command of its own thread, which then has the lock.
        self.left.append(caller)
        if self.closed is None and not self.lock._is_owned():
            with self.lock:
                self.reap()

    def reap(self) -> None:
        """Close the sessions of those who left. REQUIRES: the lock, and no command is running."""
        while self.left:
            caller = self.left.pop()
            self.callers.discard(caller)
            self.executor.close_session(caller.session)

    def close(self) -> None:
        """Close the store. Whoever waits for something is woken with an error."""
        if self.closed is not None:
            return
        with self.lock:
            self.closed = CLOSED
            self.over.set()
            for caller in list(self.callers):
                caller.cut(CLOSED)
            self.reap()
        self.store.close()

    def forked(self) -> None:
        """This is the child of a fork: nothing of the store may be touched any more, not even its lock."""
        self.closed = FORKED
        for caller in list(self.callers):
            caller.lock = Shut(FORKED)


class Shut:
    """Stands where the lock was once a client is closed: entering it raises."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __enter__(self) -> None:
        raise Disconnected(self._reason)

    def __exit__(self, *_: object) -> None:
        """Never entered."""


# What a process has open is the process's state and nobody else's: a directory can be open only once in it.
_open: dict[str, Shared] = {}
_lock = threading.RLock()
_numbers = itertools.count()


def acquire(path: str, given: dict[str, str]) -> Shared:
    """The store at a path for one more user, opened if it isn't. `given` are the settings that matter to this user.

    StoreLocked when another process has it, SettingError when it is open with other settings. `:memory:` is a new one each time.
    """
    place = os.path.realpath(path) if path != ":memory:" else f":memory:{next(_numbers)}"
    with _lock:
        held = _open.get(place)
        if held is None:
            held = _open[place] = Shared(path, Settings(**given), place)
        elif held.closed is not None:
            raise StoreError(f"{path}: {held.closed}")
        else:
            _compare(held.executor.settings, given)
        held.users += 1
        return held


def release(shared: Shared) -> None:
    """One user less; the last one's leaving closes the store."""
    with _lock:
        shared.users -= 1
        if shared.users or shared.closed is not None:
            return
        try:
            shared.close()
        finally:
            del _open[shared.place]


def release_later(shared: Shared) -> None:
    """As `release`, for finalizers: closing waits for threads, which may not be done in the middle of whatever this one does."""
    if shared.closed is None:
        # At the interpreter's end no thread can be started any more; `_close_all` has done the work then.
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=release, args=(shared,), name="diskkv-release").start()


def _compare(settings: Settings, given: dict[str, str]) -> None:
    wanted = Settings(**given)
    for name in given:
        name = name.replace("_", "-")
        if wanted[name] != settings[name]:
            raise SettingError(f"the store is already open in this process with {name} {settings.text(name)}, not {wanted.text(name)}")


def _close_all() -> None:
    for shared in list(_open.values()):
        with contextlib.suppress(StoreError):
            shared.close()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    for shared in _open.values():
        shared.forked()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
