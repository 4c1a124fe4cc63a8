"""Libraries of functions, and the calling of functions."""

from __future__ import annotations

from typing import Any

from diskkv import rdb
from diskkv.commands.scripting import kill, run_counts
from diskkv.dispatch.args import quoted
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import (
    ALLOW_BUSY,
    DENYOOM,
    LOADING,
    MAY_REPLICATE,
    MOVABLEKEYS,
    NO_MANDATORY_KEYS,
    NOSCRIPT,
    READONLY,
    SKIP_MONITOR,
    STALE,
    WRITE,
    group,
    help_lines,
)
from diskkv.errors import BadDump, Busy, CommandError
from diskkv.lib.glob import compile_glob
from diskkv.lib.numbers import parse_int
from diskkv.rdb.checksum import crc64
from diskkv.rdb.dump import encode_string
from diskkv.rdb.payload import FOOTER, BadFooter, verify
from diskkv.rdb.source import Source
from diskkv.replies import OK, Simple
from diskkv.scripting.flags import flag_names
from diskkv.scripting.libraries import Libraries

command = group("scripting")

CALL = NOSCRIPT | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS | STALE
POLICIES = (b"FLUSH", b"APPEND", b"REPLACE")
# The lowest version that knows libraries, so that every Redis that does reads it.
PAYLOAD_VERSION = rdb.PLAIN


def libraries(ctx: Session) -> Libraries:
    found: Libraries = ctx.executor.scripts.libraries
    return found


def call(ctx: Session, function: bytes, numkeys: bytes, words: tuple[bytes, ...], *, read_only: bool) -> Any:
    """Run a function."""
    libraries(ctx).function(function)
    count = parse_int(numkeys)
    if count is None:
        raise CommandError("Bad number of keys provided")
    run_counts(count, words)
    # The commands that it calls log themselves.
    ctx.log_nothing()
    name = b"fcall_ro" if read_only else b"fcall"
    ctx.executor.scripts.argv = [name, function, numkeys, *words]
    return ctx.executor.scripts.call_function(ctx, function, words[:count], words[count:], read_only=read_only)


@command("FCALL function numkeys [key [key ...]] [arg [arg ...]]", CALL | MAY_REPLICATE, since="7.0.0")
def fcall(ctx: Session, function: bytes, numkeys: bytes, *words: bytes) -> Any:
    """Run a function."""
    return call(ctx, function, numkeys, words, read_only=False)


@command("FCALL_RO function numkeys [key [key ...]] [arg [arg ...]]", CALL | READONLY, since="7.0.0")
def fcall_ro(ctx: Session, function: bytes, numkeys: bytes, *words: bytes) -> Any:
    """Run a function that may not write."""
    return call(ctx, function, numkeys, words, read_only=True)


@command("FUNCTION LOAD [REPLACE] function-code", NOSCRIPT | WRITE | DENYOOM, since="7.0.0")
def function_load(ctx: Session, *words: bytes) -> bytes:
    """Make a library's functions known, and keep them in the store; reply its name."""
    replace = False
    for word in words[:-1]:
        if word.upper() != b"REPLACE":
            raise CommandError(f"Unknown option given: {quoted(word)}")
        replace = True
    return libraries(ctx).load(words[-1], replace=replace)


@command("FUNCTION DELETE library-name", NOSCRIPT | WRITE, since="7.0.0")
def function_delete(ctx: Session, name: bytes) -> Any:
    """Forget a library and its functions."""
    libraries(ctx).delete(name)
    return OK


@command("FUNCTION FLUSH [ASYNC | SYNC]", NOSCRIPT | WRITE, since="7.0.0")
def function_flush(ctx: Session, *mode: bytes) -> Any:
    """Forget all libraries."""
    if len(mode) > 1:
        raise CommandError("unknown subcommand or wrong number of arguments for 'flush'. Try FUNCTION HELP.")
    if mode and mode[0].upper() not in (b"ASYNC", b"SYNC"):
        raise CommandError("FUNCTION FLUSH only supports SYNC|ASYNC option")
    libraries(ctx).flush()
    return OK


@command("FUNCTION LIST [LIBRARYNAME library-name-pattern] [WITHCODE]", NOSCRIPT, since="7.0.0")
def function_list(ctx: Session, *words: bytes) -> list[Any]:
    """Describe the libraries."""
    code = False
    pattern = None
    at = 0
    while at < len(words):
        word = words[at].upper()
        if word == b"WITHCODE" and not code:
            code = True
        elif word == b"LIBRARYNAME" and pattern is None:
            at += 1
            if at == len(words):
                raise CommandError("library name argument was not given")
            pattern = words[at]
        else:
            raise CommandError(f"Unknown argument {quoted(words[at])}")
        at += 1
    fits = compile_glob(pattern, nocase=True) if pattern is not None else None
    found = []
    for library in libraries(ctx).all().values():
        if fits is not None and not fits(library.name):
            continue
        described: dict[bytes, Any] = {
            b"library_name": library.name,
            b"engine": b"LUA",
            b"functions": [
                {
                    b"name": function.name,
                    b"description": function.description,
                    b"flags": {Simple(name) for name in flag_names(function.flags)},
                }
                for function in library.functions
            ],
        }
        if code:
            described[b"library_code"] = library.code
        found.append(described)
    return found


@command("FUNCTION STATS", NOSCRIPT | ALLOW_BUSY, since="7.0.0")
def function_stats(ctx: Session) -> Any:
    """Describe the function that runs, and count libraries and functions."""
    run = ctx.executor.busy
    if run is not None and not run.function:
        raise Busy(run.word)
    running = None
    if run is not None:
        running = {b"name": run.name, b"command": run.argv, b"duration_ms": run.milliseconds()}
    held = libraries(ctx)
    counts = {b"libraries_count": len(held.all()), b"functions_count": held.count()}
    return {b"running_script": running, b"engines": {b"LUA": counts}}


@command("FUNCTION KILL", NOSCRIPT | ALLOW_BUSY, since="7.0.0")
def function_kill(ctx: Session) -> Any:
    """Stop the function that has run for too long."""
    kill(ctx, function=True)
    return OK


@command("FUNCTION DUMP", NOSCRIPT, since="7.0.0")
def function_dump(ctx: Session) -> bytes:
    """All libraries as a payload for FUNCTION RESTORE, in Redis' form."""
    mark = bytes((rdb.FUNCTION,))
    body = b"".join([mark + encode_string(library.code) for library in libraries(ctx).all().values()])
    body += PAYLOAD_VERSION.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


@command("FUNCTION RESTORE serialized-value [FLUSH | APPEND | REPLACE]", NOSCRIPT | WRITE | DENYOOM, since="7.0.0")
def function_restore(ctx: Session, payload: bytes, *policy: bytes) -> Any:
    """Take over the libraries of a payload."""
    if len(policy) > 1:
        raise CommandError("unknown subcommand or wrong number of arguments for 'restore'. Try FUNCTION HELP.")
    chosen = policy[0].upper() if policy else b"APPEND"
    if chosen not in POLICIES:
        raise CommandError("Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
    libraries(ctx).restore(read_codes(payload), chosen)
    return OK


def read_codes(payload: bytes) -> list[bytes]:
    """The code of each library in a payload."""
    try:
        verify(payload)
    except BadFooter:
        raise CommandError("DUMP payload version or checksum are wrong") from None
    source = Source.of(payload[:-FOOTER])
    codes = []
    try:
        while source.position < len(payload) - FOOTER:
            kind = source.take(1)[0]
            if kind == rdb.FUNCTION_PRE_GA:
                raise CommandError("Pre-GA function format not supported")
            if kind != rdb.FUNCTION:
                raise CommandError("given type is not a function")
            codes.append(source.string())
    except BadDump:
        raise CommandError("failed loading the given functions payload") from None
    return codes


@command("FUNCTION HELP", LOADING | STALE, since="7.0.0")
def function_help(ctx: Session) -> Any:
    """Describe FUNCTION's subcommands."""
    return help_lines("function")
