"""Random stream commands, with evictions, checkpoints and restarts between: the replies are those of Redis."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hiredis
import pytest

from diskkv.resp.encode import encode
from diskkv.types import streams
from diskkv.types.ledgers import ID_MAX
from diskkv.types.streams import Stream
from tests.support import oracle
from tests.support.contents import contents, copy_of
from tests.support.oracle import Oracle, plain
from tests.support.runner import Runner

KEYS = ["a", "b", "c"]


@pytest.fixture(scope="module", params=[2, 3])
def redis(request: pytest.FixtureRequest) -> Iterator[Oracle]:
    server = oracle.start()
    server.run("HELLO", request.param)
    server.protocol = request.param  # type: ignore[attr-defined]
    yield server
    server.close()


@pytest.fixture(scope="module")
def memory() -> Iterator[Runner]:
    runner = Runner(":memory:")
    yield runner
    runner.close()


def same(redis: Oracle, reply: Any, words: list[Any]) -> None:
    """Compare the bytes that a client would get, as a client's parser reads them."""
    reader = hiredis.Reader()
    reader.feed(encode(reply, redis.protocol))  # type: ignore[attr-defined]
    ours, theirs = plain(reader.gets()), redis.run(*words)
    if words[:2] == ["XINFO", "STREAM"] and isinstance(ours, list) and isinstance(theirs, list):
        # The nodes of its tree are Redis' own affair.
        ours[3] = theirs[3]
        ours[5] = theirs[5]
    assert ours == theirs, words[:8]


def entry(rng: random.Random) -> list[bytes]:
    value = rng.choice([b"%d" % rng.randrange(10**6), b"v" * rng.randrange(20), b"", rng.randbytes(5)])
    if rng.random() < 0.02:
        value = rng.choice([b"x" * 900, rng.randbytes(700)])
    return [b"f%d" % rng.randrange(5), value] * rng.choice([1, 1, 1, 2, 3])


def bound(rng: random.Random, top: int) -> str:
    ms, seq = rng.randint(0, top + 2), rng.randrange(4)
    return rng.choice(["-", "+", f"{ms}", f"{ms}-{seq}", f"({ms}-{seq}", f"({ms}", f"{ms}", f"{ms}-{seq}"])


def command(rng: random.Random, top: int, size: int) -> list[Any]:
    """A random command; ids go up to about `top`, streams have about `size` entries."""
    key = rng.choice(KEYS)
    number = rng.choice([f"{top}-*", f"{top}-{rng.randrange(4)}", f"{top}", f"{top + 1}-*", f"{rng.randint(1, top)}-1"])
    count = rng.choice([[], ["COUNT", rng.choice([-1, 0, 1, 3, size // 2, size * 2])]])
    some = [f"{rng.randint(1, top)}-{rng.randrange(3)}" for _ in range(rng.choice([1, 1, 5, size // 8 + 1]))]
    kept = rng.choice([size, size, size // 2, 3, 0]) if rng.random() < 0.3 else size
    trimming: list[Any] = rng.choice([["MAXLEN", kept], ["MAXLEN", "=", kept], ["MINID", max(0, top - kept)], ["minid", "=", f"{top}-1"]])
    least = bound(rng, top).strip("(+-") or "0"
    choices: list[tuple[int, list[Any]]] = [
        (40, ["XADD", key, number, *entry(rng)]),
        (3, ["XADD", key, *trimming, number, *entry(rng)]),
        (3, ["XADD", key, "NOMKSTREAM", number, *entry(rng)]),
        (3, ["XLEN", key]),
        (6, ["XRANGE", key, bound(rng, top), bound(rng, top), *count]),
        (6, ["XREVRANGE", key, bound(rng, top), bound(rng, top), *count]),
        (2, ["XRANGE", key, "-", "+"]),
        (2, ["XREVRANGE", key, "+", "-", "COUNT", 1]),
        (2, ["XRANGE", key, "-", "+", "COUNT", 1]),
        (8, ["XDEL", key, *some]),
        (2, ["XTRIM", key, *trimming]),
        (3, ["XREAD", *count, "STREAMS", key, rng.choice(KEYS), least, rng.choice(["$", "0", least])]),
        (2, ["XSETID", key, f"{top + rng.choice([0, 0, 1, -1, -5])}-0", *rng.choice([[], ["ENTRIESADDED", size * 5]])]),
        (3, ["XINFO", "STREAM", key]),
        (1, ["XINFO", "STREAM", key, "FULL", *rng.choice([[], ["COUNT", 3]])]),
        (1, ["COPY", key, rng.choice(KEYS), "REPLACE"]),
        (1, rng.choice([["RENAME", key, rng.choice(KEYS)], ["DEL", key], ["TYPE", key], ["OBJECT", "ENCODING", key]])),
    ]
    return rng.choices([words for _, words in choices], [weight for weight, _ in choices])[0]


def freeze(runner: Runner) -> None:
    """Begin a checkpoint and let it land some time later, among the commands that follow."""
    store = runner.executor.store
    with store.lock:
        if not store.writer.active:
            store.writer.freeze()


def verify(runner: Runner) -> None:
    assert runner.findings() == []


@pytest.mark.parametrize(
    ("seed", "size", "bounds"), [(1, 8, (128, 64)), (2, 60, (6, 1)), (3, 150, (128, 64)), (4, 200, (20, 3)), (5, 500, (128, 64))]
)
def test_replies_are_those_of_redis(
    redis: Oracle, tmp_path: Path, seed: int, size: int, bounds: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "INLINE_COUNT", bounds[0])
    monkeypatch.setattr(streams, "SPILL", bounds[1])
    monkeypatch.setattr(streams, "RUN", 7 if bounds[1] < 64 else 512)
    rng = random.Random(seed)
    redis.run("FLUSHALL")
    runner = Runner(tmp_path / "store")
    top = 1
    if size > 100:
        for key in KEYS:
            for _ in range(size):
                top += 1
                words: list[Any] = ["XADD", key, f"{top}-1", *entry(rng)]
                same(redis, runner(*words), words)
    for _ in range(1500):
        top += rng.random() < 0.3
        words = command(rng, top, size)
        if words[0] == "DEL" and rng.random() < 0.7:
            continue
        same(redis, runner(*words), words)
        chance = rng.random()
        if chance < 0.01:
            runner.evict()
        elif chance < 0.02:
            runner.checkpoint()
        elif chance < 0.025:
            runner.reopen()
        elif chance < 0.035:
            verify(runner)
        elif chance < 0.05:
            freeze(runner)
        elif chance < 0.10:
            for value in list(runner.executor.store.databases[0].objects.values()):
                if isinstance(value, Stream) and value.oid:
                    value._spill()
        elif chance < 0.11:
            whole(redis, runner)
    verify(runner)
    runner.reopen()
    whole(redis, runner)
    runner.close()


def whole(redis: Oracle, runner: Runner) -> None:
    for key in KEYS:
        for words in (["XRANGE", key, "-", "+"], ["XREVRANGE", key, "+", "-"], ["XINFO", "STREAM", key]):
            same(redis, runner(*words), words)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_crash_after_a_freeze_loses_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    """What a kill leaves at any moment of a checkpoint is the state after the last command."""
    rng = random.Random(seed)
    runner = Runner(tmp_path / "store", appendfsync="always")
    top = 1
    for round_ in range(12):
        for step in range(120):
            top += rng.random() < 0.5
            runner(*command(rng, top, 60))
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


WRONG = [
    "XADD x", "XADD x 1-1", "XADD x 1-1 f", "XADD x 1-1 f v g", "XADD s 1-1 f v", "XADD s 0-0 f v", "XADD x 0-0 f v", "XADD x 0 f v",
    "XADD x 5-5 f v", "XADD x 5-4 f v", "XADD x 5 f v", "XADD x 5-* f v", "XADD x 4-* f v", "XADD x 6-* f v", "XADD none 0-* f v",
    "XADD x foo f v", "XADD x 1-1-1 f v", "XADD x - f v", "XADD x + f v", "XADD x -1 f v",
    "XADD x 18446744073709551615-18446744073709551615 f v", "XADD x 18446744073709551616-0 f v", "XADD x 18446744073709551615-* f v",
    "XADD x 007-01 f v", "XADD x +7-1 f v", "XADD x 1--5 f v", "XADD x 9--05 f v", "XADD x *-1 f v", "XADD x MAXLEN", "XADD x MAXLEN 1",
    "XADD x MAXLEN 1 2-2", "XADD x MAXLEN x 9-9 f v", "XADD x MAXLEN -1 9-9 f v", "XADD x MAXLEN = 1 9-9 f v", "XADD x MINID 5-2 9-9 f v",
    "XADD x MINID x 9-9 f v", "XADD x MINID - 9-9 f v", "XADD x MAXLEN 1 MINID 1 9-9 f v", "XADD x LIMIT 1 9-9 f v",
    "XADD x MAXLEN 1 MAXLEN 2 9-9 f v", "XADD x LIMIT 0 9-9 f v", "XADD x MAXLEN 1 LIMIT 1 9-9 f v", "XADD x MAXLEN ~ 1 LIMIT -1 9-9 f v",
    "XADD x MAXLEN ~ 1 LIMIT x 9-9 f v", "XADD x MAXLEN ~ 1 LIMIT 0 5-1 f v", "XADD x NOMKSTREAM 9-9 f v", "XADD none NOMKSTREAM 9-9 f v",
    "XADD s NOMKSTREAM 9-9 f v", "XADD x MAXLEN ~ LIMIT 9-9 f v", "XADD x LIMIT 1 foo f v", "XADD x MAXLEN = = 9-9 f v",
    "XADD x NOMKSTREAM * ", "XADD none MAXLEN 1 NOMKSTREAM", "XADD x MAXLEN 0 9-9 f v", "XADD x MINID + 9-9 f v", "XLEN", "XLEN s",
    "XLEN none", "XRANGE s - +", "XRANGE none - +", "XRANGE x", "XRANGE x a +", "XRANGE x - b", "XRANGE x - + COUNT",
    "XRANGE x - + COUNT x", "XRANGE x - + FOO 1", "XRANGE x - + COUNT 0", "XRANGE none - + COUNT 0", "XRANGE x - + COUNT -5",
    "XRANGE x (- +", "XRANGE x - (+", "XRANGE x ( +", "XRANGE x (18446744073709551615-18446744073709551615 +", "XRANGE x - (0-0",
    "XRANGE x (0 +", "XRANGE x - (5", "XRANGE x 5 5", "XRANGE x (5 (5", "XRANGE x + -", "XREVRANGE x + -", "XREVRANGE x - +",
    "XREVRANGE x (5-5 -", "XREVRANGE x + (5-1", "XREVRANGE x a b", "XREVRANGE x + - COUNT 1 COUNT 2", "XREVRANGE s + -",
    "XREVRANGE x (18446744073709551615-18446744073709551615 -", "XRANGE x (18446744073709551614 +", "XRANGE x (18446744073709551615 +",
    "XDEL x", "XDEL s 1-1", "XDEL s x", "XDEL none x", "XDEL none 1-1", "XDEL x 5-5 x", "XDEL x 5-5 5-5", "XDEL x - +", "XDEL x 5",
    "XDEL x 1-1 5-5", "XTRIM x", "XTRIM x MAXLEN", "XTRIM x FOO 1", "XTRIM x MAXLEN x", "XTRIM x MAXLEN -1", "XTRIM s MAXLEN 1",
    "XTRIM none MAXLEN 1", "XTRIM none FOO 1", "XTRIM x MAXLEN 1 LIMIT 1", "XTRIM x LIMIT 1", "XTRIM x LIMIT 1 FOO", "XTRIM x MAXLEN = 1",
    "XTRIM x MAXLEN = 1 FOO", "XTRIM x MINID 5-1", "XTRIM x MAXLEN ~ 0 LIMIT x", "XTRIM x NOMKSTREAM MAXLEN 1", "XTRIM x MAXLEN 0",
    "XTRIM x MAXLEN 1 MINID 5", "XTRIM x LIMIT 0 MAXLEN 1", "XTRIM x MAXLEN =", "XTRIM x LIMIT 1 MAXLEN ~ 100", "XTRIM x LIMIT 0",
    "XSETID x", "XSETID none 1-1", "XSETID none x", "XSETID s 1-1", "XSETID x x", "XSETID x 1-1", "XSETID x 5-5", "XSETID x 9-9",
    "XSETID x 9 ENTRIESADDED", "XSETID x 9 ENTRIESADDED x", "XSETID x 9 ENTRIESADDED -1", "XSETID x 9 ENTRIESADDED 1",
    "XSETID x 9 ENTRIESADDED 100", "XSETID x 9 MAXDELETEDID 10", "XSETID x 9 MAXDELETEDID 8", "XSETID x 9 MAXDELETEDID x",
    "XSETID x 9 FOO 8", "XSETID x 9 ENTRIESADDED 50 MAXDELETEDID 3-3", "XSETID s x", "XSETID x 9 MAXDELETEDID", "XREAD",
    "XREAD STREAMS x", "XREAD STREAMS x 0", "XREAD STREAMS x none 0 0", "XREAD STREAMS none 0", "XREAD STREAMS s 0",
    "XREAD STREAMS x foo", "XREAD STREAMS x >", "XREAD STREAMS x $", "XREAD STREAMS x 5-5", "XREAD STREAMS x 5-4", "XREAD STREAMS x -",
    "XREAD STREAMS x 5", "XREAD COUNT x STREAMS x 0", "XREAD COUNT 1 STREAMS x 0", "XREAD COUNT -1 STREAMS x 0",
    "XREAD COUNT 0 STREAMS x 0", "XREAD FOO 1 STREAMS x 0", "XREAD BLOCK x STREAMS x 0", "XREAD BLOCK -1 STREAMS x 0",
    "XREAD BLOCK 1 STREAMS x 0", "XREAD BLOCK 1.5 STREAMS x 0", "XREAD GROUP a b STREAMS x 0", "XREAD NOACK STREAMS x 0",
    "XREAD COUNT 1 BLOCK 1", "XREAD COUNT 1 BLOCK 1 STREAMS", "XREAD STREAMS s x foo 0", "XREAD STREAMS x s foo 0",
    "XREAD STREAMS x y 0 0", "XREAD BLOCK 1 STREAMS none $", "XREAD STREAMS x x 0 5-2",
    "XREAD STREAMS x 18446744073709551615-18446744073709551615", "XINFO", "XINFO STREAM", "XINFO STREAM x", "XINFO STREAM none",
    "XINFO STREAM s", "XINFO STREAM y", "XINFO STREAM x FULL", "XINFO STREAM x FULL COUNT", "XINFO STREAM x FULL COUNT 1",
    "XINFO STREAM x FULL COUNT 0", "XINFO STREAM x FULL COUNT -1", "XINFO STREAM x FULL COUNT x", "XINFO STREAM x FOO",
    "XINFO STREAM x FULL FOO 1", "XINFO STREAM none FOO", "XINFO GROUPS x", "XINFO GROUPS none", "XINFO GROUPS s", "XINFO FOO",
    "XINFO GROUPS", "TYPE y", "EXISTS y", "XLEN y", "XRANGE y - +", "XADD y 6-* f v", "XADD y 7-* f v", "XADD y 5-5 f v",
    "OBJECT ENCODING x", "APPEND x y", "LPUSH x y", "XINFO STREAM e", "XADD e * f v", "XADD e 18446744073709551615-* f v",
    "XTRIM e MAXLEN 0", "XDEL e 18446744073709551615-18446744073709551615",
]  # fmt: skip

SETUP = [
    "DEL x s y e none", "SET s string", "XADD x 5-1 f v", "XADD x 5-2 f v g w", "XADD x 5-5 f v", "XADD y 7-7 f v", "XDEL y 7-7",
    "XADD e 18446744073709551615-18446744073709551615 f v",
]  # fmt: skip


@pytest.mark.parametrize("line", WRONG)
def test_errors_and_edges_are_those_of_redis(redis: Oracle, memory: Runner, line: str) -> None:
    for setup in SETUP:
        redis.run(*setup.split())
        memory(*setup.split())
    words: list[Any] = line.split()
    reply = memory(*words)
    if "BLOCK" in words and reply.__class__.__name__ == "Blocked":
        reply = reply.timeout_reply
    same(redis, reply, words)
    for key in "xye":
        for words in (["XRANGE", key, "-", "+"], ["XINFO", "STREAM", key]):
            same(redis, memory(*words), words)
    assert memory.findings() == []


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("XREAD STREAMS x none 0", "Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified."),
        ("XREAD BLOCK 9223372036854775807 STREAMS x 0", "timeout is out of range"),
        ("XSETID y 1", "The ID specified in XSETID is smaller than current max_deleted_entry_id"),
    ],
)
def test_some_errors_are_those_of_a_later_redis(memory: Runner, line: str, text: str) -> None:
    """Redis 7.0 answers otherwise: 7.2 has these texts and checks."""
    for setup in SETUP:
        memory(*setup.split())
    assert plain(memory(*line.split())) == f"ERR {text}"


def test_an_approximate_trimming_takes_the_runs_that_redis_takes(redis: Oracle, tmp_path: Path) -> None:
    """As long as it is never empty and nothing is deleted in between, the nodes of its tree begin where our runs do."""
    rng = random.Random(1)
    redis.run("FLUSHALL")
    runner = Runner(tmp_path / "store")
    for words in (["CONFIG", "SET", "stream-node-max-entries", 7], ["XADD", "x", "1-0", "f", "v"]):
        same(redis, runner(*words), words)
    for number in range(2, 800):
        limit = rng.choice([[], ["LIMIT", rng.choice([0, 1, 5, 7, 20])]])
        kept = ["MAXLEN", "~", rng.choice([20, 60, 200])] if rng.random() < 0.5 else ["MINID", "~", max(1, number - rng.choice([20, 200]))]
        trim = ["XTRIM", "x", *rng.choice([["MAXLEN", rng.randrange(20, 200)], [*kept, *limit], [*kept, *limit]])]
        words = rng.choice([["XADD", "x", f"{number}-0", "f", "v"]] * 8 + [["XADD", "x", *kept, *limit, f"{number}-0", "f", "v"], trim])
        same(redis, runner(*words), words)
        same(redis, runner("XLEN", "x"), ["XLEN", "x"])
    redis.run("CONFIG", "SET", "stream-node-max-entries", 100)
    runner.close()


def test_an_approximate_trimming_is_exact_up_to_its_limit(run: Runner) -> None:
    run("CONFIG", "SET", "stream-node-max-entries", 1)
    for number in range(1, 301):
        run("XADD", "x", number, "f", number)
    assert run("XTRIM", "x", "MAXLEN", "~", 100, "LIMIT", 20) == 20
    assert run("XTRIM", "x", "MINID", "~", 31, "LIMIT", 100) == 10
    assert run("XTRIM", "x", "MAXLEN", "~", 200, "LIMIT", 0) == 70
    run("XADD", "x", "MAXLEN", "~", 100, "LIMIT", 1, "301", "f", "v")
    assert run("XLEN", "x") == 200
    run.reopen()
    assert run("XLEN", "x") == 200
    assert run("XTRIM", "x", "MAXLEN", "~", 5) == 100
    assert run("XTRIM", "x", "MAXLEN", "~", 5) == 95
    assert [number for number, _ in run("XRANGE", "x", "-", "+")] == [b"%d-0" % number for number in range(297, 302)]


def test_a_stream_larger_than_its_share_of_memory(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "store", maxmemory="1mb")
    for first in range(1, 6001, 500):
        runner.batch([["XADD", "x", f"{number}-0", "f", number] for number in range(first, first + 500)])
        runner.checkpoint()
    store = runner.executor.store
    value = store.databases[0].objects.get(b"x")
    if value is not None:
        assert isinstance(value, Stream)
        assert 0 < len(value.resident) < 6000
        assert value.weight < store.cache.budget
    assert runner("XLEN", "x") == 6000
    assert [number for number, _ in runner("XRANGE", "x", "-", "+")] == [b"%d-0" % number for number in range(1, 6001)]
    assert [number for number, _ in runner("XREVRANGE", "x", 4000, 1, "COUNT", 2)] == [b"4000-0", b"3999-0"]
    assert runner("XTRIM", "x", "MAXLEN", 10) == 5990
    assert runner.findings() == []
    runner.reopen()
    assert len(runner("XRANGE", "x", "-", "+")) == 10
    assert runner("XINFO", "STREAM", "x")[b"entries-added"] == 6000
    runner.close()


@pytest.mark.parametrize("words", [["XTRIM", "x", "MAXLEN", 100], ["XTRIM", "x", "MINID", 901], ["XDEL", "x", *range(1, 901)]])
def test_what_was_removed_in_front_is_not_walked_over(run: Runner, words: list[Any]) -> None:
    run.batch([["XADD", "x", number, "f", "v"] for number in range(1, 1001)])
    run.evict()
    assert run(*words) == 900
    assert run("XRANGE", "x", "-", "+", "COUNT", 1) == [[b"901-0", [b"f", b"v"]]]
    run.reopen()
    with run.executor.store.lock:
        value = run.executor.store.databases[0].find(b"x")
    assert isinstance(value, Stream)
    assert value.low >= 900 << 64
    assert value.first() == 901 << 64


def test_ids_of_the_clock_are_logged(run: Runner) -> None:
    ids = [run("XADD", "x", "*", "f", number) for number in range(3)]
    assert ids == [b"%d-%d" % (run.clock(), number) for number in range(3)]
    run.reopen()
    assert [number for number, _ in run("XRANGE", "x", "-", "+")] == ids
    with run.executor.store.lock:
        value = run.executor.store.databases[0].find(b"x")
    assert isinstance(value, Stream)
    assert len(value.range(0, ID_MAX)) == 3
