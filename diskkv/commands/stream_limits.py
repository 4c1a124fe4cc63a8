"""Streams: how much XREAD and XREADGROUP reply at most in all: so many entries (MAXCOUNT), about so many bytes (MAXSIZE).

As in Redis the bytes are those of the encoded reply but for its outermost header, and are looked at before each entry; the first entry is
replied whatever its size. So the reply ends with the entry that comes to the limit or beyond it, and a stream of which nothing but the name
found room is told with no entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from diskkv.dispatch.reply_sizes import bulk_size, encoded_size, header_size
from diskkv.types.ledgers import ID_MAX
from diskkv.types.stream_ids import format_id
from diskkv.types.streams import Entry, Stream

# So many entries are read ahead of what is known to have room at most.
AHEAD = 64


class Limits:
    """What has been replied, and how much may be; 0 for any number. `turn` is to be called for each stream."""

    __slots__ = ("_before", "_header", "_pair", "_protocol", "entries", "most", "room", "size")

    def __init__(self, most: int, room: int, protocol: int) -> None:
        self.most = most
        self.room = room
        self.entries = 0
        self.size = 0
        # RESP2 has an array around a stream's name and entries.
        self._pair = header_size(2) if protocol == 2 else 0
        self._protocol = protocol
        self._header = 0
        self._before = 0

    @property
    def told(self) -> bool:
        """Whether the stream whose turn it is is part of the reply."""
        return not self._header

    def turn(self, key: bytes) -> bool:
        """It is a stream's turn, unless nothing more may be replied."""
        if self.entries:
            self.size += header_size(self.entries - self._before) if self.told else 0
            if self._reached():
                return False
        self._before = self.entries
        self._header = self._pair + bulk_size(len(key))
        return True

    def admit(self) -> bool:
        """Whether an entry that there is may be replied. That there is one makes its stream part of the reply."""
        self.size += self._header
        self._header = 0
        return not self._reached()

    def add(self, told: Sequence[Any]) -> None:
        """An entry is replied, as this list."""
        self.entries += 1
        if self.room:
            self.size += encoded_size(told, self._protocol)

    def take(self, value: Stream, start: int, count: int, beside: tuple[int, ...] = ()) -> list[Entry]:
        """As many of the entries from an id on as may be replied, `count` at most, 0 for any number, each with what is beside it."""
        found: list[Entry] = []
        for entry in self._entries(value, start, count):
            if not self.admit():
                break
            found.append(entry)
            self.add((format_id(entry[0]), entry[1], *beside))
        return found

    def _entries(self, value: Stream, start: int, count: int) -> Iterator[Entry]:
        """Entries, read a few at a time: nobody knows how many have room."""
        left, piece = count or ID_MAX, 1
        while left and (entries := value.range(start, ID_MAX, min(piece, left))):
            yield from entries
            start = entries[-1][0] + 1
            left -= len(entries)
            piece = min(2 * piece, AHEAD)

    def _reached(self) -> bool:
        return 0 < self.most <= self.entries or (self.entries > 0 and 0 < self.room <= self.size)
