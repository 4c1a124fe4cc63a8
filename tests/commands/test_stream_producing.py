"""IDMP of XADD, XCFGSET and XIDMPRECORD, of which the oracle knows nothing: as Redis 8.6 documents them and its source has them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from diskkv.errors import CommandError, NotInteger, WrongType
from diskkv.lib.digests import digest_entry
from diskkv.types.streams import Stream
from tests.support.oracle import plain
from tests.support.runner import Runner
from tests.support.whereabouts import HOW, settle

FIELDS = (b"idmp-duration", b"idmp-maxsize", b"pids-tracked", b"iids-tracked", b"iids-added", b"iids-duplicates")


def told(run: Runner, key: str = "x") -> list[int]:
    """What XINFO STREAM says: for how long, how many at most, and how many producers, messages, additions and repetitions there are."""
    info = run("XINFO", "STREAM", key)
    assert list(info)[7:13] == list(FIELDS)
    assert [run("XINFO", "STREAM", key, "FULL")[field] for field in FIELDS] == [info[field] for field in FIELDS]
    return [info[field] for field in FIELDS]


def send(run: Runner, producer: str, message: str, *items: str, key: str = "x") -> bytes:
    reply = run("XADD", key, "IDMP", producer, message, "*", *(items or ("f", "v")))
    assert isinstance(reply, bytes), reply
    return reply


@HOW
def test_a_message_is_added_once(run: Runner, how: str) -> None:
    first = send(run, "ann", "m1")
    run.clock.advance(5)
    settle(run, how)
    assert send(run, "ann", "m1", "other", "fields") == first
    second = send(run, "ann", "m2")
    assert second > first
    # Another producer's is another one, also where both names together are the same.
    assert len({send(run, "bob", "m1"), send(run, "an", "nm1"), send(run, "annm", "1"), first}) == 4
    settle(run, how)
    assert send(run, "ann", "m1") == first
    assert run("XLEN", "x") == 5
    assert told(run) == [100, 100, 4, 5, 5, 2]
    assert run("XADD", "x", "*", "f", "v") not in (first, second)


@HOW
def test_a_message_may_be_known_by_its_content(run: Runner, how: str) -> None:
    first = run("XADD", "x", "IDMPAUTO", "ann", "*", "a", 1, "b", 2)
    settle(run, how)
    run.clock.advance(1)
    # The order of the fields is none of its content.
    assert run("XADD", "x", "IDMPAUTO", "ann", "MAXLEN", 1, "*", "b", 2, "a", 1) == first
    others = [("a", 2, "b", 1), ("a", 1), ("a", 1, "b", 2, "b", 2), ("a1", "", "b", 2), ("a", "1b", "", 2)]
    assert len({run("XADD", "x", "IDMPAUTO", "ann", "*", *items) for items in others}) == len(others)
    assert run("XLEN", "x") == 1 + len(others)
    assert told(run)[3:] == [6, 6, 1]


def test_the_name_by_content_is_redis_own() -> None:
    """XXH3 of each field, its length in 8 bytes, and its value; sums and sieves of the halves, the others' turned by one bit."""
    from xxhash import xxh3_128_intdigest as digest

    mask = (1 << 64) - 1
    one, two = digest(b"f\x01\0\0\0\0\0\0\0v"), digest(b"gg\x02\0\0\0\0\0\0\0")
    low = (one & mask) + (two & mask) & mask
    high = (one >> 64) + (two >> 64) & mask
    low_sieve, high_sieve = (one ^ two) & mask, (one ^ two) >> 64
    turned = [(sieve << 1 | sieve >> 63) & mask for sieve in (high_sieve, low_sieve)]
    expected = (low ^ turned[0]).to_bytes(8, "little") + (high ^ turned[1]).to_bytes(8, "little")
    assert digest_entry((b"f", b"v", b"gg", b"")) == expected


@HOW
def test_a_message_is_forgotten_after_its_time(run: Runner, how: str) -> None:
    assert send(run, "ann", "m1")
    run("XCFGSET", "x", "IDMP-DURATION", 2)
    first = send(run, "ann", "m1")
    run.clock.advance(1000)
    second = send(run, "ann", "m2")
    settle(run, how)
    run.clock.advance(999)
    assert send(run, "ann", "m1") == first
    run.clock.advance(1)
    assert told(run) == [2, 100, 1, 1, 3, 1]
    assert send(run, "ann", "m1") != first
    assert send(run, "ann", "m2") == second
    settle(run, how)
    run.clock.advance(2000)
    assert told(run)[2:4] == [0, 0]
    assert send(run, "bob", "m1")
    assert told(run)[2:4] == [1, 1]


@HOW
def test_only_so_many_of_each_producer_are_known(run: Runner, how: str) -> None:
    run("XADD", "x", "*", "f", "v")
    run("XCFGSET", "x", "IDMP-MAXSIZE", 3)
    ids = [send(run, "ann", f"m{number}") for number in range(5)]
    other = send(run, "bob", "m0")
    settle(run, how)
    assert told(run)[1:4] == [3, 2, 4]
    assert [send(run, "ann", f"m{number}") for number in (2, 3, 4)] == ids[2:]
    assert send(run, "ann", "m0") not in ids
    assert send(run, "ann", "m2") != ids[2]
    assert send(run, "bob", "m0") == other


@HOW
def test_other_limits_forget_all_and_the_same_nothing(run: Runner, how: str) -> None:
    first = send(run, "ann", "m1")
    send(run, "ann", "m1")
    settle(run, how)
    for options in (("IDMP-DURATION", 100), ("IDMP-MAXSIZE", 100), ("IDMP-MAXSIZE", 100, "IDMP-DURATION", 100)):
        assert plain(run("XCFGSET", "x", *options)) == b"OK"
        assert send(run, "ann", "m1") == first
    assert plain(run("XCFGSET", "x", "IDMP-DURATION", 86400, "IDMP-MAXSIZE", 10_000)) == b"OK"
    settle(run, how)
    assert told(run) == [86400, 10_000, 0, 0, 1, 4]
    assert send(run, "ann", "m1") != first
    # What was forgotten takes no room either.
    run.checkpoint()
    while run.executor.store.writer.reclaimer.pending():
        run.checkpoint()
    assert run.findings() == []


def test_settings_are_those_of_streams_that_begin_to_remember(run: Runner) -> None:
    run("CONFIG", "SET", "stream-idmp-duration", 7, "stream-idmp-maxsize", 8)
    send(run, "ann", "m1")
    run("CONFIG", "SET", "stream-idmp-duration", 9, "stream-idmp-maxsize", 10)
    run("XADD", "y", "*", "f", "v")
    run("XCFGSET", "y", "IDMP-MAXSIZE", 11)
    assert (told(run)[:2], told(run, "y")[:2]) == ([7, 8], [9, 11])


def test_a_stream_that_remembers_nothing_is_as_it_was(run: Runner) -> None:
    run("XADD", "x", "*", "f", "v")
    assert not set(FIELDS) & set(run("XINFO", "STREAM", "x"))
    with run.executor.store.lock:
        value = run.executor.store.databases[0].find(b"x")
    assert isinstance(value, Stream)
    assert (value.oid, len(value.extras())) == (0, 56)


@pytest.mark.parametrize("written", [False, True])
def test_the_log_says_what_is_known(run: Runner, tmp_path: Path, written: bool) -> None:
    run("CONFIG", "SET", "stream-idmp-maxsize", 4)
    ids = [send(run, "ann", f"m{number}") for number in range(6)]
    if written:
        run.checkpoint()
    ids.append(run("XADD", "x", "NOMKSTREAM", "IDMPAUTO", "bob", "*", "f", "v"))
    assert send(run, "ann", "m5") == ids[5]
    run.clock.advance(100_000)
    again = send(run, "ann", "m5")
    run("XGROUP", "CREATE", "x", "g", "$")
    ids.append(run("XADD", "x", "ACKED", "IDMP", "cid", "m", "MAXLEN", 100, "*", "f", "v"))
    shutil.copytree(run.path, tmp_path / "killed")
    killed = Runner(tmp_path / "killed", clock=run.clock)
    assert killed("XRANGE", "x", "-", "+") == run("XRANGE", "x", "-", "+")
    assert told(killed) == told(run) == [100, 4, 2, 2, 9, 1]
    for each in (run, killed):
        assert send(each, "ann", "m5") == again
        assert each("XADD", "x", "IDMP", "cid", "m", "*", "f", "v") == ids[7]
        assert each("XADD", "x", "IDMP", "ann", "m4", "*", "f", "v") not in ids
    assert killed.findings() == []
    killed.close()


@HOW
def test_messages_can_be_recorded(run: Runner, how: str) -> None:
    for number in (1, 2):
        run("XADD", "x", number, "f", "v")
    assert plain(run("XIDMPRECORD", "x", "ann", "m1", "1-0")) == b"OK"
    settle(run, how)
    # They are as old as their entries.
    assert told(run)[2:] == [0, 0, 1, 0]
    now = run("XADD", "x", "*", "f", "v")
    assert plain(run("XIDMPRECORD", "x", "ann", "m2", now)) == b"OK"
    settle(run, how)
    assert plain(run("XIDMPRECORD", "x", "ann", "m2", now)) == b"OK"
    assert send(run, "ann", "m2") == now
    for words, error in (
        (("x", "ann", "m2", "2-0"), "IID already exists for this producer with a different stream ID"),
        (("x", "ann", "m3", "3-0"), "No such message in stream"),
        (("x", "", "m", "1-0"), "producer ID must be non-empty"),
        (("x", "ann", "", "1-0"), "idempotent ID must be non-empty"),
        (("x", "", "", "nope"), "Invalid stream ID specified as stream command argument"),
        (("none", "ann", "m", "1-0"), "no such key"),
    ):
        reply = run("XIDMPRECORD", *words)
        assert isinstance(reply, CommandError), words
        assert reply.text == error
    run("SET", "s", 1)
    assert isinstance(run("XIDMPRECORD", "s", "ann", "m", "1-0"), WrongType)


@HOW
def test_copies_and_dumps_know_the_same(run: Runner, how: str) -> None:
    ids = [send(run, producer, f"m{number}") for producer in ("ann", "bob") for number in range(3)]
    send(run, "bob", "m2")
    settle(run, how)
    assert run("COPY", "x", "copy") == 1
    assert run("RENAME", "x", "y") is not None
    assert plain(run("RESTORE", "dumped", 0, run("DUMP", "y"))) == b"OK"
    settle(run, how)
    for key in ("copy", "y", "dumped"):
        assert told(run, key) == [100, 100, 2, 6, 6, 1]
        assert [send(run, producer, f"m{number}", key=key) for producer in ("ann", "bob") for number in range(3)] == ids


def test_many_producers_and_messages_are_not_in_memory(run: Runner) -> None:
    """What is known takes memory only until it is written; of producers nobody hears of any more nothing stays."""
    run("XADD", "x", "*", "f", "v")
    run("XCFGSET", "x", "IDMP-DURATION", 10, "IDMP-MAXSIZE", 10_000)
    long = "m" * 5000
    run.batch([["XADD", "x", "MAXLEN", 5, "IDMP", f"p{number % 10}", f"{number}{long}", "*", "f", "v"] for number in range(1000)])
    with run.executor.store.lock:
        value = run.executor.store.databases[0].find(b"x")
    assert isinstance(value, Stream)
    assert value.weight > 1000 * len(long)
    run.checkpoint()
    assert value.weight < 100_000
    assert run("XADD", "x", "IDMP", "p3", f"993{long}", "*", "f", "v") is not None
    assert told(run)[2:] == [10, 1000, 1000, 1]
    run.clock.advance(10_001)
    for number in range(12):
        send(run, "new", str(number))
    assert value.production is not None
    assert (value.production.count, value.production.messages.count) == (1, 12)
    run.checkpoint()
    assert run.findings() == []


def test_a_stream_that_goes_takes_all_with_it(run: Runner) -> None:
    for number in range(300):
        send(run, f"p{number % 7}", str(number))
    run.checkpoint()
    run("DEL", "x")
    run.checkpoint()
    while run.executor.store.writer.reclaimer.pending():
        run.checkpoint()
    store = run.executor.store
    with store.lock:
        assert list(store.engine.scan_keys(b"D", b"E")) == []
    send(run, "ann", "m1")
    send(run, "ann", "m1")
    run("FLUSHALL")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("XADD x IDMP p1 * f v", "Invalid stream ID specified as stream command argument"),
        ("XADD x IDMP p1 m1 1-1 f v", "syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs"),
        ("XADD x IDMPAUTO p1 1-* f v", "syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs"),
        ("XADD x IDMP p1 m1 IDMP p2 m2 * f v", "syntax error, IDMP/IDMPAUTO specified multiple times"),
        ("XADD x IDMPAUTO p1 IDMP p2 m2 * f v", "syntax error, IDMP/IDMPAUTO specified multiple times"),
        ("XADD x IDMPAUTO  * f v", "syntax error, IDMPAUTO requires a non-empty producer ID"),
        ("XADD x IDMP  m1 * f v", "syntax error, IDMP requires a non-empty producer ID"),
        ("XADD x IDMP p1  * f v", "syntax error, IDMP requires a non-empty idempotent ID"),
        ("XADD x IDMP p1 m1 * f", "wrong number of arguments for 'xadd' command"),
        ("XTRIM x IDMPAUTO p MAXLEN 1", "syntax error"),
        ("XCFGSET x", "At least one parameter must be specified"),
        ("XCFGSET none IDMP-DURATION 0", "no such key"),
        ("XCFGSET x IDMP-DURATION 0", "IDMP-DURATION must be between 1 and 86400 seconds"),
        ("XCFGSET x IDMP-DURATION 86401", "IDMP-DURATION must be between 1 and 86400 seconds"),
        ("XCFGSET x IDMP-MAXSIZE 10001", "IDMP-MAXSIZE must be between 1 and 10000 entries"),
        ("XCFGSET x IDMP-MAXSIZE x", NotInteger().text),
        ("XCFGSET x IDMP-MAXSIZE", "syntax error"),
        ("XCFGSET x IDMP-MAXSIZE 5 IDMP-MAXSIZE 6", "IDMP-MAXSIZE specified multiple times"),
        ("XCFGSET x NOPE 5", "syntax error"),
    ],
)
def test_refused(run: Runner, words: str, error: str) -> None:
    run("XADD", "x", "0-1", "f", "v")
    reply = run(*words.split(" "))
    assert isinstance(reply, CommandError)
    assert reply.text == error
    assert run("XLEN", "x") == 1
    assert run("XADD", "none", "NOMKSTREAM", "IDMP", "p", "m", "*", "f", "v") is None


def test_scripts_and_transactions(run: Runner) -> None:
    add = "redis.call('XADD', KEYS[1], 'IDMP', 'p', 'm', '*', 'f', 1)"
    script = f"return {{{add}, {add}}}"
    run("EVAL", script, 1, "x")
    replies = run.batch([["MULTI"], ["XADD", "x", "IDMP", "p", "m", "*", "f", 3], ["EXEC"]])
    run.reopen()
    assert [number for number, _ in run("XRANGE", "x", "-", "+")] == plain(replies[2])
    assert told(run)[4:] == [1, 2]


