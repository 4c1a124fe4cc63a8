"""What is answered when the disk can't be read."""

from __future__ import annotations

from diskkv.dispatch.args import quoted
from diskkv.dispatch.keyspecs import WRITING
from diskkv.dispatch.positions import NoKeys, key_positions, key_uses
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import Command
from diskkv.errors import CommandError, Damaged, LogFailed, StoreError, Unreadable
from diskkv.store.quarantine import isolate
from diskkv.store.store import Store

# What changes keys of another database than the one that is selected.
ELSEWHERE = frozenset({"move", "copy"})


def failure(session: Session, command: Command, argv: list[bytes], error: Exception) -> CommandError:
    """What to answer when a command has failed otherwise than by an error reply: the engine can't read something, or there is a bug."""
    complaints = session.store.complaints
    if not isinstance(error, StoreError):
        complaints.make("internal error in %(command)s", {"command": command.name}, failure=error)
        return CommandError("internal error, see the server's log")
    complaints.make("%(command)s can't be answered: %(error)s", {"command": command.name, "error": error})
    try:
        keys = [argv[position] for position in key_positions(command, argv)]
    except NoKeys:
        keys = []
    for key in keys:
        # What is in memory of it may be half of it.
        session.db.unload(key)
    what = f"the key '{quoted(keys[0][:128])}'" if len(keys) == 1 else "something that the command needs"
    return Unreadable(what, str(error))


def isolate_written(session: Session, command: Command, argv: list[bytes], error: Damaged) -> None:
    """A change that the log tells of can't be done again, because what it changes is damaged: nobody may take that for what it was then.

    Damaged when it is not known what the change was to.
    """
    try:
        written = [argv[position] for position, flags in key_uses(command, argv) if not WRITING.isdisjoint(flags)]
    except NoKeys:
        written = []
    if not written or command.name in ELSEWHERE:
        raise error
    for key in written:
        isolate(session.db, key, str(error))
    # Whatever half of it was done is not served.
    session.store.spoiled = None


def lost(store: Store) -> CommandError:
    """What to answer when the store is `lost`."""
    return Unreadable("the whole store", str(store.lost))


def tree_full(store: Store) -> CommandError:
    """What to answer writers who would have to wait for a tree that can't be written: nobody knows for how long."""
    return LogFailed(f"and the tree behind it is full: {store.writer.error}")
