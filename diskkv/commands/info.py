"""INFO: what is known, under the names that clients look for. Figures that are not true here are left out."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Callable
from typing import Any

from diskkv.commands.connection import REDIS_VERSION
from diskkv.dispatch.latency import percentile
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import LOADING, STALE, group
from diskkv.replies import Verbatim

command = group("server")

Fields = dict[str, Any]
VERSION = "0.1.0"


@command("INFO [section [section ...]]", LOADING | STALE, since="1.0.0")
def info(ctx: Session, *sections: bytes) -> Verbatim:
    """Return figures about the server and its store, all or some sections of them."""
    wanted = {section.decode("utf-8", "replace").lower() for section in sections} or {"default"}
    shown = []
    for name, describe in SECTIONS.items():
        if name.lower() in wanted or wanted & {"all", "everything"} or ("default" in wanted and name not in ON_DEMAND):
            lines = [f"{field}:{value}" for field, value in describe(ctx).items()]
            shown.append("\r\n".join([f"# {name}", *lines]) + "\r\n")
    return Verbatim("\r\n".join(shown).encode("utf-8", "surrogateescape"))


def _server(ctx: Session) -> Fields:
    uptime = max(ctx.now - ctx.executor.stats.started, 0) // 1000
    system = os.uname()
    return {
        "redis_version": REDIS_VERSION,
        "diskkv_version": VERSION,
        "redis_mode": "standalone",
        "os": f"{system.sysname} {system.release} {system.machine}",
        "arch_bits": 64 if sys.maxsize > 2**32 else 32,
        "python_version": platform.python_version(),
        "process_id": os.getpid(),
        "run_id": ctx.executor.run_id,
        "tcp_port": ctx.executor.settings["port"],
        "server_time_usec": ctx.executor.microseconds(),
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime // 86400,
        "executable": sys.executable,
    }


def _clients(ctx: Session) -> Fields:
    return {
        "connected_clients": len(ctx.executor.sessions),
        "maxclients": ctx.executor.settings["maxclients"],
        "blocked_clients": ctx.executor.waiters.count + len(ctx.executor.pausing.held),
        "tracking_clients": len(ctx.executor.observers.tracking.sessions),
        "total_blocking_keys": sum(len(db.awaited) for db in ctx.store.databases),
        "total_blocking_keys_on_nokey": sum(
            any(waiter.blocked.vanishing for waiter in waiters) for db in ctx.store.databases for waiters in db.awaited.values()
        ),
    }


def _memory(ctx: Session) -> Fields:
    cache = ctx.store.cache.statistics()
    engine = ctx.store.engine.statistics()
    used = cache.used + engine.get("memory_bytes", 0)
    limit = ctx.executor.settings["maxmemory"]
    fields: Fields = {"used_memory": used, "used_memory_human": _human(used)}
    resident = resident_bytes()
    if resident:
        fields |= {"used_memory_rss": resident, "used_memory_rss_human": _human(resident)}
    return {
        **fields,
        "maxmemory": limit,
        "maxmemory_human": _human(limit),
        "maxmemory_policy": ctx.executor.settings["maxmemory-policy"],
        "used_memory_scripts_eval": ctx.executor.scripts.size(),
        "number_of_cached_scripts": len(ctx.executor.scripts),
        "number_of_functions": ctx.executor.scripts.libraries.count(),
        "number_of_libraries": len(ctx.executor.scripts.libraries.all()),
        "lazyfree_pending_objects": len(ctx.store.graves),
        "lazyfreed_objects": ctx.store.graves.freed,
        "cache_used": cache.used,
        "cache_budget": cache.budget,
        "cache_evicted": cache.evicted,
        "cache_ghost_hits": cache.ghost_hits,
        "cache_misses": cache.misses,
        "cache_lookups": max(ctx.executor.stats.keyed_calls(), cache.misses),
        "engine_memory": engine.get("memory_bytes", 0),
    }


def resident_bytes() -> int:
    """The process's memory as the system sees it; 0 where that can't be told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _human(size: int) -> str:
    """A size as Redis shows it."""
    if size < 1 << 10:
        return f"{size}B"
    for shift, unit in ((10, "K"), (20, "M"), (30, "G"), (40, "T")):
        if size < 1 << (shift + 10) or unit == "T":
            break
    return f"{size / (1 << shift):.2f}{unit}"


def _persistence(ctx: Session) -> Fields:
    writer, saver = ctx.store.writer.statistics(), ctx.executor.saver
    log = ctx.store.log.statistics()
    return {
        "loading": 0,
        "async_loading": 0,
        "rdb_changes_since_last_save": saver.changes(),
        "rdb_bgsave_in_progress": int(saver.running),
        "rdb_last_save_time": saver.saved_at // 1000,
        "rdb_last_bgsave_status": "err" if saver.failed else "ok",
        "rdb_last_bgsave_time_sec": saver.last_seconds,
        "rdb_current_bgsave_time_sec": -1 if saver.begun is None else max(0, ctx.now - saver.begun) // 1000,
        "rdb_saves": saver.saves,
        "current_save_keys_processed": saver.done_keys if saver.running else 0,
        "current_save_keys_total": saver.all_keys if saver.running else 0,
        "aof_enabled": 0 if ctx.store.path is None else 1,
        "aof_rewrite_in_progress": int(writer.active),
        "aof_last_bgrewrite_status": "ok" if ctx.store.writer.error is None else "err",
        "aof_last_write_status": "ok" if ctx.store.failed is None and ctx.store.log.sync_error is None else "err",
        "aof_current_size": log.size,
        "log_written": log.written,
        "log_unsynced": log.unsynced,
        "checkpoints": writer.checkpoints,
        "checkpoints_failed": writer.failed,
        "checkpoint_last_ms": writer.last_ms,
        "checkpoint_pending_bytes": writer.pending,
        "log_cut_bytes": ctx.store.log.cut,
        "quarantined_keys": ctx.store.isolated,
        "checkpoint_last_time": ctx.store.writer.landed_at // 1000,
        "max_disk_size": ctx.executor.settings["max-disk-size"],
        "disk_used": ctx.executor.quota.used,
        "disk_full": int(ctx.executor.quota.over),
        "disk_bytes": ctx.store.engine.statistics().get("disk_bytes", 0),
    }


DENIED = {"auth": "auth", "command": "cmd", "key": "key", "channel": "channel"}


def _stats(ctx: Session) -> Fields:
    stats, pubsub = ctx.executor.stats, ctx.executor.pubsub
    return {
        "total_connections_received": stats.connections,
        "total_commands_processed": stats.total_calls(),
        "rejected_connections": stats.rejected_connections,
        "expired_keys": ctx.store.expired,
        "expired_subkeys": ctx.store.expired_parts,
        "evicted_keys": 0,
        "evicted_clients": stats.evicted_clients,
        "migrate_cached_sockets": len(ctx.executor.peers),
        "pubsub_channels": len(pubsub.channels),
        "pubsub_patterns": len(pubsub.patterns),
        "pubsubshard_channels": len(pubsub.shards),
        **ctx.executor.observers.tracking.statistics(),
        "total_error_replies": sum(stats.errors.values()),
        **{f"acl_access_denied_{DENIED[reason]}": count for reason, count in ctx.executor.users.denials.totals.items()},
    }


def _replication(ctx: Session) -> Fields:
    return {
        "role": "master",
        "connected_slaves": 0,
        "master_failover_state": "no-failover",
        "master_replid": ctx.executor.replication_id,
        "master_replid2": "0" * 40,
        "master_repl_offset": 0,
        "second_repl_offset": -1,
    }


def _cpu(ctx: Session) -> Fields:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "used_cpu_sys": f"{own.ru_stime:.6f}",
        "used_cpu_user": f"{own.ru_utime:.6f}",
        "used_cpu_sys_children": f"{children.ru_stime:.6f}",
        "used_cpu_user_children": f"{children.ru_utime:.6f}",
    }


def _modules(ctx: Session) -> Fields:
    return {}


def _commandstats(ctx: Session) -> Fields:
    return {
        f"cmdstat_{used.name}": f"calls={usage.calls},usec={usage.nanoseconds // 1000},"
        f"usec_per_call={usage.nanoseconds / 1000 / max(usage.calls, 1):.2f},rejected_calls={usage.rejected},failed_calls={usage.failed}"
        for used, usage in ctx.executor.stats.usage.items()
    }


def _errorstats(ctx: Session) -> Fields:
    return {f"errorstat_{code}": f"count={count}" for code, count in ctx.executor.stats.errors.items()}


def _latencystats(ctx: Session) -> Fields:
    settings = ctx.executor.settings
    if not settings["latency-tracking"]:
        return {}
    wanted = [float(word) for word in settings["latency-tracking-info-percentiles"].split()]
    return {
        f"latency_percentiles_usec_{used.name}": ",".join(f"p{one:.15g}={percentile(usage.tracked(), one):.3f}" for one in wanted)
        for used, usage in ctx.executor.stats.usage.items()
        if any(usage.tracked())
    }


def _cluster(ctx: Session) -> Fields:
    return {"cluster_enabled": 0}


def _keyspace(ctx: Session) -> Fields:
    return {
        f"db{number}": f"keys={db.count},expires={db.expiring}" for number, db in enumerate(ctx.store.databases) if db.count
    }


SECTIONS: dict[str, Callable[[Session], Fields]] = {
    "Server": _server,
    "Clients": _clients,
    "Memory": _memory,
    "Persistence": _persistence,
    "Stats": _stats,
    "Replication": _replication,
    "CPU": _cpu,
    "Modules": _modules,
    "Commandstats": _commandstats,
    "Errorstats": _errorstats,
    "Latencystats": _latencystats,
    "Cluster": _cluster,
    "Keyspace": _keyspace,
}
ON_DEMAND = {"Commandstats", "Latencystats"}
