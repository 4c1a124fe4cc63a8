"""What is remembered of one client, and what a command may see of the world: every handler's first argument, `ctx`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from diskkv.errors import CommandError
from diskkv.store.events import Watcher
from diskkv.store.residents import SHARDS

if TYPE_CHECKING:
    import random

    from diskkv.dispatch.acl.users import User
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.table import Command
    from diskkv.dispatch.tracking import Tracked
    from diskkv.lib.eventclasses import Classes
    from diskkv.store.database import Database
    from diskkv.store.store import Store


class Front(Protocol):
    """What a session needs of whoever speaks with the client."""

    def push(self, reply: Any) -> None:
        """Send something that no command asked for (a published message)."""

    def close(self) -> None:
        """Disconnect as soon as everything that has been answered is sent, the reply of the command that asks for it too.

        What the client sent behind that command is not executed any more.
        """

    def describe(self) -> dict[str, str]:
        """For CLIENT LIST: at least addr, laddr and fd; whatever else the front knows (qbuf, obl, ..., `flags` such as U for unix).

        A front also keeps `session.last_seen` and, for all but the command that is running, `session.last_command` up to date.
        """


class NoFront:
    """The front of sessions that nobody listens to: replay, and clients in process that do not subscribe."""

    def push(self, reply: Any) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing to close."""

    def describe(self) -> dict[str, str]:
        return {"addr": "127.0.0.1:0", "laddr": "127.0.0.1:0", "fd": "-1"}


# What a command takes while it waits, and each of its words, besides their bytes.
QUEUED_COST, QUEUED_WORD_COST = 130, 40
# The same of a key that is watched, and of a channel or a pattern: most of it are dicts and lists that are this one's only.
NAME_COST = 400


class Session:
    """One client's state. `db` is the selected database, `store` and `executor` what all share."""

    __slots__ = (
        "authenticated", "blocked", "created", "db", "effects", "executor", "fieldset_size", "fieldsets", "front", "gated", "id",
        "index", "last_command", "last_seen", "lib_name", "lib_version", "monitoring", "name", "name_size", "no_evict", "no_touch",
        "patterns", "pending", "protocol", "queue", "queue_broken", "queued", "reply_mode", "script", "shards", "store",
        "subscriptions", "tracking", "user", "watcher", "watching",
    )  # fmt: skip

    def __init__(self, executor: Executor, front: Front | None = None) -> None:
        self.executor = executor
        self.store: Store = executor.store
        self.front: Front = front if front is not None else NoFront()
        self.id = 0
        self.index = 0
        self.db: Database = self.store.databases[0]
        self.protocol = 2
        # who the client is; not yet proven unless `authenticated`
        self.user: User = executor.users.default
        self.authenticated = True
        self.name = b""
        self.lib_name = b""
        self.lib_version = b""
        self.created = self.last_seen = self.store.now
        # the name that the client's last command was called by; kept by the front
        self.last_command = b""
        # gated: not every command simply runs (MULTI, subscribed in RESP2, no password yet, a user who may not do
        # everything, CLIENT REPLY, NO-TOUCH); see the executor
        self.gated = False
        self.queue: list[tuple[Command, list[bytes]]] | None = None
        self.queue_broken = False
        # bytes of memory that the queue takes
        self.queued = 0
        self.watcher: Watcher | None = None
        # database number and key: SWAPDB leaves a number's watchers with the number
        self.watching: dict[tuple[int, bytes], None] = {}
        self.subscriptions: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shards: dict[bytes, None] = {}
        # memory that the keys which are watched, the channels and the patterns take
        self.name_size = 0
        self.tracking: Tracked | None = None
        self.monitoring = False
        # what was pushed while the session's own command was running: it leaves behind the reply. None: nothing is, or nobody listens.
        self.pending: list[Any] | None = None
        # on, off, skip (the next command's) or skipping (this command's)
        self.reply_mode = "on"
        self.blocked: Any = None
        self.effects: list[tuple[bytes, ...]] | None = None
        # script: what runs comes from a script, and is the caller's only in its name
        self.script = False
        self.no_evict = False
        self.no_touch = False
        # the fields that HIMPORT SET is to give values, by the names that HIMPORT PREPARE gave them
        self.fieldsets: dict[bytes, tuple[bytes, ...]] = {}
        self.fieldset_size = 0

    # -- for commands

    @property
    def now(self) -> int:
        """The time in ms, fixed for the whole command."""
        return self.store.now

    @property
    def random(self) -> random.Random:
        """Where chance comes from; can be seeded through the store."""
        return self.store.random

    def log_as(self, *argv: bytes) -> None:
        """Have the log say this instead of the command as it came; may be called more than once. No call: as it came.

        For whatever depends on time, chance or waiting: SPOP logs the SREM it amounts to.
        """
        if self.effects is None:
            self.effects = []
        self.effects.append(argv)

    def log_nothing(self) -> None:
        """Have the log say nothing but what `log_as` was told."""
        if self.effects is None:
            self.effects = []

    def say(self, kind: Classes, event: bytes, key: bytes) -> None:
        """Name a keyspace event that can't be told from what happens to the key; see `notices.py`."""
        if self.store.listener is not None:
            self.executor.observers.said(self.db, key, kind, event)

    def select(self, index: int) -> None:
        """Choose a database. CommandError when there is none of that number."""
        if not 0 <= index < len(self.store.databases):
            raise CommandError("DB index is out of range")
        self.index = index
        self.db = self.store.databases[index]

    def kept(self) -> int:
        """How much memory is taken by what was asked to be remembered: commands, keys, channels, fields."""
        return self.queued + self.fieldset_size + self.name_size

    def subscribed(self) -> int:
        """How many channels and patterns the client is subscribed to."""
        return len(self.subscriptions) + len(self.patterns)

    def listening(self) -> bool:
        """Whether the client is subscribed to anything, channels of shards too."""
        return bool(self.subscriptions or self.patterns or self.shards)

    def push(self, reply: Any) -> None:
        """Send the client something that its present command did not ask for: at once, or behind that command's reply."""
        if self.pending is None:
            self.front.push(reply)
        else:
            self.pending.append(reply)

    def release(self) -> None:
        """The reply has left: so may what was to leave behind it."""
        pushes, self.pending = self.pending, None
        for push in pushes or ():
            self.front.push(push)

    def muted(self) -> bool:
        """Whether the reply that there is now does not leave (CLIENT REPLY). With this the skipping of one is over."""
        mode = self.reply_mode
        if mode == "skipping":
            self.reply_mode = "on"
            self.regate()
        return mode != "on"

    def admitted(self) -> bool:
        """Whether the client has given a password, or needs none."""
        return self.authenticated or self.executor.users.open

    def regate(self) -> None:
        """Recompute `gated` after one of the states it sums up has changed."""
        self.gated = self.user.restricted or not self.admitted() or self.unusual()

    def unusual(self) -> bool:
        """Whether the connection is in a state of its own, whoever its user is (MULTI, subscribed in RESP2, CLIENT REPLY, NO-TOUCH)."""
        return (
            self.queue is not None
            or self.reply_mode != "on"
            or self.no_touch
            or self.tracking is not None
            or self.monitoring
            or self.listening()
        )

    def unwatch(self) -> None:
        """Forget all watched keys (UNWATCH, EXEC, DISCARD, disconnecting)."""
        if self.watcher is not None:
            for index, key in self.watching:
                self.name_size -= NAME_COST + len(key)
                watched = self.store.databases[index].watched
                watchers = watched[key]
                watchers.remove(self.watcher)
                if not watchers:
                    del watched[key]
                    self.store.databases[index].heed()
            self.watching = {}
            self.watcher = None

    def watch(self, key: bytes) -> None:
        """Have EXEC fail if the key changes from now on."""
        if self.watcher is None:
            self.watcher = Watcher()
        if (self.index, key) not in self.watching:
            self.watching[self.index, key] = None
            self.name_size += NAME_COST + len(key)
            self.db.watched.setdefault(key, []).append(self.watcher)
            self.db.heeded = True

    def enter_multi(self) -> None:
        """Queue what follows (MULTI)."""
        self.queue = []
        self.queue_broken = False
        self.queued = 0
        self.regate()

    def enqueue(self, command: Command, argv: list[bytes]) -> None:
        """Keep a command for EXEC. REQUIRES: MULTI was given."""
        assert self.queue is not None
        self.queue.append((command, argv))
        self.queued += QUEUED_COST + sum(map(len, argv)) + QUEUED_WORD_COST * len(argv)

    def leave_multi(self) -> None:
        """Forget the queue and the watched keys (EXEC, DISCARD, RESET)."""
        self.queue = None
        self.queue_broken = False
        self.queued = 0
        self.unwatch()
        self.regate()


def is_local(session: Session) -> bool:
    """Whether a client is on this machine: in this process, on a unix socket, or at a loopback address."""
    return LOCAL.match(session.front.describe()["addr"]) is not None


LOCAL = re.compile(r"127\.0\.0\.1:|\[::1\]:|/|@|$")


class Hidden:
    """Stands for a database where nothing may be looked up."""

    objects: Mapping[bytes, Any] = MappingProxyType({})
    shards = (objects,) * SHARDS
    awaited: Mapping[bytes, Any] = MappingProxyType({})
    watched: Mapping[bytes, Any] = MappingProxyType({})


HIDDEN: Any = Hidden()
