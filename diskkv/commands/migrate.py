"""MIGRATE: keys into another server. As in Redis nobody is served while it lasts, at most for the timeout at each wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diskkv.dispatch.args import Args, integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import MOVABLEKEYS, SECRET, WRITE, Keys, group
from diskkv.errors import BadDump, BadSyntax, CommandError
from diskkv.rdb.commands import encode_command
from diskkv.rdb.payload import write_payload
from diskkv.replies import OK, Simple
from diskkv.transfer.peers import Peer
from diskkv.transfer.values import content_of

command = group("generic")

NOKEY = Simple(b"NOKEY")
DEFAULT_MS = 1000


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done: `login` are AUTH's arguments."""

    host: bytes
    port: bytes
    db: int
    seconds: float
    keys: tuple[bytes, ...]
    copy: bool
    replace: bool
    login: tuple[bytes, ...]


class Broken(Exception):
    """The connection failed: `writing` or reading, after some replies had come or before."""

    def __init__(self, *, writing: bool, retry: bool) -> None:
        super().__init__()
        self.writing = writing
        self.retry = retry


@command(
    'MIGRATE host port <key | ""> destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] '
    "[KEYS key [key ...]]",
    WRITE | SECRET | MOVABLEKEYS, since="2.6.0", arity=-6, keys=Keys(3, 3, 1),
)  # fmt: skip
def migrate(ctx: Session, host: bytes, port: bytes, key: bytes, destination_db: bytes, timeout: bytes, *options: bytes) -> Any:
    """Move keys to another server, or with COPY copy them there."""
    order = _order(ctx, host, port, key, destination_db, timeout, options)
    if not order.keys:
        return NOKEY
    done: list[bytes] = []
    ctx.log_nothing()
    try:
        return _carry_out(ctx, order, done)
    finally:
        if done and not order.copy:
            for moved in done:
                ctx.db.delete(moved)
            ctx.log_as(b"DEL", *done)


def _order(ctx: Session, host: bytes, port: bytes, key: bytes, destination_db: bytes, timeout: bytes, options: tuple[bytes, ...]) -> Order:
    args = Args(options)
    copy = replace = False
    login: tuple[bytes, ...] = ()
    keys: tuple[bytes, ...] = (key,)
    while args:
        match args.word():
            case b"COPY":
                copy = True
            case b"REPLACE":
                replace = True
            case b"AUTH":
                login = (args.next(),)
            case b"AUTH2":
                login = tuple(args.take(2))
            case b"KEYS":
                if key:
                    raise CommandError("When using MIGRATE KEYS option, the key argument must be set to the empty string")
                keys = tuple(args.rest())
            case _:
                raise BadSyntax
    ms = integer(timeout)
    db = integer(destination_db)
    found = tuple(name for name in keys if ctx.db.find(name) is not None)
    return Order(host, port, db, (ms if ms > 0 else DEFAULT_MS) / 1000, found, copy, replace, login)


def _carry_out(ctx: Session, order: Order, done: list[bytes]) -> Any:
    peers = ctx.executor.peers
    for again in (True, False):
        try:
            peer = peers.get(order.host, order.port, order.seconds)
        except ConnectionError:
            # Redis learns of a refusal when it begins to write.
            raise CommandError("error or timeout writing to target instance", code="IOERR") from None
        except OSError:
            raise CommandError("error or timeout connecting to the client", code="IOERR") from None
        try:
            return _speak(ctx, order, peer, done)
        except Broken as broken:
            # A connection that was kept may have been closed by the other side.
            peers.forget(order.host, order.port)
            if not (again and broken.retry):
                what = "writing" if broken.writing else "reading"
                raise CommandError(f"error or timeout {what} to target instance", code="IOERR") from None
    raise AssertionError("the second try has an end")


def _speak(ctx: Session, order: Order, peer: Peer, done: list[bytes]) -> Any:
    """Send everything, then read the replies; `done` grows by the keys that have arrived."""
    link = peer.link
    preamble = [[b"AUTH", *order.login]] if order.login else []
    if peer.db != order.db:
        preamble.append([b"SELECT", b"%d" % order.db])
    try:
        link.send(b"".join(map(encode_command, preamble)))
        for name in order.keys:
            link.send(_restore(ctx, name, replace=order.replace))
    except OSError as error:
        raise Broken(writing=True, retry=not isinstance(error, TimeoutError)) from None
    refusal: CommandError | None = None
    begun = False
    try:
        for _ in preamble:
            reply = link.reply()
            begun = True
            if refusal is None and isinstance(reply, CommandError):
                refusal = reply
        unfit = refusal is not None
        for name in order.keys:
            reply = link.reply()
            begun = True
            if isinstance(reply, CommandError):
                refusal = refusal or reply
            elif not unfit:
                done.append(name)
    except (OSError, BadDump) as error:
        if refusal is None:
            raise Broken(writing=False, retry=not begun and not isinstance(error, TimeoutError)) from None
        ctx.executor.peers.forget(order.host, order.port)
    if refusal is not None:
        peer.db = -1
        raise CommandError(f"Target instance replied with error: {refusal.line().decode('utf-8', 'surrogateescape')}")
    peer.db = order.db
    return OK


def _restore(ctx: Session, name: bytes, *, replace: bool) -> bytes:
    value = ctx.db.find(name)
    assert value is not None
    left = max(1, value.expire - ctx.now) if value.expire is not None else 0
    return encode_command([b"RESTORE", name, b"%d" % left, write_payload(content_of(value)), *([b"REPLACE"] if replace else [])])
