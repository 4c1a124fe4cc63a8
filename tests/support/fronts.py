"""What golden scripts are run on: a store in this process, or a server behind a socket."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

from diskkv.client.loopback import Loopback
from diskkv.clock import ManualClock
from diskkv.dispatch.executor import Executor
from tests.differential.wire import Address, Connection, Lost
from tests.support.runner import Runner

PATIENCE = 10.0


class LocalPeer(Connection):
    """A session in this process, read as if it were a connection."""

    def __init__(self, executor: Executor, clock: ManualClock) -> None:
        self._loopback = _Loopback(executor)
        self._clock = clock
        self._buffer = b""
        self._at = 0

    def send(self, raw: bytes) -> None:
        self._loopback.send(raw)

    def blocked(self) -> bool:
        return self._loopback.blocked()

    def close(self) -> None:
        self._loopback.close()

    def _more(self) -> None:
        if self._loopback.silent():
            deadline = self._loopback.deadline()
            if deadline is None:
                raise Lost("nothing was answered, and nothing will be")
            # Who reads what waits for a time lets it come.
            self._clock.now = max(self._clock.now, deadline)
        piece = self._loopback.receive()
        if not piece:
            raise Lost("connection closed")
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0


class _Loopback(Loopback):
    """Tells whether it waits, because a script must not wait for ever when it does."""

    def blocked(self) -> bool:
        return self._waiter is not None and not self._out

    def silent(self) -> bool:
        """Whether `receive` would wait for somebody else, or for the clock, which moves only when told to."""
        return not self._out and not self._closed and not self._todo

    def deadline(self) -> int | None:
        """Until when the last command waits, at least."""
        return self._waiter.due if self._waiter is not None else None


class LocalFront:
    """A store in this process, under a clock that moves when told to."""

    oracle = False

    def __init__(self, path: Path) -> None:
        self.run = Runner(path)

    def open(self, protocol: int) -> LocalPeer:
        peer = LocalPeer(self.run.executor, self.run.clock)
        if protocol == 3:
            peer.call(b"HELLO", b"3")
        return peer

    def direct(self, words: list[str]) -> None:
        match words:
            case ["advance", span] if span.endswith("ms"):
                self.run.clock.advance(int(span[:-2]))
            case ["checkpoint"]:
                self.run.checkpoint()
            case ["evict"]:
                self.run.evict()
            case ["reopen"]:
                self.run.reopen()
            case _:
                raise ValueError(f"no such directive: {' '.join(words)}")

    def close(self) -> None:
        self.run.close()


class SocketPeer(Connection):
    """A connection to a server that can be asked whether the session's command waits."""

    def __init__(self, address: Address, protocol: int) -> None:
        super().__init__(address, PATIENCE)
        self._watch = Connection(address, PATIENCE)
        if protocol == 3:
            self.call(b"HELLO", b"3")
        self._id = b"%d" % self.call(b"CLIENT", b"ID")[1]

    def blocked(self) -> bool:
        """Waits until the command has begun to wait, or has been answered."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            _, listed = self._watch.call(b"CLIENT", b"LIST", b"ID", self._id)
            if b"b" in listed.partition(b" flags=")[2].partition(b" ")[0]:
                return True
            if self._answered():
                return False
        raise Lost("neither an answer nor a blocked client")

    def _answered(self) -> bool:
        self._socket.setblocking(False)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        finally:
            self._socket.settimeout(PATIENCE)

    def close(self) -> None:
        self._watch.close()
        super().close()


class SocketFront:
    """A server of ours or Redis, emptied before each script."""

    def __init__(self, address: Address, *, oracle: bool) -> None:
        self.address = address
        self.oracle = oracle

    def clear(self) -> None:
        connection = Connection(self.address, PATIENCE)
        connection.call(b"FLUSHALL")
        connection.close()

    def open(self, protocol: int) -> SocketPeer:
        return SocketPeer(self.address, protocol)

    def direct(self, words: list[str]) -> None:
        raise ValueError(f"a server does not know @{' '.join(words)}")


def has_oracle() -> bool:
    return shutil.which("redis-server") is not None
