"""The server's figures for Prometheus, over HTTP at `metrics-port`.

What is counted is read on the loop, in a fraction of a millisecond; the text is made of it on another thread. A client gets one answer
and is hung up on; a few are served at a time, the others wait to be accepted.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from diskkv.dispatch.executor import Executor
from diskkv.server.memory import resident

LONGEST_REQUEST = 8192
PATIENCE = 5.0
AT_ONCE = 16
# Buckets of the histograms that are shown, as powers of two nanoseconds: 2 microseconds to 17 seconds, by fours.
SHOWN = range(11, 36, 2)
HISTOGRAM = "diskkv_command_duration_seconds"

# name (a counter's without `_total`), help, and what it is; `all_figures` gives the values
Figures = dict[str, float]
GAUGES = {
    "diskkv_uptime_seconds": "How long the server has been running.",
    "diskkv_connected_clients": "Clients that are connected.",
    "diskkv_blocked_clients": "Clients that wait for a key.",
    "diskkv_max_clients": "How many clients may be connected.",
    "diskkv_client_buffer_bytes": "What is kept for clients that do not read, or have not sent all.",
    "diskkv_resident_bytes": "The process's memory as the system sees it.",
    "diskkv_memory_limit_bytes": "maxmemory.",
    "diskkv_cache_bytes": "What the cache holds.",
    "diskkv_cache_budget_bytes": "What the cache may hold.",
    "diskkv_engine_memory_bytes": "The engine's caches and write buffers.",
    "diskkv_dirty_bytes": "Log written since the last checkpoint: what only memory and the log hold.",
    "diskkv_log_bytes": "Size of the present log segment.",
    "diskkv_log_unsynced_bytes": "Log that a loss of power would take.",
    "diskkv_log_failed": "1 while the log can't be written, and writers get an error.",
    "diskkv_checkpoint_active": "1 while a checkpoint is under way.",
    "diskkv_checkpoint_last_seconds": "How long the last checkpoint took.",
    "diskkv_tree_disk_bytes": "The engine's files.",
    "diskkv_disk_limit_bytes": "max-disk-size, 0 for none.",
    "diskkv_disk_full": "1 while the store takes more than that, and nothing may be added.",
    "diskkv_reclaim_backlog": "Values that are dead and whose memory is not yet free.",
    "diskkv_expiry_backlog": "Keys whose time has come and that are not yet deleted.",
}
COUNTERS = {
    "diskkv_connections": "Connections accepted.",
    "diskkv_rejected_connections": "Connections refused because of maxclients.",
    "diskkv_evicted_clients": "Clients dropped because of maxmemory-clients.",
    "diskkv_keyed_commands": "Commands run that name a key; what the cache's misses are to be compared with.",
    "diskkv_cache_misses": "Keys that were looked up in the engine.",
    "diskkv_cache_ghost_hits": "Keys looked up there soon after they were dropped from the cache.",
    "diskkv_cache_evicted": "Objects dropped from the cache.",
    "diskkv_log_written_bytes": "Bytes written to the log.",
    "diskkv_checkpoints": "Checkpoints that have landed.",
    "diskkv_checkpoints_failed": "Checkpoints that have failed.",
    "diskkv_quarantined_keys": "Keys found damaged and put into quarantine.",
    "diskkv_expired_keys": "Keys deleted because their time had come.",
    "diskkv_cpu_seconds": "Processor time used, the system's share included.",
}


@dataclass(frozen=True, slots=True)
class Called:
    """One command's figures."""

    name: str
    seconds: float
    failed: int
    rejected: int
    buckets: Sequence[int]


@dataclass(frozen=True, slots=True)
class Counted:
    """Everything at one moment."""

    figures: Figures
    commands: Sequence[Called]
    keys: dict[str, tuple[int, int]]
    errors: dict[str, int]


def count(executor: Executor, held: int) -> Counted:
    """Read all figures. REQUIRES: the store's lock. `held` is what is kept for clients."""
    store, stats, settings = executor.store, executor.stats, executor.settings
    cache, log, writer, engine = store.cache.statistics(), store.log.statistics(), store.writer.statistics(), store.engine.statistics()
    used = resource.getrusage(resource.RUSAGE_SELF)
    now = store.clock()
    figures: Figures = {
        "diskkv_uptime_seconds": max(0, now - stats.started) / 1000,
        "diskkv_connected_clients": len(executor.sessions),
        "diskkv_blocked_clients": executor.waiters.count,
        "diskkv_max_clients": settings["maxclients"],
        "diskkv_client_buffer_bytes": held,
        "diskkv_resident_bytes": resident(),
        "diskkv_memory_limit_bytes": settings["maxmemory"],
        "diskkv_cache_bytes": cache.used,
        "diskkv_cache_budget_bytes": cache.budget,
        "diskkv_engine_memory_bytes": engine.get("memory_bytes", 0),
        "diskkv_dirty_bytes": writer.pending,
        "diskkv_log_bytes": log.size,
        "diskkv_log_unsynced_bytes": log.unsynced,
        "diskkv_log_failed": float(store.failed is not None or store.log.sync_error is not None),
        "diskkv_checkpoint_active": float(writer.active),
        "diskkv_checkpoint_last_seconds": writer.last_ms / 1000,
        "diskkv_tree_disk_bytes": engine.get("disk_bytes", 0),
        "diskkv_disk_limit_bytes": executor.quota.limit,
        "diskkv_disk_full": float(executor.quota.over),
        "diskkv_reclaim_backlog": len(store.graves),
        "diskkv_expiry_backlog": store.expiry.backlog(now),
        "diskkv_connections": stats.connections,
        "diskkv_rejected_connections": stats.rejected_connections,
        "diskkv_evicted_clients": stats.evicted_clients,
        "diskkv_keyed_commands": stats.keyed_calls(),
        "diskkv_cache_misses": cache.misses,
        "diskkv_cache_ghost_hits": cache.ghost_hits,
        "diskkv_cache_evicted": cache.evicted,
        "diskkv_log_written_bytes": log.written,
        "diskkv_checkpoints": writer.checkpoints,
        "diskkv_checkpoints_failed": writer.failed,
        "diskkv_quarantined_keys": store.isolated,
        "diskkv_expired_keys": store.expired,
        "diskkv_cpu_seconds": used.ru_utime + used.ru_stime,
    }
    commands = [
        Called(command.name, usage.nanoseconds / 1e9, usage.failed, usage.rejected, tuple(usage.buckets))
        for command, usage in stats.usage.items()
    ]
    keys = {str(number): (db.count, db.expiring) for number, db in enumerate(store.databases) if db.count}
    return Counted(figures, commands, keys, dict(stats.errors))


class Shown:
    """What was counted, as prometheus_client wants to collect it."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def collect(self) -> Iterable[Metric]:
        counted = self._counted
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(name, text, counted.figures[name])
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(name, text, counted.figures[name])
        keys = GaugeMetricFamily("diskkv_keys", "Keys of a database.", labels=["db"])
        expiring = GaugeMetricFamily("diskkv_expiring_keys", "Those of them that expire.", labels=["db"])
        for number, (all_keys, some) in counted.keys.items():
            keys.add_metric([number], all_keys)
            expiring.add_metric([number], some)
        failed = CounterMetricFamily("diskkv_commands_failed", "Commands answered with an error.", labels=["command"])
        rejected = CounterMetricFamily("diskkv_commands_rejected", "Commands that were not run.", labels=["command"])
        durations = HistogramMetricFamily(HISTOGRAM, "How long commands took, inside the server.", labels=["command"])
        for called in counted.commands:
            failed.add_metric([called.name], called.failed)
            rejected.add_metric([called.name], called.rejected)
            durations.add_metric([called.name], _cumulative(called.buckets), called.seconds)
        errors = CounterMetricFamily("diskkv_errors", "Errors answered, by their first word.", labels=["error"])
        for word, number_of in counted.errors.items():
            errors.add_metric([word], number_of)
        yield from (keys, expiring, failed, rejected, durations, errors)


def _cumulative(buckets: Sequence[int]) -> list[tuple[str, float]]:
    """A histogram's buckets as Prometheus counts: each with all that are smaller."""
    return [*((f"{2**bits / 1e9:.9g}", sum(buckets[: bits + 1])) for bits in SHOWN), ("+Inf", sum(buckets))]


def render(counted: Counted, accept: str = "") -> tuple[bytes, str]:
    """The text for a client that accepts so, and its type. May be called on any thread."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Shown(counted))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


class Metrics:
    """Answers HTTP. `measure` reads the figures; `allowed` says whether a client, known by its transport, may ask."""

    def __init__(self, loop: asyncio.AbstractEventLoop, measure: Callable[[], Counted], allowed: Callable[[Any], bool]) -> None:
        self._loop = loop
        self._measure = measure
        self._allowed = allowed
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    def protocol(self) -> asyncio.BaseProtocol:
        """For a listening socket."""
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(LONGEST_REQUEST, self._loop), self._serve, self._loop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._waiting >= 8 * AT_ONCE:
            writer.transport.abort()
            return
        self._waiting += 1
        try:
            async with self._turns:
                with suppress(OSError, asyncio.TimeoutError):
                    await asyncio.wait_for(self._answer(reader, writer), 2 * PATIENCE)
        finally:
            self._waiting -= 1
            # Whoever has not read by now does not.
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        request, *lines = head.decode("latin-1").split("\r\n")
        words = request.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body, kind, status = b"", "text/plain; charset=utf-8", "200 OK"
        if not self._allowed(writer.transport):
            status, body = "403 Forbidden", b"protected mode: set a password, or protected-mode no\n"
        elif len(words) != 3 or words[0] not in ("GET", "HEAD"):
            status, body = "405 Method Not Allowed", b"only GET\n"
        elif words[1].partition("?")[0] not in ("/", "/metrics"):
            status, body = "404 Not Found", b"see /metrics\n"
        else:
            counted = self._measure()
            body, kind = await self._loop.run_in_executor(None, render, counted, headers.get("accept", ""))
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode("latin-1")
            + (b"" if words[0] == "HEAD" else body)
        )
        await writer.drain()
        writer.transport.set_write_buffer_limits(0)
        await writer.drain()
