"""XDELEX, XACKDEL, and KEEPREF, DELREF and ACKED of XADD and XTRIM, of which the oracle knows nothing: as Redis 8.2 documents them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.oracle import plain
from tests.support.runner import Runner

BOTH = [b"g", b"h"]


def ids(run: Runner) -> list[int]:
    return [int(number.partition(b"-")[0]) for number, _ in run("XRANGE", "x", "-", "+")]


def pending(run: Runner, group: str) -> list[int]:
    return [int(row[0].partition(b"-")[0]) for row in run("XPENDING", "x", group, "-", "+", 100)]


@pytest.fixture
def stream(run: Runner) -> Runner:
    """Entries 1 to 8. Group g has been given 1 to 6, and acknowledged 1 and 2; h has been given 1 to 4, and acknowledged 1 and 3."""
    for number in range(1, 9):
        run("XADD", "x", number, "f", "v")
    for group, count, acknowledged in (("g", 6, (1, 2)), ("h", 4, (1, 3))):
        run("XGROUP", "CREATE", "x", group, 0)
        run("XREADGROUP", "GROUP", group, "ann", "COUNT", count, "STREAMS", "x", ">")
        run("XACK", "x", group, *acknowledged)
    return run


@pytest.mark.parametrize("store", ["in memory", "evicted"])
@pytest.mark.parametrize(
    ("words", "reply", "left", "of_g", "of_h"),
    [
        ("XDELEX x IDS 3 1 3 99", [1, 1, -1], [2, 4, 5, 6, 7, 8], [3, 4, 5, 6], [2, 4]),
        ("XDELEX x KEEPREF IDS 1 4", [1], [1, 2, 3, 5, 6, 7, 8], [3, 4, 5, 6], [2, 4]),
        ("XDELEX x DELREF IDS 3 4 2 8", [1, 1, 1], [1, 3, 5, 6, 7], [3, 5, 6], []),
        ("XDELEX x ACKED IDS 6 1 2 3 5 8 99", [1, 2, 2, 2, 2, 2], [2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6], [2, 4]),
        ("XDELEX x IDS 1 1 ACKED", [1], [2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6], [2, 4]),
        ("XDELEX none IDS 2 1 2", [-1, -1], [1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6], [2, 4]),
        ("XACKDEL x g IDS 3 1 4 5", [-1, 1, 1], [1, 2, 3, 6, 7, 8], [3, 6], [2, 4]),
        ("XACKDEL x g DELREF IDS 2 2 4", [-1, 1], [1, 2, 3, 5, 6, 7, 8], [3, 5, 6], [2]),
        ("XACKDEL x h ACKED IDS 3 2 4 1", [1, 2, -1], [1, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6], []),
        ("XACKDEL x none IDS 1 1", [-1], [1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6], [2, 4]),
        ("XTRIM x MAXLEN 5", 3, [4, 5, 6, 7, 8], [3, 4, 5, 6], [2, 4]),
        ("XTRIM x MAXLEN 5 KEEPREF", 3, [4, 5, 6, 7, 8], [3, 4, 5, 6], [2, 4]),
        ("XTRIM x MAXLEN 5 DELREF", 3, [4, 5, 6, 7, 8], [4, 5, 6], [4]),
        ("XTRIM x DELREF MINID 5", 4, [5, 6, 7, 8], [5, 6], []),
        ("XTRIM x MAXLEN 2 ACKED", 1, [2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6], [2, 4]),
        ("XTRIM x MINID 8 ACKED", 1, [2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6], [2, 4]),
        ("XADD x DELREF MAXLEN 4 9 f v", b"9-0", [6, 7, 8, 9], [6], []),
        ("XADD x MAXLEN 4 ACKED 9 f v", b"9-0", [2, 3, 4, 5, 6, 7, 8, 9], [3, 4, 5, 6], [2, 4]),
        ("XADD x ACKED 9 f v", b"9-0", [1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 4, 5, 6], [2, 4]),
    ],
)
def test_what_is_deleted_and_what_is_pending(
    stream: Runner, store: str, words: str, reply: Any, left: list[int], of_g: list[int], of_h: list[int]
) -> None:
    if store == "evicted":
        stream.evict()
    assert stream(*words.split()) == reply
    for _ in range(2):
        assert (ids(stream), pending(stream, "g"), pending(stream, "h")) == (left, of_g, of_h)
        assert stream.findings() == []
        stream.reopen()


@pytest.mark.parametrize(
    "words", ["XTRIM x MAXLEN 2 ACKED", "XADD x MAXLEN 4 ACKED * f v", "XTRIM x MAXLEN 4 DELREF", "XADD x MINID 5 DELREF * f v"]
)
def test_replay_finds_the_same(stream: Runner, words: str) -> None:
    stream.checkpoint()
    stream("XACK", "x", "h", 2, 4)
    stream(*words.split())
    before = stream("XRANGE", "x", "-", "+"), pending(stream, "g"), pending(stream, "h")
    stream.clock.now += 1000
    stream.reopen()
    assert (stream("XRANGE", "x", "-", "+"), pending(stream, "g"), pending(stream, "h")) == before


def test_without_groups_every_entry_may_go(run: Runner) -> None:
    for number in range(1, 6):
        run("XADD", "x", number, "f", "v")
    assert run("XDELEX", "x", "ACKED", "IDS", 1, 2) == [1]
    assert run("XTRIM", "x", "MAXLEN", 2, "ACKED") == 2
    assert ids(run) == [4, 5]


def test_dangling_references_go_with_what_is_gone(stream: Runner) -> None:
    stream("XDEL", "x", 4)
    assert stream("XDELEX", "x", "DELREF", "IDS", 1, 4) == [-1]
    assert (pending(stream, "g"), pending(stream, "h")) == ([3, 5, 6], [2])
    stream("XDEL", "x", 5)
    assert stream("XACKDEL", "x", "g", "IDS", 1, 5) == [1]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("XDELEX x IDS 0 1", "ERR Number of IDs must be a positive integer"),
        ("XDELEX x IDS a 1", "ERR Number of IDs must be a positive integer"),
        ("XDELEX x IDS 2 1", "ERR The `numids` parameter must match the number of arguments"),
        ("XDELEX x IDS 1 1 2", "ERR syntax error"),
        ("XDELEX x KEEPREF DELREF IDS 1 1", "ERR syntax error"),
        ("XDELEX x IDS 1 bad", "ERR Invalid stream ID specified as stream command argument"),
        ("XDELEX s IDS 1 1", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("XDELEX x 1 2", "ERR wrong number of arguments for 'xdelex' command"),
        ("XACKDEL x g IDS -1 1", "ERR Number of IDs must be a positive integer"),
        ("XACKDEL x g ACKED ACKED IDS 1 1", "ERR syntax error"),
        ("XTRIM x MAXLEN 1 ACKED DELREF", "ERR syntax error"),
        ("XTRIM x ACKED", "ERR wrong number of arguments for 'xtrim' command"),
        ("XTRIM x ACKED LIMIT 0", "ERR syntax error, XTRIM must be called with a trimming strategy"),
    ],
)
def test_errors(stream: Runner, words: str, error: str) -> None:
    stream("SET", "s", "v")
    assert plain(stream(*words.split())) == error
    assert ids(stream) == list(range(1, 9))
