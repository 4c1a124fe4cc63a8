"""Calls, one after the other on an empty data set, whose results must be redis-py's with a server: value, types, errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

Call = Callable[[Any], Any]


def call(name: str, *args: Any, **options: Any) -> Call:
    def run(r: Any) -> Any:
        return getattr(r, name)(*args, **options)

    run.__name__ = f"{name} {args} {options}"
    return run


def unordered(name: str, *args: Any) -> Call:
    """A call whose result is a set, which some redis-py return as a list: of any order."""

    def run(r: Any) -> Any:
        found = getattr(r, name)(*args)
        return _sorted(found) if not inspect.isawaitable(found) else _sorted_later(found)

    run.__name__ = f"{name} {args}"
    return run


def _sorted(found: Any) -> Any:
    return type(found).__name__, sorted(found)


async def _sorted_later(found: Any) -> Any:
    return _sorted(await found)


STRINGS = [
    call("set", "a", 1),
    call("get", "a"),
    call("get", b"a"),
    call("get", "none"),
    call("set", "a", "x", nx=True),
    call("set", "a", 2.5, xx=True),
    call("set", "a", "new", get=True),
    call("set", "b", b"\xff\x00"),
    call("strlen", "b"),
    call("append", "a", "er"),
    call("get", "a"),
    call("set", "n", 10),
    call("incr", "n"),
    call("incr", "n", 5),
    call("incrby", "n", 2),
    call("decr", "n"),
    call("decrby", "n", 3),
    call("incrbyfloat", "n", 0.5),
    call("incr", "a"),
    call("incr", "n"),
    call("mset", {"x": 1, "y": "two"}),
    call("mget", "x", "y", "none"),
    call("mget", ["x", "y"]),
    call("mget", []),
    call("msetnx", {"x": 1, "z": 1}),
    call("msetnx", {"z": 1}),
    call("getrange", "a", 0, 1),
    call("setrange", "a", 1, "EE"),
    call("getset", "a", "z"),
    call("getdel", "a"),
    call("getdel", "a"),
    call("setnx", "a", 1),
    call("setnx", "a", 1),
    call("setex", "e", 100, "v"),
    call("psetex", "e", 100000, "v"),
    call("set", "e", 1, ex=timedelta(seconds=90)),
    call("ttl", "e"),
    call("getex", "e", persist=True),
    call("ttl", "e"),
    call("set", "e", "v", keepttl=True),
    call("set", 5, 6),
    call("get", 5),
    call("set", 1.5, 1),
    call("get", 1.5),
    call("set", "t", True),
    call("set", None, 1),
    call("get", None),
    call("set", "t", None),
    call("set", "t", bytearray(b"ba")),
    call("get", memoryview(b"t")),
    call("exists", "a"),
    call("exists", "a", "b", "none"),
    call("exists"),
    call("delete", "a", "none"),
    call("delete", "none"),
    call("delete"),
    call("unlink", "x"),
    call("type", "y"),
    call("type", "none"),
    call("get", "y"),
    call("lcs", "y", "b"),
    call("echo", "hi"),
    call("ping"),
    call("set", "ü", "ö"),
    call("get", "ü"),
    call("__getitem__", "y"),
    call("__getitem__", "none"),
    call("__contains__", "y"),
    call("__setitem__", "y", 3),
    call("__delitem__", "y"),
    call("setbit", "bits", 7, 1),
    call("getbit", "bits", 7),
    call("bitcount", "bits"),
    call("bitpos", "bits", 1),
    call("object", "encoding", "n"),
]

HASHES = [
    call("hset", "h", "f", 1),
    call("hset", "h", "f", 2),
    call("hset", "h", mapping={"g": 1.5, "i": b"x"}),
    call("hset", "h", items=["j", 1]),
    call("hset", "h"),
    call("hset", "h", "f", None),
    call("hset", "h", "f", "v", {"k": 1}),
    call("hget", "h", "f"),
    call("hget", "h", "none"),
    call("hget", "none", "f"),
    call("hgetall", "h"),
    call("hgetall", "none"),
    call("hmget", "h", "f", "none"),
    call("hmget", "h", ["f", "g"]),
    call("hkeys", "h"),
    call("hvals", "h"),
    call("hlen", "h"),
    call("hexists", "h", "f"),
    call("hexists", "h", "none"),
    call("hdel", "h", "f", "x"),
    call("hincrby", "h", "n", 3),
    call("hincrbyfloat", "h", "g", 0.25),
    call("hincrby", "h", "g"),
    call("hsetnx", "h", "n", 1),
    call("hstrlen", "h", "i"),
    call("get", "h"),
    call("hget", "h", 5),
    call("hset", "h", 5, 6),
    call("hget", "h", 5),
    call("hscan", "h"),
    call("hscan", "none"),
    call("hrandfield", "one"),
    call("set", "str", 1),
    call("hget", "str", "f"),
    call("hset", "str", "f", 1),
]

LISTS = [
    call("rpush", "l", 1, "two", b"3", 4.5),
    call("lpush", "l", "zero"),
    call("lrange", "l", 0, -1),
    call("llen", "l"),
    call("lindex", "l", 1),
    call("lindex", "l", 99),
    call("lset", "l", 0, "null"),
    call("lset", "l", 99, "x"),
    call("lset", "none", 0, "x"),
    call("linsert", "l", "before", "two", "x"),
    call("lrem", "l", 1, "x"),
    call("ltrim", "l", 0, 3),
    call("lpop", "l"),
    call("lpop", "l", 2),
    call("rpop", "l"),
    call("lpop", "l"),
    call("lpop", "l", 2),
    call("rpush", "l", *range(5)),
    call("rpop", "l", 2),
    call("lpos", "l", 1),
    call("lpos", "l", 9),
    call("lmove", "l", "m", "LEFT", "RIGHT"),
    call("rpoplpush", "l", "m"),
    call("blpop", "m", timeout=1),
    call("blpop", ["none", "m"], timeout=1),
    call("brpop", "none", timeout=0.01),
    call("blmove", "none", "m", 0.01),
    call("lmpop", 2, "none", "l", direction="LEFT"),
    call("rpushx", "none", 1),
    call("lpush", "l"),
    call("lrange", "none", 0, -1),
    call("rpush", "l", True),
    call("brpoplpush", "none", "m", 1),
    call("blmpop", 0.01, 1, "none", direction="LEFT"),
]

SETS = [
    call("sadd", "s", 1, "b", b"c"),
    call("sadd", "s", 1),
    unordered("smembers", "s"),
    unordered("smembers", "none"),
    call("scard", "s"),
    call("sismember", "s", 1),
    call("sismember", "s", 9),
    call("smismember", "s", 1, 9),
    call("srem", "s", 1, 9),
    call("sadd", "t", "b", "d"),
    unordered("sinter", "s", "t"),
    unordered("sunion", "s", "t"),
    unordered("sdiff", ["s", "t"]),
    call("sinterstore", "i", "s", "t"),
    call("sintercard", 2, ["s", "t"]),
    call("smove", "s", "t", "c"),
    call("sadd", "one", "x"),
    call("spop", "one"),
    call("spop", "one"),
    call("spop", "one", 2),
    call("srandmember", "i"),
    call("srandmember", "i", 2),
    call("sscan", "i"),
    call("sadd", "s"),
    call("get", "s"),
]

ZSETS = [
    call("zadd", "z", {"a": 1, "b": 2.5, "c": "3"}),
    call("zadd", "z", {"a": 1}),
    call("zadd", "z", {"a": 4}, ch=True),
    call("zadd", "z", {"a": 1}, incr=True),
    call("zadd", "z", {"a": 9}, nx=True, incr=True),
    call("zadd", "z", {}),
    call("zadd", "z", {"a": "x"}),
    call("zadd", "z", {"inf": float("inf")}),
    call("zscore", "z", "a"),
    call("zscore", "z", "none"),
    call("zmscore", "z", ["a", "none"]),
    call("zincrby", "z", 1.5, "b"),
    call("zcard", "z"),
    call("zrange", "z", 0, -1),
    call("zrange", "z", 0, -1, withscores=True),
    call("zrange", "z", 0, -1, desc=True, withscores=True, score_cast_func=str),
    call("zrevrange", "z", 0, -1, withscores=True),
    call("zrangebyscore", "z", "-inf", "+inf", withscores=True),
    call("zrank", "z", "a"),
    call("zrank", "z", "none"),
    call("zrevrank", "z", "a"),
    call("zcount", "z", 0, 9),
    call("zrem", "z", "inf"),
    call("zpopmin", "z"),
    call("zpopmax", "z", 2),
    call("zpopmin", "z"),
    call("zadd", "z", {"a": 1}),
    call("bzpopmin", "z", 1),
    call("bzpopmin", "z", 0.01),
    call("zadd", "z", {"a": 1, "b": 2}),
    call("zadd", "y", {"b": 2}),
    call("zunion", ["z", "y"], withscores=True),
    call("zinterstore", "w", ["z", "y"]),
    call("zdiff", ["z", "y"], withscores=True),
    call("zscan", "z"),
    call("zrandmember", "y", 1, withscores=True),
    call("zmpop", 1, ["z"], min=True),
    call("bzmpop", 0.01, 1, ["none"], min=True),
    call("zlexcount", "y", "-", "+"),
    call("get", "z"),
]

KEYS = [
    call("mset", {f"k:{number}": number for number in range(3)}),
    call("keys", "k:1"),
    call("rename", "k:0", "k:9"),
    call("rename", "none", "x"),
    call("renamenx", "k:9", "k:1"),
    call("expire", "k:1", 100),
    call("expire", "none", 100),
    call("ttl", "k:1"),
    call("pttl", "none"),
    call("persist", "k:1"),
    call("expireat", "k:1", 4_000_000_000),
    call("expiretime", "k:1"),
    call("touch", "k:1", "none"),
    call("copy", "k:1", "k:7"),
    call("dbsize"),
    call("scan", 0, "k:1"),
    call("move", "k:1", 1),
    call("select", 1),
    call("get", "k:1"),
    call("select", 0),
    call("object", "refcount", "none"),
    call("flushdb"),
    call("randomkey"),
    call("dbsize"),
    call("flushall"),
    call("execute_command", "SET", "a", 1),
    call("execute_command", "set", "a", 1),
    call("execute_command", b"GET", "a"),
    call("execute_command", "NOSUCH", "a"),
    call("execute_command", "GET"),
    call("execute_command", "OBJECT ENCODING", "a"),
    call("execute_command", "EXEC"),
    call("client_setname", "me"),
    call("client_getname"),
    call("swapdb", 0, 1),
    call("dbsize"),
]


HYPERLOGLOGS = [
    call("pfadd", "h", "a", "b", 3),
    call("pfadd", "h", "a"),
    call("pfcount", "h"),
    call("pfadd", "g", "c"),
    call("pfcount", "h", "g", "none"),
    call("pfmerge", "all", "h", "g"),
    call("pfcount", "all"),
    call("get", "g"),
    call("strlen", "all"),
    call("set", "text", "x"),
    call("pfadd", "text", "a"),
    call("pfcount", "text"),
]

GEO = [
    call("geoadd", "g", (13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")),
    call("geoadd", "g", (13.361389, 38.115556, "Palermo"), nx=True),
    call("geoadd", "g", (13.5, 38.1, "Palermo"), xx=True, ch=True),
    call("geoadd", "g", (13.5, 99, "Nowhere")),
    call("geodist", "g", "Palermo", "Catania"),
    call("geodist", "g", "Palermo", "Catania", "km"),
    call("geodist", "g", "Palermo", "none"),
    call("geohash", "g", "Palermo", "none"),
    call("geopos", "g", "Palermo", "none"),
    call("geosearch", "g", longitude=15, latitude=37, radius=200, unit="km", sort="ASC"),
    call("geosearch", "g", member="Palermo", width=400, height=400, unit="km", withdist=True, withcoord=True, withhash=True, sort="ASC"),
    call("geosearch", "g", longitude=15, latitude=37, radius=200, unit="km", count=1, any=True),
    call("geosearchstore", "d", "g", longitude=15, latitude=37, radius=200, unit="km"),
    call("geosearchstore", "d", "g", longitude=15, latitude=37, radius=200, unit="km", storedist=True),
    call("zrange", "d", 0, -1, withscores=True),
    call("georadius", "g", 15, 37, 200, unit="km", withdist=True, sort="ASC"),
    call("georadius", "g", 15, 37, 200, unit="km", withcoord=True, withhash=True, sort="DESC"),
    call("georadius", "g", 15, 37, 200, unit="km", store="d"),
    call("georadiusbymember", "g", "Palermo", 200, unit="km", count=1),
    call("georadiusbymember", "g", "none", 200, unit="km"),
]


def piped(*calls: Call, transaction: bool = True, raising: bool = False) -> Call:
    def run(r: Any) -> Any:
        pipe = r.pipeline(transaction=transaction)
        for item in calls:
            item(pipe)
        return pipe.execute(raise_on_error=raising)

    run.__name__ = f"pipeline {transaction} {raising} {[item.__name__ for item in calls]}"
    return run


PIPELINES = [
    piped(),
    piped(call("set", "a", 1), call("incr", "a"), call("get", "a")),
    piped(call("set", "a", 1), call("get", "a"), transaction=False),
    piped(call("set", "a", "x"), call("incr", "a"), call("get", "a")),
    piped(call("incr", "a"), call("get", "a"), transaction=False),
    piped(call("incr", "a"), call("get", "a"), raising=True),
    piped(call("incr", "a"), transaction=False, raising=True),
    piped(call("set", "b", 1), call("execute_command", "GET"), call("get", "b")),
    piped(call("execute_command", "GET"), call("set", "b", 1), transaction=False),
    call("get", "b"),
    piped(
        call("hset", "h", mapping={"a": 1}), call("hgetall", "h"), call("zadd", "z", {"m": 1}), call("zrange", "z", 0, -1, withscores=True)
    ),
    piped(call("blpop", "none", 1), call("lpush", "q", 1), call("blpop", "q", 1)),
    piped(call("mget", []), call("sadd", "s", "m"), call("smembers", "s")),
    piped(call("expire", "a", 100), call("ttl", "a"), call("type", "h"), call("exists", "a", "b")),
    piped(call("execute_command", "NOSUCH"), raising=True),
    call("transaction", lambda pipe: (pipe.multi(), pipe.set("t", 1))[0], "t"),
    call("get", "t"),
]

STREAMS = [
    call("xadd", "x", {"f": "v"}, id="1-1"),
    call("xadd", "x", {"f": "v", "g": 2}, id="2-1", maxlen=10, approximate=True),
    call("xadd", "x", {"f": "v"}, id="2-1"),
    call("xadd", "x", {}),
    call("xadd", "none", {"f": "v"}, nomkstream=True),
    call("xadd", "x", {"f": "v"}, id="3-1", minid="1-0"),
    call("xlen", "x"),
    call("xrange", "x"),
    call("xrange", "x", "2", "+", count=1),
    call("xrevrange", "x", count=2),
    call("xread", {"x": "1-1"}, count=1),
    call("xread", {"x": "$"}),
    call("xread", {"x": "9-9"}, block=1),
    call("xgroup_create", "x", "g", "0"),
    call("xgroup_create", "x", "g", "0"),
    call("xgroup_create", "none", "g"),
    call("xgroup_create", "made", "g", mkstream=True, entries_read=3),
    call("xreadgroup", "g", "ann", {"x": ">"}, count=2),
    call("xreadgroup", "g", "bob", {"x": ">"}, block=1, noack=True),
    call("xreadgroup", "g", "bob", {"x": ">"}, block=1),
    call("xreadgroup", "g", "bob", {"x": ">"}),
    call("xreadgroup", "g", "ann", {"x": "0"}),
    call("xreadgroup", "none", "ann", {"x": ">"}),
    call("xpending", "x", "g"),
    call("xpending_range", "x", "g", "-", "+", 10, idle=1_000_000),
    call("xpending", "made", "g"),
    call("xack", "x", "g", "1-1", "9-9"),
    call("xclaim", "x", "g", "bob", 0, ["2-1"], time=1000, retrycount=5),
    call("xclaim", "x", "g", "bob", 0, ["2-1"], idle=0, justid=True),
    call("xclaim", "x", "g", "bob", 0, ["1-1"], force=True),
    call("xdel", "x", "2-1", "9-9"),
    call("xautoclaim", "x", "g", "ann", 0, "0-0", count=10),
    call("xautoclaim", "x", "g", "ann", 0, justid=True),
    call("xinfo_groups", "x"),
    call("xgroup_setid", "x", "g", "1-1", entries_read=1),
    call("xgroup_createconsumer", "x", "g", "cyd"),
    call("xgroup_delconsumer", "x", "g", "ann"),
    call("xgroup_destroy", "x", "g"),
    call("xtrim", "x", maxlen=1, approximate=False),
    call("xtrim", "x", minid="9-0", approximate=False),
    call("xinfo_groups", "x"),
    call("xinfo_groups", "none"),
    call("type", "x"),
]
TABLES = {
    "streams": STREAMS,
    "strings": STRINGS, "hashes": HASHES, "lists": LISTS, "sets": SETS, "zsets": ZSETS, "hyperloglogs": HYPERLOGLOGS, "geo": GEO,
    "keys": KEYS, "pipelines": PIPELINES,
}  # fmt: skip
