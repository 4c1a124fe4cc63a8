"""Records for an examination, which goes on behind what can't be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from diskkv.errors import StoreError

# What `get` returns for a record that can't be read: there is one, or was.
UNREADABLE = b""
# After so many records `rest` is called.
PORTION = 64
# So many records that can't be read are remembered.
REMEMBERED = 100_000


class Scrutiny:
    """Reads an engine or a snapshot. `errors` are those that it met; `rest` is called now and then, and may raise."""

    def __init__(self, source: Any, rest: Callable[[], None] | None = None) -> None:
        self._source = source
        self._rest = rest
        # how many records were read, and the last one's key
        self.read = 0
        self.at = b""
        self._missed: dict[bytes, None] = {}
        self.errors: set[str] = set()

    def take_missed(self) -> list[bytes]:
        """The keys of records that could not be read since this was asked last."""
        missed = list(self._missed)
        self._missed.clear()
        return missed

    def get(self, key: bytes) -> bytes | None:
        """A record; UNREADABLE for one that is not to be read."""
        self._count()
        try:
            value: bytes | None = self._source.get(key)
        except StoreError as error:
            self.errors.add(str(error))
            if len(self._missed) < REMEMBERED:
                self._missed[key] = None
            return UNREADABLE
        return value

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The records of a range that can be read."""
        try:
            for key, value in self._source.scan(start, stop):
                self.at = key
                self._count()
                yield key, value
                start = key + b"\0"
            return
        except StoreError as error:
            self.errors.add(str(error))
        for key, _ in self._source.scan_around(start, stop):
            value = self.get(key)
            if value is not None and key not in self._missed:
                yield key, value

    def scan_keys(self, start: bytes, stop: bytes | None = None) -> Iterator[bytes]:
        """As `scan`, keys alone."""
        try:
            for key in self._source.scan_keys(start, stop):
                self.at = key
                self._count()
                yield key
                start = key + b"\0"
            return
        except StoreError as error:
            self.errors.add(str(error))
        for key, _ in self._source.scan_around(start, stop):
            if self.get(key) is not None and key not in self._missed:
                yield key

    def _count(self) -> None:
        self.read += 1
        if self._rest is not None and self.read % PORTION == 0:
            self._rest()


class Gentle:
    """A snapshot for reading whole values: `rest` is called now and then."""

    def __init__(self, source: Any, rest: Callable[[], None]) -> None:
        self._source = source
        self._rest = rest

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._source.get(key)
        return value

    def scan(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        for number, record in enumerate(self._source.scan(start, stop, reverse=reverse), 1):
            if not number % PORTION:
                self._rest()
            yield record

    def scan_keys(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[bytes]:
        for number, key in enumerate(self._source.scan_keys(start, stop, reverse=reverse), 1):
            if not number % PORTION:
                self._rest()
            yield key

    def scan_around(self, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        for number, record in enumerate(self._source.scan_around(start, stop), 1):
            if not number % PORTION:
                self._rest()
            yield record

    def approximate_size(self, start: bytes, stop: bytes) -> int:
        size: int = self._source.approximate_size(start, stop)
        return size
