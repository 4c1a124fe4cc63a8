"""The users: who there is, by which passwords, with which permissions; and what becomes of their clients when that changes.

With `aclfile` they are read from that file at the start and written by ACL SAVE, as in Redis; `user` lines of a configuration file make
them, too. Otherwise see `files.py`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from diskkv.dispatch.acl.access import check, hears
from diskkv.dispatch.acl.denials import Denials
from diskkv.dispatch.acl.selectors import RuleError, Selector, has_blanks, merge_parentheses, read_selector, split_words, words
from diskkv.errors import CommandError, NoPermission

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session
    from diskkv.dispatch.table import Command

DEFAULT = b"default"
_HASH = re.compile(rb"[0-9a-f]{64}")
BAD_HASH = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
# What EXEC answers for a queued command that is not allowed any more.
_CHANGED = (
    "ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the "
    "following reason: "
)
_REASONS = {
    "command": "no permission to execute the command or subcommand",
    "key": "no permission to touch the specified keys",
    "channel": "no permission to access one of the channels used as argument to the command",
}


class User:
    """One user. Sessions refer to it, so it is changed in place (`take`)."""

    __slots__ = ("enabled", "name", "nopass", "passwords", "restricted", "sanitize", "selectors")

    def __init__(self, name: bytes, *, all_channels: bool = False) -> None:
        self.name = name
        self.enabled = False
        self.nopass = False
        self.sanitize = True
        # hashes, in the order given
        self.passwords: dict[bytes, None] = {}
        # the root selector is the first
        self.selectors = [Selector(all_channels=all_channels)]
        # not every command may simply run; kept by `settle`
        self.restricted = True

    @property
    def root(self) -> Selector:
        return self.selectors[0]

    def copy(self) -> User:
        made = User(self.name)
        made.take(self)
        return made

    def take(self, other: User) -> None:
        """Become like another user in all but the name."""
        self.enabled, self.nopass, self.sanitize = other.enabled, other.nopass, other.sanitize
        self.passwords = dict(other.passwords)
        self.selectors = [selector.copy() for selector in other.selectors]
        self.settle()

    def settle(self) -> None:
        """Recompute `restricted` after rules were applied."""
        self.restricted = not any(selector.unrestricted for selector in self.selectors)

    def accepts(self, password: bytes) -> bool:
        """Whether somebody who gives this password may become the user."""
        if not self.enabled:
            return False
        if self.nopass:
            return True
        given = hashed(password)
        # Compared in a time that does not tell how much of a hash was right.
        return any(hmac.compare_digest(given, held) for held in self.passwords)

    # -- rules

    def apply(self, rule: bytes, *, all_channels: bool) -> None:
        """Change what one rule says; `all_channels` is what a selector begins with. RuleError when it is none. `settle` afterwards."""
        match words(rule).lower():
            case "" if not rule:
                pass
            case "on" | "off" as word:
                self.enabled = word == "on"
            case "sanitize-payload" | "skip-sanitize-payload" as word:
                self.sanitize = word == "sanitize-payload"
            case "nopass" | "resetpass" as word:
                self.nopass = word == "nopass"
                self.passwords = {}
            case "clearselectors":
                del self.selectors[1:]
            case "reset":
                self.take(User(self.name, all_channels=all_channels))
            case _ if rule[:1] in (b">", b"#", b"<", b"!"):
                self._apply_password(rule)
            case _ if rule.startswith(b"(") and rule.endswith(b")"):
                self.selectors.append(read_selector(split_words(rule[1:-1]), all_channels=all_channels))
            case _:
                self.root.apply(rule)

    def _apply_password(self, rule: bytes) -> None:
        sign, text = rule[:1], rule[1:]
        if sign in b"#!" and not _HASH.fullmatch(text):
            raise RuleError(BAD_HASH)
        password = hashed(text) if sign in b"><" else text
        if sign in b">#":
            self.passwords[password] = None
            self.nopass = False
        elif password in self.passwords:
            del self.passwords[password]
        else:
            raise RuleError("The password you are trying to remove from the user does not exist")

    # -- printed

    def flags(self) -> list[bytes]:
        """As ACL GETUSER names them."""
        found = [b"on" if self.enabled else b"off"]
        if self.nopass:
            found.append(b"nopass")
        found.append(b"sanitize-payload" if self.sanitize else b"skip-sanitize-payload")
        return found

    def describe(self) -> bytes:
        """The user as a line of ACL LIST and of an ACL file."""
        parts = [b"user", self.name, *self.flags(), *(b"#" + password for password in self.passwords), self.root.describe()]
        return b" ".join([*parts, *(b"(" + selector.describe() + b")" for selector in self.selectors[1:])])


def hashed(password: bytes) -> bytes:
    """A password as it is kept: SHA-256 in hexadecimal digits."""
    return hashlib.sha256(password).hexdigest().encode()


def new_default() -> User:
    """The user `default` as it is when nobody has said anything about it."""
    user = User(DEFAULT)
    for rule in (b"+@all", b"~*", b"&*", b"on", b"nopass"):
        user.apply(rule, all_channels=False)
    user.settle()
    return user


class Users:
    """All users of an executor."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.default = new_default()
        self.by_name: dict[bytes, User] = {DEFAULT: self.default}
        # The user of those who have the store in their own process and gave no password: called like the default user, never restricted.
        self.owner = new_default()
        self.denials = Denials(executor)

    # -- who there is

    def ordered(self) -> list[User]:
        """By name."""
        return [user for _, user in sorted(self.by_name.items())]

    @property
    def all_channels(self) -> bool:
        """Whether new users may use every channel (acl-pubsub-default)."""
        return bool(self._executor.settings["acl-pubsub-default"] == "allchannels")

    @property
    def open(self) -> bool:
        """Whether clients are let in without a password."""
        return self.default.nopass and self.default.enabled

    # -- changing them

    def set(self, name: bytes, rules: Sequence[bytes]) -> None:
        """ACL SETUSER: make or change a user, by all of the rules or none. CommandError when one is wrong."""
        if has_blanks(name):
            raise CommandError("Usernames can't contain spaces or null characters")
        held = self.by_name.get(name)
        staged = held.copy() if held is not None else User(name, all_channels=self.all_channels)
        try:
            merged = merge_parentheses(rules)
        except RuleError as error:
            raise CommandError(str(error)) from None
        for rule in merged:
            try:
                staged.apply(rule, all_channels=self.all_channels)
            except RuleError as error:
                raise CommandError(f"Error in ACL SETUSER modifier '{words(rule)}': {error}") from None
        staged.settle()
        if held is None:
            self.by_name[name] = staged
            return
        self._silence(held, staged)
        held.take(staged)
        self.regate()

    def delete(self, given: Iterable[bytes]) -> int:
        """ACL DELUSER: how many of the users there were; their clients are disconnected."""
        wanted = list(given)
        if DEFAULT in wanted:
            raise CommandError("The 'default' user cannot be removed")
        gone = [user for name in wanted if (user := self.by_name.pop(name, None)) is not None]
        self._disconnect(gone)
        return len(gone)

    def replace(self, users: dict[bytes, User]) -> None:
        """ACL LOAD: these users, and the default user as new if it is not among them, instead of all others.

        As in Redis 7.2 the clients of all users but the default one are disconnected, the default user's only if they hear what they may
        not hear any more.
        """
        old, self.by_name = self.by_name, dict(users)
        loaded = users.get(DEFAULT)
        loaded = loaded if loaded is not None else new_default()
        self._silence(self.default, loaded)
        self.default.take(loaded)
        self.by_name[DEFAULT] = self.default
        self._disconnect([user for name, user in old.items() if name != DEFAULT])
        self.regate()

    def add(self, users: dict[bytes, User]) -> None:
        """Have these users besides those there are, at the start."""
        for name, user in users.items():
            if name == DEFAULT:
                self.default.take(user)
            else:
                self.by_name[name] = user

    def require(self, password: str) -> None:
        """Have the default user need a password, or none if it is empty (requirepass)."""
        self.default.passwords = {hashed(password.encode("utf-8", "surrogateescape")): None} if password else {}
        self.default.nopass = not password
        self.regate()

    def regate(self) -> None:
        """Users have changed: have every session look again whether it must pass the gates."""
        for session in self._executor.sessions.values():
            session.regate()

    def _disconnect(self, gone: Sequence[User]) -> None:
        for session in list(self._executor.sessions.values()):
            if session.user in gone:
                # Nothing more may run as that user, whatever else the client had sent.
                session.user = self.default
                session.authenticated = False
                session.regate()
                self._hang_up(session)

    def _silence(self, old: User, new: User) -> None:
        """Disconnect a user's clients that hear channels which the user may not hear any more."""
        if any(selector.all_channels for selector in new.selectors):
            return
        allowed = {pattern for selector in new.selectors for pattern in selector.channels}
        if not any(selector.all_channels for selector in old.selectors):
            before = {pattern for selector in old.selectors for pattern in selector.channels}
            if before <= allowed:
                return
        for session in list(self._executor.sessions.values()):
            if session.user is old and not hears(session, allowed):
                self._hang_up(session)

    def _hang_up(self, session: Session) -> None:
        """Disconnect a client. From now on it hears nothing, waits for nothing and is not listed, though its front may need a moment."""
        session.front.close()
        self._executor.close_session(session)

    # -- letting clients in

    def log_in(self, session: Session, name: bytes, password: bytes, command: bytes) -> bool:
        """Make the session the user's if the password is right; otherwise it is noted, with the command that asked."""
        user = self.by_name.get(name)
        if user is None or not user.accepts(password):
            context = "multi" if self._executor.nested else "toplevel"
            self.denials.note(session, "auth", context, command, name, command.decode().lower())
            return False
        session.user = user
        session.authenticated = True
        session.regate()
        return True

    # -- deciding

    def refusal(self, session: Session, command: Command, argv: Sequence[bytes], context: str = "toplevel") -> NoPermission | None:
        """The error for a command that the session's user may not run so, which is also noted; None when it may.

        `context` is `toplevel` (before a command runs or is queued), `multi` (when EXEC runs it) or `lua` (a script calls it); it decides
        the error's text and is written down. To ask without writing it down: `access.check(session.user, command, argv)`.
        """
        user = session.user
        if not user.restricted:
            return None
        denial = check(user, command, argv)
        if denial is None:
            return None
        queued = session.queue is not None and context == "toplevel"
        running = {"multi": "exec", "lua": "eval"}.get(context, command.name)
        self.denials.note(session, denial.reason, "multi" if queued else context, denial.object, user.name, running)
        if context == "multi":
            return NoPermission(_CHANGED + _REASONS[denial.reason])
        text = denial.text(user.name, shown=False)
        return NoPermission("ACL failure in script: " + text if context == "lua" else text)
