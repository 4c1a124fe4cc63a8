"""The values of a database that are in memory, by key.

A dict that is full is copied to a larger one, or one that has seen many keys come and go to a fresh one, all at once: 35 ms for 250,000
keys, and everybody waits. So the keys are spread over SHARDS dicts, of which each is copied by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diskkv.store.value import Value

# The highest bits of a hash say which: the lowest ones find the place in a dict. They are -32 to 31, which a list of 64 takes as they are.
SHARDS = 64
SHIFT = 58


class Residents(MutableMapping[bytes, "Value"]):
    """What a dict does. Who looks up often does it in `shards[hash(key) >> SHIFT]`, which takes half the time."""

    __slots__ = ("shards",)

    def __init__(self) -> None:
        self.shards: list[dict[bytes, Value]] = [{} for _ in range(SHARDS)]

    def get(self, key: bytes) -> Value | None:  # type: ignore[override]  # no other default is asked for
        return self.shards[hash(key) >> SHIFT].get(key)

    def __getitem__(self, key: bytes) -> Value:
        return self.shards[hash(key) >> SHIFT][key]

    def __setitem__(self, key: bytes, value: Value) -> None:
        self.shards[hash(key) >> SHIFT][key] = value

    def __delitem__(self, key: bytes) -> None:
        del self.shards[hash(key) >> SHIFT][key]

    def __contains__(self, key: object) -> bool:
        return key in self.shards[hash(key) >> SHIFT]

    def __iter__(self) -> Iterator[bytes]:
        return itertools.chain.from_iterable(self.shards)

    def __len__(self) -> int:
        return sum(map(len, self.shards))

    def __bool__(self) -> bool:
        return any(self.shards)

    def popitem(self) -> tuple[bytes, Value]:
        """Some key and its value, removed. KeyError when there is none."""
        for shard in self.shards:
            if shard:
                return shard.popitem()
        raise KeyError
