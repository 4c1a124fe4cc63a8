"""Client tracking: which client may hold which keys in its own cache, and who is told that they are out of date.

In the default mode the table remembers what each tracking client read; a key's first change tells its readers and forgets them. In
BCAST mode clients are told of every changed key with one of their prefixes, once per tick. The table's size is bounded by
tracking-table-max-keys: what goes from it is told as if it had changed. As in Redis, keys are known by name, whatever their database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from diskkv.dispatch.positions import NoKeys, key_positions
from diskkv.dispatch.table import Command, Flag
from diskkv.replies import Push

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session

CHANNEL = b"__redis__:invalidate"
NOBODY: frozenset[int] = frozenset()
# How many different sets of readers are looked for among those that are there.
SHARED = 1000


class Tracked:
    """One session's tracking."""

    __slots__ = ("bcast", "broken", "caching", "noloop", "optin", "optout", "prefixes", "redirect")

    def __init__(self) -> None:
        self.redirect = 0
        self.bcast = self.optin = self.optout = self.noloop = False
        # caching: CLIENT CACHING was given for the next command; broken: the session to redirect to has gone
        self.caching = self.broken = False
        self.prefixes: dict[bytes, None] = {}


class Prefix:
    """Who wants to hear of keys that begin with something, and which were changed in this tick by whom."""

    __slots__ = ("changed", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[Session, None] = {}
        self.changed: dict[bytes, Session | None] = {}


class Tracking:
    """All tracking of one executor. Every method requires the store's lock."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.sessions: dict[Session, None] = {}
        self.prefixes: dict[bytes, Prefix] = {}
        # key -> ids of the sessions that read it, of which some may have gone
        self.readers: dict[bytes, frozenset[int]] = {}
        # what `_with` has made
        self._made: dict[tuple[frozenset[int], int], frozenset[int]] = {}
        self.items = 0

    # -- who tracks

    def begin(self, session: Session, tracked: Tracked, prefixes: Iterable[bytes]) -> None:
        """CLIENT TRACKING ON."""
        if session.tracking is not None:
            tracked.prefixes = session.tracking.prefixes
            tracked.caching = session.tracking.caching
        session.tracking = tracked
        self.sessions[session] = None
        if tracked.bcast:
            for prefix in prefixes:
                tracked.prefixes[prefix] = None
                self.prefixes.setdefault(prefix, Prefix()).sessions[session] = None
        session.regate()
        self._executor.observers.arrange()

    def end(self, session: Session) -> None:
        """CLIENT TRACKING OFF, RESET, or the client has gone. What the table has of it is dropped as it is met."""
        tracked = session.tracking
        if tracked is None:
            return
        for prefix in tracked.prefixes:
            sessions = self.prefixes[prefix].sessions
            del sessions[session]
            if not sessions:
                del self.prefixes[prefix]
        session.tracking = None
        del self.sessions[session]
        session.regate()
        if not self.sessions:
            self.readers.clear()
            self._made.clear()
            self.items = 0
        self._executor.observers.arrange()

    # -- what they read

    def remember(self, session: Session, command: Command, argv: Sequence[bytes]) -> None:
        """A tracking session has run a command: it may now hold the keys that were read."""
        tracked = session.tracking
        if tracked is None or tracked.bcast or command.flags & (Flag.READONLY | Flag.PUBSUB | Flag.NOSCRIPT) != Flag.READONLY:
            return
        if (tracked.optin and not tracked.caching) or (tracked.optout and tracked.caching):
            return
        try:
            positions = key_positions(command, argv)
        except NoKeys:
            return
        for position in positions:
            ids = self.readers.get(argv[position], NOBODY)
            if session.id not in ids:
                self.readers[argv[position]] = self._with(ids, session.id)
                self.items += 1
        self.limit()

    def _with(self, ids: frozenset[int], number: int) -> frozenset[int]:
        """One more reader. Keys that have the same readers share one object: a set for each took most of the table's memory."""
        made = self._made.get((ids, number))
        if made is None:
            if len(self._made) >= SHARED:
                self._made.clear()
            made = self._made[ids, number] = ids | {number}
        return made

    def limit(self) -> None:
        """Keep tracking-table-max-keys: what has been in the table for longest goes."""
        most = self._executor.settings["tracking-table-max-keys"]
        while most and len(self.readers) > most:
            self._invalidate(next(iter(self.readers)), by=None)

    # -- what changes

    def touched(self, key: bytes) -> None:
        """A key is being changed, perhaps by the session that is running."""
        for start, prefix in self.prefixes.items():
            if key.startswith(start):
                # Moved to the end: whoever changed it last is the one who changed it.
                prefix.changed[key] = self._executor.observers.running
        if key in self.readers:
            self._invalidate(key, by=self._executor.observers.running)

    def _invalidate(self, key: bytes, *, by: Session | None) -> None:
        ids = self.readers.pop(key)
        self.items -= len(ids)
        sessions = self._executor.sessions
        for number in sorted(ids):
            session = sessions.get(number)
            if session is None or session.tracking is None or session.tracking.bcast:
                continue
            if not (session.tracking.noloop and session is by):
                self._send(session, session.tracking, [key])

    def flushed(self) -> None:
        """Every key may be another one now: tell all who track."""
        self.readers.clear()
        self.items = 0
        for session in list(self.sessions):
            if session.tracking is not None:
                self._send(session, session.tracking, None)

    def broadcast(self) -> None:
        """A tick has ended: tell those in BCAST mode."""
        for prefix in list(self.prefixes.values()):
            if not prefix.changed:
                continue
            changed, prefix.changed = prefix.changed, {}
            for session in list(prefix.sessions):
                tracked = session.tracking
                if tracked is None:
                    continue
                keys = sorted(key for key, by in changed.items() if not (tracked.noloop and by is session))
                if keys:
                    self._send(session, tracked, keys)

    def _send(self, session: Session, tracked: Tracked, keys: list[bytes] | None) -> None:
        target: Session | None = session
        if tracked.redirect:
            target = self._executor.sessions.get(tracked.redirect)
            if target is None:
                tracked.broken = True
                if session.protocol == 3:
                    session.push(Push((b"tracking-redir-broken", tracked.redirect)))
                return
        assert target is not None
        if target.protocol == 3:
            target.push(Push((b"invalidate", keys)))
        elif tracked.redirect and target.listening():
            target.push(Push((b"message", CHANNEL, keys)))

    def statistics(self) -> dict[str, Any]:
        """For INFO."""
        return {
            "tracking_total_keys": len(self.readers),
            "tracking_total_items": self.items,
            "tracking_total_prefixes": len(self.prefixes),
        }
