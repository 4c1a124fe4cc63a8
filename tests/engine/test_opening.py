"""What LevelDB has to do when it is opened: little, however much the last checkpoint has written."""

import shutil
import time
from pathlib import Path
from typing import Any

import plyvel
import pytest

from diskkv.engine.leveldb import LevelEngine
from diskkv.errors import Damaged, StoreError

BUFFER = 256 << 10


def fill(engine: LevelEngine, rows: int, value: bytes) -> None:
    batch = engine.batch(sync=True)
    for number in range(rows):
        batch.put(b"%06d" % number, value)
    engine.write(batch)


def wait_for_table(path: Path) -> None:
    """Until LevelDB has made one of what it had in its log."""
    patience = time.monotonic() + 60
    while unsorted_bytes(path) > BUFFER:
        assert time.monotonic() < patience
        time.sleep(0.01)


def unsorted_bytes(path: Path) -> int:
    """How large the logs are that LevelDB makes tables of when it is opened."""
    return sum(file.stat().st_size for file in path.glob("*.log"))


def test_a_large_batch_does_not_wait_for_the_next_to_become_a_table(tmp_path: Path) -> None:
    path = tmp_path / "tree"
    engine = LevelEngine(str(path), block_cache=1 << 20, write_buffer=BUFFER)
    for value in (b"a" * 300, b"b" * 300):
        fill(engine, 10_000, value)
        assert unsorted_bytes(path) > 10 * BUFFER
        engine.tidy()
        wait_for_table(path)
    # As a crash leaves it.
    shutil.copytree(path, tmp_path / "copy")
    engine.close()
    copy = LevelEngine(str(tmp_path / "copy"), block_cache=1 << 20, write_buffer=BUFFER)
    assert len(list(copy.scan(b""))) == 10_000 and copy.get(b"009999") == b"b" * 300
    copy.close()


def test_small_batches_make_a_table_when_they_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "tree"
    engine = LevelEngine(str(path), block_cache=1 << 20, write_buffer=BUFFER)
    for _ in range(20):
        fill(engine, 10, b"c")
        engine.tidy()
    assert not list(path.glob("*.ldb")) and len(list(path.glob("*.log"))) == 1
    for _ in range(20):
        fill(engine, 100, b"d" * 300)
        engine.tidy()
    wait_for_table(path)
    engine.close()


def test_when_the_power_goes_before_the_directory_has_the_new_names(tmp_path: Path) -> None:
    """The manifest may tell of a table and a log that are not there: what they came of still is."""
    path, copy = tmp_path / "tree", tmp_path / "copy"
    engine = LevelEngine(str(path), block_cache=1 << 20, write_buffer=BUFFER)
    fill(engine, 10_000, b"a" * 300)
    shutil.copytree(path, copy)
    engine.tidy()
    wait_for_table(path)
    manifest = (path / "CURRENT").read_text().strip()
    before = (copy / manifest).stat().st_size
    shutil.copy(path / manifest, copy / manifest)
    assert (copy / manifest).stat().st_size > before
    engine.close()
    engine = LevelEngine(str(copy), block_cache=1 << 20, write_buffer=BUFFER)
    assert len(list(engine.scan(b""))) == 10_000
    engine.close()


class Full:
    """A LevelDB for whose next batch there is no room."""

    def __init__(self, db: Any) -> None:
        self._db = db

    def write_batch(self, **options: Any) -> Any:
        return self

    def write(self) -> None:
        raise plyvel.IOError(b"no room")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def test_when_there_is_no_room_for_it_nothing_is_written_behind_what_may_be_half_a_record(tmp_path: Path) -> None:
    engine = LevelEngine(str(tmp_path / "tree"), block_cache=1 << 20, write_buffer=BUFFER)
    fill(engine, 10_000, b"a" * 300)
    real, engine._db = engine._db, Full(engine._db)
    engine.tidy()
    engine._db = real
    batch = engine.batch(sync=True)
    batch.put(b"more", b"b")
    for _ in range(2):
        with pytest.raises(StoreError, match="no room"):
            engine.write(batch)
    assert engine.get(b"more") is None and engine.get(b"000099") == b"a" * 300
    engine.reopen()
    fill(engine, 200, b"b")
    assert engine.get(b"000199") == b"b"
    engine.close()


def test_what_may_be_half_a_record_and_a_missing_table_are_too_much(tmp_path: Path) -> None:
    """LevelDB would have to be opened anew, and does not open."""
    path = tmp_path / "tree"
    engine = LevelEngine(str(path), block_cache=1 << 20, write_buffer=BUFFER)
    fill(engine, 10_000, b"a" * 300)
    engine.tidy()
    wait_for_table(path)
    fill(engine, 10_000, b"b" * 300)
    for table in path.glob("*.ldb"):
        table.unlink()
    real, engine._db = engine._db, Full(engine._db)
    engine.tidy()
    engine._db = real
    with pytest.raises(StoreError, match="no room"):
        fill(engine, 1, b"c")
    with pytest.raises(Damaged, match="missing"):
        engine.reopen()
    engine.close()
