"""The commands that are compared with Redis, and the data that must be there before each.

Names and shapes are those of redis-benchmark's own tests: one collection with members from the random range, 100-byte values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from differential.wire import Connection, Lost, encode

KEYS = 100_000
VALUE = b"x" * 100
CHUNK = 100

Prepare = Callable[[int], Iterator[tuple[bytes, ...]]]


def nothing(requests: int) -> Iterator[tuple[bytes, ...]]:
    yield from ()


def strings(requests: int) -> Iterator[tuple[bytes, ...]]:
    for start in range(0, KEYS, CHUNK):
        yield (b"MSET", *(word for number in range(start, start + CHUNK) for word in (b"key:%012d" % number, VALUE)))


def counters(requests: int) -> Iterator[tuple[bytes, ...]]:
    for start in range(0, KEYS, CHUNK):
        yield (b"MSET", *(word for number in range(start, start + CHUNK) for word in (b"counter:%012d" % number, b"100")))


def fields(requests: int) -> Iterator[tuple[bytes, ...]]:
    for start in range(0, KEYS, CHUNK):
        yield (b"HSET", b"myhash", *(word for number in range(start, start + CHUNK) for word in (b"element:%012d" % number, VALUE)))


def elements(requests: int) -> Iterator[tuple[bytes, ...]]:
    """As many list elements as there will be pops."""
    for _ in range(0, max(requests, 1000), CHUNK):
        yield (b"LPUSH", b"mylist", *[VALUE] * CHUNK)


def members(requests: int) -> Iterator[tuple[bytes, ...]]:
    """As many set members as there will be pops."""
    for start in range(0, max(requests, KEYS), CHUNK):
        yield (b"SADD", b"myset", *(b"element:%012d" % number for number in range(start, start + CHUNK)))


def scored(requests: int) -> Iterator[tuple[bytes, ...]]:
    for start in range(0, KEYS, CHUNK):
        pairs = ((b"%d" % (number * 7919 % KEYS), b"element:%012d" % number) for number in range(start, start + CHUNK))
        yield (b"ZADD", b"myzset", *(word for pair in pairs for word in pair))


@dataclass(frozen=True)
class Workload:
    name: str
    kind: str  # "read" or "write"
    prepare: Prepare
    command: tuple[bytes, ...]
    # Requests find less to do the more there were: everything is prepared anew for each round.
    uses_up: bool = False


_RANDOM = b"__rand_int__"
_ELEMENT = b"element:__rand_int__"
WORKLOADS = (
    Workload("GET", "read", strings, (b"GET", b"key:" + _RANDOM)),
    Workload("SET", "write", strings, (b"SET", b"key:" + _RANDOM, VALUE)),
    Workload("INCR", "write", counters, (b"INCR", b"counter:" + _RANDOM)),
    Workload("MSET10", "write", strings, (b"MSET", *((b"key:" + _RANDOM, VALUE) * 10))),
    Workload("HSET", "write", fields, (b"HSET", b"myhash", _ELEMENT, VALUE)),
    Workload("HGET", "read", fields, (b"HGET", b"myhash", _ELEMENT)),
    Workload("LPUSH", "write", nothing, (b"LPUSH", b"mylist", VALUE), uses_up=True),
    Workload("RPOP", "write", elements, (b"RPOP", b"mylist"), uses_up=True),
    Workload("SADD", "write", nothing, (b"SADD", b"myset", _ELEMENT), uses_up=True),
    Workload("SPOP", "write", members, (b"SPOP", b"myset"), uses_up=True),
    Workload("ZADD", "write", scored, (b"ZADD", b"myzset", _RANDOM, _ELEMENT)),
    Workload("ZRANGE", "read", scored, (b"ZRANGE", b"myzset", b"0", b"9")),
    Workload("LRANGE_100", "read", elements, (b"LRANGE", b"mylist", b"0", b"99")),
)


def fill(connection: Connection, commands: Iterator[tuple[bytes, ...]]) -> None:
    """Send commands, a few at a time, and insist that none fails."""
    sent = 0
    for argv in commands:
        connection.send(encode(argv))
        sent += 1
        if sent == 8:
            _take(connection, sent)
            sent = 0
    _take(connection, sent)


def _take(connection: Connection, count: int) -> None:
    for _ in range(count):
        reply = connection.read()
        if reply[0] == "-":
            raise Lost(f"while preparing data: {reply[1]!r}")
