"""Clients: what they are called, who is there, and what may be done to them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from diskkv.commands.connection import check_name
from diskkv.dispatch.args import Args, integer, milliseconds, quoted
from diskkv.dispatch.listing import client_line
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ADMIN, LOADING, NOSCRIPT, STALE, group, help_lines
from diskkv.errors import BadSyntax, CommandError, Unblocked
from diskkv.lib.numbers import parse_int
from diskkv.replies import NO_REPLY, OK, Verbatim

command = group("connection")

QUIET = NOSCRIPT | LOADING | STALE
TYPES = (b"normal", b"master", b"slave", b"replica", b"pubsub")


@command("CLIENT ID", QUIET, since="5.0.0")
def client_id(ctx: Session) -> int:
    """Return the client's number."""
    return ctx.id


@command("CLIENT SETNAME connection-name", QUIET, since="2.6.9")
def client_setname(ctx: Session, name: bytes) -> Any:
    """Give the client a name; an empty one for none."""
    ctx.name = check_name(name)
    return OK


@command("CLIENT GETNAME", QUIET, since="2.6.9")
def client_getname(ctx: Session) -> bytes | None:
    """Return the client's name."""
    return ctx.name or None


@command("CLIENT SETINFO <LIB-NAME libname | LIB-VER libver>", QUIET, since="7.2.0", arity=4)
def client_setinfo(ctx: Session, attribute: bytes, value: bytes) -> Any:
    """Say which library the client is made with."""
    shown = quoted(attribute)
    match attribute.upper():
        case b"LIB-NAME":
            ctx.lib_name = _printable(shown, value)
        case b"LIB-VER":
            ctx.lib_version = _printable(shown, value)
        case _:
            raise CommandError(f"Unrecognized option '{shown}'")
    return OK


def _printable(attribute: str, value: bytes) -> bytes:
    if not all(0x21 <= byte <= 0x7E for byte in value):
        raise CommandError(f"{attribute} cannot contain spaces, newlines or special characters.")
    return value


@command("CLIENT INFO", QUIET, since="6.2.0")
def client_info(ctx: Session) -> Verbatim:
    """Return what is known of the client."""
    return Verbatim((client_line(ctx, "client|info") + "\n").encode("utf-8", "surrogateescape"))


@command("CLIENT LIST [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]", ADMIN | QUIET, since="2.4.0")
def client_list(ctx: Session, *words: bytes) -> Verbatim:
    """Return what is known of all clients, or of some."""
    sessions: Iterable[Session] = ctx.executor.sessions.values()
    args = Args(words)
    if args:
        match args.word():
            case b"TYPE" if len(args) == 1:
                kind = _type(args.next())
                sessions = [session for session in sessions if _type_of(session) == kind]
            case b"ID" if args:
                sessions = _by_id(ctx, args.rest())
            case _:
                raise BadSyntax
    lines = [client_line(session, "client|list" if session is ctx else _last_command(session)) + "\n" for session in sessions]
    return Verbatim("".join(lines).encode("utf-8", "surrogateescape"))


def _by_id(ctx: Session, numbers: Iterable[bytes]) -> list[Session]:
    found = []
    for raw in numbers:
        number = parse_int(raw)
        if number is None:
            raise CommandError("Invalid client ID")
        session = ctx.executor.sessions.get(number)
        if session is not None:
            found.append(session)
    return found


def _type(raw: bytes) -> bytes:
    kind = raw.lower()
    if kind not in TYPES:
        raise CommandError(f"Unknown client type '{quoted(raw)}'")
    return b"replica" if kind == b"slave" else kind


def _type_of(session: Session) -> bytes:
    return b"pubsub" if session.listening() else b"normal"


def _last_command(session: Session) -> str:
    return session.last_command.decode("utf-8", "surrogateescape").lower()


_FILTERS = (
    "[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] | [ADDR ip:port] | [LADDR ip:port] | "
    "[SKIPME <YES | NO>] | [MAXAGE maxage]"
)


@command(f"CLIENT KILL <ip:port | <{_FILTERS} [{_FILTERS} ...]>>", ADMIN | QUIET, since="2.4.0", arity=-3)
def client_kill(ctx: Session, *words: bytes) -> Any:
    """Disconnect clients: the one at an address, or all that pass every filter."""
    sessions = ctx.executor.sessions.values()
    if len(words) == 1:
        address = words[0].decode("utf-8", "surrogateescape")
        for session in sessions:
            if session.front.describe()["addr"] == address:
                session.front.close()
                return OK
        raise CommandError("No such client")
    filters = _filters(words, ctx.executor.users.by_name)
    skip_me = filters.pop("skipme", True)
    oldest = ctx.now // 1000 - filters.pop("maxage", 0)
    chosen = [
        session
        for session in sessions
        if not (skip_me and session is ctx) and session.created // 1000 <= oldest and _passes(session, filters)
    ]
    for session in chosen:
        session.front.close()
    return len(chosen)


def _filters(words: tuple[bytes, ...], users: Container[bytes]) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    args = Args(words)
    while args:
        word = args.word()
        value = args.next()
        shown = quoted(value)
        match word:
            case b"ID":
                number = parse_int(value)
                if number is None or number < 1:
                    raise CommandError("client-id should be greater than 0")
                filters["id"] = number
            case b"TYPE":
                filters["type"] = _type(value)
            case b"ADDR" | b"LADDR":
                filters[word.decode().lower()] = shown
            case b"USER":
                if value not in users:
                    raise CommandError(f"No such user '{shown}'")
                filters["user"] = value
            case b"MAXAGE":
                seconds = parse_int(value)
                if seconds is None:
                    raise CommandError("maxage is not an integer or out of range")
                if seconds < 1:
                    raise CommandError("maxage should be greater than 0")
                filters["maxage"] = seconds
            case b"SKIPME" if value.lower() in (b"yes", b"no"):
                filters["skipme"] = value.lower() == b"yes"
            case _:
                raise BadSyntax
    return filters


def _passes(session: Session, filters: dict[str, Any]) -> bool:
    facts = {"id": session.id, "type": _type_of(session), "user": session.user.name, **session.front.describe()}
    return all(facts[name] == wanted for name, wanted in filters.items())


@command("CLIENT REPLY <ON | OFF | SKIP>", QUIET, since="3.2.0")
def client_reply(ctx: Session, mode: bytes) -> Any:
    """Have replies sent, or not, or the next one not."""
    match mode.upper():
        case b"ON":
            ctx.reply_mode = "on"
            ctx.regate()
            return OK
        case b"OFF":
            ctx.reply_mode = "off"
        case b"SKIP":
            if ctx.reply_mode != "off":
                ctx.reply_mode = "skip"
        case _:
            raise BadSyntax
    ctx.regate()
    return NO_REPLY


@command("CLIENT UNBLOCK client-id [TIMEOUT | ERROR]", ADMIN | QUIET, since="5.0.0")
def client_unblock(ctx: Session, number: bytes, *reason: bytes) -> int:
    """Let a blocked client go on, as if its time were up or with an error."""
    if len(reason) > 1:
        raise BadSyntax
    how = reason[0].upper() if reason else b"TIMEOUT"
    if how not in (b"TIMEOUT", b"ERROR"):
        raise CommandError("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    session = ctx.executor.sessions.get(integer(number))
    if session is None or session.blocked is None:
        return 0
    waiter = session.blocked
    ctx.executor.waiters.cancel(waiter)
    waiter.resume(waiter.blocked.timeout_reply if how == b"TIMEOUT" else Unblocked())
    return 1


@command("CLIENT PAUSE timeout [WRITE | ALL]", ADMIN | QUIET, since="3.0.0")
def client_pause(ctx: Session, timeout: bytes, *mode: bytes) -> Any:
    """Let no client run commands, or commands that write, for some milliseconds."""
    if len(mode) > 1:
        raise BadSyntax
    which = mode[0].upper() if mode else b"ALL"
    if which not in (b"WRITE", b"ALL"):
        raise CommandError("CLIENT PAUSE mode must be WRITE or ALL")
    ctx.executor.pause(ctx.now + milliseconds(timeout), everything=which == b"ALL")
    return OK


@command("CLIENT UNPAUSE", ADMIN | QUIET, since="6.2.0")
def client_unpause(ctx: Session) -> Any:
    """End CLIENT PAUSE."""
    ctx.executor.unpause()
    return OK


@command("CLIENT NO-EVICT <ON | OFF>", ADMIN | QUIET, since="7.0.0")
def client_no_evict(ctx: Session, mode: bytes) -> Any:
    """Ask not to be disconnected for want of memory, which happens to no client here."""
    ctx.no_evict = _on(mode)
    return OK


@command("CLIENT NO-TOUCH <ON | OFF>", QUIET, since="7.2.0")
def client_no_touch(ctx: Session, mode: bytes) -> Any:
    """Have the client's commands not count as uses of the keys for the cache."""
    ctx.no_touch = _on(mode)
    ctx.regate()
    return OK


def _on(mode: bytes) -> bool:
    if mode.upper() not in (b"ON", b"OFF"):
        raise BadSyntax
    return mode.upper() == b"ON"


@command("CLIENT HELP", LOADING | STALE, since="5.0.0")
def client_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("client")
