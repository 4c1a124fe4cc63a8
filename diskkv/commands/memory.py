"""MEMORY: what takes it."""

from __future__ import annotations

import resource
from typing import Any

from diskkv.dispatch.args import Args
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import LOADING, READONLY, STALE, Flag, group, help_lines
from diskkv.errors import BadSyntax
from diskkv.replies import OK, Verbatim

command = group("server")

PLAIN = Flag(0)


@command("MEMORY USAGE key [SAMPLES count]", READONLY, since="4.0.0")
def memory_usage(ctx: Session, key: bytes, *options: bytes) -> int | None:
    """Return the bytes of memory that a key takes in the cache; the count is exact, whatever the samples."""
    args = Args(options)
    while args:
        if args.word() != b"SAMPLES":
            raise BadSyntax
        if args.int() < 0:
            raise BadSyntax
    value = ctx.db.find(key)
    return value.weight if value is not None else None


@command("MEMORY STATS", PLAIN, since="4.0.0")
def memory_stats(ctx: Session) -> dict[bytes, Any]:
    """Return what is known of the memory in use; by Redis' names, less what is not known here."""
    cache = ctx.store.cache.statistics()
    total = cache.used + ctx.store.engine.statistics().get("memory_bytes", 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    count = sum(db.count for db in ctx.store.databases)
    return {
        b"peak.allocated": peak,
        b"total.allocated": total,
        b"keys.count": count,
        b"keys.bytes-per-key": cache.used // count if count else 0,
        b"dataset.bytes": cache.used,
        b"dataset.percentage": 100 * cache.used / total if total else 0.0,
        b"peak.percentage": 100 * total / peak if peak else 0.0,
        b"cache.budget": cache.budget,
    }


@command("MEMORY DOCTOR", PLAIN, since="4.0.0")
def memory_doctor(ctx: Session) -> Verbatim:
    """Return whether the memory budget holds."""
    cache = ctx.store.cache.statistics()
    if cache.used > cache.budget:
        text = f"{cache.used} bytes are in use, the cache's share of maxmemory is {cache.budget}: more is changed than is written yet."
    else:
        text = f"All is well: {cache.used} bytes are in use of the {cache.budget} that are the cache's share of maxmemory."
    return Verbatim(text.encode())


@command("MEMORY MALLOC-STATS", PLAIN, since="4.0.0")
def memory_malloc_stats(ctx: Session) -> Verbatim:
    """Return that the allocator has nothing to tell."""
    return Verbatim(b"Stats not supported for the current allocator")


@command("MEMORY PURGE", PLAIN, since="4.0.0")
def memory_purge(ctx: Session) -> Any:
    """Have what memory is free given back to the system."""
    ctx.executor.purge()
    return OK


@command("MEMORY HELP", LOADING | STALE, since="4.0.0")
def memory_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("memory")
