"""A packet of slow commands is executed in more than one round."""

from __future__ import annotations

from typing import Any

import pytest

from diskkv.dispatch import executor
from diskkv.dispatch.packets import Memo
from diskkv.server import server
from tests.differential.wire import encode
from tests.support.runner import Runner
from tests.support.still import Kept


def test_who_sends_slow_commands_lets_others_have_their_turn(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "TURN_TIME", -1)
    kept = Kept(run)
    slow, answers = kept.connect()
    quick, answer = kept.connect()
    slow.data_received(b"".join(encode([b"INCR", b"a"]) + encode([b"RPUSH", b"list", b"x"]) for _ in range(3)))
    kept.server.end_tick()
    assert answers.sent == b":1\r\n"
    # What comes meanwhile waits behind it.
    slow.data_received(encode([b"GET", b"a"]))
    quick.data_received(encode([b"GET", b"a"]))
    kept.server.end_tick()
    rounds = 0
    while slow.queued or quick.queued:
        kept.server._take_turns()
        kept.server.end_tick()
        rounds += 1
        if quick.queued:
            assert rounds < 4
    assert rounds > 4
    assert answer.sent[:5] == b"$1\r\n2" or answer.sent[:5] == b"$1\r\n1"
    assert answers.sent == b":1\r\n:1\r\n:2\r\n:2\r\n:3\r\n:3\r\n$1\r\n3\r\n"


def test_a_row_of_commands_ends_a_turn_as_one_does(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "TURN_TIME", -1)
    kept = Kept(run)
    client, answers = kept.connect()
    client.data_received(encode([b"INCR", b"a"]) * 3 + encode([b"RPUSH", b"list", b"x"]) * 2)
    kept.server.end_tick()
    assert answers.sent == b":1\r\n:2\r\n:3\r\n"
    while client.queued:
        kept.server._take_turns()
        kept.server.end_tick()
    assert answers.sent == b":1\r\n:2\r\n:3\r\n:1\r\n:2\r\n"
    assert run("GET", "a") == b"3"


def test_who_wants_no_replies_has_its_turns_too(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "TURN_TIME", -1)
    kept = Kept(run)
    client, answers = kept.connect()
    client.data_received(encode([b"CLIENT", b"REPLY", b"OFF"]) + encode([b"INCR", b"a"]) * 5 + encode([b"CLIENT", b"REPLY", b"ON"]))
    kept.server.end_tick()
    while client.queued:
        kept.server._take_turns()
        kept.server.end_tick()
    assert (run("GET", "a"), answers.sent) == (b"5", b"+OK\r\n")


def test_a_reply_that_ends_a_turn_is_kept_for_the_next_who_asks(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "TURN_TIME", -1)
    run("RPUSH", "list", *range(5))
    kept = Kept(run)
    client, answers = kept.connect()
    client.data_received(encode([b"LRANGE", b"list", b"0", b"-1"]) * 4)
    kept.server.end_tick()
    while client.queued:
        kept.server._take_turns()
        kept.server.end_tick()
    assert answers.sent == b"*5\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n" * 4
    memo: Any = run.executor.store.databases[0].objects[b"list"].memo
    assert isinstance(memo, Memo)


def test_those_who_waited_for_a_checkpoint_go_on_in_order_and_in_turns(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes while they do is not before them, and all of them are not at once."""
    full = True
    monkeypatch.setattr(run.executor.store.writer, "backlogged", lambda: full)
    monkeypatch.setattr(server, "POSTPONED_TURN", -1)
    kept = Kept(run)
    clients = [kept.connect()[0] for _ in range(4)]

    def push(number: int) -> None:
        clients[number].data_received(encode([b"RPUSH", b"list", b"%d" % number]))
        kept.server.end_tick()

    def retry() -> None:
        kept.server._retry_postponed()
        kept.server.end_tick()

    for number in range(3):
        push(number)
    retry()
    assert list(kept.server._postponed) == clients[:3]
    push(3)
    retry()
    assert list(kept.server._postponed) == clients
    full = False
    for number in range(4):
        assert run("LRANGE", "list", 0, -1) == [b"%d" % each for each in range(number)]
        retry()
    assert run("LRANGE", "list", 0, -1) == [b"0", b"1", b"2", b"3"]
    assert not kept.server._postponed and not kept.server._retries


def test_a_pause_holds_up_only_those_whom_it_concerns(run: Runner) -> None:
    kept = Kept(run)
    writer, _ = kept.connect()
    reader, answers = kept.connect()
    run("CLIENT", "PAUSE", 100_000, "ALL")
    for client, command in ((writer, [b"SET", b"a", b"1"]), (reader, [b"GET", b"a"])):
        client.data_received(encode(command))
        kept.server.end_tick()
    assert list(kept.server._postponed) == [writer, reader]
    run("CLIENT", "UNPAUSE")
    run("CLIENT", "PAUSE", 100_000, "WRITE")
    kept.server._retry_postponed()
    kept.server.end_tick()
    assert (list(kept.server._postponed), answers.sent) == ([writer], b"$-1\r\n")
    run("CLIENT", "UNPAUSE")
    kept.server._retry_postponed()
    kept.server.end_tick()
    assert run("GET", "a") == b"1"
