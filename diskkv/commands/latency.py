"""LATENCY: what took long, and how long commands take."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import quoted
from diskkv.dispatch.latency import distribution, sparkline
from diskkv.dispatch.session import Session
from diskkv.dispatch.stats import Usage
from diskkv.dispatch.table import ADMIN, LOADING, NOSCRIPT, STALE, TABLE, Command, group, help_lines
from diskkv.errors import CommandError
from diskkv.replies import Verbatim

command = group("server")

QUIET = ADMIN | NOSCRIPT | LOADING | STALE


@command("LATENCY LATEST", QUIET, since="2.8.13")
def latency_latest(ctx: Session) -> list[Any]:
    """Return the latest sample of each event, and its longest ever."""
    events = ctx.executor.stats.latencies.events
    return [[name, event.samples[-1].at, event.samples[-1].milliseconds, event.longest] for name, event in events.items()]


@command("LATENCY HISTORY event", QUIET, since="2.8.13")
def latency_history(ctx: Session, name: bytes) -> list[Any]:
    """Return an event's samples: the second, and the milliseconds."""
    event = ctx.executor.stats.latencies.events.get(name)
    return [[sample.at, sample.milliseconds] for sample in event.samples] if event is not None else []


@command("LATENCY RESET [event [event ...]]", QUIET, since="2.8.13")
def latency_reset(ctx: Session, *names: bytes) -> int:
    """Forget events, or all of them, and return how many there were."""
    return ctx.executor.stats.latencies.reset(names)


@command("LATENCY GRAPH event", QUIET, since="2.8.13")
def latency_graph(ctx: Session, name: bytes) -> Verbatim:
    """Return a picture of an event's samples, made of characters."""
    event = ctx.executor.stats.latencies.events.get(name)
    if event is None:
        raise CommandError(f"No samples available for event '{quoted(name)}'")
    return Verbatim(sparkline(name, event, ctx.now // 1000))


@command("LATENCY DOCTOR", QUIET, since="2.8.13")
def latency_doctor(ctx: Session) -> Verbatim:
    """Return what the samples say, in words."""
    latencies = ctx.executor.stats.latencies
    if not latencies.threshold:
        text = "Latencies are not being watched. Begin with: CONFIG SET latency-monitor-threshold <milliseconds>.\n"
    elif not latencies.events:
        text = f"Nothing has taken {latencies.threshold} ms or more since the last reset.\n"
    else:
        lines = [f"What has taken {latencies.threshold} ms or more:"]
        for name, event in latencies.events.items():
            spent = [sample.milliseconds for sample in event.samples]
            lines.append(
                f"- {name.decode()}: {len(spent)} samples, {sum(spent) / len(spent):.1f} ms on average, {max(spent)} ms at most "
                f"({event.longest} ms ever). {ADVICE.get(name, '')}".rstrip()
            )
        text = "\n".join(lines) + "\n"
    return Verbatim(text.encode())


ADVICE = {
    b"command": "SLOWLOG GET shows which commands they were.",
    b"aof-write": "The log could not be written at once: the disk may be slow, or busy.",
    b"aof-fsync-always": "Every write waits for the disk. With appendfsync everysec none does.",
    b"expire-cycle": "Many keys expired at once.",
    b"fast-command": "Commands that are quick by nature: the machine may be busy, or the disk slow.",
}


@command("LATENCY HISTOGRAM [command [command ...]]", QUIET, since="7.0.0")
def latency_histogram(ctx: Session, *names: bytes) -> dict[bytes, Any]:
    """Return how long commands took: the calls up to each of some microseconds."""
    if not ctx.executor.settings["latency-tracking"]:
        return {}
    usage = ctx.executor.stats.usage
    chosen: list[Command] = []
    if not names:
        chosen = list(usage)
    for name in names:
        found = _named(name.lower())
        if found is not None:
            chosen += [found, *found.subcommands.values()]
    shown: dict[bytes, Any] = {}
    for one in chosen:
        used: Usage | None = usage.get(one)
        if used is not None and any(used.tracked()):
            shown[one.name.encode()] = {b"calls": sum(used.tracked()), b"histogram_usec": distribution(used.tracked())}
    return shown


def _named(name: bytes) -> Command | None:
    container, _, sub = name.partition(b"|")
    found = TABLE.get(container)
    return found.subcommands.get(sub) if found is not None and sub else found


@command("LATENCY HELP", LOADING | STALE, since="2.8.13")
def latency_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("latency")
