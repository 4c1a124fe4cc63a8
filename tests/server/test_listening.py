"""Where a server listens may change while it serves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from diskkv.server.listening import open_unix
from tests.differential import servers
from tests.differential.wire import Connection, Reply


def ask(port: int, *words: bytes) -> Reply:
    """What a client that comes by TCP is answered."""
    connection = Connection(("127.0.0.1", port), patience=60)
    try:
        return connection.call(*words)
    finally:
        connection.close()


@pytest.fixture
def client() -> Iterator[Connection]:
    with servers.diskkv() as server:
        connection = Connection(server.address, patience=60)
        yield connection
        connection.close()


def test_the_port_changes_while_clients_are_served(client: Connection) -> None:
    first, second = servers.free_port(), servers.free_port()
    assert client.call(b"CONFIG", b"SET", b"port", b"%d" % first) == ("+", b"OK")
    early = Connection(("127.0.0.1", first), patience=60)
    assert early.call(b"PING") == ("+", b"PONG")
    assert client.call(b"CONFIG", b"SET", b"port", b"%d" % second, b"timeout", b"0") == ("+", b"OK")
    assert ask(second, b"PING") == ("+", b"PONG")
    assert early.call(b"PING") == ("+", b"PONG")
    early.close()
    assert client.call(b"CONFIG", b"SET", b"port", b"0") == ("+", b"OK")
    for port in (first, second):
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_what_can_not_be_had_changes_nothing(client: Connection) -> None:
    port = servers.free_port()
    assert client.call(b"CONFIG", b"SET", b"port", b"%d" % port, b"bind", b"127.0.0.1") == ("+", b"OK")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for name, value, text in (
            (b"port", b"%d" % taken.getsockname()[1], b"Unable to listen on this port. Check server logs."),
            (b"bind", b"127.0.0.1 999.1.1.1", b"Failed to bind to specified addresses."),
        ):
            error = b"ERR CONFIG SET failed (possibly related to argument '%b') - %b" % (name, text)
            assert client.call(b"CONFIG", b"SET", b"timeout", b"9", name, value) == ("-", error)
    assert client.call(b"CONFIG", b"GET", b"timeout")[1][1] == ("$", b"0")
    assert client.call(b"CONFIG", b"GET", b"port")[1][1] == ("$", b"%d" % port)
    assert ask(port, b"PING") == ("+", b"PONG")


def test_a_path_is_taken_over_from_the_dead_only(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    with open_unix(path, 0o700, 1):
        with pytest.raises(OSError, match="another process listens there"):
            open_unix(path, 0o700, 1)
        # Nobody accepts these, until there is no place for one more.
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(9)]
        with pytest.raises(BlockingIOError):
            for client in waiting:
                client.setblocking(False)
                client.connect(path)
        with pytest.raises(OSError, match="another process listens there"):
            open_unix(path, 0o700, 1)
        for client in waiting:
            client.close()
    with open_unix(path, 0o700, 1), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
