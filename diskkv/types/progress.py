"""How far a consumer group has come: how many entries it has read, and how many are still ahead of it.

Entries are counted from the first that was ever added. The count up to an id is known where no entry was deleted (but by trimming, which
only takes the first ones) in the part of the stream that matters; elsewhere it is UNKNOWN, as in Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diskkv.types.groups import Group
    from diskkv.types.streams import Entry, Stream

UNKNOWN = -1


def lag(stream: Stream, group: Group) -> int | None:
    """How many entries the group has not yet been given; None when that can't be told."""
    if not stream.added:
        return 0
    if group.read != UNKNOWN and not _hole_from(stream, group.last):
        return stream.added - group.read
    read = distance(stream, group.last)
    return None if read == UNKNOWN else stream.added - read


def count_read(stream: Stream, group: Group, entries: Sequence[Entry]) -> int:
    """What `group.read` becomes when it is given entries, the next ones behind `group.last`."""
    read = group.read
    if read != UNKNOWN and not _hole_from(stream, entries[0][0]):
        return read + len(entries)
    for number, _ in entries:
        if read != UNKNOWN and not _hole_from(stream, number):
            read += 1
        elif stream.added:
            read = distance(stream, number)
    return read


def distance(stream: Stream, number: int) -> int:
    """How many entries up to an id were ever added, if that can be told from both ends of the stream."""
    if not stream.added:
        return 0
    if number == stream.last or (number < stream.last and not stream.count):
        return stream.added
    if number > stream.last:
        return UNKNOWN
    first = stream.first() or 0
    if not stream.max_deleted or stream.max_deleted < first:
        if number < first:
            return stream.added - stream.count
        if number == first:
            return stream.added - stream.count + 1
    return UNKNOWN


def _hole_from(stream: Stream, number: int) -> bool:
    """Whether an entry may be missing from an id on, with others before it."""
    deleted = stream.max_deleted
    return bool(deleted and stream.count and number <= deleted and (stream.first() or 0) <= deleted)
