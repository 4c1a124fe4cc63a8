"""Ordered bytes: the contract between the store and whatever keeps its records.

An engine maps byte-string keys to byte-string values in bytewise order. It knows nothing of types, time or users' keys. What
every engine promises:

- `get` sees every write that has returned; `scan` sees exactly the writes that had returned when it was called, in key order,
  and nothing that is written while it runs.
- `write` applies a batch whole or not at all, whatever happens to the process; later operations in a batch win over earlier
  ones on the same key. A batch made with `sync` has survived a loss of power once `write` returns.
- Every method may be called from any thread; only one thread writes at a time.
- A record that fails its checksum raises `Damaged`; it is never returned.

One module here is one engine and its name is the scheme of its address: `open_engine("leveldb:/path")` imports
`diskkv.engine.leveldb` and calls its `open`. `tests/engine/test_contract.py` runs over every module it finds.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Protocol

from diskkv.errors import StoreError


class Batch(Protocol):
    """Puts and deletes that will be applied together, in order."""

    def put(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...


class Snapshot(Protocol):
    """What an engine held at one moment: the reading half of `Engine`, whatever is written since. Good until the engine is closed or
    opened anew; may be used from any one thread."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]: ...

    def scan_keys(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[bytes]: ...

    def scan_around(self, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]: ...

    def approximate_size(self, start: bytes, stop: bytes) -> int: ...

    def close(self) -> None: ...


class Engine(Protocol):
    """See the module's docstring for what each of these promises."""

    def get(self, key: bytes) -> bytes | None:
        """The key's value, or None."""

    def confirm(self) -> None:
        """Damaged if a key may be there all the same that `get` has said to be absent since this was asked last: whoever tells others of
        absent keys asks this before."""

    def scan(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The records with start <= key < stop (stop None: to the end), descending when `reverse`."""

    def scan_keys(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[bytes]:
        """As `scan`, keys alone."""

    def scan_around(self, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """As `scan`, but what can't be read is passed over. So what is deleted or overwritten may be met as it once was: whoever has to
        know asks `get`."""

    def holes(self) -> Iterator[tuple[str, int, int, bytes | None, bytes | None]]:
        """Parts of files that can't be read: file, offset, size, and the keys between which records are missed, None for unknown."""

    def batch(self, *, sync: bool = False) -> Batch:
        """An empty batch for `write`."""

    def write(self, batch: Batch) -> None:
        """Apply a batch atomically. OSError or StoreError when it can't be; nothing of it is visible then."""

    def approximate_size(self, start: bytes, stop: bytes) -> int:
        """About how many bytes of disk the range takes."""

    def compact(self, start: bytes, stop: bytes) -> None:
        """Give the space of deleted records in the range back. May take long; other calls go on meanwhile."""

    def tidy(self) -> None:
        """Do what was left for a moment in which nobody waits: give back the space of files that are not used any more, and write what an
        opening would have to. To be called once a second or more often, and after a large `write`, by the thread that writes. Raises
        nothing: what goes wrong is told by the next `write`."""

    def snapshot(self) -> Snapshot:
        """What is there now, for reading later. Until it is closed, what is deleted or overwritten keeps its space."""

    def copy(self, into: str) -> None:
        """Make a copy that can be opened, in a new directory; links what never changes. StoreError when there are no files to copy.

        REQUIRES: nobody writes meanwhile.
        """

    def reopen(self) -> None:
        """Open anew after a failed write, forgetting the error. No scan may be under way."""

    def diagnose(self) -> bool:
        """After a failed write: look for what `reopen` may do against it; whether there is anything. May take long; other calls go on
        meanwhile."""

    def noted_losses(self) -> bool:
        """Whether there are notes of records that were lost, so that others can tell if these are lost, too."""

    def lost(self, start: bytes, stop: bytes) -> bool:
        """Whether records with start <= key < stop are known to be lost, as far as that matters."""

    def forget(self, start: bytes, stop: bytes) -> None:
        """Nobody will ask for start <= key < stop any more: what is known to be lost there doesn't matter. It has no records any more, or
        they go with this. REQUIRES: the thread that writes."""

    def settle(self, start: bytes, stop: bytes) -> None:
        """What is there of start <= key < stop is all that there is, whatever was lost. REQUIRES: the thread that writes."""

    def statistics(self) -> dict[str, int]:
        """Figures for INFO: at least `disk_bytes` and `memory_bytes`."""

    def close(self) -> None:
        """Release everything. Any later call fails."""


def open_engine(address: str, *, block_cache: int = 8 << 20, write_buffer: int = 4 << 20) -> Engine:
    """Open the engine that `address` (`scheme:rest`) names; sizes in bytes."""
    scheme, _, rest = address.partition(":")
    try:
        module = importlib.import_module(f"diskkv.engine.{scheme}")
    except ModuleNotFoundError as missing:
        if missing.name != f"diskkv.engine.{scheme}":
            raise
        raise StoreError(f"no such engine: {scheme!r}") from None
    engine: Engine = module.open(rest, block_cache=block_cache, write_buffer=write_buffer)
    return engine
