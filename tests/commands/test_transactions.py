"""MULTI, EXEC, DISCARD, WATCH, UNWATCH."""

from __future__ import annotations

import random

from diskkv.errors import CommandError
from diskkv.replies import NIL_ARRAY, OK, QUEUED
from diskkv.resp.encode import encode
from tests.support.oracle import plain, start
from tests.support.runner import Runner


def text(reply: object) -> str:
    assert isinstance(reply, CommandError)
    return reply.line().decode()


def test_what_is_queued_runs_at_exec(run: Runner) -> None:
    assert run("MULTI") == OK
    assert run("SET", "a", 1) == QUEUED
    assert run("INCR", "a") == QUEUED
    assert run("EXISTS", "a", session=run.executor.open_session()) == 0
    assert run("EXEC") == [OK, 2]
    assert run("GET", "a") == b"2"


def test_misuse_is_an_error_and_does_not_end_the_transaction(run: Runner) -> None:
    assert text(run("EXEC")) == "ERR EXEC without MULTI"
    assert text(run("DISCARD")) == "ERR DISCARD without MULTI"
    run("MULTI")
    assert text(run("MULTI")) == "ERR MULTI calls can not be nested"
    assert text(run("WATCH", "a")) == "ERR WATCH inside MULTI is not allowed"
    assert run("SET", "a", 1) == QUEUED
    assert run("EXEC") == [OK]


def test_a_command_that_cannot_be_queued_aborts(run: Runner) -> None:
    run("MULTI")
    assert text(run("NONESUCH")).startswith("ERR unknown command 'NONESUCH'")
    assert run("SET", "a", 1) == QUEUED
    assert text(run("EXEC")) == "EXECABORT Transaction discarded because of previous errors."
    assert run("EXISTS", "a") == 0
    assert text(run("EXEC")) == "ERR EXEC without MULTI"


def test_an_error_in_between_stops_nothing(run: Runner) -> None:
    run("SET", "text", "x")
    run("MULTI")
    run("INCR", "text")
    run("SET", "a", 1)
    first, second = run("EXEC")
    assert text(first) == "ERR value is not an integer or out of range"
    assert second == OK


def test_a_touched_watched_key_makes_exec_do_nothing(run: Runner) -> None:
    other = run.executor.open_session()
    for touch in (["SET", "w", 2], ["DEL", "w"], ["FLUSHALL"], ["RENAME", "w", "v"], ["RENAME", "x", "w"], ["PEXPIRE", "w", 10_000]):
        run("SET", "w", 1)
        run("SET", "x", 1)
        assert run("WATCH", "w") == OK
        run(*touch, session=other)
        run("MULTI")
        run("SET", "done", 1)
        assert run("EXEC") is NIL_ARRAY, touch
        assert run("EXISTS", "done") == 0
        run("MULTI")
        assert run("EXEC") == []


def test_what_does_not_touch_a_watched_key_lets_exec_run(run: Runner) -> None:
    other = run.executor.open_session()
    run("SET", "w", 1)
    for harmless in (["GET", "w"], ["DEL", "missing"], ["PERSIST", "w"], ["SETNX", "w", 2]):
        run("WATCH", "w", "missing")
        run(*harmless, session=other)
        run("MULTI")
        assert run("EXEC") == [], harmless
    run("WATCH", "w")
    run("SET", "w", 2, session=other)
    run("UNWATCH")
    run("MULTI")
    assert run("EXEC") == []
    assert run.executor.store.databases[0].watched == {}


def test_a_watched_key_that_expires_counts_as_touched(run: Runner) -> None:
    run("SET", "w", 1, "PX", 10)
    run("WATCH", "w")
    run.clock.advance(10)
    run("MULTI")
    assert run("EXEC") is NIL_ARRAY
    run("WATCH", "w")
    run("MULTI")
    assert run("EXEC") == []


def test_watched_keys_belong_to_the_database_number(run: Runner) -> None:
    other = run.executor.open_session()
    run("SET", "k", 1)
    run("WATCH", "k")
    run("SWAPDB", 0, 1, session=other)
    run("WATCH", "k", session=other)
    run("MULTI")
    assert run("EXEC") is NIL_ARRAY
    run.executor.close_session(other)
    assert all(db.watched == {} for db in run.executor.store.databases)


def test_a_transaction_is_replayed(run: Runner) -> None:
    run("MULTI")
    run("SET", "a", 1)
    run("SELECT", 1)
    run("SET", "b", 2)
    run("EXEC")
    assert run("GET", "b") == b"2"
    before = [db.count for db in run.executor.store.databases]
    run.reopen()
    assert [db.count for db in run.executor.store.databases] == before
    assert run("GET", "a") == b"1"


class Counted(bytes):
    """A key that knows how often keys like it were compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return bytes.__eq__(self, other)

    __hash__ = bytes.__hash__


def test_many_keys_are_watched_without_comparing_each_with_each(run: Runner) -> None:
    run("WATCH", *(Counted(b"k%d" % number) for number in range(2000)))
    run("WATCH", *(Counted(b"k%d" % number) for number in range(2000)))
    assert Counted.compared < 20_000
    assert len(run.session.watching) == 2000
    run("UNWATCH")
    assert not run.session.db.watched


def test_random_transactions_answer_as_redis(run: Runner) -> None:
    oracle = start()
    rng = random.Random(3)
    choices = [
        ["MULTI"], ["EXEC"], ["DISCARD"], ["WATCH", "a"], ["WATCH"], ["UNWATCH"], ["SET", "a", 1], ["INCR", "a"], ["GET", "a"], ["GET"],
        ["APPEND", "b", "x"], ["MULTI", "x"], ["ECHO", "x"], ["SELECT", "1"], ["SELECT", "0"], ["SELECT", "99"], ["nonesuch", "x"],
    ]  # fmt: skip
    try:
        for _ in range(1500):
            argv = rng.choice(choices)
            assert plain(run(*argv)) == oracle.run(*argv), argv
    finally:
        oracle.close()


def test_what_a_transaction_answers_before_its_hello_is_in_the_old_protocol(run: Runner) -> None:
    run("SADD", "set", "a")
    run("ZADD", "zset", 1, "a")
    old = {2: b"$1\r\n1\r\n*1\r\n$1\r\na\r\n$-1\r\n", 3: b",1\r\n~1\r\n$1\r\na\r\n_\r\n"}
    for before, after in ((2, 3), (3, 2)):
        run("HELLO", before)
        run("MULTI")
        for line in ("ZSCORE zset a", "SMEMBERS set", "GET nokey", f"HELLO {after}", "ZSCORE zset a", "SMEMBERS set", "GET nokey"):
            run(*line.split())
        reply = encode(run("EXEC"), after)
        assert reply.startswith(b"*7\r\n" + old[before])
        assert reply.endswith(old[after])
