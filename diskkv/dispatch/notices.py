"""Keyspace notifications: what a command's changes are called, and who is told.

Handlers know nothing of them. While somebody listens, the store tells which keys a command created, touched, removed, found expired
or missed, in order (its story), and the command's rule (`rule`, declared in `commands/events.py`) makes events of story, arguments
and reply. The plainest rule, `own`, says one event of each key that was touched; `new`, `del`, `expired` and `keymiss` come of the
story itself. A command that writes needs a rule, and a test says so.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from diskkv.dispatch.table import Command, Flag
from diskkv.errors import CommandError
from diskkv.lib.eventclasses import Classes

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session
    from diskkv.store.database import Database


class Happening(enum.Enum):
    """What may happen to a key inside a command."""

    CREATED = enum.auto()
    TOUCHED = enum.auto()
    REMOVED = enum.auto()
    EXPIRED = enum.auto()
    MISSED = enum.auto()


class Said(NamedTuple):
    """An event that a handler said itself (`Session.say`), because nothing else shows it."""

    kind: Classes
    event: bytes


Story = list[tuple[Happening | Said, "Database", bytes]]


CHANGED = frozenset({Happening.CREATED, Happening.TOUCHED, Happening.REMOVED})


class Account:
    """One command that has been run, as its rule sees it."""

    __slots__ = ("_notices", "argv", "command", "reply", "session", "story")

    def __init__(self, notices: Notices, session: Session, command: Command, argv: Sequence[bytes], reply: Any, story: Story) -> None:
        self._notices = notices
        self.session = session
        self.command = command
        self.argv = argv
        self.reply = reply
        self.story = story

    def tell(self, kind: Classes, event: bytes, key: bytes, db: Database | None = None) -> None:
        """Say an event of a key, if its class is wanted."""
        self._notices.tell(kind, event, db if db is not None else self.session.db, key)

    def touched(self, key: bytes) -> bool:
        """Whether the command changed the key, or came upon its end."""
        return any(met == key and what in CHANGED for what, _, met in self.story)

    def removed(self, key: bytes) -> bool:
        """Whether the key ceased to exist, and not because its time had come."""
        return any(met == key and what is Happening.REMOVED for what, _, met in self.story)

    def failed(self) -> bool:
        """Whether the reply is an error."""
        return isinstance(self.reply, CommandError)

    def missed(self, key: bytes) -> None:
        """Tell of a key that was looked up in vain, if it was."""
        if any(what is Happening.MISSED and met == key for what, _, met in self.story):
            self.tell(Classes.KEY_MISS, b"keymiss", key)

    def options(self) -> set[bytes]:
        """The words of the arguments in capitals, for rules that look for options."""
        return {word.upper() for word in self.argv}

    def follow(self, kind: Classes, event: bytes = b"", *, takes: bool = False) -> None:
        """The plainest rule: the event once for each key touched, where that first happened; `del` where it was removed.

        `takes`: the command takes things out of keys, so that one which goes at once was emptied and not replaced by nothing.
        """
        said: set[bytes] = set()
        for what, db, key in self.story:
            if what is Happening.CREATED:
                self.tell(Classes.NEW, b"new", key, db)
            if event and key not in said and (what in (Happening.CREATED, Happening.TOUCHED) or (takes and what is Happening.REMOVED)):
                said.add(key)
                self.tell(kind, event, key, db)
            if what not in (Happening.CREATED, Happening.TOUCHED):
                self.aside(what, db, key)

    def background(self) -> None:
        """What of the story is told whatever the command: expired and missed keys, and new ones."""
        for what, db, key in self.story:
            if what is Happening.CREATED:
                self.tell(Classes.NEW, b"new", key, db)
            elif what is not Happening.REMOVED:
                self.aside(what, db, key)

    def aside(self, what: Happening | Said, db: Database, key: bytes) -> None:
        """Tell a removed, expired or missed key, or what the handler said of it."""
        if isinstance(what, Said):
            self.tell(what.kind, what.event, key, db)
        elif what is Happening.REMOVED:
            self.tell(Classes.GENERIC, b"del", key, db)
        elif what is Happening.EXPIRED:
            self.tell(Classes.EXPIRED, b"expired", key, db)
        elif what is Happening.MISSED and (self.command.flags & Flag.READONLY or self.command.name in READING):
            self.tell(Classes.KEY_MISS, b"keymiss", key, db)


Rule = Callable[[Account], None]

# Filled by `commands/events.py`: the rules by the command's name; and the commands that write, whose look-ups yet count as misses.
RULES: dict[str, Rule] = {}
READING: set[str] = set()


def own(kind: Classes, event: bytes = b"", *, takes: bool = False) -> Rule:
    """The rule of a command whose changes have one name; see `Account.follow`."""

    def rule(account: Account) -> None:
        account.follow(kind, event, takes=takes)

    return rule


class Notices:
    """Publishes events, as `classes` (notify-keyspace-events) says."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.classes = Classes(0)

    @property
    def on(self) -> bool:
        """Whether there is anything to tell, and a channel to tell it on."""
        return bool(self.classes & (Classes.KEYSPACE | Classes.KEYEVENT)) and bool(self.classes & ~(Classes.KEYSPACE | Classes.KEYEVENT))

    def tell(self, kind: Classes, event: bytes, db: Database, key: bytes) -> None:
        """Publish an event if its class is wanted."""
        if not self.classes & kind:
            return
        publish = self._executor.pubsub.publish
        number = self._executor.store.databases.index(db)
        if self.classes & Classes.KEYSPACE:
            publish(b"__keyspace@%d__:%b" % (number, key), event)
        if self.classes & Classes.KEYEVENT:
            publish(b"__keyevent@%d__:%b" % (number, event), key)

    def account_for(self, session: Session, command: Command, argv: Sequence[bytes], reply: Any, story: Story) -> None:
        """Tell what a command did."""
        account = Account(self, session, command, argv, reply, story)
        rule = RULES.get(command.name)
        if rule is not None:
            rule(account)
        elif command.flags & Flag.WRITE:
            account.follow(Classes.GENERIC)
        else:
            account.background()
