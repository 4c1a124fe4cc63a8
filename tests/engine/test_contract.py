"""What every engine promises, held against every engine there is, plain and inside the wrappers that other tests use."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import diskkv.engine
from diskkv.engine import Engine, open_engine
from diskkv.errors import StoreError
from tests.support.engines import Around, Mirror, Spy

# An engine is a module that can be opened; what engines share has no `open`.
SCHEMES = [
    module.name
    for module in pkgutil.iter_modules(diskkv.engine.__path__)
    if hasattr(importlib.import_module(f"diskkv.engine.{module.name}"), "open")
]
WRAPPERS = {"plain": None, "around": Around, "spy": Spy}


@pytest.fixture(params=[(scheme, wrapper) for scheme in SCHEMES for wrapper in WRAPPERS], ids="-".join)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    scheme, name = request.param
    opened = open_engine(f"{scheme}:{tmp_path / 'engine'}")
    wrapper = WRAPPERS[name]
    wrapped: Engine = wrapper(opened) if wrapper is not None else opened
    yield wrapped
    wrapped.close()


def put(engine: Engine, **records: str) -> None:
    batch = engine.batch()
    for key, value in records.items():
        batch.put(key.encode(), value.encode())
    engine.write(batch)


def test_there_are_engines() -> None:
    assert {"leveldb", "memory"} <= set(SCHEMES)


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(StoreError, match="no such engine"):
        open_engine("nothing:here")


def test_what_it_takes_is_counted_while_its_files_come_and_go(engine: Engine) -> None:
    stop = threading.Event()

    def rewrite() -> None:
        while not stop.is_set():
            put(engine, a="x" * 100_000, b="y")
            engine.compact(b"", b"\xff")

    writing = threading.Thread(target=rewrite)
    writing.start()
    try:
        assert all(engine.statistics().get("disk_bytes", 0) >= 0 for _ in range(3_000))
    finally:
        stop.set()
        writing.join()


def test_get_sees_what_was_written(engine: Engine) -> None:
    assert engine.get(b"a") is None
    put(engine, a="1", b="")
    assert (engine.get(b"a"), engine.get(b"b"), engine.get(b"c")) == (b"1", b"", None)


def test_nothing_of_a_batch_is_there_before_it_is_written(engine: Engine) -> None:
    batch = engine.batch(sync=True)
    batch.put(b"a", b"1")
    assert engine.get(b"a") is None
    engine.write(batch)
    assert engine.get(b"a") == b"1"


def test_a_snapshot_stays_as_it_was(engine: Engine) -> None:
    put(engine, a="1", b="2", c="3")
    snapshot = engine.snapshot()
    batch = engine.batch()
    batch.delete(b"a")
    batch.put(b"b", b"new")
    batch.put(b"d", b"4")
    engine.write(batch)
    for _ in range(2):
        assert (snapshot.get(b"a"), snapshot.get(b"b"), snapshot.get(b"d")) == (b"1", b"2", None)
        assert list(snapshot.scan(b"")) == [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]
        assert list(snapshot.scan_keys(b"a", b"c", reverse=True)) == [b"b", b"a"]
        assert snapshot.approximate_size(b"a", b"z") >= 0
        engine.compact(b"", b"z")
    snapshot.close()
    assert list(engine.scan_keys(b"")) == [b"b", b"c", b"d"]


def test_later_operations_in_a_batch_win(engine: Engine) -> None:
    batch = engine.batch()
    batch.put(b"a", b"1")
    batch.delete(b"a")
    batch.delete(b"b")
    batch.put(b"b", b"2")
    engine.write(batch)
    assert (engine.get(b"a"), engine.get(b"b")) == (None, b"2")


def test_scans_are_in_byte_order_within_bounds(engine: Engine) -> None:
    batch = engine.batch()
    keys = [b"", b"\0", b"a", b"a\0", b"ab", b"b", b"\xff", b"\xff\xff"]
    for key in reversed(keys):
        batch.put(key, key + b"!")
    engine.write(batch)
    assert list(engine.scan_keys(b"")) == keys
    assert list(engine.scan_keys(b"a", b"b")) == [b"a", b"a\0", b"ab"]
    assert list(engine.scan_keys(b"a", b"b", reverse=True)) == [b"ab", b"a\0", b"a"]
    assert list(engine.scan(b"b")) == [(b"b", b"b!"), (b"\xff", b"\xff!"), (b"\xff\xff", b"\xff\xff!")]
    assert list(engine.scan(b"b", reverse=True)) == [(b"\xff\xff", b"\xff\xff!"), (b"\xff", b"\xff!"), (b"b", b"b!")]
    assert list(engine.scan_keys(b"c", b"d")) == []


def test_a_reverse_scan_finds_a_lone_record_at_its_start(engine: Engine) -> None:
    put(engine, a="1", b="2", c="3")
    assert list(engine.scan_keys(b"b", b"c", reverse=True)) == [b"b"]


def test_a_scan_sees_nothing_that_is_written_while_it_runs(engine: Engine) -> None:
    put(engine, a="1", c="3", d="4")
    scan = engine.scan(b"")
    assert next(scan) == (b"a", b"1")
    put(engine, b="2", c="new")
    batch = engine.batch()
    batch.delete(b"d")
    engine.write(batch)
    assert list(scan) == [(b"c", b"3"), (b"d", b"4")]
    assert list(engine.scan_keys(b"")) == [b"a", b"b", b"c"]


def test_sizes_and_compaction_and_figures(engine: Engine) -> None:
    put(engine, **{f"k{number}": "v" * 100 for number in range(100)})
    assert engine.approximate_size(b"x", b"y") == 0
    assert engine.approximate_size(b"", b"\xff") >= 0
    engine.compact(b"", b"\xff")
    assert len(list(engine.scan_keys(b""))) == 100
    assert {"disk_bytes", "memory_bytes"} <= set(engine.statistics())


def test_reopening_keeps_what_was_written(engine: Engine) -> None:
    put(engine, a="1")
    engine.reopen()
    assert engine.get(b"a") == b"1"
    put(engine, b="2")
    assert list(engine.scan_keys(b"")) == [b"a", b"b"]


def test_leveldb_keeps_what_was_written_when_closed(tmp_path: Path) -> None:
    engine = open_engine(f"leveldb:{tmp_path / 'engine'}")
    put(engine, a="1")
    engine.close()
    with pytest.raises(StoreError):
        engine.get(b"a")
    engine = open_engine(f"leveldb:{tmp_path / 'engine'}")
    assert engine.get(b"a") == b"1"
    engine.close()


RECORDS = st.lists(st.tuples(st.binary(max_size=3), st.one_of(st.none(), st.binary(max_size=3))), max_size=20)


@settings(max_examples=50)
@given(st.lists(RECORDS, max_size=5), st.binary(max_size=2), st.one_of(st.none(), st.binary(max_size=2)), st.integers(0, 5))
def test_leveldb_and_memory_agree(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[bytes, bytes | None]]], low: bytes, high: bytes | None, count: int
) -> None:
    path = tmp_path_factory.mktemp("mirror") / "engine"
    mirror = Mirror(open_engine(f"leveldb:{path}"), open_engine("memory:"))
    for records in batches:
        batch = mirror.batch()
        for key, value in records:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        mirror.write(batch)
        for reverse in (False, True):
            assert list(islice(mirror.scan(low, high, reverse=reverse), count)) == list(mirror.scan(low, high, reverse=reverse))[:count]
        mirror.get(low)
    mirror.close()
