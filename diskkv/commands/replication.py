"""Replication, of which there is none: one node serves one store, and says so to who asks."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import Args, bounded, integer, milliseconds
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import (
    ADMIN,
    ALLOW_BUSY,
    BLOCKING,
    FAST,
    LOADING,
    NO_ASYNC_LOADING,
    NO_MULTI,
    NOSCRIPT,
    STALE,
    group,
)  # fmt: skip
from diskkv.errors import BadSyntax, CommandError
from diskkv.replies import OK

command = group("server")
generic = group("generic")

NONE = "there is no replication here: one node serves one store"
NOT_BETWEEN = "value is out of range, value must between 0 and 1"


@command("ROLE", NOSCRIPT | LOADING | STALE | FAST, since="2.8.12")
def role(ctx: Session) -> list[Any]:
    """Return that this is a master, which has no replicas."""
    return [b"master", 0, []]


def _follow(host: bytes, port: bytes) -> Any:
    if (host.upper(), port.upper()) == (b"NO", b"ONE"):
        return OK
    bounded(port, 0, 65535, "Invalid master port")
    raise CommandError(NONE)


@command("REPLICAOF <host port | NO ONE>", NO_ASYNC_LOADING | ADMIN | NOSCRIPT | STALE, since="5.0.0", arity=3)
def replicaof(ctx: Session, host: bytes, port: bytes) -> Any:
    """Go on being nobody's replica (NO ONE), or say that there is no replication."""
    return _follow(host, port)


@command("SLAVEOF <host port | NO ONE>", NO_ASYNC_LOADING | ADMIN | NOSCRIPT | STALE, since="1.0.0", arity=3)
def slaveof(ctx: Session, host: bytes, port: bytes) -> Any:
    """Do as REPLICAOF does."""
    return _follow(host, port)


@command("PSYNC replicationid offset", NO_ASYNC_LOADING | ADMIN | NO_MULTI | NOSCRIPT, since="2.8.0", arity=-3)
def psync(ctx: Session, *_: bytes) -> Any:
    """Say that there is no replication."""
    raise CommandError(NONE)


@command("SYNC", NO_ASYNC_LOADING | ADMIN | NO_MULTI | NOSCRIPT, since="1.0.0")
def sync(ctx: Session) -> Any:
    """Say that there is no replication."""
    raise CommandError(NONE)


@command("REPLCONF [option value [option value ...]]", ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY, since="3.0.0", arity=-1)
def replconf(ctx: Session, *words: bytes) -> Any:
    """Say that there is no replication."""
    if len(words) % 2:
        raise BadSyntax
    raise CommandError(NONE)


@command("FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]", ADMIN | NOSCRIPT | STALE, since="6.2.0")
def failover(ctx: Session, *words: bytes) -> Any:
    """Say that there are no replicas to take over."""
    if len(words) == 1 and words[0].upper() == b"ABORT":
        raise CommandError("No failover in progress.")
    args = Args(words)
    host = force = timeout = None
    while args:
        match args.word():
            case b"TIMEOUT" if args and timeout is None:
                timeout = args.int()
                if timeout <= 0:
                    raise CommandError("FAILOVER timeout must be greater than 0")
            case b"TO" if len(args) >= 2 and host is None:
                host = args.next(), args.int()
            case b"FORCE" if force is None:
                force = True
            case _:
                raise BadSyntax
    raise CommandError("FAILOVER requires connected replicas.")


@generic("WAIT numreplicas timeout", BLOCKING, since="3.0.0")
def wait(ctx: Session, numreplicas: bytes, timeout: bytes) -> int:
    """Return how many replicas have what was written: none, there are no replicas, and none will come."""
    integer(numreplicas)
    milliseconds(timeout)
    return 0


@generic("WAITAOF numlocal numreplicas timeout", BLOCKING, since="7.2.0")
def waitaof(ctx: Session, numlocal: bytes, numreplicas: bytes, timeout: bytes) -> list[int]:
    """Put what was written on the disk at once, if `numlocal` is 1, and return whether it is there, and on how many replicas."""
    local = bounded_integer(numlocal)
    if integer(numreplicas) < 0:
        raise CommandError("value is out of range, must be positive")
    milliseconds(timeout)
    log = ctx.store.log
    if local:
        if ctx.store.path is None:
            raise CommandError("WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
        log.sync_asked = True
    return [int(local or log.synced()), 0]


def bounded_integer(raw: bytes) -> int:
    number = integer(raw)
    if not 0 <= number <= 1:
        raise CommandError(NOT_BETWEEN)
    return number
