"""Clients whose packets take long have their turn after the others: when it comes, and what may have happened to them until then."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from diskkv.server import reactor
from diskkv.server.reactor import AVAILABLE
from tests.server.test_reactor import Bench, bench

__all__ = ["bench"]

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="there is no epoll here, and so no reactor")


class Time:
    """A clock that moves when a packet is executed."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(reactor, "perf_ns", clock)
    return clock


def taking(bench: Bench, clock: Time, log: list[Any], name: str, spent: int, then: Callable[[], None] = lambda: None) -> socket.socket:
    """A client each of whose packets takes so long, which is noted in the log, and has this happen."""
    client, receiver = bench.connect()

    def receive(data: bytes) -> None:
        log.append(name)
        clock.now += spent
        then()

    receiver.receive = receive  # type: ignore[method-assign]
    return client


def send(*clients: socket.socket) -> None:
    for client in clients:
        client.send(b"packet")


def test_the_slow_have_their_time_however_long_the_others_took(bench: Bench, clock: Time) -> None:
    log: list[Any] = []
    slow = [taking(bench, clock, log, "slow", reactor.LONG // 4) for _ in range(4)]
    fast = [taking(bench, clock, log, "fast", reactor.SLOW) for _ in range(2 * reactor.LONG // reactor.SLOW)]
    send(*slow)
    bench.serve()
    log.clear()
    send(*slow, *fast)
    bench.serve()
    send(*fast)
    bench.serve()
    assert log == ["fast"] * 2 * len(fast) + ["slow"] * 4


def test_who_has_been_paused_before_its_turn_is_not_read_from(bench: Bench, clock: Time) -> None:
    log: list[Any] = []
    slow = taking(bench, clock, log, "slow", 2 * reactor.LONG)
    wire = bench.receivers[-1].wire
    other = taking(bench, clock, log, "other", 1, wire.pause_reading)
    send(slow)
    bench.serve()
    send(slow, other)
    bench.serve()
    bench.serve()
    assert log == ["slow", "other"]
    wire.resume_reading()
    bench.serve()
    assert log == ["slow", "other", "slow"]
    wire.pause_reading()
    send(slow)
    bench.serve()
    assert log == ["slow", "other", "slow"], "pausing works as before"


def test_who_is_left_over_may_go_and_another_have_its_descriptor(bench: Bench, clock: Time) -> None:
    log: list[Any] = []
    slow = [taking(bench, clock, log, f"slow {number}", 2 * reactor.LONG) for number in range(2)]
    wires = [receiver.wire for receiver in bench.receivers]
    send(*slow)
    bench.serve()
    send(*slow)
    bench.serve()
    left = wires[1 - int(log[2][-1])]
    # It knocks first, so that the lowest free number is not its own end's.
    another = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bench.clients.append(another)
    another.connect(bench.path)
    left.abort()
    bench.serve()
    assert bench.receivers[-1].wire._number == left._number
    send(another)
    bench.serve()
    assert bench.receivers[-1].told == [b"packet"]
    assert len(log) == 3


def test_a_slow_client_that_is_paused_is_seen_to_end(bench: Bench, clock: Time) -> None:
    log: list[Any] = []
    slow = taking(bench, clock, log, "slow", 2 * reactor.LONG)
    receiver = bench.receivers[-1]
    send(slow)
    bench.serve()
    receiver.wire.pause_reading()
    slow.close()
    for _ in range(3):
        bench.serve()
    assert receiver.told == [("lost", type(None))]
