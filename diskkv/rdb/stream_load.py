"""Streams: entries in listpacks under their first id, then what else a stream is.

stream  := nodes:len (id:string listpack)*  entries:len last:ID  [first:ID max_deleted:ID added:len, from 2 on]  groups:len group*
           [production, from 4 on]
group   := name:string last:ID [read:len, from 2 on]  pending:len (id:16 bytes time:i64le count:len)*
           consumers:len (name:string seen:i64le [active:i64le, from 3 on] pending:len (id:16 bytes)*)*
           [released:len (id:16 bytes)*, in 5]
production := seconds:len most:len producers:len (name:string messages:len (message:string ID)*)*  added:len duplicates:len
ID      := ms:len seq:len

node    := count, deleted, fields, field*, 0, entry*     every part a listpack's entry
entry   := flags, ms and seq less those of the node's id, [count, (field, value)* | value* if SAME_FIELDS], parts
"""

from __future__ import annotations

from collections.abc import Iterator

from diskkv.errors import BadDump
from diskkv.format import STREAM
from diskkv.rdb import listpack
from diskkv.rdb.content import ID_BITS, Consumer, Content, Group, Pending, Production, StreamState
from diskkv.rdb.source import Source

DELETED = 1
SAME_FIELDS = 2
# How an unknown number of entries read is written.
UNKNOWN = (1 << 64) - 1
# How a consumer is written that has never got an entry.
NEVER = -1
# For how long, and how many of each producer, a stream remembers messages of which nobody has ever said or used it; and the most it may.
USUAL = (100, 100)
MOST_SECONDS = 86_400
MOST_MESSAGES = 10_000

Entry = tuple[int, tuple[bytes, ...]]


def load_stream(source: Source, version: int) -> Content:
    """A stream in one of its five forms."""
    state = StreamState()
    return Content(STREAM, None, _entries(source, version, state), state=state)


def _entries(source: Source, version: int, state: StreamState) -> Iterator[list[Entry]]:
    """The entries, and at the end all the rest, into `state`."""
    count, last, first = 0, -1, 0
    for _ in range(source.length()):
        key = source.string()
        if len(key) != 16:
            raise BadDump("a stream's node has no id")
        part = read_node(int.from_bytes(key, "big"), listpack.read(source.string()))
        for number, _ in part:
            if number <= last:
                raise BadDump("a stream's entries are not in order")
            last = number
        if part:
            if not count:
                first = part[0][0]
            count += len(part)
            yield part
    said = source.length()
    state.last = _id(source)
    if said != count or last > state.last:
        raise BadDump("a stream has other entries than it says")
    if version > 1:
        _id(source)
        state.max_deleted = _id(source)
        state.added = source.length()
        if state.max_deleted > state.last or state.added < count or state.added >> 63:
            raise BadDump("a stream's counts are impossible")
    else:
        state.added = count
    names = set()
    for _ in range(source.length()):
        group = _group(source, version)
        if group.name in names:
            raise BadDump("a stream has a group twice")
        names.add(group.name)
        if version == 1:
            group.read = _estimate(state, count, first, group.last)
        state.groups.append(group)
    if version > 3:
        production = _production(source, state.last)
        if production != Production(production.seconds, production.most) or (production.seconds, production.most) != USUAL:
            state.production = production


def _id(source: Source) -> int:
    ms = source.length()
    return ms << ID_BITS | source.length()


def read_node(base: int, items: list[bytes]) -> list[Entry]:
    """The entries of a node, those that were deleted left out."""
    found: list[Entry] = []
    mask = (1 << ID_BITS) - 1
    base_ms, base_seq = base >> ID_BITS, base & mask
    try:
        total = int(items[0]) + int(items[1])
        width = int(items[2])
        if width < 0 or total <= 0 or int(items[0]) < 0 or int(items[1]) < 0:
            raise BadDump("a stream's node has impossible counts")
        names = items[3 : 3 + width]
        at = 3 + width
        if int(items[at]):
            raise BadDump("a stream's node has no end of its fields")
        at += 1
        for _ in range(total):
            flags = int(items[at])
            number = ((base_ms + int(items[at + 1])) & mask) << ID_BITS | (base_seq + int(items[at + 2])) & mask
            at += 3
            if flags & SAME_FIELDS:
                stop = at + width
                pair = tuple([item for couple in zip(names, items[at:stop], strict=True) for item in couple])
                parts = width + 3
            else:
                size = int(items[at])
                stop = at + 1 + 2 * max(size, 0)
                pair = tuple(items[at + 1 : stop])
                parts = len(pair) + 4
            if not pair or len(pair) % 2 or int(items[stop]) != parts:
                raise BadDump("a stream's entry has impossible counts")
            at = stop + 1
            if not flags & DELETED:
                found.append((number, pair))
    except (IndexError, ValueError):
        raise BadDump("a stream's node is not as it must be") from None
    if at != len(items):
        raise BadDump("a stream's node has something behind its entries")
    return found


def _production(source: Source, last: int) -> Production:
    """What is remembered of messages. Those of the same name, which Redis passes over, are passed over here, too."""
    found = Production(source.length(), source.length())
    if not (1 <= found.seconds <= MOST_SECONDS and 1 <= found.most <= MOST_MESSAGES):
        raise BadDump("a stream remembers messages for an impossible time, or impossibly many")
    for _ in range(source.length()):
        name = source.string()
        if name in found.producers:
            raise BadDump("a stream has a producer twice")
        messages: dict[bytes, int] = {}
        for _ in range(source.length()):
            messages.setdefault(source.string(), _id(source))
        if len(messages) > found.most or any(number > last for number in messages.values()):
            raise BadDump("a producer has impossible messages")
        if messages:
            found.producers[name] = list(messages.items())
    found.added, found.duplicates = source.length(), source.length()
    return found


def _group(source: Source, version: int) -> Group:
    group = Group(source.string(), _id(source), None)
    if version > 1:
        read = source.length()
        if read != UNKNOWN:
            if read >> 63:
                raise BadDump("a group's count is impossible")
            group.read = read
    pending: dict[int, Pending] = {}
    for _ in range(source.length()):
        number = int.from_bytes(source.take(16), "big")
        if number in pending:
            raise BadDump("a group has a pending entry twice")
        time = source.milliseconds()
        if time < 0:
            raise BadDump("a pending entry has an impossible time")
        pending[number] = Pending(number, None, time, source.length())
    owned: set[int] = set()
    names = set()
    for _ in range(source.length()):
        name = source.string()
        if name in names:
            raise BadDump("a group has a consumer twice")
        names.add(name)
        seen = source.milliseconds()
        active: int | None = source.milliseconds() if version > 2 else seen
        if seen < 0:
            raise BadDump("a consumer has an impossible time")
        group.consumers.append(Consumer(name, seen, None if active is None or active < 0 else active))
        for _ in range(source.length()):
            number = int.from_bytes(source.take(16), "big")
            held = pending.get(number)
            if held is None or number in owned:
                raise BadDump("a consumer has a pending entry that its group has not")
            owned.add(number)
            held.consumer = name
    for _ in range(source.length() if version > 4 else 0):
        number = int.from_bytes(source.take(16), "big")
        held = pending.get(number)
        if held is None or number in owned:
            raise BadDump("a group has an entry given back that is not pending, or that a consumer has")
        owned.add(number)
        held.time = 0
        group.released.append(number)
    if len(owned) != len(pending):
        raise BadDump("a group has a pending entry that no consumer has")
    group.pending = sorted(pending.values(), key=lambda one: one.id)
    return group


def _estimate(state: StreamState, count: int, first: int, last: int) -> int | None:
    """How many entries a group has got, of a stream that did not count them. REQUIRES: nothing has been deleted, as far as is known."""
    if not state.added or last == state.last:
        return state.added
    if last > state.last:
        return None
    if not count:
        return state.added
    return 0 if last < first else 1 if last == first else None
