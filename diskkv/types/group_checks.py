"""What is wrong with the consumer groups of a stream as the engine has them, in words, for `check`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from diskkv.format import CONSUMER, OWNED, PENDING, RELEASED, WAITING, keys
from diskkv.format.groups import NOBODY, numbered, unpack_delivery, waiting_number
from diskkv.format.ordered import unpack_u32
from diskkv.types.groups import stored_groups

if TYPE_CHECKING:
    from diskkv.types.groups import Group
    from diskkv.types.streams import Stream

SHAPES = {CONSUMER: 8, PENDING: 20, OWNED: 24, WAITING: 28, RELEASED: 28}


def verify_groups(stream: Stream) -> Iterator[str]:
    """REQUIRES: as `Value.verify`."""
    groups = stored_groups(stream)
    for group in groups.values():
        for consumer in group.stored_consumers():
            group.consumers[consumer.name] = group.by_number[consumer.number] = consumer
    if len(groups) != stream.group_count:
        yield f"there are {len(groups)} groups, the header says {stream.group_count}"
    if len({group.name for group in groups.values()}) != len(groups):
        yield "two groups have one name"
    if any(number >= stream.next_group for number in groups):
        yield f"a group's number is not below the next one, {stream.next_group}"
    for group in groups.values():
        yield from _group(stream, group)
    yield from _strays(stream, groups)


def _group(stream: Stream, group: Group) -> Iterator[str]:
    where = f"group {group.name!r}"
    if any(number >= group.next_consumer for number in group.by_number):
        yield f"{where}: a consumer's number is not below the next one, {group.next_consumer}"
    yield from group.pending.verify(where)
    owned = sum(len(consumer) for consumer in group.consumers.values())
    unowned = 0 if group.released is None else group.released.count
    if owned + unowned != len(group):
        yield f"{where}: {len(group)} entries are pending, {owned} for its consumers and {unowned} for nobody"
    engine, prefix = stream.db.store.engine, keys.data_prefix(stream.oid)
    waiting = 0
    for number, record in group.pending.scan():
        consumer_number, time, _ = unpack_delivery(record)
        if consumer_number == NOBODY:
            released = group.released
            if released is None or engine.get(prefix + numbered(released.sub, waiting_number(time, number))) is None:
                yield f"{where}: {number:#x} is not among what was given back"
            elif time >= group.turn:
                yield f"{where}: {number:#x} has a turn that is not below the next one, {group.turn}"
            continue
        holder = group.by_number.get(consumer_number)
        if holder is None:
            yield f"{where}: {number:#x} is pending for a consumer that does not exist"
        elif engine.get(prefix + holder.owned.sub + number.to_bytes(16, "big")) is None:
            yield f"{where}: {number:#x} is pending for {holder.name!r}, who knows nothing of it"
        if group.waiting is not None and number <= group.upto:
            waiting += 1
            if engine.get(prefix + numbered(group.waiting.sub, waiting_number(time, number))) is None:
                yield f"{where}: {number:#x} is not among what waits by time"
    if group.waiting is not None:
        yield from group.waiting.verify(f"{where}: by time")
        if group.waiting.count != waiting:
            yield f"{where}: {group.waiting.count} entries wait by time, {waiting} by id"
    if group.released is not None:
        yield from group.released.verify(f"{where}: given back")
    for consumer in group.consumers.values():
        yield from consumer.owned.verify(f"{where}: consumer {consumer.name!r}")


def _strays(stream: Stream, groups: dict[int, Group]) -> Iterator[str]:
    """Records below groups and consumers that there are not, unless the reclaimer is about to delete them."""
    engine, start = stream.db.store.engine, keys.data_prefix(stream.oid)
    reported: set[int] = set()
    for kind, length in SHAPES.items():
        for raw in engine.scan_keys(start + kind, keys.after(start + kind)):
            sub = raw[len(start) + 1 :]
            number = unpack_u32(sub) if len(sub) == length else -1
            group = groups.get(number)
            if group is None:
                if number not in reported and engine.get(keys.garbage_group(stream.oid, number)) is None and engine.get(raw) is not None:
                    reported.add(number)
                    yield f"{raw[len(start) :]!r} belongs to no group"
            elif kind == OWNED and unpack_u32(sub, 4) not in group.by_number:
                yield f"{sub!r} belongs to no consumer of group {group.name!r}"
