"""Files that LevelDB deletes: held until there is time, and not for longer."""

import os
import weakref
from pathlib import Path

import pytest

from diskkv.cli.serve import FILES_OF_OUR_OWN
from diskkv.engine.leveldb import LevelEngine, holding
from diskkv.engine.leveldb.holding import Holding


def open_files(path: Path) -> list[str]:
    """What this process has open in a directory; of a deleted file the name says so."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
        if name.startswith(f"{path}/"):
            found.append(name)
    return found


def deleted(path: Path) -> list[str]:
    return [name for name in open_files(path) if name.endswith(" (deleted)")]


def fill(engine: LevelEngine, value: bytes) -> None:
    batch = engine.batch(sync=True)
    for number in range(2000):
        batch.put(b"%04d" % number, value)
    engine.write(batch)


def test_what_a_compaction_deletes_is_let_go_when_there_is_time(tmp_path: Path) -> None:
    path = tmp_path / "tree"
    engine = LevelEngine(str(path), block_cache=1 << 20, write_buffer=64 << 10)
    for value in (b"a" * 1000, b"b" * 1000, b"c" * 1000):
        fill(engine, value)
        engine.compact(b"", b"\xff")
        engine.confirm()
    engine.get(b"absent")
    engine.confirm()
    assert deleted(path)
    engine.tidy()
    assert not deleted(path)
    assert engine.get(b"1999") == b"c" * 1000
    engine.close()
    assert not open_files(path)


def test_what_was_there_before_is_held_too(tmp_path: Path) -> None:
    path = tmp_path / "tree"
    engine = LevelEngine(str(path), block_cache=1 << 20, write_buffer=64 << 10)
    fill(engine, b"a" * 1000)
    engine.compact(b"", b"\xff")
    engine.close()
    engine = LevelEngine(str(path), block_cache=1 << 20, write_buffer=64 << 10)
    engine.tidy()
    held = set(open_files(path))
    assert all(str(path / name) in held for name in os.listdir(path) if name.endswith(".ldb"))
    fill(engine, b"b" * 1000)
    engine.compact(b"", b"\xff")
    engine.get(b"absent")
    engine.confirm()
    assert deleted(path)
    engine.tidy()
    assert not deleted(path)
    engine.close()


def test_no_more_than_a_part_of_the_descriptors_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MOST", 3)
    monkeypatch.setattr(holding, "_all", weakref.WeakSet())
    for number in range(8):
        (tmp_path / f"{number:06d}.ldb").write_bytes(b"x")
    (tmp_path / "CURRENT").write_bytes(b"x")
    files = Holding(str(tmp_path))
    for name in files.there():
        files.written(name)
    assert sorted(map(os.path.basename, open_files(tmp_path))) == ["000005.ldb", "000006.ldb", "000007.ldb"]
    (tmp_path / "000008.log").write_bytes(b"x")
    for name in ("000008.log", "CURRENT", "there-is-none.ldb"):
        files.written(name)
    assert sorted(map(os.path.basename, open_files(tmp_path))) == ["000006.ldb", "000007.ldb", "000008.log"]
    (tmp_path / "000007.ldb").unlink()
    files.deleted("000007.ldb")
    files.deleted("there-is-none.ldb")
    files.let_go()
    assert sorted(map(os.path.basename, open_files(tmp_path))) == ["000006.ldb", "000008.log"]
    files.close()
    assert not open_files(tmp_path)


def test_all_stores_of_a_process_share_that_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MOST", 12)
    monkeypatch.setattr(holding, "_all", weakref.WeakSet())
    stores = []
    for store in range(6):
        path = tmp_path / str(store)
        path.mkdir()
        for number in range(20):
            (path / f"{number:06d}.ldb").write_bytes(b"x")
        stores.append(Holding(str(path)))
        for name in stores[-1].there():
            stores[-1].written(name)
    for store, files in enumerate(stores):
        (tmp_path / str(store) / "000020.ldb").write_bytes(b"x")
        files.written("000020.ldb")
        assert len(open_files(tmp_path / str(store))) == 2
    for files in stores[1:]:
        files.close()
    for name in stores[0].there():
        stores[0].written(name)
    assert len(open_files(tmp_path)) == 12
    stores[0].close()


def test_what_waits_to_be_let_go_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MOST", 5)
    monkeypatch.setattr(holding, "_all", weakref.WeakSet())
    files = Holding(str(tmp_path))
    for number in range(50):
        name = f"{number:06d}.ldb"
        (tmp_path / name).write_bytes(b"x")
        files.written(name)
        (tmp_path / name).unlink()
        files.deleted(name)
        assert len(open_files(tmp_path)) <= 5
    files.let_go()
    assert not open_files(tmp_path)
    files.close()


def test_the_newest_of_more_than_a_million_are_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MOST", 2)
    monkeypatch.setattr(holding, "_all", weakref.WeakSet())
    for number in range(999_997, 1_000_002):
        (tmp_path / f"{number:06d}.ldb").write_bytes(b"x")
    assert Holding(str(tmp_path)).there() == ["1000000.ldb", "1000001.ldb"]


def test_beside_those_of_leveldb_it_leaves_room_to_a_server_full_of_clients() -> None:
    own_tables = 490
    others = 100
    assert holding.MOST + own_tables + others <= FILES_OF_OUR_OWN
