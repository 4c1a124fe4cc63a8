"""A connection to another server, for those who can wait for it: commands out, replies in."""

from __future__ import annotations

import socket
from typing import Any

from diskkv.errors import BadDump, CommandError
from diskkv.rdb.commands import encode_command
from diskkv.rdb.source import Source

# How deeply replies may be nested.
DEPTH = 8


class Link:
    """A connection. Every method may raise OSError, TimeoutError among them, and BadDump when what comes is no reply or ends."""

    def __init__(self, host: str, port: int, seconds: float | None = None) -> None:
        self._socket = socket.create_connection((host, port), seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.source = Source(self._socket.recv)

    def send(self, data: bytes) -> None:
        """Send bytes, all of them."""
        self._socket.sendall(data)

    def reply(self, depth: int = 0, *, patient: bool = False) -> Any:
        """The next reply: bytes, int, None, a list; an error is a CommandError, returned. `patient`: empty lines may come before it."""
        line = self.source.line()
        while patient and not line:
            line = self.source.line()
        mark, text = line[:1], line[1:]
        if mark == b"+":
            return text
        if mark == b"-":
            code, _, words = text.decode("utf-8", "replace").partition(" ")
            return CommandError(words, code=code)
        size = _number(text)
        if mark == b":":
            return size
        if size < 0:
            return None
        if mark == b"$":
            return self.source.take(size + 2)[:-2]
        if mark == b"*" and depth < DEPTH:
            return [self.reply(depth + 1) for _ in range(size)]
        raise BadDump("there is no reply where one must be")

    def call(self, *argv: bytes) -> Any:
        """One command's reply."""
        self.send(encode_command(list(argv)))
        return self.reply()

    def ask(self, *argv: bytes) -> Any:
        """One command's reply, an error raised as CommandError."""
        reply = self.call(*argv)
        if isinstance(reply, CommandError):
            raise reply
        return reply

    def alive(self) -> bool:
        """Whether the other side has neither closed the connection nor said anything that nobody asked for."""
        self._socket.setblocking(False)
        try:
            return not self.source.rest() and self._socket.recv(1, socket.MSG_PEEK) is None
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._socket.setblocking(True)

    def limit(self, seconds: float) -> None:
        """No single wait may take longer from now on."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        self._socket.close()


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadDump("there is no reply where one must be") from None
