"""Examines a store that goes on being used: `check` over a snapshot of its engine, on a thread of its own.

What is examined is the state of the last checkpoint. The thread works in slices of SLICE seconds with rests between them, and keeps of
the findings FINDINGS; it ends before the store does. When the engine is opened anew meanwhile, the examination fails and says so.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diskkv.clock import monotonic
from diskkv.errors import StoreError
from diskkv.store.scrutiny import Gentle

if TYPE_CHECKING:
    from diskkv.store.store import Store

journal = logging.getLogger("diskkv")

SLICE = 0.001
REST = 0.001
NICE = 15
# How often it is found out how far it has come, in seconds.
MEASURE = 0.2
BUDGET = 8 << 20
FINDINGS = 1000


class Aborted(Exception):
    """The store is being closed."""


@dataclass(slots=True)
class Examined:
    """The examination that runs or was last; `error` is empty unless it did not come to its end."""

    running: bool = False
    done: bool = False
    error: str = ""
    began: int = 0
    ended: int = 0
    keys: int = 0
    # how far it has come; see Examination.progress
    part: float = 0.0
    records: int = 0
    bytes: int = 0
    findings: int = 0
    named: list[str] = field(default_factory=list)


class Checks:
    """Examines a store, one time at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.status = Examined()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._slice_ends = 0.0

    def attach(self) -> None:
        """Have an examination end before the store does."""
        self._store.before_close.append(self._close)

    def begin(self) -> None:
        """Begin; `status` tells what becomes of it. StoreError when one is running. REQUIRES: the store's lock."""
        if self.status.running:
            raise StoreError("an examination is already running")
        store = self._store
        snapshot = store.engine.snapshot()
        status = self.status = Examined(running=True, began=store.now)

        def run() -> None:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
            try:
                self._examine(snapshot, status)
                status.done = True
            except Aborted:
                status.error = "the store was closed"
            except Exception as error:
                if not isinstance(error, (StoreError, OSError)):
                    journal.exception("internal error in an examination")
                status.error = str(error) or type(error).__name__
            finally:
                with contextlib.suppress(Exception):
                    snapshot.close()
                status.ended = store.clock()
                status.running = False

        self._thread = threading.Thread(target=run, name="diskkv-check", daemon=True)
        self._thread.start()

    def _examine(self, snapshot: object, status: Examined) -> None:
        from diskkv.store.check import Examination
        from diskkv.store.store import Store

        view = Store.over(Gentle(snapshot, self._pause), self._store, BUDGET)
        status.keys = sum(db.count for db in view.databases)
        measured = monotonic()

        def rest() -> None:
            nonlocal measured
            if monotonic() - measured >= MEASURE:
                status.part, status.records, status.bytes = examination.progress()
                measured = monotonic()
            self._pause()

        examination = Examination(view, rest)
        for finding in examination.findings():
            status.findings += 1
            if len(status.named) < FINDINGS:
                status.named.append(str(finding))
                journal.error("examining the store: %(finding)s", {"finding": finding})
            self._pause()

    def _pause(self) -> None:
        if monotonic() < self._slice_ends:
            return
        if self._stop.wait(REST):
            raise Aborted
        self._slice_ends = monotonic() + SLICE

    def _close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
