"""Where an RDB file's bytes come from, and the primitives that they are made of."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

from diskkv.errors import BadDump
from diskkv.rdb.checksum import crc64
from diskkv.rdb.lzf import decompress, decompress_pieces

# How much is asked for at a time.
BLOCK = 1 << 20
# From this size on, strings are handed on in pieces where the reader wants that.
PIECE = 1 << 20
INTEGERS = {0xC0: struct.Struct("<b"), 0xC1: struct.Struct("<h"), 0xC2: struct.Struct("<i")}
LZF = 0xC3

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_I64LE = struct.Struct("<q")
_F64LE = struct.Struct("<d")


class EndsEarly(BadDump):
    """There are fewer bytes than there should be."""


class Source:
    """Bytes read from front to back. `read(n)` returns up to n of them, b"" at the end.

    Every method raises BadDump when the bytes end too early or are not what they must be.
    """

    def __init__(self, read: Callable[[int], bytes], data: bytes = b"") -> None:
        self._read = read
        self._buffer = data
        self._at = 0
        # what of the buffer is already in the checksum; the bytes before the buffer; the checksum of all these
        self._counted = 0
        self._before = 0
        self._crc = 0

    @classmethod
    def of(cls, data: bytes) -> Source:
        """A source of bytes that are all there."""
        return cls(_nothing, data)

    # -- bytes

    @property
    def position(self) -> int:
        """How many bytes have been taken."""
        return self._before + self._at

    def checksum(self) -> int:
        """The CRC-64 of all that has been taken."""
        if self._counted < self._at:
            self._crc = crc64(memoryview(self._buffer)[self._counted : self._at], self._crc)
            self._counted = self._at
        return self._crc

    def restart(self) -> None:
        """Count position and checksum from here."""
        self._buffer = self._buffer[self._at :]
        self._at = self._counted = self._before = self._crc = 0

    def _fetch(self, count: int) -> None:
        """Have at least `count` bytes in the buffer. It grows with what really comes, not with what is asked for."""
        self.checksum()
        parts = [self._buffer[self._at :]]
        have = len(parts[0])
        while have < count:
            data = self._read(max(BLOCK, min(count - have, 16 * BLOCK)))
            if not data:
                break
            parts.append(data)
            have += len(data)
        self._before += self._at
        self._buffer = b"".join(parts)
        self._at = self._counted = 0
        if have < count:
            raise EndsEarly("it ends too early")

    def take(self, count: int) -> bytes:
        """The next bytes."""
        at = self._at
        stop = at + count
        if stop > len(self._buffer):
            self._fetch(count)
            at, stop = 0, count
        self._at = stop
        return self._buffer[at:stop]

    def byte(self) -> int:
        at = self._at
        if at >= len(self._buffer):
            self._fetch(1)
            at = 0
        self._at = at + 1
        return self._buffer[at]

    def ended(self) -> bool:
        """Whether there are no more bytes."""
        if self._at >= len(self._buffer):
            with suppress(EndsEarly):
                self._fetch(1)
        return self._at >= len(self._buffer)

    def rest(self) -> bytes:
        """What was fetched and not taken."""
        return self._buffer[self._at :]

    def line(self) -> bytes:
        """What is left of a line, without the CRLF or LF at its end."""
        size = 0
        while True:
            stop = self._buffer.find(b"\n", self._at + size)
            if stop >= 0:
                line = self._buffer[self._at : stop]
                self._at = stop + 1
                return line[:-1] if line.endswith(b"\r") else line
            size = len(self._buffer) - self._at
            if size > BLOCK:
                raise BadDump("a line has no end")
            self._fetch(size + 1)

    # -- numbers

    def length(self) -> int:
        """A length. BadDump when an encoded string stands there."""
        first = self.byte()
        if first < 64:
            return first
        if first < 128:
            return (first & 63) << 8 | self.byte()
        if first == 0x80:
            number: int = _U32.unpack(self.take(4))[0]
            return number
        if first == 0x81:
            number = _U64.unpack(self.take(8))[0]
            return number
        raise BadDump("there is no length where one must be")

    def milliseconds(self) -> int:
        """A time in ms, signed."""
        number: int = _I64LE.unpack(self.take(8))[0]
        return number

    def seconds(self) -> int:
        """A time in seconds."""
        return int.from_bytes(self.take(4), "little", signed=True)

    def double(self) -> float:
        """A double in binary; never NaN."""
        number: float = _F64LE.unpack(self.take(8))[0]
        if number != number:
            raise BadDump("a score is not a number")
        return number

    def old_double(self) -> float:
        """A double in digits, as sorted sets had it before version 8; never NaN."""
        size = self.byte()
        if size >= 253:
            if size == 253:
                raise BadDump("a score is not a number")
            return float("inf") if size == 254 else float("-inf")
        return parse_double(self.take(size))

    # -- strings

    def string(self) -> bytes:
        """A string, whatever its encoding."""
        at = self._at
        buffer = self._buffer
        # The commonest case by far, so it is written out.
        if at < len(buffer):
            size = buffer[at]
            if size < 64:
                stop = at + 1 + size
                if stop <= len(buffer):
                    self._at = stop
                    return buffer[at + 1 : stop]
        first = self.byte()
        if first >= 0xC0:
            return self._encoded(first)
        self._at -= 1
        return self.take(self.length())

    def _encoded(self, first: int) -> bytes:
        integer = INTEGERS.get(first)
        if integer is not None:
            number: int = integer.unpack(self.take(integer.size))[0]
            return b"%d" % number
        if first != LZF:
            raise BadDump("a string has an unknown encoding")
        packed = self.length()
        size = self.length()
        return decompress(self.take(packed), size)

    def strings(self, count: int) -> list[bytes]:
        """So many strings."""
        found: list[bytes] = []
        append = found.append
        while len(found) < count:
            # As in `string`, without a call for each as long as the buffer lasts.
            buffer, at = self._buffer, self._at
            end = len(buffer)
            for _ in range(count - len(found)):
                if at >= end:
                    break
                size = buffer[at]
                if size >= 64:
                    break
                stop = at + 1 + size
                if stop > end:
                    break
                append(buffer[at + 1 : stop])
                at = stop
            self._at = at
            if len(found) < count:
                append(self.string())
        return found

    def pieces(self) -> tuple[int, Iterator[bytes]]:
        """A string's size, and its bytes in pieces of about PIECE, all of which must be taken."""
        first = self.byte()
        if first == LZF:
            packed = self.length()
            size = self.length()
            data = self.take(packed)
            if size > 4 * PIECE:
                return size, decompress_pieces(data, size, PIECE)
            return size, iter((decompress(data, size),))
        if first >= 0xC0:
            value = self._encoded(first)
            return len(value), iter((value,))
        self._at -= 1
        size = self.length()
        if size <= PIECE:
            return size, iter((self.take(size),))
        return size, self._plain_pieces(size)

    def _plain_pieces(self, size: int) -> Iterator[bytes]:
        while size:
            part = self.take(min(size, PIECE))
            size -= len(part)
            yield part


def parse_double(text: bytes) -> float:
    """A double in digits. BadDump when it is none, or NaN."""
    try:
        number = float(text)
    except ValueError:
        raise BadDump("a score is not a number") from None
    if number != number or b"_" in text:
        raise BadDump("a score is not a number")
    return number


def _nothing(count: int) -> bytes:
    return b""
