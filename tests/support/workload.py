"""Random commands whose effects are determined: the same ones on two stores leave the same contents."""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

from diskkv.scripting import libraries
from tests.support.newer_work import NEWER

Command = tuple[Any, ...]

DATABASES = 3
LARGE = 70_000


class Workload:
    """Makes commands over a few keys, so that they meet: all types, small and large, expiries, whole databases."""

    KINDS = ("string", "list", "hash", "set", "zset", "stream", "key", "database", *NEWER)
    # Commands of a kind like some keys more than others, so that they find something that they can change.
    HOMES: ClassVar = {
        "string": 0,
        "sketch": 0,
        "list": 1,
        "hash": 2,
        "expiring": 2,
        "set": 3,
        "zset": 4,
        "place": 4,
        "stream": 5,
        "group": 5,
    }

    def __init__(self, random: Random) -> None:
        # Whatever loading a library takes on a busy machine: what one store does is to be what another does.
        libraries.LOAD_TIMEOUT = -1
        self.random = random
        self.entries = 0
        self.home: int | None = None

    def key(self) -> str:
        if self.home is not None and self.random.random() < 0.5:
            return f"k{self.home}"
        return f"k{self.random.randrange(8)}"

    def tick(self) -> list[Command]:
        """The commands of one tick: one, or MULTI to EXEC."""
        if self.random.random() < 0.15:
            return [("MULTI",), *(self.command() for _ in range(self.random.randrange(1, 5))), ("EXEC",)]
        return [self.command()]

    def command(self) -> Command:
        kind = self.random.choice(self.KINDS)
        if kind == "database" and self.random.random() < 0.6:
            kind = "key"
        self.home = self.HOMES.get(kind)
        newer = NEWER.get(kind)
        made: Command = newer(self) if newer is not None else getattr(self, f"_{kind}")()
        return made

    def _string(self) -> Command:
        random = self.random
        match random.randrange(9):
            case 0:
                return "SET", self.key(), random.randrange(1000)
            case 1:
                return "SET", self.key(), random.randrange(1000), "PX", random.randrange(1, 3000)
            case 2:
                return "SETRANGE", self.key(), random.randrange(LARGE, LARGE + 50_000), b"x" * random.randrange(1, 40_000)
            case 3:
                return "APPEND", self.key(), str(random.randrange(100)) * random.choice((1, 3, 9000))
            case 4:
                return "INCRBY", self.key(), random.randrange(100)
            case 5:
                return "SETBIT", self.key(), random.randrange(8 * LARGE), random.randrange(2)
            case 6:
                return "GETDEL", self.key()
            case 7:
                return "GETEX", self.key(), "PX", random.randrange(1, 3000)
        return "SET", self.key(), random.randrange(1000), "KEEPTTL"

    def _members(self, most: int = 200) -> list[int]:
        count = self.random.choice((1, 3, most))
        return [self.random.randrange(300) for _ in range(count)]

    def _hash(self) -> Command:
        match self.random.randrange(4):
            case 0:
                return "HDEL", self.key(), *self._members()
            case 1:
                return "HINCRBY", self.key(), self.random.randrange(300), 3
        pairs = [(field, field * self.random.randrange(9)) for field in self._members()]
        return "HSET", self.key(), *(word for pair in pairs for word in pair)

    def _set(self) -> Command:
        match self.random.randrange(4):
            case 0:
                return "SREM", self.key(), *self._members()
            case 1:
                return "SUNIONSTORE", self.key(), self.key(), self.key()
        return "SADD", self.key(), *self._members()

    def _zset(self) -> Command:
        match self.random.randrange(5):
            case 0:
                return "ZREM", self.key(), *self._members()
            case 1:
                return "ZINCRBY", self.key(), self.random.randrange(-9, 9), self.random.randrange(300)
            case 2:
                return "ZPOPMIN", self.key(), self.random.randrange(1, 90)
        pairs = [(self.random.randrange(50), member) for member in self._members()]
        return "ZADD", self.key(), *(word for pair in pairs for word in pair)

    def _list(self) -> Command:
        match self.random.randrange(6):
            case 0:
                return "LPOP", self.key(), self.random.randrange(1, 90)
            case 1:
                return "RPOP", self.key(), self.random.randrange(1, 90)
            case 2:
                return "LSET", self.key(), self.random.randrange(100), "set"
            case 3:
                return "LREM", self.key(), self.random.randrange(-3, 4), self.random.randrange(300)
            case 4:
                return "LINSERT", self.key(), "BEFORE", self.random.randrange(300), "new"
        return self.random.choice(("LPUSH", "RPUSH")), self.key(), *self._members()

    def _stream(self) -> Command:
        random = self.random
        low = max(1, self.entries - 60)
        some = [random.randrange(low, self.entries + 2) for _ in range(random.choice((1, 20)))]
        group, consumer = f"g{random.randrange(2)}", f"c{random.randrange(3)}"
        match random.randrange(16):
            case 0:
                return "XDEL", self.key(), *some
            case 1:
                return "XTRIM", self.key(), "MAXLEN", random.randrange(6)
            case 2:
                return "XSETID", self.key(), self.entries + random.randrange(-9, 3)
            case 3 | 4:
                return "XGROUP", "CREATE", self.key(), group, low, "MKSTREAM"
            case 5 | 6:
                count = random.choice((1, 3, 30))
                return "XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", self.key(), random.choice((">", ">", 0))
            case 7 | 8:
                return "XACK", self.key(), group, *some
            case 9:
                return "XCLAIM", self.key(), group, consumer, 0, *some, *random.choice(((), ("FORCE",), ("JUSTID", "LASTID", low)))
            case 10:
                return "XAUTOCLAIM", self.key(), group, consumer, random.choice((0, 1000)), 0, "COUNT", random.choice((1, 20))
            case 11:
                sub = random.choice(("DESTROY", "DELCONSUMER"))
                return "XGROUP", sub, self.key(), group, *((consumer,) if sub == "DELCONSUMER" else ())
        self.entries += 1
        content = str(random.randrange(100)) * random.choice((1, 3, 1500))
        return "XADD", self.key(), *random.choice(((), (), ("MAXLEN", "~", 9))), f"{self.entries}-*", "field", content

    def _key(self) -> Command:
        random = self.random
        match random.randrange(8):
            case 0:
                return "RENAME", self.key(), self.key()
            case 1:
                return "COPY", self.key(), self.key(), "DB", random.randrange(DATABASES), "REPLACE"
            case 2:
                return "MOVE", self.key(), random.randrange(DATABASES)
            case 3:
                return "PEXPIRE", self.key(), random.randrange(-5, 3000)
            case 4:
                return "PERSIST", self.key()
            case 5:
                return "EXISTS", self.key(), self.key()
            case 6:
                return "RENAMENX", self.key(), self.key()
        return "DEL", self.key(), self.key()

    def _database(self) -> Command:
        random = self.random
        match random.randrange(6):
            case 0:
                return ("FLUSHDB",)
            case 1:
                return ("FLUSHALL",)
            case 2 | 3:
                return "SWAPDB", random.randrange(DATABASES), random.randrange(DATABASES)
        return "SELECT", random.randrange(DATABASES)
