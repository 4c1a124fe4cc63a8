"""OBJECT ENCODING: by the settings, and by what a value once held."""

from __future__ import annotations

import pytest

from diskkv.replies import Simple
from tests.support.runner import Runner

LONG = "x" * 65

HISTORIES = {
    "a long value went": ("h", [("HSET", "h", "a", LONG, "b", 1), ("HDEL", "h", "a")], b"hashtable"),
    "a long value was overwritten": ("h", [("HSET", "h", "a", LONG), ("HSET", "h", "a", 1)], b"hashtable"),
    "many fields went": ("h", [("HSET", "h", *range(300)), ("HDEL", "h", *range(2, 300))], b"hashtable"),
    "a field was to expire": ("h", [("HSETEX", "h", "EX", 9, "FIELDS", 2, "a", 1, "b", 1), ("HSET", "h", "a", 2)], b"listpackex"),
    "a hash as ever": ("h", [("HSET", "h", "a", 1, "b", 1), ("HDEL", "h", "a")], b"listpack"),
    "a word went": ("s", [("SADD", "s", "word", 1, 2), ("SREM", "s", "word")], b"listpack"),
    "a long word went": ("s", [("SADD", "s", LONG, 1, 2), ("SREM", "s", LONG)], b"hashtable"),
    "a number went": ("s", [("SADD", "s", 1, 2), ("SREM", "s", 1)], b"intset"),
    "many numbers went": ("s", [("SADD", "s", *range(600)), ("SREM", "s", *range(1, 600))], b"hashtable"),
    "a long member went": ("z", [("ZADD", "z", 1, LONG, 2, "b"), ("ZREM", "z", LONG)], b"skiplist"),
    "many members went": ("z", [("ZADD", "z", *range(400)), ("ZREMRANGEBYRANK", "z", 0, 150)], b"skiplist"),
    "a zset as ever": ("z", [("ZADD", "z", 1, "a", 2, "b"), ("ZREM", "z", "a")], b"listpack"),
    "a number was appended to": ("t", [("SET", "t", 1), ("APPEND", "t", 2)], b"raw"),
    "a number was set again": ("t", [("SET", "t", 1), ("APPEND", "t", 2), ("SET", "t", 12)], b"int"),
    "a text was patched": ("t", [("SET", "t", "abc", "PX", 100), ("SETRANGE", "t", 1, "x")], b"raw"),
}  # fmt: skip


@pytest.mark.parametrize("name", HISTORIES)
def test_what_a_value_was_is_remembered(run: Runner, name: str) -> None:
    key, commands, expected = HISTORIES[name]
    for command in commands:
        run(*command)
    assert run("OBJECT", "ENCODING", key) == expected
    for step in (run.evict, run.reopen, run.evict):
        step()
        assert run("OBJECT", "ENCODING", key) == expected
    assert run("COPY", key, "copy") == 1
    assert run("OBJECT", "ENCODING", "copy") == expected
    run.evict()
    assert run("OBJECT", "ENCODING", "copy") == expected
    assert run.findings() == []


def test_the_settings_are_heeded_under_both_names(run: Runner) -> None:
    assert run("CONFIG", "SET", "hash-max-ziplist-entries", 2) == Simple(b"OK")
    assert run("CONFIG", "GET", "hash-max-listpack-entries") == {b"hash-max-listpack-entries": b"2"}
    run("HSET", "h", "a", 1, "b", 1)
    assert run("OBJECT", "ENCODING", "h") == b"listpack"
    run("HSET", "h", "c", 1)
    assert run("OBJECT", "ENCODING", "h") == b"hashtable"
    run("HDEL", "h", "c")
    assert run("OBJECT", "ENCODING", "h") == b"hashtable"
    run("CONFIG", "SET", "zset-max-listpack-entries", 1000, "zset-max-ziplist-value", 5)
    run("ZADD", "z", *range(400))
    assert run("OBJECT", "ENCODING", "z") == b"listpack"
    run("ZADD", "z", 1, "longer")
    run("ZREM", "z", "longer")
    assert run("OBJECT", "ENCODING", "z") == b"skiplist"
    run.evict()
    assert run("OBJECT", "ENCODING", "z") == b"skiplist"
