"""Hashes and sets against Redis: random sequences, with eviction, restarts and checkpoints in between, in two memory budgets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.oracle import Oracle, plain, start
from tests.support.runner import Runner

Words = tuple[Any, ...]


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    server = start()
    yield server
    server.close()


UNORDERED = {"SMEMBERS", "SINTER", "SUNION", "SDIFF", "HKEYS", "HVALS"}
IN_PAIRS = {"HGETALL"}


def comparable(argv: Words, reply: Any) -> Any:
    """A reply without the order that Redis leaves open."""
    name = argv[0]
    if isinstance(reply, list):
        if name in UNORDERED:
            return sorted(reply)
        if name in IN_PAIRS:
            return sorted(zip(reply[::2], reply[1::2], strict=True))
    return reply


def same(run: Runner, oracle: Oracle, argv: Words) -> None:
    want, got = oracle.run(*argv), plain(run(*argv))
    assert comparable(argv, got) == comparable(argv, want), argv


def field(rng: random.Random) -> bytes:
    return b"f%d" % rng.randrange(rng.choice((10, 100, 400)))


def data(rng: random.Random) -> bytes:
    kind = rng.randrange(20)
    if kind == 0:
        return rng.randbytes(rng.randrange(600))
    if kind == 1:
        return b"abc" * rng.randrange(500)
    return b"%d" % rng.randrange(1000)


def hash_command(rng: random.Random) -> Words:
    key = rng.choice(("h1", "h2", "h3", "text"))
    one = field(rng)
    makers: list[Callable[[], Words]] = [
        lambda: ("HSET", key, *(part for _ in range(rng.choice((1, 1, 2, 60))) for part in (field(rng), data(rng)))),
        lambda: ("HMSET", key, one, data(rng)),
        lambda: ("HSETNX", key, one, data(rng)),
        lambda: ("HGET", key, one),
        lambda: ("HMGET", key, one, field(rng), "none"),
        lambda: ("HDEL", key, *(field(rng) for _ in range(rng.choice((1, 3, 100))))),
        lambda: ("HEXISTS", key, one),
        lambda: ("HLEN", key),
        lambda: ("HSTRLEN", key, one),
        lambda: ("HGETALL", key),
        lambda: ("HKEYS", key),
        lambda: ("HVALS", key),
        lambda: ("HINCRBY", key, one, rng.choice((1, -7, "9223372036854775807", "x"))),
        lambda: ("HINCRBYFLOAT", key, one, rng.choice(("0.5", "-3e2", "x", "1e4000", ""))),
        lambda: ("HSCAN", key, rng.choice(("x", "-", "1.0", "18446744073709551616"))) if key != "text" else ("HLEN", key),
    ]
    if rng.random() < 0.01:
        return ("DEL", key) if key != "text" else ("GET", key)
    return rng.choice(makers)()


def member(rng: random.Random) -> bytes:
    if rng.random() < 0.9:
        return b"%d" % rng.randrange(-50, rng.choice((20, 300, 600)))
    return rng.choice((b"a%d", b"long" * 40 + b"%d")) % rng.randrange(30)


def set_command(rng: random.Random) -> Words:
    keys = ("s1", "s2", "s3", "s4", "text")
    key, other = rng.choice(keys[:4] + keys), rng.choice(keys)
    several = [rng.choice(keys[:4]) for _ in range(rng.randrange(1, 4))] + (["text"] if rng.random() < 0.05 else [])
    makers: list[Callable[[], Words]] = [
        lambda: ("SADD", key, *(member(rng) for _ in range(rng.choice((1, 1, 2, 60, 200))))),
        lambda: ("SREM", key, *(member(rng) for _ in range(rng.choice((1, 3, 200))))),
        lambda: ("SMEMBERS", key),
        lambda: ("SISMEMBER", key, member(rng)),
        lambda: ("SMISMEMBER", key, member(rng), member(rng)),
        lambda: ("SCARD", key),
        lambda: ("SMOVE", key, other, member(rng)),
        lambda: ("SINTER", *several),
        lambda: ("SUNION", *several),
        lambda: ("SDIFF", *several),
        lambda: (rng.choice(("SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE")), other if other != "text" else key, *several),
        lambda: ("SINTERCARD", len(several), *several, *rng.choice(((), ("LIMIT", 3), ("LIMIT", 0)))),
    ]
    if rng.random() < 0.01:
        return ("DEL", key) if key != "text" else ("GET", key)
    return rng.choice(makers)()


@pytest.mark.parametrize("budget", ["1mb", "64mb"])
@pytest.mark.parametrize("make", [hash_command, set_command])
def test_random_sequences(oracle: Oracle, tmp_path: Path, make: Callable[[random.Random], Words], budget: str) -> None:
    rng = random.Random(f"{make.__name__} {budget}")
    run = Runner(tmp_path / "store", maxmemory=budget)
    if budget == "1mb":
        # far less than a large object needs, so that they spill all the time
        run.executor.store.cache.budget = 20_000
    oracle.run("FLUSHALL")
    same(run, oracle, ("SET", "text", "string"))
    for _ in range(2500):
        same(run, oracle, make(rng))
        chance = rng.random()
        if chance < 0.01:
            run.evict()
        elif chance < 0.02:
            run.checkpoint()
        elif chance < 0.025:
            run.reopen()
            if budget == "1mb":
                run.executor.store.cache.budget = 20_000
    for key in ("h1", "h2", "h3") if make is hash_command else ("s1", "s2", "s3", "s4"):
        same(run, oracle, ("HGETALL" if make is hash_command else "SMEMBERS", key))
    run.close()


ERRORS: list[Words] = [
    ("HSET", "h", "f"), ("HSET", "h", "f", "v", "g"), ("HMSET", "h", "f", "v", "g"), ("HINCRBY", "h", "f", "1.5"),
    ("HINCRBY", "h", "bad", 1), ("HINCRBY", "h", "empty", 1), ("HINCRBY", "h", "most", 1), ("HINCRBYFLOAT", "h", "bad", 1),
    ("HINCRBYFLOAT", "h", "f", "nan"), ("HINCRBYFLOAT", "h", "f", "inf"), ("HINCRBYFLOAT", "h", "f", "one"),
    ("HINCRBYFLOAT", "text", "f", "one"), ("HINCRBY", "text", "f", "one"), ("HINCRBY", "text", "f", 1),
    ("HRANDFIELD", "h", "x"), ("HRANDFIELD", "h", 1, "WITH"), ("HRANDFIELD", "h", 1, "WITHVALUES", 1), ("HRANDFIELD", "text", "x"),
    ("HRANDFIELD", "h", "-9223372036854775808"), ("HRANDFIELD", "h", "9223372036854775807", "WITHVALUES"),
    ("HRANDFIELD", "none"), ("HRANDFIELD", "none", 3), ("HRANDFIELD", "h", 0), ("HRANDFIELD", "text"),
    ("HSCAN", "h", "x"), ("HSCAN", "none", 0, "bad"), ("HSCAN", "h", 0, "COUNT", 0), ("HSCAN", "h", 0, "COUNT", "x"),
    ("HSCAN", "h", 0, "MATCH"), ("HSCAN", "text", 0), ("HSCAN", "text", "x"), ("HSCAN", "h", 0, "bad", 1), ("HSCAN", "h", "+"),
    ("HSCAN", "h", " 0"), ("HSCAN", "h", "0 "), ("HSCAN", "h", 0, "MATCH", "nothing"), ("HSCAN", "h", 0, "MATCH", "mo*", "COUNT", 5),
    ("SSCAN", "s", "y"), ("SSCAN", "s", "0", "TYPE", "set"), ("SSCAN", "none", 0), ("SSCAN", "text", 0), ("SSCAN", "s", 0, "MATCH", "?"),
    ("SPOP", "s", -1), ("SPOP", "s", "x"), ("SPOP", "s", 1, 2), ("SPOP", "text"), ("SPOP", "text", 1), ("SPOP", "text", "x"),
    ("SPOP", "none"), ("SPOP", "none", 3), ("SPOP", "s", 0), ("SPOP", "text", 0), ("SPOP", "s", "9223372036854775808"),
    ("SRANDMEMBER", "s", "x"), ("SRANDMEMBER", "s", 1, 2), ("SRANDMEMBER", "none"), ("SRANDMEMBER", "none", 5), ("SRANDMEMBER", "text"),
    ("SRANDMEMBER", "text", "x"), ("SRANDMEMBER", "s", 0), ("SMOVE", "none", "text", "a"), ("SMOVE", "s", "text", "a"),
    ("SMOVE", "text", "s", "a"), ("SMOVE", "s", "s", "1"), ("SMOVE", "s", "s", "zz"), ("SMOVE", "s", "text", "zz"),
    ("SINTERCARD", 0, "s"), ("SINTERCARD", "x", "s"), ("SINTERCARD", 2, "s"), ("SINTERCARD", 1, "s", "LIMIT"),
    ("SINTERCARD", 1, "s", "LIMIT", -1), ("SINTERCARD", 1, "s", "LIMIT", "x"), ("SINTERCARD", 1, "s", "BAD", 1), ("SINTERCARD", 1, "text"),
    ("SINTER", "none", "text"), ("SDIFF", "none", "text"), ("SUNION", "text"), ("SINTERSTORE", "new", "none", "text"),
    ("SADD", "text", "a"), ("SREM", "text", "a"), ("SADD", "s"), ("SMEMBERS", "none"), ("SCARD", "none"), ("HGETALL", "none"),
    ("HLEN", "none"), ("HMGET", "none", "a", "b"), ("SMISMEMBER", "none", "a", "b"), ("HSTRLEN", "none", "a"), ("HDEL", "none", "a"),
    ("SUNIONSTORE", "text", "none"), ("EXISTS", "text"), ("SUNIONSTORE", "text", "s"), ("SMEMBERS", "text"),
]  # fmt: skip


def test_errors_and_edges(oracle: Oracle, run: Runner) -> None:
    oracle.run("FLUSHALL")
    same(run, oracle, ("SET", "text", "string"))
    same(run, oracle, ("HSET", "h", "bad", "x", "empty", "", "most", 2**63 - 1))
    same(run, oracle, ("SADD", "s", 3, 1, 2, 10, -5))
    for argv in ERRORS:
        want, got = oracle.run(*argv), plain(run(*argv))
        assert got == want, argv


def test_integers_are_shown_in_order(oracle: Oracle, run: Runner) -> None:
    oracle.run("FLUSHALL")
    numbers = list(range(-200, 200, 2))
    random.Random(5).shuffle(numbers)
    for step in (numbers[:20], numbers):
        for argv in [("SADD", "s", *step), ("SADD", "t", *step[:10], 3)]:
            same(run, oracle, argv)
        run.evict()
        for argv in [("SMEMBERS", "s"), ("SUNION", "s", "t"), ("SINTER", "s", "t"), ("SDIFF", "s", "t"), ("SMEMBERS", "t")]:
            assert plain(run(*argv)) == oracle.run(*argv), argv
