"""An engine in memory, for tests and for throw-away stores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from sortedcontainers import SortedDict

from diskkv.errors import StoreError


class MemoryBatch:
    def __init__(self) -> None:
        self.operations: list[tuple[bytes, bytes | None]] = []

    def put(self, key: bytes, value: bytes) -> None:
        self.operations.append((key, value))

    def delete(self, key: bytes) -> None:
        self.operations.append((key, None))


class MemoryEngine:
    """An `Engine` that forgets everything when closed.

    A scan copies the keys of its range when it begins (a few at a time would see later writes), so a long one costs memory.
    """

    def __init__(self) -> None:
        self._records: Any = SortedDict()
        self._bytes = 0
        # The writer's thread writes while others scan.
        self._lock = threading.Lock()

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._records.get(key)
        return value

    def confirm(self) -> None:
        """Memory forgets nothing."""

    def scan(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        records = self._records
        with self._lock:
            return iter([(key, records[key]) for key in records.irange(start, stop, (True, False), reverse)])

    def scan_keys(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[bytes]:
        with self._lock:
            return iter(list(self._records.irange(start, stop, (True, False), reverse)))

    def holes(self) -> Iterator[tuple[str, int, int, bytes | None, bytes | None]]:
        return iter(())

    def scan_around(self, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        return self.scan(start, stop)

    def batch(self, *, sync: bool = False) -> MemoryBatch:
        return MemoryBatch()

    def write(self, batch: Any) -> None:
        with self._lock:
            records = self._records
            for key, value in batch.operations:
                old = records.get(key)
                if old is not None:
                    self._bytes -= len(key) + len(old)
                if value is None:
                    records.pop(key, None)
                else:
                    records[key] = value
                    self._bytes += len(key) + len(value)

    def approximate_size(self, start: bytes, stop: bytes) -> int:
        return sum(len(key) + len(value) for key, value in self.scan(start, stop))

    def compact(self, start: bytes, stop: bytes) -> None:
        """Nothing to give back: deleted records are gone at once."""

    def tidy(self) -> None:
        """Nothing waits."""

    def snapshot(self) -> MemoryEngine:
        """A copy of everything."""
        copy = MemoryEngine()
        with self._lock:
            copy._records = self._records.copy()
        return copy

    def copy(self, into: str) -> None:
        raise StoreError("this store is in memory")

    def reopen(self) -> None:
        """Nothing to forget."""

    def diagnose(self) -> bool:
        return False

    def noted_losses(self) -> bool:
        return False

    def lost(self, start: bytes, stop: bytes) -> bool:
        return False

    def forget(self, start: bytes, stop: bytes) -> None:
        """Nothing is ever lost."""

    def settle(self, start: bytes, stop: bytes) -> None:
        """As above."""

    def statistics(self) -> dict[str, int]:
        return {"disk_bytes": 0, "memory_bytes": self._bytes}

    def close(self) -> None:
        self._records = SortedDict()


def open(rest: str, *, block_cache: int, write_buffer: int) -> MemoryEngine:
    """The engine for `memory:`; the sizes mean nothing to it."""
    return MemoryEngine()
