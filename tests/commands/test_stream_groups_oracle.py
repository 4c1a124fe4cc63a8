"""Random commands on consumer groups, with evictions, checkpoints and restarts between: the replies are those of Redis."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hiredis
import pytest

from diskkv.replies import Blocked
from diskkv.resp.encode import encode
from diskkv.types import groups, streams
from diskkv.types.streams import Stream
from tests.commands.test_streams_oracle import bound, entry, freeze
from tests.support import oracle
from tests.support.contents import contents, copy_of
from tests.support.oracle import Oracle, plain
from tests.support.runner import Runner

KEYS = ["a", "b"]
GROUPS = ["g", "h", "i"]
CONSUMERS = ["ann", "bob", "cyd", "dan"]
# Idle for longer than any test takes, or not at all: so it does not matter what the time is.
LONG_AGO = 1000
LONG = 1_000_000


@pytest.fixture(scope="module", params=[2, 3])
def redis(request: pytest.FixtureRequest) -> Iterator[Oracle]:
    server = oracle.start()
    server.run("HELLO", request.param)
    server.protocol = request.param  # type: ignore[attr-defined]
    yield server
    server.close()


def timeless(words: list[Any], reply: Any) -> Any:
    """A reply without what depends on the time, on the form of Redis' tree, and on its version."""
    if not isinstance(reply, list):
        return reply
    if words[0] == "XPENDING" and len(words) > 3:
        return [[row[0], row[1], row[2] > LONG, row[3]] for row in reply]
    if words[0] != "XINFO":
        return reply
    if words[1] == "CONSUMERS":
        return [row[:4] for row in reply]
    if words[1] == "STREAM":
        reply[3] = reply[5] = None
        if len(words) > 3:
            for group in reply[-1]:
                for row in group[11]:
                    row[2] = row[2] == LONG_AGO
                for consumer in group[13]:
                    consumer[:] = consumer[:2] + consumer[-4:]
                    for row in consumer[-1]:
                        row[1] = row[1] == LONG_AGO
    return reply


def same(redis: Oracle, reply: Any, words: list[Any]) -> None:
    """Compare the bytes that a client would get, as a client's parser reads them."""
    if isinstance(reply, Blocked):
        reply = reply.refusal
    reader = hiredis.Reader()
    reader.feed(encode(reply, redis.protocol))  # type: ignore[attr-defined]
    ours, theirs = plain(reader.gets()), redis.run(*words)
    ours, theirs = timeless(words, ours), timeless(words, theirs)
    assert ours == theirs, f"{words[:12]}\n{ours}\n{theirs}"[:3000]


def command(rng: random.Random, top: int, size: int) -> list[Any]:
    """A random command; ids go up to about `top`, some `size` are read or acknowledged at a time."""
    key, group, consumer = rng.choice(KEYS), rng.choice(GROUPS), rng.choice(CONSUMERS)
    low = max(1, top - rng.choice([4, 20, 400]))
    some = [f"{rng.randint(low, top)}-{rng.choice([0, 1, 1, 2])}" for _ in range(rng.choice([1, 2, 5, size]))]
    count = rng.choice([[], ["COUNT", 1], ["COUNT", rng.choice([2, size, 0, -1])]])
    idle = rng.choice([0, 0, LONG])
    mark = rng.choice([">", ">", ">", ">", "0", some[0]])
    options: list[Any] = []
    for words in (["FORCE"], ["JUSTID"], ["TIME", LONG_AGO], ["RETRYCOUNT", rng.choice([0, 1, 7])], ["LASTID", some[0]], ["IDLE", 0]):
        if rng.random() < 0.25:
            options += words
    least, most = bound(rng, top), bound(rng, top)
    extended = [*rng.choice([[], [], ["IDLE", LONG]]), *rng.choice([("-", "+"), (least, most)]), rng.choice([1, 10, size, 0])]
    choices: list[tuple[int, list[Any]]] = [
        (25, ["XADD", key, f"{top}-*", *entry(rng)]),
        (2, ["XADD", key, *rng.choice([["MAXLEN", size * 3], ["MINID", low]]), f"{top}-*", *entry(rng)]),
        (25, ["XREADGROUP", "GROUP", group, consumer, *count, *rng.choice([[], [], [], ["NOACK"]]), "STREAMS", key, mark]),
        (2, ["XREADGROUP", "GROUP", group, consumer, *count, "STREAMS", *KEYS, mark, ">"]),
        (14, ["XACK", key, group, *some]),
        (8, ["XCLAIM", key, group, consumer, idle, *some, *options]),
        (6, ["XAUTOCLAIM", key, group, consumer, idle, rng.choice(["-", "0", bound(rng, top)]), *count, *rng.choice([[], ["JUSTID"]])]),
        (4, ["XPENDING", key, group]),
        (6, ["XPENDING", key, group, *extended, *rng.choice([[], [consumer]])]),
        (4, ["XGROUP", "CREATE", key, group, rng.choice(["0", "$", some[0]]), *rng.choice([[], ["MKSTREAM"], ["ENTRIESREAD", size]])]),
        (2, ["XGROUP", "SETID", key, group, rng.choice(["0", "$", "-", some[0], some[0]]), *rng.choice([[], ["ENTRIESREAD", size]])]),
        (1, ["XGROUP", "DESTROY", key, group]),
        (2, ["XGROUP", "CREATECONSUMER", key, group, consumer]),
        (1, ["XGROUP", "DELCONSUMER", key, group, consumer]),
        (4, ["XINFO", "GROUPS", key]),
        (3, ["XINFO", "CONSUMERS", key, group]),
        (2, ["XINFO", "STREAM", key]),
        (3, ["XINFO", "STREAM", key, "FULL", *rng.choice([[], ["COUNT", 3], ["COUNT", 0]])]),
        (5, ["XDEL", key, *some]),
        (1, ["XTRIM", key, "MAXLEN", rng.choice([size * 2, size * 5, 0])]),
        (1, ["XSETID", key, f"{top}-9", *rng.choice([[], ["ENTRIESADDED", size * 9], ["MAXDELETEDID", some[0]]])]),
        (1, ["XRANGE", key, "-", "+"]),
        (1, rng.choice([["COPY", key, rng.choice(KEYS), "REPLACE"], ["RENAME", key, rng.choice(KEYS)], ["DEL", key], ["XLEN", key]])),
    ]
    return rng.choices([words for _, words in choices], [weight for weight, _ in choices])[0]


def consumers_of(words: list[Any]) -> list[list[Any]]:
    """What creates the consumers of a command: it does so itself even if there is nothing for them in 7.2, but not in the 7.0 oracle."""
    if words[0] in ("XCLAIM", "XAUTOCLAIM"):
        return [["XGROUP", "CREATECONSUMER", *words[1:4]]]
    if words[0] != "XREADGROUP":
        return []
    named = words[words.index("STREAMS") + 1 :]
    return [["XGROUP", "CREATECONSUMER", key, *words[2:4]] for key in named[: len(named) // 2]]


def whole(redis: Oracle, runner: Runner) -> None:
    for key in KEYS:
        for words in (["XINFO", "STREAM", key, "FULL", "COUNT", 0], ["XINFO", "GROUPS", key]):
            same(redis, runner(*words), words)
        for group in GROUPS:
            for words in (["XPENDING", key, group], ["XPENDING", key, group, "-", "+", 10**6], ["XINFO", "CONSUMERS", key, group]):
                same(redis, runner(*words), words)


@pytest.mark.parametrize(("seed", "size"), [(1, 3), (2, 10), (3, 10), (4, 40), (5, 200)])
def test_replies_are_those_of_redis(redis: Oracle, tmp_path: Path, seed: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SPILL", 3)
    monkeypatch.setattr(groups, "RUN", 7)
    rng = random.Random(seed)
    redis.run("FLUSHALL")
    runner = Runner(tmp_path / "store")
    top = 1
    for _ in range(2500):
        top += rng.random() < 0.3
        words = command(rng, top, size)
        if (words[0] == "DEL" or words[:2] == ["XGROUP", "DESTROY"]) and rng.random() < 0.7:
            continue
        for first in consumers_of(words):
            same(redis, runner(*first), first)
        same(redis, runner(*words), words)
        chance = rng.random()
        if chance < 0.01:
            runner.evict()
        elif chance < 0.02:
            runner.checkpoint()
        elif chance < 0.025:
            runner.reopen()
        elif chance < 0.03:
            assert runner.findings() == []
        elif chance < 0.05:
            freeze(runner)
        elif chance < 0.08:
            for value in list(runner.executor.store.databases[0].objects.values()):
                if isinstance(value, Stream) and value.oid:
                    value._spill()
        elif chance < 0.09:
            whole(redis, runner)
    assert runner.findings() == []
    runner.reopen()
    whole(redis, runner)
    runner.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_crash_after_a_freeze_loses_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    """What a kill leaves at any moment of a checkpoint is the state after the last command."""
    rng = random.Random(seed)
    runner = Runner(tmp_path / "store", appendfsync="always")
    top = 1
    for round_ in range(12):
        for step in range(150):
            top += rng.random() < 0.5
            runner(*command(rng, top, 10))
            runner.clock.now += rng.choice([0, 1, 1000])
            if step == 60:
                freeze(runner)
        before = contents(runner.executor.store)
        copy = Runner(copy_of(tmp_path / "store", tmp_path / f"copy{round_}"))
        assert contents(copy.executor.store) == before
        assert copy.findings() == []
        copy.close()
        if rng.random() < 0.5:
            runner.evict()
    runner.close()
