"""A server in which nothing happens but what a test does: no sockets, no time of its own."""

from __future__ import annotations

from typing import Any

from diskkv.server.connection import Connection
from diskkv.server.server import Server
from tests.support.runner import Runner


class Loop:
    """Stands for the event loop: its time moves when it is told to, and what it is to call later it does not."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def create_future(self) -> None:
        """Nobody waits for the server to stop."""

    def call_later(self, *_: Any) -> None:
        """The test is the one that keeps house."""

    call_soon = run_in_executor = call_later


class Transport:
    """Stands for a socket: `size` bytes wait for the client to read them."""

    def __init__(self) -> None:
        self.size = 0
        self.aborted = self.closed = False
        self.sent = b""

    def get_write_buffer_size(self) -> int:
        return self.size

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, _: str) -> None:
        """It has no address."""

    def set_write_buffer_limits(self, _: int) -> None:
        """It tells nobody how full it is."""

    def pause_reading(self) -> None:
        """What comes, the test brings."""

    def write(self, raw: bytes) -> None:
        self.sent += raw

    def writelines(self, pieces: list[bytes]) -> None:
        self.sent += b"".join(pieces)


class Kept:
    """A server that keeps house at the test's times."""

    def __init__(self, run: Runner) -> None:
        self.loop: Any = Loop()
        self.server = Server(run.executor, self.loop)

    def connect(self) -> tuple[Connection, Transport]:
        connection, transport = Connection(self.server, unix=True), Transport()
        connection.connection_made(transport)  # type: ignore[arg-type]  # all of one that is used
        return connection, transport

    def keep_house(self, at: float) -> None:
        self.loop.now = at
        self.server._keep_house()
