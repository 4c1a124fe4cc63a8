"""max-disk-size: writers stop, others go on, and writing resumes by itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from tests.differential import servers
from tests.differential.wire import Connection

FULL = ("-", b"OOM command not allowed when the store takes more space than 'max-disk-size'.")
NOISE = random.Random(1)


@pytest.fixture
def client() -> Iterator[Connection]:
    with servers.diskkv("--checkpoint-log-size", "1mb") as server:
        connection = Connection(server.address, patience=60)
        yield connection
        connection.close()


def until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def field(client: Connection, name: bytes) -> int:
    lines = client.call(b"INFO", b"persistence")[1].split(b"\r\n")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(name + b":"))


def fill(client: Connection) -> int:
    """Write until it is refused; how many values there are."""
    for number in range(20_000):
        reply = client.call(b"SET", b"k%d" % number, NOISE.randbytes(20_000))
        if reply[0] == "-":
            assert reply == FULL
            return number
    raise AssertionError("never refused")


def test_writers_stop_and_go_on(client: Connection) -> None:
    assert client.call(b"CONFIG", b"SET", b"max-disk-size", b"4mb") == ("+", b"OK")
    count = fill(client)
    assert count > 50
    assert field(client, b"disk_full") == 1
    assert client.call(b"GET", b"k0")[0] == "$"
    assert client.call(b"LPUSH", b"l", b"v") == FULL
    assert client.call(b"EVAL", b"return redis.call('set', 'x', 'y')", b"0")[0] == "-"
    assert client.call(b"MULTI") == ("+", b"OK")
    assert client.call(b"SET", b"x", b"y") == FULL
    assert client.call(b"EXEC")[1].startswith(b"EXECABORT")
    for number in range(count):
        assert client.call(b"DEL", b"k%d" % number) == (":", 1)
    assert until(lambda: client.call(b"SET", b"x", b"y") == ("+", b"OK"))
    assert field(client, b"disk_full") == 0
    assert field(client, b"disk_used") < 4 << 20


def test_another_limit_holds_at_once(client: Connection) -> None:
    client.call(b"SET", b"k", NOISE.randbytes(100_000))
    assert client.call(b"CONFIG", b"SET", b"max-disk-size", b"10kb") == ("+", b"OK")
    assert client.call(b"SET", b"x", b"y") == FULL
    assert client.call(b"CONFIG", b"SET", b"max-disk-size", b"0") == ("+", b"OK")
    assert client.call(b"SET", b"x", b"y") == ("+", b"OK")
    assert field(client, b"disk_used") == 0
