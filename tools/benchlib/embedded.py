"""Calls in process: diskkv.open against raw plyvel, diskcache, and redis-py talking to a redis-server.

Every call is timed by itself; what an empty call costs is taken off. Small calls run hot: a hundred keys, read and written over and over.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from differential import servers

Call = Callable[[int], object]
OPERATIONS = ("set", "get", "hset", "hget", "incr", "lpush", "zadd", "pipeline of 50 sets")
SUBJECTS = ("diskkv", "plyvel", "diskcache", "redis-py")
HOT = 100
VALUE = b"x" * 100
KEYS = [b"key:%06d" % number for number in range(HOT)]
FIELDS = [b"field:%06d" % number for number in range(HOT)]
SLOW = {"diskcache": 10, "redis-py": 4}  # these get that many times fewer calls


def run(calls: int, subjects: Sequence[str], operations: Sequence[str], tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row per operation: median and 99th percentile in microseconds for each subject, None where it has no such operation."""
    rows: dict[str, dict[str, Any]] = {name: {"operation": name} for name in operations}
    empty = _percentiles(_time(lambda _: None, max(calls, 20_000)))[0]
    for subject in subjects:
        tell(subject)
        with tempfile.TemporaryDirectory(prefix="diskkv-bench-") as folder, _OPENERS[subject](Path(folder)) as offered:
            for name in operations:
                row = rows[name]
                row[f"{subject}_p50_us"] = row[f"{subject}_p99_us"] = None
                if name in offered:
                    count = max(200, calls // SLOW.get(subject, 1) // (20 if name.startswith("pipeline") else 1))
                    half, most = _percentiles(_time(offered[name], count))
                    row[f"{subject}_p50_us"] = round(max(0, half - empty) / 1000, 2)
                    row[f"{subject}_p99_us"] = round(max(0, most - empty) / 1000, 2)
    return list(rows.values())


def _time(call: Call, count: int) -> list[int]:
    clock = time.perf_counter_ns
    for number in range(min(count, 2 * HOT)):
        call(number % HOT)
    taken = [0] * count
    for number in range(count):
        place = number % HOT
        began = clock()
        call(place)
        taken[number] = clock() - began
    return taken


def _percentiles(taken: list[int]) -> tuple[float, float]:
    taken.sort()
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100]


def _client_calls(client: Any) -> dict[str, Call]:
    """The operations of anything with redis-py's methods."""

    def pipeline(number: int) -> object:
        batch = client.pipeline(transaction=False)
        for place in range(50):
            batch.set(KEYS[place], VALUE)
        return batch.execute()

    return {
        "set": lambda number: client.set(KEYS[number], VALUE),
        "get": lambda number: client.get(KEYS[number]),
        "hset": lambda number: client.hset("hash", FIELDS[number], VALUE),
        "hget": lambda number: client.hget("hash", FIELDS[number]),
        "incr": lambda number: client.incr("counter"),
        "lpush": lambda number: client.lpush("list", VALUE),
        "zadd": lambda number: client.zadd("zset", {FIELDS[number]: number}),
        "pipeline of 50 sets": pipeline,
    }


@contextmanager
def _open_diskkv(folder: Path) -> Iterator[dict[str, Call]]:
    import diskkv

    with diskkv.open(str(folder / "store")) as client:
        yield _client_calls(client)


@contextmanager
def _open_plyvel(folder: Path) -> Iterator[dict[str, Call]]:
    import plyvel

    store = plyvel.DB(str(folder / "store"), create_if_missing=True)

    def batch(number: int) -> object:
        with store.write_batch() as writes:
            for place in range(50):
                writes.put(KEYS[place], VALUE)
        return None

    yield {
        "set": lambda number: store.put(KEYS[number], VALUE),
        "get": lambda number: store.get(KEYS[number]),
        "pipeline of 50 sets": batch,
    }
    store.close()


@contextmanager
def _open_diskcache(folder: Path) -> Iterator[dict[str, Call]]:
    import diskcache  # type: ignore[import-untyped]  # it has no stubs

    cache = diskcache.Cache(str(folder / "store"))
    cache.set("counter", 0)

    def batch(number: int) -> object:
        with cache.transact():
            for place in range(50):
                cache.set(KEYS[place], VALUE)
        return None

    yield {
        "set": lambda number: cache.set(KEYS[number], VALUE),
        "get": lambda number: cache.get(KEYS[number]),
        "incr": lambda number: cache.incr("counter"),
        "pipeline of 50 sets": batch,
    }
    cache.close()


@contextmanager
def _open_redis(folder: Path) -> Iterator[dict[str, Call]]:
    import redis

    options = ("--appendonly", "yes", "--appendfsync", "everysec", "--hz", "10")
    with servers.redis(*options, path=folder) as server, redis.Redis(unix_socket_path=str(server.address)) as client:
        yield _client_calls(client)


_OPENERS = {"diskkv": _open_diskkv, "plyvel": _open_plyvel, "diskcache": _open_diskcache, "redis-py": _open_redis}
