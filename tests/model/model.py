"""What a store should do, said with dicts: each command is a method of `Model` that returns the reply in plain values.

A set stands for a reply in any order, a dict for one of pairs in any order. `Wrong` is a reply that is an error, by its code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.model.streams import StreamModel, Streams
from tests.model.wrong import Wrong

T = TypeVar("T")
INTEGER = re.compile(rb"0|-?[1-9]\d*")


class Zset(dict[bytes, float]):
    """Member -> score."""

    def ranked(self) -> list[tuple[bytes, float]]:
        return sorted(self.items(), key=lambda item: (item[1], item[0]))


@dataclass
class Entry:
    """A key's value and when it expires (ms)."""

    value: Any
    expire: int | None = None


def copied(value: T) -> T:
    """The value anew, to be changed on its own."""
    return type(value)(value) if not isinstance(value, bytes) else value  # type: ignore[call-arg]


class Model(Streams):
    """Two databases, a selected one, and a clock that the caller sets. `run` does what the store is told to do."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.index = 0
        self.databases: list[dict[bytes, Entry]] = [{}, {}]

    @property
    def db(self) -> dict[bytes, Entry]:
        return self.databases[self.index]

    def run(self, *argv: bytes, heard: Any = None) -> Any:
        """The reply to a command. `heard` is what the store replied, for commands that choose at random."""
        self.purge()
        name = argv[0].decode().lower()
        method: Callable[..., Any] = getattr(self, f"do_{name}")
        try:
            return method(heard, *argv[1:]) if name == "spop" else method(*argv[1:])
        except Wrong as wrong:
            return wrong

    def purge(self) -> None:
        """Expire what is due."""
        for db in self.databases:
            for key in [key for key, entry in db.items() if entry.expire is not None and entry.expire <= self.now]:
                del db[key]

    def get(self, key: bytes, kind: type[T]) -> T | None:
        entry = self.db.get(key)
        if entry is None:
            return None
        if type(entry.value) is not kind:
            raise Wrong("WRONGTYPE")
        return entry.value

    def open(self, key: bytes, kind: type[T]) -> T:
        """The value, created if need be; `settle` removes it again if nothing came into it."""
        found = self.get(key, kind)
        if found is None:
            found = kind()
            self.db[key] = Entry(found)
        return found

    def settle(self, key: bytes) -> None:
        entry = self.db.get(key)
        if entry is not None and not isinstance(entry.value, bytes) and not entry.value:
            del self.db[key]

    def store(self, key: bytes, value: Any) -> int:
        """The STORE commands: replace the key, or remove it when there is nothing to store."""
        self.db.pop(key, None)
        if value:
            self.db[key] = Entry(value)
        return len(value)

    # -- strings

    def do_set(self, key: bytes, value: bytes, *options: bytes) -> Any:
        old = self.db.get(key)
        if (b"NX" in options and old is not None) or (b"XX" in options and old is None):
            return None
        expire = old.expire if old is not None and b"KEEPTTL" in options else None
        if b"PX" in options:
            expire = self.now + int(options[options.index(b"PX") + 1])
        self.db[key] = Entry(value, expire)
        return b"OK"

    def do_get(self, key: bytes) -> Any:
        return self.get(key, bytes)

    def do_getdel(self, key: bytes) -> Any:
        value = self.get(key, bytes)
        if value is not None:
            del self.db[key]
        return value

    def _write(self, key: bytes, value: bytes) -> None:
        if key in self.db:
            self.db[key].value = value
        else:
            self.db[key] = Entry(value)

    def do_append(self, key: bytes, tail: bytes) -> Any:
        value = (self.get(key, bytes) or b"") + tail
        self._write(key, value)
        return len(value)

    def do_setrange(self, key: bytes, offset: bytes, piece: bytes) -> Any:
        value = self.get(key, bytes) or b""
        if not piece:
            return len(value)
        start = int(offset)
        value = value.ljust(start, b"\0")
        value = value[:start] + piece + value[start + len(piece) :]
        self._write(key, value)
        return len(value)

    def do_getrange(self, key: bytes, start: bytes, stop: bytes) -> Any:
        value = self.get(key, bytes) or b""
        if int(stop) < 0 and int(start) < 0 and int(start) > int(stop):
            return b""
        # As in Redis, and unlike LRANGE's, an end before the string's beginning is its first byte.
        low, high = span(len(value), int(start), max(int(stop), -len(value)) if int(stop) < 0 else int(stop))
        return value[low:high]

    def do_strlen(self, key: bytes) -> Any:
        return len(self.get(key, bytes) or b"")

    def do_incrby(self, key: bytes, delta: bytes) -> Any:
        value = self.get(key, bytes)
        if value is not None and (not INTEGER.fullmatch(value) or len(value) > 18):
            raise Wrong
        total = int(value or 0) + int(delta)
        self._write(key, b"%d" % total)
        return total

    def do_setbit(self, key: bytes, offset: bytes, bit: bytes) -> Any:
        value = bytearray(self.get(key, bytes) or b"")
        place, shift = int(offset) // 8, 7 - int(offset) % 8
        value.extend(bytes(max(0, place + 1 - len(value))))
        old = value[place] >> shift & 1
        value[place] = value[place] & ~(1 << shift) | int(bit) << shift
        self._write(key, bytes(value))
        return old

    def do_bitcount(self, key: bytes) -> Any:
        return int.from_bytes(self.get(key, bytes) or b"", "big").bit_count()

    # -- keys

    def do_del(self, *keys: bytes) -> Any:
        return sum(self.db.pop(key, None) is not None for key in keys)

    def do_exists(self, *keys: bytes) -> Any:
        return sum(key in self.db for key in keys)

    def do_type(self, key: bytes) -> Any:
        names: dict[type, bytes] = {bytes: b"string", dict: b"hash", list: b"list", set: b"set", Zset: b"zset", StreamModel: b"stream"}
        return names[type(self.db[key].value)] if key in self.db else b"none"

    def do_pexpire(self, key: bytes, ms: bytes) -> Any:
        if key not in self.db:
            return 0
        if int(ms) <= 0:
            del self.db[key]
        else:
            self.db[key].expire = self.now + int(ms)
        return 1

    def do_persist(self, key: bytes) -> Any:
        entry = self.db.get(key)
        if entry is None or entry.expire is None:
            return 0
        entry.expire = None
        return 1

    def do_pttl(self, key: bytes) -> Any:
        entry = self.db.get(key)
        return -2 if entry is None else -1 if entry.expire is None else entry.expire - self.now

    def do_rename(self, key: bytes, new: bytes) -> Any:
        if key not in self.db:
            raise Wrong
        self.db[new] = self.db.pop(key)
        return b"OK"

    def do_renamenx(self, key: bytes, new: bytes) -> Any:
        if key not in self.db:
            raise Wrong
        if new in self.db:
            return 0
        self.db[new] = self.db.pop(key)
        return 1

    def do_copy(self, key: bytes, new: bytes, _: bytes, number: bytes, *replace: bytes) -> Any:
        target = self.databases[int(number)]
        if target is self.db and key == new:
            raise Wrong
        entry = self.db.get(key)
        if entry is None or (new in target and not replace):
            return 0
        target[new] = Entry(copied(entry.value), entry.expire)
        return 1

    def do_move(self, key: bytes, number: bytes) -> Any:
        target = self.databases[int(number)]
        if target is self.db:
            raise Wrong
        if key not in self.db or key in target:
            return 0
        target[key] = self.db.pop(key)
        return 1

    def do_select(self, number: bytes) -> Any:
        self.index = int(number)
        return b"OK"

    def do_swapdb(self, one: bytes, other: bytes) -> Any:
        first, second = self.databases[int(one)], self.databases[int(other)]
        self.databases[int(one)], self.databases[int(other)] = second, first
        return b"OK"

    def do_flushdb(self) -> Any:
        self.db.clear()
        return b"OK"

    def do_flushall(self) -> Any:
        for db in self.databases:
            db.clear()
        return b"OK"

    def do_keys(self, _: bytes) -> Any:
        return set(self.db)

    def do_dbsize(self) -> Any:
        return len(self.db)

    # -- hashes

    def do_hset(self, key: bytes, *words: bytes) -> Any:
        found = self.open(key, dict)
        before = len(found)
        found.update(zip(words[::2], words[1::2], strict=True))
        return len(found) - before

    def do_hdel(self, key: bytes, *fields: bytes) -> Any:
        found = self.get(key, dict) or {}
        gone = sum(found.pop(field, None) is not None for field in fields)
        self.settle(key)
        return gone

    def do_hget(self, key: bytes, field: bytes) -> Any:
        return (self.get(key, dict) or {}).get(field)

    def do_hmget(self, key: bytes, *fields: bytes) -> Any:
        found = self.get(key, dict) or {}
        return [found.get(field) for field in fields]

    def do_hgetall(self, key: bytes) -> Any:
        return dict(self.get(key, dict) or {})

    def do_hlen(self, key: bytes) -> Any:
        return len(self.get(key, dict) or {})

    def do_hincrby(self, key: bytes, field: bytes, delta: bytes) -> Any:
        old = (self.get(key, dict) or {}).get(field, b"0")
        if not INTEGER.fullmatch(old) or len(old) > 18:
            raise Wrong
        self.open(key, dict)[field] = b"%d" % (int(old) + int(delta))
        return int(old) + int(delta)

    # -- lists

    def do_rpush(self, key: bytes, *items: bytes) -> Any:
        found = self.open(key, list)
        found.extend(items)
        return len(found)

    def do_lpush(self, key: bytes, *items: bytes) -> Any:
        found = self.open(key, list)
        found[:0] = reversed(items)
        return len(found)

    def _pop(self, key: bytes, at: int, count: int) -> list[bytes] | None:
        found = self.get(key, list)
        if found is None:
            return None
        popped = [found.pop(at) for _ in range(min(count, len(found)))]
        self.settle(key)
        return popped

    def do_lpop(self, key: bytes, count: bytes) -> Any:
        return self._pop(key, 0, int(count))

    def do_rpop(self, key: bytes, count: bytes) -> Any:
        return self._pop(key, -1, int(count))

    def do_llen(self, key: bytes) -> Any:
        return len(self.get(key, list) or [])

    def do_lrange(self, key: bytes, start: bytes, stop: bytes) -> Any:
        found = self.get(key, list) or []
        low, high = span(len(found), int(start), int(stop))
        return found[low:high]

    def do_lindex(self, key: bytes, index: bytes) -> Any:
        found = self.get(key, list) or []
        at = int(index)
        return found[at] if -len(found) <= at < len(found) else None

    def do_lset(self, key: bytes, index: bytes, item: bytes) -> Any:
        found = self.get(key, list) or []
        at = int(index)
        if not -len(found) <= at < len(found):
            raise Wrong
        found[at] = item
        return b"OK"

    def do_linsert(self, key: bytes, where: bytes, pivot: bytes, item: bytes) -> Any:
        found = self.get(key, list)
        if found is None:
            return 0
        if pivot not in found:
            return -1
        found.insert(found.index(pivot) + (where == b"AFTER"), item)
        return len(found)

    def do_lrem(self, key: bytes, count: bytes, item: bytes) -> Any:
        found = self.get(key, list) or []
        limit = abs(int(count)) or len(found)
        places = [at for at, one in enumerate(found) if one == item]
        chosen = places[-limit:] if int(count) < 0 else places[:limit]
        for at in reversed(chosen):
            del found[at]
        self.settle(key)
        return len(chosen)

    def do_ltrim(self, key: bytes, start: bytes, stop: bytes) -> Any:
        found = self.get(key, list) or []
        low, high = span(len(found), int(start), int(stop))
        found[:] = found[low:high]
        self.settle(key)
        return b"OK"

    def do_lmove(self, key: bytes, target: bytes, whence: bytes, where: bytes) -> Any:
        found = self.get(key, list)
        if found is None:
            return None
        self.get(target, list)
        item = found.pop(0 if whence == b"LEFT" else -1)
        goal = self.open(target, list)
        goal.insert(0 if where == b"LEFT" else len(goal), item)
        self.settle(key)
        return item

    # -- sets

    def do_sadd(self, key: bytes, *members: bytes) -> Any:
        found = self.open(key, set)
        before = len(found)
        found.update(members)
        return len(found) - before

    def do_srem(self, key: bytes, *members: bytes) -> Any:
        found = self.get(key, set) or set()
        before = len(found)
        found.difference_update(members)
        self.settle(key)
        return before - len(found)

    def do_smembers(self, key: bytes) -> Any:
        return set(self.get(key, set) or ())

    def do_scard(self, key: bytes) -> Any:
        return len(self.get(key, set) or ())

    def do_smismember(self, key: bytes, *members: bytes) -> Any:
        found = self.get(key, set) or set()
        return [int(member in found) for member in members]

    def do_spop(self, heard: Any, key: bytes, count: bytes) -> Any:
        found = self.get(key, set) or set()
        assert len(heard) == len(set(heard)) == min(int(count), len(found))
        assert found.issuperset(heard)
        found.difference_update(heard)
        self.settle(key)
        return set(heard)

    def do_smove(self, key: bytes, target: bytes, member: bytes) -> Any:
        found = self.get(key, set)
        if found is None:
            return 0
        self.get(target, set)
        if member not in found:
            return 0
        found.remove(member)
        self.open(target, set).add(member)
        self.settle(key)
        return 1

    def _sets(self, keys: tuple[bytes, ...]) -> list[set[bytes]]:
        return [set(self.get(key, set) or ()) for key in keys]

    def do_sinterstore(self, target: bytes, *keys: bytes) -> Any:
        return self.store(target, set.intersection(*self._sets(keys)))

    def do_sunionstore(self, target: bytes, *keys: bytes) -> Any:
        return self.store(target, set().union(*self._sets(keys)))

    def do_sdiffstore(self, target: bytes, first: bytes, *keys: bytes) -> Any:
        one, *others = self._sets((first, *keys))
        return self.store(target, one.difference(*others))

    # -- sorted sets

    def do_zadd(self, key: bytes, *words: bytes) -> Any:
        options = {word for word in words[:3] if word in (b"NX", b"XX", b"GT", b"LT", b"CH")}
        words = words[len(options) :]
        found = self.open(key, Zset)
        added = changed = 0
        for score, member in zip(map(float, words[::2]), words[1::2], strict=True):
            old = found.get(member)
            if old is None:
                if b"XX" not in options:
                    found[member] = score
                    added += 1
            elif not (b"NX" in options or (b"GT" in options and score <= old) or (b"LT" in options and score >= old)) and score != old:
                found[member] = score
                changed += 1
        self.settle(key)
        return added + changed if b"CH" in options else added

    def do_zincrby(self, key: bytes, delta: bytes, member: bytes) -> Any:
        found = self.open(key, Zset)
        found[member] = found.get(member, 0.0) + float(delta)
        return found[member]

    def do_zrem(self, key: bytes, *members: bytes) -> Any:
        found = self.get(key, Zset) or Zset()
        gone = sum(found.pop(member, None) is not None for member in members)
        self.settle(key)
        return gone

    def do_zscore(self, key: bytes, member: bytes) -> Any:
        return (self.get(key, Zset) or Zset()).get(member)

    def do_zcard(self, key: bytes) -> Any:
        return len(self.get(key, Zset) or ())

    def _ranked(self, key: bytes) -> list[tuple[bytes, float]]:
        return (self.get(key, Zset) or Zset()).ranked()

    def do_zrank(self, key: bytes, member: bytes) -> Any:
        return next((at for at, (one, _) in enumerate(self._ranked(key)) if one == member), None)

    def do_zrange(self, key: bytes, start: bytes, stop: bytes, *options: bytes) -> Any:
        ranked = self._ranked(key)
        if b"REV" in options:
            ranked.reverse()
        low, high = span(len(ranked), int(start), int(stop))
        return [part for pair in ranked[low:high] for part in pair]

    def do_zrangebyscore(self, key: bytes, low: bytes, high: bytes) -> Any:
        return [member for member, score in self._ranked(key) if float(low) <= score <= float(high)]

    def do_zcount(self, key: bytes, low: bytes, high: bytes) -> Any:
        return len(self.do_zrangebyscore(key, low, high))

    def do_zpopmin(self, key: bytes, count: bytes) -> Any:
        return self._zpop(key, self._ranked(key)[: int(count)])

    def do_zpopmax(self, key: bytes, count: bytes) -> Any:
        return self._zpop(key, self._ranked(key)[::-1][: int(count)])

    def _zpop(self, key: bytes, pairs: list[tuple[bytes, float]]) -> list[Any]:
        self.do_zrem(key, *(member for member, _ in pairs))
        return [part for pair in pairs for part in pair]

    def do_zremrangebyrank(self, key: bytes, start: bytes, stop: bytes) -> Any:
        ranked = self._ranked(key)
        low, high = span(len(ranked), int(start), int(stop))
        return self.do_zrem(key, *(member for member, _ in ranked[low:high]))

    def do_zremrangebyscore(self, key: bytes, low: bytes, high: bytes) -> Any:
        return self.do_zrem(key, *self.do_zrangebyscore(key, low, high))

    def do_zunionstore(self, target: bytes, _: bytes, *keys: bytes) -> Any:
        union = Zset()
        for found in [self._scores(key) for key in keys]:
            for member, score in found.items():
                union[member] = union.get(member, 0.0) + score
        return self.store(target, union)

    def do_zdiffstore(self, target: bytes, _: bytes, first: bytes, *keys: bytes) -> Any:
        one = self._scores(first)
        others = [self._scores(key) for key in keys]
        return self.store(target, Zset({member: score for member, score in one.items() if not any(member in other for other in others)}))

    def _scores(self, key: bytes) -> dict[bytes, float]:
        """A sorted set, or a set with scores of 1."""
        value = self.db[key].value if key in self.db else Zset()
        if isinstance(value, set):
            return dict.fromkeys(value, 1.0)
        if not isinstance(value, Zset):
            raise Wrong("WRONGTYPE")
        return value



def span(length: int, start: int, stop: int) -> tuple[int, int]:
    """Redis' inclusive range with negative indexes, as the bounds of a slice."""
    low = max(start + length, 0) if start < 0 else start
    high = stop + length if stop < 0 else stop
    return low, max(low, high + 1)
