"""What is dead, and whose memory is freed little by little."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from diskkv.clock import sleep
from diskkv.store.residents import Residents

if TYPE_CHECKING:
    from diskkv.store.store import Store
    from diskkv.store.value import Value


# How many dead values one round frees at most, if each is small: with one at a time, a client that replaced strings of 100 kB at full
# speed was 700 MB ahead of the keeper.
ROUND = 16
# With more bytes than this waiting, freeing goes on without rests: a client that makes large values and deletes them again would be ever
# further ahead otherwise (28 MB for each FLUSHALL of five values of 60,000 elements). With a small budget it is that part of the cache's.
PLENTY = 32 << 20
PART = 8
HASTE = 5
BREATH = 0.0005
# Who deletes faster than the keeper frees helps at the end of each tick, by so many pieces (5 ms) of which so many at a time; by as many as
# it takes when twice as much waits as may.
HELP = 25_000
HANDFUL = 1000


class Graveyard:
    """The dead in order; the keeper frees them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # with what each weighed when it died
        self._dead: deque[tuple[Value | DeadDatabase, int]] = deque()
        self.weight = 0
        self.freed = 0
        # somebody waits for it: the keeper is not to rest before all is free
        self.urgent = False
        # the store is being closed: what is still here goes with it
        self.ended = False

    def __len__(self) -> int:
        """How many are still to be freed."""
        return len(self._dead)

    def plenty(self) -> bool:
        """Whether so much waits that freeing it is urgent."""
        return self.weight > PLENTY or self.weight > self._store.cache.budget // PART

    @property
    def limit(self) -> int:
        """How many bytes may wait: more than what one object may have given up."""
        cache = self._store.cache
        return cache.share + cache.budget // PART

    def relieve(self) -> None:
        """A tick ends: free some if too much waits. REQUIRES: the store's lock."""
        limit = self.limit
        left = HELP
        # Those that died last, for the keeper is at the first.
        while self.weight > limit and len(self._dead) > 1 and (left > 0 or self.weight > 2 * limit):
            dead, weight = self._dead[-1]
            if isinstance(dead, DeadDatabase):
                return
            left -= HANDFUL
            if dead.shed(HANDFUL):
                self._dead.pop()
                self.weight -= weight
                self.freed += 1

    def add(self, dead: Value | DeadDatabase, weight: int = 0) -> None:
        """REQUIRES: the store's lock."""
        self._dead.append((dead, weight))
        self.weight += weight

    def work(self, steps: int) -> bool:
        """Free some, of each about `steps` pieces; whether there was anything to do. Called without the store's lock."""
        for done in range(ROUND):
            if not self._dead:
                return done > 0
            while not (free := self._dead[0][0].shed(HASTE * steps if self.plenty() else steps)):
                if self.ended:
                    return False
                if self.urgent or (self.weight > self.limit and len(self._dead) > 1):
                    continue
                if not self.plenty():
                    break
                # A longer rest than the work before it: with none, all others get the interpreter only once in 0.2 ms, for one system call.
                # It has to be done without when more waits than what one object may have given up.
                sleep(BREATH)
            if not free:
                break
            with self._store.lock:
                self.weight -= self._dead.popleft()[1]
            self.freed += 1
        return True

    def forget_databases(self) -> None:
        """The store is being read anew: what databases had is in no cache any more."""
        for dead, _ in list(self._dead):
            if isinstance(dead, DeadDatabase):
                dead.clear()


class DeadDatabase:
    """The resident objects of a flushed database, freed a few at a time."""

    def __init__(self, store: Store, objects: Residents) -> None:
        self._store = store
        self._objects = objects

    def clear(self) -> None:
        """Drop them all: the cache has forgotten them."""
        self._objects = Residents()

    def shed(self, count: int) -> bool:
        """Free about `count` of them; True when none are left."""
        with self._store.lock:
            cache = self._store.cache
            for _ in range(min(count, len(self._objects))):
                _, value = self._objects.popitem()
                if value.linked:
                    if value.oid:
                        # The cache's queues may go on naming it for long: what it holds has to go by itself.
                        self._store.graves.add(value, value.weight)
                    cache.forget(value)
        return not self._objects
