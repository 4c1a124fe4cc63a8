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

# What administers the server is shown to nobody; scripts show themselves at their own moment.
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
        """Send a command to every monitor, without the passwords in it."""
        if command.flags & Flag.SECRET:
            argv = _redacted(argv)
        seconds, micros = divmod(self._executor.microseconds(), 1_000_000)
        words = b" ".join([b'"' + quote(word) + b'"' for word in argv])
        line = Simple(b"%d.%06d [%d %b] %b" % (seconds, micros, session.index, self._source(session), words))
        for monitor in list(self.sessions):
            monitor.push(line)

    def _source(self, session: Session) -> bytes:
        if self._executor.sessions.get(session.id) is not session:
            # Not a client's: a script runs its commands in it.
            return b"lua"
        known = session.front.describe()
        address = known["addr"]
        if "U" in known.get("flags", ""):
            address = "unix:" + address.removesuffix(":0")
        return address.encode("utf-8", "surrogateescape")


def _redacted(argv: Sequence[bytes]) -> list[bytes]:
    """The words of AUTH and HELLO without what is secret."""
    words = list(argv)
    if words[0].upper() == b"HELLO":
        upper = [word.upper() for word in words]
        start = upper.index(b"AUTH") + 1 if b"AUTH" in upper else len(words)
        hidden = range(start, min(start + 2, len(words)))
    else:
        hidden = range(1, len(words))
    for place in hidden:
        words[place] = b"(redacted)"
    return words
