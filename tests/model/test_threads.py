"""Many threads on one store in process: what they did adds up, nothing is lost, and the store is in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

from redis.exceptions import WatchError

import diskkv
from tests.support.runner import Runner

THREADS = 6
ROUNDS = 150


def together(work: Callable[[int], None]) -> None:
    """Run `work(0)`, `work(1)`, ... each in a thread; the first failure is raised here."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def examine(path: Path) -> None:
    runner = Runner(path)
    try:
        assert not runner.findings()
    finally:
        runner.close()


def test_what_threads_add_is_all_there(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with diskkv.open(str(path), maxmemory="1mb") as client:

        def work(number: int) -> None:
            random = Random(number)
            for at in range(ROUNDS):
                match random.randrange(6):
                    case 0:
                        client.incr("count")
                    case 1:
                        client.sadd("set", f"{number}:{at}")
                        client.incr("members")
                    case 2:
                        client.rpush("list", *(f"{number}:{at}:{part}" for part in range(5)))
                        client.incrby("elements", 5)
                    case 3:
                        client.hincrby("hash", random.randrange(300), 1)
                        client.incr("increments")
                    case 4:
                        with client.pipeline() as pipeline:
                            pipeline.zadd("zset", {f"{number}:{at}": at}).incr("scores").execute()
                    case _:
                        client.set(f"own:{number}", "x" * random.randrange(20_000))
                        assert set(client.get(f"own:{number}") or b"x") <= set(b"x")

        together(work)
        assert client.scard("set") == int(client.get("members") or 0)
        assert client.llen("list") == int(client.get("elements") or 0)
        assert sum(map(int, client.hvals("hash"))) == int(client.get("increments") or 0)
        assert client.zcard("zset") == int(client.get("scores") or 0)
        # What one push added stands together.
        rows = [item.rpartition(b":")[0] for item in client.lrange("list", 0, -1)]
        assert all(len(set(rows[at : at + 5])) == 1 for at in range(0, len(rows), 5))
    examine(path)


def test_watched_transactions_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with diskkv.open(str(path)) as client:
        client.mset({f"account:{number}": 100 for number in range(4)})

        def work(number: int) -> None:
            random = Random(number)
            for _ in range(40):
                one, other = random.sample(range(4), 2)
                while not moved(one, other, random.randrange(10)):
                    pass

        def moved(one: int, other: int, amount: int) -> bool:
            with client.pipeline() as pipeline:
                pipeline.watch(f"account:{one}", f"account:{other}")
                left, right = (int(pipeline.get(f"account:{account}") or 0) for account in (one, other))
                pipeline.multi()
                pipeline.set(f"account:{one}", left - amount).set(f"account:{other}", right + amount)
                try:
                    pipeline.execute()
                except WatchError:
                    return False
            return True

        together(work)
        assert sum(int(client.get(f"account:{number}") or 0) for number in range(4)) == 400
    examine(path)


def test_blocked_threads_are_each_served_once(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with diskkv.open(str(path)) as client:
        taken: list[bytes] = []

        def work(number: int) -> None:
            if number % 2:
                for at in range(ROUNDS):
                    client.rpush(f"queue:{at % 2}", f"{number}:{at}")
            else:
                for _ in range(ROUNDS):
                    found = client.blpop(["queue:0", "queue:1"], timeout=30)
                    assert found is not None
                    taken.append(found[1])

        together(work)
        assert sorted(taken) == sorted(f"{number}:{at}".encode() for number in range(1, THREADS, 2) for at in range(ROUNDS))
        assert client.exists("queue:0", "queue:1") == 0
    examine(path)
