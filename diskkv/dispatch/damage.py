"""What is answered when the disk can't be read."""

from __future__ import annotations

import logging

from diskkv.dispatch.args import quoted
from diskkv.dispatch.positions import NoKeys, key_positions
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import Command
from diskkv.errors import CommandError, StoreError, Unreadable

journal = logging.getLogger("diskkv")


def unreadable(session: Session, command: Command, argv: list[bytes], error: StoreError) -> CommandError:
    """What to answer when the engine can't read what a command needs. What is in memory of its keys may be half of them: it goes."""
    journal.error("%s can't be answered: %s", command.name, error)
    try:
        keys = [argv[position] for position in key_positions(command, argv)]
    except NoKeys:
        keys = []
    for key in keys:
        session.db.unload(key)
    what = f"the key '{quoted(keys[0][:128])}'" if len(keys) == 1 else "something that the command needs"
    return Unreadable(what, str(error))
