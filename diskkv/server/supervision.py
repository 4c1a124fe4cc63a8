"""What the service manager (systemd) is told: that clients are served, how the server is, and that it lives.

That it lives is told by the event loop, and by what keeps the loop waiting on purpose and gets on: SAVE, and a script before its time. A
thread tells it in their place only while the kernel holds the loop's thread in an access to the disk, which no signal interrupts: ending
the process would not make a slow disk faster. So a loop that hangs is found, and a healthy server that has to wait is let be.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from diskkv.clock import monotonic
from diskkv.dispatch.executor import Executor

journal = logging.getLogger("diskkv")

# Between two looks at how the server is, in seconds; more often if the watchdog wants it.
LOOK = 5.0
# Of the time after which the watchdog would act, the part after which it hears something.
SHARE = 1 / 4
# How long a manager that does not read its socket may keep the server waiting.
PATIENCE = 1.0


class Manager:
    """The service manager's socket, as $NOTIFY_SOCKET names it."""

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._failed = False

    def tell(self, *lines: str) -> None:
        """Send some assignments. One that can't be reached is not worth stopping for: it is reported once."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(PATIENCE)
                sender.connect(self._address)
                sender.sendall("\n".join(line.replace("\n", " ") for line in lines).encode("utf-8", "backslashreplace"))
        except OSError as error:
            if not self._failed:
                journal.warning("the service manager can't be told how the server is: %(error)s", {"error": error})
            self._failed = True


class Supervision:
    """Tells a manager about one server. `watchdog` is the seconds after which it would act if it heard nothing; 0 for never."""

    def __init__(self, executor: Executor, manager: Manager, watchdog: float = 0.0) -> None:
        self._executor = executor
        self._manager = manager
        self._interval = min(LOOK, watchdog * SHARE) if watchdog else LOOK
        self._watched = watchdog > 0
        self._told = ""
        self._last = 0.0
        self._over = threading.Event()
        manager.tell("STATUS=Opening the store")

    def begin(self) -> None:
        """Clients are served. To be called in the event loop, by its thread."""
        executor = self._executor
        executor.store.before_close.insert(0, self._end)
        self._told = describe(executor)
        self._manager.tell("READY=1", f"STATUS={self._told}", f"MAINPID={os.getpid()}")
        loop = asyncio.get_running_loop()
        loop.call_later(self._interval, self._look, loop)
        if self._watched:
            executor.pulse = executor.saver.pulse = self.pulse
            path = Path(f"/proc/self/task/{threading.get_native_id()}/stat")
            threading.Thread(target=self._watch, args=(path,), name="diskkv-watchdog", daemon=True).start()

    def _end(self) -> None:
        """The store is about to be closed."""
        self._over.set()
        self._manager.tell("STOPPING=1", "STATUS=Writing everything to the disk")

    def pulse(self) -> None:
        """Say that the server lives, unless that was just said."""
        now = monotonic()
        if self._watched and now - self._last >= self._interval:
            self._last = now
            self._manager.tell("WATCHDOG=1")

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(self._interval, self._look, loop)
        self._last = monotonic()
        status = describe(self._executor)
        lines = ["WATCHDOG=1"] if self._watched else []
        if status != self._told:
            self._told = status
            lines.append(f"STATUS={status}")
        if lines:
            self._manager.tell(*lines)

    def _watch(self, path: Path) -> None:
        while not self._over.wait(self._interval):
            if held_by_kernel(path):
                self._manager.tell("WATCHDOG=1")


def held_by_kernel(path: Path) -> bool:
    """Whether a thread, by its `stat` in /proc, waits where no signal reaches it: for a disk."""
    try:
        # The name before the state may have any character in it.
        return path.read_text(errors="replace").rpartition(")")[2].split()[0] == "D"
    except (OSError, IndexError):
        return False


def describe(executor: Executor) -> str:
    """How a server is, in one line."""
    store = executor.store
    if store.lost is not None:
        return f"Nothing can be served, the store can't be read: {store.lost}"
    trouble = store.failed or store.log.sync_error
    if trouble is not None:
        return f"Reads are served, writes are refused: {trouble}"
    keys = sum(database.count for database in store.databases)
    return f"Serving {len(executor.sessions)} clients, {keys} keys"


def supervise(executor: Executor, mode: str) -> Callable[[], None]:
    """Begin to tell the manager about a server, if `mode` (the setting `supervised`) and the environment have it so; what is to be called
    in the event loop once clients are served."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if mode == "no" or not address:
        if mode == "systemd":
            journal.warning("supervised by systemd, but it has set no NOTIFY_SOCKET: nobody is told anything")
        return lambda: None
    return Supervision(executor, Manager(address), watchdog_seconds()).begin


def watchdog_seconds() -> float:
    """After how long a silence the manager acts; 0 for never."""
    for_whom = os.environ.get("WATCHDOG_PID")
    if for_whom is not None and for_whom != str(os.getpid()):
        return 0.0
    try:
        return int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return 0.0
