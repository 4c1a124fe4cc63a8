"""A value as plain content: what lies between Redis' bytes and diskkv's types, in parts of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from diskkv.format import HASH, ZSET

# A stream's id is one integer, `ms << 64 | seq`.
ID_BITS = 64


@dataclass(slots=True)
class Pending:
    """An entry that a consumer has got and not acknowledged; or given back, so that it is nobody's, whose time is 0."""

    id: int
    consumer: bytes | None
    time: int
    count: int


@dataclass(slots=True)
class Consumer:
    """A consumer of a group; times in ms, `active` None when it has never got an entry."""

    name: bytes
    seen: int
    active: int | None


@dataclass(slots=True)
class Group:
    """A consumer group; `read` is how many entries it has got so far, None when that is not known. `released` are the ids of the pending
    entries that are nobody's, in the order of being given back."""

    name: bytes
    last: int
    read: int | None
    consumers: list[Consumer] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    released: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Production:
    """What a stream knows of idempotent production: for how many seconds, and how many of each producer, messages are remembered, how many
    have been added and how many were there already; and by producer the messages' own ids with the entries', the oldest first."""

    seconds: int
    most: int
    added: int = 0
    duplicates: int = 0
    producers: dict[bytes, list[tuple[bytes, int]]] = field(default_factory=dict)


@dataclass(slots=True)
class StreamState:
    """What a stream is besides its entries."""

    last: int = 0
    max_deleted: int = 0
    added: int = 0
    groups: list[Group] = field(default_factory=list)
    production: Production | None = None


@dataclass(slots=True)
class Content:
    """What a value holds. `parts` must be taken to the end before whatever it comes from is used for something else.

    By tag (`format`), a part is: of a string, bytes; of a list or a set, a list of elements; of a hash, a list of field, value,
    field, value ...; of a `timed` hash, a list of field, value, deadline in ms or 0, ...; of a sorted set, a list of member, score,
    member, score ...; of a stream, a list of (id, fields and values in turn); of an array, a list of (index, element). `count` is how
    many bytes, elements, fields, members or entries there are in all; None of a stream that has not been read. `state` is of streams, and
    complete once the parts are taken; `cursor` of arrays, None for none.
    """

    tag: int
    count: int | None
    parts: Iterator[Any]
    timed: bool = False
    state: StreamState | None = None
    cursor: int | None = None

    def gather(self) -> None:
        """Take all parts now, so that what is wrong with them shows before anything is done with them."""
        self.parts = iter(list(self.parts))

    def sound(self, most: int) -> None:
        """Find out a count that is not known, unless it is more than `most`."""
        if self.count is None:
            taken: list[Any] = []
            found = 0
            for part in self.parts:
                taken.append(part)
                found += len(part) // self.width()
                if found > most:
                    break
            else:
                self.count = found
            self.parts = chain(taken, self.parts)

    def width(self) -> int:
        """How many items of a part make one of what `count` counts."""
        return 1 if self.tag not in WIDE else 3 if self.timed else 2


WIDE = frozenset({HASH, ZSET})


@dataclass(slots=True)
class Key:
    """A key with its value. `expire` is in ms; `idle` in seconds, None when it is not known."""

    db: int
    name: bytes
    content: Content
    expire: int | None = None
    idle: int | None = None


@dataclass(slots=True)
class Library:
    """A function library's source."""

    code: bytes


@dataclass(slots=True)
class Sizes:
    """How many keys the present database has, as far as is known beforehand."""

    db: int
    keys: int
    expiring: int


@dataclass(slots=True)
class Remark:
    """Something said about the file (who wrote it, when)."""

    name: bytes
    value: bytes


@dataclass(slots=True)
class Skipped:
    """Something that can't be represented: it was read past. `what` says in words what it is."""

    what: str


@dataclass(slots=True)
class Commands:
    """Commands to be executed in order."""

    batch: list[list[bytes]]


Item = Key | Library | Sizes | Remark | Skipped | Commands
