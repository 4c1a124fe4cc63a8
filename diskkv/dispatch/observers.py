"""Whoever looks on: keyspace notifications, client tracking, monitors, and who asks for hot keys.

They cost nothing while nobody does. `arrange` puts `Observers.call` in the place of `Executor.call_unobserved` while there are
notifications, monitors or a search for hot keys, and makes the store's `listener` hear of keys while there are notifications or
tracking; and takes both away again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diskkv.dispatch.hot_keys import HotKeys
from diskkv.dispatch.monitors import HIDDEN, Monitors
from diskkv.dispatch.notices import CHANGED, Happening, Notices, Said, Story
from diskkv.dispatch.table import Flag
from diskkv.dispatch.tracking import Tracking
from diskkv.lib.eventclasses import Classes

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session
    from diskkv.dispatch.table import Command
    from diskkv.store.database import Database


class Observers:
    """All that look on at one executor, and the store's listener on their behalf."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.notices = Notices(executor)
        self.tracking = Tracking(executor)
        self.monitors = Monitors(executor)
        self.hot_keys = HotKeys(executor)
        # the session whose command is running, if it is one that hears of what others, and itself, do. (It stands here because an object
        # of 30 attributes or more is dearer to use in CPython (0.1 us a command were measured), and the executor is near to that.)
        self.running: Session | None = None
        # what has happened in the command that is running; None while none is, or nobody wants to know
        self._story: Story | None = None

    def arrange(self) -> None:
        """Be in the way, or not, after somebody has begun or ceased to look on."""
        executor = self._executor
        wanted = self.notices.on or bool(self.monitors.sessions) or self.hot_keys.on
        if wanted != executor.observed:
            executor.call = self.call if wanted else executor.call_unobserved
            executor.observed = wanted
        executor.store.listener = self if self.notices.on or self.tracking.sessions else None
        for db in executor.store.databases:
            db.heed()
        executor.store.on_commit = self.tracking.broadcast if self.tracking.sessions else None

    def notify(self, classes: Classes) -> None:
        """The setting notify-keyspace-events."""
        self.notices.classes = classes
        self.arrange()

    def call(self, session: Session, command: Command, argv: list[bytes]) -> Any:
        """`Executor.call` with somebody looking on."""
        executor = self._executor
        call = executor.call_unobserved
        outer, self._story = self._story, [] if self.notices.on else None
        # Those who wait for a key are served when the command that made it has been told of.
        executor.waiters.held += 1
        if self.monitors.sessions and command.flags & Flag.SKIP_MONITOR and command.group == "scripting":
            # A script is shown before the commands that it calls.
            self.monitors.show(session, command, argv)
        usage = executor.stats.usage_of(command) if self.hot_keys.on else None
        before = usage.nanoseconds if usage is not None else 0
        try:
            reply = call(session, command, argv)
        finally:
            executor.waiters.held -= 1
            story, self._story = self._story, outer
        if story:
            self.notices.account_for(session, command, argv, reply, story)
        if usage is not None:
            self.hot_keys.note(session, command, argv, usage.nanoseconds - before, reply)
        # A command that has waited was shown when it came.
        again = session.blocked is not None and session.blocked.argv is argv
        if self.monitors.sessions and not command.flags & HIDDEN and not again:
            self.monitors.show(session, command, argv)
        if executor.store.ready_keys and not executor.nested:
            executor.waiters.serve()
        return reply

    # -- the store's listener

    def touched(self, db: Database, key: bytes) -> None:
        self._happened(Happening.TOUCHED, db, key)

    def created(self, db: Database, key: bytes) -> None:
        self._happened(Happening.CREATED, db, key)

    def removed(self, db: Database, key: bytes) -> None:
        self._happened(Happening.REMOVED, db, key)

    def expired(self, db: Database, key: bytes) -> None:
        story = self._story
        if story is not None:
            if story and story[-1] == (Happening.REMOVED, db, key):
                story.pop()
            story.append((Happening.EXPIRED, db, key))
        elif self.notices.on:
            self.notices.tell(Classes.EXPIRED, b"expired", db, key)

    def faded(self, db: Database, key: bytes) -> None:
        story = self._story
        if story is None:
            self.notices.tell(Classes.HASH, b"hexpired", db, key)
            if not db.exists_now(key):
                self.notices.tell(Classes.GENERIC, b"del", db, key)
            return
        # What the command itself does to the key comes after this.
        while story and story[-1][1] is db and story[-1][2] == key and story[-1][0] in CHANGED:
            story.pop()
        story.append((Said(Classes.HASH, b"hexpired"), db, key))
        if not db.exists_now(key):
            story.append((Happening.REMOVED, db, key))

    def said(self, db: Database, key: bytes, kind: Classes, event: bytes) -> None:
        """A handler names an event that nothing else shows."""
        if self._story is not None:
            self._story.append((Said(kind, event), db, key))

    def missed(self, db: Database, key: bytes) -> None:
        if self._story is not None:
            self._story.append((Happening.MISSED, db, key))

    def undone(self) -> None:
        self.tracking.flushed()

    def _happened(self, what: Happening, db: Database, key: bytes) -> None:
        if self.tracking.sessions:
            self.tracking.touched(key)
        if self._story is not None:
            self._story.append((what, db, key))
