"""Consumer groups through redis-py's methods, in process: waiting, sharing the work, and what a kill leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import redis

import diskkv

ROOT = Path(__file__).resolve().parent.parent.parent


def test_threads_share_the_work(path: str) -> None:
    """Each entry is given to one consumer, and acknowledged by it."""
    taken: list[bytes] = []

    def work(name: str) -> None:
        with diskkv.open(path) as r:
            while True:
                found: Any = r.xreadgroup("g", name, {"x": ">"}, count=3, block=0)
                for number, fields in found[0][1]:
                    if b"stop" in fields:
                        r.xadd("x", {"stop": ""})
                        r.xack("x", "g", number)
                        return
                    taken.append(number)
                    r.xack("x", "g", number)

    with diskkv.open(path) as r:
        r.xgroup_create("x", "g", mkstream=True)
        workers = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(3)]
        for worker in workers:
            worker.start()
        added = [r.xadd("x", {"n": number}) for number in range(200)]
        r.xadd("x", {"stop": ""})
        for worker in workers:
            worker.join(30)
        assert sorted(taken, key=lambda number: tuple(map(int, number.split(b"-")))) == added
        assert r.xpending("x", "g")["pending"] == 0


def test_a_blocked_reader_is_told_when_the_group_goes(path: str) -> None:
    async def main() -> None:
        async with diskkv.open_async(path) as r:
            await r.xgroup_create("x", "g", mkstream=True)
            reading = asyncio.create_task(r.xreadgroup("g", "ann", {"x": ">"}, block=0))
            while not r._shared.executor.waiters.count:
                await asyncio.sleep(0)
            assert await r.xadd("x", {"f": "v"}, id="1-1") == b"1-1"
            assert await reading == [[b"x", [(b"1-1", {b"f": b"v"})]]]
            assert await r.xreadgroup("g", "ann", {"x": ">"}, block=1) == []
            reading = asyncio.create_task(r.xreadgroup("g", "ann", {"x": ">"}, block=0))
            while not r._shared.executor.waiters.count:
                await asyncio.sleep(0)
            await r.xgroup_destroy("x", "g")
            with pytest.raises(redis.ResponseError, match="NOGROUP"):
                await reading

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(redis.Redis, "xdelex"), reason="this redis-py has no xdelex")
def test_what_redis_8_added(r: diskkv.Client) -> None:
    for number in range(1, 4):
        r.xadd("x", {"f": "v"}, id=f"{number}-0")
    r.xgroup_create("x", "g", "0")
    r.xreadgroup("g", "ann", {"x": ">"})
    assert r.xdelex("x", "1-0", ref_policy="ACKED") == [2]
    assert r.xackdel("x", "g", "1-0", "9-9", ref_policy="ACKED") == [1, -1]
    assert r.xtrim("x", maxlen=1, approximate=False, ref_policy="DELREF") == 1
    assert r.xpending("x", "g")["pending"] == 1


WORKER = """
import sys, diskkv
with diskkv.open(sys.argv[1]) as r:
    while True:
        for name in ("ann", "bob", "cyd"):
            for number, fields in r.xreadgroup("g", name, {"x": ">"}, count=5)[0][1]:
                print(name, number.decode(), flush=True)
                if int(fields[b"n"]) % 3 == 0:
                    r.xack("x", "g", number)
                    print("ack", number.decode(), flush=True)
"""


def test_what_is_pending_survives_a_kill(path: str) -> None:
    """What was given and not acknowledged is there for others to claim, all of it and nothing else."""
    with diskkv.open(path) as r:
        r.xgroup_create("x", "g", mkstream=True)
        for number in range(3000):
            r.xadd("x", {"n": number}, id=f"{number + 1}-0")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, path], env=environment, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    told = [worker.stdout.readline().split() for _ in range(700)]
    worker.send_signal(signal.SIGKILL)
    told += [line.split() for line in worker.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    worker.wait()
    worker.stdout.close()
    given = {number: name for name, number in told if name != "ack"}
    acknowledged = {number for name, number in told if name == "ack"}
    with diskkv.open(path, decode_responses=True) as r:
        rows = {row["message_id"]: row["consumer"] for row in r.xpending_range("x", "g", "-", "+", 5000)}
        # It may have got further than it could tell: the entries of its last read, and the acknowledgement of one.
        missing = {number for number in given if number not in rows} - acknowledged
        assert len(missing) <= 1
        assert {number: name for number, name in given.items() if number in rows}.items() <= rows.items()
        assert not acknowledged & rows.keys()
        assert len(rows.keys() - given.keys()) <= 5
        assert r.xinfo_groups("x")[0]["pending"] == len(rows)
        start, claimed = "0-0", []
        while True:
            start, entries, deleted = r.xautoclaim("x", "g", "dan", 0, start, count=50)
            claimed += [number for number, _ in entries]
            assert deleted == []
            if start == "0-0":
                break
        assert claimed == sorted(rows, key=lambda number: int(number.split("-")[0]))
        assert r.xack("x", "g", *claimed) == len(claimed)
        assert r.xpending("x", "g")["pending"] == 0


def test_what_is_pending_keeps_to_the_budget(path: str) -> None:
    """What is given and acknowledged in large pieces takes far more memory than log: checkpoints come in time all the same."""
    with diskkv.open(path, maxmemory="8mb") as r:
        pipeline = r.pipeline(transaction=False)
        for number in range(20_000):
            pipeline.xadd("x", {"f": "v"}, id=f"{number + 1}-0")
        pipeline.execute()
        r.xgroup_create("x", "g", "0")
        cache = r._shared.executor.store.cache
        most = 0
        for _ in range(40):
            r.xreadgroup("g", "ann", {"x": ">"}, count=500)
            most = max(most, cache.used)
        for first in range(1, 20_000, 500):
            r.xack("x", "g", *(f"{number}-0" for number in range(first, first + 500)))
            most = max(most, cache.used)
        assert r.xpending("x", "g")["pending"] == 0
        assert most < 2 * cache.budget
