"""What streams and their consumer groups should do, said with dicts; see `model.py`. An id is a pair of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.model.wrong import Wrong

if TYPE_CHECKING:
    from tests.model.model import Model

    Base = Model
else:
    Base = object

Id = tuple[int, int]
HIGHEST = (1 << 64) - 1
MOST_TIMES = (1 << 63) - 1


class GroupModel:
    """The last id delivered, the names of the consumers, and what is pending: id -> consumer, None for nobody, time, count."""

    def __init__(self, last: Id) -> None:
        self.last = last
        self.consumers: set[bytes] = set()
        self.pending: dict[Id, tuple[bytes | None, int, int]] = {}


class StreamModel:
    """Entries in the order of their ids."""

    def __init__(self, other: StreamModel | None = None) -> None:
        self.entries: dict[Id, list[bytes]] = dict(other.entries) if other else {}
        self.last: Id = other.last if other else (0, 0)
        self.groups: dict[bytes, GroupModel] = {}
        for name, group in other.groups.items() if other else ():
            copy = self.groups[name] = GroupModel(group.last)
            copy.consumers, copy.pending = set(group.consumers), dict(group.pending)

    def between(self, low: Id, high: Id) -> list[Any]:
        return [[shown(number), items] for number, items in self.entries.items() if low <= number <= high]


def shown(number: Id) -> bytes:
    return b"%d-%d" % number


def read(word: bytes) -> Id:
    time, _, sequence = word.partition(b"-")
    return int(time), int(sequence or b"0")


def edge(word: bytes, sequence: int) -> Id:
    if word in (b"-", b"+"):
        return (0, 0) if word == b"-" else (HIGHEST, HIGHEST)
    return read(word) if b"-" in word else (int(word), sequence)


class Streams(Base):
    """The commands, for `Model` to have."""

    def _group(self, key: bytes, name: bytes) -> tuple[StreamModel, GroupModel]:
        stream = self.get(key, StreamModel)
        if stream is None or name not in stream.groups:
            raise Wrong("NOGROUP")
        return stream, stream.groups[name]

    def do_xadd(self, key: bytes, word: bytes, *items: bytes) -> Any:
        stream = self.get(key, StreamModel)
        last = stream.last if stream else (0, 0)
        if word.endswith(b"*"):
            time = int(word[:-2])
            number = (time, last[1] + 1 if time == last[0] else 0)
        else:
            number = read(word)
        if number <= last:
            raise Wrong
        stream = self.open(key, StreamModel)
        stream.entries[number] = list(items)
        stream.last = number
        return shown(number)

    def do_xlen(self, key: bytes) -> Any:
        stream = self.get(key, StreamModel)
        return len(stream.entries) if stream else 0

    def do_xrange(self, key: bytes, low: bytes, high: bytes) -> Any:
        stream = self.get(key, StreamModel)
        return stream.between(edge(low, 0), edge(high, HIGHEST)) if stream else []

    def do_xrevrange(self, key: bytes, high: bytes, low: bytes) -> Any:
        return self.do_xrange(key, low, high)[::-1]

    def do_xdel(self, key: bytes, *words: bytes) -> Any:
        stream = self.get(key, StreamModel)
        return sum(stream.entries.pop(read(word), None) is not None for word in words) if stream else 0

    def do_xtrim(self, key: bytes, _: bytes, count: bytes) -> Any:
        stream = self.get(key, StreamModel)
        gone = list(stream.entries)[: max(0, len(stream.entries) - int(count))] if stream else []
        for number in gone:
            del stream.entries[number]  # type: ignore[union-attr]
        return len(gone)

    def do_xgroup(self, sub: bytes, key: bytes, name: bytes, *words: bytes) -> Any:
        if sub == b"CREATE":
            stream = self.open(key, StreamModel)
            if name in stream.groups:
                raise Wrong("BUSYGROUP")
            stream.groups[name] = GroupModel(stream.last if words[0] == b"$" else read(words[0]))
            return b"OK"
        found = self.get(key, StreamModel)
        if found is None:
            raise Wrong
        if sub == b"DESTROY":
            return int(found.groups.pop(name, None) is not None)
        _, group = self._group(key, name)
        if sub == b"SETID":
            group.last = read(words[0])
            return b"OK"
        group.consumers.discard(words[0])
        gone = [number for number, (consumer, _, _) in group.pending.items() if consumer == words[0]]
        for number in gone:
            del group.pending[number]
        return len(gone)

    def do_xreadgroup(self, _: bytes, name: bytes, consumer: bytes, __: bytes, count: bytes, ___: bytes, key: bytes, mark: bytes) -> Any:
        stream, group = self._group(key, name)
        group.consumers.add(consumer)
        told: list[Any] = []
        if mark != b">":
            after = read(mark)
            for number in sorted(group.pending)[:]:
                holder, _time, times = group.pending[number]
                if number <= after or holder != consumer or len(told) == int(count):
                    continue
                items = stream.entries.get(number)
                told.append([shown(number), items])
                if items is not None:
                    group.pending[number] = consumer, self.now, min(times + 1, MOST_TIMES)
            return [[key, told]]
        for number in [number for number in stream.entries if number > group.last][: int(count)]:
            told.append([shown(number), stream.entries[number]])
            group.pending[number] = consumer, self.now, 1
            group.last = number
        return [[key, told]] if told else None

    def do_xack(self, key: bytes, name: bytes, *words: bytes) -> Any:
        stream = self.get(key, StreamModel)
        if stream is None or name not in stream.groups:
            return 0
        return sum(stream.groups[name].pending.pop(read(word), None) is not None for word in words)

    def do_xpending(self, key: bytes, name: bytes, *_: bytes) -> Any:
        pending = self._group(key, name)[1].pending
        return [
            [shown(number), *((b"", -1) if holder is None else (holder, self.now - time)), times]
            for number, (holder, time, times) in sorted(pending.items())
        ]

    def do_xnack(self, key: bytes, name: bytes, mode: bytes, _: bytes, __: bytes, *words: bytes) -> Any:
        force = words[-1] == b"FORCE"
        stream, group = self._group(key, name)
        count = 0
        for number in map(read, words[:-1] if force else words):
            if number in group.pending or (force and number in stream.entries):
                times = group.pending.get(number, (None, 0, 0))[2]
                group.pending[number] = None, 0, {b"SILENT": max(times - 1, 0), b"FAIL": times, b"FATAL": MOST_TIMES}[mode]
                count += 1
        return count

    def do_xclaim(self, key: bytes, name: bytes, consumer: bytes, idle: bytes, *words: bytes) -> Any:
        force = words[-1] == b"FORCE"
        stream, group = self._group(key, name)
        group.consumers.add(consumer)
        told = []
        for number in map(read, words[:-1] if force else words):
            if number not in stream.entries:
                group.pending.pop(number, None)
                continue
            held = group.pending.get(number)
            if held is None and not force:
                continue
            if held is not None and held[0] is not None and self.now - held[1] < int(idle):
                continue
            group.pending[number] = consumer, self.now, min((held[2] if held else 1) + 1, MOST_TIMES)
            told.append([shown(number), stream.entries[number]])
        return told

    def do_xautoclaim(self, key: bytes, name: bytes, consumer: bytes, idle: bytes, start: bytes, _: bytes, count: bytes) -> Any:
        stream, group = self._group(key, name)
        group.consumers.add(consumer)
        left, looks = int(count), 10 * int(count)
        told, lost = [], []
        for number in sorted(group.pending):
            if number < read(start):
                continue
            if not left or not looks:
                return [shown(number), told, lost]
            looks -= 1
            holder, time, times = group.pending[number]
            if number not in stream.entries:
                del group.pending[number]
                lost.append(shown(number))
                left -= 1
            elif holder is None or self.now - time >= int(idle):
                group.pending[number] = consumer, self.now, min(times + 1, MOST_TIMES)
                told.append([shown(number), stream.entries[number]])
                left -= 1
        return [b"0-0", told, lost]
