"""Fields that expire, against a plain reference under a manual clock, whatever happens to the store meanwhile."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from diskkv.errors import CommandError
from diskkv.replies import Simple
from diskkv.types import hashes
from diskkv.types.deadlines import WINDOW, Deadlines
from tests.support.contents import copy_of
from tests.support.runner import Runner

KEYS = ("h1", "h2", "h3")


class Reference:
    """key -> field -> [value, time or None]; `now` is moved along with the clock."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.keys: dict[str, dict[str, list[Any]]] = {}
        self.ends: dict[str, int] = {}

    def fields(self, key: str) -> dict[str, list[Any]]:
        if key in self.ends and self.ends[key] <= self.now:
            self.drop(key)
        found = self.keys.get(key, {})
        for field in [field for field, (_, when) in found.items() if when is not None and when <= self.now]:
            del found[field]
        if key in self.keys and not found:
            self.drop(key)
        return found

    def drop(self, key: str) -> None:
        self.keys.pop(key, None)
        self.ends.pop(key, None)

    def put(self, key: str, field: str, value: str, *, keep: bool = False) -> int:
        fields = self.fields(key)
        self.keys[key] = fields
        old = fields.get(field)
        fields[field] = [value, old[1] if keep and old else None]
        return old is None

    def expire(self, key: str, when: int, condition: str, names: list[str]) -> list[int]:
        fields = self.fields(key)
        replies = []
        for name in names:
            if name not in fields:
                replies.append(-2)
                continue
            old = fields[name][1]
            holds = {
                "": True, "NX": old is None, "XX": old is not None,
                "GT": old is not None and when > old, "LT": old is None or when < old,
            }[condition]  # fmt: skip
            if not holds:
                replies.append(0)
            elif when <= self.now:
                del fields[name]
                replies.append(2)
            else:
                fields[name][1] = when
                replies.append(1)
        self.fields(key)
        return replies


class Drive:
    """Does the same to a store and to the reference, and compares."""

    def __init__(self, run: Runner, seed: int, names: int) -> None:
        self.run = run
        self.rng = random.Random(seed)
        self.names = [f"f{number}" for number in range(names)]
        self.reference = Reference(run.clock())

    def some(self, most: int = 4) -> list[str]:
        return self.rng.sample(self.names, self.rng.randrange(1, min(most, len(self.names)) + 1))

    def value(self) -> str:
        return "v" * self.rng.choice((1, 5, 700)) if self.rng.random() < 0.2 else str(self.rng.randrange(1000))

    def step(self) -> None:
        rng, run, reference = self.rng, self.run, self.reference
        key = rng.choice(KEYS)
        fields = reference.fields(key)
        match rng.randrange(20):
            case 0 | 1 | 2:
                names = self.some(40)
                values = [self.value() for _ in names]
                expected = sum(reference.put(key, name, value) for name, value in zip(names, values, strict=True))
                assert run("HSET", key, *[word for pair in zip(names, values, strict=True) for word in pair]) == expected
            case 3 | 4 | 5:
                names = self.some(30)
                when = reference.now + rng.choice((-5, 0, 1, 2, 10, 50, 500, 5000))
                condition = rng.choice(("", "", "NX", "XX", "GT", "LT"))
                expected_list = reference.expire(key, when, condition, names)
                words = [condition] if condition else []
                assert run("HPEXPIREAT", key, when, *words, "FIELDS", len(names), *names) == expected_list
            case 6:
                names = self.some()
                there = [-2 if name not in fields else -1 if fields[name][1] is None else 1 for name in names]
                for name, state in zip(names, there, strict=True):
                    if state == 1:
                        fields[name][1] = None
                assert run("HPERSIST", key, "FIELDS", len(names), *names) == there
            case 7:
                names = self.some()
                expected_list = [fields[name][1] or -1 if name in fields else -2 for name in names]
                assert run("HPEXPIRETIME", key, "FIELDS", len(names), *names) == expected_list
            case 8:
                name = rng.choice(self.names)
                old = fields.get(name)
                if old is None or old[0].isdigit():
                    total = int(old[0]) + 3 if old else 3
                    reference.put(key, name, str(total), keep=True)
                    assert run("HINCRBY", key, name, 3) == total
                else:
                    assert isinstance(run("HINCRBYFLOAT", key, name, 3), CommandError)
            case 9:
                names = self.some()
                removed = sum(fields.pop(name, None) is not None for name in names)
                reference.fields(key)
                assert run("HDEL", key, *names) == removed
            case 10:
                names = self.some()
                values = [self.value() for _ in names]
                when = reference.now + rng.choice((1, 20, 700))
                for name, value in zip(names, values, strict=True):
                    reference.put(key, name, value)
                    reference.keys[key][name][1] = when
                pairs = [word for pair in zip(names, values, strict=True) for word in pair]
                assert run("HSETEX", key, "PXAT", when, "FIELDS", len(names), *pairs) == 1
            case 11:
                names = self.some()
                for name in names:
                    reference.put(key, name, "kept", keep=True)
                pairs = [word for name in names for word in (name, "kept")]
                assert run("HSETEX", key, "KEEPTTL", "FIELDS", len(names), *pairs) == 1
            case 12:
                names = self.some()
                expected_values = [fields[name][0].encode() if name in fields else None for name in names]
                reference.expire(key, reference.now + 30, "", names)
                assert run("HGETEX", key, "PX", 30, "FIELDS", len(names), *names) == expected_values
            case 13:
                names = self.some()
                expected_values = [fields.pop(name)[0].encode() if name in fields else None for name in names]
                reference.fields(key)
                assert run("HGETDEL", key, "FIELDS", len(names), *names) == expected_values
            case 14:
                target = rng.choice([other for other in KEYS if other != key])
                if fields:
                    reference.fields(target)
                    reference.drop(target)
                    reference.keys[target] = {name: list(entry) for name, entry in fields.items()}
                    if key in reference.ends:
                        reference.ends[target] = reference.ends[key]
                assert run("COPY", key, target, "REPLACE") == int(bool(fields))
            case 15:
                target = rng.choice([other for other in KEYS if other != key])
                if fields:
                    reference.drop(target)
                    reference.keys[target] = reference.keys.pop(key)
                    if key in reference.ends:
                        reference.ends[target] = reference.ends.pop(key)
                    run("RENAME", key, target)
            case 16 if fields and rng.random() < 0.2:
                reference.ends[key] = reference.now + 300
                assert run("PEXPIREAT", key, reference.now + 300) == 1
            case _:
                self.look(key)

    def look(self, key: str) -> None:
        run, fields = self.run, self.reference.fields(key)
        assert run("HLEN", key) == len(fields)
        assert dict(run("HGETALL", key)) == {name.encode(): value.encode() for name, (value, _) in fields.items()}
        assert run("EXISTS", key) == int(bool(fields))
        name = self.rng.choice(self.names)
        assert run("HGET", key, name) == (fields[name][0].encode() if name in fields else None)
        found, cursor = [], b"0"
        while True:
            cursor, part = run("HSCAN", key, cursor, "COUNT", 50, "NOVALUES")
            found += part
            if cursor == b"0":
                break
        assert sorted(found) == sorted(name.encode() for name in fields)
        drawn = run("HRANDFIELD", key, len(self.names))
        assert sorted(drawn) == sorted(found)

    def pass_time(self, ms: int) -> None:
        self.run.clock.advance(ms)
        self.reference.now += ms


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("names", [6, 60, 400])
def test_against_a_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, names: int) -> None:
    if seed % 2:
        monkeypatch.setattr("diskkv.types.deadlines.WINDOW", 20)
        monkeypatch.setattr("diskkv.types.members.GATHER_COUNT", 10)
    drive = Drive(Runner(tmp_path / "store", maxmemory="1mb"), seed, names)
    run, rng = drive.run, drive.rng
    for number in range(350):
        drive.step()
        match rng.randrange(25):
            case 0:
                run.evict()
            case 1:
                run.checkpoint()
            case 2 if number % 3 == 0:
                run.reopen()
            case 3 | 4 | 5:
                drive.pass_time(rng.choice((1, 2, 10, 100)))
            case 6:
                for key in KEYS:
                    value = run.executor.store.databases[0].objects.get(key.encode())
                    if isinstance(value, hashes.Hash) and value.oid:
                        value._let_go()
            case 7:
                assert run.findings() == []
    for key in KEYS:
        drive.look(key)
    assert run.findings() == []
    drive.pass_time(10_000)
    for key in KEYS:
        drive.look(key)
    assert run.findings() == []
    run.close()


def test_replay_long_after_the_time(tmp_path: Path) -> None:
    """What was logged is replayed by its own time; what has expired meanwhile expires afterwards."""
    run = Runner(tmp_path / "store")
    run("HSET", "h", "a", 1, "b", 2, "c", 3)
    run("HPEXPIRE", "h", 50, "FIELDS", 1, "a")
    run("HINCRBY", "h", "a", 5)
    run("HSETEX", "h", "PX", 60, "FIELDS", 1, "b", 7)
    run("HINCRBYFLOAT", "h", "b", "0.5")
    run("HPERSIST", "h", "FIELDS", 1, "a")
    run("HPEXPIRE", "whole", 10, "FIELDS", 1, "x")
    run("HSETEX", "whole", "PX", 10, "FIELDS", 1, "x", 1)
    copy = tmp_path / "copy"
    copy_of(tmp_path / "store", copy)
    run.close()
    run.clock.advance(1_000_000)
    late = Runner(copy, clock=run.clock)
    assert late("HGETALL", "h") == {b"a": b"6", b"c": b"3"}
    assert late("HPTTL", "h", "FIELDS", 3, "a", "b", "c") == [-1, -2, -1]
    assert late("EXISTS", "whole") == 0
    assert late.findings() == []
    late.close()


def test_changes_while_a_checkpoint_is_frozen(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    names = [f"f{number}" for number in range(400)]
    run("HSET", "h", *[word for name in names for word in (name, 1)])
    run("HPEXPIRE", "h", 100, "FIELDS", 200, *names[:200])
    run.evict()
    run("HPEXPIRE", "h", 200, "FIELDS", 100, *names[:100])
    store = run.executor.store
    with store.lock:
        store.writer.freeze()
        replies = run("HPERSIST", "h", "FIELDS", 50, *names[:50]), run("HDEL", "h", *names[50:60]), run("HSET", "h", names[60], "new")
    assert replies == ([1] * 50, 10, 0)
    assert run.findings() == []
    run.reopen()
    assert run.findings() == []
    run.clock.advance(100)
    assert run("HLEN", "h") == 400 - 10 - 100
    run.clock.advance(100)
    assert run("HLEN", "h") == 400 - 10 - 100 - 39
    assert run("HPTTL", "h", "FIELDS", 2, names[0], names[60]) == [-1, -1]
    assert run.findings() == []
    run.close()


def test_active_expiry_costs_what_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large hash that is on disk only what expires is read, and a window of deadlines."""
    monkeypatch.setattr("diskkv.types.deadlines.WINDOW", 50)
    run = Runner(tmp_path / "store", maxmemory="1mb")
    for start in range(0, 20_000, 1000):
        run("HSET", "h", *[word for number in range(start, start + 1000) for word in (f"f{number}", "x" * 20)])
        for number in range(start, start + 1000, 10):
            run("HPEXPIRE", "h", 1000 + number, "FIELDS", 1, f"f{number}")
        run.checkpoint()
    run.evict()
    run.clock.advance(1000 + 100)
    store = run.executor.store
    with store.lock:
        store.tick()
        while store.expiry.due(store.now, 3):
            pass
        store.commit()
        value = store.databases[0].objects[b"h"]
        assert isinstance(value, hashes.TimedHash)
        assert len(value.resident) < 100
        deadlines: Deadlines = value.deadlines
        assert len(deadlines.heap) <= 4 * 50
    assert run("HLEN", "h") == 20_000 - 11
    assert store.expired_parts == 11
    assert run.findings() == []
    run.close()


def test_a_hash_of_which_no_field_expires_any_more_is_as_before(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    for count in (3, 300):
        run("HSET", "h", *[word for number in range(count) for word in (f"f{number}", 1)])
        assert run("HEXPIRE", "h", 10, "FIELDS", 1, "f1") == [1]
        objects = run.executor.store.databases[0].objects
        assert type(objects[b"h"]) is hashes.TimedHash
        assert run("HSET", "h", "f1", 2) == 0
        assert run("HTTL", "h", "FIELDS", 1, "f1") == [-1]
        run.checkpoint()
        run.evict()
        assert run("HGET", "h", "f1") == b"2"
        assert type(run.executor.store.databases[0].objects[b"h"]) is hashes.Hash
        run("DEL", "h")
    run.close()


def test_a_key_without_fields_is_not_seen(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    run("HSETEX", "h", "PX", 10, "FIELDS", 2, "a", 1, "b", 2)
    run("SET", "s", 1)
    run.clock.advance(10)
    with run.executor.store.lock:
        assert run("KEYS", "*") == [b"s"]
        assert run("DBSIZE") == 1
        assert run("TYPE", "h") == Simple(b"none")
        assert run("SET", "h", 1, "NX") == Simple(b"OK")
    run.close()


def test_dump_and_restore_keep_the_times(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store", maxmemory="1mb")
    for count in (5, 2000):
        run("HSET", "h", *[word for number in range(count) for word in (f"f{number}", number)])
        for number in range(0, count, 2):
            run("HPEXPIRE", "h", 100 + number, "FIELDS", 1, f"f{number}")
        run.evict()
        run("HPERSIST", "h", "FIELDS", 1, "f2")
        run("HSETEX", "h", "PX", 50, "FIELDS", 1, "f1", "new")
        raw = run("DUMP", "h")
        assert run("RESTORE", "copy", 0, raw, "REPLACE") == Simple(b"OK")
        assert run("HGETALL", "copy") == run("HGETALL", "h")
        names = [f"f{number}" for number in range(count)]
        assert run("HPTTL", "copy", "FIELDS", count, *names) == run("HPTTL", "h", "FIELDS", count, *names)
        run.reopen()
        assert run("HPTTL", "copy", "FIELDS", count, *names) == run("HPTTL", "h", "FIELDS", count, *names)
        assert run.findings() == []
        run("DEL", "h")
    run.close()


def test_many_fields_of_one_time_are_not_sorted_for_each(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    shrinks = 0
    real = Deadlines._shrink

    def counted(self: Deadlines) -> None:
        nonlocal shrinks
        shrinks += 1
        real(self)

    monkeypatch.setattr(Deadlines, "_shrink", counted)
    fields = [f"f{number}" for number in range(20 * WINDOW)]
    run("HSET", "h", *[word for field in fields for word in (field, "v")])
    run("HPEXPIRE", "h", 5000, "FIELDS", len(fields), *fields)
    assert 0 < shrinks < 10
    run("HPEXPIRE", "h", 1000, "FIELDS", 1, "f7")
    run.clock.advance(1000)
    assert (run("HLEN", "h"), run("HEXISTS", "h", "f7")) == (len(fields) - 1, 0)
    run.clock.advance(4000)
    assert run("EXISTS", "h") == 0
