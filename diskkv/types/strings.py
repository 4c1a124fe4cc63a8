"""Strings: bytes up to `LARGE`, pieces of CHUNK bytes above it.

A large string's pieces are data records; `pieces` holds those that are in memory. Reading or changing a range touches its pieces only,
so SETBIT on a 500 MB bitmap costs one piece. A string never becomes small again while it lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from diskkv.format import CHUNK, PIECE, STRING, keys
from diskkv.format.meta import Meta, encode_inline, pack_value, unpack_value
from diskkv.format.ordered import pack_u32, unpack_u32
from diskkv.lib.numbers import parse_int
from diskkv.store.value import Value, data_type, give_back, mostly_clean, take

if TYPE_CHECKING:
    from diskkv.store.database import Database

LARGE = 64 * 1024
# Redis keeps longer strings apart from their headers: `raw`.
EMBEDDED = 44
PIECE_OVERHEAD = 150


class Large:
    """What a large string has besides: its length, and the pieces that are in memory."""

    __slots__ = ("ceiling", "flying", "pieces", "size", "touched")

    def __init__(self, changes: dict[Any, Any], ceiling: int) -> None:
        self.touched = changes
        self.flying: dict[Any, Any] = {}
        self.size = 0
        self.pieces: dict[int, bytes] = {}
        # a weight beyond which clean pieces are dropped
        self.ceiling = ceiling


@data_type
class String(Value):
    """A byte string. `data` is all of it when it is small (`oid` 0); else see `read`."""

    __slots__ = ("more",)

    tag = STRING
    data: bytes
    # A large one's `Large`. Of a short one what APPEND, SETRANGE or SETBIT last made of it, out of date when `data` is another object.
    more: Any

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        self.data = b""
        self.more = None

    # -- what commands use

    def __len__(self) -> int:
        size: int = self.more.size if self.oid else len(self.data)
        return size

    def value(self) -> bytes:
        """The whole string."""
        return self.read(0, self.more.size) if self.oid else self.data

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`. REQUIRES: 0 <= start <= stop <= length."""
        if not self.oid:
            return self.data[start:stop]
        first, last = start // CHUNK, (stop - 1) // CHUNK
        if first >= last:
            return self._piece(first)[start % CHUNK : start % CHUNK + stop - start]
        data = b"".join([self._piece(index) for index in range(first, last + 1)])
        begin = start - first * CHUNK
        return data[begin : begin + stop - start]

    def set(self, data: bytes) -> None:
        """Replace the whole content; the expiry stays."""
        self.touch()
        if self.oid or len(data) > LARGE:
            self._rewrite(data)
            return
        delta = len(data) - len(self.data)
        self.data = data
        # Two equal bytes objects may be one: Python has each of a single byte once, and in process a client may set what it got.
        self.more = None
        if delta:
            self.resized(delta)

    def renewed(self) -> bool:
        # One that was read to be replaced would else stay in the cache's queue as long as its successor: twice the memory.
        if self.oid:
            return False
        if self.expire is not None:
            self.db.set_expire(self, None)
        self.set(b"")
        return True

    def append(self, data: bytes) -> int:
        """Add to the end; the new length."""
        if not self.oid and len(self.data) + len(data) <= LARGE:
            self.set(self.data + data)
            length = len(self.data)
            if length > len(data) and length <= EMBEDDED:
                self.more = self.data
            return length
        self.write(len(self), data)
        return len(self)

    def write(self, at: int, data: bytes) -> None:
        """Put bytes over what is there, filling a gap before them with zeros."""
        end = max(len(self), at + len(data))
        if not self.oid and end <= LARGE:
            old = self.data.ljust(at, b"\0")
            self.set(old[:at] + data + old[at + len(data) :])
            if len(self.data) <= EMBEDDED:
                self.more = self.data
            return
        self.touch()
        if not self.oid:
            self._rewrite(self.data)
        self._fill(at)
        self.more.size = end
        for index in range(at // CHUNK, (at + len(data) - 1) // CHUNK + 1):
            base = index * CHUNK
            low, high = max(at, base), min(at + len(data), base + CHUNK)
            old = self._piece(index) if low > base or high < min(end, base + CHUNK) else b""
            old = old.ljust(low - base, b"\0")
            self._put(index, old[: low - base] + data[low - at : high - at] + old[high - base :])

    def _fill(self, stop: int) -> None:
        """Make the string at least `stop` long, with zeros. Whole pieces of zeros are not stored: a missing piece reads as zeros."""
        size = len(self)
        if size < stop:
            last = size // CHUNK
            if size % CHUNK:
                self._put(last, self._piece(last).ljust(min(CHUNK, stop - last * CHUNK), b"\0"))
            self.more.size = stop

    def _rewrite(self, data: bytes) -> None:
        """All of the content anew, as pieces."""
        if not self.oid:
            self.resized(-len(self.data))
            self.data = b""
            self.promote({})
        old = self.more.size
        for index in range((len(data) + CHUNK - 1) // CHUNK):
            self._put(index, data[index * CHUNK : (index + 1) * CHUNK])
        for index in range((len(data) + CHUNK - 1) // CHUNK, (old + CHUNK - 1) // CHUNK):
            self.more.touched[index] = None
            self._forget(index)
        self.more.size = len(data)

    def _piece(self, index: int) -> bytes:
        large: Large = self.more
        piece = large.pieces.get(index)
        if piece is None:
            if index in large.touched or index in large.flying:
                piece = (large.touched.get(index) if index in large.touched else large.flying[index]) or b""
            else:
                raw = self.db.store.engine.get(keys.data_prefix(self.oid) + PIECE + pack_u32(index))
                piece = unpack_value(raw) if raw is not None else b""
            want = min(CHUNK, large.size - index * CHUNK)
            if len(piece) < want:
                piece = piece.ljust(want, b"\0")
            self._keep(index, piece)
        return piece

    def _put(self, index: int, piece: bytes) -> None:
        touched = self.more.touched
        if index not in touched:
            # The log may say no more than that a bit of it was set.
            self.db.store.backlog.bytes += len(piece) + PIECE_OVERHEAD
        touched[index] = piece
        self._keep(index, piece)

    def _keep(self, index: int, piece: bytes) -> None:
        old = self.more.pieces.get(index)
        self.more.pieces[index] = piece
        self.resized(len(piece) - len(old) if old is not None else len(piece) + PIECE_OVERHEAD)
        if self.weight > self.more.ceiling:
            self._spill(index)

    def _forget(self, index: int) -> None:
        piece = self.more.pieces.pop(index, None)
        if piece is not None:
            self.resized(-len(piece) - PIECE_OVERHEAD)

    def spare(self) -> None:
        large: Large = self.more
        if mostly_clean(large, large.pieces):
            self._spill(-1)

    def _spill(self, keep: int) -> None:
        """Too much of one string is in memory: drop the clean pieces."""
        large: Large = self.more
        for index in [index for index in large.pieces if index != keep and index not in large.touched and index not in large.flying]:
            self._forget(index)
        # With what has to stay the bound rises: one command may write more than the budget, and each look goes through all pieces.
        cache = self.db.cache
        large.ceiling = max(cache.share, self.weight + max(cache.budget // 8, self.weight // 4))

    # -- what the store needs

    def load(self, meta: Meta) -> None:
        if meta.body is None:
            self.more.size = meta.length
        else:
            self.data = meta.body
            self.weight += len(meta.body)
            if meta.edited:
                self.more = self.data

    def body(self) -> bytes:
        return self.data

    def length(self) -> int:
        return len(self)

    def save(self, batch: Any) -> None:
        # The commonest record by far, so the short way is written out.
        data = self.data
        if self.oid or self.expire is not None or self.saved:
            super().save(batch)
            if len(data) <= EMBEDDED and self._edited() and not self.oid:
                batch.put(self.db.prefix + self.key, encode_inline(STRING, self.expire, data, edited=True))
            return
        if len(data) <= EMBEDDED and self._edited():
            batch.put(self.db.prefix + self.key, encode_inline(STRING, None, data, edited=True))
            self.saved = 0
            return
        batch.put(self.db.prefix + self.key, b"\x01\x00" + data if len(data) < 512 else encode_inline(STRING, None, data))
        self.saved = 0

    def look_ups(self) -> int:
        return len(self.more.touched)

    def begin(self, changes: dict[Any, Any]) -> None:
        self.more = Large(changes, self.db.cache.share)

    def freeze(self) -> tuple[bytes, Callable[[dict[Any, Any]], Iterator[tuple[bytes, bytes | None]]], dict[Any, Any]]:
        return keys.data_prefix(self.oid), self.records, take(self.more)

    def landed(self) -> None:
        self.more.flying = {}
        self.more.ceiling = self.db.cache.share

    def give_back(self) -> None:
        give_back(self.more)

    def records(self, changes: dict[Any, Any]) -> Iterator[tuple[bytes, bytes | None]]:
        for index, piece in changes.items():
            yield PIECE + pack_u32(index), None if piece is None else pack_value(piece)

    def verify(self) -> Iterator[str]:
        if not self.oid:
            return
        prefix = keys.data_prefix(self.oid) + PIECE
        for key, raw in self.db.store.engine.scan(prefix, keys.after(prefix)):
            index, size = unpack_u32(key, len(prefix)), len(unpack_value(raw))
            # A piece may be missing, or short where it ends in zeros that were never written.
            if size > min(CHUNK, self.more.size - index * CHUNK):
                yield f"piece {index} has {size} bytes, the string {self.more.size}"

    def shed(self, count: int) -> bool:
        for pieces in (self.more.pieces, self.more.touched):
            for _ in range(min(count, len(pieces))):
                pieces.popitem()
            if pieces:
                return False
        return True

    def copy_to(self, target: Value) -> None:
        if not isinstance(target, String):
            raise TypeError("a string is copied to a string")
        if not self.oid:
            target.set(self.data)
            if self._edited():
                target.more = self.data
            return
        for at in range(0, self.more.size, CHUNK):
            target.write(at, self.read(at, min(at + CHUNK, self.more.size)))

    def _edited(self) -> bool:
        return self.more is self.data

    def encoding(self) -> bytes:
        """As Redis decides it: `int`, `embstr` up to 44 bytes, else `raw`, as is one edited in place."""
        if self.oid or len(self.data) > EMBEDDED or self._edited():
            return b"raw"
        if len(self.data) <= 20 and parse_int(self.data) is not None:
            return b"int"
        return b"embstr"


