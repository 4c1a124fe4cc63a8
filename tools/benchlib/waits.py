"""How long a client that only reads hot keys waits while others write at full speed, on diskkv and on redis-server under the same load.

Redis' own waits say what of it is the machine's: with two processors and more than two busy processes they are not short either.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

from differential import servers
from differential.servers import Server
from differential.wire import Connection

from . import load
from .commands import CLIENTS, NoBenchmark
from .workloads import WORKLOADS, Workload, fill

HOT = 100
SIZE = 100
# From so many keys or members the writers choose: more than the cache holds.
CHOICE = 1_000_000
ENDLESS = 2_000_000_000
LONG = 0.02
WRITES = {each.name: each for each in WORKLOADS if each.name in ("SET", "INCR", "HSET", "LPUSH", "SADD", "ZADD")}

Row = dict[str, float | str | int]


def run(names: Sequence[str], *, seconds: float, pipeline: int, options: Sequence[str], tell: Callable[[str], None]) -> list[Row]:
    """A row for each workload and server; the servers take turns, and each begins anew with each workload."""
    if shutil.which("redis-benchmark") is None:
        raise NoBenchmark("redis-benchmark is not installed (Debian: apt-get install redis-tools)")
    rows = []
    for name in names:
        for kind in ("diskkv", "redis"):
            settings = ["--appendfsync", "everysec", *(options if kind == "diskkv" else ["--appendonly", "yes"])]
            with getattr(servers, kind)(*settings, port=servers.free_port()) as server:
                row = _row(name, kind, _waits(server, WRITES[name], seconds, pipeline))
            rows.append(row)
            tell(f"{name} on {kind}: {row['max_ms']} ms at most, {row['p99.9_ms']} for one in a thousand")
    return rows


def _waits(server: Server, workload: Workload, seconds: float, pipeline: int) -> list[float]:
    connection = Connection(server.address, patience=60)
    try:
        fill(connection, ((b"SET", load.key_of(number), load.value_of(number, SIZE)) for number in range(HOT)))
    finally:
        connection.close()
    with _writers(server, workload, pipeline):
        time.sleep(1)
        return load.paced_reads(server.address, HOT, SIZE, seconds)


@contextlib.contextmanager
def _writers(server: Server, workload: Workload, pipeline: int) -> Iterator[None]:
    """redis-benchmark, as long as the body runs."""
    how = ["-h", "127.0.0.1", "-p", str(server.port), "-c", str(CLIENTS), "-n", str(ENDLESS), "-P", str(pipeline), "-r", str(CHOICE), "-q"]
    words = [word.replace(b"key:", b"other:").decode() for word in workload.command]
    process = subprocess.Popen(["redis-benchmark", *how, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
        if process.poll() is not None:
            raise NoBenchmark(f"redis-benchmark on {server.name} ended too soon")
    finally:
        process.kill()
        process.wait()


def _row(name: str, kind: str, waits: list[float]) -> Row:
    count = len(waits)
    row: Row = {"writers": name, "server": kind, "reads": count}
    for label, at in (("p50", count // 2), ("p99", count * 99 // 100), ("p99.9", count * 999 // 1000), ("max", count - 1)):
        row[f"{label}_ms"] = round(waits[at] * 1000, 2)
    row["over_20_ms"] = sum(wait > LONG for wait in waits)
    return row
