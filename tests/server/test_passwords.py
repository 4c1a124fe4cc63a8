"""Clients of a server that wants a password: before they give it they are kept short, and only before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.differential import servers
from tests.differential.wire import Connection, Lost, encode

NOAUTH = ("-", b"NOAUTH Authentication required.")
OK = ("+", b"OK")
AUTH = encode([b"AUTH", b"secret"])
LONG = encode([b"SET", b"long", b"x" * 100_000])


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[], Connection]]:
    """Makes connections to a server that wants a password."""
    with servers.diskkv() as started:
        opened = [Connection(started.address)]
        opened[0].call(b"CONFIG", b"SET", b"requirepass", b"secret")

        def another() -> Connection:
            opened.append(Connection(started.address))
            return opened[-1]

        yield another
        for connection in opened:
            connection.close()


@pytest.mark.parametrize("together", [True, False])
def test_who_is_let_in_may_send_what_anybody_may(connect: Callable[[], Connection], together: bool) -> None:
    client = connect()
    if together:
        client.send(AUTH + LONG)
        assert [client.read(), client.read()] == [OK, OK]
    else:
        client.send(AUTH)
        assert client.read() == OK
        client.send(LONG)
        assert client.read() == OK
    assert client.call(b"EXISTS", *[b"long"] * 50) == (":", 50)


def test_who_is_not_may_not_and_neither_may_who_has_left(connect: Callable[[], Connection]) -> None:
    stranger, left = connect(), connect()
    left.send(AUTH)
    assert left.read() == OK
    assert left.call(b"RESET") == ("+", b"RESET")
    for client in (stranger, left):
        assert client.call(b"PING") == NOAUTH
        client.send(LONG[:40])
        assert client.read() == ("-", b"ERR Protocol error: unauthenticated bulk length")
        with pytest.raises(Lost):
            client.read()


def test_many_requests_of_a_stranger_are_answered(connect: Callable[[], Connection]) -> None:
    stranger, friend = connect(), connect()
    count = 20_000
    stranger.send(b"GET k\r\n" * count + AUTH + b"PING\r\n")
    friend.send(AUTH)
    assert friend.read() == OK
    assert all(stranger.read() == NOAUTH for _ in range(count))
    assert [stranger.read(), stranger.read()] == [OK, ("+", b"PONG")]
