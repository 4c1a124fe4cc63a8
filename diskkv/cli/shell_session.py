"""A shell's conversation: the link, and what must be remembered to open the next one in the same state.

Who logged in, which database and which RESP version are followed from the replies, so that after a lost link or Ctrl-C the user
goes on where they were. A transaction is not: it died with its link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from diskkv.cli.shell_links import Link, Place
from diskkv.cli.shell_replies import Kind, LinkError, Reply, ReplyReader
from diskkv.lib.multibulk import encode_command


@dataclass(frozen=True, slots=True)
class Login:
    """What is said right after connecting; `protocol` None leaves the server's own choice."""

    password: bytes | None = None
    user: bytes | None = None
    database: int = 0
    protocol: int | None = None


class Session:
    """Commands go in, replies come out; pushes that arrive in between go to `on_push`, refusals while logging in to `on_refusal`."""

    def __init__(self, place: Place, login: Login, *, on_push: Callable[[Reply], None], on_refusal: Callable[[str], None]) -> None:
        self.place = place
        self.login = login
        self.in_multi = False
        self.logins = 0
        self._database_before_multi = 0
        self._on_push = on_push
        self._on_refusal = on_refusal
        self._link: Link | None = None
        self._reader = ReplyReader(lambda: b"")

    @property
    def connected(self) -> bool:
        return self._link is not None

    def connect(self) -> None:
        """Open a link (dropping the one that may be open) and log in; what the server refuses is reported and does not stop it."""
        self.drop()
        self._link = self.place.open()
        self._reader = ReplyReader(self._link.receive)
        self.logins += 1
        login = self.login
        if login.password is not None:
            argv = [b"AUTH", login.password] if login.user is None else [b"AUTH", login.user, login.password]
            self._ask("AUTH", argv)
        if login.database:
            self._select()
        if login.protocol is not None:
            self._ask(f"HELLO {login.protocol}", [b"HELLO", b"%d" % login.protocol])

    def move(self, place: Place) -> None:
        """Talk to another place from now on; the link to it is opened by `connect`."""
        self.drop()
        self.place.close()
        self.place = place

    def drop(self) -> None:
        """Forget the link, and with it an open transaction."""
        link, self._link = self._link, None
        self._leave_multi()
        if link is not None:
            link.close()

    def close(self) -> None:
        self.drop()
        self.place.close()

    def send(self, argv: Sequence[bytes]) -> None:
        """Send a command, connecting if need be."""
        if self._link is None:
            self.connect()
        assert self._link is not None
        try:
            self._link.send(encode_command(argv))
        except LinkError:
            self.drop()
            raise

    def read(self) -> Reply:
        """The next reply or push; a LinkError means that the link is gone."""
        try:
            return self._reader.read()
        except LinkError:
            self.drop()
            raise

    def call(self, argv: Sequence[bytes]) -> Reply:
        """One command and its reply. Remembers what the command changed about this session."""
        self.send(argv)
        reply = self._reply()
        self._follow(argv, reply)
        return reply

    def _reply(self) -> Reply:
        while (reply := self.read()).kind is Kind.PUSH:
            self._on_push(reply)
        return reply

    def _ask(self, what: str, argv: Sequence[bytes]) -> bool:
        self.send(argv)
        reply = self._reply()
        if reply.kind is Kind.ERROR:
            self._on_refusal(f"{what} failed: {reply.text.decode(errors='replace')}")
        return reply.kind is not Kind.ERROR

    def _select(self) -> None:
        self._ask(f"SELECT {self.login.database}", [b"SELECT", b"%d" % self.login.database])

    def _follow(self, argv: Sequence[bytes], reply: Reply) -> None:
        name = argv[0].upper()
        failed = reply.kind is Kind.ERROR
        queued = self.in_multi and reply.kind is Kind.SIMPLE and reply.text == b"QUEUED"
        match name, len(argv):
            case b"SELECT", 2 if not failed and argv[1].strip().isdigit():
                self.login = replace(self.login, database=int(argv[1]))
            case b"AUTH", 2 | 3 if not failed and not queued:
                user = argv[1] if len(argv) == 3 else None
                self._logged_in(user, argv[-1])
            case b"HELLO", count if count > 1 and not failed and not queued:
                self.login = replace(self.login, protocol=int(argv[1]))
                words = [word.upper() for word in argv]
                if b"AUTH" in words[2:]:
                    at = words.index(b"AUTH", 2)
                    self._logged_in(argv[at + 1], argv[at + 2])
            case b"MULTI", 1 if not failed:
                self.in_multi = True
                self._database_before_multi = self.login.database
            case b"EXEC", 1 if self.in_multi:
                if failed or reply.kind is Kind.NIL:
                    self._leave_multi()
                self.in_multi = False
            case b"DISCARD", 1 if not failed:
                self._leave_multi()
            case b"RESET", 1 if not failed:
                self.in_multi = False
                self.login = Login()

    def _logged_in(self, user: bytes | None, password: bytes) -> None:
        """A database asked for before logging in was refused then; ask again."""
        self.login = replace(self.login, user=user, password=password)
        self.logins += 1
        if self.login.database:
            self._select()

    def _leave_multi(self) -> None:
        """A SELECT that was queued and will not run changed nothing."""
        if self.in_multi:
            self.in_multi = False
            self.login = replace(self.login, database=self._database_before_multi)


def ask_aside(session: Session, argv: Sequence[bytes]) -> Reply | None:
    """One command on a link of its own, so that it can be asked in the middle of a transaction; None if there is no answer to be had."""
    aside = Session(session.place, replace(session.login, database=0), on_push=_ignore, on_refusal=_ignore)
    try:
        return aside.call(argv)
    except LinkError:
        return None
    finally:
        aside.drop()


def _ignore(_: object) -> None:
    """Pushes and refusals mean nothing to a question asked aside: its reply says enough."""


