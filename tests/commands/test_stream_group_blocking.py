"""XREADGROUP BLOCK: who is served in what order, and who is told that there is nothing to wait for any more."""

from __future__ import annotations

from typing import Any

import pytest

from diskkv.errors import WrongType
from diskkv.replies import Blocked
from tests.commands.test_list_blocking import Client
from tests.support.oracle import plain
from tests.support.runner import Runner

NOGROUP = "NOGROUP No such key 'x' or consumer group 'g' in XREADGROUP with GROUP option"


def waiting(run: Runner, name: str = "ann", *, count: int = 1, group: str = "g", key: str = "x") -> Client:
    """A client that waits as a consumer of a group."""
    client = Client(run)
    assert isinstance(client("XREADGROUP", "GROUP", group, name, "COUNT", count, "BLOCK", 0, "STREAMS", key, ">"), Blocked)
    return client


def test_consumers_are_served_in_order(run: Runner) -> None:
    run("XGROUP", "CREATE", "x", "g", "$", "MKSTREAM")
    clients = [waiting(run, name) for name in ("ann", "bob", "cyd")]
    run.batch([["MULTI"], ["XADD", "x", "1-1", "f", "v"], ["XADD", "x", "1-2", "f", "w"], ["EXEC"]])
    assert plain(clients[0].replies) == [[[b"x", [[b"1-1", [b"f", b"v"]]]]]]
    assert plain(clients[1].replies) == [[[b"x", [[b"1-2", [b"f", b"w"]]]]]]
    assert clients[2].replies == []
    run.reopen()
    rows = run("XPENDING", "x", "g", "-", "+", 10)
    assert [row[:2] for row in rows] == [[b"1-1", b"ann"], [b"1-2", b"bob"]]
    assert {row[b"name"] for row in run("XINFO", "CONSUMERS", "x", "g")} == {b"ann", b"bob", b"cyd"}


def test_groups_do_not_take_from_each_other(run: Runner) -> None:
    for group in ("g", "h"):
        run("XGROUP", "CREATE", "x", group, "$", "MKSTREAM")
    first, second = waiting(run), waiting(run, group="h")
    run("XADD", "x", "1-1", "f", "v")
    assert plain(first.replies) == plain(second.replies) == [[[b"x", [[b"1-1", [b"f", b"v"]]]]]]


@pytest.mark.parametrize(
    "ending",
    [
        ["DEL", "x"], ["UNLINK", "x"], ["XGROUP", "DESTROY", "x", "g"], ["FLUSHDB"], ["FLUSHALL"], ["RENAME", "x", "y"], ["MOVE", "x", 5],
        ["SWAPDB", 0, 3], ["RENAME", "e", "x"], ["COPY", "e", "x", "REPLACE"], ["PEXPIREAT", "x", 1],
    ],
)  # fmt: skip
def test_where_the_group_ceases_to_exist_nobody_waits(run: Runner, ending: list[Any]) -> None:
    run("XGROUP", "CREATE", "e", "other", "$", "MKSTREAM")
    run("XGROUP", "CREATE", "x", "g", "$", "MKSTREAM")
    clients = [waiting(run), waiting(run, "bob")]
    other = Client(run)
    other("XREAD", "BLOCK", 0, "STREAMS", "x", "$")
    run(*ending)
    assert [plain(client.replies) for client in clients] == [[NOGROUP]] * 2
    assert other.replies == []
    assert run.executor.waiters.count == 1


@pytest.mark.parametrize("ending", [["SET", "x", "v"], ["SUNIONSTORE", "x", "s"], ["RENAME", "s", "x"], ["COPY", "s", "x", "REPLACE"]])
def test_where_the_type_changes_nobody_waits(run: Runner, ending: list[Any]) -> None:
    run("SADD", "s", "m")
    run("XGROUP", "CREATE", "x", "g", "$", "MKSTREAM")
    client = waiting(run)
    run(*ending)
    assert plain(client.replies) == [WrongType().line().decode()]


def test_a_transaction_that_makes_the_group_again_wakes_nobody(run: Runner) -> None:
    run("XGROUP", "CREATE", "x", "g", "$", "MKSTREAM")
    client = waiting(run)
    run.batch([["MULTI"], ["DEL", "x"], ["XGROUP", "CREATE", "x", "g", "$", "MKSTREAM"], ["EXEC"]])
    assert client.replies == []
    run("XADD", "x", "1-1", "f", "v")
    assert plain(client.replies) == [[[b"x", [[b"1-1", [b"f", b"v"]]]]]]


def test_who_waits_is_told_when_the_stream_expires(run: Runner) -> None:
    run("XGROUP", "CREATE", "x", "g", "$", "MKSTREAM")
    client = waiting(run)
    run("PEXPIRE", "x", 1000)
    run.clock.now += 2000
    run("GET", "x")
    run("PING")
    assert plain(client.replies) == [NOGROUP]


def test_other_waiters_are_left_alone_by_what_ends(run: Runner) -> None:
    """A list that is deleted, or becomes a stream, is no reason for BLPOP to look again."""
    client = Client(run)
    client("BLPOP", "l", 0)
    run("SET", "l", "v")
    run("DEL", "l")
    run("XADD", "l", "1-1", "f", "v")
    run("DEL", "l")
    assert client.replies == []
    run("RPUSH", "l", "v")
    assert client.replies == [[b"l", b"v"]]


def test_the_history_is_never_waited_for(run: Runner) -> None:
    run("XADD", "x", "1-1", "f", "v")
    run("XGROUP", "CREATE", "x", "g", 0)
    assert plain(run("XREADGROUP", "GROUP", "g", "ann", "BLOCK", 0, "STREAMS", "x", "0")) == [[b"x", []]]
