"""What is answered when the disk can't be read."""

from __future__ import annotations

import logging

from diskkv.dispatch.args import quoted
from diskkv.dispatch.positions import NoKeys, key_positions
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import Command
from diskkv.errors import CommandError, LogFailed, StoreError, Unreadable
from diskkv.store.store import Store

journal = logging.getLogger("diskkv")


def failure(session: Session, command: Command, argv: list[bytes], error: Exception) -> CommandError:
    """What to answer when a command has failed otherwise than by an error reply: the engine can't read something, or there is a bug."""
    if not isinstance(error, StoreError):
        journal.error("internal error in %(command)s", {"command": command.name}, exc_info=error)
        return CommandError("internal error, see the server's log")
    journal.error("%(command)s can't be answered: %(error)s", {"command": command.name, "error": error})
    try:
        keys = [argv[position] for position in key_positions(command, argv)]
    except NoKeys:
        keys = []
    for key in keys:
        # What is in memory of it may be half of it.
        session.db.unload(key)
    what = f"the key '{quoted(keys[0][:128])}'" if len(keys) == 1 else "something that the command needs"
    return Unreadable(what, str(error))


def lost(store: Store) -> CommandError:
    """What to answer when the store is `lost`."""
    return Unreadable("the whole store", str(store.lost))


def tree_full(store: Store) -> CommandError:
    """What to answer writers who would have to wait for a tree that can't be written: nobody knows for how long."""
    return LogFailed(f"and the tree behind it is full: {store.writer.error}")
