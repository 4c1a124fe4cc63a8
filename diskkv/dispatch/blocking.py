"""Who waits for which key, in what order. Knows neither threads nor event loops: a front parks its client with a `resume` to call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diskkv.errors import CommandError, StoreError
from diskkv.replies import Blocked
from diskkv.store.events import Watcher

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session
    from diskkv.dispatch.table import Command
    from diskkv.store.database import Database


# How often a waiter that is due is looked at again while CLIENT PAUSE holds its command, in ms.
PAUSED = 50


class Growth(Watcher):
    """Stands among a key's watchers for a client that waits until what is there has grown: whoever touches the key wakes it."""

    __slots__ = ("_key", "_session")

    def __init__(self, session: Session, key: bytes) -> None:
        self._session = session
        self._key = key

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "touched":
            db = self._session.db
            db.store.ready(db, self._key)
        else:
            object.__setattr__(self, name, value)


class Waiter:
    """One blocked client: the command that will be tried again, and whom to tell its reply."""

    __slots__ = ("again", "argv", "blocked", "command", "growths", "moved", "resume", "session")

    def __init__(self, session: Session, command: Command, argv: list[bytes], blocked: Blocked, resume: Callable[[Any], None]) -> None:
        self.session = session
        self.command = command
        self.argv = argv
        self.blocked = blocked
        self.resume = resume
        self.growths: list[tuple[bytes, Growth]] = []
        # when to call `time_up` before the deadline, in ms; None for not at all; and what to call when that has changed
        self.again = blocked.again
        self.moved: Callable[[], object] = lambda: None

    @property
    def due(self) -> int | None:
        """When to call `time_up`, in ms; None for never."""
        deadline = self.blocked.deadline
        return deadline if self.again is None else self.again if deadline is None else min(self.again, deadline)


class Waiters:
    """All blocked clients of a store."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.count = 0
        # while it is not 0 nobody is served: what made the keys ready is still to be told of
        self.held = 0

    def park(self, session: Session, argv: list[bytes], blocked: Blocked, resume: Callable[[Any], None]) -> Waiter:
        """A command answered `Blocked`: call `resume(reply)` once it can be answered. The front calls `time_up` when the waiter is due."""
        command = self._executor.find(argv)
        assert not isinstance(command, CommandError)
        waiter = Waiter(session, command, argv if blocked.argv is None else blocked.argv, blocked, resume)
        for key in blocked.keys:
            session.db.awaited.setdefault(key, {})[waiter] = None
            if blocked.growing:
                growth = Growth(session, key)
                waiter.growths.append((key, growth))
                session.db.watched.setdefault(key, []).append(growth)
                session.db.heeded = True
        session.blocked = waiter
        self.count += 1
        # Counted when it is over, and once, however often it is tried.
        self._executor.stats.usage_of(command).parked += 1
        if blocked.run is not None:
            blocked.run.resume = self._resume_run(waiter)
            self._executor.scripts.drive(blocked.run)
        return waiter

    def _resume_run(self, waiter: Waiter) -> Callable[[Any], None]:
        def resume(reply: Any) -> None:
            if waiter.session.blocked is waiter:
                self.cancel(waiter)
                waiter.resume(reply)

        return resume

    def time_up(self, waiter: Waiter) -> None:
        """A waiter is due: it is answered, or waits on until it is due once more. REQUIRES: a tick is open."""
        if waiter.session.blocked is not waiter:
            return
        deadline, now = waiter.blocked.deadline, self._executor.store.now
        pausing = self._executor.pausing
        if waiter.again is not None and (deadline is None or now < deadline):
            if pausing.on() and pausing.holds(waiter.session, waiter.command, waiter.argv):
                waiter.again = now + PAUSED
            else:
                self._serve_waiter(waiter)
        else:
            self.cancel(waiter)
            waiter.resume(waiter.blocked.timeout_reply)

    def cancel(self, waiter: Waiter) -> None:
        """Stop waiting (timeout, CLIENT UNBLOCK, disconnect). Nothing is answered here."""
        session = waiter.session
        if session.blocked is not waiter:
            return
        session.blocked = None
        self.count -= 1
        self._executor.stats.usage_of(waiter.command).parked -= 1
        awaited = session.db.awaited
        for key in waiter.blocked.keys:
            waiters = awaited.get(key)
            if waiters is not None:
                waiters.pop(waiter, None)
                if not waiters:
                    del awaited[key]
        watched = session.db.watched
        for key, growth in waiter.growths:
            watched[key].remove(growth)
            if not watched[key]:
                del watched[key]
                session.db.heed()

    def serve(self) -> None:
        """Let those who wait for the keys that have become ready try again, first come first served."""
        store = self._executor.store
        if self._executor.slept:
            self._executor.slept = False
            store.tick()
        while store.ready_keys and not self.held:
            ready, store.ready_keys = store.ready_keys, []
            for db, key, ended in dict.fromkeys(ready):
                self._serve_key(db, key, ended)

    def _serve_key(self, db: Database, key: bytes, ended: bool) -> None:
        for waiter in list(db.awaited.get(key, ())):
            # As in Redis, a value that SORT or a set operation stored in the place of another is not one that has come.
            if ended and not waiter.blocked.vanishing:
                continue
            try:
                value = db.find(key)
            except StoreError:
                # It will be told so itself.
                reply = self._executor.retry(waiter)
                self.cancel(waiter)
                waiter.resume(reply)
                continue
            if waiter.session.blocked is not waiter:
                continue
            if (value is None or value.tag != waiter.blocked.tag) and not waiter.blocked.vanishing:
                continue
            self._serve_waiter(waiter)

    def _serve_waiter(self, waiter: Waiter) -> None:
        """Let a client try again. It runs its command inside somebody else's, or nobody's: what it changes is logged on its own."""
        reply, pushes = self._try(waiter)
        self._executor.stats.usage_of(waiter.command).parked += 1
        if reply.__class__ is not Blocked:
            self.cancel(waiter)
            waiter.resume(reply)
        elif reply.again != waiter.again:
            waiter.again = reply.again
            waiter.moved()
        for push in pushes:
            waiter.session.front.push(push)

    def _try(self, waiter: Waiter) -> tuple[Any, list[Any]]:
        """A waiting client's reply, and what it is told meanwhile, which is to leave behind that."""
        executor, session = self._executor, waiter.session
        outer, executor.observers.running = executor.observers.running, session
        pushes: list[Any] = []
        session.pending = pushes
        try:
            return executor.retry(waiter), pushes
        finally:
            executor.observers.running = outer
            session.pending = None
