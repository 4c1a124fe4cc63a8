"""A raw RESP client: replies come back as they were sent, with nothing folded together.

A reply is a pair of its kind and its value. The kind is the byte on the wire (`+ - : $ * _ % ~ , # ( = >`), with two additions: a RESP2
null is told from an empty value by the value None, and `!` stands for a reply that never came (time-out, closed connection).
Maps are lists of pairs, so that order and duplicates can be seen; doubles and big numbers keep their text.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable
from typing import Any

Reply = tuple[str, Any]
Address = str | tuple[str, int]

PATIENCE = 15.0  # seconds without a byte after which a reply counts as missing


class Lost(Exception):
    """The other side closed the connection, kept silent for too long or sent what is not RESP."""


def encode(argv: Iterable[bytes]) -> bytes:
    """A command as a RESP array of bulk strings."""
    words = list(argv)
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


def parse_address(text: str) -> Address:
    """`host:port`, `port`, or the path of a unix socket."""
    if "/" in text:
        return text
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


class Connection:
    """A blocking connection. Replies are read in the order of the commands sent; `read` raises `Lost` when none comes."""

    def __init__(self, address: Address, patience: float = PATIENCE) -> None:
        self.address = address
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.settimeout(patience)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise
        if family == socket.AF_INET:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._at = 0

    def close(self) -> None:
        self._socket.close()

    def send(self, raw: bytes) -> None:
        try:
            self._socket.sendall(raw)
        except OSError as error:
            raise Lost(f"cannot send: {error}") from error

    def call(self, *argv: bytes) -> Reply:
        self.send(encode(argv))
        return self.read()

    def ready(self) -> bool:
        """Whether something can be read at once."""
        return self._at < len(self._buffer) or bool(select.select([self._socket], [], [], 0)[0])

    def read(self) -> Reply:
        """The next reply, whole."""
        line = self._line()
        kind, rest = chr(line[0]), line[1:]
        if kind in "+-,(":
            return kind, rest
        if kind == ":":
            return kind, int(rest)
        if kind in "$=":
            size = int(rest)
            return (kind, None) if size < 0 else (kind, self._exactly(size))
        if kind in "*~>":
            size = int(rest)
            return (kind, None) if size < 0 else (kind, [self.read() for _ in range(size)])
        if kind == "%":
            return kind, [(self.read(), self.read()) for _ in range(int(rest))]
        if kind == "#":
            return kind, rest == b"t"
        if kind == "_":
            return kind, None
        raise Lost(f"not RESP: {line[:80]!r}")

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n", self._at)) < 0:
            self._more()
        line = self._buffer[self._at : end]
        self._at = end + 2
        if not line:
            raise Lost("not RESP: an empty line")
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size + 2:
            self._more()
        start, self._at = self._at, self._at + size + 2
        if self._buffer[self._at - 2 : self._at] != b"\r\n":
            raise Lost("not RESP: a bulk string without its end")
        return self._buffer[start : self._at - 2]

    def _more(self) -> None:
        try:
            piece = self._socket.recv(1 << 18)
        except TimeoutError as error:
            raise Lost("no reply in time") from error
        except OSError as error:
            raise Lost(f"cannot read: {error}") from error
        if not piece:
            raise Lost("connection closed")
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0


def show(reply: Reply, limit: int = 400) -> str:
    """A reply on one line: kind, then value. This is the text that `data/deviations.tsv` is matched against."""
    text = _show(reply)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def _show(reply: Reply) -> str:
    kind, value = reply
    if value is None:
        return f"{kind}nil"
    if kind == "%":
        return "%{" + ", ".join(f"{_show(name)}: {_show(item)}" for name, item in value) + "}"
    if kind in "*~>":
        return f"{kind}[" + ", ".join(map(_show, value)) + "]"
    if kind in "$=":
        return kind + quote(value)
    if isinstance(value, bytes):
        return kind + value.decode("utf-8", "backslashreplace")
    return f"{kind}{value}"


def quote(word: bytes) -> str:
    """Bytes as redis-cli would quote them: printable ASCII as it is, the rest escaped."""
    return '"' + repr(word)[2:-1].replace("\\'", "'").replace('"', '\\"') + '"'


def show_command(argv: Iterable[bytes], limit: int = 60) -> str:
    """A command as one could type it; long words are cut."""
    return " ".join(_show_word(word, limit) for word in argv)


def _show_word(word: bytes, limit: int) -> str:
    if len(word) > limit:
        return f"{quote(word[:limit])}...({len(word)} bytes)"
    text = word.decode("latin-1")
    return text if text and all("!" <= letter <= "~" and letter not in "\"'\\" for letter in text) else quote(word)
