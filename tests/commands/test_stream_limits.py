"""MAXCOUNT and MAXSIZE of XREAD and XREADGROUP, of which the oracle knows nothing: as Redis 8.10 documents them and its source has them."""

from __future__ import annotations

from typing import Any

import pytest

from diskkv.errors import CommandError, NotInteger
from diskkv.replies import Blocked
from diskkv.resp.encode import ENCODERS
from tests.commands.test_list_blocking import Client
from tests.support.oracle import plain
from tests.support.runner import Runner

STREAMS = ("a", "b", "c")
LENGTH = 20


@pytest.fixture(params=["in memory", "evicted"])
def streams(run: Runner, request: pytest.FixtureRequest) -> Runner:
    """Three streams, each of which a group reads."""
    for key in STREAMS:
        run("XGROUP", "CREATE", key, "g", 0, "MKSTREAM")
        for number in range(1, LENGTH + 1):
            run("XADD", key, f"{number}-1", "field", "value")
    if request.param == "evicted":
        run.evict()
    return run


def counts(reply: Any) -> list[int]:
    """How many entries of each stream were told."""
    return [] if plain(reply) is None else [len(entries) for _, entries in plain(reply)]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("COUNT", 5), [5, 5, 5]),
        (("COUNT", 5, "MAXCOUNT", 8), [5, 3]),
        (("COUNT", 5, "MAXCOUNT", 10), [5, 5]),
        (("COUNT", 5, "MAXCOUNT", 100), [5, 5, 5]),
        (("MAXCOUNT", 7), [7]),
        (("MAXCOUNT", 25), [20, 5]),
        (("MAXCOUNT", 1), [1]),
        (("MAXSIZE", 1), [1]),
        (("MAXSIZE", 1 << 40), [20, 20, 20]),
        (("MAXCOUNT", 5, "MAXSIZE", 100_000), [5]),
        (("MAXSIZE", 1, "MAXCOUNT", 5, "COUNT", 3), [1]),
    ],
)
def test_what_is_told_of_all_streams(streams: Runner, options: tuple[Any, ...], told: list[int]) -> None:
    assert counts(streams("XREAD", *options, "STREAMS", *STREAMS, 0, 0, 0)) == told
    reply = streams("XREADGROUP", "GROUP", "g", "ann", *options, "STREAMS", *STREAMS, ">", ">", ">")
    assert counts(reply) == told
    # What was not told is not pending, and streams that nobody came to have no new consumer.
    pending = [streams("XPENDING", key, "g")[0] for key in STREAMS]
    assert pending == told + [0] * (3 - len(told))
    assert [len(streams("XINFO", "CONSUMERS", key, "g")) for key in STREAMS] == [1] * len(told) + [0] * (3 - len(told))
    assert counts(streams("XREADGROUP", "GROUP", "g", "ann", *options, "STREAMS", *STREAMS[: len(told)], *[0] * len(told))) == told
    again = streams("XREADGROUP", "GROUP", "g", "bob", "CLAIM", 0, *options, "STREAMS", *STREAMS, ">", ">", ">")
    assert sum(counts(again)) == min(sum(told), 60)
    streams.reopen()
    assert streams("XREADGROUP", "GROUP", "g", "bob", "STREAMS", *STREAMS, ">", ">", ">") is not None
    assert [len(streams("XRANGE", key, "-", "+")) for key in STREAMS] == [LENGTH] * 3


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("command", [("XREAD",), ("XREADGROUP", "GROUP", "g", "ann")])
def test_bytes_are_those_of_the_reply(streams: Runner, command: tuple[str, ...], protocol: int) -> None:
    """The limit is looked at before each entry: so the reply is shorter than it without the last entry, and not with it."""
    streams.session.protocol = protocol
    mark = 0 if command == ("XREAD",) else ">"
    entry = len(ENCODERS[protocol][list]([b"10-1", [b"field", b"value"]]))
    name = len(b"$1\r\na\r\n") + (4 if protocol == 2 else 0)
    size = name + 12 * entry
    assert counts(streams(*command, "MAXSIZE", size - 20, "STREAMS", "a", mark)) == [12]
    streams("XGROUP", "SETID", "a", "g", 0)
    whole = len(ENCODERS[protocol][type(found := streams(*command, "MAXSIZE", size + 20, "STREAMS", "a", mark))](found))
    assert whole - entry - 20 < size + 20 <= whole


def test_a_stream_whose_name_alone_found_room_is_told(streams: Runner) -> None:
    first = len(ENCODERS[2][type(found := streams("XREAD", "COUNT", 1, "STREAMS", "a", 0))](found)) - len(b"*1\r\n")
    reply = streams("XREAD", "COUNT", 1, "MAXSIZE", first + 1, "STREAMS", *STREAMS, 0, 0, 0)
    assert counts(reply) == [1, 0]
    assert counts(streams("XREAD", "COUNT", 1, "MAXSIZE", first, "STREAMS", *STREAMS, 0, 0, 0)) == [1]
    # A stream that has nothing new takes no room.
    assert counts(streams("XREAD", "MAXCOUNT", 30, "MAXSIZE", 1 << 20, "STREAMS", "a", "none", "b", "99", 0, 0)) == [20]


def test_who_waits_is_told_no_more_either(run: Runner) -> None:
    client = Client(run)
    assert isinstance(client("XREAD", "MAXCOUNT", 2, "BLOCK", 0, "STREAMS", "a", "b", "$", "$"), Blocked)
    run.batch([["MULTI"], *(["XADD", key, f"{number}-1", "f", "v"] for key in "ab" for number in (1, 2, 3)), ["EXEC"]])
    assert counts(client.replies[0]) == [2]
    assert run("XREAD", "MAXCOUNT", 2, "STREAMS", "a", "b", "9", "9") is not None


def test_what_is_gone_counts_in_a_history(streams: Runner) -> None:
    streams("XREADGROUP", "GROUP", "g", "ann", "COUNT", 4, "STREAMS", "a", ">")
    streams("XDEL", "a", "1-1", "2-1")
    told = plain(streams("XREADGROUP", "GROUP", "g", "ann", "MAXCOUNT", 3, "STREAMS", "a", "b", 0, 0))
    assert told == [[b"a", [[b"1-1", None], [b"2-1", None], [b"3-1", [b"field", b"value"]]]]]


@pytest.mark.parametrize("command", [("XREAD",), ("XREADGROUP", "GROUP", "g", "ann")])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("MAXCOUNT", 0), "MAXCOUNT must be a positive integer"),
        (("MAXSIZE", -1), "MAXSIZE must be a positive integer"),
        (("COUNT", 3, "MAXCOUNT", 2), "MAXCOUNT must be greater than or equal to COUNT"),
        (("MAXCOUNT", "x"), NotInteger().text),
    ],
)
def test_refused(streams: Runner, command: tuple[str, ...], options: tuple[Any, ...], error: str) -> None:
    reply = streams(*command, *options, "STREAMS", "a", 0)
    assert isinstance(reply, CommandError)
    assert reply.text == error
