"""Which ranges of the engine are compacted, so that the space of what was deleted comes back.

Compacting a range rewrites all that lies in it, the living with the dead, and checkpoints wait meanwhile. So it is done a piece at a
time, and only where much is dead: in a run of dead records as long as a piece, which is what a great object leaves; and in the range
over which smaller objects have died, once they are a good share of it. Until then they take space, but never more than that share.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from diskkv.store.store import Store

# About how many bytes are compacted at a time, and how many must have died scattered for it to be worth a look.
PIECE = 8 << 20
LEAST = 1 << 20
# What is dead is worth it as one of so many parts of a range: while more is about to be deleted, and when nothing is.
SHARE_BUSY, SHARE_IDLE = 2, 4
# Keys are told apart by so many bytes where a range is cut.
WIDTH = 24


class Compaction:
    """What has died, and what is to be compacted for it. All is called on the writer's thread, without the lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: ranges that wait for being compacted
        self.pieces: deque[tuple[bytes, bytes]] = deque()
        # the run that is being deleted: below which prefix, from where to where, its bytes, and whether pieces of it went before
        self._prefix = self._from = self._to = b""
        self._run = 0
        self._great = False
        # the range over which smaller runs have died, their bytes, and how many those were when it was last looked at
        self._low, self._high = b"", b""
        self._dead = self._looked = 0

    def died(self, prefix: bytes, low: bytes, high: bytes) -> None:
        """All records below a prefix that lie from `low` to before `high` are about to be deleted; those before them were."""
        if prefix != self._prefix:
            self._end_run()
            self._prefix, self._from = prefix, low
        self._to = high
        self._run += self._size(low, high)
        if self._run >= PIECE:
            self.pieces.append((self._from, high))
            self._from, self._run, self._great = high, 0, True

    def look(self, *, idle: bool) -> None:
        """Judge whether it is worth compacting where smaller objects died; `idle`: nothing is left to be deleted."""
        if idle:
            self._end_run()
        if self._dead < (LEAST if idle else self._looked + PIECE):
            return
        self._looked = self._dead
        if self._dead * (SHARE_IDLE if idle else SHARE_BUSY) >= self._size(self._low, self._high):
            self.cover(self._low, self._high)
            self._dead = self._looked = 0

    def cover(self, low: bytes, high: bytes) -> None:
        """Have a range compacted."""
        self.pieces.extend(cut(self._size, low, high))

    def step(self) -> None:
        """Compact a piece. REQUIRES: there is one."""
        self._store.engine.compact(*self.pieces[0])
        self.pieces.popleft()

    def _end_run(self) -> None:
        if self._run and self._great:
            self.pieces.append((self._from, self._to))
        elif self._run:
            self._low, self._high = (min(self._low, self._from), max(self._high, self._to)) if self._dead else (self._from, self._to)
            self._dead += self._run
        self._prefix, self._run, self._great = b"", 0, False

    def _size(self, low: bytes, high: bytes) -> int:
        return self._store.engine.approximate_size(low, high)


def cut(size: Callable[[bytes, bytes], int], low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The parts of a range, in order, each of one or two pieces' size."""
    start, held = low, 0
    waiting = [(low, high)]
    while waiting:
        low, high = waiting.pop()
        taken, middle = size(low, high), _between(low, high)
        if taken > PIECE and middle:
            waiting += [(middle, high), (low, middle)]
            continue
        held += taken
        if held >= PIECE or not waiting:
            yield start, high
            start, held = high, 0


def _between(low: bytes, high: bytes) -> bytes:
    """A key in the middle of two; empty when they are too much alike."""
    first, last = (int.from_bytes(key[:WIDTH].ljust(WIDTH, b"\0"), "big") for key in (low, high))
    middle = ((first + last) // 2).to_bytes(WIDTH, "big")
    return middle if low < middle < high else b""
