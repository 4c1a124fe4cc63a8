"""XREAD BLOCK: who is told of which entries, and what `$` means to one who waits."""

from __future__ import annotations

import pytest

from diskkv.replies import NIL_ARRAY, Blocked, Named
from diskkv.resp.encode import encode
from tests.commands.test_list_blocking import Client
from tests.support.oracle import plain
from tests.support.runner import Runner


def test_all_who_wait_are_told_of_a_new_entry(run: Runner) -> None:
    run("XADD", "x", "1-1", "f", "old")
    clients = [Client(run) for _ in range(3)]
    for client in clients:
        assert isinstance(client("XREAD", "BLOCK", 0, "STREAMS", "y", "x", "$", "$"), Blocked)
    run("XADD", "x", "2-1", "f", "new")
    assert [plain(client.replies) for client in clients] == [[[[b"x", [[b"2-1", [b"f", b"new"]]]]]]] * 3
    assert run.executor.waiters.count == 0
    assert run("XLEN", "x") == 2


def test_dollar_means_the_moment_of_the_call(run: Runner) -> None:
    """Entries of one transaction are served together, after its end; and one that was in the meantime deleted to nothing wakes nobody."""
    run("XADD", "x", "5-5", "f", "old")
    client = Client(run)
    client("XREAD", "COUNT", 10, "BLOCK", 1000, "STREAMS", "x", "$")
    run.batch([["MULTI"], ["XADD", "x", "6-1", "f", "a"], ["XDEL", "x", "6-1"], ["EXEC"]])
    assert client.replies == []
    run("DEL", "x")
    run("XADD", "x", "1-1", "f", "low")
    assert client.replies == []
    run.batch([["MULTI"], ["XADD", "x", "7-1", "f", "b"], ["XADD", "x", "7-2", "f", "c"], ["EXEC"]])
    assert plain(client.replies) == [[[b"x", [[b"7-1", [b"f", b"b"]], [b"7-2", [b"f", b"c"]]]]]]


def test_a_key_of_another_type_wakes_nobody(run: Runner) -> None:
    client = Client(run)
    client("XREAD", "BLOCK", 0, "STREAMS", "x", "$")
    run("LPUSH", "x", "v")
    run("DEL", "x")
    assert client.replies == []
    run("XADD", "y", "1-1", "f", "v")
    run("RENAME", "y", "x")
    assert plain(client.replies) == [[[b"x", [[b"1-1", [b"f", b"v"]]]]]]


def test_deadline_and_refusal(run: Runner) -> None:
    blocked = run("XREAD", "BLOCK", 1500, "STREAMS", "x", "y", "$", "3")
    assert list(blocked.keys) == [b"x", b"y"]
    assert blocked.deadline == run.clock() + 1500
    assert blocked.argv == [b"XREAD", b"BLOCK", b"1500", b"STREAMS", b"x", b"y", b"0-0", b"3-0"]
    assert blocked.timeout_reply is NIL_ARRAY
    assert run("XREAD", "BLOCK", 0, "STREAMS", "x", "0").deadline is None
    run("MULTI")
    run("XREAD", "BLOCK", 0, "STREAMS", "x", "0")
    assert run("EXEC") == [NIL_ARRAY]


@pytest.mark.parametrize(
    ("protocol", "raw"),
    [(2, b"*1\r\n*2\r\n$1\r\nx\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"),
     (3, b"%1\r\n$1\r\nx\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n")],
)  # fmt: skip
def test_streams_read_are_a_map_in_resp3(run: Runner, protocol: int, raw: bytes) -> None:
    run("XADD", "x", "1-1", "f", "v")
    reply = run("XREAD", "STREAMS", "x", "0")
    assert isinstance(reply, Named)
    assert encode(reply, protocol) == raw


def test_reading_is_not_logged(run: Runner) -> None:
    client = Client(run)
    client("XREAD", "BLOCK", 0, "STREAMS", "x", "$")
    run("XADD", "x", "*", "f", "v")
    run.reopen()
    assert run("XLEN", "x") == 1


def test_a_stream_that_is_named_again_is_not_copied(run: Runner) -> None:
    run("XADD", "x", "1-1", "f", "v")
    run("XADD", "x", "2-1", "f", "w")
    (_, first), (_, second), (_, later) = run("XREAD", "STREAMS", "x", "x", "x", 0, 0, "1-1").items
    assert first is second
    assert plain(first) == [[b"1-1", [b"f", b"v"]], [b"2-1", [b"f", b"w"]]]
    assert plain(later) == [[b"2-1", [b"f", b"w"]]]
