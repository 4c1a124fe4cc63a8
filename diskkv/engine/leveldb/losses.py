"""What is known to be lost of a tree: the ranges of keys whose records lay in blocks that were taken out of LevelDB's way (`healing.py`).

A lost record may have said anything, also that its key was deleted. So in a lost range

- a key of which an older record is there has a record that says LOST before it, with which the block was replaced;
- a key that is not found is not known to be absent, unless the block's filter excludes it;
- what is written from then on counts, and so that a deletion does, too, it is a record that says DELETED;
- a scan ends with an error where such a range begins.

The notes are a file in the tree, twice, because without them lost records would read as absent. Both words are chosen at random when the
first range is lost, so that no user's value can be one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from diskkv.engine.leveldb.writing import masked_crc
from diskkv.errors import Damaged
from diskkv.lib.directories import sync_path

NAMES = ("HOLES", "HOLES.copy")
# So much of a key is named.
SHOWN = 60

T = TypeVar("T", bytes, tuple[bytes, bytes])


class Loss(NamedTuple):
    """A part of a table that is lost: records of keys from `low` to before `stop`, but of none that `filter`, if there is one, excludes."""

    file: str
    offset: int
    size: int
    low: bytes
    stop: bytes
    filter: bytes

    def __str__(self) -> str:
        return f"the records from {self.low[:SHOWN]!r} to before {self.stop[:SHOWN]!r} are lost: {self.size:,} bytes at {self.offset:,}"

    def may_hold(self, key: bytes) -> bool:
        """Whether a record of the key may have been lost."""
        return self.low <= key < self.stop and (not self.filter or passes(self.filter, key))


class Losses:
    """The notes of one tree. Reading them may be done from any thread; `lost` and `deleted` are the two words."""

    def __init__(self, path: str) -> None:
        self.path = path
        # whether the disk knows
        self.noted = False
        self._name(secrets.token_bytes(16))
        self.all: list[Loss] = []
        # ranges that do not touch each other, in order, and the losses in each
        self._ranges: list[tuple[bytes, bytes, list[Loss]]] = []
        self._load()

    def __bool__(self) -> bool:
        return bool(self.all)

    def _load(self) -> None:
        files = [os.path.join(self.path, name) for name in NAMES]
        found = [_read(file) for file in files]
        if found == [None, None]:
            return
        text = found[0] or found[1]
        if not text:
            raise Damaged(f"{files[0]}: can't be read: nobody knows which records were lost")
        said = json.loads(text)
        self._name(bytes.fromhex(said["word"]))
        self.noted = True
        self._set(Loss(file, offset, size, *map(bytes.fromhex, rest)) for file, offset, size, *rest in said["losses"])
        if found[0] != found[1]:
            self.save()

    def _name(self, word: bytes) -> None:
        self.lost, self.deleted = word + b"?", word + b"-"

    def _set(self, losses: Iterable[Loss]) -> None:
        self.all = sorted(losses, key=lambda loss: (loss.low, loss.stop))
        ranges: list[tuple[bytes, bytes, list[Loss]]] = []
        for loss in self.all:
            if ranges and loss.low <= ranges[-1][1]:
                low, stop, within = ranges[-1]
                ranges[-1] = (low, max(stop, loss.stop), [*within, loss])
            else:
                ranges.append((loss.low, loss.stop, [loss]))
        self._ranges = ranges

    def add(self, losses: Iterable[Loss]) -> None:
        """Note more. They come into force with `save`."""
        self._set({*self.all, *losses})

    def save(self) -> None:
        """Have the disk know."""
        said = {"word": self.lost[:-1].hex(), "losses": [(*loss[:3], *(part.hex() for part in loss[3:])) for loss in self.all]}
        text = json.dumps(said).encode()
        for name in NAMES:
            file = os.path.join(self.path, name)
            with open(f"{file}.new", "wb") as aside:
                aside.write(b"%08x\n" % masked_crc(text) + text)
                aside.flush()
                os.fsync(aside.fileno())
            os.rename(f"{file}.new", file)
            sync_path(self.path)
        self.noted = True

    def forget(self, start: bytes, stop: bytes) -> None:
        """Nobody will ask for a key of a range any more. REQUIRES: none of its records says LOST or DELETED."""
        left = []
        for loss in self.all:
            if loss.stop <= start or stop <= loss.low:
                left.append(loss)
                continue
            if loss.low < start:
                left.append(loss._replace(stop=start))
            if stop < loss.stop:
                left.append(loss._replace(low=stop))
        self._set(left)
        self.save()

    def touching(self, start: bytes, stop: bytes | None) -> list[tuple[bytes, bytes]]:
        """What of the lost ranges lies in a range."""
        return [
            (max(low, start), high if stop is None else min(high, stop))
            for low, high, _ in self._ranges
            if start < high and (stop is None or low < stop)
        ]

    # -- while reading

    def _around(self, key: bytes) -> list[Loss]:
        """The losses in the range in which a key is."""
        ranges = self._ranges
        at = bisect_right(ranges, key, key=lambda found: found[0]) - 1
        return ranges[at][2] if at >= 0 and key < ranges[at][1] else []

    def may_hold(self, key: bytes) -> bool:
        """Whether a record of the key may have been lost."""
        return any(loss.may_hold(key) for loss in self._around(key))

    def judge(self, key: bytes, value: bytes | None) -> bytes | None:
        """What a look-up that has found a value, or none, is to answer. Damaged if nobody knows."""
        if value is not None and value != self.lost:
            return None if value == self.deleted else value
        for loss in self._around(key):
            if value is not None or loss.may_hold(key):
                raise Damaged(f"{os.path.join(self.path, loss.file)}: {loss}")
        return value

    def scanned(
        self, scan: Callable[[bytes, bytes | None], Iterator[T]], start: bytes, stop: bytes | None, *, reverse: bool
    ) -> Iterator[T]:
        """What `scan` finds in a range, up to the first lost one; then Damaged."""
        lost = self.touching(start, stop)
        if not lost:
            yield from scan(start, stop)
            return
        low, high = lost[-1] if reverse else lost[0]
        yield from scan(high, stop) if reverse else scan(start, low)
        loss = self._around(low)[0]
        raise Damaged(f"{os.path.join(self.path, loss.file)}: {loss}")

    def passed(self, records: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """Records as they are met, without those that say DELETED. Those that say LOST are empty: no more than their keys are known."""
        for key, value in records:
            if value != self.deleted:
                yield key, b"" if value == self.lost else value


class GuardedBatch:
    """A batch in which deletions in lost ranges are told from what was lost."""

    def __init__(self, inner: Any, losses: Losses) -> None:
        self.inner = inner
        self._losses = losses
        self.put = inner.put
        self.write = inner.write

    def delete(self, key: bytes) -> None:
        if self._losses.may_hold(key):
            self.inner.put(key, self._losses.deleted)
        else:
            self.inner.delete(key)


def _read(file: str) -> bytes | None:
    """What a file of notes says; None when there is none, empty when it can't be read."""
    try:
        with open(file, "rb") as handle:
            line, _, text = handle.read().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError:
        return b""
    with contextlib.suppress(ValueError):
        if int(line, 16) == masked_crc(text):
            return text
    return b""


def passes(bits: bytes, key: bytes) -> bool:
    """Whether one of LevelDB's Bloom filters lets a key pass. Its last byte says how many bits a key has."""
    size, probes = 8 * (len(bits) - 1), bits[-1]
    if probes > 30 or not size:
        # As LevelDB: kept for other kinds of filters, which let everything pass.
        return True
    number = _hash(key)
    step = (number >> 17 | number << 15) & 0xFFFFFFFF
    for _ in range(probes):
        at = number % size
        if not bits[at // 8] & 1 << at % 8:
            return False
        number = number + step & 0xFFFFFFFF
    return True


def _hash(data: bytes) -> int:
    """The hash that LevelDB's filters use."""
    factor, seed = 0xC6A4A793, 0xBC9F1D34
    number = seed ^ len(data) * factor & 0xFFFFFFFF
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        number = (number + int.from_bytes(data[at : at + 4], "little")) * factor & 0xFFFFFFFF
        number ^= number >> 16
    if whole < len(data):
        number = (number + int.from_bytes(data[whole:], "little")) * factor & 0xFFFFFFFF
        number ^= number >> 24
    return number
