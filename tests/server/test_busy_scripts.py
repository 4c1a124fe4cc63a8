"""A script that takes long: others get BUSY, and it can be killed; nobody ever sees half of what it does."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.differential import servers
from tests.differential.wire import Connection, Lost, Reply

ENDLESS = b"while true do end"
WRITING = b"redis.call('set', 'half', '1') redis.call('publish', 'c', 'm') while true do redis.call('incr', 'half') end"
BUSY = ("-", b"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.")
BUSY_FUNCTION = ("-", b"BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.")
# the machines for which child.py knows the numbers
SYSTEM_CALLS = ("x86_64", "aarch64")
LIBRARY = b"#!lua name=slow\nredis.register_function('slow', function() while true do end end)"
# Many calls of a command, so that it goes on for a while after it has become busy, and then ends by itself.
LONG = b"for i = 1, 3000 do redis.call('incr', KEYS[1]) end return {redis.call('time'), 'done'}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[servers.Server]:
    (tmp_path / "server").mkdir()
    with servers.diskkv("--busy-reply-threshold", "5", path=tmp_path / "server") as started:
        yield started


@pytest.fixture
def connect(server: servers.Server) -> Iterator[Callable[[], Connection]]:
    opened: list[Connection] = []

    def another() -> Connection:
        opened.append(Connection(server.address, patience=60))
        return opened[-1]

    yield another
    for connection in opened:
        connection.close()


def send(connection: Connection, *argv: bytes) -> None:
    connection.send(b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in argv))


def until_busy(connection: Connection) -> Reply:
    """The error that others get."""
    while True:
        reply = connection.call(b"PING")
        if reply[0] == "-":
            return reply


def children(server: servers.Server) -> list[int]:
    """The processes that the server has started."""
    found = []
    for name in os.listdir("/proc"):
        # Others may end meanwhile, and are not of interest.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if name.isdigit() and Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1] == str(server.pid):
                found.append(int(name))
    return found


@pytest.mark.skipif(os.uname().machine not in SYSTEM_CALLS, reason="no names for this machine's system calls")
def test_what_breaks_out_of_lua_can_ask_the_system_for_nothing(server: servers.Server, connect: Callable[[], Connection]) -> None:
    assert connect().call(b"EVAL", b"return 1", b"0")[1] in (1, b"1")
    (child,) = children(server)
    status = Path(f"/proc/{child}/status").read_text().split()
    assert status[status.index("NoNewPrivs:") + 1] == "1"
    assert status[status.index("Seccomp:") + 1] == "2"


def test_others_get_busy_until_it_is_killed(connect: Callable[[], Connection]) -> None:
    one, two = connect(), connect()
    send(one, b"EVAL", ENDLESS, b"0")
    assert until_busy(two) == BUSY
    assert two.call(b"GET", b"x") == BUSY
    assert two.call(b"FUNCTION", b"KILL") == BUSY
    assert two.call(b"FUNCTION", b"STATS") == BUSY
    assert two.call(b"MULTI") == ("+", b"OK")
    assert two.call(b"GET", b"x") == BUSY
    assert two.call(b"DISCARD") == ("+", b"OK")
    assert two.call(b"HELLO", b"2")[0] == "*"
    assert two.call(b"SCRIPT", b"KILL") == ("+", b"OK")
    kind, text = one.read()
    assert kind == "-" and text.startswith(b"ERR Script killed by user with SCRIPT KILL...")
    assert two.call(b"PING") == one.call(b"PING") == ("+", b"PONG")
    assert two.call(b"SCRIPT", b"KILL") == ("-", b"NOTBUSY No scripts in execution right now.")
    assert one.call(b"EVAL", b"return 7", b"0") == (":", b"7") or one.call(b"EVAL", b"return 7", b"0") == (":", 7)


def test_functions_are_killed_as_functions(connect: Callable[[], Connection]) -> None:
    one, two = connect(), connect()
    one.call(b"FUNCTION", b"LOAD", LIBRARY)
    send(one, b"FCALL", b"slow", b"0")
    assert until_busy(two) == BUSY_FUNCTION
    assert two.call(b"SCRIPT", b"KILL") == BUSY_FUNCTION
    assert two.call(b"FUNCTION", b"STATS")[0] == "*"
    assert two.call(b"FUNCTION", b"KILL") == ("+", b"OK")
    assert one.read()[0] == "-"
    assert one.call(b"PING") == ("+", b"PONG")


def test_what_has_written_can_not_be_killed_but_is_undone_by_the_end(server: servers.Server, connect: Callable[[], Connection]) -> None:
    one, two = connect(), connect()
    assert one.call(b"SET", b"whole", b"1") == ("+", b"OK")
    ear = connect()
    ear.call(b"SUBSCRIBE", b"c")
    send(one, b"EVAL", WRITING, b"0")
    ear.read()
    until_busy(two)
    assert two.call(b"SCRIPT", b"KILL")[1].startswith(b"UNKILLABLE ")
    assert two.call(b"GET", b"half") == BUSY
    send(two, b"SHUTDOWN", b"NOSAVE")
    with pytest.raises(Lost):
        one.read()
    server.stop()
    server.start()
    three = connect()
    assert three.call(b"GET", b"half") == ("$", None)
    assert three.call(b"GET", b"whole") == ("$", b"1")


def test_kill_9_leaves_nothing_of_a_script_that_was_not_done(server: servers.Server, connect: Callable[[], Connection]) -> None:
    one, two = connect(), connect()
    ear = connect()
    ear.call(b"SUBSCRIBE", b"c")
    send(one, b"EVAL", WRITING, b"0")
    ear.read()
    until_busy(two)
    server.kill()
    server.start()
    three = connect()
    assert three.call(b"DBSIZE")[1] in (0, b"0")


def test_one_that_ends_by_itself_is_answered_and_kept(server: servers.Server, connect: Callable[[], Connection]) -> None:
    one, two = connect(), connect()
    send(one, b"EVAL", LONG, b"1", b"n")
    send(one, b"GET", b"n")
    replies = {two.call(b"GET", b"n") for _ in range(2000)}
    assert replies <= {BUSY, ("$", None), ("$", b"3000")}
    assert one.read()[0] == "*"
    assert one.read() == ("$", b"3000")
    server.kill()
    server.start()
    assert connect().call(b"GET", b"n") == ("$", b"3000")


def test_in_a_transaction_the_rest_goes_on_afterwards(connect: Callable[[], Connection]) -> None:
    one, two = connect(), connect()
    for argv in ([b"MULTI"], [b"SET", b"a", b"1"], [b"EVAL", ENDLESS, b"0"], [b"INCR", b"a"], [b"EVAL", LONG, b"1", b"n"], [b"GET", b"n"]):
        one.call(*argv)
    send(one, b"EXEC")
    assert until_busy(two) == BUSY
    assert two.call(b"SCRIPT", b"KILL") == ("+", b"OK")
    kind, replies = one.read()
    assert kind == "*"
    assert replies[0] == ("+", b"OK") and replies[1][0] == "-" and replies[2][1] in (2, b"2") and replies[4] == ("$", b"3000")
    assert two.call(b"GET", b"a") == ("$", b"2")


def test_invalidations_by_a_long_script_leave_behind_its_reply(connect: Callable[[], Connection]) -> None:
    one, quiet = connect(), connect()
    for client, words in ((one, []), (quiet, [b"NOLOOP"])):
        client.call(b"HELLO", b"3")
        client.call(b"CLIENT", b"TRACKING", b"ON", *words)
        client.call(b"GET", b"n")
        send(client, b"EVAL", LONG, b"1", b"n")
        assert client.read()[0] == "*"
        if client is one:
            assert client.read() == (">", [("$", b"invalidate"), ("*", [("$", b"n")])])
        assert client.call(b"PING") == ("+", b"PONG")
    # The second script changed what the first client had not read again.
    assert one.call(b"PING") == ("+", b"PONG")


def test_a_client_that_hangs_up_leaves_its_script_running(connect: Callable[[], Connection]) -> None:
    one, two = connect(), connect()
    send(one, b"EVAL", ENDLESS, b"0")
    assert until_busy(two) == BUSY
    one.close()
    assert two.call(b"PING") == BUSY
    assert two.call(b"SCRIPT", b"KILL") == ("+", b"OK")
    assert two.call(b"PING") == ("+", b"PONG")


def test_a_script_whose_process_dies_gets_an_error(server: servers.Server, connect: Callable[[], Connection]) -> None:
    one, two = connect(), connect()
    send(one, b"EVAL", b"redis.call('get', 'x') " + ENDLESS, b"0")
    until_busy(two)
    for child in children(server):
        os.kill(child, signal.SIGKILL)
    assert b"its process died" in one.read()[1]
    assert one.call(b"EVAL", b"return 'x'", b"0") == ("$", b"x")


def test_great_replies_and_many_keys(connect: Callable[[], Connection]) -> None:
    one, two = connect(), connect()
    size = 100_000_000
    send(one, b"EVAL", b"return string.rep('x', %d)" % size, b"0")
    left = len(b"$%d\r\n\r\n" % size) + size
    while left:
        left -= len(one._socket.recv(min(left, 1 << 20)))
    keys = [b"%d" % number for number in range(1_000_000)]
    assert one.call(b"EVAL", b"return #KEYS + #ARGV", b"1000000", *keys)[1] in (1_000_000, b"1000000")
    kind, items = one.call(b"EVAL", b"local t = {} for i = 1, 100000 do t[i] = i end return t", b"0")
    assert kind == "*" and len(items) == 100_000
    assert two.call(b"PING") == ("+", b"PONG")
