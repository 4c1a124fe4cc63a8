"""A whole RDB file, written piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from diskkv import rdb
from diskkv.rdb.checksum import combine, crc64
from diskkv.rdb.content import Key
from diskkv.rdb.dump import dump, encode_string
from diskkv.rdb.lengths import encode_length

# How much is gathered before it is written.
BLOCK = 1 << 16
HEADER = 9


class FileWriter:
    """Writes an RDB file's parts in order: `begin`, then `database` before the keys of each, and `end`.

    The version grows if something needs a higher one. It stands in the header, which `begin` writes before it is known: `end` returns
    the right header, to be put over the first HEADER bytes. `pause`, if given, is called now and then.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        version: int = rdb.PLAIN,
        packing: bool = True,
        checksum: bool = True,
        pause: Callable[[], None] | None = None,
    ) -> None:
        self.version = version
        self._write = write
        self._packing = packing
        self._checksum = checksum
        self._pause = pause
        self._waiting: list[bytes] = []
        self._size = 0
        self._crc = 0
        # bytes behind the header that have been written
        self.length = 0

    def begin(self, remarks: Iterable[tuple[bytes, bytes]]) -> None:
        """The header, and remarks about the file."""
        self._write(b"REDIS%04d" % self.version)
        for name, value in remarks:
            self._put(bytes((rdb.AUX,)) + encode_string(name) + encode_string(value))

    def database(self, number: int, keys: int, expiring: int) -> None:
        """The keys that follow are of this database; about how many there are."""
        self._put(bytes((rdb.SELECT_DB,)) + encode_length(number))
        self._put(bytes((rdb.RESIZE_DB,)) + encode_length(keys) + encode_length(expiring))

    def library(self, code: bytes) -> None:
        """A function library."""
        self._put(bytes((rdb.FUNCTION,)) + encode_string(code, self._packing))

    def key(self, key: Key) -> None:
        """A key of the present database."""
        head = b""
        if key.expire is not None:
            head = bytes((rdb.EXPIRE_MS,)) + key.expire.to_bytes(8, "little", signed=True)
        if key.idle is not None:
            head += bytes((rdb.IDLE,)) + encode_length(key.idle)
        kind, version, pieces = dump(key.content, version=self.version, packing=self._packing)
        self.version = max(self.version, version)
        self._put(head + bytes((kind,)) + encode_string(key.name, self._packing))
        for piece in pieces:
            self._put(piece)

    def _put(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._waiting)
        self._waiting, self._size = [], 0
        if self._checksum:
            self._crc = crc64(data, self._crc)
        self.length += len(data)
        self._write(data)
        if self._pause is not None:
            self._pause()

    def end(self) -> bytes:
        """The end and the checksum; the header as it must be."""
        self._put(bytes((rdb.END,)))
        self._flush()
        header = b"REDIS%04d" % self.version
        checksum = combine(crc64(header), self._crc, self.length) if self._checksum else 0
        self._write(checksum.to_bytes(8, "little"))
        return header
