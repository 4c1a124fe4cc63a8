"""Damage to a store's files: nothing wrong is served, nothing hangs, and what is not damaged goes on being served.

DISKKV_DAMAGE=500 plays as many damages instead of the usual few; DISKKV_DAMAGE_FROM=17 begins with that seed.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from diskkv.engine import Engine
from diskkv.errors import CommandError, Damaged, LogFailed, StoreError
from diskkv.replies import OK
from diskkv.store import writer
from tests.crash.damage import Specimen
from tests.support.engines import Around
from tests.support.runner import Runner

FIRST = int(os.environ.get("DISKKV_DAMAGE_FROM", "1"))
DAMAGES = int(os.environ.get("DISKKV_DAMAGE", "40"))


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return Specimen(tmp_path_factory.mktemp("damage"))


def test_nothing_wrong_is_served_whatever_is_damaged(specimen: Specimen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    found: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + DAMAGES):
        found += specimen.examine(seed)
    assert found["right"] and found["errors"] and found["refused at the first opening"] and found["writable"] and found["deleted"], found
    assert found["healed"], found


class Rotten(Around):
    """An engine that finds records damaged: those whose keys contain one of `rotten`."""

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self.rotten: list[bytes] = []
        self.writes_fail = False

    def _look(self, key: bytes) -> None:
        for part in self.rotten:
            if part in key:
                raise Damaged(f"told that {part!r} is damaged")

    def get(self, key: bytes) -> bytes | None:
        self._look(key)
        return super().get(key)

    def scan(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        for key, value in super().scan(start, stop, reverse=reverse):
            self._look(key)
            yield key, value

    def scan_keys(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[bytes]:
        for key in super().scan_keys(start, stop, reverse=reverse):
            self._look(key)
            yield key

    def scan_around(self, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        return (record for record in super().scan_around(start, stop) if not any(part in record[0] for part in self.rotten))

    def write(self, batch: Any) -> None:
        if self.writes_fail:
            raise Damaged("told that a compaction met damage")
        super().write(batch)


class Rotting(Runner):
    """A runner whose engine may rot."""

    engine: Rotten

    def __init__(self, path: Path, *, rotten: list[bytes] | None = None, **settings: str) -> None:
        # what is rotten when it is opened
        self.rotten = rotten or []
        super().__init__(path, wrap=self._around, **settings)

    def _around(self, inner: Engine) -> Engine:
        self.engine = Rotten(inner)
        self.engine.rotten = self.rotten
        return self.engine


@pytest.fixture
def rotting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rotting]:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.002)
    monkeypatch.setattr(writer, "DAMAGED_SECONDS", 0.01)
    run = Rotting(tmp_path / "store")
    yield run
    run.engine.rotten, run.engine.writes_fail = [], False
    run.close()


def wait_for(true: Callable[[], object]) -> None:
    for _ in range(2000):
        if true():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come to pass")


def test_a_damaged_key_is_named_and_the_others_are_served(rotting: Rotting) -> None:
    rotting.batch([("SET", "bad", 1), ("SET", "good", 2), ("SADD", "set", *range(1000))])
    rotting.evict()
    rotting.engine.rotten = [b"bad"]
    assert str(rotting("GET", "bad")).startswith("ERR damaged: the key 'bad' can't be read from the disk: ")
    assert isinstance(rotting("KEYS", "*"), CommandError)
    assert rotting("GET", "good") == b"2"
    assert rotting("SET", "good", 3) is OK
    assert rotting("FLUSHALL") is OK
    rotting.engine.rotten = []
    assert rotting.findings() == []


def test_keys_are_counted_anew_when_nobody_could_tell_whether_there_was_one(rotting: Rotting) -> None:
    rotting.batch([("MSET", *(word for number in range(50) for word in (f"key{number}", number))), ("EXPIRE", "key7", 100)])
    rotting.evict()
    rotting.rotten = rotting.engine.rotten = [b"unseen", b"key49"]
    assert rotting("SET", "unseen", 1) is OK
    assert rotting("DEL", "unseen2") == 1
    assert isinstance(rotting("DBSIZE"), CommandError)
    rotting("SET", "dirty", 1)
    rotting.checkpoint()
    rotting.reopen()
    assert isinstance(rotting("DBSIZE"), CommandError)
    rotting.rotten = rotting.engine.rotten = []
    assert ["in doubt" in finding.what for finding in rotting.findings()] == [True]
    assert rotting("DBSIZE") == 52
    assert "keys=52,expires=1" in rotting("INFO", "keyspace").text.decode()
    assert rotting.findings() == []
    rotting.reopen()
    assert rotting("DBSIZE") == 52


def test_a_command_that_meets_damage_halfway_is_undone_and_a_transaction_stays_whole(rotting: Rotting) -> None:
    rotting.batch([("SADD", "set", *(f"m{number}" for number in range(3000))), ("MSET", "a", 1, "b", 1)])
    rotting.evict()
    rotting.engine.rotten = [b"m77"]
    with pytest.raises(LogFailed):
        rotting.batch([("MULTI",), ("INCR", "a"), ("SADD", "set", "new", "m77"), ("INCR", "b"), ("EXEC",)])
    assert rotting("MGET", "a", "b") == [b"1", b"1"]
    assert rotting("SISMEMBER", "set", "new") == 0
    assert isinstance(rotting("SMEMBERS", "set"), CommandError)
    # Found out before anything was changed, it is one reply among the others, as any error in a transaction.
    replies = rotting.batch([("MULTI",), ("INCR", "a"), ("SISMEMBER", "set", "m77"), ("INCR", "b"), ("EXEC",)])[-1]
    assert replies[0] == replies[2] == 2
    assert "damaged" in str(replies[1])
    rotting.engine.rotten = []
    assert rotting("SISMEMBER", "set", "m77") == 1
    rotting.reopen()
    assert rotting("MGET", "a", "b") == [b"2", b"2"]


def test_when_even_undoing_fails_nothing_is_served_and_nothing_is_lost(rotting: Rotting) -> None:
    rotting.batch([("SADD", "set", *(f"m{number}" for number in range(3000))), ("SET", "a", 1)])
    rotting.evict()
    rotting.batch([("SREM", "set", "m77"), ("SET", "a", 2)])
    rotting.engine.rotten = [b"m78", b"state"]
    with pytest.raises(StoreError):
        rotting("SADD", "set", "new", "m78")
    assert "damaged: the whole store" in str(rotting("GET", "a"))
    assert "damaged: the whole store" in str(rotting("SET", "a", 3))
    assert rotting("MULTI") is OK
    rotting("DISCARD")
    with pytest.raises(StoreError):
        rotting.checkpoint()
    rotting.engine.rotten = []
    rotting.reopen()
    assert rotting("GET", "a") == b"2"
    assert rotting("SMISMEMBER", "set", "new", "m77", "m78") == [0, 0, 1]
    assert rotting.findings() == []


def test_what_waits_for_a_damaged_key_is_told_so(rotting: Rotting) -> None:
    rotting.batch([("SET", "list", 1), ("SET", "other", 1)])
    rotting.evict()
    rotting.engine.rotten = [b"list"]
    assert "damaged" in str(rotting("BLPOP", "list", 0))
    assert isinstance(rotting("RENAME", "other", "list"), CommandError)
    assert rotting("GET", "other") == b"1"


def test_expiry_passes_over_what_is_damaged(rotting: Rotting) -> None:
    rotting.batch([("SET", f"key{number}", number, "PX", 1000 + number) for number in range(100)])
    rotting.evict()
    rotting.reopen()
    rotting.engine.rotten = [b"key50"]
    rotting.clock.advance(5000)
    store = rotting.executor.store
    wait_for(lambda: store.expired == 99)
    assert rotting("DBSIZE") == 1
    rotting.engine.rotten = []
    assert rotting("EXISTS", "key50") == 0


def test_the_reclaimer_passes_over_what_is_damaged(rotting: Rotting) -> None:
    rotting.batch([("SADD", f"set{number}", *range(1000)) for number in range(3)])
    rotting.evict()
    store = rotting.executor.store
    rotting.engine.rotten = [b"m" + store.hash32(b"500") + b"500"]
    rotting.batch([("DEL", "set0"), ("DEL", "set1")])
    rotting.checkpoint()
    wait_for(lambda: not store.writer.reclaimer.pending())
    assert rotting("SCARD", "set2") == 1000
    rotting("SET", "goes on", 1)
    rotting.checkpoint()


def test_a_compaction_that_meets_damage_stops_writers_with_an_error_and_no_reader(tmp_path: Path, rotting: Rotting) -> None:
    rotting.executor.settings.set("checkpoint-log-size", "16kb")
    rotting("SET", "before", 1)
    rotting.engine.writes_fail = True
    payload = Random(1).randbytes(1000)
    acknowledged = {"before": b"1"}
    for number in range(300):
        with rotting.executor.store.lock:
            rotting.executor.store.wait_for_room()
        reply = rotting("SET", f"key{number}", payload)
        if reply is not OK:
            assert "MISCONF" in str(reply)
            assert "compaction met damage" in str(reply)
            break
        acknowledged[f"key{number}"] = payload
    else:
        raise AssertionError("no write was refused")
    assert rotting("GET", "before") == b"1"
    rotting.reopen()
    assert rotting("DBSIZE") == len(acknowledged)
    assert rotting("MGET", *acknowledged) == list(acknowledged.values())
    assert rotting("SET", "after", 1) is OK
