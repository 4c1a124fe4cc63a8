"""XNACK, of which the oracle knows nothing: as Redis 8.8 documents it and its source has it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from diskkv.errors import CommandError, NotInteger
from diskkv.replies import Blocked
from tests.commands.test_list_blocking import Client
from tests.commands.test_stream_claiming import entry, read
from tests.support.oracle import plain
from tests.support.runner import Runner
from tests.support.whereabouts import HOW, settle

MOST = (1 << 63) - 1


@pytest.fixture
def stream(run: Runner) -> Runner:
    """Entries 1 to 6: ann has been given 1 to 3 and bob 4 and 5, of which 3 twice."""
    run("XGROUP", "CREATE", "x", "g", 0, "MKSTREAM")
    for number in range(1, 7):
        run("XADD", "x", number, "f", "v")
    read(run, "ann", "COUNT", 3)
    read(run, "bob", "COUNT", 2)
    run("XCLAIM", "x", "g", "ann", 0, 3)
    run.clock.advance(100)
    return run


def rows(run: Runner, *options: Any) -> list[Any]:
    """What XPENDING says of each entry: the id's first part, whose it is, for how long, and how often it was delivered."""
    return [[int(row[0].partition(b"-")[0]), *row[1:]] for row in plain(run("XPENDING", "x", "g", *options))]


def pending(run: Runner) -> list[Any]:
    return rows(run, "-", "+", 100)


def nack(run: Runner, mode: str, *words: Any, count: int | None = None) -> Any:
    ids = [word for word in words if isinstance(word, int)]
    return run("XNACK", "x", "g", mode, "IDS", len(ids) if count is None else count, *words)




@HOW
def test_what_is_given_back_is_nobodys(stream: Runner, how: str) -> None:
    stream.checkpoint()
    assert nack(stream, "fail", 3, 4, 6, 99) == 2
    settle(stream, how)
    assert pending(stream) == [[1, b"ann", 100, 1], [2, b"ann", 100, 1], [3, b"", -1, 2], [4, b"", -1, 1], [5, b"bob", 100, 1]]
    assert plain(stream("XPENDING", "x", "g")) == [5, b"1-0", b"5-0", [[b"ann", b"2"], [b"bob", b"1"]]]
    # However long the others have to have been idle, and not among those of anyone.
    assert [row[0] for row in rows(stream, "IDLE", 1000, "-", "+", 100)] == [3, 4]
    assert [row[0] for row in rows(stream, "-", "+", 100, "ann")] == [1, 2]
    told = stream("XINFO", "STREAM", "x", "FULL")[b"groups"][0]
    assert (told[b"pel-count"], told[b"nacked-count"]) == (5, 2)
    assert [b"3-0", b"", 0, 2] in told[b"pending"]
    assert nack(stream, "FAIL", 3) == 1


@HOW
@pytest.mark.parametrize(
    ("mode", "options", "times"),
    [
        ("SILENT", (), [0, 1]),
        ("FAIL", (), [1, 2]),
        ("FATAL", (), [MOST, MOST]),
        ("SILENT", ("RETRYCOUNT", 7), [7, 7]),
        ("FATAL", ("RETRYCOUNT", 0), [0, 0]),
    ],
)
def test_how_often_it_was_delivered(stream: Runner, mode: str, options: tuple[Any, ...], times: list[int], how: str) -> None:
    assert stream("XNACK", "x", "g", mode, *options, "IDS", 2, 1, 3) == 2
    settle(stream, how)
    assert [row[3] for row in pending(stream) if row[1] == b""] == times
    # It is not counted any further than that.
    told = read(stream, "cid", "CLAIM", 10**6, "COUNT", 2)
    assert [row[3] for row in told] == times
    assert [row[3] for row in pending(stream) if row[1] == b"cid"] == [min(each + 1, MOST) for each in times]
    stream("XCLAIM", "x", "g", "cid", 0, 1)
    assert pending(stream)[0][3] == min(times[0] + 2, MOST)
    read(stream, "cid", mark="0")
    stream("XAUTOCLAIM", "x", "g", "cid", 0, 0, "COUNT", 1)
    assert pending(stream)[0][3] == min(times[0] + 4, MOST)


@HOW
def test_what_was_given_back_first_comes_first(stream: Runner, how: str) -> None:
    now = stream.clock.now
    assert nack(stream, "FAIL", 5, 2) == 2
    assert nack(stream, "FAIL", 4) == 1
    # Given back once more, it comes last.
    assert nack(stream, "FAIL", 5) == 1
    # What was delivered at the beginning of time comes behind them nevertheless.
    stream("XCLAIM", "x", "g", "ann", 0, 1, "TIME", 0, "JUSTID")
    settle(stream, how)
    assert read(stream, "cid", "CLAIM", 50) == [
        entry(2, now, 1), entry(4, now, 1), entry(5, now, 1), entry(1, now, 1), entry(3, 100, 2), entry(6, 0, 0),
    ]  # fmt: skip
    assert [row[1] for row in pending(stream)] == [b"cid"] * 6
    assert stream("XINFO", "STREAM", "x", "FULL")[b"groups"][0][b"nacked-count"] == 0


@HOW
def test_everybody_may_claim_it_at_once(stream: Runner, how: str) -> None:
    nack(stream, "FAIL", 1, 2, 3)
    settle(stream, how)
    assert plain(stream("XCLAIM", "x", "g", "cid", 10**9, 1, 4, "JUSTID")) == [b"1-0"]
    assert plain(stream("XAUTOCLAIM", "x", "g", "cid", 10**9, 0)) == [b"0-0", [entry(2), entry(3)], []]
    assert pending(stream)[:3] == [[1, b"cid", 0, 1], [2, b"cid", 0, 2], [3, b"cid", 0, 3]]


@HOW
def test_what_else_may_become_of_it(stream: Runner, how: str) -> None:
    nack(stream, "FAIL", 1, 2, 3, 4)
    settle(stream, how)
    assert stream("XACK", "x", "g", 1) == 1
    stream("XDEL", "x", 2, 3)
    # What is in the stream no more is found to be so.
    assert plain(stream("XCLAIM", "x", "g", "cid", 0, 2)) == []
    assert plain(stream("XAUTOCLAIM", "x", "g", "cid", 10**9, 0, "COUNT", 1)) == [b"4-0", [], [b"3-0"]]
    assert [row[0] for row in pending(stream)] == [4, 5]
    assert stream("XGROUP", "DELCONSUMER", "x", "g", "bob") == 1
    assert pending(stream) == [[4, b"", -1, 1]]
    # XGROUP SETID has it delivered as if it were new.
    stream("XGROUP", "SETID", "x", "g", "3-9")
    assert read(stream, "dan", "COUNT", 1) == [entry(4)]
    assert pending(stream) == [[4, b"dan", 0, 1]]
    nack(stream, "FAIL", 4)
    stream("XACKDEL", "x", "g", "IDS", 1, 4)
    assert pending(stream) == []
    nack(stream, "FAIL", 5, "FORCE")
    stream("XGROUP", "DESTROY", "x", "g")
    settle(stream, how)
    assert stream("XINFO", "GROUPS", "x") == []


def test_force_makes_what_is_not_pending_so(stream: Runner) -> None:
    stream("XDEL", "x", 5)
    assert nack(stream, "FAIL", 6, 5, 99, "FORCE") == 2
    assert stream("XNACK", "x", "g", "FATAL", "FORCE", "IDS", 1, 99) == 0
    assert pending(stream)[4:] == [[5, b"", -1, 1], [6, b"", -1, 0]]
    stream("XADD", "x", 7, "f", "v")
    stream("XADD", "x", 8, "f", "v")
    assert nack(stream, "FATAL", 7, "FORCE") == 1
    assert stream("XNACK", "x", "g", "SILENT", "IDS", 1, 8, "FORCE", "RETRYCOUNT", 4) == 1
    stream.reopen()
    assert pending(stream)[5:] == [[6, b"", -1, 0], [7, b"", -1, MOST], [8, b"", -1, 4]]


def test_who_waits_to_claim_is_woken(stream: Runner) -> None:
    read(stream, "ann")
    claiming, other = Client(stream), Client(stream)
    for client, options in ((other, ()), (claiming, ("CLAIM", 10**6))):
        words = ("XREADGROUP", "GROUP", "g", "cid", *options, "BLOCK", 0, "STREAMS", "x", ">")
        assert isinstance(client(*words), Blocked)
    nack(stream, "FAIL", 2)
    assert plain(claiming.replies) == [[[b"x", [entry(2, stream.clock.now, 1)]]]]
    assert other.replies == []


def test_those_who_watch_the_key_are_not_told(stream: Runner) -> None:
    stream("WATCH", "x")
    nack(stream, "FAIL", 1)
    assert stream.batch([["MULTI"], ["PING"], ["EXEC"]])[2] is not None


@HOW
def test_copies_and_dumps_have_the_same(stream: Runner, how: str) -> None:
    nack(stream, "FAIL", 4, 1)
    nack(stream, "SILENT", 3)
    settle(stream, how)
    assert stream("COPY", "x", "copy") == 1
    assert plain(stream("RESTORE", "dumped", 0, stream("DUMP", "x"))) == b"OK"
    for key in ("copy", "dumped"):
        assert stream("XPENDING", key, "g", "-", "+", 100) == stream("XPENDING", "x", "g", "-", "+", 100)
        told = plain(stream("XREADGROUP", "GROUP", "g", "cid", "CLAIM", 10**6, "COUNT", 3, "STREAMS", key, ">"))
        assert [int(number.partition(b"-")[0]) for number, *_ in told[0][1]] == [4, 1, 3]


@pytest.mark.parametrize("written", [False, True])
def test_the_log_says_what_was_given_back(stream: Runner, tmp_path: Path, written: bool) -> None:
    if written:
        stream.checkpoint()
    nack(stream, "FAIL", 5, 1)
    nack(stream, "SILENT", 3)
    nack(stream, "FATAL", 6, "FORCE")
    read(stream, "cid", "CLAIM", 10**6, "COUNT", 1)
    # What was killed at this moment has the same.
    shutil.copytree(stream.path, tmp_path / "killed")
    killed = Runner(tmp_path / "killed", clock=stream.clock)
    assert pending(killed) == pending(stream)
    left = [read(each, "dan", "CLAIM", 10**6, "COUNT", 3) for each in (stream, killed)]
    assert left[0] == left[1]
    assert [row[0] for row in left[0]] == [b"1-0", b"3-0", b"6-0"]
    assert killed.findings() == []
    killed.close()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("none", "g", "FAIL", "IDS", 1, 1), "No such key 'none' or consumer group 'g'"),
        (("x", "none", "NOPE", "IDS", 1, 1), "No such key 'x' or consumer group 'none'"),
        (("x", "g", "NOPE", "IDS", 1, 1), "mode must be SILENT, FAIL, or FATAL"),
        (("x", "g", "FAIL", "IDS", 0, 1), "numids must be a positive integer"),
        (("x", "g", "FAIL", "IDS", "x", 1), "numids must be a positive integer"),
        (("x", "g", "FAIL", "IDS", 2, 1), "number of IDs doesn't match numids"),
        (("x", "g", "FAIL", "IDS", 1, 1, 2), "Unrecognized XNACK option '2'"),
        (("x", "g", "FAIL", "FORCE", "RETRYCOUNT", 1), "syntax error, expected IDS keyword"),
        (("x", "g", "FAIL", "IDS", 1, 1, "RETRYCOUNT"), "Unrecognized XNACK option 'RETRYCOUNT'"),
        (("x", "g", "FAIL", "RETRYCOUNT", -1, "IDS", 1, 1), "Invalid RETRYCOUNT value, must be >= 0"),
        (("x", "g", "FAIL", "RETRYCOUNT", "x", "IDS", 1, 1), NotInteger().text),
        (("x", "g", "FAIL", "IDS", 2, 1, "nope"), "Invalid stream ID specified as stream command argument"),
    ],
)
def test_refused(stream: Runner, words: tuple[Any, ...], error: str) -> None:
    before = pending(stream)
    reply = stream("XNACK", *words)
    assert isinstance(reply, CommandError)
    assert reply.text == error
    assert pending(stream) == before
