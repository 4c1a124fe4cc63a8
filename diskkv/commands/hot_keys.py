"""HOTKEYS: which keys take the most time and traffic."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import Args, bounded
from diskkv.dispatch.hot_keys import Watch
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ADMIN, LOADING, NOSCRIPT, STALE, group, help_lines
from diskkv.errors import BadSyntax, CommandError
from diskkv.replies import OK, Simple

command = group("server")

METRICS = (b"CPU", b"NET")


@command(
    "HOTKEYS START METRICS count [CPU] [NET] [COUNT k] [DURATION seconds] [SAMPLE ratio] [SLOTS count slot [slot ...]]",
    ADMIN | NOSCRIPT, since="8.6.0", arity=-2,
)  # fmt: skip
def hotkeys_start(ctx: Session, *words: bytes) -> Simple:
    """Begin to collect which keys take the most time, and the most bytes of requests and replies."""
    hot_keys = ctx.executor.observers.hot_keys
    watch = hot_keys.latest(ctx.now)
    if watch is not None and watch.active:
        raise CommandError("hotkey tracking session already in progress")
    if len(words) < 2 or words[0].upper() != b"METRICS":
        raise CommandError("METRICS parameter is required")
    args = Args(words[1:])
    metrics = _read_metrics(args)
    count, seconds, ratio = 10, 0, 1
    while args:
        option = args.word()
        if option == b"COUNT" and args:
            count = bounded(args.next(), 1, 64, "COUNT must be between 1 and 64")
        elif option == b"DURATION" and args:
            seconds = bounded(args.next(), 1, 1_000_000, "DURATION must be between 1 and 1000000")
        elif option == b"SAMPLE" and args:
            ratio = bounded(args.next(), 1, 2**31 - 1, "SAMPLE ratio must be positive")
        elif option == b"SLOTS" and args:
            raise CommandError("SLOTS parameter cannot be used in non-cluster mode")
        else:
            raise BadSyntax
    hot_keys.set(Watch(ctx.now, count, seconds * 1000, ratio, time=b"CPU" in metrics, traffic=b"NET" in metrics))
    return OK


def _read_metrics(args: Args) -> set[bytes]:
    count = bounded(args.next(), 1, len(METRICS), f"METRICS count must be > 0 and <= {len(METRICS)}")
    found: set[bytes] = set()
    if count > len(args):
        # Redis looks at what there is first.
        words, enough = args.rest(), False
    else:
        words, enough = args.take(count), True
    for word in words:
        metric = word.upper()
        if metric in found:
            raise CommandError(f"METRICS {metric.decode()} defined more than once!")
        if metric in METRICS:
            found.add(metric)
    if not enough:
        raise CommandError("METRICS count does not match number of metric types provided")
    if not found:
        raise CommandError("METRICS no valid metrics passed. Supported: CPU|NET")
    return found


@command("HOTKEYS STOP", ADMIN | NOSCRIPT, since="8.6.0")
def hotkeys_stop(ctx: Session) -> Simple | None:
    """End collecting; what was found stays until RESET."""
    hot_keys = ctx.executor.observers.hot_keys
    watch = hot_keys.latest(ctx.now)
    if watch is None or not watch.active:
        return None
    watch.stop(ctx.now)
    hot_keys.set(watch)
    return OK


@command("HOTKEYS GET", ADMIN | NOSCRIPT, since="8.6.0")
def hotkeys_get(ctx: Session) -> Any:
    """Return what was found so far."""
    watch = ctx.executor.observers.hot_keys.latest(ctx.now)
    return None if watch is None else [watch.told(ctx.now)]


@command("HOTKEYS RESET", ADMIN | NOSCRIPT, since="8.6.0")
def hotkeys_reset(ctx: Session) -> Simple:
    """Forget what was found."""
    hot_keys = ctx.executor.observers.hot_keys
    watch = hot_keys.latest(ctx.now)
    if watch is not None and watch.active:
        raise CommandError("hotkey tracking session in progress, stop tracking first")
    hot_keys.set(None)
    return OK


@command("HOTKEYS HELP", LOADING | STALE, since="8.6.1")
def hotkeys_help(ctx: Session) -> Any:
    """Return what the subcommands do."""
    return help_lines("hotkeys")
