"""A place to talk to without a socket: a function from a command to the bytes of its reply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from diskkv.cli.shell_links import Link
from diskkv.cli.shell_replies import LinkError, ReplyReader


@dataclass
class LoopbackLink:
    answer: Callable[[list[bytes]], bytes]
    waiting: bytearray = field(default_factory=bytearray)

    def send(self, data: bytes) -> None:
        pieces = [data]
        request = ReplyReader(lambda: pieces.pop() if pieces else b"").read()
        self.waiting += self.answer([item.text for item in request.items])

    def receive(self) -> bytes:
        piece = bytes(self.waiting[:3])
        del self.waiting[:3]
        return piece

    def close(self) -> None:
        self.waiting.clear()


@dataclass
class Loopback:
    """`answers` maps a command line to its reply; an empty reply means that the server hangs up. `heard` keeps what was sent."""

    answers: dict[bytes, bytes]
    label: str = "here"
    reachable: bool = True
    heard: list[bytes] = field(default_factory=list)
    closed: bool = False

    def open(self) -> Link:
        if not self.reachable:
            raise LinkError("nobody there")
        self.heard.append(b"(open)")
        return LoopbackLink(self._answer)

    def close(self) -> None:
        self.closed = True

    def _answer(self, argv: list[bytes]) -> bytes:
        line = b" ".join(argv)
        self.heard.append(line)
        return self.answers.get(line, b"-ERR unknown\r\n")
