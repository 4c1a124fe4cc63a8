"""MEMORY: what takes memory here, which is the cache, the engine and the interpreter."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

from diskkv.commands.info import resident_bytes
from diskkv.dispatch.args import Args
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import LOADING, READONLY, STALE, Flag, group, help_lines
from diskkv.errors import BadSyntax
from diskkv.replies import OK, Verbatim

command = group("server")


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


@command("MEMORY STATS", Flag(0), since="4.0.0")
def memory_stats(ctx: Session) -> dict[bytes, Any]:
    """Return what takes memory, in bytes; figures that have no meaning here are left out."""
    cache = ctx.store.cache.statistics()
    engine = ctx.store.engine.statistics().get("memory_bytes", 0)
    resident = resident_bytes()
    keys = sum(db.count for db in ctx.store.databases)
    used = cache.used + engine
    return {
        b"total.allocated": used,
        b"cache.used": cache.used,
        b"cache.budget": cache.budget,
        b"engine.allocated": engine,
        b"clients.tracking.keys": ctx.executor.observers.tracking.statistics()["tracking_total_keys"],
        b"keys.count": keys,
        b"keys.bytes-per-key": cache.used // keys if keys else 0,
        b"dataset.bytes": cache.used,
        b"allocator.resident": resident,
        b"rss-overhead.bytes": max(resident - used, 0),
    }


@command("MEMORY DOCTOR", Flag(0), since="4.0.0")
def memory_doctor(ctx: Session) -> Verbatim:
    """Return what may be wrong with the use of memory, in words."""
    cache = ctx.store.cache.statistics()
    keys = sum(db.count for db in ctx.store.databases)
    resident = resident_bytes()
    limit = ctx.executor.settings["maxmemory"]
    said = []
    if cache.evicted > 10 * max(keys, 1):
        said.append("The cache has given up far more objects than there are keys: a larger maxmemory would spare reads from the disk.")
    if resident > 2 * limit and resident > 256 << 20:
        said.append(f"The process has {resident >> 20} MB, more than twice its budget of {limit >> 20} MB; MEMORY PURGE may help.")
    return Verbatim(("\n".join(said) if said else "Nothing is wrong with the memory, as far as can be seen from here.").encode())


@command("MEMORY MALLOC-STATS", Flag(0), since="4.0.0")
def memory_malloc_stats(ctx: Session) -> Verbatim:
    """Return what the interpreter knows of its own memory."""
    lines = [f"resident: {resident_bytes()}"]
    for generation, figures in enumerate(gc.get_stats()):
        lines.append(f"generation {generation}: {', '.join(f'{name} {value}' for name, value in figures.items())}")
    return Verbatim(("\n".join(lines) + "\n").encode())


@command("MEMORY PURGE", Flag(0), since="4.0.0")
def memory_purge(ctx: Session) -> Any:
    """Give memory that is free back to the system."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return OK


@command("MEMORY HELP", LOADING | STALE, since="4.0.0")
def memory_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("memory")
