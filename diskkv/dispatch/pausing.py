"""CLIENT PAUSE: which commands may not run for a while, and whose have to wait for its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskkv.dispatch.table import Command, Flag

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session

CHANGING = Flag.WRITE | Flag.MAY_REPLICATE
SCRIPTS = frozenset({"eval", "evalsha", "fcall"})


class Pausing:
    """The pause of one executor. `until` is the time in ms, 0 for none. Every method requires the lock."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.until = 0
        self.everything = False
        # whose command waits for the pause to end
        self.held: dict[Session, None] = {}

    def begin(self, until: int, *, everything: bool) -> None:
        """Let no commands that change something, or none at all, run until a time. Never shortens or weakens a pause in force."""
        paused = self.on()
        self.until = max(self.until, until)
        self.everything = everything or (paused and self.everything)
        self._executor.gated = self._executor.gated or self.on()

    def end(self) -> None:
        """End a pause before its time."""
        self.until = 0
        self.everything = False
        self.held.clear()

    def on(self) -> bool:
        """Whether a pause is in force."""
        if self.until and self.until <= self._executor.store.now:
            self.end()
        return self.until > 0

    def holds(self, session: Session, command: Command, argv: list[bytes]) -> bool:
        """Whether a command has to wait. REQUIRES: `on`."""
        held = self.everything or self._changes(session, command, argv)
        if held and command.name != "client|unpause":
            self.held[session] = None
            return True
        self.held.pop(session, None)
        return False

    def _changes(self, session: Session, command: Command, argv: list[bytes]) -> bool:
        if command.name == "exec":
            return any(self._changes(session, queued, words) for queued, words in session.queue or ())
        if command.name in SCRIPTS:
            # What a script says in its first line that it does counts for more than what any script may do.
            changing: bool = self._executor.scripts.may_write(command.name, argv[1])
            return changing
        return bool(command.flags & CHANGING)
