"""HyperLogLogs against Redis, byte by byte: the strings are the same after every command, through eviction, restarts and corruption."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.lib import hyperloglog as hll
from tests.support.oracle import Oracle, plain, start
from tests.support.runner import Runner


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    server = start()
    yield server
    server.close()


def same(run: Runner, oracle: Oracle, *argv: Any) -> Any:
    want = oracle.run(*argv)
    assert plain(run(*argv)) == want, argv
    return want


def elements(rng: random.Random) -> list[bytes]:
    count = rng.choice((0, 1, 1, 1, 5, 50, 300))
    return [rng.randbytes(rng.randrange(30)) if rng.random() < 0.3 else b"%d" % rng.randrange(4000) for _ in range(count)]


def both(run: Runner, oracle: Oracle, limit: int) -> None:
    assert plain(run("CONFIG", "SET", "hll-sparse-max-bytes", limit)) == oracle.run("CONFIG", "SET", "hll-sparse-max-bytes", limit)


@pytest.mark.parametrize("limit", [3000, 300, 20, 0, 20000])
def test_every_byte(run: Runner, oracle: Oracle, limit: int) -> None:
    rng = random.Random(limit)
    oracle.run("FLUSHALL")
    both(run, oracle, limit)
    for turn in range(150):
        key = f"h{rng.randrange(4)}"
        match rng.randrange(10):
            case 0:
                same(run, oracle, "PFMERGE", key, *(f"h{rng.randrange(5)}" for _ in range(rng.randrange(4))))
            case 1:
                same(run, oracle, "PFCOUNT", key)
            case 2:
                same(run, oracle, "PFCOUNT", *(f"h{rng.randrange(5)}" for _ in range(3)))
            case 3 if turn % 3 == 0:
                same(run, oracle, "PFDEBUG", rng.choice(("ENCODING", "DECODE", "GETREG", "TODENSE", "nope")), key)
            case 4 if turn % 5 == 0:
                run.evict()
            case 5 if turn % 5 == 0:
                same(run, oracle, "DEL", key)
            case _:
                same(run, oracle, "PFADD", key, *elements(rng))
        same(run, oracle, "GET", key)


def test_what_redis_has_written_goes_on_here_and_back(run: Runner, oracle: Oracle) -> None:
    oracle.run("FLUSHALL")
    both(run, oracle, 3000)
    for count in (10, 400, 5000):
        for first in range(0, count, 100):
            oracle.run("PFADD", "theirs", *range(first, min(first + 100, count)))
        run("SET", "theirs", oracle.run("GET", "theirs"))
        assert run("PFCOUNT", "theirs") == oracle.run("PFCOUNT", "theirs")
        same(run, oracle, "PFADD", "theirs", "one more", count)
        same(run, oracle, "GET", "theirs")


@pytest.mark.parametrize("sparse", [True, False])
def test_spoiled_ones(run: Runner, oracle: Oracle, sparse: bool) -> None:
    oracle.run("FLUSHALL")
    both(run, oracle, 3000)
    rng = random.Random(sparse)
    for _ in range(120):
        made = hll.add(hll.EMPTY, [b"%d" % rng.randrange(10**6) for _ in range(rng.choice((1, 30, 200)))], 3000 if sparse else 0)
        assert made is not None
        data = bytearray(made)
        for _ in range(rng.choice((0, 1, 1, 3))):
            data[rng.randrange(len(data) if rng.random() < 0.8 else 16)] = rng.randrange(256)
        spoiled = bytes(data[: rng.choice((len(data), len(data), 16, 15, len(data) - 1))])
        spoiled += rng.choice((b"", b"", b"\x80", b"\x00", b"\x40"))
        same(run, oracle, "SET", "h", spoiled)
        same(run, oracle, "PFCOUNT", "h", "none")
        same(run, oracle, "PFCOUNT", "h")
        same(run, oracle, "PFMERGE", "target", "h")
        same(run, oracle, "PFDEBUG", "ENCODING", "h")
        same(run, oracle, "PFDEBUG", "GETREG", "h")
        same(run, oracle, "GET", "target")


def test_registers_that_no_element_makes(run: Runner, oracle: Oracle) -> None:
    oracle.run("FLUSHALL")
    for fill in (b"\xff", b"\x00", b"\x55", b"\xf3\x3c\xcf"):
        same(run, oracle, "SET", "h", b"HYLL" + bytes(11) + b"\x80" + (fill * 12288)[:12288])
        same(run, oracle, "PFCOUNT", "h")
        same(run, oracle, "PFCOUNT", "h")
        same(run, oracle, "GET", "h")


WRONG = [
    "SET s text", "RPUSH l a", "PFADD s", "PFADD l a", "PFCOUNT l", "PFCOUNT s", "PFCOUNT none s", "PFMERGE d s", "PFMERGE l",
    "PFDEBUG GETREG none", "PFDEBUG GETREG l", "PFDEBUG GETREG s", "PFADD h", "PFADD h", "PFDEBUG FOO h", "PFDEBUG DECODE h",
    "PFDEBUG encoding h", "PFDEBUG ENCODING", "PFMERGE e", "GET e", "PFCOUNT e", "GET e", "PFCOUNT none", "EXISTS none", "PFSELFTEST x",
]  # fmt: skip


def test_errors(run: Runner, oracle: Oracle) -> None:
    oracle.run("FLUSHALL")
    for line in WRONG:
        same(run, oracle, *line.split())
    assert plain(run("PFSELFTEST")) == b"OK"


def test_a_replay_under_another_limit_gives_the_same_bytes(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    for key, limit in (("small", 100), ("usual", 3000), ("great", 30000)):
        run("CONFIG", "SET", "hll-sparse-max-bytes", limit)
        for number in range(0, 2000, 20):
            run("PFADD", key, *range(number, number + 20))
        run("PFMERGE", key + "copy", key, "none")
    run("PFCOUNT", "usual")
    keys = [key + suffix for key in ("small", "usual", "great") for suffix in ("", "copy")]
    before = [run("GET", key) for key in keys]
    # As after a crash: the log is there, the engine has nothing of it.
    copy = tmp_path / "copy"
    with run.executor.store.lock:
        run.executor.store.log.sync()
        shutil.copytree(tmp_path / "store", copy)
    again = Runner(copy, **{"hll-sparse-max-bytes": "500"})
    assert [again("GET", key) for key in keys] == before
    assert {len(data) == hll.DENSE_SIZE for data in before} == {True, False}
    again.close()
    run.close()


def test_counting_does_not_change_what_cannot_be_logged(run: Runner) -> None:
    run("PFADD", "h", "a", "b")
    before = run("GET", "h")
    run.executor.pausing.begin(run.clock() + 10_000, everything=False)
    session = run.executor.open_session()
    with run.executor.store.lock:
        run.executor.begin()
        assert run.executor.gated
        command = run.executor.find([b"PFCOUNT"])
        assert run.executor.call(session, command, [b"PFCOUNT", b"h"]) == 2  # type: ignore[arg-type]
    run.executor.pausing.end()
    assert run("GET", "h") == before
    assert run("PFCOUNT", "h") == 2
    assert run("GET", "h") != before
