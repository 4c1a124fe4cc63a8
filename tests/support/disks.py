"""What the log writes to, made to fail."""

from __future__ import annotations

import errno
import os

from diskkv.store.log import Disk


class FaultyDisk(Disk):
    """Fails `times` times from the n-th call of one kind on (`write`, `sync`, `open`, `truncate`), with an error number.

    A `short` write writes half of what it was given before it fails.
    """

    def __init__(self, kind: str, at: int, *, number: int = errno.ENOSPC, times: int = 1, short: bool = False) -> None:
        self.kind = kind
        self.at = at
        self.number = number
        self.times = times
        self.short = short
        self.calls = 0
        self.failures = 0

    def rearm(self, kind: str, *, number: int = errno.ENOSPC, times: int = 1, short: bool = False) -> None:
        """Fail again, from the next call of a kind on."""
        self.kind, self.number, self.times, self.short, self.at, self.calls = kind, number, times, short, 1, 0

    def has_failed(self) -> bool:
        return self.failures > 0

    def _fails(self, kind: str) -> bool:
        if kind != self.kind:
            return False
        self.calls += 1
        if not self.at <= self.calls < self.at + self.times:
            return False
        self.failures += 1
        return True

    def open(self, name: str, flags: int) -> int:
        if self._fails("open"):
            raise OSError(self.number, os.strerror(self.number), name)
        return super().open(name, flags)

    def write(self, handle: int, data: bytes) -> int:
        if self._fails("write"):
            if self.short:
                super().write(handle, data[: len(data) // 2])
            raise OSError(self.number, os.strerror(self.number))
        return super().write(handle, data)

    def sync(self, handle: int) -> None:
        if self._fails("sync"):
            raise OSError(self.number, os.strerror(self.number))
        super().sync(handle)

    def truncate(self, handle: int, size: int) -> None:
        if self._fails("truncate"):
            raise OSError(self.number, os.strerror(self.number))
        super().truncate(handle, size)
