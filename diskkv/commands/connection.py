"""Connections: who speaks, in which protocol, to which database."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.acl.users import DEFAULT
from diskkv.dispatch.args import Args, quoted, small_integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ALLOW_BUSY, DURING_MULTI, FAST, LOADING, NO_AUTH, NOSCRIPT, SECRET, STALE, WHILE_SUBSCRIBED, group
from diskkv.errors import BadSyntax, CommandError, NoAuth, NoProto, WrongArity, WrongPass
from diskkv.lib.numbers import parse_int
from diskkv.replies import OK, PONG, Simple

command = group("connection")

# Clients decide by it what they may use. The behaviour is 7.2's; fields that expire and client-side caching ask for 7.4.
REDIS_VERSION = "7.4.0"
GREETING = NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY


@command("PING [message]", FAST | WHILE_SUBSCRIBED, since="1.0.0")
def ping(ctx: Session, *message: bytes) -> Any:
    """Reply PONG, or the message."""
    if len(message) > 1:
        raise WrongArity("ping")
    if ctx.protocol == 2 and ctx.listening():
        return [b"pong", message[0] if message else b""]
    return message[0] if message else PONG


@command("ECHO message", LOADING | STALE | FAST, since="1.0.0")
def echo(ctx: Session, message: bytes) -> bytes:
    """Reply the message."""
    return message


@command("SELECT index", LOADING | STALE | FAST, since="1.0.0")
def select(ctx: Session, index: bytes) -> Any:
    """Choose the numbered database that the following commands work on."""
    ctx.select(small_integer(index))
    return OK


@command("AUTH [username] password", GREETING | SECRET, since="1.0.0", arity=-2)
def auth(ctx: Session, *words: bytes) -> Any:
    """Say who you are and give the password."""
    if len(words) > 2:
        raise BadSyntax
    if len(words) == 1 and ctx.executor.users.default.nopass:
        raise CommandError(
            "AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
        )
    _authenticate(ctx, words[0] if len(words) == 2 else DEFAULT, words[-1], b"AUTH")
    return OK


def _authenticate(ctx: Session, user: bytes, password: bytes, command: bytes) -> None:
    if not ctx.executor.users.log_in(ctx, user, password, command):
        raise WrongPass


@command("HELLO [protover [AUTH username password] [SETNAME clientname]]", GREETING | SECRET, since="6.0.0")
def hello(ctx: Session, *words: bytes) -> Any:
    """Choose the protocol's version, and say who is served by what."""
    args = Args(words)
    protocol = ctx.protocol
    name = credentials = None
    if args:
        number = parse_int(args.next())
        if number is None:
            raise CommandError("Protocol version is not an integer or out of range")
        if number not in (2, 3):
            raise NoProto
        protocol = number
    while args:
        option = args.next()
        match option.upper():
            case b"AUTH" if len(args) >= 2:
                credentials = (args.next(), args.next())
            case b"SETNAME" if args:
                name = check_name(args.next())
            case _:
                raise CommandError(f"Syntax error in HELLO option '{quoted(option)}'")
    if credentials is not None:
        _authenticate(ctx, *credentials, b"HELLO")
    if not ctx.authenticated:
        raise NoAuth(
            "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be "
            "used to authenticate the client and select the RESP protocol version at the same time"
        )
    if name is not None:
        ctx.name = name
    ctx.protocol = protocol
    ctx.regate()
    return {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": protocol,
        b"id": ctx.id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }


def check_name(name: bytes) -> bytes:
    """A client's name. CommandError when it has characters that would break the lines of CLIENT LIST."""
    if not all(0x21 <= byte <= 0x7E for byte in name):
        raise CommandError("Client names cannot contain spaces, newlines or special characters.")
    return name


@command("QUIT", GREETING | DURING_MULTI | WHILE_SUBSCRIBED, since="1.0.0", arity=-1)
def quit_(ctx: Session, *_: bytes) -> Any:
    """Close the connection."""
    ctx.front.close()
    return OK


@command("RESET", GREETING | DURING_MULTI | WHILE_SUBSCRIBED, since="6.2.0")
def reset(ctx: Session) -> Any:
    """Make the connection as if it were new."""
    ctx.executor.reset(ctx)
    return Simple(b"RESET")
