"""Clients of our own for the larger-than-memory run, so that values differ, key choice is known and every latency is seen."""

from __future__ import annotations

import multiprocessing
import random
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from differential.wire import Address, Connection, Lost, encode

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as PipeEnd
    from multiprocessing.synchronize import Event

BATCH = 250
_NOISE = random.Random(1).randbytes(1 << 16)


def key_of(number: int) -> bytes:
    return b"key:%012d" % number


def value_of(number: int, size: int) -> bytes:
    """A value that does not compress and can be told again from its number."""
    at = number * 40503 % (len(_NOISE) - size - 12)
    return b"%012d" % number + _NOISE[at : at + size - 12]


def _connect(address: Address) -> socket.socket:
    plain = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, socket.SOCK_STREAM)
    plain.settimeout(300)
    plain.connect(address)
    return plain


def load_all(address: Address, keys: int, size: int, connections: int, progress: Callable[[int], None]) -> float:
    """SET keys 0 to `keys`-1 in a scattered order, pipelined, on a few connections at once; the seconds that took."""
    sockets = [_connect(address) for _ in range(connections)]
    began, sent, step = time.perf_counter(), 0, _scatter(keys)
    while sent < keys:
        waiting = []
        for each in sockets:
            count = min(BATCH, keys - sent)
            if count:
                each.sendall(b"".join(_set(number * step % keys, size) for number in range(sent, sent + count)))
                waiting.append((each, count))
                sent += count
        for each, count in waiting:
            _take_oks(each, count)
        progress(sent)
    for each in sockets:
        each.close()
    return time.perf_counter() - began


def _scatter(keys: int) -> int:
    """A factor without a common divisor with `keys`: multiplying by it visits all keys out of order."""
    return 2_654_435_761 if keys % 2_654_435_761 else 1


def _set(number: int, size: int) -> bytes:
    return b"*3\r\n$3\r\nSET\r\n$16\r\n%b\r\n$%d\r\n%b\r\n" % (key_of(number), size, value_of(number, size))


def _take_oks(plain: socket.socket, count: int) -> None:
    expected, got = b"+OK\r\n" * count, b""
    while len(got) < len(expected):
        piece = plain.recv(1 << 16)
        if not piece:
            raise Lost("the server closed the connection while loading")
        got += piece
    if got != expected:
        raise Lost(f"the server refused a SET: {got[:200]!r}")


def uniform(keys: int, seed: int) -> Iterator[int]:
    draw = random.Random(seed).randrange
    while True:
        yield draw(keys)


def zipf(keys: int, seed: int, exponent: float = 0.99) -> Iterator[int]:
    """Key numbers whose popularity falls with rank^-exponent (Gray et al. 1994, as YCSB does it); ranks are scattered over all keys."""
    zeta = _zeta(keys, exponent)
    alpha, second = 1 / (1 - exponent), 1 + 0.5**exponent
    eta = (1 - (2 / keys) ** (1 - exponent)) / (1 - second / zeta)
    draw, step = random.Random(seed).random, _scatter(keys)
    while True:
        dice = draw()
        scaled = dice * zeta
        rank = 0 if scaled < 1 else 1 if scaled < second else int(keys * (eta * dice - eta + 1) ** alpha)
        yield min(rank, keys - 1) * step % keys


def _zeta(keys: int, exponent: float) -> float:
    """The sum of rank^-exponent: exact for the first terms, an integral for the rest."""
    exact = min(keys, 10_000)
    rest = ((keys + 0.5) ** (1 - exponent) - (exact + 0.5) ** (1 - exponent)) / (1 - exponent)
    return sum(float(rank**-exponent) for rank in range(1, exact + 1)) + float(rest)


def read_loop(address: Address, numbers: Iterator[int], count: int, size: int, connections: int) -> tuple[float, list[float]]:
    """`count` GETs, one under way per connection: reads per second and the sorted latencies in seconds. A wrong value is an error."""
    selector = selectors.DefaultSelector()
    started: dict[socket.socket, tuple[float, int]] = {}
    latencies: list[float] = []
    clock = time.perf_counter
    header = b"$%d\r\n" % size
    began = clock()
    for _ in range(connections):
        opened = _connect(address)
        selector.register(opened, selectors.EVENT_READ)
        _ask(opened, numbers, started)
    while len(latencies) < count:
        for ready, _ in selector.select(60) or _silence():
            plain = ready.fileobj
            assert isinstance(plain, socket.socket)
            reply = plain.recv(1 << 16)
            while reply[:1] == b"$" and len(reply) < len(header) + size + 2 and not reply.startswith(b"$-1"):
                reply += plain.recv(1 << 16)
            sent, number = started[plain]
            latencies.append(clock() - sent)
            if reply != header + value_of(number, size) + b"\r\n":
                raise Lost(f"GET {key_of(number).decode()} gave {reply[:80]!r}")
            _ask(plain, numbers, started)
    seconds = clock() - began
    for opened in started:
        opened.close()
    selector.close()
    return len(latencies) / seconds, sorted(latencies)


def _ask(plain: socket.socket, numbers: Iterator[int], started: dict[socket.socket, tuple[float, int]]) -> None:
    number = next(numbers)
    request = b"*2\r\n$3\r\nGET\r\n$16\r\n%b\r\n" % key_of(number)
    started[plain] = time.perf_counter(), number
    plain.sendall(request)


def _silence() -> list[tuple[selectors.SelectorKey, int]]:
    raise Lost("no reply for a minute")


def paced_reads(address: Address, hot: int, size: int, seconds: float, interval: float = 0.001) -> list[float]:
    """One connection that reads `hot` keys in turn, about one each `interval`: the sorted latencies in seconds."""
    connection = Connection(address, patience=60)
    clock, latencies, number = time.perf_counter, [], 0
    end = clock() + seconds
    due = clock()
    while (now := clock()) < end:
        if now < due:
            time.sleep(due - now)
        due = max(due + interval, clock() - interval)
        number = (number + 1) % hot
        began = clock()
        reply = connection.call(b"GET", key_of(number))
        latencies.append(clock() - began)
        if reply != ("$", value_of(number, size)):
            raise Lost(f"GET {key_of(number).decode()} gave {str(reply)[:80]}")
    connection.close()
    return sorted(latencies)


class Writers:
    """Connections that write without pause, in another process so that they do not slow our clock. `rate` is known at the end."""

    def __init__(self, address: Address, first: int, keys: int, size: int, connections: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop: Event = context.Event()
        self._ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_write_until, args=(address, first, keys, size, connections, self._stop, theirs), daemon=True
        )
        self.rate = 0.0

    def __enter__(self) -> Writers:
        self._process.start()
        self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._ours.poll(60):
            self.rate = self._ours.recv()
        self._process.join(10)


def _write_until(address: Address, first: int, keys: int, size: int, connections: int, stop: Event, told: PipeEnd) -> None:
    """SET random keys from `first` on, one under way per connection, until told to stop; sends "ready", then writes per second."""
    opened = [Connection(address, patience=60) for _ in range(connections)]
    draw, written = random.Random(2).randrange, 0
    told.send("ready")
    began = time.perf_counter()
    while not stop.is_set():
        for connection in opened:
            number = draw(first, keys)
            connection.send(encode((b"SET", key_of(number), value_of(number, size))))
        for connection in opened:
            if connection.read() != ("+", b"OK"):
                raise Lost("a SET was refused")
        written += len(opened)
    told.send(written / (time.perf_counter() - began))
