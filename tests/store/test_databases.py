"""The stores in `data/databases` were written by earlier versions, killed and put away: they must open for ever."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from diskkv.errors import CommandError
from diskkv.format import FORMAT, keys
from diskkv.format.ordered import unpack_u32
from diskkv.replies import OK
from diskkv.store.directory import open_records
from tests.support.contents import contents
from tests.support.runner import Runner

DATABASES = Path(__file__).resolve().parent.parent.parent / "data" / "databases"

# What v1 was given before its last checkpoint, and between that and the kill, so that it lies in the log alone. To be played on a store
# whose clock stands at 1,700,000,000,000.
V1_CHECKPOINTED: list[tuple[object, ...]] = [
    ("SET", "string", "value"),
    ("SET", "compressed", "abc" * 400),
    ("SET", b"\x00binary\xff\n", b"\xff\x00"),
    ("SET", "", "the empty key"),
    ("SET", "expires", "in 2100", "PXAT", 4_102_444_800_000),
    ("SETRANGE", "large string", 70_000, "end"),
    ("HSET", "hash", "field", "value", b"\xff", "", "", b"\x00"),
    ("HSET", "large hash", *(word for number in range(200) for word in (f"f{number}", f"v{number}"))),
    ("SADD", "set", "a", "b", "c"),
    ("SADD", "integers", *range(200)),
    ("ZADD", "zset", "-inf", "low", "-1.5", "negative", "0", "zero", "2.5", "positive", "+inf", "high"),
    ("ZADD", "large zset", *(word for number in range(200) for word in (number / 4 - 20, f"m{number}"))),
    ("RPUSH", "list", "a", "b", "a"),
    ("RPUSH", "large list", *(f"e{number}" for number in range(200))),
    ("RPUSH", "sparse list", *(f"e{number}" for number in range(400))),
    ("LREM", "sparse list", 1, "e200"),
    ("LINSERT", "sparse list", "BEFORE", "e300", "between"),
    ("SETBIT", "bits", 100, 1),
    ("SELECT", 3),
    ("SET", "elsewhere", 1),
    ("SELECT", 0),
    ("SADD", "deleted", *range(200)),
]
V1_LOGGED: list[tuple[object, ...]] = [
    ("DEL", "deleted"),
    ("APPEND", "string", " and more"),
    ("HDEL", "large hash", "f7"),
    ("ZINCRBY", "large zset", "100.25", "m3"),
    ("LPUSH", "large list", "first"),
    ("SELECT", 3),
    ("INCR", "elsewhere"),
    ("SELECT", 0),
    ("MULTI",),
    ("SET", "one", 1),
    ("SET", "two", 2),
    ("EXEC",),
]

# Streams as they were before they had consumer groups, made in the same way; and with them.
STREAMS_CHECKPOINTED: list[tuple[object, ...]] = [
    ("XADD", "stream", "1-1", "f", "v", "g", b"\xff\x00"),
    ("XADD", "stream", "1-2", "", ""),
    ("XSETID", "stream", "9-9", "ENTRIESADDED", 12, "MAXDELETEDID", "1-1"),
    *(("XADD", "large stream", f"{number}-0", "field", f"value {number}") for number in range(1, 200)),
    ("XDEL", "large stream", "100-0", "1-0"),
    ("XADD", "empty stream", "5-5", "f", "v"),
    ("XTRIM", "empty stream", "MAXLEN", 0),
]
STREAMS_LOGGED: list[tuple[object, ...]] = [
    ("XADD", "stream", "10-1", "late", "entry"),
    ("XTRIM", "large stream", "MINID", 50),
    ("XADD", "large stream", "200-0", "f", "v"),
]
GROUPS_CHECKPOINTED: list[tuple[object, ...]] = [
    *STREAMS_CHECKPOINTED,
    ("XGROUP", "CREATE", "large stream", "workers", "0", "ENTRIESREAD", 0),
    ("XGROUP", "CREATE", "large stream", "others", "$"),
    ("XGROUP", "CREATE", "large stream", "doomed", "0"),
    ("XGROUP", "CREATE", "new stream", "waiting", "$", "MKSTREAM"),
    ("XREADGROUP", "GROUP", "workers", "ann", "COUNT", 60, "STREAMS", "large stream", ">"),
    ("XREADGROUP", "GROUP", "workers", "bob", "COUNT", 60, "STREAMS", "large stream", ">"),
    ("XREADGROUP", "GROUP", "doomed", "ann", "COUNT", 150, "STREAMS", "large stream", ">"),
    ("XACK", "large stream", "workers", *range(2, 90)),
    ("XGROUP", "CREATECONSUMER", "large stream", "workers", "idle"),
]
GROUPS_LOGGED: list[tuple[object, ...]] = [
    *STREAMS_LOGGED,
    ("XGROUP", "DESTROY", "large stream", "doomed"),
    ("XREADGROUP", "GROUP", "others", "cyd", "STREAMS", "large stream", ">"),
    ("XCLAIM", "large stream", "workers", "cyd", 0, "95", "96", "TIME", 1_600_000_000_000, "RETRYCOUNT", 5),
    ("XGROUP", "DELCONSUMER", "large stream", "workers", "idle"),
]


# What came with version 2, made in the same way.
LIBRARY = "#!lua name=lib\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)"
V2_CHECKPOINTED: list[tuple[object, ...]] = [
    *GROUPS_CHECKPOINTED,
    ("HSET", "fields", "a", 1, "b", 2, "c", 3),
    ("HPEXPIREAT", "fields", 4_102_444_800_000, "FIELDS", 2, "a", "b"),
    ("HSET", "many fields", *(word for number in range(200) for word in (f"f{number}", number))),
    ("HPEXPIREAT", "many fields", 4_102_444_800_000, "FIELDS", 100, *(f"f{number}" for number in range(100))),
    ("PFADD", "sketch", *range(50)),
    ("GEOADD", "places", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"),
    ("FUNCTION", "LOAD", LIBRARY),
]
V2_LOGGED: list[tuple[object, ...]] = [
    *GROUPS_LOGGED,
    ("HPERSIST", "fields", "FIELDS", 1, "a"),
    ("HPEXPIREAT", "many fields", 4_102_444_800_001, "FIELDS", 1, "f150"),
    ("HDEL", "many fields", "f0"),
    ("PFADD", "sketch", "more"),
    ("EVAL", "redis.call('SET', KEYS[1], 1); return redis.call('INCR', KEYS[1])", 1, "scripted"),
    ("FUNCTION", "LOAD", LIBRARY.replace("lib", "other").replace("twice", "double")),
]


# What came with version 3, made in the same way: the times of pending entries, which are kept once somebody has claimed by them.
V3_CHECKPOINTED: list[tuple[object, ...]] = [
    *V2_CHECKPOINTED,
    ("XREADGROUP", "GROUP", "workers", "eve", "COUNT", 10, "CLAIM", 0, "STREAMS", "large stream", ">"),
]
V3_LOGGED: list[tuple[object, ...]] = [
    *V2_LOGGED,
    ("XREADGROUP", "GROUP", "workers", "fay", "COUNT", 5, "CLAIM", 0, "STREAMS", "large stream", ">"),
    ("XACK", "large stream", "workers", "96"),
]


# Lists as they are since there are runs; they came with version 3, too.
LISTS_CHECKPOINTED: list[tuple[object, ...]] = [
    ("RPUSH", "list", *(f"e{number}" for number in range(200))),
    ("LPUSH", "list", *range(100)),
    ("RPUSH", "mixed list", *("long " * (number % 150) for number in range(400))),
    ("RPUSH", "sparse list", *(f"e{number}" for number in range(400))),
    ("LREM", "sparse list", 1, "e200"),
    ("LINSERT", "sparse list", "BEFORE", "e300", "between"),
]
LISTS_LOGGED: list[tuple[object, ...]] = [
    ("LTRIM", "list", 50, -20),
    ("LSET", "mixed list", 200, "short"),
    ("LSET", "mixed list", 10, "long" * 200),
    ("LREM", "sparse list", 1, "e250"),
]


def test_lists_of_version_3_open_for_ever(tmp_path: Path) -> None:
    shutil.copytree(DATABASES / "v3-lists", tmp_path / "v3-lists")
    expected = Runner(":memory:")
    for command in (*LISTS_CHECKPOINTED, *LISTS_LOGGED):
        expected(*command)
    old = Runner(tmp_path / "v3-lists")
    for look in (old.evict, old.reopen, list):
        assert contents(old.executor.store) == contents(expected.executor.store)
        look()
    assert old.findings() == []
    old.close()
    expected.close()


@pytest.mark.parametrize("name", ["v1", "v3-lists"])
def test_lists_go_on_from_what_they_were(tmp_path: Path, name: str) -> None:
    """In version 1 every element of a large list had a record of its own: those mix with runs from then on."""
    shutil.copytree(DATABASES / name, tmp_path / name)
    old = Runner(tmp_path / name)
    expected = Runner(":memory:")
    lists = [key for key in old("KEYS", "*list*") if old("LLEN", key) > 128]
    assert len(lists) >= 2
    for key in lists:
        expected("RPUSH", key, *old("LRANGE", key, 0, -1))
    random = Random(8)
    for step in range(1500):
        key = random.choice(lists)
        length = expected("LLEN", key)
        value = random.choice(["short", f"e{random.randrange(400)}", "l" * 600])
        command: tuple[object, ...] = random.choice(
            [
                ("LPUSH", key, value, value), ("RPUSH", key, value), ("LPOP", key), ("RPOP", key, random.choice((1, 40))),
                ("LSET", key, random.randrange(-length, length), value), ("LREM", key, random.randrange(-2, 3), value),
                ("LINSERT", key, "AFTER", value, step), ("RPUSH", key, *range(30)), ("LTRIM", key, random.choice((0, 3)), -2),
            ]
        )  # fmt: skip
        if length < 150:
            # One that ceased to exist would begin anew.
            command = ("RPUSH", key, *range(150))
        assert old(*command) == expected(*command), command
        if random.random() < 0.05:
            random.choice((old.evict, old.checkpoint, old.reopen))()
            assert old("LRANGE", key, 0, -1) == expected("LRANGE", key, 0, -1)
    assert old.findings() == []
    old.close()
    expected.close()


def test_version_4_opens_for_ever(tmp_path: Path) -> None:
    """What came with version 4: a block was lost. Of its keys the first was deleted since, and the second written."""
    shutil.copytree(DATABASES / "v4", tmp_path / "v4")
    old = Runner(tmp_path / "v4")
    for look in (old.evict, old.reopen, list):
        for number in range(300):
            reply = old("GET", f"key:{number:03d}")
            if 77 <= number < 150:
                assert "damaged" in str(reply)
            else:
                assert reply == {75: None, 76: b"new"}.get(number, b"%040d" % (number * number * 7919))
        look()
    assert {finding.severity for finding in old.findings()} == {"damage"}
    old.close()


def test_version_3_opens_for_ever(tmp_path: Path) -> None:
    shutil.copytree(DATABASES / "v3", tmp_path / "v3")
    expected = Runner(":memory:")
    for command in (*V3_CHECKPOINTED, *V3_LOGGED):
        reply = expected(*command)
        assert not isinstance(reply, CommandError), (command, reply)
    old = Runner(tmp_path / "v3")
    claim = ("XREADGROUP", "GROUP", "workers", "gus", "COUNT", 200, "CLAIM", 0, "STREAMS", "large stream", ">")
    for look in (old.evict, old.reopen):
        assert contents(old.executor.store) == contents(expected.executor.store)
        look()
    assert old(*claim) == expected(*claim)
    assert contents(old.executor.store) == contents(expected.executor.store)
    assert old.findings() == []
    old.close()
    expected.close()


def test_version_2_opens_for_ever(tmp_path: Path) -> None:
    shutil.copytree(DATABASES / "v2", tmp_path / "v2")
    expected = Runner(":memory:")
    for command in (*V2_CHECKPOINTED, *V2_LOGGED):
        reply = expected(*command)
        assert not isinstance(reply, CommandError), (command, reply)
    old = Runner(tmp_path / "v2")
    for look in (old.evict, old.reopen, list):
        assert contents(old.executor.store) == contents(expected.executor.store)
        for words in (("HPEXPIRETIME", "fields", "FIELDS", 3, "a", "b", "c"), ("HPEXPIRETIME", "many fields", "FIELDS", 2, "f1", "f150"),
                      ("PFCOUNT", "sketch"), ("GEOHASH", "places", "Palermo"), ("GET", "scripted"), ("FCALL", "twice", 0, 21),
                      ("FCALL", "double", 0, 4)):  # fmt: skip
            assert old(*words) == expected(*words), words
        look()
    assert old.findings() == []
    old.close()
    expected.close()


def test_a_store_of_an_earlier_version_is_marked(tmp_path: Path) -> None:
    """Before anything is written to it that an earlier diskkv does not know."""
    shutil.copytree(DATABASES / "v1", tmp_path / "v1")
    with open_records(str(tmp_path / "v1")) as engine:
        assert unpack_u32(engine.get(keys.SYSTEM + b"format") or b"") == 1
    Runner(tmp_path / "v1").close()
    with open_records(str(tmp_path / "v1")) as engine:
        assert unpack_u32(engine.get(keys.SYSTEM + b"format") or b"") == FORMAT


@pytest.mark.parametrize(
    ("name", "commands", "count"),
    [
        ("v1-streams", (*STREAMS_CHECKPOINTED, *STREAMS_LOGGED), 3),
        ("v1-groups", (*GROUPS_CHECKPOINTED, *GROUPS_LOGGED), 4),
    ],
)
def test_streams_of_version_1_open_for_ever(tmp_path: Path, name: str, commands: tuple[tuple[object, ...], ...], count: int) -> None:
    shutil.copytree(DATABASES / name, tmp_path / name)
    expected = Runner(":memory:")
    for command in commands:
        expected(*command)
    old = Runner(tmp_path / name)
    assert contents(old.executor.store) == contents(expected.executor.store)
    assert len(contents(old.executor.store)) == count
    assert old.findings() == []
    old.evict()
    assert contents(old.executor.store) == contents(expected.executor.store)
    assert old("XGROUP", "CREATE", "stream", "new", "0") == OK
    old.reopen()
    assert old("XREADGROUP", "GROUP", "new", "ann", "STREAMS", "stream", ">").items[0][1][-1] == [b"10-1", [b"late", b"entry"]]
    old.close()
    expected.close()


def test_version_1_opens_for_ever(tmp_path: Path) -> None:
    assert FORMAT >= 1
    shutil.copytree(DATABASES / "v1", tmp_path / "v1")
    expected = Runner(":memory:")
    for command in (*V1_CHECKPOINTED, *V1_LOGGED):
        expected(*command)
    old = Runner(tmp_path / "v1")
    assert contents(old.executor.store) == contents(expected.executor.store)
    assert len(contents(old.executor.store)) == 19
    assert old.findings() == []
    old.evict()
    assert contents(old.executor.store) == contents(expected.executor.store)
    old("SADD", "deleted", "again")
    old.reopen()
    assert old("SCARD", "deleted") == 1
    old.close()
    expected.close()
