"""Sockets of our own: one epoll set for all clients, which the event loop watches as if it were one socket.

A round reads from whatever is ready, executes what came, commits and sends the replies, without going back to the event loop in
between; so a tick is one round. Clients that send little are all read first: what they sent can often be executed as one (`rounds.py`).

uvloop's own transports serve the metrics. They cost 0.7 us more for each packet, and have an object of several kilobytes for each client
(`GET` by 50 clients without pipelining, CPU of a server that only echoes: 6.0 us with uvloop, 5.3 so, of which the system takes 4.4
either way).

A `Wire` is what asyncio calls a transport, as far as `Connection` uses one, and keeps its promises: `connection_lost` is called once,
never from within another call to the protocol.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Protocol

from diskkv.clock import perf_ns

if TYPE_CHECKING:
    import asyncio

journal = logging.getLogger("diskkv")

AVAILABLE = hasattr(select, "epoll")
IN, OUT, GONE = (select.EPOLLIN, select.EPOLLOUT, select.EPOLLRDHUP) if AVAILABLE else (0, 0, 0)

# How many sockets a round serves: a round is short, and who is left over is in the next.
MOST = 256
# Whose packets in a row took so many times as long as this, in ns, is slow: its next one waits for all who are not, and the round ends
# after so long of such. (Not after one that took little longer, which may be the system's doing: what clients send one after the other,
# each by a connection of its own, is executed in that order nearly always, and some count on it.)
STREAK = 4
SLOW = 50_000
LONG = 2_000_000
# Who is on the way to that, and whose packet then took so long, in ns, has rounds without others from then on, until so many of its packets
# did not take long: one long command may come in many pieces. (Not at once: another thread may have had the interpreter for so long.)
HEAVY = 5_000_000
LINGER = 16
# How many bytes are read at once: as a client is seen to send more, more. (Python reserves them all for each read.)
LITTLE = 4096
MUCH = 1 << 18
# How many clients are accepted in a row, which takes a millisecond, and for how long nobody is when that fails, in seconds.
ACCEPTED = 32
EXHAUSTED = 1.0
# How many pieces one system call may send.
PIECES = min(os.sysconf("SC_IOV_MAX"), 1024)
# From how many waiting bytes on a wire is full, unless it is told otherwise; as asyncio has it.
HIGH = 65536


Packet = tuple["Wire", bytes]


class Receiver(Protocol):
    """What a wire brings its bytes to: asyncio's protocol, but that `receive` may count on the round being open."""

    def connection_made(self, transport: Any) -> None: ...

    def connection_lost(self, error: Exception | None) -> None: ...

    def receive(self, data: bytes, argv: list[bytes] | None = None) -> bool:
        """What a client sent; `argv` is what `alone` made of it, if it was asked. Whether nothing of it was left for later."""

    def alone(self, data: bytes) -> list[bytes] | None:
        """The one request that this is, if it may be executed together with those of other clients."""

    def end_received(self) -> bool:
        """The client sends no more. Whether the wire stays open, to be closed by its receiver; asyncio's `eof_received`."""

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class Nobody:
    """The receiver of a wire that has ended in the middle of a round."""

    def connection_made(self, transport: Any) -> None:
        """Never called."""

    def connection_lost(self, error: Exception | None) -> None:
        """The one that was there is told."""

    def receive(self, data: bytes, argv: list[bytes] | None = None) -> bool:
        """Not executed any more."""
        return True

    def alone(self, data: bytes) -> list[bytes] | None:
        return None

    def end_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        """Nobody writes."""

    def resume_writing(self) -> None:
        """Nobody waits for it."""


NOBODY = Nobody()


def _slowness(slow: int, took: int) -> int:
    """What a client's `slow` becomes with a packet that took so many ns; more than STREAK once it takes very long."""
    if took <= SLOW:
        return slow - 1 if slow > STREAK else 0
    if took > HEAVY and slow:
        return STREAK + LINGER
    return min(slow + took // SLOW, STREAK) if slow < STREAK else slow - (slow > STREAK)


def deliver(wire: Wire, data: bytes, argv: list[bytes] | None = None) -> None:
    """`Wire.deliver`, which may fail."""
    try:
        wire.deliver(data, argv)
    except Exception as error:
        failed(wire, error)


def failed(wire: Wire, error: Exception) -> None:
    """A mistake in the server: end the connection that has met it. REQUIRES: the exception is being handled."""
    journal.exception("a client's connection failed")
    wire.fail(error)


def deliver_each(gathered: list[Packet]) -> None:
    """Give each receiver what was read."""
    for wire, data in gathered:
        deliver(wire, data)


class Reactor:
    """The epoll set, and what is in it by its file descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop, together: Callable[[list[Packet]], None] | None = None) -> None:
        self.loop = loop
        # delivers what came from clients that send little, in order
        self._together = together or deliver_each
        self.epoll = select.epoll()
        self.ends: dict[int, Wire | Port] = {}
        # those with something to read whose turn comes when all others have had theirs, in order
        self.late: dict[int, None] = {}
        # the last round had none of them
        self._left_out = False
        # those whose packets took very long, and whether this round is theirs
        self.heavy: dict[int, None] = {}
        self._owed = False

    def start(self, turn: Callable[[], None]) -> None:
        """Have the event loop call `turn`, which calls `serve`, when something is ready."""
        self.loop.add_reader(self.epoll.fileno(), turn)

    def serve(self) -> None:
        """Read from, and write to, whatever is ready now; of those who have kept everybody waiting before, as many as the time allows.

        So a client that asks for little waits for one of these rounds, and not until each of fifty others has had a long pipeline executed.
        Its reply leaves at the round's end: so of two rounds one leaves out those who are slow, if it has served others, and who takes
        very long has rounds without others.
        """
        heavy = self.heavy
        if heavy and self._owed:
            self._owed = False
            self._serve_late(heavy)
        elif self._serve_light() or not heavy:
            self._owed = bool(heavy)
        else:
            self._serve_late(heavy)

    def _serve_light(self) -> bool:
        """Serve all but those who take very long; whether there were any."""
        ends, late = self.ends, self.late
        quick = False
        gathered: list[Packet] = []
        for number, events in self.epoll.poll(0, MOST):
            end: Any = ends.get(number)
            if end is None:
                continue  # it was closed earlier in this round
            if end.slow >= STREAK and events == IN:
                if end.slow > STREAK:
                    self.heavy[number] = None
                else:
                    late[number] = None
                continue
            quick = True
            try:
                if events == IN and not end.slow and end.appetite == LITTLE:
                    data = end.read()
                    if data:
                        gathered.append((end, data))
                    continue
                if gathered:
                    # They were ready earlier.
                    self._deliver(gathered)
                    gathered = []
                if events & OUT:
                    end.drain()
                if events != OUT:
                    end.ready()
            except Exception as error:
                journal.exception("a client's connection failed")
                end.fail(error)
        if gathered:
            self._deliver(gathered)
        self._left_out = bool(late) and quick and not self._left_out
        if self._left_out:
            return True  # What the others sent is still there to be read, so there is another round at once.
        return self._serve_late(late) or quick

    def _deliver(self, gathered: list[Packet]) -> None:
        """Have what was gathered executed."""
        try:
            self._together(gathered)
        except Exception as error:
            journal.exception("clients' connections failed")
            for wire, _ in gathered:
                wire.fail(error)

    def _serve_late(self, late: dict[int, None]) -> bool:
        """Read from as many of these as the time allows; whether from any."""
        ends = self.ends
        until = perf_ns() + LONG
        served = False
        while late:
            number = next(iter(late))
            del late[number]
            end = ends.get(number)
            if end is not None:
                served = True
                try:
                    end.ready()
                except Exception as error:
                    journal.exception("a client's connection failed")
                    end.fail(error)
                if perf_ns() > until:
                    break
        return served

    def listen(self, raw: socket.socket, receiver: Callable[[], Receiver]) -> Port:
        """Accept clients on a listening socket from now on."""
        return Port(self, raw, receiver)

    def close(self) -> None:
        """Watch nothing any more."""
        self.loop.remove_reader(self.epoll.fileno())
        self.epoll.close()


class Port:
    """A listening socket. Named as asyncio names its server's methods."""

    slow = appetite = 0

    def __init__(self, reactor: Reactor, raw: socket.socket, receiver: Callable[[], Receiver]) -> None:
        self._reactor = reactor
        self._raw = raw
        self._receiver = receiver
        self._number = raw.fileno()
        raw.setblocking(False)
        reactor.ends[self._number] = self
        reactor.epoll.register(self._number, IN)

    def ready(self) -> None:
        """Clients wait."""
        for _ in range(ACCEPTED):
            try:
                raw, peer = self._raw.accept()
            except (BlockingIOError, ConnectionError, InterruptedError):
                return
            except OSError as error:
                # Most likely there are no more descriptors.
                journal.error("no client can be accepted: %(error)s", {"error": error.strerror})
                self._reactor.epoll.unregister(self._number)
                self._reactor.loop.call_later(EXHAUSTED, self._go_on)
                return
            receiver = self._receiver()
            wire = Wire(self._reactor, raw, peer, receiver)
            try:
                receiver.connection_made(wire)
            except Exception as error:
                journal.exception("a client's connection failed")
                wire.fail(error)

    def drain(self) -> None:
        """A listening socket has nothing to send."""

    def fail(self, error: Exception) -> None:
        """One client could not be accepted; others can."""

    def _go_on(self) -> None:
        if self._reactor.ends.get(self._number) is self:
            self._reactor.epoll.register(self._number, IN)

    def close(self) -> None:
        """Accept nobody any more."""
        if self._reactor.ends.pop(self._number, None) is not None:
            # Else the set goes on with it when another handle of the same socket is still there. Not in it while there are no descriptors.
            with contextlib.suppress(FileNotFoundError):
                self._reactor.epoll.unregister(self._number)
            self._raw.close()


class Wire:
    """One client's socket."""

    __slots__ = (
        "_closing", "_ended", "_full", "_high", "_number", "_over", "_peer", "_raw", "_reactor", "_reading", "_waiting", "_watched",
        "appetite", "receiver", "size", "slow",
    )  # fmt: skip

    def __init__(self, reactor: Reactor, raw: socket.socket, peer: Any, receiver: Receiver) -> None:
        self._reactor = reactor
        self._raw = raw
        self._peer = peer
        self.receiver = receiver
        self._number = raw.fileno()
        # how many bytes are read at once
        self.appetite = LITTLE
        # for the reactor: how slow its last packets were; see `_slowness`
        self.slow = 0
        # what could not be sent yet; nothing, for nearly all clients nearly always
        self._waiting: deque[bytes | memoryview] | None = None
        # how many bytes wait
        self.size = 0
        self._high = HIGH
        self._full = False
        self._reading = True
        self._closing = False
        # the client will send no more: what the system still has of it is read, paused or not, for only so its end is found
        self._ended = False
        # all of that was read
        self._over = False
        # what the epoll set watches it for; 0 when it is not in the set, for an error would be told of again and again
        self._watched = IN
        raw.setblocking(False)
        if raw.family != socket.AF_UNIX:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reactor.ends[self._number] = self
        reactor.epoll.register(self._number, IN)

    # -- for the reactor

    def ready(self) -> None:
        """There is something to read, or it has ended."""
        data = self.read()
        if data:
            self.deliver(data)

    def read(self) -> bytes:
        """What the client sent; nothing when there is nothing, or no more, or when that is not to be read now."""
        if not self._reading:
            if self._closing or self._over:
                return b""
            self._ended = self._reading = True
            self._watch()
        appetite = self.appetite
        try:
            data = os.read(self._number, appetite)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError as error:
            self.fail(error)
            return b""
        size = len(data)
        if size == appetite:
            self.appetite = min(4 * appetite, MUCH)
        elif not size:
            if self.receiver.end_received():
                self._ended, self._reading, self._over = True, False, True
                self._watch()
            else:
                self.close()
        elif size < appetite >> 3 and appetite > LITTLE:
            self.appetite = appetite >> 1
        return data

    def deliver(self, data: bytes, argv: list[bytes] | None = None) -> None:
        """Give its receiver what was read, and see how long that takes. `argv` is the one request that it is, if that is known."""
        # Not from before it was read: whoever calls the system may then wait for the interpreter, which another thread has had meanwhile.
        began = perf_ns()
        whole = self.receiver.receive(data, argv)
        took = perf_ns() - began
        # What is left for later takes no time, and is not the quicker for it.
        if took > SLOW or (self.slow and whole):
            self.slow = _slowness(self.slow, took)

    def keep_up(self, took: int) -> None:
        """What was read has been executed without `deliver`, in so many ns."""
        if took > SLOW:
            self.slow = _slowness(self.slow, took)

    def drain(self) -> None:
        """The client has taken what was sent: send more of what waits."""
        waiting = self._waiting
        if not waiting:
            return
        try:
            self._send(waiting)
        except OSError as error:
            self.fail(error)
            return
        if waiting:
            return
        self._waiting = None
        if self._closing:
            self._end(None)
            return
        self._watch()
        if self._full:
            self._full = False
            self.receiver.resume_writing()

    def fail(self, error: Exception | None) -> None:
        """The connection is broken, or to be dropped with whatever waits."""
        self._waiting = None
        self.size = 0
        self._closing = True
        self._end(error)

    def _send(self, waiting: deque[bytes | memoryview]) -> None:
        """Send as much as the system takes. OSError when the connection is broken."""
        while waiting:
            pieces = [waiting[at] for at in range(min(len(waiting), PIECES))]
            try:
                sent = os.writev(self._number, pieces)
            except (BlockingIOError, InterruptedError):
                return
            self.size -= sent
            # Empty ones, of replies that are not sent, go as well.
            while waiting and sent >= len(waiting[0]):
                sent -= len(waiting.popleft())
            if sent:
                waiting[0] = memoryview(waiting[0])[sent:]

    def _watch(self) -> None:
        """Have the epoll set watch for what is of interest now."""
        wanted = (IN if self._reading else 0 if self._closing or self._over else GONE) | (OUT if self._waiting else 0)
        if wanted == self._watched:
            return
        epoll = self._reactor.epoll
        if not wanted:
            epoll.unregister(self._number)
        elif not self._watched:
            epoll.register(self._number, wanted)
        else:
            epoll.modify(self._number, wanted)
        self._watched = wanted

    def _end(self, error: Exception | None) -> None:
        ends = self._reactor.ends
        if ends.get(self._number) is not self:
            return  # it has ended before
        del ends[self._number]
        self._reactor.late.pop(self._number, None)
        self._reactor.heavy.pop(self._number, None)
        self._reading = False
        self._watch()
        self._raw.close()
        self._reactor.loop.call_soon(self.receiver.connection_lost, error)
        # They know each other, and the collector does not look for such rings.
        self.receiver = NOBODY

    # -- for the connection: as asyncio's transports do it

    def write(self, data: bytes) -> None:
        """Send, now or when the client takes it."""
        if self._waiting is None and not self._closing:
            try:
                sent = os.write(self._number, data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self.fail(error)
                return
            if sent == len(data):
                return
            self._wait((memoryview(data)[sent:],))
        else:
            self._wait((data,))

    def writelines(self, pieces: list[bytes]) -> None:
        """Send some pieces, which are not put together for it."""
        if self._waiting is not None or self._closing:
            self._wait(pieces)
            return
        waiting = deque[bytes | memoryview](pieces)
        self.size = sum(map(len, pieces))
        try:
            self._send(waiting)
        except OSError as error:
            self.fail(error)
            return
        if waiting:
            self.size = 0
            self._wait(waiting)

    def _wait(self, pieces: Collection[bytes | memoryview]) -> None:
        """Keep what can't be sent yet."""
        if self._closing:
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.extend(pieces)
        self.size += sum(map(len, pieces))
        self._watch()
        if self.size > self._high and not self._full:
            self._full = True
            self.receiver.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self.size

    def set_write_buffer_limits(self, high: int) -> None:
        """The receiver is told when more than `high` bytes wait, and when none do any more."""
        self._high = high

    def pause_reading(self) -> None:
        if not self._ended:
            self._reading = False
            # Else its turn would be taken for the news that the client sends no more, which is all that is still watched for.
            self._reactor.late.pop(self._number, None)
            self._reactor.heavy.pop(self._number, None)
            self._watch()

    def resume_reading(self) -> None:
        if not self._closing and not self._over:
            self._reading = True
            self._watch()

    def close(self) -> None:
        """End, once all is sent."""
        if self._closing:
            return
        self._closing = True
        self._reading = False
        if self._waiting:
            self._watch()
        else:
            self._end(None)

    def abort(self) -> None:
        """End at once."""
        self.fail(None)

    def get_extra_info(self, name: str) -> Any:
        """`socket`, `peername` or `sockname`; None for what is not known, or not any more."""
        if name == "socket":
            return self._raw
        if name == "peername":
            return self._peer
        if name == "sockname" and not self._closing:
            return self._raw.getsockname()
        return None
