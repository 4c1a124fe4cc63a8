"""Random list commands, with evictions, checkpoints and restarts between: the replies are those of Redis."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.format import keys
from diskkv.store.cache import GHOST_COST
from diskkv.types import list_buckets, list_elements, list_runs, lists
from diskkv.types.lists import List
from tests.support import oracle
from tests.support.oracle import Oracle, plain
from tests.support.runner import Runner

KEYS = ["a", "b", "c"]


@pytest.fixture(scope="module")
def redis() -> Iterator[Oracle]:
    server = oracle.start()
    yield server
    server.close()


def element(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.5:
        return b"%d" % rng.randrange(40)
    if kind < 0.97:
        return b"e%d" % rng.randrange(100_000)
    return rng.choice([b"", b"x" * 600, rng.randbytes(700), b"\0\r\n"])


def index(rng: random.Random, length: int) -> int:
    return rng.choice([0, -1, 1, length // 2, rng.randint(-length - 2, length + 2), rng.randint(-length - 2, length + 2)])


def command(rng: random.Random, size: int, length: int) -> list[Any]:
    """A random command for lists of about `size` elements; the key is drawn here, `length` is roughly that of any."""
    key, other = rng.choice(KEYS), rng.choice(KEYS)
    side, where = rng.choice(["LEFT", "RIGHT"]), rng.choice(["left", "RIGHT"])
    burst = rng.choice([1, 1, 2, 10, size // 4 + 1])
    few = rng.choice([1, 2, 5, size // 20 + 1])
    some = [element(rng) for _ in range(burst)]
    choices: list[tuple[int, list[Any]]] = [
        (12, [rng.choice(["LPUSH", "RPUSH"]), key, *some]),
        (2, [rng.choice(["LPUSHX", "RPUSHX"]), key, *some[:3]]),
        (6, [rng.choice(["LPOP", "RPOP"]), key]),
        (4, [rng.choice(["LPOP", "RPOP"]), key, rng.choice([0, 1, few, burst])]),
        (3, ["LLEN", key]),
        (6, ["LINDEX", key, index(rng, length)]),
        (8, ["LRANGE", key, index(rng, length), index(rng, length)]),
        (4, ["LSET", key, index(rng, length), element(rng)]),
        (14, ["LINSERT", key, rng.choice(["BEFORE", "after"]), element(rng), element(rng)]),
        (8, ["LREM", key, rng.choice([0, 1, -1, 2, -3, 10]), element(rng)]),
        (2, ["LTRIM", key, rng.choice([0, 0, few, -length]), rng.choice([-1, -1, -few, length])]),
        (5, ["LPOS", key, element(rng), *rng.choice([[], ["RANK", -1], ["COUNT", 0], ["RANK", -2, "COUNT", 2, "MAXLEN", length // 2]])]),
        (4, ["LMOVE", key, other, side, where]),
        (2, ["RPOPLPUSH", key, other]),
        (2, ["LMPOP", 2, key, other, side, "COUNT", few]),
        (1, ["BLPOP", key, key, other, *KEYS, 0.001]),
        (1, ["DEL", key]),
        (1, ["LTRIM", key, index(rng, length), index(rng, length)]),
    ]
    return rng.choices([words for _, words in choices], [weight for weight, _ in choices])[0]


def verify(runner: Runner) -> None:
    """What lies in the engine is exactly what the lists say, and memory is accounted for."""
    runner.checkpoint()
    store = runner.executor.store
    with store.lock:
        for value in [value for db in store.databases for value in db.objects.values() if isinstance(value, List) and value.oid]:
            places = list(value.places(0, value.count))
            assert places == sorted(set(places)) and places[0] == value.first and places[-1] == value.last
            prefix = keys.data_prefix(value.oid)
            records = dict(store.engine.scan(prefix, keys.after(prefix)))
            expected = dict(value.records(dict(zip(places, value.values(places), strict=True))))
            if value.buckets is not None:
                assert sum(value.buckets.counts) == value.count
                assert value.buckets.lows == sorted(value.buckets.lows)
                lows = {(low,): count for low, count in zip(value.buckets.lows, value.buckets.counts, strict=True)}
                expected.update(value.records(lows))
            assert records == {prefix + sub: raw for sub, raw in expected.items() if raw is not None}
        resident = sum(value.weight for db in store.databases for value in db.objects.values())
        dead = sum(value.weight for queue in (store.cache._small, store.cache._main) for value in queue if not value.linked)
        assert store.cache.used - resident - dead == GHOST_COST * store.cache.statistics().ghosts
        assert list(store.cache.verify()) == []


@pytest.mark.parametrize(
    ("seed", "size", "budget"), [(1, 20, "64mb"), (2, 140, "64mb"), (3, 700, "64mb"), (4, 3000, "1mb"), (5, 1500, "1mb")]
)
def test_replies_are_those_of_redis(redis: Oracle, tmp_path: Path, seed: int, size: int, budget: str) -> None:
    rng = random.Random(seed)
    redis.run("FLUSHALL")
    runner = Runner(tmp_path / "store", maxmemory=budget)
    if size > 1000:
        for key in KEYS:
            words = ["RPUSH", key, *[element(rng) for _ in range(size)]]
            assert runner(*words) == redis.run(*words)
    for step in range(1500):
        words = command(rng, size, size)
        reply = runner(*words)
        if words[0] == "BLPOP" and not isinstance(reply, list):
            continue
        assert plain(reply) == redis.run(*words), (step, words[:8])
        chance = rng.random()
        if chance < 0.01:
            runner.evict()
        elif chance < 0.02:
            runner.checkpoint()
        elif chance < 0.025:
            runner.reopen()
        elif chance < 0.035:
            verify(runner)
        elif chance < 0.04:
            freeze(runner)
    for key in KEYS:
        assert runner("LRANGE", key, 0, -1) == redis.run("LRANGE", key, 0, -1)
    verify(runner)
    runner.reopen()
    for key in KEYS:
        assert runner("LRANGE", key, 0, -1) == redis.run("LRANGE", key, 0, -1)
        assert [runner("LINDEX", key, at) for at in range(0, size, 37)] == [redis.run("LINDEX", key, at) for at in range(0, size, 37)]
    runner.close()


def freeze(runner: Runner) -> None:
    """Begin a checkpoint and let it land some time later, among the commands that follow."""
    store = runner.executor.store
    with store.lock:
        if not store.writer.active:
            store.writer.freeze()


@pytest.mark.parametrize(("seed", "stride"), [(0, 3), (1, 9), (2, 33), (3, 257), (4, 9), (5, 65)])
def test_replies_are_those_of_redis_where_all_bounds_are_tiny(
    redis: Oracle, tmp_path: Path, seed: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buckets of four, hardly any room between positions, spills at any moment: every edge is met often."""
    bounds = {lists: {"INLINE_COUNT": 6, "NEAR": 2, "TOGETHER": 7, "KEEP": 25, "STRIDE": stride}}
    bounds[list_runs] = {"STRIDE": stride, "SPAN": 4 * stride, "LONG": 4}
    bounds[list_elements] = {"FEW": 1, **bounds[list_runs]}
    bounds[list_runs] |= {"RUN": 4}
    bounds[lists] |= {"SPAN": 4 * stride, "LONG": 4}
    bounds[list_buckets] = {"FULL": 4, "SPARSE": 3}
    for module, names in bounds.items():
        for name, bound in names.items():
            monkeypatch.setattr(module, name, bound)
    rng = random.Random(seed)
    redis.run("FLUSHALL")
    runner = Runner(tmp_path / "store")
    for step in range(2500):
        if rng.random() < 0.4:
            # Many insertions at about the same place, which is where positions run out.
            length = redis.run("LLEN", "a")
            pivot = redis.run("LINDEX", "a", length // 2) or b"none"
            words: list[Any] = ["LINSERT", "a", rng.choice(["BEFORE", "AFTER"]), pivot, b"m%d" % step]
        else:
            words = command(rng, 12, 30)
        reply = runner(*words)
        if words[0] == "BLPOP" and not isinstance(reply, list):
            continue
        assert plain(reply) == redis.run(*words), (step, words[:8])
        chance = rng.random()
        if chance < 0.02:
            rng.choice([runner.evict, runner.checkpoint])()
        elif chance < 0.024:
            runner.reopen()
        elif chance < 0.05:
            verify(runner)
        elif chance < 0.08:
            freeze(runner)
        elif chance < 0.15:
            for value in list(runner.executor.store.databases[0].objects.values()):
                if isinstance(value, List) and value.oid:
                    value._let_go()
    for key in KEYS:
        assert runner("LRANGE", key, 0, -1) == redis.run("LRANGE", key, 0, -1)
    verify(runner)
    runner.close()


WRONG = [
    "LPUSH l", "LPUSH s x", "LPUSHX s x", "LPOP s", "LPOP s 1", "LPOP s x", "LPOP l 1 2", "LPOP l -1", "LPOP l x", "LPOP none 0",
    "LPOP none 3", "LPOP none", "LPOP l 0", "RPOP l 1 2", "LLEN s", "LINDEX s x", "LINDEX l x", "LINDEX none x", "LINDEX l 99",
    "LRANGE s x 1", "LRANGE s 0 1", "LRANGE none 0 1", "LRANGE none 0 y", "LSET none x y", "LSET s 0 y", "LSET l x y",
    "LSET l 9 y", "LSET l -9 y", "LINSERT s foo a b", "LINSERT s before a b", "LINSERT none after a b", "LINSERT l after zz b",
    "LREM s x a", "LREM s 1 a", "LREM none 1 a", "LREM l 0 zz", "LTRIM s x 1", "LTRIM s 0 1", "LTRIM none 0 1", "LPOS s a",
    "LPOS none a", "LPOS none a COUNT 1", "LPOS l a RANK", "LPOS l a RANK 0", "LPOS l a RANK x", "LPOS l a COUNT -1",
    "LPOS l a MAXLEN -1", "LPOS l a FOO 1", "LPOS l zz", "LPOS l zz COUNT 0", "LPOS s a RANK 0", "LPOS l a RANK 1 RANK -1",
    "LPOS l a COUNT x", "LMOVE l l foo left", "LMOVE l l left foo", "LMOVE none s left left", "LMOVE s l left left",
    "LMOVE l s left left", "RPOPLPUSH none s", "RPOPLPUSH l s", "RPOPLPUSH s l", "LMPOP 0 l left", "LMPOP x l left",
    "LMPOP 2 l left", "LMPOP 1 l foo", "LMPOP 1 l left COUNT", "LMPOP 1 l left COUNT 0", "LMPOP 1 l left COUNT 1 COUNT 1",
    "LMPOP 1 l left FOO 1", "LMPOP 1 none left", "LMPOP 2 none s left", "LMPOP 1 l", "LMPOP 9999999999999999999 l left",
    "LMPOP 9223372036854775807 l left", "BLPOP l x", "BLPOP l -1", "BLPOP s 0", "BLPOP s x", "BLPOP none s 0", "BRPOP l nan",
    "BLPOP l", "BLMPOP x 0 l left", "BLMPOP x 1 l foo", "BLMPOP x 1 l left", "BLMPOP -1 1 l left", "BLMPOP 0 1 s left",
    "BLMPOP x 1 l left COUNT 0", "BLMOVE l l foo left x", "BLMOVE l l left left x", "BLMOVE l l left left -1",
    "BLMOVE l s left left 0", "BLMOVE s l left left 0", "BRPOPLPUSH l s x", "BRPOPLPUSH l s 0", "BRPOPLPUSH s l 0", "lmpop",
    "BLMPOP 1 1 l", "LPOS l a RANK -9223372036854775807", "LPOS l a COUNT 9223372036854775807 MAXLEN 9223372036854775807",
]  # fmt: skip


@pytest.mark.parametrize("line", WRONG)
def test_errors_and_empty_replies_are_those_of_redis(redis: Oracle, memory: Runner, line: str) -> None:
    for setup in ("DEL l s none", "RPUSH l a b c", "SET s string"):
        redis.run(*setup.split())
        memory(*setup.split())
    assert plain(memory(*line.split())) == redis.run(*line.split())
    assert memory("LRANGE", "l", 0, -1) == redis.run("LRANGE", "l", 0, -1)


@pytest.fixture(scope="module")
def memory() -> Iterator[Runner]:
    runner = Runner(":memory:")
    yield runner
    runner.close()


