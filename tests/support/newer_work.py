"""Random commands of the kinds of data that came after the first six: a function for each kind, which `Workload` draws from."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any, Protocol

Command = tuple[Any, ...]

# Where a `ManualClock` begins.
BEGUN = 1_700_000_000_000
TYPES = (b"string", b"list", b"hash", b"set", b"zset", b"stream", b"timed hash", b"array")

SEVERAL = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HPEXPIRE', KEYS[1], ARGV[3], 'FIELDS', 1, ARGV[1])
redis.call('PFADD', KEYS[2], ARGV[1])
redis.pcall('LPUSH', KEYS[1], 1)
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
return redis.call('INCRBY', KEYS[3], 5)
"""
HALF = "redis.call('SET', KEYS[1], ARGV[1]); redis.call('SELECT', 1); redis.call('RPUSH', KEYS[2], ARGV[1], 7); return redis.call('NONE')"
SPREAD = "for number = 1, 40 do redis.call('SADD', KEYS[1], number); redis.call('XADD', KEYS[2], '*', 'f', number) end"
SCRIPTS = (SEVERAL, HALF, SPREAD)
LIBRARY = """#!lua name={0}
redis.register_function('{0}_{1}', function(keys, args)
    redis.call('HINCRBY', keys[1], {1}, 1)
    return redis.call('ZADD', keys[2], {1}, args[1])
end)
"""


class Draw(Protocol):
    """What the functions need of a workload."""

    random: Random
    entries: int

    def key(self) -> str: ...


def expiring(work: Draw) -> Command:
    """Hashes of which fields expire."""
    random = work.random
    fields: list[Any] = sorted({random.randrange(300) for _ in range(random.choice((1, 1, 3, 200)))})
    named = ("FIELDS", len(fields), *fields)
    time: tuple[Any, ...] = ("PX", random.choice((0, 1, 5, 300, 3000, 100_000)))
    pairs = ("FIELDS", len(fields), *(word for field in fields for word in (field, field * random.randrange(9))))
    match random.randrange(14):
        case 0 | 1 | 2:
            condition = random.choice(((), (), ("NX",), ("XX",), ("GT",), ("LT",)))
            return "HPEXPIRE", work.key(), random.choice((0, 1, 400, 400, 3000, 90_000)), *condition, *named
        case 3:
            return "HEXPIREAT", work.key(), BEGUN // 1000 + random.randrange(30), *named
        case 4 | 5:
            return (
                "HSETEX",
                work.key(),
                *random.choice(((), (), ("FNX",), ("FXX",))),
                *random.choice((time, time, ("KEEPTTL",), ())),
                *pairs,
            )
        case 6:
            return "HGETDEL", work.key(), *named
        case 7:
            return "HPERSIST", work.key(), *named
        case 8:
            return "HGETEX", work.key(), *random.choice((time, ("PERSIST",), ())), *named
        case 9:
            return "HINCRBYFLOAT", work.key(), fields[0], "0.5"
        case 10:
            return "HPTTL", work.key(), *named
        case 11:
            return "HDEL", work.key(), *fields
        case 12:
            return "HSET", work.key(), *pairs[2:]
    return "HGETALL", work.key()


def group(work: Draw) -> Command:
    """Consumer groups, and entries that go with their references."""
    random = work.random
    low = max(1, work.entries - 40)
    some = [random.randrange(low, work.entries + 2) for _ in range(random.choice((1, 10)))]
    name, consumer = f"g{random.randrange(2)}", f"c{random.randrange(3)}"
    references = random.choice(((), ("KEEPREF",), ("DELREF",), ("ACKED",)))
    match random.randrange(18):
        case 12:
            return "XADD", work.key(), *random.choice((("IDMP", consumer, random.randrange(9)), ("IDMPAUTO", consumer))), "*", "f", low % 5
        case 13 | 14:
            return "XIDMPRECORD", work.key(), consumer, random.randrange(99), f"{some[0]}-{random.randrange(1, 3)}"
        case 15:
            return "XCFGSET", work.key(), "IDMP-MAXSIZE", random.choice((2, 2, 3)), "IDMP-DURATION", 86_400
        case 10 | 11:
            mode = random.choice(("SILENT", "FAIL", "FATAL"))
            options = random.choice(((), ("FORCE",), ("RETRYCOUNT", 3, "FORCE")))
            return "XNACK", work.key(), name, mode, "IDS", len(some), *some, *options
        case 0:
            return "XDELEX", work.key(), *references, "IDS", len(some), *some
        case 1:
            return "XACKDEL", work.key(), name, *references, "IDS", len(some), *some
        case 2:
            return "XGROUP", "CREATECONSUMER", work.key(), name, consumer
        case 3:
            entries = random.choice((("ENTRIESREAD", random.randrange(9)), ()))
            return "XGROUP", "SETID", work.key(), name, random.choice((low, "$", 0)), *entries
        case 4:
            return "XTRIM", work.key(), "MINID", random.choice(("~", "=")), low, *references
        case 5:
            options = random.choice((("IDLE", 50), ("TIME", BEGUN + random.randrange(999)), ("RETRYCOUNT", 7), ("FORCE", "JUSTID")))
            return "XCLAIM", work.key(), name, consumer, random.choice((0, 200)), *some, *options
        case 6:
            just = random.choice(((), ("JUSTID",)))
            return "XAUTOCLAIM", work.key(), name, consumer, random.choice((0, 500)), random.choice(("-", low)), "COUNT", 5, *just
        case 7:
            options = random.choice(((), ("NOACK",), ("CLAIM", random.choice((0, 60)))))
            limits = random.choice((("COUNT", 7), ("MAXCOUNT", random.randrange(1, 9)), ("COUNT", 5, "MAXSIZE", random.randrange(1, 300))))
            return "XREADGROUP", "GROUP", name, consumer, *options, *limits, "STREAMS", work.key(), random.choice((">", ">", 0))
        case 8:
            return "XPENDING", work.key(), name, "IDLE", random.choice((0, 300)), "-", "+", 20
        case 9:
            return "XGROUP", "CREATE", work.key(), name, random.choice((0, "$")), "MKSTREAM", "ENTRIESREAD", random.randrange(5)
    work.entries += 1
    return "XADD", work.key(), *references, "MAXLEN", random.choice((0, 3, 60, 60)), f"{work.entries}-{random.randrange(1, 9)}", "f", "v"


def sketch(work: Draw) -> Command:
    """HyperLogLogs, bit fields, numbers within bounds, several strings at once."""
    random = work.random
    match random.randrange(12):
        case 0 | 1:
            return "PFADD", work.key(), *(random.randrange(9000) for _ in range(random.choice((0, 1, 20, 1500))))
        case 2:
            return "PFMERGE", work.key(), work.key(), work.key()
        case 3 | 4:
            # Writes what it has counted into the key.
            return "PFCOUNT", work.key(), *random.choice(((), (work.key(),)))
        case 5 | 6:
            width = random.choice(("u8", "i16", "u63"))
            overflow = random.choice(("WRAP", "SAT", "FAIL"))
            place = random.choice((f"#{random.randrange(60)}", random.randrange(600_000)))
            changes = ("SET", width, place, random.randrange(300), "INCRBY", width, place, random.randrange(-99, 99))
            return "BITFIELD", work.key(), "OVERFLOW", overflow, *changes, "GET", "u4", 0
        case 7:
            return "BITOP", random.choice(("AND", "OR", "XOR")), work.key(), work.key(), work.key()
        case 8:
            when = random.choice((("PX", random.randrange(1, 2000)), ("KEEPTTL",), ()))
            return "MSETEX", 2, work.key(), 1, work.key(), "x" * random.choice((2, 30_000)), *random.choice(((), ("NX",), ("XX",))), *when
        case 9:
            bounds = random.choice((("UBOUND", 50, "SATURATE"), ("LBOUND", 5), ()))
            when = random.choice((("PX", random.randrange(1, 900)), ("PERSIST",), ()))
            return "INCREX", work.key(), "BYINT", random.randrange(9), *bounds, *when
        case 10:
            return "DELEX", work.key(), "IFEQ", 5
    return "SET", work.key(), random.randrange(99), "IFEQ", random.randrange(99), "GET"


def place(work: Draw) -> Command:
    """Geo sets, and what is made of other keys."""
    random = work.random
    match random.randrange(11):
        case 0 | 1 | 2:
            places = [
                (random.randrange(-179, 180), random.randrange(-80, 80), f"p{random.randrange(300)}") for _ in range(random.choice((1, 90)))
            ]
            return "GEOADD", work.key(), *random.choice(((), ("NX",), ("XX",))), *(word for each in places for word in each)
        case 3:
            order = random.choice(("ASC", "DESC"))
            dist = random.choice(((), ("STOREDIST",)))
            area = ("FROMLONLAT", 10, 20, "BYRADIUS", random.choice((10, 5000, 1e6)), "km")
            return "GEOSEARCHSTORE", work.key(), work.key(), *area, order, *dist
        case 4:
            return "LMOVE", work.key(), work.key(), random.choice(("LEFT", "RIGHT")), random.choice(("LEFT", "RIGHT"))
        case 5 | 6:
            how = (random.choice(("COUNT", "EXACTLY")), random.choice((1, 5, 150)), random.choice(("OBO", "BULK")))
            return "LMOVEM", work.key(), work.key(), random.choice(("LEFT", "RIGHT")), random.choice(("LEFT", "RIGHT")), *how
        case 7:
            return "ZRANGESTORE", work.key(), work.key(), random.randrange(-9, 9), -1
        case 8:
            return random.choice(("ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE")), work.key(), 2, work.key(), work.key()
        case 9:
            return "SORT", work.key(), "BY", "nosort", "ALPHA", "STORE", work.key()
    return "LTRIM", work.key(), random.randrange(5), random.choice((-1, 100))


def program(work: Draw) -> Command:
    """Scripts with several effects, and functions."""
    random = work.random
    library = f"lib{random.randrange(3)}"
    match random.randrange(9):
        case 0 | 1:
            code = LIBRARY.format(library, random.randrange(3))
            return "FUNCTION", "LOAD", *random.choice((("REPLACE",), ("REPLACE",), ())), code
        case 2:
            return "FUNCTION", "DELETE", library
        case 3:
            return ("FUNCTION", "FLUSH") if random.random() < 0.4 else ("FUNCTION", "DUMP")
        case 4 | 5:
            return "FCALL", f"{library}_{random.randrange(3)}", 2, work.key(), work.key(), random.randrange(90)
    return (
        "EVAL",
        random.choice(SCRIPTS),
        3,
        work.key(),
        work.key(),
        work.key(),
        random.randrange(99),
        random.randrange(99),
        random.randrange(1, 900),
    )


def array(work: Draw) -> Command:
    """Arrays: near and far indexes, rings, ranges."""
    random = work.random
    index = random.choice((random.randrange(300), random.randrange(300), 1 << random.randrange(63), (1 << 64) - 2 - random.randrange(3)))
    values = [str(random.randrange(99)) * random.choice((1, 4, 400)) for _ in range(random.choice((1, 3, 150)))]
    match random.randrange(12):
        case 0:
            return "ARMSET", work.key(), index, values[0], random.randrange(9), values[-1]
        case 1 | 2:
            return "ARINSERT", work.key(), *values
        case 3 | 4:
            return "ARRING", work.key(), random.choice((3, 50, 200)), *values
        case 5:
            return "ARSEEK", work.key(), random.choice((0, 7, index))
        case 6:
            return "ARDEL", work.key(), index, *range(9)
        case 7:
            return "ARDELRANGE", work.key(), index, random.randrange(300)
        case 8:
            return "ARGREP", work.key(), "-", "+", "RE", "^[1-5]+$", "MATCH", "7", "AND", "LIMIT", 3
        case 9:
            return "AROP", work.key(), 0, index, random.choice(("SUM", "MAX", "XOR", "USED"))
    return "ARSET", work.key(), index % (1 << 63), *values


def payload(work: Draw) -> Command:
    """Values that come as a whole."""
    random = work.random
    found = random.choice(payloads())
    ttl = random.choice(((0,), (random.randrange(1, 900),), (BEGUN + random.randrange(9000), "ABSTTL")))
    return "RESTORE", work.key(), ttl[0], found, *random.choice((("REPLACE",), ("REPLACE",), ())), *ttl[1:]


@cache
def payloads() -> tuple[bytes, ...]:
    """Payloads of small and large values of all types."""
    from tests.support.runner import Runner

    run = Runner(":memory:")
    try:
        for count in (3, 900):
            numbers = range(count)
            run("SET", f"string{count}", "x" * count * 50)
            run("RPUSH", f"list{count}", *numbers)
            run("HSET", f"hash{count}", *(word for number in numbers for word in (number, number)))
            run("COPY", f"hash{count}", f"timed{count}")
            for number in numbers[:: 1 + count // 20]:
                run("HPEXPIREAT", f"timed{count}", BEGUN + 100 + 40 * number, "FIELDS", 1, number)
            run("SADD", f"set{count}", *numbers)
            run("ZADD", f"zset{count}", *(word for number in numbers for word in (number / 3, number)))
            for number in numbers[:200]:
                run("XADD", f"stream{count}", f"{number}-1", "field", number)
            run("XGROUP", "CREATE", f"stream{count}", "g0", 0)
            run("XREADGROUP", "GROUP", "g0", "c0", "COUNT", count // 2, "STREAMS", f"stream{count}", ">")
            run("PFADD", f"sketch{count}", *numbers)
            run("ARSET", f"array{count}", 7, *numbers)
            run("ARINSERT", f"array{count}", "first")
        return tuple(run("DUMP", key) for key in sorted(run("KEYS", "*")))
    finally:
        run.close()


NEWER: dict[str, Callable[[Draw], Command]] = {
    "expiring": expiring,
    "group": group,
    "sketch": sketch,
    "place": place,
    "program": program,
    "payload": payload,
    "array": array,
}
