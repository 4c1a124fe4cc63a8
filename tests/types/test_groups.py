"""Consumer groups on disk: what destroying, deleting and reading leave there, and how much of it is looked at."""

from __future__ import annotations

from typing import Any

import pytest

from diskkv.format import CONSUMER, ENTRY, GROUP, OWNED, PENDING, keys
from diskkv.types.groups import Group
from diskkv.types.ledgers import WEIGHT
from diskkv.types.streams import Stream
from tests.support.runner import Runner


def fill(run: Runner, count: int, *, group: str = "g", readers: int = 1) -> None:
    """Entries 1-0 to count-0, all of them given to consumers in turn."""
    run.batch([["XADD", "x", f"{number}-0", "f", "v"] for number in range(1, count + 1)])
    run("XGROUP", "CREATE", "x", group, 0)
    for first in range(0, count, 10):
        run("XREADGROUP", "GROUP", group, f"c{first // 10 % readers}", "COUNT", 10, "STREAMS", "x", ">")


def stream(run: Runner) -> Stream:
    with run.executor.store.lock:
        value = run.executor.store.databases[0].find(b"x")
    assert isinstance(value, Stream)
    return value


def group(run: Runner) -> Group:
    value = stream(run)
    with run.executor.store.lock:
        return value.groups()[b"g"]


def records(run: Runner, kind: bytes) -> int:
    """How many records of a kind the engine has."""
    store = run.executor.store
    prefix = keys.data_prefix(stream(run).oid) + kind
    with store.lock:
        return sum(1 for _ in store.engine.scan_keys(prefix, keys.after(prefix)))


def reclaim(run: Runner) -> None:
    """Have everything deleted that waits for it."""
    run.checkpoint()
    while run.executor.store.writer.reclaimer.pending():
        run.checkpoint()


def test_what_is_acknowledged_before_a_checkpoint_leaves_no_trace(run: Runner) -> None:
    fill(run, 200, readers=2)
    assert run("XACK", "x", "g", *(f"{number}-0" for number in range(1, 200))) == 199
    held = group(run)
    assert (len(held.pending.fresh), len(held)) == (1, 1)
    run.checkpoint()
    assert (records(run, PENDING), records(run, OWNED), records(run, CONSUMER), records(run, GROUP)) == (1, 1, 2, 1)


def test_nothing_is_kept_once_it_is_written(run: Runner) -> None:
    fill(run, 500)
    held = group(run)
    weight = stream(run).weight
    assert len(held.pending.fresh) == 500
    run.checkpoint()
    assert not held.pending.fresh
    assert not held.pending.flying
    assert stream(run).weight <= weight - 2 * 500 * WEIGHT
    assert run("XPENDING", "x", "g")[0] == 500
    assert records(run, PENDING) == records(run, OWNED) == 500


def test_destroying_a_group_costs_the_same_whatever_is_in_it(run: Runner) -> None:
    fill(run, 3000)
    run.checkpoint()
    run("XGROUP", "CREATE", "x", "other", 0)
    run("XREADGROUP", "GROUP", "other", "ann", "COUNT", 5, "STREAMS", "x", ">")
    value = stream(run)
    before = len(value.touched)
    assert run("XGROUP", "DESTROY", "x", "g") == 1
    assert len(value.touched) == before
    assert not value.stirred.keys() - {held.pending for held in value.groups().values()} - {
        consumer.owned for held in value.groups().values() for consumer in held.consumers.values()
    }
    # A group of the same name is another one, and the reclaimer leaves it alone.
    run("XGROUP", "CREATE", "x", "g", 0)
    run("XREADGROUP", "GROUP", "g", "ann", "COUNT", 3, "STREAMS", "x", ">")
    reclaim(run)
    assert (records(run, PENDING), records(run, OWNED), records(run, CONSUMER), records(run, GROUP)) == (8, 8, 2, 2)
    assert records(run, ENTRY) == 3000
    assert run.findings() == []


def test_a_group_destroyed_while_a_checkpoint_is_written(run: Runner) -> None:
    fill(run, 300)
    store = run.executor.store
    with store.lock:
        store.writer.freeze()
    assert run("XGROUP", "DESTROY", "x", "g") == 1
    assert run.findings() == []
    reclaim(run)
    assert records(run, PENDING) == records(run, OWNED) == records(run, CONSUMER) == records(run, GROUP) == 0
    run.reopen()
    assert run("XINFO", "GROUPS", "x") == []
    assert run.findings() == []


def test_a_deleted_stream_leaves_nothing(run: Runner) -> None:
    fill(run, 300)
    run.checkpoint()
    oid = stream(run).oid
    run("DEL", "x")
    run.checkpoint()
    store = run.executor.store
    while store.writer.reclaimer.pending():
        run.checkpoint()
    prefix = keys.data_prefix(oid)
    with store.lock:
        assert not list(store.engine.scan_keys(prefix, keys.after(prefix)))


@pytest.mark.parametrize("words", [["XACK", "x", "g", *range(1, 901)], ["XDEL", "x", *range(1, 901)]])
def test_what_was_acknowledged_in_front_is_not_walked_over(run: Runner, words: list[Any]) -> None:
    fill(run, 1000, readers=3)
    run.evict()
    assert run(*words) == 900
    # The first scan finds where the first one is, and the next change writes it down.
    for count in (1000, 1):
        run("XAUTOCLAIM", "x", "g", "c0", 0, 0, "COUNT", count)
    run.evict()
    held = group(run)
    assert (held.pending.low >> 64, held.pending.high >> 64, len(held)) == (901, 1000, 100)
    assert run("XPENDING", "x", "g")[:3] == [100, b"901-0", b"1000-0"]
    run.reopen()
    assert group(run).pending.low >> 64 >= 900


def test_a_consumer_is_deleted_with_what_it_owns(run: Runner) -> None:
    fill(run, 1500, readers=3)
    run.evict()
    assert run("XGROUP", "DELCONSUMER", "x", "g", "c1") == 500
    assert [row[0] for row in run("XPENDING", "x", "g", "-", "+", 12)] == [b"%d-0" % number for number in (*range(1, 11), 21, 22)]
    assert run.findings() == []
    run("XGROUP", "CREATECONSUMER", "x", "g", "c1")
    run.reopen()
    assert {row[b"name"]: row[b"pending"] for row in run("XINFO", "CONSUMERS", "x", "g")} == {b"c0": 500, b"c1": 0, b"c2": 500}


def test_when_consumers_were_seen_survives_eviction_but_is_no_change(run: Runner) -> None:
    """Asking in vain is not logged and touches no watcher, as in Redis; yet an evicted stream knows when it was."""
    fill(run, 10)
    run.checkpoint()
    other = run.executor.open_session()
    run("WATCH", "x", session=other)
    written = run.executor.store.log.written
    run.clock.now += 5000
    run("XREADGROUP", "GROUP", "g", "c0", "STREAMS", "x", ">")
    run("XACK", "x", "g", "1-0")
    assert run.executor.store.log.written > written
    run.clock.now += 100
    run.evict()
    assert run("XINFO", "CONSUMERS", "x", "g")[0] == {b"name": b"c0", b"pending": 9, b"idle": 100, b"inactive": 5100}
    run.batch([["MULTI"], ["PING"], ["EXEC"]], session=other)
    assert run("XADD", "x", "11-0", "f", "v") == b"11-0"


def test_watchers_of_a_stream_are_told_of_entries_not_of_groups(run: Runner) -> None:
    fill(run, 10)
    for words, touched in (
        (["XACK", "x", "g", "1-0"], False),
        (["XGROUP", "CREATE", "x", "h", "0"], False),
        (["XREADGROUP", "GROUP", "h", "ann", "STREAMS", "x", ">"], False),
        (["XGROUP", "DESTROY", "x", "h"], False),
        (["XSETID", "x", "11-0"], False),
        (["XDEL", "x", "1-0"], True),
        (["XADD", "x", "12-0", "f", "v"], True),
    ):
        other = run.executor.open_session()
        run("WATCH", "x", session=other)
        run(*words)
        reply = run.batch([["MULTI"], ["PING"], ["EXEC"]], session=other)[-1]
        assert (reply.__class__ is not list) == touched, words
