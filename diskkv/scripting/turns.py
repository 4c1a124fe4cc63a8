"""Turns between a script that takes long and everybody else, where no event loop gives them."""

from __future__ import annotations

import logging
import select
import threading
from typing import TYPE_CHECKING

from diskkv.errors import LogFailed

if TYPE_CHECKING:
    from diskkv.scripting.run import Run

journal = logging.getLogger("diskkv.script")

LOOK_MS = 20


def drive_in_thread(run: Run) -> None:
    """Have a thread answer what the script asks for, a turn at a time under the store's lock, until it is over."""
    threading.Thread(target=_drive, args=(run,), name="diskkv-script", daemon=True).start()


def _drive(run: Run) -> None:
    store = run.executor.store
    poll = select.poll()
    poll.register(run.lua.fd, select.POLLIN)
    while True:
        found = poll.poll(LOOK_MS)
        with store.lock:
            if run.over or not store.held:
                return
            if found:
                run.step()
                if run.over:
                    try:
                        store.commit()
                    except LogFailed as error:
                        # Who waits for it looks whether the log has failed.
                        journal.error("what a script did was undone: %(error)s", {"error": error})
                        run.executor.reselect()
                    return
