"""What a client sends while its command waits is kept, as it came, and counts as kept for the client."""

from __future__ import annotations

import pytest

from diskkv.errors import CommandError
from tests.differential.wire import encode
from tests.support.runner import Runner
from tests.support.still import Kept


def test_what_came_behind_a_command_that_waits_counts(run: Runner) -> None:
    run("CONFIG", "SET", "maxmemory-clients", "4mb")
    kept = Kept(run)
    connection, transport = kept.connect()
    connection.data_received(encode([b"BLPOP", b"list", b"0"]) + b"PING\r\n" * 40_000)
    assert transport.aborted


def test_crumbs_are_not_kept_one_by_one(run: Runner) -> None:
    kept = Kept(run)
    connection, transport = kept.connect()
    connection.data_received(encode([b"BLPOP", b"list", b"0"]))
    for byte in b"PING\r\n" * 1000:
        connection.data_received(bytes([byte]))
    assert len(connection._unread) < 10
    run("RPUSH", "list", "a")
    connection.go_on()
    kept.server.end_tick()
    while connection.queued:
        kept.server._take_turns()
        kept.server.end_tick()
    assert transport.sent.endswith(b"+PONG\r\n" * 1000)


def test_what_is_wrong_behind_a_command_that_waits_is_answered_behind_its_reply(run: Runner) -> None:
    kept = Kept(run)
    connection, transport = kept.connect()
    connection.data_received(encode([b"BLPOP", b"list", b"0"]))
    connection.data_received(b"*1\r\n$x\r\n")
    kept.server.end_tick()
    assert not connection.closing
    run("RPUSH", "list", "a")
    connection.go_on()
    kept.server.end_tick()
    assert transport.sent == b"*2\r\n$4\r\nlist\r\n$1\r\na\r\n-ERR Protocol error: invalid bulk length\r\n"


@pytest.mark.parametrize("mode", ["SKIP", "OFF"])
def test_who_wants_no_reply_gets_none_however_late_it_comes(run: Runner, mode: str) -> None:
    kept = Kept(run)
    connection, transport = kept.connect()
    connection.data_received(encode([b"CLIENT", b"REPLY", mode.encode()]) + encode([b"BLPOP", b"list", b"0"]) + encode([b"PING"]))
    run("RPUSH", "list", "a")
    connection.go_on()
    kept.server.end_tick()
    assert transport.sent == (b"+PONG\r\n" if mode == "SKIP" else b"")


def test_what_was_answered_outside_of_the_round_in_which_a_client_hangs_up_leaves(run: Runner) -> None:
    kept = Kept(run)
    connection, transport = kept.connect()
    connection.data_received(b"PING\r\n")
    assert connection.end_received()
    assert not transport.closed
    kept.server.end_tick()
    assert transport.sent == b"+PONG\r\n"
    assert transport.closed


@pytest.mark.parametrize("command", [b"WATCH", b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE"])
@pytest.mark.parametrize(("count", "size"), [(4000, 10), (20, 60_000)])
def test_what_a_client_watches_and_hears_counts(run: Runner, command: bytes, count: int, size: int) -> None:
    run("CONFIG", "SET", "maxmemory-clients", "1100000")
    kept = Kept(run)
    connection, transport = kept.connect()
    names = [b"%0*d" % (size, number) for number in range(count)]
    connection.data_received(encode([command, *names[:10]]))
    kept.server.end_tick()
    assert not transport.aborted
    connection.data_received(encode([command, *names]))
    assert transport.aborted
    connection.connection_lost(None)
    assert connection.session.kept() == 0


def test_words_that_wait_count_each(run: Runner) -> None:
    run("CONFIG", "SET", "maxmemory-clients", "4mb")
    kept = Kept(run)
    connection, transport = kept.connect()
    connection.data_received(encode([b"BLPOP", b"list", b"0"]) + encode([b"a"] * 110_000))
    assert transport.aborted


@pytest.mark.parametrize("how", ["at once", "in EXEC", "later"])
def test_who_asks_for_more_than_may_be_kept_is_dropped_before_it_is_made(run: Runner, how: str) -> None:
    run("CONFIG", "SET", "maxmemory-clients", "50mb")
    run("SADD", "set", "x" * 1000)
    kept = Kept(run)
    connection, transport = kept.connect()
    great = encode([b"SRANDMEMBER", b"set", b"-100000"])
    if how == "at once":
        connection.data_received(great)
    elif how == "in EXEC":
        connection.data_received(encode([b"MULTI"]) + great + encode([b"EXEC"]))
    else:
        connection.data_received(encode([b"BLPOP", b"list", b"0"]) + great)
        run("RPUSH", "list", "a")
        connection.go_on()
    assert transport.aborted
    assert b"evicted_clients:1\r" in run("INFO", "stats").text


def test_a_script_gets_an_error_for_what_it_has_no_memory_for(run: Runner) -> None:
    run("SADD", "set", "x" * 1000)
    reply = run("EVAL", "return redis.pcall('SRANDMEMBER', 'set', -1000000)", 0)
    assert isinstance(reply, CommandError)
    assert reply.text == "the reply is longer than all the memory that scripts have"


@pytest.mark.parametrize("how", ["MGET", "EXEC"])
def test_strings_are_not_read_that_together_are_too_long(run: Runner, how: str) -> None:
    run("CONFIG", "SET", "maxmemory-clients", "10mb")
    run("SET", "great", "x" * 1_000_000)
    kept = Kept(run)
    connection, transport = kept.connect()
    if how == "MGET":
        connection.data_received(encode([b"MGET", *[b"great"] * 100]))
    else:
        connection.data_received(encode([b"MULTI"]) + encode([b"GET", b"great"]) * 100 + encode([b"EXEC"]))
    kept.server.end_tick()
    assert transport.sent.endswith(b"-ERR the reply would be longer than maxmemory-clients allows\r\n" * (1 if how == "MGET" else 90))
    assert transport.sent.count(b"$1000000") == (0 if how == "MGET" else 10)
