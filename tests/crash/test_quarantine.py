"""A key that is damaged where a checkpoint or a replay has to read it: it alone goes into quarantine, and the store goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.errors import CommandError, Undone
from diskkv.format import BUCKET, ENTRY, LIST_RUN, MEMBER, PIECE, RANKED, SLOT, keys
from diskkv.format.meta import decode
from diskkv.repair import repair
from diskkv.replies import OK, Simple
from diskkv.store.complaints import MOST, SPAN
from tests.crash.test_damage import Rotting
from tests.support.contents import contents, copy_of
from tests.support.runner import Runner

LARGE: dict[str, list[tuple[Any, ...]]] = {
    "string": [("SETRANGE", "key", 200_000, "end")],
    "hash": [("HSET", "key", *(word for number in range(3000) for word in (f"f{number}", number)))],
    "set": [("SADD", "key", *range(3000))],
    "zset": [("ZADD", "key", *(word for number in range(3000) for word in (number % 50, number)))],
    "list": [("RPUSH", "key", *range(3000))],
    "array": [("ARSET", "key", 5, *range(3000))],
    "stream": [("XADD", "key", f"{number}-1", "field", number) for number in range(1, 600)],
}
SMALL = {
    "string": ("SET", "key", 1),
    "hash": ("HSET", "key", "f1", 1),
    "set": ("SADD", "key", 1),
    "zset": ("ZADD", "key", 1, "m1"),
    "list": ("RPUSH", "key", 1),
    "array": ("ARSET", "key", 7, 1),
    "stream": ("XADD", "key", "1-1", "field", 1),
}
# The kind of records that a change needs to read, and such a change.
CHANGES: dict[str, tuple[bytes, tuple[Any, ...]]] = {
    "string": (PIECE, ("SETRANGE", "key", 50_000, "middle")),
    "hash": (MEMBER, ("HINCRBY", "key", "f77", 1)),
    "set": (MEMBER, ("SMOVE", "key", "elsewhere", 77)),
    "zset": (MEMBER, ("ZINCRBY", "key", 1, 77)),
    "list": (LIST_RUN, ("LINSERT", "key", "BEFORE", 1500, "new")),
    "array": (SLOT, ("ARDEL", "key", 77)),
    "stream": (ENTRY, ("XTRIM", "key", "MAXLEN", 10)),
}
READS = {"string": "STRLEN", "hash": "HLEN", "set": "SCARD", "zset": "ZCARD", "list": "LLEN", "stream": "XLEN", "array": "ARCOUNT"}


@pytest.fixture
def rotting(tmp_path: Path) -> Iterator[Rotting]:
    run = Rotting(tmp_path / "store")
    yield run
    run.engine.rotten = []
    run.close()


def records(run: Runner, kind: bytes) -> bytes:
    """How the records of a kind begin that belong to the key `key`."""
    db = run.executor.store.databases[0]
    raw = run.executor.store.engine.get(db.prefix + b"key")
    assert raw is not None
    return keys.data_prefix(decode(raw).oid) + kind


def damaged(reply: Any) -> bool:
    return isinstance(reply, CommandError) and "damaged" in str(reply)


def in_order(run: Runner) -> None:
    """Nothing is wrong with the store, once what was dead is gone."""
    store = run.executor.store
    run.checkpoint()
    while store.writer.reclaimer.pending():
        with store.lock:
            store.landed.wait(0.01)
    assert run.findings() == []


def test_a_sorted_set_whose_index_is_damaged_does_not_stop_checkpoints(rotting: Rotting, tmp_path: Path) -> None:
    rotting.batch([*LARGE["zset"], ("SET", "other", 1)])
    rotting.evict()
    rotting.engine.rotten = [records(rotting, RANKED)]
    assert rotting.batch([("ZADD", "key", 7, "new", 8, 5), ("ZREM", "key", 6), ("INCR", "other")]) == [1, 1, 2]
    assert damaged(rotting("ZRANGE", "key", 0, -1))
    # Many changes at once, as long as nobody asks for order.
    assert rotting("ZADD", "key", *(word for number in range(2000) for word in (1, f"more{number}"))) == 2000
    assert rotting("ZSCORE", "key", "new") == 7
    rotting.checkpoint()
    assert rotting.executor.store.writer.failures == 0
    assert rotting.executor.store.isolated == 1
    assert rotting("INCR", "other") == 3
    for reply in rotting.batch([("ZSCORE", "key", "new"), ("ZADD", "key", 1, "x"), ("TYPE", "key"), ("EXPIRE", "key", 1)]):
        assert damaged(reply), reply
    rotting.checkpoint()
    with rotting.executor.store.lock:
        copy = copy_of(tmp_path / "store", tmp_path / "killed")
    # What is marked stays marked, even where it could be read again.
    killed = Runner(copy)
    assert damaged(killed("ZSCORE", "key", "new"))
    assert killed("GET", "other") == b"3"
    assert [finding.where for finding in killed.findings()] == ["key b'key' in epoch 1"]
    killed.close()
    outcome = repair(str(copy), str(tmp_path / "new"))
    assert len(outcome.partial) == 1 and outcome.whole == 1
    saved = Runner(tmp_path / "new")
    assert saved("ZCARD", "key") == 5000
    assert saved("ZMSCORE", "key", "new", 5, 6, "more1999") == [7, 8, None, 1]
    saved.close()
    assert rotting("DEL", "key") == 1
    assert rotting("EXISTS", "key") == 0
    assert rotting("ZADD", "key", 1, "fresh") == 1
    rotting.engine.rotten = []
    assert rotting("DBSIZE") == 2
    in_order(rotting)


@pytest.mark.parametrize("end", ["DEL", "UNLINK", "SET", "FLUSHDB", "SUNIONSTORE"])
def test_what_ends_a_quarantine(rotting: Rotting, end: str) -> None:
    rotting.batch([*LARGE["zset"], ("SADD", "source", 1)])
    rotting.evict()
    rotting.engine.rotten = [records(rotting, BUCKET)]
    rotting("ZADD", "key", 1, "new")
    rotting.checkpoint()
    assert damaged(rotting("ZCARD", "key"))
    command = {"SET": ("SET", "key", "v"), "FLUSHDB": ("FLUSHDB",), "SUNIONSTORE": ("SUNIONSTORE", "key", "source")}.get(end, (end, "key"))
    assert rotting(*command) in (1, OK)
    kind = Simple({"SET": b"string", "SUNIONSTORE": b"set"}.get(end, b"none"))
    assert rotting("TYPE", "key") == kind
    rotting.engine.rotten = []
    in_order(rotting)
    rotting.reopen()
    assert rotting("TYPE", "key") == kind
    assert rotting("DBSIZE") == {"FLUSHDB": 0, "SET": 2, "SUNIONSTORE": 2}.get(end, 1)


@pytest.mark.parametrize("kind", LARGE)
def test_a_change_that_cannot_be_done_again_does_not_keep_a_store_from_opening(tmp_path: Path, kind: str) -> None:
    run = Rotting(tmp_path / "store")
    run.batch([*LARGE[kind], ("SET", "other", 1)])
    run.evict()
    part, change = CHANGES[kind]
    run.batch([change, ("MULTI",), ("INCR", "other"), change, ("INCR", "other"), ("EXEC",)])
    rotten = records(run, part)
    with run.executor.store.lock:
        copy = copy_of(tmp_path / "store", tmp_path / "killed")
    run.close()
    killed = Rotting(copy, rotten=[rotten])
    assert killed("GET", "other") == b"3"
    assert damaged(killed(READS[kind], "key"))
    killed.checkpoint()
    killed.engine.rotten = killed.rotten = []
    killed.reopen()
    assert killed("GET", "other") == b"3"
    assert damaged(killed(READS[kind], "key"))
    assert damaged(killed("DUMP", "key"))
    size = killed("DBSIZE")
    assert killed("DEL", "key") == 1
    assert killed("DBSIZE") == size - 1
    killed("DEL", "elsewhere")
    in_order(killed)
    assert list(contents(killed.executor.store)) == [(0, b"other")]
    killed.close()


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("end", ["DEL", "UNLINK", "SET"])
def test_a_key_whose_record_is_damaged_can_be_deleted_and_replaced(rotting: Rotting, kind: str, end: str) -> None:
    rotting.batch([SMALL[kind], ("SET", "other", 1)])
    rotting.evict()
    rotting.engine.rotten = [b"\0\0\0\1key"]
    assert damaged(rotting("EXISTS", "key"))
    assert rotting(*({"SET": ("SET", "key", "v")}.get(end, (end, "key")))) in (1, OK)
    assert rotting("EXISTS", "key") == (end == "SET")
    rotting.checkpoint()
    rotting.engine.rotten = []
    rotting.reopen()
    assert rotting("GET", "key") == (b"v" if end == "SET" else None)
    assert rotting("DBSIZE") == 1 + (end == "SET")
    in_order(rotting)


def test_undoing_that_meets_damage_does_not_lose_the_store(rotting: Rotting) -> None:
    rotting.batch([("SADD", "key", *(f"m{number}" for number in range(3000))), ("SET", "other", 1)])
    rotting.evict()
    rotting.batch([("SREM", "key", "m77"), ("SET", "other", 2)])
    rotting.engine.rotten = [b"m77", b"m78"]
    with pytest.raises(Undone):
        rotting("SADD", "key", "new", "m78")
    assert rotting("GET", "other") == b"2"
    assert damaged(rotting("SISMEMBER", "key", "m5"))
    assert rotting("DEL", "key") == 1
    rotting.engine.rotten = []
    in_order(rotting)


def test_a_key_that_would_have_come_to_exist_is_not_absent(tmp_path: Path) -> None:
    run = Rotting(tmp_path / "store")
    run.batch([*LARGE["set"], ("SADD", "dead", *range(200))])
    run.evict()
    run.batch([("DEL", "dead"), ("SUNIONSTORE", "target", "key"), ("SUNIONSTORE", "dead", "key")])
    rotten = records(run, MEMBER)
    with run.executor.store.lock:
        copy = copy_of(tmp_path / "store", tmp_path / "killed")
    run.close()
    killed = Rotting(copy, rotten=[rotten])
    assert all(map(damaged, killed.batch([("EXISTS", "target"), ("SCARD", "dead"), ("SMEMBERS", "key")])))
    assert killed("SCARD", "key") == 3000
    assert killed("DBSIZE") == 3
    assert killed("DEL", "target", "dead", "key") == 3
    killed.engine.rotten = []
    in_order(killed)
    killed.close()


def test_a_client_that_reads_a_damaged_key_in_a_loop_does_not_fill_the_report(rotting: Rotting, caplog: pytest.LogCaptureFixture) -> None:
    rotting("MSET", "bad", 1, "good", 1)
    rotting.evict()
    rotting.engine.rotten = [b"bad"]
    for _ in range(1000):
        assert damaged(rotting("GET", "bad"))
    assert 0 < caplog.text.count("can't be answered") <= MOST
    assert "left out" not in caplog.text
    rotting.clock.advance(SPAN)
    for _ in range(500):
        if "left out" in caplog.text:
            break
        time.sleep(0.01)
    assert f"{1000 - MOST} more reports of this kind were left out: %(command)s can't be answered" in caplog.text
    assert damaged(rotting("STRLEN", "bad"))
    assert "strlen can't be answered" in caplog.text
    for _ in range(MOST + 5):
        rotting("GET", "bad")
    rotting.engine.rotten = []
    rotting.reopen()
    assert "6 more reports" in caplog.text
