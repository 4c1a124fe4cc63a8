"""One numbered database: from key to typed value, with time.

This is the sole judge of `absent`, `expired` and `wrong type`. `objects` holds what is resident, `Gone` among it for keys known to be
absent. Whatever is ahead of the engine is pinned there (`Store.dirty`, `Writer.frozen`), so that the engine is never asked for it, and
scans merge it in.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from diskkv.errors import Damaged, StoreError, WrongType
from diskkv.format import keys
from diskkv.format.meta import decode, is_simple
from diskkv.format.ordered import unpack_u64
from diskkv.store.quarantine import isolate
from diskkv.store.residents import SHIFT, Residents
from diskkv.store.value import TYPES, Gone, Value

if TYPE_CHECKING:
    from diskkv.store.events import Watcher
    from diskkv.store.store import Store

V = TypeVar("V", bound=Value)

QUARANTINED = "it was found to be damaged and is in quarantine; DEL or SET end that, and `diskkv repair` saves what is left of it"


class Database:
    """The keys of one database; `reset` says which. Every method requires the store's lock."""

    epoch: int
    prefix: bytes
    count: int
    expiring: int
    # What could not be read was taken for a key in `count`, and for one that does not expire in `expiring`: see `size`.
    doubtful: bool
    objects: Residents
    # those of `objects`, for whoever looks up often
    shards: list[dict[bytes, Value]]

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cache = store.cache
        self.watched: dict[bytes, list[Watcher]] = {}
        # how often keys that are in memory were used, while somebody counts (see `dispatch/frequencies.py`)
        self.uses: dict[bytes, tuple[int, int]]
        # whether anybody wants to hear of changed keys: watchers or the store's listener
        self.heeded = store.listener is not None
        # key -> whoever waits for it to come to exist, in order; kept by the dispatcher
        self.awaited: dict[bytes, dict[Any, None]] = {}

    def reset(self, epoch: int, count: int, expiring: int, *, doubtful: bool) -> None:
        """Become what the store's state says, nothing resident (undoing). Every watched key may have changed."""
        self.epoch = epoch
        self.prefix = keys.meta_prefix(epoch)
        self.count = count
        self.expiring = expiring
        self.doubtful = doubtful
        self._begin()
        for key in self.watched:
            self.alert(key)

    def _begin(self) -> None:
        """Nothing is resident."""
        self.objects = Residents()
        self.shards = self.objects.shards
        self.uses = {}

    # -- looking up

    def get(self, key: bytes, kind: type[V]) -> V | None:
        """The key's value for reading, or None when there is none. WrongType when it is of another type."""
        value: Any = self.shards[hash(key) >> SHIFT].get(key)
        if value.__class__ is kind and value.expire is None:
            if value.freq < 3:
                value.freq += 1
            value.seen = self.store.moment
            return value
        found: Any = self.find(key)
        if found is not None and found.__class__ is not kind and not isinstance(found, kind):
            raise WrongType
        return found

    def open(self, key: bytes, kind: type[V]) -> V:
        """The key's value for writing: the one there, or a fresh one that comes to exist with its first change."""
        value: Any = self.shards[hash(key) >> SHIFT].get(key)
        if value.__class__ is kind and value.expire is None:
            if value.freq < 3:
                value.freq += 1
            value.seen = self.store.moment
            return value
        found: Any = self.find(key, remember=False)
        if found is None:
            return kind(self, key)
        if found.__class__ is not kind and not isinstance(found, kind):
            raise WrongType
        return found

    def find(self, key: bytes, *, remember: bool = True) -> Value | None:
        """The key's value, whatever its type, or None. A miss is remembered unless the caller is about to create the key."""
        value = self.shards[hash(key) >> SHIFT].get(key)
        if value is None:
            value = self._load(key)
            if value is None:
                if remember:
                    if self.heeded:
                        self._missed(key)
                    gone = Gone(self, key)
                    self.objects[key] = gone
                    self.cache.insert(gone)
                return None
        if not value.tag:
            if value.__class__ is not Gone:
                raise Damaged(QUARANTINED)
            if remember and self.heeded:
                self._missed(key)
            return None
        if value.expire is not None and value.expire <= self.store.now and not self.store.replaying:
            self.store.expire(self, value)
            if remember and self.heeded:
                self._missed(key)
            return None
        if value.timed and self.store.expire_parts(self, value):
            return None
        if value.freq < 3:
            value.freq += 1
        value.seen = self.store.moment
        return value

    def may_exist(self, key: bytes) -> bool:
        """Whether the key has a value, as far as that can be read."""
        try:
            return self.find(key) is not None
        except StoreError:
            return True

    def glance(self, key: bytes) -> Value | None:
        """As `find`, but it does not count as a use (EXISTS, TYPE, TTL)."""
        held = self.objects.get(key)
        if held is None:
            return self.find(key)
        freq, seen = held.freq, held.seen
        found = self.find(key)
        held.freq, held.seen = freq, seen
        return found

    def peek(self, key: bytes) -> Value | None:
        """The key's value as it stands, even if it, or parts of it, should have expired. Does not count as a use."""
        value = self.objects.get(key)
        if value is None:
            value = self._load(key)
        return None if value.__class__ is Gone else value

    def _load(self, key: bytes) -> Value | None:
        raw = self._read(key)
        if raw is None:
            return None
        return self._admit(key, raw)

    def _read(self, key: bytes) -> bytes | None:
        """The key's meta record."""
        self.cache.misses += 1
        store = self.store
        return store.engine.get(self.prefix + key) if store.readahead is None else store.readahead.get(self.prefix, key, self.count)

    def _admit(self, key: bytes, raw: bytes) -> Value:
        """A meta record's value becomes resident."""
        value = self.decode(key, raw)
        self.objects[key] = value
        self.cache.insert(value)
        return value

    def decode(self, key: bytes, raw: bytes, *, spoiled: bool = False) -> Value:
        """The value that a meta record stands for, not linked. Damaged when it is none or, unless `spoiled`, known to be damaged."""
        meta = decode(raw)
        if meta.spoiled and not spoiled:
            raise Damaged(QUARANTINED)
        kind = TYPES.get(meta.tag)
        if kind is None:
            raise Damaged(f"key {key!r} has the unknown tag {meta.tag}")
        value = kind(self, key)
        value.expire = meta.expire
        value.saved = meta.wakes()
        if meta.oid:
            value.oid = meta.oid
            value.begin({})
        value.load(meta)
        return value

    # -- changing

    def link(self, value: Value) -> None:
        """A fresh value comes to exist. REQUIRES: the key was looked up and has no value."""
        key = value.key
        old = self.objects.get(key)
        if old is not None:
            self._supersede(old, value)
        self._place(value)
        self.count += 1
        if key in self.awaited:
            self.store.ready(self, key)

    def _supersede(self, old: Value, value: Value) -> None:
        """`value` will take the place of `old`: have the running checkpoint encode that first, and take over what is on disk."""
        self.store.writer.secure(old)
        value.saved = old.saved
        self.cache.forget(old)

    def _place(self, value: Value) -> None:
        self.cache.insert(value)
        self._enter(value)

    def _enter(self, value: Value) -> None:
        """Make a linked value its key's, and dirty."""
        if self.heeded:
            self._tell(value)
        self.objects[value.key] = value
        store = self.store
        value.stamp = store.stamp
        store.dirty.append(value)
        store.changes += 1
        if value.oid:
            store.large.append(value)

    def supplant(self, value: Value) -> None:
        """Put a value in the place of what there is of its key in memory. Counts stay as they are, and it is not dirty."""
        old = self.objects.get(value.key)
        if old is not None:
            self.cache.forget(old)
        self.cache.insert(value)
        self.objects[value.key] = value
        self.alert(value.key)

    def replace(self, key: bytes, kind: type[V]) -> V:
        """A linked value in place of whatever the key has (SET, the STORE commands): a fresh one, or the one there, if it can be `renewed`.
        It does not expire."""
        old: Any
        try:
            if self.shards[hash(key) >> SHIFT].get(key) is None:
                raw = self._read(key)
                if raw is None:
                    value = kind(self, key)
                    self.link(value)
                    return value
                if is_simple(raw, kind.tag) and not self.heeded and key not in self.awaited:
                    # Of what will be replaced nothing more is to be known: the new value takes over its record.
                    value = kind(self, key)
                    value.saved = 0
                    self._place(value)
                    return value
                self._admit(key, raw)
            old = self.find(key, remember=False)
        except Damaged as error:
            old = isolate(self, key, str(error))
        if old is None:
            value = kind(self, key)
            self.link(value)
            return value
        if old.__class__ is kind and old.renewed():
            return old
        value = kind(self, key)
        self._bury(old)
        self._supersede(old, value)
        self._place(value)
        return value

    def delete(self, key: bytes) -> bool:
        """Delete a key; False when there was none."""
        try:
            value = self.find(key)
        except Damaged as error:
            value = isolate(self, key, str(error))
        if value is None:
            return False
        self.remove(value)
        return True

    def remove(self, value: Value) -> None:
        """The value ceases to exist, at once whatever its size; its records and memory are freed little by little."""
        gone = Gone(self, value.key)
        self.uses.pop(value.key, None)
        self._bury(value)
        self._supersede(value, gone)
        self._place(gone)
        self.count -= 1

    def _bury(self, value: Value) -> None:
        self.store.writer.secure(value)
        if self.awaited:
            self._tell_of_end(value.key)
        if value.expire is not None:
            self.expiring -= 1
        self.store.bury(value)

    def _tell_of_end(self, key: bytes) -> None:
        """A value is no longer its key's: whoever waits for more to come in it may want to know."""
        if key in self.awaited:
            self.store.ready(self, key, ended=True)

    def set_expire(self, value: Value, when: int | None) -> None:
        """Make a value expire at `when` (ms), or never. The type's `touch` is called here."""
        value.touch()
        if value.expire is None:
            self.expiring += when is not None
        elif when is None:
            self.expiring -= 1
        value.expire = when
        if when is not None:
            self.store.expiry.add(when, self, value.key)

    def move(self, value: Value, target: Database, key: bytes) -> None:
        """Give a value another key or database (RENAME, MOVE), replacing what is there. It keeps its expiry and its records."""
        old = target.find(key, remember=False)
        if old is not None:
            target.remove(old)
        store = self.store
        store.writer.secure(value)
        if value.oid:
            # Else a FLUSHDB here before the next checkpoint would leave this record, and the reclaimer would take the object for dead.
            store.erased.append(self.prefix + value.key)
        if self.awaited:
            self._tell_of_end(value.key)
        if value.key in self.uses:
            target.uses[key] = self.uses.pop(value.key)
        gone = Gone(self, value.key)
        gone.saved = value.saved
        self._place(gone)
        self.count -= 1
        held = target.objects.get(key)
        value.saved = None
        if held is not None:
            target._supersede(held, value)
        value.resized(len(key) - len(value.key))
        value.db, value.key = target, key
        if value.expire is not None:
            self.expiring -= 1
            target.expiring += 1
            store.expiry.add(value.expire, target, key)
        if value.timed and (due := value.due()) is not None:
            store.expiry.add(due, target, key)
        target._enter(value)
        target.count += 1
        if key in target.awaited:
            self.store.ready(target, key)

    def flush(self) -> int:
        """Delete every key, at once; the number deleted."""
        store = self.store
        store.writer.encode_all()
        deleted = self.count
        for key in list(self.watched):
            if self.may_exist(key):
                self.alert(key)
        for key in self.awaited:
            self._tell_of_end(key)
        store.bury_database(self)
        self.epoch = store.new_epoch()
        self.prefix = keys.meta_prefix(self.epoch)
        self.count = self.expiring = 0
        self.doubtful = False
        self._begin()
        store.changes += max(deleted, 1)
        return deleted

    def signal(self, key: bytes) -> None:
        """A key may have changed: tell its watchers and the store's listener. REQUIRES: `heeded`, or it does nothing."""
        for watcher in self.watched.get(key, ()):
            watcher.touched = True
        if self.store.listener is not None:
            self.store.listener.touched(self, key)

    def alert(self, key: bytes) -> None:
        """Tell the watchers alone."""
        for watcher in self.watched.get(key, ()):
            watcher.touched = True

    def heed(self) -> None:
        """Recompute `heeded` after watchers or the listener have come or gone."""
        self.heeded = self.store.listener is not None or bool(self.watched)

    def _tell(self, value: Value) -> None:
        """A value, perhaps `Gone`, is about to become its key's."""
        key = value.key
        self.alert(key)
        listener = self.store.listener
        if listener is not None:
            old = self.objects.get(key)
            if value.__class__ is Gone:
                listener.removed(self, key)
            elif old is None or old.__class__ is Gone:
                listener.created(self, key)
            else:
                listener.touched(self, key)

    def _missed(self, key: bytes) -> None:
        if self.store.listener is not None:
            self.store.listener.missed(self, key)

    # -- for the cache

    def unload(self, key: bytes) -> None:
        """Reading the key's value has failed somewhere: if the engine has all of it, forget what is in memory, which may be half of it."""
        value = self.objects.get(key)
        if value is not None and value.stamp < self.cache.pinned_from:
            self.cache.forget(value)
            self.dropped(value)

    def dropped(self, value: Value) -> None:
        """The cache has evicted a value."""
        shard = self.shards[hash(value.key) >> SHIFT]
        if shard.get(value.key) is value:
            del shard[value.key]
            self.uses.pop(value.key, None)

    # -- walking

    def scan(self, start: bytes = b"", stop: bytes | None = None, gone: list[bytes] | None = None) -> Iterator[bytes]:
        """The existing keys with start <= key < stop in order, as of now. REQUIRES: nothing is changed meanwhile.

        Keys met on the way that have expired, or ceased to exist a moment ago, are put into `gone` if it is given.
        """
        width = len(self.prefix)
        upper = self.prefix + stop if stop is not None else keys.after(self.prefix)
        stored = (raw[width:] for raw in self.store.engine.scan_keys(self.prefix + start, upper))
        last = None
        newborn = self._newborn(start, stop)
        for key in heapq.merge(stored, newborn) if newborn else stored:
            if key != last and self.exists_now(key):
                yield key
            elif gone is not None and key != last:
                gone.append(key)
            last = key

    def _newborn(self, start: bytes, stop: bytes | None) -> list[bytes]:
        """The keys in a range that may have no record in the engine yet, in order."""
        found = set()
        for values in (self.store.dirty, self.store.writer.frozen):
            for value in values:
                if value.db is self and value.linked and start <= value.key and (stop is None or value.key < stop):
                    found.add(value.key)
        return sorted(found)

    def size(self) -> int:
        """How many keys there are, with those that have expired and were not yet deleted (DBSIZE). Counts them anew when there is doubt;
        Damaged when that can't be done."""
        if self.doubtful:
            self._recount()
        return self.count

    def _recount(self) -> None:
        count = expiring = 0
        width = len(self.prefix)
        for raw, record in self.store.engine.scan(self.prefix, keys.after(self.prefix)):
            if raw[width:] not in self.objects:
                count += 1
                expiring += record[1] & 1
        for value in self.objects.values():
            if value.__class__ is not Gone:
                count += 1
                expiring += value.expire is not None
        self.count, self.expiring, self.doubtful = count, expiring, False

    def exists_now(self, key: bytes) -> bool:
        """Whether a key that has been met in a scan exists and has not expired; loads nothing."""
        value = self.objects.get(key)
        if value is not None:
            if value.timed and value.over(self.store.now) and not self.store.replaying:
                return False
            return value.__class__ is not Gone and (value.expire is None or value.expire > self.store.now or self.store.replaying)
        if not self.expiring:
            return True
        raw = self.store.engine.get(self.prefix + key)
        if raw is None:
            return False
        return not raw[1] & 1 or unpack_u64(raw, 2) > self.store.now

    def peek_tag(self, key: bytes) -> int:
        """The type's tag of an existing key, without making it resident; 0 when there is none."""
        value = self.objects.get(key)
        if value is not None:
            return value.tag
        raw = self.store.engine.get(self.prefix + key)
        return raw[0] if raw else 0

    def random_key(self) -> bytes | None:
        """A random existing key (RANDOMKEY): of the resident ones or, in proportion to what is not, from a random place on disk."""
        for _ in range(100):
            if not self.count:
                return None
            key = self._draw()
            if key is not None and self.find(key) is not None:
                return key
        return next(self.scan(), None)

    def _draw(self) -> bytes | None:
        rng = self.store.random
        newborn = [value.key for value in self.store.dirty if value.db is self and value.saved is None and value.linked]
        if newborn and rng.random() * self.count < len(newborn):
            return rng.choice(newborn)
        low, high = self.prefix, keys.after(self.prefix)
        engine = self.store.engine
        total = engine.approximate_size(low, high)
        if not total:
            return _pick(self.objects, rng)
        want = rng.random() * total
        place = low
        # Find the key at a random byte of the range: each round fixes one more byte of the key.
        for _ in range(12):
            first, last = 0, 256
            while last - first > 1:
                middle = (first + last) // 2
                if engine.approximate_size(low, place + bytes((middle,))) <= want:
                    first = middle
                else:
                    last = middle
            place += bytes((first,))
            if engine.approximate_size(place, keys.after(place)) <= 8192 and len(place) > len(low):
                break
        found = []
        for raw in engine.scan_keys(place, high):
            found.append(raw)
            if len(found) == 64:
                break
        if not found:
            return _pick(self.objects, rng)
        return rng.choice(found)[len(low) :]


def _pick(objects: Residents, rng: random.Random) -> bytes | None:
    """A random resident key. A dict keeps its order but not the ranks, so walk to a random place in a random one."""
    shards = [shard for shard in objects.shards if shard]
    if not shards:
        return None
    [shard] = rng.choices(shards, [len(shard) for shard in shards])
    return next(itertools.islice(shard, rng.randrange(min(len(shard), 4096)), None))
