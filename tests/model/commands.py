"""Strategies for commands that `Model` knows: few keys and members, so that they meet; sizes on both sides of every threshold."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.differential.wire import show_command


class Argv(tuple[bytes, ...]):
    """A command's words; one that is a thousand words long does not fill the screen."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = show_command(self[:8])
        return f"<{shown}>" if len(self) <= 8 else f"<{shown} ... {show_command(self[-1:])}, {len(self)} words>"


Words = tuple[bytes, ...]
Command = SearchStrategy[Argv]

KEYS = st.sampled_from([b"a", b"b", b"c", b"d"])
MEMBERS = st.one_of(
    st.integers(-3, 8).map(b"%d".__mod__),
    st.sampled_from([b"", b"x", b"\xff\x00\xfe", b"9223372036854775807", b"07"]),
    st.sampled_from([70, 1200]).map(b"x".__mul__),
)
INDEXES = st.one_of(st.integers(-6, 6), st.integers(-400, 400)).map(b"%d".__mod__)
COUNTS = st.one_of(st.integers(0, 3), st.sampled_from([50, 5000])).map(b"%d".__mod__)
SCORES = st.one_of(st.integers(-8, 8).map(lambda number: b"%g" % (number / 4)), st.sampled_from([b"1e+300", b"inf", b"100", b"900"]))
FINITE = st.integers(-8, 8).map(lambda number: b"%g" % (number / 4))
DATABASES = st.sampled_from([b"0", b"1"])
SPANS = st.sampled_from([b"1", b"5", b"100", b"1000000"])
TEXTS = st.one_of(
    st.integers(-100, 100).map(b"%d".__mod__),
    st.sampled_from([b"", b"text", b"\x00\xff", b"0" * 40]),
    st.sampled_from([400, 7000]).map(b"0123456789".__mul__),
)
OFFSETS = st.one_of(st.integers(0, 20), st.integers(65_500, 65_600), st.sampled_from([16_383, 16_384, 81_920, 140_000])).map(b"%d".__mod__)


def call(name: str, *parts: SearchStrategy[bytes] | SearchStrategy[Words] | bytes) -> Command:
    """A command whose arguments are drawn from strategies of words or of lists of words."""
    drawn = [st.just(part) if isinstance(part, bytes) else part for part in parts]
    return st.tuples(*drawn).map(lambda words: Argv((name.encode(), *_flat(words))))


def _flat(words: tuple[bytes | Words, ...]) -> Words:
    return tuple(one for word in words for one in ((word,) if isinstance(word, bytes) else word))


def few(words: SearchStrategy[bytes]) -> SearchStrategy[Words]:
    return st.lists(words, min_size=1, max_size=4).map(tuple)


def many(word: Callable[[int], Words], most: int) -> SearchStrategy[Words]:
    """A row of members, enough to make a small object large or a large one nearly empty."""
    starts, sizes = st.sampled_from([0, 0, 100, most // 2]), st.sampled_from([20, 130, most])
    return st.tuples(starts, sizes).map(lambda row: tuple(part for number in range(row[0], row[0] + row[1]) for part in word(number)))


def pairs(first: SearchStrategy[bytes], second: SearchStrategy[bytes]) -> SearchStrategy[Words]:
    return st.lists(st.tuples(first, second), min_size=1, max_size=4).map(lambda found: tuple(part for pair in found for part in pair))


def options(*words: bytes) -> SearchStrategy[Words]:
    """At most one of the options."""
    return st.sampled_from([(), *((word,) for word in words)])


STRINGS = st.one_of(
    call("SET", KEYS, TEXTS, options(b"NX", b"XX", b"KEEPTTL")),
    call("SET", KEYS, TEXTS, b"PX", SPANS),
    call("GET", KEYS),
    call("GETDEL", KEYS),
    call("APPEND", KEYS, TEXTS),
    call("SETRANGE", KEYS, OFFSETS, st.sampled_from([0, 1, 100, 36_000]).map(b"p".__mul__)),
    call("GETRANGE", KEYS, INDEXES, INDEXES),
    call("GETRANGE", KEYS, OFFSETS, OFFSETS),
    call("STRLEN", KEYS),
    call("INCRBY", KEYS, st.integers(-9, 9).map(b"%d".__mod__)),
    call("SETBIT", KEYS, OFFSETS, st.sampled_from([b"0", b"1"])),
    call("SETBIT", KEYS, st.integers(0, 900_000).map(b"%d".__mod__), b"1"),
    call("BITCOUNT", KEYS),
)
HASHES = st.one_of(
    call("HSET", KEYS, pairs(MEMBERS, MEMBERS)),
    call("HSET", KEYS, many(lambda number: (b"m%d" % number, b"v%d" % number), 700)),
    call("HDEL", KEYS, few(MEMBERS)),
    call("HDEL", KEYS, many(lambda number: (b"m%d" % number,), 700)),
    call("HGET", KEYS, MEMBERS),
    call("HMGET", KEYS, few(MEMBERS)),
    call("HGETALL", KEYS),
    call("HLEN", KEYS),
    call("HINCRBY", KEYS, MEMBERS, st.sampled_from([b"1", b"-7"])),
)
LISTS = st.one_of(
    call("RPUSH", KEYS, few(MEMBERS)),
    call("LPUSH", KEYS, few(MEMBERS)),
    call("RPUSH", KEYS, many(lambda number: (b"m%d" % number,), 400)),
    call("LPUSH", KEYS, many(lambda number: (b"m%d" % number,), 400)),
    call("LPOP", KEYS, COUNTS),
    call("RPOP", KEYS, COUNTS),
    call("LLEN", KEYS),
    call("LRANGE", KEYS, INDEXES, INDEXES),
    call("LINDEX", KEYS, INDEXES),
    call("LSET", KEYS, INDEXES, MEMBERS),
    call("LINSERT", KEYS, st.sampled_from([b"BEFORE", b"AFTER"]), st.one_of(MEMBERS, st.sampled_from([b"m0", b"m60", b"m399"])), MEMBERS),
    call("LREM", KEYS, st.sampled_from([b"0", b"1", b"-2"]), st.one_of(MEMBERS, st.sampled_from([b"m0", b"m60", b"m399"]))),
    call("LTRIM", KEYS, INDEXES, INDEXES),
    call("LMOVE", KEYS, KEYS, st.sampled_from([b"LEFT", b"RIGHT"]), st.sampled_from([b"LEFT", b"RIGHT"])),
)
SETS = st.one_of(
    call("SADD", KEYS, few(MEMBERS)),
    call("SADD", KEYS, many(lambda number: (b"m%d" % number,), 700)),
    call("SADD", KEYS, many(lambda number: (b"%d" % number,), 700)),
    call("SREM", KEYS, few(MEMBERS)),
    call("SREM", KEYS, many(lambda number: (b"m%d" % number,), 700)),
    call("SMEMBERS", KEYS),
    call("SCARD", KEYS),
    call("SMISMEMBER", KEYS, few(MEMBERS)),
    call("SPOP", KEYS, COUNTS),
    call("SMOVE", KEYS, KEYS, MEMBERS),
    call("SINTERSTORE", KEYS, few(KEYS)),
    call("SUNIONSTORE", KEYS, few(KEYS)),
    call("SDIFFSTORE", KEYS, few(KEYS)),
)
ZSETS = st.one_of(
    call("ZADD", KEYS, options(b"NX", b"XX", b"GT", b"LT", b"CH"), pairs(SCORES, MEMBERS)),
    call("ZADD", KEYS, many(lambda number: (b"%d" % (number * 7 % 501), b"m%d" % number), 1500)),
    call("ZREM", KEYS, few(MEMBERS)),
    call("ZREM", KEYS, many(lambda number: (b"m%d" % number,), 1500)),
    call("ZINCRBY", KEYS, FINITE, MEMBERS),
    call("ZSCORE", KEYS, MEMBERS),
    call("ZCARD", KEYS),
    call("ZRANK", KEYS, MEMBERS),
    call("ZRANGE", KEYS, INDEXES, INDEXES, options(b"REV"), b"WITHSCORES"),
    call("ZRANGEBYSCORE", KEYS, SCORES, SCORES),
    call("ZCOUNT", KEYS, SCORES, SCORES),
    call("ZPOPMIN", KEYS, COUNTS),
    call("ZPOPMAX", KEYS, COUNTS),
    call("ZREMRANGEBYRANK", KEYS, INDEXES, INDEXES),
    call("ZREMRANGEBYSCORE", KEYS, SCORES, SCORES),
    st.lists(KEYS, min_size=1, max_size=3).flatmap(
        lambda keys: call("ZUNIONSTORE", KEYS, b"%d" % len(keys), st.just(tuple(keys)))
    ),
    st.lists(KEYS, min_size=1, max_size=3).flatmap(lambda keys: call("ZDIFFSTORE", KEYS, b"%d" % len(keys), st.just(tuple(keys)))),
)
TIMES = st.integers(1, 12)
IDS = st.one_of(TIMES.map(b"%d-0".__mod__), TIMES.map(b"%d-1".__mod__))
GROUP_NAMES = (b"g", b"h")
GROUPS = st.sampled_from(GROUP_NAMES)
MODES = st.sampled_from([b"SILENT", b"FAIL", b"FATAL"])
CONSUMERS = st.sampled_from([b"ann", b"bob"])
SEVERAL = st.sampled_from([b"1", b"2", b"5", b"100"])
NEW = call("XADD", KEYS, st.one_of(st.integers(1, 40).map(b"%d-*".__mod__), IDS), pairs(MEMBERS, MEMBERS))
READ = call("XREADGROUP", b"GROUP", GROUPS, CONSUMERS, b"COUNT", SEVERAL, b"STREAMS", KEYS, st.sampled_from([b">", b">", b"0", b"3-0"]))
STREAMS = st.one_of(
    NEW,
    NEW,
    READ,
    READ,
    call("XLEN", KEYS),
    call("XRANGE", KEYS, st.one_of(st.just(b"-"), IDS), st.one_of(st.just(b"+"), IDS)),
    call("XREVRANGE", KEYS, b"+", IDS),
    call("XDEL", KEYS, few(IDS)),
    call("XTRIM", KEYS, b"MAXLEN", COUNTS),
    call("XGROUP", b"CREATE", KEYS, GROUPS, st.one_of(st.just(b"$"), IDS, st.just(b"0")), b"MKSTREAM"),
    call("XGROUP", b"CREATE", KEYS, GROUPS, b"0", b"MKSTREAM"),
    call("XGROUP", b"SETID", KEYS, GROUPS, IDS),
    call("XGROUP", b"DESTROY", KEYS, GROUPS),
    call("XGROUP", b"DELCONSUMER", KEYS, GROUPS, CONSUMERS),
    call("XACK", KEYS, GROUPS, few(IDS)),
    call("XCLAIM", KEYS, GROUPS, CONSUMERS, SPANS, few(IDS), options(b"FORCE")),
    call("XAUTOCLAIM", KEYS, GROUPS, CONSUMERS, SPANS, IDS, b"COUNT", SEVERAL),
    call("XPENDING", KEYS, GROUPS, b"-", b"+", b"1000"),
    call("XNACK", KEYS, GROUPS, MODES, b"IDS", b"2", IDS, IDS, options(b"FORCE")),
)
WHOLE_KEYS = st.one_of(
    call("DEL", few(KEYS)),
    call("EXISTS", few(KEYS)),
    call("TYPE", KEYS),
    call("PEXPIRE", KEYS, st.one_of(SPANS, st.just(b"-1"))),
    call("PERSIST", KEYS),
    call("PTTL", KEYS),
    call("RENAME", KEYS, KEYS),
    call("RENAMENX", KEYS, KEYS),
    call("COPY", KEYS, KEYS, b"DB", DATABASES, options(b"REPLACE")),
    call("MOVE", KEYS, DATABASES),
    call("SELECT", DATABASES),
    call("KEYS", b"*"),
)
WHOLE_DATABASES = st.one_of(call("SWAPDB", DATABASES, DATABASES), call("FLUSHDB"), call("FLUSHALL"))
