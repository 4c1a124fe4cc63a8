"""A store of which a table is damaged, under writers: they go on, and what was lost is told from what was never there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from diskkv.engine.leveldb.healing import file_of
from diskkv.engine.leveldb.losses import NAMES
from diskkv.engine.leveldb.manifest import live_tables
from diskkv.engine.leveldb.tables import TableFile
from diskkv.errors import CommandError, Damaged, StoreError
from diskkv.repair import repair
from diskkv.replies import OK
from diskkv.store import writer
from tests.crash.test_damage import wait_for
from tests.support.runner import Runner

SMALL = {f"small:{number:05d}": f"value of {number} " * 5 for number in range(1500)}
FIELDS = {f"field:{number}": f"value of {number} " * 5 for number in range(1500)}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.002)


def injured(path: Path, within: bytes) -> None:
    """A store in which a block of records whose keys contain something is damaged."""
    run = Runner(path)
    keys, fields = ([word for pair in pairs.items() for word in pair] for pairs in (SMALL, FIELDS))
    run.batch([("MSET", *keys), ("HSET", "hash", *fields)])
    run.checkpoint()
    run.executor.store.engine.compact(b"", b"\xff")
    # What is newer than the table is there still.
    run.batch([("SET", key, value) for key, value in SMALL.items() if key.endswith("7")])
    run.batch([("HSET", "hash", field, value) for field, value in FIELDS.items() if field.endswith("7")])
    run.close()
    for table in sorted((live_tables(str(path / "tree")) or {}).values(), key=lambda table: -table.size)[:1]:
        file = Path(file_of(str(path / "tree"), table.number))
        with TableFile(str(file), table.size) as opened:
            places = [place for place in opened.index(table) if all(within in key for key, _ in opened.entries(place))]
        if len(places) > 2:
            data = bytearray(file.read_bytes())
            data[places[1].offset + 10] ^= 4
            file.write_bytes(data)
            return
    raise AssertionError("no such table")


@pytest.fixture(params=[b"small:", b"field:"], ids=["keys", "fields"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runner]:
    """A store that has met the damage under its writers, none of whom was refused."""
    injured(tmp_path / "store", request.param)
    run = Runner(tmp_path / "store", checkpoint_log_size="16kb", maxmemory="1mb")
    random = Random(1)
    for number in range(20_000):
        assert run("SET", f"other:{random.random()}", random.randbytes(500)) is OK
        if not number % 500 and run.executor.store.engine.noted_losses():
            break
        if not number % 500:
            # Both ends, so that whatever is compacted meets what lies between.
            run("SET", "a", number)
            run("SET", "z", number)
            run("HSET", "hash", "new", number)
            run.executor.store.writer.reclaimer.compact_all()
    assert run.executor.store.engine.noted_losses()
    run.checkpoint()
    run.evict()
    yield run
    run.close()


def damaged(reply: Any) -> bool:
    return isinstance(reply, CommandError) and "damaged" in str(reply)


def lost_in(run: Runner) -> tuple[list[str], list[str]]:
    """The keys and the fields that can't be read; the others are right."""
    keys, fields = [], []
    for key, value in SMALL.items():
        reply = run("GET", key)
        assert damaged(reply) or reply == value.encode(), key
        if damaged(reply):
            keys.append(key)
    for field, value in FIELDS.items():
        reply = run("HGET", "hash", field)
        assert damaged(reply) or reply == value.encode(), field
        if damaged(reply):
            fields.append(field)
    assert 10 < len(keys) + len(fields) < 300 and not (keys and fields)
    return keys, fields


def in_peace(run: Runner) -> None:
    """Nothing is lost that anybody may ask for."""
    store = run.executor.store
    run.checkpoint()
    wait_for(lambda: not store.writer.reclaimer.pending())
    assert list(store.engine.holes()) == []
    assert run.findings() == []


def test_writers_go_on_and_what_is_lost_is_an_error(run: Runner) -> None:
    keys, fields = lost_in(run)
    assert all(finding.severity == "damage" for finding in run.findings())
    assert any("are lost" in finding.what for finding in run.findings())
    assert damaged(run("KEYS", "*") if keys else run("HGETALL", "hash"))
    assert run("HLEN", "hash") == len(FIELDS) + 1
    run.reopen()
    assert lost_in(run) == (keys, fields)
    for number, key in enumerate(keys):
        assert run("SET", key, "new") is OK if number % 2 else run("DEL", key) == 1
    run.evict()
    run.reopen()
    for number, key in enumerate(keys):
        assert run("GET", key) == (b"new" if number % 2 else None)
    if fields:
        assert run("DEL", "hash") == 1
    else:
        assert run("FLUSHDB") is OK
    in_peace(run)
    # Neither is there anything left that stood for what was deleted.
    assert list(run.executor.store.engine.scan_keys(*((b"D", b"E") if fields else (b"M", b"N")))) == []
    run.reopen()
    assert run("HLEN", "hash") == 0
    in_peace(run)


def test_without_a_key_nothing_of_what_was_lost_matters(tmp_path: Path) -> None:
    """Also not of what was dead before."""
    injured(tmp_path / "store", b"field:")
    run = Runner(tmp_path / "store", maxmemory="1mb")
    engine = run.executor.store.engine
    assert run("DEL", "hash") == 1
    run.checkpoint()
    wait_for(lambda: not run.executor.store.writer.reclaimer.pending())
    assert not engine.noted_losses()
    for number in range(2000):
        run("SET", "a", number)
        run("SET", "z", number)
        with contextlib.suppress(StoreError):
            run.checkpoint()
        run.executor.store.writer.reclaimer.compact_all()
        if engine.noted_losses():
            break
        time.sleep(0.002)
    assert list(engine.holes())
    assert run("FLUSHALL") is OK
    in_peace(run)
    run.close()


def test_a_repair_leaves_out_what_is_lost(run: Runner, tmp_path: Path) -> None:
    keys, fields = lost_in(run)
    run.executor.store.close()
    outcome = repair(str(tmp_path / "store"), str(tmp_path / "new"))
    assert outcome.unnamed + len(outcome.lost) == len(keys)
    assert any("bytes at" in line for line in outcome.damage)
    saved = Runner(tmp_path / "new")
    for key, value in SMALL.items():
        assert saved("GET", key) == (None if key in keys else value.encode())
    for field, value in FIELDS.items():
        assert saved("HGET", "hash", field) == (None if field in fields else value.encode())
    assert saved.findings() == []
    saved.close()
    run._open()


def test_a_store_whose_notes_are_gone_is_refused(run: Runner, tmp_path: Path) -> None:
    run.executor.store.close()
    kept = {name: (tmp_path / "store" / "tree" / name).read_bytes() for name in NAMES}
    for name in NAMES:
        (tmp_path / "store" / "tree" / name).unlink()
    with pytest.raises(Damaged, match="which records are lost"):
        run._open()
    for name, data in kept.items():
        (tmp_path / "store" / "tree" / name).write_bytes(data)
    run._open()
    lost_in(run)


def test_what_a_store_is_known_by_is_written_anew(tmp_path: Path) -> None:
    """Without its seed it would not open; what lost it was a table's last block."""
    run = Runner(tmp_path / "store")
    run("MSET", *(word for pair in SMALL.items() for word in pair))
    run("FUNCTION", "LOAD", "#!lua name=known\nredis.register_function('f', function() return 'called' end)")
    run.checkpoint()
    store = run.executor.store
    store.engine.compact(b"", b"\xff")
    tables = (live_tables(str(tmp_path / "store" / "tree")) or {}).values()
    for table in tables:
        if table.high > b"X":
            file = Path(file_of(str(tmp_path / "store" / "tree"), table.number))
            with TableFile(str(file), table.size) as opened:
                last = opened.index(table)[-1]
            with file.open("r+b") as handle:
                handle.seek(last.offset)
                handle.write(b"damaged")
    for number in range(5):
        run("SET", "small:00001", number)
        with contextlib.suppress(StoreError):
            run.checkpoint()
        with contextlib.suppress(StoreError):
            store.engine.compact(b"", b"\xff")
    wait_for(store.engine.noted_losses)
    run("SET", "small:00001", "written")
    run.checkpoint()
    run.reopen()
    store = run.executor.store
    assert run("GET", "small:00001") == b"written"
    assert run("FCALL", "f", 0) == b"called"
    assert all(high is not None and high <= b"X" for _, _, _, _, high in store.engine.holes())
    assert sum(damaged(run("GET", key)) for key in SMALL) < 100
    run.close()
