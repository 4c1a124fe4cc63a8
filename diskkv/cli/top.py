"""`diskkv top`: a server's pulse in the terminal."""

from __future__ import annotations

import shutil
import time
from typing import Any

import click

from diskkv.cli.bars import bar, size
from diskkv.cli.connecting import connect, server_options
from diskkv.cli.progress import duration

ENTER, LEAVE, HOME, LINE_END, BELOW = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l", "\x1b[H", "\x1b[K", "\x1b[J"
BAR = 20
COMMANDS = 10
Info = dict[str, Any]


@click.command(context_settings={"help_option_names": ["--help"]})
@server_options
@click.option("-i", "--interval", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="Print one screen, of the first interval, and leave.")
def top(*, interval: float, once: bool, **server: Any) -> None:
    """Show what a server does now: commands, cache, memory, log, checkpoints, clients. Ctrl-C ends it."""
    import redis

    client = connect(**server)
    try:
        before, then = _look(client), time.monotonic()
        if not once:
            click.echo(ENTER, nl=False)
        while True:
            time.sleep(interval)
            after, now = _look(client), time.monotonic()
            lines = screen(before, after, now - then)
            if once:
                click.echo("\n".join(lines))
                return
            width, height = shutil.get_terminal_size()
            shown = [HOME, *(_cut(line, width) + LINE_END + "\r\n" for line in lines[: height - 1]), BELOW]
            click.echo("".join(shown), nl=False)
            before, then = after, now
    except redis.RedisError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        return
    finally:
        if not once:
            click.echo(LEAVE, nl=False)
        client.close()


def _look(client: Any) -> Info:
    found: Info = client.info("everything")
    return found


def screen(before: Info, after: Info, seconds: float) -> list[str]:
    """What is shown of two INFOs that many seconds apart."""

    def rate(name: str) -> float:
        # A count that fell was reset.
        return max(0.0, float(after.get(name, 0)) - float(before.get(name, 0))) / seconds

    def part(name: str, whole: str) -> float:
        return float(after.get(name, 0)) / (float(after.get(whole, 0)) or 1.0)

    lookups, misses = rate("cache_lookups"), rate("cache_misses")
    hits = max(0.0, 1 - misses / lookups) if lookups else None
    cpu = rate("used_cpu_user") + rate("used_cpu_sys")
    keys = sum(each["keys"] for name, each in after.items() if name.startswith("db") and isinstance(each, dict) and "keys" in each)
    limit = after.get("maxmemory") or 256 << 20
    resident = float(after.get("used_memory_rss", 0)) / limit
    log_good = after.get("aof_last_write_status", "ok") == "ok"
    checkpoint_good = after.get("aof_last_bgrewrite_status", "ok") == "ok"
    name = after.get("diskkv_version") or after.get("redis_version")
    return [
        _bold(f"diskkv {name}, up {duration(after['uptime_in_seconds'])}, pid {after['process_id']}, {keys:,} keys, {100 * cpu:.0f} % CPU"),
        "",
        _line("commands", _colour("cyan", f"{rate('total_commands_processed'):,.0f}/s"), f"errors {rate('total_error_replies'):,.0f}/s"),
        _line(
            "clients", f"{after['connected_clients']:,} of {after.get('maxclients', 0):,}", f"blocked {after.get('blocked_clients', 0)}",
            f"new {rate('total_connections_received'):,.0f}/s", f"refused {rate('rejected_connections'):,.0f}/s",
        ),
        _line(
            "hits", _bar(hits, low_is_bad=True) if hits is not None else " " * BAR, f"{100 * hits:.1f} %" if hits is not None else "-",
            f"misses {misses:,.0f}/s", f"ghost hits {rate('cache_ghost_hits'):,.0f}/s", f"evicted {rate('cache_evicted'):,.0f}/s",
        ),
        _line("memory", _bar(resident), f"{size(after.get('used_memory_rss', 0))} resident of {size(limit)}"),
        _line(
            "cache", _bar(part("cache_used", "cache_budget")),
            f"{size(after.get('cache_used', 0))} of {size(after.get('cache_budget', 0))}",
        ),
        _line(
            "log", f"{size(rate('log_written'))}/s", f"unsynced {size(after.get('log_unsynced', 0))}",
            f"segment {size(after.get('aof_current_size', 0))}", "" if log_good else _colour("red", "CAN'T BE WRITTEN"),
        ),
        _line(
            "checkpoints", f"{after.get('checkpoints', 0):,}", f"last {after.get('checkpoint_last_ms', 0):,} ms",
            f"behind {size(after.get('checkpoint_pending_bytes', 0))}",
            _colour("yellow", "running") if after.get("aof_rewrite_in_progress") else "",
            "" if checkpoint_good else _colour("red", "FAILING"),
        ),
        _line(
            "disk", size(after.get("disk_bytes", 0)), f"expired {rate('expired_keys'):,.0f}/s",
            _colour("red", "FULL: max-disk-size") if after.get("disk_full") else "",
            f"to free {after.get('lazyfree_pending_objects', 0):,}",
        ),
        "",
        _bold(f"{'command':<24}{'calls/s':>12}{'mean us':>10}{'p99 us':>10}   share of the time"),
        *_commands(before, after, seconds),
    ]  # fmt: skip


def _commands(before: Info, after: Info, seconds: float) -> list[str]:
    """The commands that took the most time between two looks."""
    spent = []
    for field, now in after.items():
        if not field.startswith("cmdstat_"):
            continue
        old = before.get(field, {"calls": 0, "usec": 0})
        calls, usec = now["calls"] - old["calls"], now["usec"] - old["usec"]
        if calls < 0 or usec < 0:
            calls, usec = now["calls"], now["usec"]
        if calls:
            spent.append((usec, calls, field.removeprefix("cmdstat_")))
    lines = []
    for usec, calls, name in sorted(spent, reverse=True)[:COMMANDS]:
        percentiles = after.get(f"latency_percentiles_usec_{name}", {})
        longest = percentiles.get("p99") if isinstance(percentiles, dict) else None
        share = usec / 1e6 / seconds
        tail = f"{longest:>10,.0f}" if longest is not None else f"{'-':>10}"
        lines.append(f"{name:<24}{calls / seconds:>12,.0f}{usec / calls:>10,.1f}{tail}   {_bar(share)} {100 * share:.1f} %")
    return lines


def _line(title: str, *words: str) -> str:
    return f"{title:<12} " + "   ".join(word for word in words if word)


def _bar(part: float, *, low_is_bad: bool = False) -> str:
    bad = 1 - part if low_is_bad else part
    return _colour("red" if bad > 0.9 else "yellow" if bad > 0.6 else "green", bar(part, BAR))


def _colour(name: str, text: str) -> str:
    return click.style(text, fg=name)


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _cut(line: str, width: int) -> str:
    """As much of a line as fits; the codes for colours take no room."""
    shown: list[str] = []
    at = 0
    while at < len(line) and width > 0:
        if line[at] == "\x1b":
            end = line.index("m", at) + 1
            shown.append(line[at:end])
            at = end
            continue
        shown.append(line[at])
        width -= 1
        at += 1
    return "".join(shown) + ("\x1b[0m" if at < len(line) else "")
