"""The stores in `data/databases` were written by earlier versions, killed and put away: they must open for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

from diskkv.format import FORMAT
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
