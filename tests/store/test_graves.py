"""What is dead is freed, whoever still names it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from diskkv.replies import POSTPONED
from diskkv.store import graves
from diskkv.store.backlog import FULLER, SLACK
from diskkv.types.hashes import Hash
from diskkv.types.lists import List
from diskkv.types.sets import Set
from diskkv.types.strings import String
from diskkv.types.zsets import ZSet
from tests.support.runner import Runner


@pytest.mark.parametrize("plenty", [0, graves.PLENTY])
@pytest.mark.parametrize("end", ["FLUSHALL", "FLUSHDB", "DEL"])
def test_large_values_are_freed_whichever_way_they_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, plenty: int) -> None:
    monkeypatch.setattr(graves, "PLENTY", plenty)
    run = Runner(tmp_path / "store")
    store = run.executor.store
    values = []
    for _ in range(5):
        run("RPUSH", "key", *range(5000))
        value = store.databases[0].objects[b"key"]
        assert isinstance(value, List)
        values.append(value)
        run(end, *(("key",) if end == "DEL" else ()))
    patience = time.monotonic() + 20
    while any(len(value.resident) for value in values) and time.monotonic() < patience:
        store.keeper.rouse()
        time.sleep(0.001)
    assert [len(value.resident) for value in values] == [0] * 5
    while store.graves and time.monotonic() < patience:
        store.keeper.rouse()
        time.sleep(0.001)
    assert (len(store.graves), store.graves.weight) == (0, 0)
    run.close()


def test_closing_does_not_wait_until_all_is_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of ten million members takes seconds, with rests."""
    run = Runner(tmp_path / "store")
    store = run.executor.store
    closing = threading.Thread(target=store.close)
    rests = 0

    def rest(_: float) -> None:
        nonlocal rests
        rests += 1
        if rests == 1:
            closing.start()
            while not store.keeper._stop:
                time.sleep(0.001)

    monkeypatch.setattr(graves, "PLENTY", 0)
    monkeypatch.setattr(graves, "sleep", rest)
    run("SADD", "key", *range(20_000))
    run("DEL", "key")
    store.keeper.rouse()
    patience = time.monotonic() + 60
    while not store.keeper._stop and time.monotonic() < patience:
        time.sleep(0.001)
    closing.join(60)
    assert (rests, len(store.graves)) == (1, 1)


def test_what_a_large_value_gives_up_weighs_what_it_did(run: Runner) -> None:
    """Else the keeper takes its time, and a client that fills a list is ever further ahead of it."""
    graves = run.executor.store.graves
    for kind, words in (("RPUSH", range(20_000)), ("SADD", range(20_000)), ("HSET", range(40_000)), ("ZADD", range(40_000))):
        run(kind, kind, *words)
        run.checkpoint()
        value = run.executor.store.databases[0].objects[kind.encode()]
        assert isinstance(value, List | Set | Hash | ZSet)
        with run.executor.store.lock:
            before, weight = graves.weight, value.weight
            value._let_go()
            assert value.weight < weight / 10
            assert graves.weight - before > 0.8 * (weight - value.weight)


@pytest.mark.parametrize("small", [False, True])
def test_who_deletes_faster_than_the_keeper_frees_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool) -> None:
    """The keeper does not get the interpreter at all here."""
    monkeypatch.setattr(graves.Graveyard, "work", lambda self, steps: False)
    if small:
        monkeypatch.setattr(graves, "HELP", 0)
    run = Runner(tmp_path / "store", maxmemory="1mb")
    yard = run.executor.store.graves
    for number in range(100):
        run.batch([["SADD", "set", *range(500)], ["SADD", "other", number], ["DEL", "set"]])
        assert yard.weight <= (2 if small else 1) * yard.limit
    assert len(yard) + yard.freed == 100
    assert yard.weight > 0.5 * yard.limit
    run.close()


def test_small_elements_do_not_fill_the_memory_before_the_engine_has_them(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store", maxmemory="4mb")
    cache, writer, store = run.executor.store.cache, run.executor.store.writer, run.executor.store
    most = 0
    for _ in range(400):
        while run("RPUSH", "list", *["x"] * 500) is POSTPONED:
            with store.lock:
                writer.finish()
        most = max(most, cache.used)
    assert run("LLEN", "list") == 200_000
    assert most < max(FULLER * cache.budget, cache.budget + SLACK) + cache.budget / 4
    run.close()


def test_a_large_string_that_dies_before_the_engine_has_it_leaves_nothing(run: Runner) -> None:
    store = run.executor.store
    run("SET", "key", "x" * 1_000_000)
    value = store.databases[0].objects[b"key"]
    assert isinstance(value, String)
    run("DEL", "key")
    patience = time.monotonic() + 20
    while store.graves and time.monotonic() < patience:
        store.keeper.rouse()
        time.sleep(0.001)
    assert not value.more.pieces and not value.more.touched
