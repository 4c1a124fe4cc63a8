"""XREADGROUP CLAIM, of which the oracle knows nothing: as Redis 8.4 documents it and its own tests have it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from diskkv.errors import CommandError
from diskkv.replies import Blocked
from diskkv.types import groups
from tests.support.oracle import plain
from tests.support.runner import Runner


def read(run: Runner, consumer: str, *options: Any, mark: str = ">") -> Any:
    reply = plain(run("XREADGROUP", "GROUP", "g", consumer, *options, "STREAMS", "x", mark))
    return reply[0][1] if reply else reply


def entry(number: int, *more: int) -> list[Any]:
    return [b"%d-0" % number, [b"f", b"v"], *more]


@pytest.fixture
def stream(run: Runner) -> Runner:
    """Entries 1 to 3, which ann was given 100, 60 and 20 ms ago, and 4, which nobody was."""
    run("XGROUP", "CREATE", "x", "g", 0, "MKSTREAM")
    for number in (1, 2, 3):
        run("XADD", "x", number, "f", "v")
        read(run, "ann")
        run.clock.advance(40 if number < 3 else 20)
    run("XADD", "x", 4, "f", "v")
    return run


@pytest.mark.parametrize("store", ["in memory", "evicted", "reopened"])
def test_what_waits_longest_comes_first_and_then_what_is_new(stream: Runner, store: str) -> None:
    stream("XCLAIM", "x", "g", "ann", 0, 2, "IDLE", 500, "JUSTID")
    if store == "evicted":
        stream.evict()
    elif store == "reopened":
        read(stream, "ann", "CLAIM", 10**6, "COUNT", 0, mark="9")
        stream.reopen()
    assert read(stream, "bob", "CLAIM", 50) == [entry(2, 500, 1), entry(1, 100, 1), entry(4, 0, 0)]
    assert [row[:2] + row[3:] for row in stream("XPENDING", "x", "g", "-", "+", 9)] == [
        [b"1-0", b"bob", 2], [b"2-0", b"bob", 2], [b"3-0", b"ann", 1], [b"4-0", b"bob", 1],
    ]  # fmt: skip
    stream.reopen()
    assert read(stream, "bob", "CLAIM", 0) == [entry(3, 20, 1), entry(1, 0, 2), entry(2, 0, 2), entry(4, 0, 1)]


def test_count_and_noack(stream: Runner) -> None:
    assert read(stream, "bob", "COUNT", 2, "CLAIM", 50) == [entry(1, 100, 1), entry(2, 60, 1)]
    assert read(stream, "bob", "COUNT", 2, "CLAIM", 20) == [entry(3, 20, 1), entry(4, 0, 0)]
    stream("XADD", "x", 5, "f", "v")
    stream.clock.advance(30)
    # What was pending stays so; what is new is not.
    assert read(stream, "bob", "CLAIM", 30, "NOACK") == [entry(number, 30, times) for number, times in ((1, 2), (2, 2), (3, 2), (4, 1))] + [
        entry(5, 0, 0)
    ]
    assert stream("XPENDING", "x", "g")[0] == 4


def test_what_is_gone_is_passed_over_and_what_is_acknowledged_does_not_come(stream: Runner) -> None:
    stream("XDEL", "x", 1)
    stream("XACK", "x", "g", 2)
    assert read(stream, "bob", "CLAIM", 0) == [entry(3, 20, 1), entry(4, 0, 0)]
    stream("XGROUP", "DELCONSUMER", "x", "g", "bob")
    assert read(stream, "cid", "CLAIM", 0) is None
    assert [row[0] for row in stream("XPENDING", "x", "g", "-", "+", 9)] == [b"1-0"]


def test_it_means_nothing_for_ones_own_history(stream: Runner) -> None:
    assert read(stream, "ann", "CLAIM", 1000, mark="0") == [entry(1), entry(2), entry(3)]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("XREADGROUP GROUP g c CLAIM x STREAMS x >", "min-idle-time is not an integer"),
        ("XREADGROUP GROUP g c CLAIM -0 STREAMS x >", "min-idle-time is not an integer"),
        ("XREADGROUP GROUP g c CLAIM STREAMS x >", "min-idle-time is not an integer"),
        ("XREADGROUP GROUP g c CLAIM -5 STREAMS x >", "min-idle-time must be a positive integer"),
        ("XREAD CLAIM 5 STREAMS x 0", "The CLAIM option is only supported by XREADGROUP."),
        ("XREADGROUP GROUP none c CLAIM 5 STREAMS x >", "No such key 'x' or consumer group 'none'"),
    ],
)
def test_errors(stream: Runner, words: str, text: str) -> None:
    reply = stream(*words.split())
    assert isinstance(reply, CommandError)
    assert reply.text.startswith(text)


def test_a_client_that_waits_is_due_when_something_has_waited_long_enough(stream: Runner) -> None:
    read(stream, "ann")
    words = [b"XREADGROUP", b"GROUP", b"g", b"bob", b"BLOCK", b"1000", b"CLAIM", b"130", b"STREAMS", b"x", b">"]
    blocked = stream(*words)
    assert isinstance(blocked, Blocked)
    now, executor, told = stream.clock(), stream.executor, []
    with executor.store.lock:
        waiter = executor.waiters.park(stream.session, words, blocked, told.append)
        assert waiter.due == now + 30
        for passed, replies, due in ((10, 0, 20), (20, 1, None)):
            stream.clock.advance(passed)
            executor.begin()
            executor.waiters.time_up(waiter)
            executor.store.commit()
            assert len(told) == replies
            assert due is None or waiter.due == stream.clock() + due
    assert plain(told[0]) == [[b"x", [entry(1, 130, 1)]]]


def test_a_client_that_waits_is_told_when_its_time_is_over(stream: Runner) -> None:
    read(stream, "ann")
    words = [b"XREADGROUP", b"GROUP", b"g", b"bob", b"BLOCK", b"10", b"CLAIM", b"130", b"STREAMS", b"x", b">"]
    executor, told = stream.executor, []
    with executor.store.lock:
        waiter = executor.waiters.park(stream.session, words, stream(*words), told.append)
        stream.clock.advance(10)
        executor.begin()
        executor.waiters.time_up(waiter)
    assert plain(told[0]) is None
    assert executor.waiters.count == 0


def test_many_are_sorted_a_piece_at_a_time(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "SORTED", 10)
    run("XGROUP", "CREATE", "x", "g", 0, "MKSTREAM")
    for number in range(1, 36):
        run("XADD", "x", number, "f", "v")
    read(run, "ann", "COUNT", 30)
    run("XCLAIM", "x", "g", "ann", 0, 25, "IDLE", 99, "JUSTID")
    # The first ten by id are enough for the first who asks; then all are sorted, and what has been given again since comes last.
    assert [each[0] for each in read(run, "bob", "CLAIM", 0, "COUNT", 2)] == [b"1-0", b"2-0"]
    run.clock.advance(5)
    run.reopen()
    assert [each[0] for each in read(run, "bob", "CLAIM", 5, "COUNT", 12)][:3] == [b"1-0", b"2-0", b"3-0"]
    assert run.findings() == []
    assert [each[0] for each in read(run, "bob", "CLAIM", 5, "COUNT", 1)] == [b"25-0"]
    assert run.findings() == []


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_times_survives_anything(run: Runner, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "SORTED", 20)
    rng = random.Random(seed)
    run("XGROUP", "CREATE", "x", "g", 0, "MKSTREAM")
    for step in range(1, 400):
        consumer = rng.choice("abc")
        some = [rng.randrange(max(1, step - 60), step + 1) for _ in range(rng.randrange(1, 5))]
        match rng.randrange(9):
            case 0:
                run("XACK", "x", "g", *some)
            case 1:
                run("XCLAIM", "x", "g", consumer, 0, *some, *rng.choice((("IDLE", rng.randrange(200)), ("FORCE",), ("JUSTID",))))
            case 2:
                rows = {row[0]: row[2] for row in run("XPENDING", "x", "g", "-", "+", 999)}
                told = [each for each in read(run, consumer, "COUNT", 3, "CLAIM", 30) or [] if each[3]]
                assert [each[2] for each in told] == [rows[each[0]] for each in told]
                assert [each[2] for each in told] == sorted((each[2] for each in told), reverse=True)
            case 3 if rng.random() < 0.2:
                run("XGROUP", "DELCONSUMER", "x", "g", consumer)
            case 4 if rng.random() < 0.3:
                run("XGROUP", "SETID", "x", "g", max(0, step - 20))
            case 5:
                read(run, consumer, "COUNT", 2, mark="0")
            case 6 if rng.random() < 0.3:
                rng.choice((run.evict, run.reopen, run.checkpoint))()
                assert run.findings() == []
            case _:
                read(run, consumer, "COUNT", 4)
        run("XADD", "x", step, "f", "v")
        run.clock.advance(rng.randrange(20))
    assert run.findings() == []
    run("XGROUP", "DESTROY", "x", "g")
    assert run.findings() == []


def test_a_client_that_waits_goes_on_until_all_is_sorted(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "SORTED", 10)
    run("XGROUP", "CREATE", "x", "g", 0, "MKSTREAM")
    for number in range(1, 36):
        run("XADD", "x", number, "f", "v")
    read(run, "ann")
    run("XCLAIM", "x", "g", "ann", 0, 33, "IDLE", 99, "JUSTID")
    words = [b"XREADGROUP", b"GROUP", b"g", b"bob", b"BLOCK", b"1000", b"CLAIM", b"90", b"STREAMS", b"x", b">"]
    executor, told = run.executor, []
    with executor.store.lock:
        waiter = executor.waiters.park(run.session, words, run(*words), told.append)
        for _ in range(3):
            assert waiter.due == run.clock() + 1
            run.clock.advance(1)
            executor.begin()
            executor.waiters.time_up(waiter)
            executor.store.commit()
    assert [each[0] for each in plain(told[0])[0][1]] == [b"33-0"]


def test_a_pause_holds_who_waits_too(stream: Runner) -> None:
    read(stream, "ann")
    words = [b"XREADGROUP", b"GROUP", b"g", b"bob", b"BLOCK", b"1000", b"CLAIM", b"130", b"STREAMS", b"x", b">"]
    executor, told = stream.executor, []
    other = executor.open_session()
    with executor.store.lock:
        waiter = executor.waiters.park(stream.session, words, stream(*words), told.append)
        stream("CLIENT", "PAUSE", 500, "WRITE", session=other)
        for passed, replies in ((30, 0), (450, 0), (30, 1)):
            stream.clock.advance(passed)
            executor.begin()
            executor.waiters.time_up(waiter)
            executor.store.commit()
            assert len(told) == replies
