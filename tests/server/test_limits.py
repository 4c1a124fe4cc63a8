"""What a server does with clients that misbehave: too many, too slow, half a request, garbage, and while it stops."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.differential import servers
from tests.differential.wire import Connection, Lost, encode
from tests.support.runner import Runner
from tests.support.still import Kept


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    with servers.diskkv() as started:
        yield started


@pytest.fixture
def connect(server: servers.Server) -> Iterator[Callable[[], Connection]]:
    """Makes connections to the server that are closed when the test ends."""
    opened: list[Connection] = []

    def another() -> Connection:
        opened.append(Connection(server.address, patience=60))
        return opened[-1]

    yield another
    for connection in opened:
        connection.close()


@pytest.fixture
def client(connect: Callable[[], Connection]) -> Connection:
    connection = connect()
    connection.call(b"FLUSHALL")
    return connection


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether a condition comes to hold; it is asked for again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False


def resident_megabytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) >> 10
    raise AssertionError("no VmRSS")


def test_requests_byte_by_byte(client: Connection) -> None:
    for byte in encode([b"SET", b"k", b"a\r\nb"]) + b'GET "k"\r\n' + encode([b"APPEND", b"k", b"c"]):
        client.send(bytes([byte]))
    assert [client.read() for _ in range(3)] == [("+", b"OK"), ("$", b"a\r\nb"), (":", 5)]


def test_half_a_request_delays_nobody(connect: Callable[[], Connection], client: Connection) -> None:
    stalled = connect()
    stalled.send(b"*2\r\n$3\r\nGET\r\n$100\r\nabc")
    assert client.call(b"PING") == ("+", b"PONG")
    stalled.close()
    assert client.call(b"PING") == ("+", b"PONG")


@pytest.mark.parametrize(
    "garbage", [b"*x\r\n", b"*2\r\n$-5\r\n", b"*99999999999\r\n", b"*1\r\n$999999999999\r\n", b"A" * 70000, b'a "\r\n']
)
def test_garbage_is_answered_and_the_client_dropped(connect: Callable[[], Connection], garbage: bytes) -> None:
    connection = connect()
    connection.send(garbage)
    kind, text = connection.read()
    assert (kind, text[:19]) == ("-", b"ERR Protocol error:")
    with pytest.raises(Lost):
        connection.read()


def test_a_pipeline_of_many_commands_in_one_write(client: Connection) -> None:
    count = 20_000
    client.send(b"".join(encode([b"INCR", b"n"]) for _ in range(count)))
    assert [client.read() for _ in range(count)] == [(":", number) for number in range(1, count + 1)]


def test_who_does_not_read_is_waited_for(server: servers.Server, connect: Callable[[], Connection], client: Connection) -> None:
    client.call(b"SET", b"big", b"x" * 1_000_000)
    before = resident_megabytes(server.pid)
    slow = connect()
    count = 400
    slow.send(encode([b"GET", b"big"]) * count + encode([b"INCR", b"n"]))
    assert client.call(b"PING") == ("+", b"PONG")
    # more than the kernel's buffers hold: these can only be kept by the server, unexecuted
    for _ in range(20):
        slow.send(encode([b"INCR", b"n"]) * 1000)
    assert client.call(b"GET", b"n") == ("$", None)
    assert resident_megabytes(server.pid) - before < 100
    assert all(len(slow.read()[1]) == 1_000_000 for _ in range(count))
    assert [slow.read() for _ in range(20_001)] == [(":", number) for number in range(1, 20_002)]


def test_who_is_over_the_hard_output_limit_is_dropped(connect: Callable[[], Connection], client: Connection) -> None:
    client.call(b"CONFIG", b"SET", b"client-output-buffer-limit", b"normal 2000000 0 0")
    slow = connect()
    client.call(b"SET", b"big", b"x" * 5_000_000)
    slow.send(encode([b"GET", b"big"]))
    assert until(lambda: client.call(b"CLIENT", b"LIST")[1].count(b"\n") == 1)
    client.call(b"CONFIG", b"SET", b"client-output-buffer-limit", b"normal 0 0 0")
    with pytest.raises(Lost):
        slow.read()


def test_a_blocked_client_that_leaves_takes_nothing(connect: Callable[[], Connection], client: Connection) -> None:
    blocked = connect()
    blocked.send(encode([b"BLPOP", b"list", b"0"]))
    assert until(lambda: b"blocked_clients:1\r" in client.call(b"INFO", b"clients")[1])
    blocked.close()
    assert until(lambda: b"blocked_clients:0\r" in client.call(b"INFO", b"clients")[1])
    assert client.call(b"RPUSH", b"list", b"a") == (":", 1)
    assert client.call(b"LLEN", b"list") == (":", 1)


def test_client_kill_of_a_blocked_client(connect: Callable[[], Connection], client: Connection) -> None:
    blocked = connect()
    number = blocked.call(b"CLIENT", b"ID")[1]
    blocked.send(encode([b"BLPOP", b"list", b"0"]))
    assert until(lambda: b"blocked_clients:1\r" in client.call(b"INFO", b"clients")[1])
    assert client.call(b"CLIENT", b"KILL", b"ID", b"%d" % number) == (":", 1)
    with pytest.raises(Lost):
        blocked.read()
    assert client.call(b"RPUSH", b"list", b"a") == (":", 1)
    assert client.call(b"LLEN", b"list") == (":", 1)


def test_published_messages_in_both_protocols(connect: Callable[[], Connection], client: Connection) -> None:
    for hello, kind in ((b"2", "*"), (b"3", ">")):
        listener = connect()
        listener.call(b"HELLO", hello)
        assert listener.call(b"SUBSCRIBE", b"c") == (kind, [("$", b"subscribe"), ("$", b"c"), (":", 1)])
        assert client.call(b"PUBLISH", b"c", b"m") == (":", 1)
        assert listener.read() == (kind, [("$", b"message"), ("$", b"c"), ("$", b"m")])
        listener.close()
        assert until(lambda: client.call(b"PUBLISH", b"c", b"m") == (":", 0))


def test_too_many_clients_are_told_so(client: Connection, connect: Callable[[], Connection]) -> None:
    client.call(b"CONFIG", b"SET", b"maxclients", b"1")
    with pytest.raises(Lost):
        refused = connect()
        assert refused.read() == ("-", b"ERR max number of clients reached")
        refused.read()
    client.call(b"CONFIG", b"SET", b"maxclients", b"10000")
    assert connect().call(b"PING") == ("+", b"PONG")


def test_one_too_many_is_refused_before_anything_is_made_for_it(run: Runner) -> None:
    kept = Kept(run)
    run("CONFIG", "SET", "maxclients", 1)
    first, _ = kept.connect()
    sessions = len(run.executor.sessions)
    second, transport = kept.connect()
    assert (transport.sent, transport.closed) == (b"-ERR max number of clients reached\r\n", True)
    assert len(run.executor.sessions) == sessions
    second.connection_lost(None)
    first.connection_lost(None)
    assert b"rejected_connections:1\r" in run("INFO", "stats").text
    assert kept.connect()[1].sent == b""


def test_stopping_in_the_middle_of_writes_keeps_what_was_answered(tmp_path: Path) -> None:
    server = servers.diskkv(path=tmp_path)
    with server:
        connection = Connection(server.address)
        server.process.terminate()  # type: ignore[union-attr]  # it runs
        answered = 0
        try:
            while connection.call(b"INCR", b"n") == (":", answered + 1):
                answered += 1
        except Lost:
            pass
        assert server.process is not None and server.process.wait(30) == 0
        assert not (tmp_path / "s.sock").exists()
        connection.close()
    with servers.diskkv(path=tmp_path):
        connection = Connection(server.address)
        stored = int(connection.call(b"GET", b"n")[1] or 0)
        connection.close()
        assert answered <= stored <= answered + 1


def test_a_port_and_a_store_that_are_taken(server: servers.Server, tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        command = [sys.executable, "-m", "diskkv", "serve", *words]
        outcome = subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert outcome.returncode
        return outcome.stdout + outcome.stderr

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "the port is taken" in refused("--dir", str(tmp_path / "store"), "--bind", "127.0.0.1", "--port", port)
    socket_path = str(tmp_path / "other.sock")
    assert "in use by another process" in refused("--dir", str(server.path), "--port", "0", "--unixsocket", socket_path)


def test_who_sends_on_without_reading_is_bounded(server: servers.Server, connect: Callable[[], Connection], client: Connection) -> None:
    client.call(b"SET", b"big", b"x" * 1_000_000)
    client.call(b"CONFIG", b"SET", b"maxmemory-clients", b"30mb")
    before = resident_megabytes(server.pid)
    endless, spared = connect(), connect()
    spared.call(b"CLIENT", b"NO-EVICT", b"ON")
    spared.send(encode([b"GET", b"big"]) * 8)
    with pytest.raises(Lost):
        while True:
            endless.send(encode([b"GET", b"big"]) + encode([b"SET", b"other", b"x" * 100_000]) * 10)
    assert b"evicted_clients:1\r" in client.call(b"INFO", b"stats")[1]
    assert resident_megabytes(server.pid) - before < 120
    assert all(len(spared.read()[1]) == 1_000_000 for _ in range(8))
    client.call(b"CONFIG", b"SET", b"maxmemory-clients", b"0")


def test_halves_of_requests_count_too(connect: Callable[[], Connection], client: Connection) -> None:
    client.call(b"CONFIG", b"RESETSTAT")
    client.call(b"CONFIG", b"SET", b"maxmemory-clients", b"10mb")
    greedy = connect()
    with pytest.raises(Lost):
        greedy.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\n")
        for _ in range(100):
            greedy.send(b"x" * 1_000_000)
        greedy.read()
    assert b"evicted_clients:1\r" in client.call(b"INFO", b"stats")[1]
    client.call(b"CONFIG", b"SET", b"maxmemory-clients", b"0")


def test_what_is_queued_counts_too(connect: Callable[[], Connection], client: Connection) -> None:
    client.call(b"CONFIG", b"RESETSTAT")
    client.call(b"CONFIG", b"SET", b"maxmemory-clients", b"10mb")
    endless = connect()
    endless.call(b"MULTI")
    with pytest.raises(Lost):
        for _ in range(100):
            endless.send(encode([b"SET", b"k", b"x" * 1000]) * 1000)
            for _ in range(1000):
                assert endless.read() == ("+", b"QUEUED")
    assert b"evicted_clients:1\r" in client.call(b"INFO", b"stats")[1]
    client.call(b"CONFIG", b"SET", b"maxmemory-clients", b"0")


def test_who_is_dropped_is_counted_once(run: Runner) -> None:
    """Though the server may look around once more before it is told that the connection has gone."""
    kept = Kept(run)
    run("CONFIG", "SET", "maxmemory-clients", "2mb")
    connection, transport = kept.connect()
    connection.data_received(encode([b"MULTI"]))
    for _ in range(1000):
        if transport.aborted:
            break
        connection.data_received(encode([b"SET", b"k", b"x" * 10_000]))
        kept.server.end_tick()
    assert transport.aborted
    kept.keep_house(1)
    assert run.executor.stats.evicted_clients == 1 and kept.server.held == 0


def test_a_limit_above_what_is_kept_otherwise_is_a_limit(connect: Callable[[], Connection], client: Connection) -> None:
    client.call(b"CONFIG", b"SET", b"client-output-buffer-limit", b"normal 12000000 0 0")
    slow = connect()
    client.call(b"SET", b"big", b"x" * 1_000_000)
    slow.send(encode([b"GET", b"big"]) * 100)
    assert until(lambda: client.call(b"CLIENT", b"LIST")[1].count(b"\n") == 1)
    client.call(b"CONFIG", b"SET", b"client-output-buffer-limit", b"normal 0 0 0")


def test_what_the_system_allows_is_all_that_can_be_served(tmp_path: Path) -> None:
    command = ["sh", "-c", 'ulimit -n 700 && exec "$0" "$@"', sys.executable, "-m", "diskkv", "serve"]
    with servers.Server("diskkv", command, path=tmp_path, extra=("--maxclients", "900")) as server:
        client = Connection(server.address)
        allowed = int(client.call(b"CONFIG", b"GET", b"maxclients")[1][1][1])
        client.close()
        said = server.output.read_text()
    if allowed == 900:  # root may raise its own limits
        assert "Increased maximum number of open files to 1900 (it was originally set to 700)." in said
    else:
        assert allowed == 350
        assert "maxclients has been reduced to 350 to compensate for low ulimit" in said


def test_what_a_client_sent_before_it_hung_up_is_executed(server: servers.Server, client: Connection) -> None:
    """As `cat commands | nc` does: more replies than one turn makes, then a write, and no more to come."""
    client.call(b"SET", b"long", b"x" * 100_000)
    count = 200
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(60)
        raw.connect(str(server.address))
        raw.sendall(encode((b"GET", b"long")) * count + encode((b"INCR", b"done")))
        raw.shutdown(socket.SHUT_WR)
        got = 0
        while data := raw.recv(1 << 20):
            got += len(data)
    assert got == count * len(b"$100000\r\n" + b"x" * 100_000 + b"\r\n") + len(b":1\r\n")
    assert client.call(b"GET", b"done") == ("$", b"1")
