"""Sorted sets against Redis: random sequences, with eviction, restarts and checkpoints in between, and the shapes of replies."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.lib.numbers import format_double
from diskkv.replies import NIL_ARRAY, Blocked, Pairs
from tests.support.oracle import Oracle, plain, start
from tests.support.runner import Runner

Words = tuple[Any, ...]


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    server = start()
    yield server
    server.close()


def as_text(reply: Any) -> Any:
    """A reply with its scores as RESP2 has them; Redis' -0 is folded here."""
    if isinstance(reply, list):
        return [as_text(part) for part in reply]
    if isinstance(reply, float):
        return format_double(reply)
    return b"0" if reply == b"-0" else reply


def same(run: Runner, oracle: Oracle, argv: Words) -> None:
    want, got = as_text(oracle.run(*argv)), as_text(plain(run(*argv)))
    assert got == want, argv


# Scores have few binary digits, so that they print the same in every Redis.
def score(rng: random.Random) -> bytes:
    if rng.random() < 0.02:
        return rng.choice((b"inf", b"-inf", b"+inf", b"1e15", b"x", b"", b"nan", b"0x10", b"1e400"))
    return rng.choice((b"%d", b"%d.5", b"%d.25")) % rng.randrange(-5, rng.choice((10, 1000)))


def member(rng: random.Random) -> bytes:
    if rng.random() < 0.05:
        return b"long" * 40 + b"%d" % rng.randrange(30)
    return b"%d" % rng.randrange(rng.choice((20, 300, 700)))


def score_bound(rng: random.Random) -> bytes:
    kind = rng.randrange(12)
    if kind < 2:
        return rng.choice((b"-inf", b"+inf", b"(-inf", b"(inf", b"(", b"", b" 5", b"1e400", b"nan", b"x", b"5 ", b"1_0"))
    return b"(" * rng.randrange(2) + score(rng)


def member_bound(rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return rng.choice((b"-", b"+", b"", b"x", b"[", b"(", b"-1"))
    return rng.choice((b"[", b"(")) + member(rng)


def index(rng: random.Random) -> Any:
    return rng.choice((0, -1, 5, -5, 100, -100, 600, rng.randrange(-800, 800), rng.randrange(-800, 800), "x" if rng.random() < 0.1 else 1))


def limit(rng: random.Random) -> Words:
    return rng.choice(((), (), ("LIMIT", rng.randrange(-1, 10), rng.randrange(-1, 20)), ("LIMIT", 0), ("LIMIT", "x", 1)))


def options(rng: random.Random, *words: str) -> Words:
    return tuple(word for word in words if rng.random() < 0.3)


def sources(rng: random.Random) -> Words:
    keys = [rng.choice(("z1", "z2", "z3", "set", "none")) for _ in range(rng.randrange(1, 4))] + (["text"] if rng.random() < 0.05 else [])
    count = len(keys) if rng.random() < 0.97 else rng.choice((0, -1, 9, "x"))
    return (count, *keys)


def weighing(rng: random.Random, count: int) -> Words:
    weights: Words = ("WEIGHTS", *(rng.choice(("1", "2", "-0.5", "inf")) for _ in range(count))) if rng.random() < 0.4 else ()
    return (
        *weights,
        *rng.choice(((), (), ("AGGREGATE", "MIN"), ("aggregate", "max"), ("AGGREGATE", "SUM"), ("AGGREGATE", "x"), ("AGGREGATE",))),
    )


def zset_command(rng: random.Random) -> Words:
    key = rng.choice(("z1", "z2", "z3", "z3", "text" if rng.random() < 0.1 else "z2"))
    given = sources(rng)
    width = len(given) - 1
    reading = rng.choice(("ZRANGE", "ZREVRANGE"))
    makers: list[Callable[[], Words]] = [
        lambda: ("ZADD", key, *(part for _ in range(rng.choice((1, 1, 2, 60, 200))) for part in (score(rng), member(rng)))),
        lambda: (
            "ZADD",
            key,
            *options(rng, "NX", "XX", "GT", "LT", "CH", "INCR"),
            score(rng),
            member(rng),
            *rng.choice(((), (), (1,), (1, "a"))),
        ),
        lambda: (
            "ZADD",
            key,
            *rng.choice((("XX",), ("NX",), ("GT",), ("LT",), ("CH",), ("INCR",), ("XX", "GT", "CH"), ("INCR", "LT"))),
            score(rng),
            member(rng),
        ),
        lambda: ("ZINCRBY", key, score(rng), member(rng)),
        lambda: ("ZREM", key, *(member(rng) for _ in range(rng.choice((1, 3, 100))))),
        lambda: ("ZSCORE", key, member(rng)),
        lambda: ("ZMSCORE", key, member(rng), member(rng)),
        lambda: ("ZCARD", key),
        lambda: (rng.choice(("ZRANK", "ZREVRANK")), key, member(rng)),
        lambda: ("ZCOUNT", key, score_bound(rng), score_bound(rng)),
        lambda: (reading, key, index(rng), index(rng), *options(rng, "WITHSCORES"), *options(rng, "REV")),
        lambda: (reading, key, 0, -1, "WITHSCORES"),
        lambda: ("ZRANGE", key, score_bound(rng), score_bound(rng), "BYSCORE", *options(rng, "REV", "WITHSCORES"), *limit(rng)),
        lambda: (
            rng.choice(("ZRANGEBYSCORE", "ZREVRANGEBYSCORE")),
            key,
            score_bound(rng),
            score_bound(rng),
            *options(rng, "WITHSCORES"),
            *limit(rng),
        ),
        lambda: ("ZRANGE", key, 0, 3, *limit(rng)),
        lambda: ("ZREMRANGEBYRANK", key, index(rng), index(rng)) if rng.random() < 0.2 else ("ZREMRANGEBYRANK", key, 5, 8),
        lambda: ("ZREMRANGEBYSCORE", key, score_bound(rng), score_bound(rng)) if rng.random() < 0.2 else ("ZREMRANGEBYSCORE", key, 3, "(5"),
        lambda: (rng.choice(("ZPOPMIN", "ZPOPMAX")), key, *rng.choice(((), (), (3,), (0,), (-1,), ("x",), (60,), (1, 2)))),
        lambda: (
            "ZMPOP",
            *given,
            rng.choice(("MIN", "MAX", "min", "x")),
            *rng.choice(((), (), ("COUNT", 3), ("COUNT", 0), ("COUNT",), ("COUNT", 1, "COUNT", 1))),
        ),
        lambda: (
            "ZRANGESTORE",
            rng.choice(("z3", "z2")),
            key,
            index(rng),
            index(rng),
            *options(rng, "REV"),
            *options(rng, "BYSCORE"),
            *limit(rng),
        ),
        lambda: (rng.choice(("ZUNION", "ZINTER")), *given, *weighing(rng, width), *options(rng, "WITHSCORES")),
        lambda: ("ZDIFF", *given, *options(rng, "WITHSCORES"), *(("WEIGHTS", 1) if rng.random() < 0.05 else ())),
        lambda: (rng.choice(("ZUNIONSTORE", "ZINTERSTORE")), rng.choice(("z3", "z2", "set2")), *given, *weighing(rng, width)),
        lambda: ("ZDIFFSTORE", rng.choice(("z3", "text2")), *given),
        lambda: ("ZINTERCARD", *given, *rng.choice(((), ("LIMIT", 3), ("LIMIT", 0), ("LIMIT", -1), ("LIMIT",)))),
        lambda: ("SADD", "set", member(rng), member(rng)),
        lambda: ("ZRANDMEMBER", key, rng.choice(("x", 0, "-9223372036854775808", 1000)), *options(rng, "WITHSCORES", "y")),
        lambda: ("ZSCAN", "none", rng.choice((0, "x", -1)), *options(rng, "MATCH")),
    ]
    if rng.random() < 0.005:
        return ("DEL", key) if key != "text" else ("GET", key)
    argv = rng.choice(makers)()
    if argv[0] == "ZRANDMEMBER" and argv[2] == 1000:
        return ("ZCARD", key)
    return argv


def lex_command(rng: random.Random) -> Words:
    """Members of equal scores in `even`; in `odd` never so many that Redis leaves its small form, and no offset, which skips the bounds."""
    key = rng.choice(("even", "odd"))
    part = limit(rng)
    if key == "odd" and part:
        part = ("LIMIT", 0, rng.randrange(-1, 20))
    makers: list[Callable[[], Words]] = [
        lambda: ("ZADD", "even", *(word for _ in range(rng.choice((1, 2, 100))) for word in (1, member(rng)))),
        lambda: ("ZADD", "odd", *(word for _ in range(rng.choice((1, 2, 20))) for word in (rng.randrange(3), rng.randrange(90)))),
        lambda: ("ZREM", key, *(member(rng) for _ in range(rng.choice((1, 3, 100))))),
        lambda: (
            rng.choice(("ZRANGEBYLEX", "ZREVRANGEBYLEX")),
            key,
            member_bound(rng),
            member_bound(rng),
            *part,
            *options(rng, "WITHSCORES"),
        ),
        lambda: ("ZRANGE", key, member_bound(rng), member_bound(rng), "BYLEX", *options(rng, "REV", "REV"), *part),
        lambda: ("ZLEXCOUNT", key, member_bound(rng), member_bound(rng)),
        lambda: (
            ("ZREMRANGEBYLEX", key, member_bound(rng), member_bound(rng)) if rng.random() < 0.1 else ("ZREMRANGEBYLEX", key, "[1", "(12")
        ),
        lambda: ("ZRANGESTORE", "stored", key, member_bound(rng), member_bound(rng), "BYLEX", *part),
        lambda: ("ZRANGE", "stored", 0, -1),
    ]
    return rng.choice(makers)()


@pytest.mark.parametrize("budget", ["1mb", "64mb"])
@pytest.mark.parametrize("make", [zset_command, lex_command])
def test_random_sequences(oracle: Oracle, tmp_path: Path, make: Callable[[random.Random], Words], budget: str) -> None:
    rng = random.Random(f"{make.__name__} {budget}")
    run = Runner(tmp_path / "store", maxmemory=budget)

    def shrink() -> None:
        if budget == "1mb":
            # far less than a large zset needs, so that they spill all the time
            run.executor.store.cache.budget = 20_000

    shrink()
    oracle.run("FLUSHALL")
    for argv in (("SET", "text", "1"), ("SADD", "set", "1", "2", "5", "a")):
        same(run, oracle, argv)
    for _ in range(2500):
        same(run, oracle, make(rng))
        if rng.random() < 0.02:
            rng.choice((run.evict, run.checkpoint, run.reopen))()
            shrink()
    run.reopen()
    for key in ("z1", "z2", "z3", "even", "odd", "stored"):
        same(run, oracle, ("ZRANGE", key, 0, -1, "WITHSCORES"))
        same(run, oracle, ("ZCARD", key))
        found: dict[bytes, bytes] = {}
        cursor = b"0"
        while True:
            cursor, part = run("ZSCAN", key, cursor, "COUNT", 30)
            found.update(zip(part[::2], part[1::2], strict=True))
            if cursor == b"0":
                break
        every = oracle.run("ZRANGE", key, 0, -1, "WITHSCORES")
        assert found == {name: as_text(text) for name, text in zip(every[::2], every[1::2], strict=True)}
    run.close()


def as_resp3(reply: Any) -> Any:
    if isinstance(reply, Pairs):
        return [[as_resp3(one), as_resp3(other)] for one, other in reply.items]
    if isinstance(reply, (list, tuple)):
        return [as_resp3(part) for part in reply]
    return None if reply is NIL_ARRAY else reply


SHAPES: list[Words] = [
    ("ZADD", "z", 1, "a", 2, "b", 3.5, "c", "inf", "d"),
    ("ZADD", "z", "INCR", 1, "a"),
    ("ZADD", "z", "NX", "INCR", 1, "a"),
    ("ZINCRBY", "z", 2, "a"),
    ("ZSCORE", "z", "a"),
    ("ZSCORE", "z", "x"),
    ("ZMSCORE", "z", "a", "x"),
    ("ZMSCORE", "none", "a"),
    ("ZRANK", "z", "a"),
    ("ZRANK", "z", "x"),
    ("ZREVRANK", "z", "a"),
    ("ZRANGE", "z", 0, -1),
    ("ZRANGE", "z", 0, -1, "WITHSCORES"),
    ("ZREVRANGE", "z", 0, 1, "WITHSCORES"),
    ("ZRANGE", "none", 0, 1, "WITHSCORES"),
    ("ZRANGEBYSCORE", "z", 1, 5, "WITHSCORES"),
    ("ZREVRANGEBYSCORE", "z", 5, 1, "WITHSCORES", "LIMIT", 0, 1),
    ("ZRANGEBYLEX", "z", "-", "+"),
    ("ZUNION", 2, "z", "z", "WITHSCORES"),
    ("ZINTER", 2, "z", "z", "WITHSCORES"),
    ("ZDIFF", 1, "z", "WITHSCORES"),
    ("ZINTERCARD", 1, "z"),
    ("ZRANDMEMBER", "none"),
    ("ZRANDMEMBER", "none", 1),
    ("ZRANDMEMBER", "z", 10, "WITHSCORES"),
    ("ZSCAN", "z", 0),
    ("ZSCAN", "none", 0),
    ("ZADD", "one", 1, "x"),
    ("ZRANDMEMBER", "one"),
    ("ZRANDMEMBER", "one", -2, "WITHSCORES"),
    ("ZRANDMEMBER", "one", 1),
    ("ZPOPMIN", "z"),
    ("ZPOPMAX", "z", 1),
    ("ZPOPMIN", "none"),
    ("ZPOPMIN", "none", 1),
    ("ZMPOP", 2, "none", "z", "MIN"),
    ("ZMPOP", 1, "none", "MAX"),
    ("BZPOPMIN", "none", "z", 0),
    ("ZADD", "z", 1, "a", 2, "b"),
    ("BZMPOP", 0, 1, "z", "MAX", "COUNT", 5),
    ("ZPOPMIN", "none", 0),
    ("SET", "text", 1),
    ("ZPOPMIN", "text", 0),
    ("BZPOPMIN", "none", "text", 0),
    ("BZPOPMIN", "text", "x"),
    ("BZPOPMIN", "text", -1),
    ("BZMPOP", "x", 1, "text", "MIN"),
    ("BZMPOP", 1, 0, "text", "MIN"),
    ("BZMPOP", 1, 1, "text", "MID"),
    ("ZUNION", 0, "z"),
    ("ZINTERCARD", 0, "z"),
    ("ZDIFFSTORE", "d", 0, "z"),
    ("ZUNION", "x", "z"),
    ("ZUNIONSTORE", "d", 1, "none"),
]


def test_shapes_in_resp3(oracle: Oracle, run: Runner) -> None:
    oracle.run("FLUSHALL")
    oracle.run("HELLO", 3)
    try:
        for argv in SHAPES:
            want, got = oracle.run(*argv), run(*argv)
            if argv[:2] in (("ZSCAN", "z"), ("ZRANDMEMBER", "z")):
                continue
            got = plain(got) if isinstance(got, Exception) else as_resp3(got)
            if argv[0] == "SET":
                got = got.text
            assert got == want and type(got) is type(want), argv
    finally:
        oracle.run("HELLO", 2)


def test_between_these_bounds_there_is_no_member(oracle: Oracle, run: Runner) -> None:
    """Whatever the scores, in a large sorted set as in a small one."""
    for count in (10, 500):
        same(run, oracle, ("DEL", "z"))
        same(run, oracle, ("ZADD", "z", *(word for number in range(count) for word in (number % 3, f"m{number}"))))
        for low, high in (("[m5", "(m2"), ("(m5", "[m5"), ("(m5", "(m5"), ("[zz", "[a"), ("[a", "[b"), ("[n", "+"), ("-", "(m0")):
            same(run, oracle, ("ZRANGE", "z", low, high, "BYLEX"))
            same(run, oracle, ("ZRANGE", "z", high, low, "BYLEX", "REV"))
            same(run, oracle, ("ZLEXCOUNT", "z", low, high))


def test_nothing_to_pop_waits(run: Runner) -> None:
    run.clock.advance(0)
    for argv in (("BZPOPMIN", "a", "b", "0.5"), ("BZMPOP", "0.5", 2, "a", "b", "MIN")):
        blocked = run(*argv)
        assert isinstance(blocked, Blocked)
        assert list(blocked.keys) == [b"a", b"b"] and blocked.deadline == run.executor.store.now + 500
        assert blocked.timeout_reply is NIL_ARRAY
    assert run("BZPOPMAX", "a", 0).deadline is None


def test_the_waiting_are_served_and_logged_as_pops(run: Runner) -> None:
    got: list[Any] = []
    executor = run.executor
    for argv in (["BZPOPMIN", "a", "0"], ["BZMPOP", "0", "1", "a", "MAX", "COUNT", "2"]):
        session = executor.open_session()
        words = [word.encode() for word in argv]
        blocked = run(*words, session=session)
        executor.waiters.park(session, words, blocked, got.append)
    run("ZADD", "a", 1, "x", 2, "y", 3, "z", 4, "w")
    assert got == [[b"a", b"x", 1.0], [b"a", [[b"w", 4.0], [b"z", 3.0]]]]
    run.reopen()
    assert run("ZRANGE", "a", 0, -1) == [b"y"]


def test_rank_with_score(run: Runner) -> None:
    run("ZADD", "z", 1, "a", 2.5, "b")
    assert run("ZRANK", "z", "b", "WITHSCORE") == [1, 2.5]
    assert run("ZREVRANK", "z", "b", "withscore") == [0, 2.5]
    assert run("ZRANK", "z", "x", "WITHSCORE") is NIL_ARRAY and run("ZRANK", "none", "x", "WITHSCORE") is NIL_ARRAY
    assert str(run("ZRANK", "z", "b", "WITHSCORES")) == "ERR syntax error"


def test_random_members_are_uniform_and_different(run: Runner) -> None:
    names = {b"m%d" % number for number in range(400)}
    run("ZADD", "z", *(part for name in names for part in (len(name), name)))
    for _ in range(2):
        assert set(run("ZRANDMEMBER", "z", 1000)) == names
        drawn = run("ZRANDMEMBER", "z", 300)
        assert len(set(drawn)) == 300 and set(drawn) <= names
        assert len(run("ZRANDMEMBER", "z", -1000)) == 1000
        assert len({run("ZRANDMEMBER", "z") for _ in range(300)}) > 100
        run.evict()
