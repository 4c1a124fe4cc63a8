"""SORT and SORT_RO."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from diskkv.errors import CommandError
from tests.support.oracle import plain, start
from tests.support.runner import Runner


def test_by_other_keys_and_hash_fields(run: Runner) -> None:
    run("RPUSH", "l", 1, 2, 3)
    run("MSET", "w1", 30, "w2", 10, "w3", 20, "n1", "one", "n2", "two")
    run("HSET", "h1", "f", 9)
    assert run("SORT", "l", "BY", "w*") == [b"2", b"3", b"1"]
    assert run("SORT", "l", "BY", "w*", "GET", "n*", "GET", "#", "GET", "h*->f") == [
        b"two", b"2", None, None, b"3", None, b"one", b"1", b"9",
    ]  # fmt: skip
    assert run("SORT", "l", "BY", "nosort", "DESC") == [b"3", b"2", b"1"]
    assert run("SORT", "l", "BY", "w*", "GET", "n*", "STORE", "out") == 3
    assert run("LRANGE", "out", 0, -1) == [b"two", b"", b"one"]
    assert run("SORT", "missing", "STORE", "out") == 0
    assert run("EXISTS", "out") == 0
    assert isinstance(run("SORT_RO", "l", "STORE", "out"), CommandError)


def test_what_is_stored_is_replayed(run: Runner) -> None:
    run("SADD", "s", *range(300))
    run("SORT", "s", "BY", "x*", "ALPHA", "DESC", "STORE", "out")
    before = run("LRANGE", "out", 0, -1)
    run("SET", "out2", 1, "EX", 100)
    run("SORT", "s", "LIMIT", 5, 3, "STORE", "out2")
    run.reopen()
    assert run("LRANGE", "out", 0, -1) == before
    assert run("LRANGE", "out2", 0, -1) == [b"5", b"6", b"7"]
    assert run("TTL", "out2") == -1


def random_command(rng: random.Random) -> list[Any]:
    options: list[Any] = []
    for _ in range(rng.randrange(4)):
        options += rng.choice(
            [
                ["ASC"], ["desc"], ["ALPHA"], ["ALPHA"], ["BY", "w_*"], ["BY", "h_*->f"], ["BY", "nosort"], ["BY", "w_*->"], ["GET", "#"],
                ["GET", "w_*"], ["GET", "h_*->g"], ["GET", "plain"], ["LIMIT", rng.randrange(-2, 6), rng.randrange(-2, 6)],
                ["LIMIT", 1], ["LIMIT", "x", 1], ["STORE", "out"], ["GET"], ["BY"],
            ]
        )  # fmt: skip
    if rng.random() < 0.1:
        # (not 1e400: the oracle never clears errno, and finds nothing convertible from then on)
        number = rng.choice(["x", "1.5", "", " 7", "7 ", "nan", "inf", "0x10", "-3"])
        return rng.choice([["SET", f"w_{rng.randrange(9)}", number], ["HSET", f"h_{rng.randrange(9)}", "f", number, "g", "text"]])
    if rng.random() < 0.05:
        return ["DEL", rng.choice(["out", "w_1", "w_2", "h_1", "w_3", "w_4", "w_5", "w_6", "w_7", "w_8"])]
    return [rng.choice(["SORT", "SORT", "SORT_RO"]), rng.choice(["list", "words", "set", "zset", "none", "text"]), *options]


@pytest.mark.parametrize("seed", range(2))
def test_random_sorts_answer_as_redis(tmp_path: Path, seed: int) -> None:
    oracle = start()
    run = Runner(tmp_path / "store")
    rng = random.Random(seed)
    try:
        for argv in (
            ["RPUSH", "list", 3, 1, 2, 10, 7, 7], ["RPUSH", "words", "b", "a", "c", "1x", ""], ["SADD", "set", *range(8)],
            ["SET", "text", 1], ["ZADD", "zset", 1, 5, 2, 4, 3, 3, 4, 2],
        ):  # fmt: skip
            run(*argv)
            oracle.run(*argv)
        for number in range(9):
            for argv in (["SET", f"w_{number}", 100 - number * 10], ["HSET", f"h_{number}", "f", number % 3, "g", f"text{number}"]):
                run(*argv)
                oracle.run(*argv)
        for _ in range(2000):
            argv = random_command(rng)
            ours, theirs = plain(run(*argv)), oracle.run(*argv)
            if argv[0].startswith("SORT") and _undefined(argv):
                ours, theirs = _unordered(ours), _unordered(theirs)
            assert ours == theirs, argv
            if "out" in argv and _undefined(argv):
                run("DEL", "out")
                oracle.run("DEL", "out")
            elif "out" in argv:
                assert plain(run("LRANGE", "out", 0, -1)) == oracle.run("LRANGE", "out", 0, -1), argv
            if rng.random() < 0.02:
                run.evict()
    finally:
        oracle.close()
        run.close()


def _undefined(argv: list[Any]) -> bool:
    """Whether Redis' order is left to chance: a set as it lies, and texts of equal weight."""
    by = [str(value) for word, value in pairwise(argv) if word == "BY"] or [""]
    return ("ALPHA" in argv and "*" in "".join(by)) or (argv[1] == "set" and "BY" in argv and not all("*" in pattern for pattern in by))


def _unordered(reply: Any) -> Any:
    return len(reply) if isinstance(reply, list) else reply
