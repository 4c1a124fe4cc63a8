"""What a replay asks the engine for.

A replay looks up nearly everything that it changes, because nothing is in memory yet: 2.5 us for a key or member, of which there may be
a hundred thousand. To read one after the other in their order takes 0.5 us each. So when an eighth of a database's keys, or of an object's
members, have been asked for, all of them are read, if they are not too many.
"""

from __future__ import annotations

import contextlib
from collections import Counter

from diskkv.engine import Engine
from diskkv.errors import StoreError
from diskkv.format import keys

# Of so many records all are read, once that part of them has been asked for: 0.1 s, which may have been for nothing.
MOST = 200_000
PART = 8
# No more bytes than this are read, however much memory there is: of long records that is another 0.1 s.
ROOM = 64 << 20
# What a record that was read takes in memory besides its bytes.
RECORD = 150
# To ask for an eighth of them and then to read all takes as long as to ask for a third.
ASKED = 3


class ReadAhead:
    """The engine's records, as long as nothing is written to it."""

    def __init__(self, engine: Engine, room: int) -> None:
        self._engine = engine
        # how many bytes may be read ahead
        self._room = min(room, ROOM)
        # by prefix: how many were asked for, and what was read
        self._sought: Counter[bytes] = Counter()
        self._records: dict[bytes, dict[bytes, bytes]] = {}

    def get(self, prefix: bytes, name: bytes, count: int) -> bytes | None:
        """The record of that key, prefix and name. About so many have that prefix."""
        records = self._records.get(prefix)
        if records is not None and (raw := records.pop(name, None)) is not None:
            return raw
        found = self._engine.get(prefix + name)
        if found is not None and records is None and count <= MOST:
            self._sought[prefix] += 1
            if self._sought[prefix] * PART >= count:
                self._records[prefix] = self._read(prefix)
        return found

    def _read(self, prefix: bytes) -> dict[bytes, bytes]:
        records: dict[bytes, bytes] = {}
        if self._engine.noted_losses():
            # Not everything that is found is to be believed, which is judged one by one.
            return records
        at = len(prefix)
        # What can't be read is met again, or not, by who asks for it.
        with contextlib.suppress(StoreError):
            for key, raw in self._engine.scan(prefix, keys.after(prefix)):
                self._room -= len(key) + len(raw) + RECORD
                if self._room < 0:
                    break
                records[key[at:]] = raw
        return records


def look_ups(changed: int, count: int) -> int:
    """As how many look-ups it counts that a replay changes so many keys or members, out of `count`."""
    return min(changed, count // ASKED) if count <= MOST else changed
