"""Streams with consumer groups go to Redis and come back by DUMP and RESTORE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import oracle
from tests.support.oracle import Oracle, plain
from tests.support.runner import Runner


@pytest.fixture(scope="module")
def redis() -> Iterator[Oracle]:
    server = oracle.start()
    yield server
    server.close()


def told(full: Any) -> Any:
    """XINFO STREAM FULL without the nodes of Redis' tree, and without when consumers were seen."""
    full[3] = full[5] = None
    for group in full[-1]:
        for consumer in group[13]:
            consumer[:] = [consumer[1], consumer[-1]]
    return full


def test_groups_go_both_ways(redis: Oracle, run: Runner) -> None:
    for words in (
        *(["XADD", "x", f"{number}-1", "f", number] for number in range(1, 60)),
        ["XGROUP", "CREATE", "x", "g", "0", "ENTRIESREAD", 0],
        ["XGROUP", "CREATE", "x", "empty", "$"],
        ["XREADGROUP", "GROUP", "g", "ann", "COUNT", 20, "STREAMS", "x", ">"],
        ["XREADGROUP", "GROUP", "g", "bob", "COUNT", 20, "STREAMS", "x", ">"],
        ["XCLAIM", "x", "g", "ann", 0, *(f"{number}-1" for number in range(1, 60)), "TIME", 1000, "RETRYCOUNT", 7],
        ["XGROUP", "CREATECONSUMER", "x", "g", "idle"],
        ["XACK", "x", "g", "3-1", "5-1"],
        ["XDEL", "x", "7-1"],
    ):
        redis.run(*words)
    there = redis.run("XINFO", "STREAM", "x", "FULL", "COUNT", 0)
    assert plain(run("RESTORE", "y", 0, redis.run("DUMP", "x"))) == b"OK"
    assert run.findings() == []
    run.reopen()
    here = plain(run("XINFO", "STREAM", "y", "FULL", "COUNT", 0))
    assert told(here) == told(there)
    assert redis.run("RESTORE", "z", 0, run("DUMP", "y")) == b"OK"
    assert told(redis.run("XINFO", "STREAM", "z", "FULL", "COUNT", 0)) == there
