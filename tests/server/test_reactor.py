"""The reactor's wires: real sockets, a loop that does only what the test says."""

from __future__ import annotations

import gc
import os
import socket
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from diskkv.server import reactor
from diskkv.server.reactor import AVAILABLE, HEAVY, LINGER, LITTLE, LONG, OUT, SLOW, STREAK, Reactor, Wire

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="there is no epoll here, and so no reactor")

BIG = b"x" * (8 << 20)


class Loop:
    """Stands for the event loop: `run` does what was to be done soon."""

    def __init__(self) -> None:
        self.soon: list[tuple[Any, ...]] = []
        self.later: list[Any] = []

    def call_soon(self, call: Any, *args: Any) -> None:
        self.soon.append((call, *args))

    def call_later(self, _: float, call: Any) -> None:
        self.later.append(call)

    def add_reader(self, *_: Any) -> None:
        """The test looks for itself."""

    remove_reader = add_reader

    def run(self) -> None:
        soon, self.soon = self.soon, []
        for call, *args in soon:
            call(*args)


class Clock:
    """In ns: moves when a receiver says that it has worked."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Receiver:
    """Writes down what it is told. What it receives takes it `cost` ns."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cost = 0
        self.wire: Any = None
        self.told: list[Any] = []
        self.broken = False
        self.whole = True
        self.goes_on = False

    def connection_made(self, wire: Wire) -> None:
        self.wire = wire

    def connection_lost(self, error: Exception | None) -> None:
        self.told.append(("lost", type(error)))

    def alone(self, data: bytes) -> list[bytes] | None:
        return None

    def receive(self, data: bytes, argv: list[bytes] | None = None) -> bool:
        if self.broken:
            raise ValueError("a mistake in the server")
        self.clock.now += self.cost
        self.told.append(data)
        return self.whole

    def end_received(self) -> bool:
        return self.goes_on

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Bench:
    """A reactor with one listening socket, and those who connect to it."""

    def __init__(self, path: str, clock: Clock) -> None:
        self.clock = clock
        self.loop: Any = Loop()
        self.reactor = Reactor(self.loop)
        self.receivers: list[Receiver] = []
        self.raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.raw.bind(path)
        self.raw.listen()
        self.path = path
        self.port = self.reactor.listen(self.raw, self._receiver)
        self.clients: list[socket.socket] = []

    def _receiver(self) -> Receiver:
        self.receivers.append(Receiver(self.clock))
        return self.receivers[-1]

    def connect(self) -> tuple[socket.socket, Receiver]:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(10)
        client.connect(self.path)
        self.clients.append(client)
        self.serve()
        return client, self.receivers[-1]

    def serve(self) -> None:
        self.reactor.serve()
        self.loop.run()


@pytest.fixture
def bench(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    clock = Clock()
    monkeypatch.setattr(reactor, "perf_ns", clock)
    monkeypatch.setattr(reactor, "STREAK", 1)
    bench = Bench(str(tmp_path / "socket"), clock)
    yield bench
    for client in bench.clients:
        client.close()
    for end in list(bench.reactor.ends.values()):
        end.close()
    bench.reactor.close()


def test_bytes_go_both_ways(bench: Bench) -> None:
    client, receiver = bench.connect()
    client.send(b"ping")
    bench.serve()
    receiver.wire.write(b"pong")
    receiver.wire.writelines([b"and", b"more"])
    assert receiver.told == [b"ping"]
    assert client.recv(100) == b"pongandmore"


def test_much_is_read_in_larger_and_larger_pieces(bench: Bench) -> None:
    client, receiver = bench.connect()
    sent = bytes(range(256)) * 400
    client.setblocking(False)
    done = client.send(sent)
    while sum(map(len, receiver.told)) < done:
        bench.serve()
    assert b"".join(receiver.told) == sent[:done]
    assert len(receiver.told[0]) == LITTLE < len(receiver.told[1])


@pytest.mark.parametrize("lines", [False, True])
def test_what_the_client_does_not_take_waits_and_follows_in_order(bench: Bench, lines: bool) -> None:
    client, receiver = bench.connect()
    wire = receiver.wire
    if lines:
        wire.writelines([BIG, b"end", b"."])
    else:
        wire.write(BIG)
        wire.write(b"end.")
    assert wire.get_write_buffer_size() > 0
    assert receiver.told == ["pause"]
    got = bytearray()
    while len(got) < len(BIG) + 4:
        got += client.recv(1 << 20)
        bench.serve()
    assert bytes(got) == BIG + b"end."
    assert receiver.told == ["pause", "resume"]
    assert wire.get_write_buffer_size() == 0


def test_closing_sends_what_waits_first(bench: Bench) -> None:
    client, receiver = bench.connect()
    receiver.wire.write(BIG)
    receiver.wire.close()
    receiver.wire.write(b"too late")
    got = 0
    while data := client.recv(1 << 20):
        got += len(data)
        bench.serve()
    assert got == len(BIG)
    assert receiver.told == ["pause", ("lost", type(None))]


def test_aborting_sends_nothing_more(bench: Bench) -> None:
    client, receiver = bench.connect()
    receiver.wire.write(BIG)
    receiver.wire.abort()
    receiver.wire.abort()
    receiver.wire.write(b"more")
    receiver.wire.resume_reading()
    bench.serve()
    bench.serve()
    assert receiver.told == ["pause", ("lost", type(None))]
    got = 0
    while data := client.recv(1 << 20):
        got += len(data)
    assert got < len(BIG)


def test_a_client_that_hangs_up_is_lost_once(bench: Bench) -> None:
    client, receiver = bench.connect()
    client.send(b"last words")
    client.close()
    bench.serve()
    bench.serve()
    bench.serve()
    assert receiver.told == [b"last words", ("lost", type(None))]


def test_writing_to_a_client_that_has_gone_is_an_error_of_the_connection(bench: Bench) -> None:
    client, receiver = bench.connect()
    client.close()
    receiver.wire.write(b"hello?")
    bench.serve()
    assert receiver.told == [("lost", BrokenPipeError)]


def test_a_client_that_hangs_up_while_nobody_reads_is_read_to_its_end(bench: Bench) -> None:
    """Else it would be there for ever: a blocked client that had sent much behind its command, and went away."""
    client, receiver = bench.connect()
    client.send(b"before")
    receiver.wire.pause_reading()
    bench.serve()
    assert receiver.told == []
    client.close()
    bench.serve()
    receiver.wire.pause_reading()
    bench.serve()
    assert receiver.told == [b"before", ("lost", type(None))]
    assert bench.reactor.epoll.poll(0) == []


def test_a_client_that_sends_no_more_is_not_asked_again_and_again_while_it_is_sent_the_rest(bench: Bench) -> None:
    client, receiver = bench.connect()
    receiver.wire.write(BIG)
    receiver.wire.close()
    client.shutdown(socket.SHUT_WR)
    while client.recv(1 << 20):
        bench.serve()
        assert all(events & OUT for _, events in bench.reactor.epoll.poll(0))
    assert receiver.told == ["pause", ("lost", type(None))]


@pytest.mark.parametrize("pieces", [[b"a", b""], [b""], [b"", b"a", b"", b"", b"b"], [b"", BIG, b"", b"end", b""]])
def test_empty_pieces_are_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]) -> None:
    calls = 0
    real = os.writev

    def counted(number: int, given: Any) -> int:
        nonlocal calls
        calls += 1
        assert calls < 1000
        return real(number, given)

    monkeypatch.setattr(os, "writev", counted)
    client, receiver = bench.connect()
    receiver.wire.writelines(pieces)
    receiver.wire.writelines([b"", b""])
    receiver.wire.close()
    got = b""
    while data := client.recv(1 << 20):
        got += data
        bench.serve()
    assert got == b"".join(pieces)


@pytest.mark.parametrize("how", ["closed", "aborted", "hung up"])
def test_nothing_is_left_of_a_client_that_has_gone(bench: Bench, how: str) -> None:
    client, receiver = bench.connect()
    gc.disable()
    try:
        if how == "hung up":
            client.close()
        else:
            receiver.wire.close() if how == "closed" else receiver.wire.abort()
        bench.serve()
        assert receiver.told == [("lost", type(None))]
        watch = weakref.ref(receiver)
        bench.receivers.clear()
        del receiver
        assert watch() is None
    finally:
        gc.enable()


def test_an_end_that_follows_another_in_its_number_is_left_alone(bench: Bench) -> None:
    client, receiver = bench.connect()
    client.close()
    bench.serve()
    assert receiver.told == [("lost", type(None))]
    other, second = bench.connect()
    assert second.wire._number == receiver.wire._number
    receiver.wire.abort()
    receiver.wire.close()
    bench.serve()
    other.send(b"still here")
    bench.serve()
    assert second.told == [b"still here"]


def test_a_mistake_in_one_connection_ends_that_one(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    (first, broken), (second, whole) = bench.connect(), bench.connect()
    broken.broken = True
    first.send(b"x")
    second.send(b"y")
    bench.serve()
    assert broken.told == [("lost", ValueError)]
    assert whole.told == [b"y"]
    assert "a client's connection failed" in caplog.text
    assert first.recv(10) == b""


def test_when_nobody_can_be_accepted_it_is_tried_again_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        def accept(self) -> None:
            raise OSError(24, "Too many open files")

        def close(self) -> None:
            bench.raw.close()

    monkeypatch.setattr(bench.port, "_raw", Exhausted())
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bench.clients.append(client)
    client.connect(bench.path)
    bench.serve()
    assert bench.reactor.epoll.poll(0) == []
    monkeypatch.setattr(bench.port, "_raw", bench.raw)
    (again,) = bench.loop.later
    again()
    bench.serve()
    assert len(bench.receivers) == 1


def test_a_closed_port_accepts_nobody_and_leaves_its_clients_be(bench: Bench) -> None:
    client, receiver = bench.connect()
    bench.port.close()
    bench.port.close()
    with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.connect(bench.path)
    client.send(b"hello")
    bench.serve()
    assert receiver.told == [b"hello"]


def test_a_client_that_sends_no_more_may_be_answered_first(bench: Bench) -> None:
    client, receiver = bench.connect()
    receiver.goes_on = True
    client.send(b"question")
    client.shutdown(socket.SHUT_WR)
    bench.serve()
    bench.serve()
    assert receiver.told == [b"question"]
    assert bench.reactor.epoll.poll(0) == []
    receiver.wire.resume_reading()
    assert bench.reactor.epoll.poll(0) == []
    receiver.wire.write(b"answer")
    receiver.wire.close()
    bench.serve()
    assert client.recv(100) == b"answer"
    assert client.recv(100) == b""
    assert receiver.told == [b"question", ("lost", type(None))]


def slow_clients(bench: Bench, count: int, cost: int) -> tuple[list[socket.socket], list[Receiver]]:
    """Clients who are known to be slow."""
    clients, receivers = [], []
    for _ in range(count):
        client, receiver = bench.connect()
        receiver.cost = cost
        client.send(b"first")
        clients.append(client)
        receivers.append(receiver)
    bench.serve()
    assert [receiver.told for receiver in receivers] == [[b"first"]] * count
    return clients, receivers


def test_who_is_slow_has_its_turn_when_others_have_had_theirs(bench: Bench) -> None:
    [slow], [patient] = slow_clients(bench, 1, SLOW + 1)
    quick, receiver = bench.connect()
    for number in (b"1", b"2"):
        slow.send(number)
        quick.send(number)
        bench.serve()
        assert (receiver.told[-1], len(patient.told)) == (number, int(number))
        # However much the others ask for, it is left out of every second round only.
        quick.send(b"more")
        bench.serve()
        assert (receiver.told[-1], patient.told[-1]) == (b"more", number)
    slow.send(b"alone")
    bench.serve()
    assert patient.told[-1] == b"alone"
    # Who has become quick is in its place again.
    patient.cost = 0
    slow.send(b"3")
    bench.serve()
    slow.send(b"4")
    quick.send(b"4")
    bench.serve()
    assert (receiver.told[-1], patient.told[-1]) == (b"4", b"4")


def test_a_round_of_those_who_are_slow_is_not_long_and_the_next_goes_on(bench: Bench) -> None:
    clients, receivers = slow_clients(bench, 4, LONG * 2 // 3)
    for client in clients:
        client.send(b"second")
    bench.serve()
    done = [at for at, receiver in enumerate(receivers) if len(receiver.told) == 2]
    waiting = [at for at, receiver in enumerate(receivers) if len(receiver.told) == 1]
    assert (len(done), len(waiting)) == (2, 2)
    # The first come again, but not before those who wait.
    for at in done:
        clients[at].send(b"third")
    bench.serve()
    assert [receivers[at].told[-1] for at in (*done, *waiting)] == [b"second"] * 4
    bench.serve()
    assert [receivers[at].told[-1] for at in (*done, *waiting)] == [b"third"] * 2 + [b"second"] * 2


def taking(bench: Bench, log: list[Any], name: str, spent: int, then: Callable[[], None] = lambda: None) -> socket.socket:
    """A client each of whose packets takes so long, which is noted in the log, and has this happen."""
    client, receiver = bench.connect()

    def receive(data: bytes, _: list[bytes] | None = None) -> bool:
        log.append(name)
        bench.clock.now += spent
        then()
        return True

    receiver.receive = receive  # type: ignore[method-assign]
    return client


def send(*clients: socket.socket) -> None:
    for client in clients:
        client.send(b"packet")


def test_who_was_slow_but_a_few_times_has_its_turn_in_order(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reactor, "STREAK", 3)
    log: list[Any] = []
    slow, other = taking(bench, log, "slow", 2 * SLOW - 1), taking(bench, log, "other", 0)
    slower = taking(bench, log, "slower", 2 * SLOW)
    for _ in range(2):
        send(slow, slower, other)
        bench.serve()
    assert log == ["slow", "slower", "other"] * 2
    log.clear()
    send(slow, slower, other)
    bench.serve()
    assert log == ["slow", "other"]
    log.clear()
    send(slow, other)
    bench.serve()
    assert log == ["other", "slower", "slow"]


def test_who_has_to_wait_for_the_interpreter_is_not_slow(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may have had it while the client's bytes were read."""
    log: list[Any] = []
    first, second = taking(bench, log, "first", 0), taking(bench, log, "second", 0)
    read = os.read

    def reading(number: int, size: int) -> bytes:
        bench.clock.now += 2 * HEAVY
        return read(number, size)

    monkeypatch.setattr(os, "read", reading)
    for _ in range(3):
        send(first, second)
        bench.serve()
    assert log == ["first", "second"] * 3


def test_who_is_slow_is_not_quick_because_what_it_sent_was_left_for_later(bench: Bench) -> None:
    [slow], [patient] = slow_clients(bench, 1, SLOW + 1)
    quick, receiver = bench.connect()
    patient.cost, patient.whole = 0, False
    slow.send(b"left for later")
    bench.serve()
    slow.send(b"1")
    quick.send(b"1")
    bench.serve()
    assert (receiver.told[-1], patient.told[-1]) == (b"1", b"left for later")
    bench.serve()
    patient.whole = True
    slow.send(b"2")
    bench.serve()
    slow.send(b"3")
    quick.send(b"3")
    bench.serve()
    assert (receiver.told[-1], patient.told[-1]) == (b"3", b"3")


def test_one_packet_that_takes_very_long_does_not_make_a_client_heavy(bench: Bench) -> None:
    """The interpreter may have been another thread's."""
    client, receiver = bench.connect()
    for cost in (2 * HEAVY, 0, 2 * HEAVY, 0):
        receiver.cost = cost
        client.send(b"packet")
        bench.serve()
    assert len(receiver.told) == 4
    assert receiver.wire.slow == 0
    assert not bench.reactor.heavy


def test_the_slow_have_their_time_however_long_the_others_took(bench: Bench) -> None:
    log: list[Any] = []
    slow = [taking(bench, log, "slow", LONG // 4) for _ in range(4)]
    fast = [taking(bench, log, "fast", SLOW) for _ in range(2 * LONG // SLOW)]
    send(*slow)
    bench.serve()
    log.clear()
    send(*slow, *fast)
    bench.serve()
    send(*fast)
    bench.serve()
    assert log == ["fast"] * 2 * len(fast) + ["slow"] * 4


def test_who_has_been_paused_before_its_turn_is_not_read_from(bench: Bench) -> None:
    log: list[Any] = []
    slow = taking(bench, log, "slow", 2 * LONG)
    wire = bench.receivers[-1].wire
    other = taking(bench, log, "other", 1, wire.pause_reading)
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


def test_who_is_left_over_may_go_and_another_have_its_descriptor(bench: Bench) -> None:
    log: list[Any] = []
    slow = [taking(bench, log, f"slow {number}", 2 * LONG) for number in range(2)]
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


def test_a_slow_client_that_is_paused_is_seen_to_end(bench: Bench) -> None:
    log: list[Any] = []
    slow = taking(bench, log, "slow", 2 * LONG)
    receiver = bench.receivers[-1]
    send(slow)
    bench.serve()
    receiver.wire.pause_reading()
    slow.close()
    for _ in range(3):
        bench.serve()
    assert receiver.told == [("lost", type(None))]


def test_who_takes_very_long_has_rounds_without_others(bench: Bench) -> None:
    """A reply leaves at its round's end, which would be after that."""
    [slow], [patient] = slow_clients(bench, 1, 0)
    quick, receiver = bench.connect()
    patient.cost = HEAVY + 1
    for _ in range(2):
        slow.send(b"long")
        bench.serve()
    for number in (b"1", b"2", b"3"):
        slow.send(number)
        quick.send(number)
        bench.serve()
        assert (receiver.told[-1], patient.told[-1] == number) == (number, False)
        quick.send(b"more")
        bench.serve()
        assert (receiver.told[-1], patient.told[-1]) == (number, number)
        bench.serve()
        assert receiver.told[-1] == b"more"
    # A part of a long command is soon read: that does not put it among the others.
    patient.cost = 0
    slow.send(b"part")
    bench.serve()
    slow.send(b"rest")
    quick.send(b"4")
    bench.serve()
    assert (receiver.told[-1], patient.told[-1]) == (b"4", b"part")
    for _ in range(LINGER + STREAK):
        slow.send(b"short")
        bench.serve()
    slow.send(b"5")
    quick.send(b"5")
    bench.serve()
    assert (receiver.told[-1], patient.told[-1]) == (b"5", b"5")
