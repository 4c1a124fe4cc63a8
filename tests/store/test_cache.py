"""The cache keeps its budget without keeping anybody waiting."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diskkv.store import cache
from tests.support.runner import Runner


def test_where_all_is_hot_a_tick_evicts_for_a_while_and_the_next_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Runner(tmp_path / "store", maxmemory="1mb")
    held = run.executor.store.cache
    number = 0
    while not held.evicted:
        run("SET", f"key{number}", "x" * 1000)
        number += 1
    run.checkpoint()
    for value in run.executor.store.databases[0].objects.values():
        value.freq = 3
    resident = len(run.executor.store.databases[0].objects)
    monkeypatch.setattr(cache, "STEPS", 20)
    monkeypatch.setattr(cache, "MOST", resident // 10)
    evicted = held.evicted
    run("SET", "one more", "x" * 1000)
    assert (held.evicted, held.used > held.budget) == (evicted, True)
    ticks = 1
    while held.used > held.budget:
        run("PING")
        ticks += 1
    assert held.evicted > evicted
    assert 10 <= ticks < 100
    assert list(held.verify()) == []
    assert run.findings() == []
    run.close()


def test_a_string_that_is_read_to_be_replaced_is_in_memory_once(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    for number in range(100):
        run("SET", f"key{number}", "x" * 500, *(("EX", 1000) if number % 2 else ()))
    run.reopen()
    held = run.executor.store.cache
    for number in range(100):
        run("SET", f"key{number}", "y" * 500)
    assert held.statistics().small + held.statistics().main == 100
    assert held.used == sum(value.weight for value in run.executor.store.databases[0].objects.values())
    assert [run("TTL", f"key{number}") for number in range(100)] == [-1] * 100
    assert run("GET", "key7") == b"y" * 500
    assert list(held.verify()) == []
    assert run.findings() == []
    run.close()


def test_the_dead_count_until_their_turn_has_come(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store", maxmemory="1mb")
    held = run.executor.store.cache
    most = 0
    for number in range(20_000):
        run("SET", f"key{number % 10}", "x" * 1000)
        run("DEL", f"key{number % 10}")
        with run.executor.store.lock:
            # The keeper sweeps, too.
            queued = held.statistics().small + held.statistics().main
            assert queued * 360 <= held.used
        most = max(most, queued)
        if number % 500 == 0:
            run.checkpoint()
    assert most > 100
    assert held.used <= held.budget
    assert list(held.verify()) == []
    run.close()


def test_what_few_dead_held_comes_back_where_nothing_else_happens(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    store = run.executor.store
    for number in range(30):
        run("SET", f"key{number}", "x" * 60_000)
    run("FLUSHALL")
    while len(store.graves):
        store.graves.work(100)
    with store.lock:
        while store.cache.dead:
            store.cache.sweep(10)
    assert store.cache.used < 60_000
    assert list(store.cache.verify()) == []
    run.close()


@pytest.mark.parametrize("kind", ["list", "set", "hash", "zset", "stream", "string"])
def test_what_changes_in_every_tick_gives_up_what_the_engine_has(tmp_path: Path, kind: str) -> None:
    """It is pinned all the time, and each may take half of the cache: many would fill it several times over."""
    run = Runner(tmp_path / "store", maxmemory="4mb")
    held = run.executor.store.cache
    words: dict[str, Callable[[int, int], list[Any]]] = {
        "list": lambda number, turn: ["RPUSH", number, *["x" * 100] * 30],
        "set": lambda number, turn: ["SADD", number, *[f"{turn} {each}" for each in range(30)]],
        "hash": lambda number, turn: ["HSET", number, *[word for each in range(30) for word in (f"{turn} {each}", "x" * 50)]],
        "zset": lambda number, turn: ["ZADD", number, *[word for each in range(30) for word in (each, f"{turn} {each}")]],
        "stream": lambda number, turn: ["XADD", number, "*", "field", "x" * 3000],
        "string": lambda number, turn: ["APPEND", number, "x" * 5000],
    }
    most = 0
    for turn in range(240):
        run.batch([words[kind](number, turn) for number in range(20)])
        if turn % 20 == 19:
            run.checkpoint()
        elif turn % 20 == 10:
            most = max(most, held.used)
    assert most < 2 * held.budget
    assert list(held.verify()) == []
    assert run.findings() == []
    counts = {"list": "LLEN", "set": "SCARD", "hash": "HLEN", "zset": "ZCARD", "stream": "XLEN", "string": "STRLEN"}
    expected = {"stream": 240, "string": 240 * 5000}.get(kind, 240 * 30)
    assert [run(counts[kind], number) for number in range(20)] == [expected] * 20
    run.close()


@pytest.mark.parametrize(
    ("fill", "empty"),
    [
        (["SADD", "key", *range(100)], ["SREM", "key", *range(100)]),
        (["HSET", "key", *range(100)], ["HDEL", "key", *range(0, 100, 2)]),
        (["ZADD", "key", *range(100)], ["ZPOPMIN", "key", 50]),
    ],
)
def test_what_was_emptied_takes_no_more_memory_than_it_weighs(run: Runner, fill: list[Any], empty: list[Any]) -> None:
    """It stands in the cache's queue until its turn has come."""
    run(*fill)
    run("ZRANGE", "key", 0, -1)
    value: Any = run.executor.store.databases[0].objects[b"key"]
    run(*empty)
    assert not run("EXISTS", "key")
    assert sys.getsizeof(value.resident) == sys.getsizeof({})
    assert getattr(value, "index", None) is None
