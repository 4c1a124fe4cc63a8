"""Scripts."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import (
    ALLOW_BUSY,
    LOADING,
    MAY_REPLICATE,
    MOVABLEKEYS,
    NO_MANDATORY_KEYS,
    NOSCRIPT,
    READONLY,
    SKIP_MONITOR,
    STALE,
    group,
    help_lines,
)
from diskkv.errors import Busy, CommandError, NoScript
from diskkv.replies import OK

command = group("scripting")

EITHER = NOSCRIPT | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS | STALE


def run(ctx: Session, script: bytes, numkeys: bytes, words: tuple[bytes, ...], *, load: bool, read_only: bool) -> Any:
    """Run a script, given by its text (`load`) or its SHA-1."""
    if not load and len(script) != 40:
        raise NoScript
    count = integer(numkeys)
    run_counts(count, words)
    # The commands that it calls log themselves.
    ctx.log_nothing()
    scripts = ctx.executor.scripts
    sha = scripts.load(script, stays=False) if load else script
    return scripts.evaluate(ctx, sha, words[:count], words[count:], read_only=read_only)


def run_counts(count: int, words: tuple[bytes, ...]) -> None:
    """CommandError when a script can't have so many keys."""
    if count > len(words):
        raise CommandError("Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError("Number of keys can't be negative")


def kill(ctx: Session, *, function: bool) -> None:
    """SCRIPT KILL and FUNCTION KILL: each has to do with its own."""
    run = ctx.executor.busy
    if run is None:
        raise CommandError("No scripts in execution right now.", code="NOTBUSY")
    if run.function != function and not run.wrote:
        raise Busy(run.word)
    run.kill()


@command("EVAL script numkeys [key [key ...]] [arg [arg ...]]", EITHER | MAY_REPLICATE, since="2.6.0")
def eval_(ctx: Session, script: bytes, numkeys: bytes, *words: bytes) -> Any:
    """Run a Lua script."""
    return run(ctx, script, numkeys, words, load=True, read_only=False)


@command("EVAL_RO script numkeys [key [key ...]] [arg [arg ...]]", EITHER | READONLY, since="7.0.0")
def eval_ro(ctx: Session, script: bytes, numkeys: bytes, *words: bytes) -> Any:
    """Run a Lua script that may not write."""
    return run(ctx, script, numkeys, words, load=True, read_only=True)


@command("EVALSHA sha1 numkeys [key [key ...]] [arg [arg ...]]", EITHER | MAY_REPLICATE, since="2.6.0")
def evalsha(ctx: Session, sha: bytes, numkeys: bytes, *words: bytes) -> Any:
    """Run a Lua script that is known by its SHA-1."""
    return run(ctx, sha, numkeys, words, load=False, read_only=False)


@command("EVALSHA_RO sha1 numkeys [key [key ...]] [arg [arg ...]]", EITHER | READONLY, since="7.0.0")
def evalsha_ro(ctx: Session, sha: bytes, numkeys: bytes, *words: bytes) -> Any:
    """Run a Lua script that is known by its SHA-1 and may not write."""
    return run(ctx, sha, numkeys, words, load=False, read_only=True)


@command("SCRIPT LOAD script", NOSCRIPT | STALE, since="2.6.0")
def script_load(ctx: Session, script: bytes) -> bytes:
    """Keep a script for EVALSHA; reply its SHA-1."""
    sha: bytes = ctx.executor.scripts.load(script, stays=True)
    return sha


@command("SCRIPT EXISTS sha1 [sha1 ...]", NOSCRIPT, since="2.6.0")
def script_exists(ctx: Session, *shas: bytes) -> list[int]:
    """Which scripts are known, 1 or 0 for each."""
    return [int(sha in ctx.executor.scripts) for sha in shas]


@command("SCRIPT FLUSH [ASYNC | SYNC]", NOSCRIPT, since="2.6.0")
def script_flush(ctx: Session, *mode: bytes) -> Any:
    """Forget all scripts."""
    if len(mode) > 1 or (mode and mode[0].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError("SCRIPT FLUSH only support SYNC|ASYNC option")
    ctx.executor.scripts.flush()
    return OK


@command("SCRIPT KILL", NOSCRIPT | ALLOW_BUSY, since="2.6.0")
def script_kill(ctx: Session) -> Any:
    """Stop the script that has run for too long."""
    kill(ctx, function=False)
    return OK


@command("SCRIPT DEBUG <YES | SYNC | NO>", NOSCRIPT, since="3.2.0")
def script_debug(ctx: Session, mode: bytes) -> Any:
    """Refuse to debug scripts; NO, which changes nothing, is fine."""
    match mode.upper():
        case b"NO":
            return OK
        case b"YES" | b"SYNC":
            raise CommandError("there is no debugger for scripts here")
    raise CommandError("Use SCRIPT DEBUG YES/SYNC/NO")


@command("SCRIPT HELP", LOADING | STALE, since="5.0.0")
def script_help(ctx: Session) -> Any:
    """Describe SCRIPT's subcommands."""
    return help_lines("script")
