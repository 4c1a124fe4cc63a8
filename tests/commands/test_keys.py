"""Keys of any type: names, expiry, walking, databases."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.dispatch.cursors import Cursors
from diskkv.errors import CommandError
from diskkv.lib.multibulk import encode_command
from diskkv.replies import OK, Simple
from tests.support.oracle import Oracle, plain, start
from tests.support.runner import Runner

START = 1_700_000_000_000


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    oracle = start()
    yield oracle
    oracle.close()


def text(reply: object) -> str:
    assert isinstance(reply, CommandError), reply
    return reply.line().decode()


def logged(run: Runner, *argv: Any) -> bytes:
    """What a command adds to the log."""
    words = [str(word).encode() for word in argv]
    with run.executor.store.lock:
        run.executor.begin()
        run.executor.execute(run.session, words)
        parts = b"".join(part if isinstance(part, bytes) else encode_command(part) for part in run.executor.store.log.parts)
        run.executor.store.commit()
    return b" ".join(part for part in parts.split(b"\r\n") if part[:1] not in (b"*", b"$") and part)


def test_rename_keeps_expiry_and_replaces(run: Runner) -> None:
    run("SET", "a", 1, "PX", 5000)
    run("SET", "b", 2)
    assert run("RENAME", "a", "a") == OK
    assert run("RENAME", "a", "b") == OK
    assert run("PTTL", "b") == 5000
    assert run("EXISTS", "a") == 0
    assert run("DBSIZE") == 1
    assert text(run("RENAME", "a", "a")) == "ERR no such key"
    assert text(run("RENAMENX", "a", "b")) == "ERR no such key"
    assert run("RENAMENX", "b", "b") == 0
    run("SET", "c", 3)
    assert run("RENAMENX", "b", "c") == 0
    assert run("RENAMENX", "b", "d") == 1
    run.evict()
    assert run("PTTL", "d") == 5000
    run.reopen()
    assert run("PTTL", "d") == 5000
    run.clock.advance(5000)
    assert run("EXISTS", "d") == 0


def test_rename_of_a_large_string_keeps_its_pieces(run: Runner) -> None:
    run("SETRANGE", "large", 300_000, "end")
    run.evict()
    run("RENAME", "large", "other")
    run.evict()
    assert run("GETRANGE", "other", 299_999, -1) == b"\0end"
    assert run("MOVE", "other", 3) == 1
    run.reopen()
    run("SELECT", 3)
    assert run("STRLEN", "other") == 300_003


def test_move_and_copy(run: Runner) -> None:
    run("SET", "a", 1, "PX", 5000)
    assert run("COPY", "a", "b") == 1
    assert run("PTTL", "b") == 5000
    assert run("COPY", "a", "b") == 0
    run("SET", "b", 2)
    assert run("COPY", "a", "b", "REPLACE") == 1
    assert (run("GET", "b"), run("PTTL", "b")) == (b"1", 5000)
    assert run("COPY", "a", "a", "DB", 1) == 1
    assert run("MOVE", "a", 1) == 0
    assert run("MOVE", "b", 1) == 1
    assert text(run("COPY", "a", "a")) == "ERR source and destination objects are the same"
    assert text(run("MOVE", "a", 0)) == "ERR source and destination objects are the same"
    assert run("COPY", "missing", "x", "REPLACE") == 0
    run("SELECT", 1)
    assert (run("DBSIZE"), run("PTTL", "a"), run("PTTL", "b")) == (2, 5000, 5000)
    run.reopen()
    run("SELECT", 1)
    assert (run("DBSIZE"), run("PTTL", "a"), run("PTTL", "b")) == (2, 5000, 5000)


def test_a_copy_of_a_large_string_is_its_own(run: Runner) -> None:
    run("SETRANGE", "a", 200_000, "end")
    run.evict()
    assert run("COPY", "a", "b") == 1
    run("SETRANGE", "b", 0, "begin")
    run.evict()
    assert run("GETRANGE", "a", 0, 4) == b"\0\0\0\0\0"
    assert run("GETRANGE", "b", 0, 4) == b"begin"
    assert run("GETRANGE", "b", 199_999, -1) == b"\0end"


def test_expiry_is_logged_as_a_time_or_as_a_deletion(run: Runner) -> None:
    run("SET", "a", 1)
    assert logged(run, "EXPIRE", "a", 10) == b"PEXPIREAT a %d" % (START + 10_000)
    assert logged(run, "EXPIRE", "a", 5, "GT") == b""
    assert logged(run, "EXPIREAT", "a", START // 1000 + 20, "GT") == b"PEXPIREAT a %d" % (START + 20_000)
    assert logged(run, "PERSIST", "a") == b"PERSIST a"
    assert logged(run, "PEXPIRE", "a", -1) == b"DEL a"
    assert run("EXISTS", "a") == 0


def test_an_expiry_that_has_passed_since_is_replayed_as_it_was(run: Runner) -> None:
    run("SET", "a", 1)
    run("PEXPIRE", "a", 100)
    run("PERSIST", "a")
    run.clock.advance(1000)
    run.reopen()
    assert run("TTL", "a") == -1


def test_conditions_take_keys_without_expiry_for_eternal(run: Runner) -> None:
    run("SET", "a", 1)
    assert run("EXPIRE", "a", 100, "GT") == 0
    assert run("EXPIRE", "a", 100, "XX") == 0
    assert run("EXPIRE", "a", 100, "LT") == 1
    assert run("EXPIRE", "a", 100, "NX") == 0
    assert run("EXPIRE", "a", 100, "GT") == 0
    assert run("EXPIRE", "a", 101, "gt") == 1
    assert run("EXPIRE", "a", 101, "LT") == 0
    assert run("EXPIRE", "a", 100, "XX", "LT") == 1
    assert run("TTL", "a") == 100
    assert run("EXPIRETIME", "a") == START // 1000 + 100


def test_expiry_errors_are_those_of_redis(run: Runner, oracle: Oracle) -> None:
    for words in (
        ["EXPIRE", "a", "x"], ["EXPIRE", "a", 2**63 - 1], ["EXPIRE", "a", -(2**63)], ["EXPIRE", "a", 2**63 // 1000], ["EXPIRE", "a", "1.0"],
        ["PEXPIRE", "a", 2**63 - 1], ["PEXPIRE", "a", -(2**63)], ["EXPIREAT", "a", 2**63 // 1000], ["EXPIREAT", "a", 2**63 // 1000 + 1],
        ["PEXPIREAT", "a", 2**63 - 1], ["PEXPIREAT", "a", 2**63], ["EXPIRE", "a", 1, "NX", "XX"], ["EXPIRE", "a", 1, "GT", "LT"],
        ["EXPIRE", "a", 1, "NX", "GT"], ["EXPIRE", "a", 1, "XX", "GT"], ["EXPIRE", "a", "x", "foo"], ["EXPIRE", "a", 1, "NX", "NX"],
        ["EXPIRE", "a", 10, "foo", "NX"], ["TTL"], ["EXPIRE", "a"], ["EXPIREAT", "a", -(2**63) // 1000 - 1],
        ["EXPIREAT", "a", -(2**63) // 1000],
    ):  # fmt: skip
        for setup in (["DEL", "a"], ["SET", "a", 1]):
            run(*setup)
            oracle.run(*setup)
            assert plain(run(*words)) == oracle.run(*words), words
            assert run("EXISTS", "a") == oracle.run("EXISTS", "a"), words


def test_flush_and_swap(run: Runner) -> None:
    for number in (0, 1):
        run("SELECT", number)
        run("SET", f"key{number}", number)
    other = run.executor.open_session()
    assert run("SWAPDB", 0, 1) == OK
    assert run("KEYS", "*") == [b"key0"]
    assert run("KEYS", "*", session=other) == [b"key1"]
    run("SET", "more", 1)
    run.reopen()
    assert run("KEYS", "*") == [b"key1"]
    run("SELECT", 1)
    assert run("KEYS", "*") == [b"key0", b"more"]
    assert run("FLUSHDB", "ASYNC") == OK
    assert run("DBSIZE") == 0
    run("SELECT", 0)
    assert run("DBSIZE") == 1
    assert text(run("FLUSHALL", "NOW")) == "ERR syntax error"
    assert run("FLUSHALL") == OK
    run.reopen()
    assert run("DBSIZE") == 0
    assert text(run("SWAPDB", "a", 1)) == "ERR invalid first DB index"
    assert text(run("SWAPDB", 0, "a")) == "ERR invalid second DB index"
    assert text(run("SWAPDB", 0, 99)) == "ERR DB index is out of range"


def test_scan_sees_what_stays_and_nothing_expired(run: Runner) -> None:
    rng = random.Random(1)
    staying = {b"stay:%d" % number for number in range(300)}
    for key in staying:
        run("SET", key, 1)
    for number in range(100):
        run("SET", f"gone:{number}", 1, "PX", 10)
    run.evict()
    for number in range(100, 200):
        run("SET", f"gone:{number}", 1, "PX", 10)
    run.clock.advance(10)
    seen: list[bytes] = []
    cursor = b"0"
    while True:
        cursor, page = run("SCAN", cursor, "COUNT", 7)
        assert len(page) <= 7
        seen += page
        if cursor == b"0":
            break
        # keys come and go around the cursor, the one it stands for too
        run("DEL", f"extra:{rng.randrange(50)}", *[key for key in page[-1:] if key.startswith(b"extra")])
        run("SET", f"extra:{rng.randrange(50)}", 1)
        if rng.random() < 0.1:
            run.evict()
    assert staying <= set(seen)
    assert len(seen) == len(set(seen))
    assert not [key for key in seen if key.startswith(b"gone")]


def test_scan_options(run: Runner) -> None:
    for number in range(20):
        run("SET", f"a:{number:02}", 1)
        run("SET", f"b:{number:02}", 1)
    assert run("SCAN", 0, "MATCH", "b:0?", "COUNT", 100) == [b"0", [b"b:%02d" % number for number in range(10)]]
    cursor, page = run("SCAN", 0, "MATCH", "b:*", "COUNT", 5)
    assert page == [b"b:00", b"b:01", b"b:02", b"b:03", b"b:04"]
    assert run("SCAN", cursor, "MATCH", "a:*", "COUNT", 5) == [b"0", []]
    assert run("SCAN", 0, "TYPE", "STRING", "COUNT", 100)[1] == run("KEYS", "*")
    assert run("SCAN", 0, "TYPE", "list", "COUNT", 100) == [b"0", []]
    assert 0 < int(cursor) < 1 << 63
    run("SET", b"\xff\xffend", 1)
    assert run("SCAN", 0, "MATCH", b"\xff*") == [b"0", [b"\xff\xffend"]]
    assert text(run("SCAN", "x")) == "ERR invalid cursor"
    assert text(run("SCAN", 0, "COUNT", 0)) == "ERR syntax error"
    assert text(run("SCAN", 0, "COUNT", "x")) == "ERR value is not an integer or out of range"
    assert text(run("SCAN", 0, "MATCH")) == "ERR syntax error"
    assert text(run("SCAN", 12345)).startswith("ERR unknown cursor")


def test_the_oldest_cursors_are_forgotten() -> None:
    cursors = Cursors(limit=3)
    numbers = [cursors.number(b"%d" % key) for key in range(4)]
    assert cursors.key(numbers[0]) is None
    assert cursors.number(b"1") == numbers[1]
    cursors.number(b"new")
    assert cursors.key(numbers[1]) == b"1"
    assert cursors.key(numbers[2]) is None


def test_two_keys_never_share_a_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diskkv.dispatch.cursors.BITS", 4)
    cursors = Cursors(limit=10)
    numbers = {cursors.number(b"%d" % key): b"%d" % key for key in range(10)}
    assert len(numbers) == 10
    assert 0 not in numbers
    assert all(cursors.key(number) == key for number, key in numbers.items())


def test_randomkey_and_touch(run: Runner) -> None:
    assert run("RANDOMKEY") is None
    run("MSET", "a", 1, "b", 2)
    assert {run("RANDOMKEY") for _ in range(100)} == {b"a", b"b"}
    assert run("TOUCH", "a", "b", "c", "a") == 3
    assert run("TYPE", "a") == Simple(b"string")
    assert run("TYPE", "c") == Simple(b"none")


def test_object(run: Runner) -> None:
    run("SET", "a", 1)
    assert run("OBJECT", "ENCODING", "a") == b"int"
    assert run("OBJECT", "REFCOUNT", "a") == 1
    assert run("OBJECT", "ENCODING", "missing") is None
    assert run("OBJECT", "IDLETIME", "missing") is None
    run.clock.advance(5500)
    assert run("OBJECT", "IDLETIME", "a") == 5
    assert run("OBJECT", "IDLETIME", "a") == 5
    assert text(run("OBJECT", "FREQ", "a")).startswith("ERR An LFU maxmemory policy is not selected")


NAMES = [b"a", b"b", b"ab", b"abc", b"\xff", b"key:1", b"key:2"]


def random_command(rng: random.Random) -> list[Any]:
    key, other = rng.choice(NAMES), rng.choice(NAMES)
    number = rng.choice([0, 1, 2, 9, 16, -1, "x", 2**40, "1.5"])
    # far from now in both directions, as the oracle has another clock
    when = rng.choice([-100, -1, 0, 10**6, 10**6 + 1, 2 * 10**6, "x"])
    return rng.choice(
        [
            ["SET", key, rng.randrange(100)],
            ["SET", key, rng.randrange(100), "EX", 10**6],
            ["DEL", key, other],
            ["UNLINK", key],
            ["EXISTS", key, other, key],
            ["TYPE", key],
            ["EXPIRE", key, when, *rng.choice([[], ["NX"], ["XX"], ["GT"], ["LT"], ["XX", "GT"], ["x"]])],
            ["EXPIREAT", key, rng.choice([10, 10**11, 10**11 + 1])],
            ["TTL", key],
            ["EXPIRETIME", key],
            ["PERSIST", key],
            ["RENAME", key, other],
            ["RENAMENX", key, other],
            ["COPY", key, other, *rng.choice([[], ["REPLACE"], ["DB", number], ["DB", number, "replace"], ["x"], ["DB"]])],
            ["MOVE", key, number],
            ["SELECT", number],
            ["TOUCH", key, other],
            ["OBJECT", "ENCODING", key],
            ["OBJECT", "REFCOUNT"],
            ["DBSIZE"],
            ["SWAPDB", rng.randrange(3), number],
            ["GET", key],
            ["WAIT", 0, number if number != 2**40 else 0],
            *([["FLUSHDB"], ["FLUSHALL", "x"]] if rng.random() < 0.2 else []),
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_random_commands_answer_as_redis(tmp_path: Path, oracle: Oracle, seed: int) -> None:
    rng = random.Random(seed)
    run = Runner(tmp_path / "store")
    run.clock.now = int(oracle.run("TIME")[0]) * 1000
    oracle.run("FLUSHALL")
    oracle.run("SELECT", 0)
    run("SELECT", 0)
    for _ in range(1500):
        argv = random_command(rng)
        expected = oracle.run(*argv)
        if argv[0] in ("TTL", "EXPIRETIME") and isinstance(expected, int) and expected > 0:
            assert abs(run(*argv) - expected) <= 60, argv
        else:
            assert plain(run(*argv)) == expected, argv
        roll = rng.random()
        if roll < 0.02:
            run.evict()
        elif roll < 0.03:
            index = run.session.index
            run.reopen()
            run("SELECT", index)
        elif roll < 0.06:
            assert sorted(run("KEYS", "*")) == sorted(oracle.run("KEYS", "*"))
        elif roll < 0.09:
            pattern = rng.choice(["a*", "*b", "key:?", "ab", "[ab]", "\\a*", "?b*"])
            assert sorted(run("KEYS", pattern)) == sorted(oracle.run("KEYS", pattern))
    run.close()


@pytest.mark.parametrize(
    "argv",
    [["RENAME", "a", "q"], ["RENAMENX", "a", "q"], ["COPY", "a", "q"], ["SORT", "a", "BY", "nosort", "STORE", "q"], ["SWAPDB", 0, 1]],
)
def test_whoever_waits_for_a_key_gets_it_however_it_comes(run: Runner, argv: list[Any]) -> None:
    other = run.executor.open_session()
    heard: list[Any] = []
    run("RPUSH", "a", "x", "y")
    run("SELECT", 1)
    run("RPUSH", "q", "x", "y")
    run("SELECT", 0)
    blocked = run("BLPOP", "q", 0, session=other)
    run.executor.waiters.park(other, [b"BLPOP", b"q", b"0"], blocked, heard.append)
    run(*argv)
    assert heard == [[b"q", b"x"]]
    assert other.blocked is None
    assert run("LRANGE", "q", 0, -1) == [b"y"]
    run.reopen()
    assert run("LRANGE", "q", 0, -1) == [b"y"]


def test_a_moved_key_serves_who_waits_in_the_other_database(run: Runner) -> None:
    other = run.executor.open_session()
    run("SELECT", 2, session=other)
    heard: list[Any] = []
    blocked = run("BLPOP", "a", 0, session=other)
    run.executor.waiters.park(other, [b"BLPOP", b"a", b"0"], blocked, heard.append)
    run("RPUSH", "a", "x")
    assert heard == []
    run("MOVE", "a", 2)
    assert heard == [[b"a", b"x"]]
    run.reopen()
    assert run("EXISTS", "a") == 0


def test_a_transaction_serves_who_waits_at_its_end(run: Runner) -> None:
    other = run.executor.open_session()
    heard: list[Any] = []
    run.executor.waiters.park(other, [b"BLPOP", b"q", b"0"], run("BLPOP", "q", 0, session=other), heard.append)
    run("MULTI")
    run("RPUSH", "q", "x")
    run("RPUSH", "q", "y")
    run("LPOP", "q")
    assert run("EXEC") == [1, 2, b"x"]
    assert heard == [[b"q", b"y"]]
    run.reopen()
    assert run("EXISTS", "q") == 0
