"""Replies as they came over the wire, every RESP type kept apart.

The shell shows a simple string otherwise than a bulk string and a set otherwise than an array, so it needs more than the Python
values that client libraries make of a reply. `ReplyReader` pulls: it asks for more bytes until one reply is whole, so a reply of any
size is parsed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from diskkv.errors import DiskkvError

MAX_DEPTH = 128


class Kind(Enum):
    SIMPLE = "simple"
    ERROR = "error"
    INTEGER = "integer"
    BULK = "bulk"
    NIL = "nil"
    ARRAY = "array"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    BIG = "big number"
    VERBATIM = "verbatim"
    MAP = "map"
    SET = "set"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` holds a scalar's bytes as sent (`t` or `f` for a boolean; a verbatim text without its format), `items` the elements of
    an array, set or push, and of a map its keys and values by turns."""

    kind: Kind
    text: bytes = b""
    items: Sequence[Reply] = ()


class LinkError(DiskkvError):
    """The other side can't be reached, has gone, or does not speak RESP."""


class LinkClosed(LinkError):
    def __init__(self) -> None:
        super().__init__("Server closed the connection")


class BadReply(LinkError):
    """Bytes that are not RESP; nothing that follows on this link can be understood."""


_SCALARS = {
    b"+": Kind.SIMPLE,
    b"-": Kind.ERROR,
    b":": Kind.INTEGER,
    b"_": Kind.NIL,
    b",": Kind.DOUBLE,
    b"#": Kind.BOOLEAN,
    b"(": Kind.BIG,
}
_BLOBS = {b"$": Kind.BULK, b"!": Kind.ERROR, b"=": Kind.VERBATIM}
_LISTS = {b"*": Kind.ARRAY, b"%": Kind.MAP, b"~": Kind.SET, b">": Kind.PUSH}


class ReplyReader:
    """Reads replies off a link. `receive` returns at least one byte, or b"" once the other side has closed."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._buffer = bytearray()
        self._at = 0

    def read(self) -> Reply:
        """The next reply or push, waiting for it; raises LinkClosed at the end, BadReply if it is not RESP."""
        return self._read(0)

    def _read(self, depth: int) -> Reply:
        if depth > MAX_DEPTH:
            raise BadReply("Protocol error, reply is nested too deeply")
        line = self._line()
        mark, rest = line[:1], line[1:]
        if kind := _SCALARS.get(mark):
            return Reply(kind, rest)
        if kind := _BLOBS.get(mark):
            size = self._size(rest)
            if size < 0:
                return Reply(Kind.NIL)
            blob = self._exactly(size)
            return Reply(kind, blob[4:] if kind is Kind.VERBATIM else blob)
        if kind := _LISTS.get(mark):
            count = self._size(rest) * (2 if kind is Kind.MAP else 1)
            if count < 0:
                return Reply(Kind.NIL)
            return Reply(kind, items=[self._read(depth + 1) for _ in range(count)])
        if mark == b"|":
            # Attributes tell about the reply that follows; there is no room for them in any of the output formats.
            for _ in range(2 * self._size(rest)):
                self._read(depth + 1)
            return self._read(depth)
        raise BadReply(f"Protocol error, got {mark.decode('latin-1')!r} as reply type byte")

    def _size(self, text: bytes) -> int:
        try:
            return int(text)
        except ValueError as error:
            raise BadReply(f"Protocol error, bad length {text!r}") from error

    def _line(self) -> bytes:
        searched = self._at
        while (end := self._buffer.find(b"\r\n", searched)) < 0:
            searched = max(self._at, len(self._buffer) - 1)
            searched -= self._more()
        line = bytes(self._buffer[self._at : end])
        self._at = end + 2
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size + 2:
            self._more()
        blob = bytes(self._buffer[self._at : self._at + size])
        self._at += size + 2
        return blob

    def _more(self) -> int:
        """Append what comes next, dropping first what is consumed; returns by how much positions have moved to the front."""
        dropped = self._at
        del self._buffer[:dropped]
        self._at = 0
        data = self._receive()
        if not data:
            raise LinkClosed
        self._buffer += data
        return dropped
