"""The cache keeps its budget without keeping anybody waiting."""

from __future__ import annotations

from pathlib import Path

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
