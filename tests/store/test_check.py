"""`check` finds every kind of damage that is done to a store here, and nothing in a store that is sound."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diskkv.format import keys
from diskkv.format.meta import encode_header, encode_inline, pack_state, pack_value, unpack_state
from diskkv.format.ordered import pack_f64, pack_u32, pack_u64
from diskkv.store.check import DAMAGE, Finding, check, check_memory
from diskkv.store.value import UNKNOWN
from tests.support.runner import Runner

Do = Callable[[Any], None]


@pytest.fixture
def sick(tmp_path: Path) -> Any:
    """A store with something of everything in it, whose records a test then spoils."""
    run = Runner(tmp_path / "store")
    run("SET", "plain", "value")
    run("SET", "expires", "value", "PX", 100_000)
    run("SETRANGE", "string", 100_000, "end")
    run("HSET", "hash", *range(400))
    run("SADD", "set", *range(300))
    run("ZADD", "zset", *range(600))
    run("RPUSH", "list", *range(300))
    run("RPUSH", "sparse", *range(300))
    run("LREM", "sparse", 1, 150)
    run.checkpoint()
    yield run
    run.close()


def record(run: Runner, key: str) -> tuple[bytes, bytes, int]:
    """A key's meta record, and its oid."""
    db = run.executor.store.databases[0]
    raw = run.executor.store.engine.get(db.prefix + key.encode())
    assert raw is not None
    return db.prefix + key.encode(), raw, db.decode(key.encode(), raw).oid


def first(run: Runner, key: str, kind: bytes) -> tuple[bytes, bytes]:
    """The first data record of a kind that a key has."""
    prefix = keys.data_prefix(record(run, key)[2]) + kind
    return next(run.executor.store.engine.scan(prefix, keys.after(prefix)))


def spoil(run: Runner, changes: dict[bytes, bytes | None]) -> list[Finding]:
    """Change records behind the store's back; what it finds."""
    store = run.executor.store
    with store.lock:
        batch = store.engine.batch()
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        store.engine.write(batch)
        return list(check(store))


def test_nothing_is_wrong_with_a_sound_store(sick: Runner) -> None:
    assert sick.findings() == []


TABLES = [("string", b"c"), ("hash", b"m"), ("set", b"m"), ("zset", b"m"), ("zset", b"r"), ("zset", b"b"), ("list", b"u")]


@pytest.mark.parametrize("kind", TABLES)
def test_a_data_record_is_missing(sick: Runner, kind: tuple[str, bytes]) -> None:
    key, table = kind
    found = spoil(sick, {first(sick, key, table)[0]: None})
    if key == "string":
        assert found == []  # a piece of zeros need not be there
    else:
        assert found
        assert all(key in finding.where for finding in found)


def spoilings(run: Runner) -> dict[str, tuple[dict[bytes, bytes | None], str]]:
    """What is done -> the records changed, and a word of what must be found."""
    plain, raw, _ = record(run, "plain")
    _, header, oid = record(run, "string")
    hash_, _, hash_oid = record(run, "hash")
    expires = record(run, "expires")[0]
    data = keys.data_prefix
    expiry = keys.expiry_key(run.clock.now + 100_000, 1, b"expires")
    state = unpack_state(run.executor.store.engine.get(b"Xstate") or b"")
    fewer = {**state, "databases": {**state["databases"], 0: [1, 7, 1]}}
    bucket = first(run, "zset", b"b")[0]
    list_bucket = first(run, "sparse", b"b")[0]
    return {
        "an unknown table": ({b"Q": b""}, "no known table"),
        "an unknown system record": ({b"Xwhat": b""}, "unknown system record"),
        "a key is gone": ({plain: None}, "the count says"),
        "a key too many": ({plain + b"!": raw}, "the count says"),
        "counts in the state": ({b"Xstate": pack_state(fewer)}, "the state says"),
        "no state": ({b"Xstate": None}, "no state record"),
        "the log's place": ({b"Xstate": pack_state({**state, "log": [99, 0]})}, "missing"),
        "the log's length": ({b"Xstate": pack_state({**state, "log": [state["log"][0], 1 << 30]})}, "shorter"),
        "the next oid": ({b"Xstate": pack_state({**state, "oid": 1})}, "not below the next one"),
        "the next epoch": ({b"Xstate": pack_state({**state, "epoch": 1})}, "not all different and below"),
        "an unknown tag": ({plain: b"\x63" + raw[1:]}, "unknown tag"),
        "an unknown flag": ({plain: raw[:1] + b"\x40" + raw[2:]}, "unknown flags"),
        "a meta record cut short": ({plain: b"\x01"}, "not a meta record"),
        "a body that is no array": ({plain: encode_inline(2, None, b"\xc1")}, "unreadable"),
        "an odd hash": ({plain: encode_inline(2, None, b"\x91\xc4\x01f")}, "unreadable"),
        "an empty set": ({plain: encode_inline(4, None, b"\x90")}, "empty"),
        "no expiry record": ({expiry: None}, "no expiry record"),
        "an expiry record too many": ({keys.expiry_key(5, 1, b"plain"): b""}, "unknown to its meta"),
        "an expiry record of nothing": ({keys.expiry_key(5, 1, b"nothing"): b""}, "unknown to its meta"),
        "another expiry": ({expires: encode_inline(1, 5, b"value")}, "no expiry record"),
        "an object twice": ({plain: header}, "belongs to"),
        "an object marked as garbage": ({keys.garbage_object(oid): b""}, "marked as garbage"),
        "a database marked as garbage": ({keys.garbage_epoch(1): b""}, "a living database"),
        "unknown garbage": ({b"G\0\0\0\0\0\0\0\x01q": b""}, "unknown garbage"),
        "data of no object": ({data(0) + b"m\0\0\0\0x": b""}, "belong to no key"),
        "data of no known kind": ({data(oid) + b"?": b""}, "no known kind"),
        "a key of no database": ({keys.meta_prefix(999) + b"k": raw}, "not marked as garbage"),
        "a living object in a dead database": (
            {keys.meta_prefix(999) + b"k": header, keys.garbage_epoch(999): b""}, "the reclaimer will take"
        ),
        "a piece behind the end": ({data(oid) + b"c" + pack_u32(99): pack_value(b"x")}, "piece 99"),
        "a piece that is too long": ({data(oid) + b"c" + pack_u32(0): pack_value(b"x" * 20_000)}, "piece 0"),
        "a member count": ({hash_: encode_header(2, None, hash_oid, 7)}, "header says 7"),
        "a member's hash": ({data(hash_oid) + b"m\0\0\0\0field": pack_value(b"x")}, "another's hash"),
        "a value that is not packed": ({first(run, "hash", b"m")[0]: b"\x09"}, "unreadable"),
        "a bucket's count": ({bucket: pack_u32(1)}, "the bucket from"),
        "a ranked record too many": ({data(record(run, "zset")[2]) + b"r" + pack_f64(1.0) + b"nobody": b""}, "the member has not"),
        "an element out of place": ({data(record(run, "list")[2]) + b"l" + pack_u64(5): pack_value(b"x")}, "was expected"),
        "a list's bucket": ({list_bucket: pack_u32(9)}, "the bucket at"),
    }


NAMES = (
    "an unknown table", "an unknown system record", "a key is gone", "a key too many", "counts in the state", "no state",
    "the log's place", "the log's length", "the next oid", "the next epoch", "an unknown tag", "an unknown flag",
    "a meta record cut short", "a body that is no array", "an odd hash", "an empty set", "no expiry record",
    "an expiry record too many", "an expiry record of nothing", "another expiry", "an object twice",
    "an object marked as garbage", "a database marked as garbage", "unknown garbage", "data of no object",
    "data of no known kind", "a key of no database", "a living object in a dead database", "a piece behind the end",
    "a piece that is too long", "a member count", "a member's hash", "a value that is not packed", "a bucket's count",
    "a ranked record too many", "an element out of place", "a list's bucket",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_found(sick: Runner, name: str) -> None:
    changes, word = spoilings(sick)[name]
    found = spoil(sick, changes)
    assert any(word in finding.what for finding in found), found


def test_every_spoiling_is_tried(sick: Runner) -> None:
    assert set(spoilings(sick)) == set(NAMES)


def swap_keys(run: Any) -> None:
    objects = run.executor.store.databases[0].objects
    objects[b"plain"], objects[b"set"] = objects[b"set"], objects[b"plain"]


def miscount(run: Any) -> None:
    run.executor.store.cache.used += 1


def miscount_small(run: Any) -> None:
    run.executor.store.cache.small_bytes += 1


def miscount_dead(run: Any) -> None:
    run.executor.store.cache.dead += 1


def grow(run: Any) -> None:
    run.executor.store.databases[0].objects[b"plain"].weight += 5


def unlink(run: Any) -> None:
    run.executor.store.databases[0].objects[b"plain"].linked = False


def double(run: Any) -> None:
    cache = run.executor.store.cache
    cache._small.append(cache._small[0])


def strange_dirt(run: Any) -> None:
    store = run.executor.store
    store.dirty.append(store.databases[0].objects[b"plain"])


def clean_but_large(run: Any) -> None:
    store = run.executor.store
    store.large.append(store.databases[0].objects[b"set"])


DEEDS = [swap_keys, miscount, miscount_small, miscount_dead, grow, unlink, double, strange_dirt, clean_but_large]


@pytest.mark.parametrize("do", DEEDS, ids=lambda do: do.__name__)
def test_wrong_accounts_in_memory_are_found(tmp_path: Path, do: Do) -> None:
    run = Runner(tmp_path / "store")
    run("SET", "plain", 1)
    run("SADD", "set", *range(300))
    run.checkpoint()
    with run.executor.store.lock:
        assert list(check_memory(run.executor.store)) == []
        do(run)
        assert [finding.severity for finding in check_memory(run.executor.store)]
        assert all(finding.severity == DAMAGE for finding in check_memory(run.executor.store))
    run.close()


def test_unknown_saved_is_asked_of_the_engine(sick: Runner) -> None:
    """What a failed checkpoint leaves behind: nobody knows any more what the engine has for a key."""
    store = sick.executor.store
    sick("PEXPIRE", "plain", 50_000)
    sick("PERSIST", "expires")
    sick("DEL", "string")
    sick("SET", "new", 1)
    with store.lock:
        for value in store.dirty:
            value.saved = UNKNOWN
    assert sick.findings() == []
    assert sick("PTTL", "plain") == 50_000


def diskkv(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "diskkv", *words], capture_output=True, text=True)


def test_the_command_line(sick: Runner) -> None:
    path = str(sick.path)
    spoilt = spoilings(sick)["a member count"][0]
    # By the commands' own clock it has expired long ago.
    sick("PERSIST", "expires")
    sick.close()
    done = diskkv("check", path)
    assert (done.returncode, done.stdout) == (0, "8 keys, nothing is wrong\n")
    done = diskkv("dump", path, "--prefix", "M\\x00\\x00\\x00\\x01s")
    assert [line.split(" in ")[0] for line in done.stdout.splitlines()] == [
        'meta epoch 1 "set" set 300 entries',
        'meta epoch 1 "sparse" list 299 entries',
        'meta epoch 1 "string" string 100003 B',
    ]
    assert len(diskkv("dump", path).stdout.splitlines()) > 1000
    assert len(diskkv("dump", path, "--limit", "3").stdout.splitlines()) == 3
    assert diskkv("dump", path, "--prefix", "\\xzz").returncode == 2
    sick.reopen()
    spoil(sick, spoilt)
    sick.close()
    done = diskkv("check", path)
    assert done.returncode == 1
    assert "header says 7" in done.stdout
    assert done.stdout.endswith("1 findings\n")


def test_the_command_line_without_a_store(tmp_path: Path) -> None:
    done = diskkv("check", str(tmp_path / "nothing"))
    assert (done.returncode, "there is no store" in done.stderr) == (2, True)
    assert not (tmp_path / "nothing").exists()
    done = diskkv("dump", str(tmp_path))
    assert (done.returncode, "there is no store" in done.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []
