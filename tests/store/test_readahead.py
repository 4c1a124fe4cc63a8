"""What a replay reads ahead, and what it leaves to be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from diskkv.engine.memory import MemoryEngine
from diskkv.errors import Damaged
from diskkv.store import readahead
from diskkv.store.readahead import PART, RECORD, ReadAhead
from tests.support.contents import copy_of
from tests.support.runner import Runner

PREFIX = b"Mxxxx"


class Counting(MemoryEngine):
    """An engine that counts what it is asked for, may be damaged from a key on, and may have noted losses."""

    asked = scans = 0
    damaged = b"\xff"
    losses = False

    def get(self, key: bytes) -> bytes | None:
        self.asked += 1
        return super().get(key)

    def scan(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        self.scans += 1
        for key, value in super().scan(start, stop, reverse=reverse):
            if key >= self.damaged:
                raise Damaged("a block")
            yield key, value

    def noted_losses(self) -> bool:
        return self.losses


def filled(count: int) -> Counting:
    engine = Counting()
    batch = engine.batch()
    for number in range(count):
        batch.put(PREFIX + b"%d" % number, b"value %d" % number)
    batch.put(b"N", b"another prefix")
    engine.write(batch)
    return engine


def look_up(engine: Counting, count: int, room: int = 1 << 20) -> None:
    ahead = ReadAhead(engine, room)
    for number in range(count):
        assert ahead.get(PREFIX, b"%d" % number, count) == b"value %d" % number
        assert ahead.get(PREFIX, b"no %d" % number, count) is None


def test_all_is_read_when_a_part_has_been_asked_for() -> None:
    engine = filled(1000)
    look_up(engine, 1000)
    # What is absent is asked for each time.
    assert (engine.asked, engine.scans) == (1000 // PART + 1000, 1)


def test_of_too_many_nothing_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readahead, "MOST", 999)
    engine = filled(1000)
    look_up(engine, 1000)
    assert (engine.asked, engine.scans) == (2000, 0)


def test_no_more_is_read_than_there_is_room_for() -> None:
    engine = filled(1000)
    look_up(engine, 1000, room=1000 + 50 * RECORD)
    assert engine.scans == 1 and 1900 < engine.asked < 2000


def test_there_is_never_room_for_more_than_a_bounded_time_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readahead, "ROOM", 100 * (RECORD + 20))
    engine = filled(1000)
    look_up(engine, 1000, room=1 << 40)
    assert engine.scans == 1 and 1850 < engine.asked < 2000


def test_what_cannot_be_read_is_asked_for() -> None:
    engine = filled(1000)
    engine.damaged = PREFIX + b"5"
    look_up(engine, 1000)
    assert engine.scans == 1 and 1500 < engine.asked < 1700


def test_where_records_are_lost_each_is_asked_for() -> None:
    engine = filled(1000)
    engine.losses = True
    look_up(engine, 1000)
    assert (engine.asked, engine.scans) == (2000, 0)


def test_a_replay_of_many_keys_and_members_ends_where_it_was(tmp_path: Path) -> None:
    """With commands that ask for what was there before, was deleted, has expired, and was never there."""
    run = Runner(tmp_path / "store")
    for number in range(1000):
        run("SET", f"key {number}", number)
        run("HSET", "hash", number, number)
        run("ZADD", "zset", number, number)
        run("SADD", "set", number)
    run.checkpoint()
    for number in range(0, 1000, 2):
        run("INCR", f"key {number}")
        run("HINCRBY", "hash", number, 1)
        run("ZINCRBY", "zset", 1, number)
        run("SMOVE", "set", "other", number)
        if number % 10 == 0:
            run("DEL", f"key {number}")
            run("INCR", f"key {number}")
            run("HDEL", "hash", number, number + 1)
            run("ZREM", "zset", number + 1, "nobody")
            run("PEXPIRE", f"key {number + 1}", 1000)
    copy = Runner(copy_of(tmp_path / "store", tmp_path / "copy"))
    assert copy.executor.store.readahead is None
    questions = [["DBSIZE"], ["HLEN", "hash"], ["ZCARD", "zset"], ["SCARD", "set"], ["ZRANGE", "zset", 0, -1, "WITHSCORES"]]
    questions += [["GET", f"key {number}"] for number in range(1000)] + [["HGET", "hash", number] for number in range(1000)]
    for question in questions:
        assert copy(*question) == run(*question)
    copy.close()
    run.close()
