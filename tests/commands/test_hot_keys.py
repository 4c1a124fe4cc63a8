"""HOTKEYS, of which the oracle knows nothing: as Redis 8.6 documents it and its source has it."""

from __future__ import annotations

import random
from itertools import count
from typing import Any

import pytest

from diskkv.errors import CommandError
from diskkv.lib.heavy import HeavyHitters
from diskkv.resp.encode import ENCODERS
from tests.support.oracle import plain
from tests.support.runner import Runner

START = ("HOTKEYS", "START", "METRICS")


def found(run: Runner) -> dict[bytes, Any]:
    reply = run("HOTKEYS", "GET")
    assert isinstance(reply, list)
    assert len(reply) == 1
    told = reply[0]
    assert isinstance(told, dict)
    return told


def weights(run: Runner, name: bytes) -> dict[bytes, int]:
    pairs = found(run)[name]
    assert pairs[1::2] == sorted(pairs[1::2], reverse=True)
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def test_a_collection_from_start_to_reset(run: Runner) -> None:
    assert run("HOTKEYS", "GET") is None
    assert run("HOTKEYS", "STOP") is None
    assert plain(run("HOTKEYS", "RESET")) == b"OK"
    assert plain(run(*START, 2, "cpu", "NET")) == b"OK"
    started = run.clock.now
    assert isinstance(refused := run(*START, 1, "CPU"), CommandError)
    assert refused.text == "hotkey tracking session already in progress"
    run("SET", "a", "x")
    run.clock.advance(50)
    told = found(run)
    assert list(told) == [
        b"tracking-active", b"sample-ratio", b"selected-slots", b"all-commands-all-slots-us", b"net-bytes-all-commands-all-slots",
        b"collection-start-time-unix-ms", b"collection-duration-ms", b"total-cpu-time-user-ms", b"total-cpu-time-sys-ms",
        b"total-net-bytes", b"by-cpu-time-us", b"by-net-bytes",
    ]  # fmt: skip
    assert (told[b"tracking-active"], told[b"sample-ratio"], told[b"selected-slots"]) == (1, 1, [[0, 16383]])
    assert (told[b"collection-start-time-unix-ms"], told[b"collection-duration-ms"]) == (started, 50)
    assert isinstance(run("HOTKEYS", "RESET"), CommandError)
    assert plain(run("HOTKEYS", "STOP")) == b"OK"
    assert run("HOTKEYS", "STOP") is None
    run.clock.advance(50)
    run("SET", "b", "x")
    told = found(run)
    assert (told[b"tracking-active"], told[b"collection-duration-ms"]) == (0, 50)
    assert list(weights(run, b"by-net-bytes")) == [b"a"]
    # Nobody is in the way any more.
    assert run.executor.call == run.executor.call_unobserved
    assert plain(run("HOTKEYS", "RESET")) == b"OK"
    assert run("HOTKEYS", "GET") is None


def test_bytes_are_those_of_request_and_reply(run: Runner) -> None:
    run(*START, 1, "NET")
    run("RPUSH", "list", *range(100))
    asked = [b"LRANGE", b"list", b"0", b"-1"]
    reply = run(*asked)
    push = [b"RPUSH", b"list", *(b"%d" % number for number in range(100))]
    encode = ENCODERS[2]
    size = len(encode[list](push)) + len(b":100\r\n") + len(encode[list](asked)) + len(encode[list](reply))
    assert weights(run, b"by-net-bytes") == {b"list": size}
    assert b"by-cpu-time-us" not in found(run)
    before = found(run)[b"total-net-bytes"]
    run("MSET", "a", "1", "b", "2")
    size = len(encode[list]([b"MSET", b"a", b"1", b"b", b"2"])) + len(b"+OK\r\n")
    # Each of its keys has its share.
    assert [weights(run, b"by-net-bytes")[key] for key in (b"a", b"b")] == [size // 2] * 2
    assert found(run)[b"net-bytes-all-commands-all-slots"] == before + size
    run("PING")
    assert found(run)[b"net-bytes-all-commands-all-slots"] == before + size


def test_time_is_that_of_the_commands(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every look at the clock takes 7 us, and there is one a command.
    monkeypatch.setattr("diskkv.dispatch.executor.perf_ns", count(0, 7000).__next__)
    run(*START, 1, "CPU", "COUNT", 2)
    run.batch([["SET", "a", 1], ["GET", "b"], ["GET", "b"], ["MGET", "b", "a"], ["MGET", "b", "c"], ["GET", "b"]])
    assert weights(run, b"by-cpu-time-us") == {b"b": 3 * 7 + 3 + 3, b"a": 7 + 3}
    assert found(run)[b"all-commands-all-slots-us"] == 6 * 7


def test_scripts_count_for_the_keys_they_were_given_and_transactions_command_by_command(run: Runner) -> None:
    run(*START, 1, "NET")
    run("EVAL", "redis.call('SET', KEYS[1], 1); return redis.call('SET', 'hidden', 1)", 1, "given")
    run.batch([["MULTI"], ["SET", "first", 1], ["GET", "second"], ["EXEC"]])
    assert weights(run, b"by-net-bytes").keys() == {b"given", b"first", b"second"}


def test_it_ends_after_its_time(run: Runner) -> None:
    run(*START, 1, "NET", "DURATION", 2)
    run("SET", "a", 1)
    run.clock.advance(2000)
    run("SET", "b", 1)
    told = found(run)
    assert (told[b"tracking-active"], told[b"collection-duration-ms"]) == (0, 2000)
    assert list(weights(run, b"by-net-bytes")) == [b"a"]
    assert plain(run(*START, 1, "NET")) == b"OK"
    assert found(run)[b"by-net-bytes"] == []


def test_of_many_commands_some_are_sampled(run: Runner) -> None:
    run.executor.store.random.seed(1)
    run(*START, 1, "NET", "SAMPLE", 10)
    run.batch([["SET", "a", 1]] * 2000)
    told = found(run)
    assert told[b"sample-ratio"] == 10
    assert 100 < 2000 * told[b"total-net-bytes"] / told[b"net-bytes-all-commands-all-slots"] < 300


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((), "METRICS parameter is required"),
        (("COUNT", 1), "METRICS parameter is required"),
        (("METRICS",), "METRICS parameter is required"),
        (("METRICS", 0, "CPU"), "METRICS count must be > 0 and <= 2"),
        (("METRICS", 3, "CPU"), "METRICS count must be > 0 and <= 2"),
        (("METRICS", 2, "CPU"), "METRICS count does not match number of metric types provided"),
        (("METRICS", 2, "CPU", "cpu"), "METRICS CPU defined more than once!"),
        (("METRICS", 1, "DISK"), "METRICS no valid metrics passed. Supported: CPU|NET"),
        (("METRICS", 1, "CPU", "COUNT", 65), "COUNT must be between 1 and 64"),
        (("METRICS", 1, "CPU", "DURATION", 0), "DURATION must be between 1 and 1000000"),
        (("METRICS", 1, "CPU", "SAMPLE", 0), "SAMPLE ratio must be positive"),
        (("METRICS", 1, "CPU", "SLOTS", 1, 5), "SLOTS parameter cannot be used in non-cluster mode"),
        (("METRICS", 1, "CPU", "COUNT"), "syntax error"),
        (("METRICS", 1, "CPU", "NET"), "syntax error"),
    ],
)
def test_refused(run: Runner, words: tuple[Any, ...], error: str) -> None:
    reply = run("HOTKEYS", "START", *words)
    assert isinstance(reply, CommandError)
    assert reply.text == error
    assert run("HOTKEYS", "GET") is None


def test_the_heaviest_of_many_keys_are_found_in_few_places() -> None:
    rng = random.Random(5)
    hitters, exact = HeavyHitters(100), dict.fromkeys((b"hot%d" % number for number in range(5)), 0)
    total = 0
    for number in range(20_000):
        weight = rng.randrange(1, 10)
        total += weight
        if number % 4 == 0:
            key = b"hot%d" % rng.randrange(5)
            exact[key] += weight
        else:
            key = b"%d" % rng.randrange(1 << 40)
        hitters.add(key, weight)
    heaviest = hitters.heaviest(5)
    assert {key for key, _ in heaviest} == exact.keys()
    assert all(exact[key] <= weight <= exact[key] + total // 100 for key, weight in heaviest)
