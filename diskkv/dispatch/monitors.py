"""MONITOR: who sees every command as it is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from diskkv.dispatch.table import Command, Flag
from diskkv.lib.words import quote
from diskkv.replies import Simple

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session

HIDDEN = Flag.SKIP_MONITOR | Flag.ADMIN


class Monitors:
    """The sessions in MONITOR mode. One that reads too slowly is dropped by its front, as any client."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.sessions: dict[Session, None] = {}

    def begin(self, session: Session) -> None:
        """MONITOR."""
        session.monitoring = True
        self.sessions[session] = None
        session.regate()
        self._executor.observers.arrange()

    def end(self, session: Session) -> None:
        """RESET, or the client has gone."""
        if session.monitoring:
            session.monitoring = False
            del self.sessions[session]
            session.regate()
            self._executor.observers.arrange()

    def show(self, session: Session, command: Command, argv: Sequence[bytes]) -> None:
        """Send a command that has been run to every monitor; what administers the server, or may hold a password, to none."""
        if command.flags & HIDDEN:
            return
        seconds, micros = divmod(self._executor.microseconds(), 1_000_000)
        words = b" ".join([b'"' + quote(word) + b'"' for word in argv])
        known = session.front.describe()
        address = known["addr"]
        if "U" in known.get("flags", ""):
            address = "unix:" + address.removesuffix(":0")
        source = address.encode("utf-8", "surrogateescape")
        line = Simple(b"%d.%06d [%d %b] %b" % (seconds, micros, session.index, source, words))
        for monitor in list(self.sessions):
            monitor.push(line)
