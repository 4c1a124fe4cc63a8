"""Engines around an engine: one that fails, one that shows, one that holds a write back, and two that must agree."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from diskkv.engine import Engine, Snapshot
from diskkv.errors import StoreError


class Around:
    """Hands everything on to the engine inside."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner

    def get(self, key: bytes) -> bytes | None:
        return self.inner.get(key)

    def confirm(self) -> None:
        self.inner.confirm()

    def scan(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return self.inner.scan(start, stop, reverse=reverse)

    def scan_keys(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[bytes]:
        return self.inner.scan_keys(start, stop, reverse=reverse)

    def holes(self) -> Iterator[tuple[str, int, int, bytes | None, bytes | None]]:
        return self.inner.holes()

    def scan_around(self, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        return self.inner.scan_around(start, stop)

    def batch(self, *, sync: bool = False) -> Any:
        return self.inner.batch(sync=sync)

    def write(self, batch: Any) -> None:
        self.inner.write(batch)

    def approximate_size(self, start: bytes, stop: bytes) -> int:
        return self.inner.approximate_size(start, stop)

    def compact(self, start: bytes, stop: bytes) -> None:
        self.inner.compact(start, stop)

    def tidy(self) -> None:
        self.inner.tidy()

    def snapshot(self) -> Snapshot:
        return self.inner.snapshot()

    def copy(self, into: str) -> None:
        self.inner.copy(into)

    def reopen(self) -> None:
        self.inner.reopen()

    def diagnose(self) -> bool:
        return self.inner.diagnose()

    def noted_losses(self) -> bool:
        return self.inner.noted_losses()

    def lost(self, start: bytes, stop: bytes) -> bool:
        return self.inner.lost(start, stop)

    def forget(self, start: bytes, stop: bytes) -> None:
        self.inner.forget(start, stop)

    def settle(self, start: bytes, stop: bytes) -> None:
        self.inner.settle(start, stop)

    def statistics(self) -> dict[str, int]:
        return self.inner.statistics()

    def close(self) -> None:
        self.inner.close()


class Faulty(Around):
    """Fails at the n-th write from the making on, and at `times` writes in all; nothing of these is applied, or all `though_applied`.

    `crashed` is what a process that was killed there would leave: from the n-th write on nothing reaches the engine any more.
    """

    def __init__(self, inner: Engine, at: int, *, times: int = 1, though_applied: bool = False, crash: bool = False) -> None:
        super().__init__(inner)
        self.at = at
        self.times = times
        self.though_applied = though_applied
        self.crash = crash
        self.writes = 0
        self.failed = threading.Event()

    def write(self, batch: Any) -> None:
        self.writes += 1
        if self.writes < self.at or (self.writes >= self.at + self.times and not self.crash):
            self.inner.write(batch)
            return
        if self.though_applied:
            self.inner.write(batch)
        self.failed.set()
        raise StoreError("the engine was told to fail")


class Spy(Around):
    """Keeps what was written: `batches` is a list of lists of (key, value), None for deleted."""

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self.batches: list[list[tuple[bytes, bytes | None]]] = []

    def batch(self, *, sync: bool = False) -> Any:
        return Told(self.inner.batch(sync=sync))

    def write(self, batch: Any) -> None:
        self.inner.write(batch.inner)
        self.batches.append(batch.operations)


class Told:
    """A batch that remembers."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.operations: list[tuple[bytes, bytes | None]] = []

    def put(self, key: bytes, value: bytes) -> None:
        self.operations.append((key, value))
        self.inner.put(key, value)

    def delete(self, key: bytes) -> None:
        self.operations.append((key, None))
        self.inner.delete(key)


class Held(Around):
    """Writes wait while `hold` is in force, and `fail_next` makes the next one fail, applied or not."""

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self._free = threading.Event()
        self._free.set()
        self.fail_next: str | None = None

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def write(self, batch: Any) -> None:
        self._free.wait()
        manner, self.fail_next = self.fail_next, None
        if manner != "lost":
            self.inner.write(batch)
        if manner is not None:
            raise StoreError(f"the engine was told to fail: {manner}")


class Mirror(Around):
    """Two engines that must say the same; AssertionError as soon as they don't."""

    def __init__(self, inner: Engine, other: Engine) -> None:
        super().__init__(inner)
        self.other = other

    def get(self, key: bytes) -> bytes | None:
        value = self.inner.get(key)
        assert self.other.get(key) == value, key
        return value

    def scan(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        for one, two in zip_longest(self.inner.scan(start, stop, reverse=reverse), self.other.scan(start, stop, reverse=reverse)):
            assert one == two
            yield one

    def scan_keys(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[bytes]:
        for key, _ in self.scan(start, stop, reverse=reverse):
            yield key

    def batch(self, *, sync: bool = False) -> Any:
        return Twofold(self.inner.batch(sync=sync), self.other.batch(sync=sync))

    def write(self, batch: Any) -> None:
        self.inner.write(batch.one)
        self.other.write(batch.two)

    def close(self) -> None:
        super().close()
        self.other.close()


class Twofold:
    """A batch for each of two engines."""

    def __init__(self, one: Any, two: Any) -> None:
        self.one = one
        self.two = two

    def put(self, key: bytes, value: bytes) -> None:
        self.one.put(key, value)
        self.two.put(key, value)

    def delete(self, key: bytes) -> None:
        self.one.delete(key)
        self.two.delete(key)
