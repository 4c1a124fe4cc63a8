"""Opening what is no store, is in use, is of another time, or has lost a part: refused with a reason, and left as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diskkv.engine import open_engine
from diskkv.errors import BadFormat, Damaged, StoreError, StoreLocked
from diskkv.format import FORMAT, keys
from diskkv.format.ordered import pack_u32
from tests.support.runner import Runner


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A closed store with something in the engine and something in the log."""
    path = tmp_path / "store"
    run = Runner(path)
    run("SET", "checkpointed", "x" * 1000)
    run("SADD", "set", *range(300))
    run.close()
    return path


def put(path: Path, key: bytes, value: bytes | None) -> None:
    """Change one record of a closed store."""
    engine = open_engine(f"leveldb:{path / 'tree'}")
    batch = engine.batch(sync=True)
    if value is None:
        batch.delete(key)
    else:
        batch.put(key, value)
    engine.write(batch)
    engine.close()


def test_a_newer_format_is_refused(store: Path) -> None:
    put(store, keys.SYSTEM + b"format", pack_u32(FORMAT + 1))
    with pytest.raises(BadFormat, match=f"format {FORMAT + 1}"):
        Runner(store)


@pytest.mark.parametrize("name", [b"seed", b"state", b"format"])
def test_a_store_without_a_system_record_is_refused(store: Path, name: bytes) -> None:
    put(store, keys.SYSTEM + name, None)
    with pytest.raises(BadFormat):
        Runner(store)


def test_a_format_record_of_another_length_is_refused(store: Path) -> None:
    put(store, keys.SYSTEM + b"format", b"x")
    with pytest.raises(BadFormat):
        Runner(store)


def test_another_leveldb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    engine = open_engine(f"leveldb:{tmp_path / 'store' / 'tree'}")
    batch = engine.batch()
    batch.put(b"somebody", b"else's")
    engine.write(batch)
    engine.close()
    with pytest.raises(BadFormat, match="not a diskkv store"):
        Runner(tmp_path / "store")


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises((StoreError, OSError)):
        Runner(tmp_path / "file")


def test_a_refused_store_can_be_opened_once_it_is_mended(store: Path) -> None:
    """Refusing lets go of every lock."""
    put(store, keys.SYSTEM + b"format", pack_u32(FORMAT + 1))
    with pytest.raises(BadFormat):
        Runner(store)
    put(store, keys.SYSTEM + b"format", pack_u32(FORMAT))
    run = Runner(store)
    assert run("SCARD", "set") == 300
    run.close()


def test_a_store_that_is_open_is_refused_here_and_in_another_process(store: Path) -> None:
    run = Runner(store)
    with pytest.raises(StoreLocked):
        Runner(store)
    check = subprocess.run([sys.executable, "-m", "diskkv", "check", str(store)], capture_output=True, text=True)
    assert check.returncode == 2
    assert "in use by another process" in check.stderr
    run.close()
    check = subprocess.run([sys.executable, "-m", "diskkv", "check", str(store)], capture_output=True, text=True)
    assert (check.returncode, check.stderr) == (0, "")


@pytest.mark.parametrize("what", ["CURRENT", "MANIFEST", "sst"])
@pytest.mark.parametrize("how", ["truncated", "deleted"])
def test_leveldb_files_that_are_cut_or_gone_are_noticed(store: Path, what: str, how: str) -> None:
    """At opening or, for a table, when it is read; never a wrong value, and `check` says so, too."""
    run = Runner(store)
    with run.executor.store.lock:
        run.executor.store.engine.compact(b"", b"\xff")
    run.close()
    names = [name for name in os.listdir(store / "tree") if what in name or (what == "sst" and name.endswith(".ldb"))]
    assert names
    for name in names:
        file = store / "tree" / name
        if how == "truncated":
            os.truncate(file, file.stat().st_size // 2)
        else:
            file.unlink()
    check = subprocess.run([sys.executable, "-m", "diskkv", "check", str(store)], capture_output=True, text=True)
    assert check.returncode in (1, 2), check.stdout
    assert "Traceback" not in check.stderr
    with pytest.raises(StoreError):
        Runner(store)("GET", "checkpointed")


def segments(path: Path) -> list[Path]:
    return sorted((path / "log").glob("*.aof"))


def kill(run: Runner, to: Path) -> Path:
    """A copy of an open store as it lies there."""
    subprocess.run(["cp", "-r", str(run.path), str(to)], check=True)
    return to


def test_a_missing_segment_is_noticed(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    run("SET", "a", 1)
    copy = kill(run, tmp_path / "copy")
    run.checkpoint()
    run("SET", "b", 1)
    later = kill(run, tmp_path / "later")
    run.close()
    for path in (copy, later):
        for file in segments(path):
            file.unlink()
        with pytest.raises(Damaged, match="segment is missing"):
            Runner(path)


def test_a_flipped_bit_in_the_log_is_noticed_or_nothing_behind_it_was_promised(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store", appendfsync="always")
    for number in range(20):
        run("SET", "a", number)
    copy = kill(run, tmp_path / "copy")
    run.close()
    file = segments(copy)[0]
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 4
    file.write_bytes(raw)
    with pytest.raises(Damaged, match="unreadable at offset"):
        Runner(copy)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_end_is_cut_off(tmp_path: Path, cut: int) -> None:
    run = Runner(tmp_path / "store", appendfsync="no")
    run("SET", "a", 1)
    run.batch([("SET", "a", 2), ("SET", "b", 2)])
    copy = kill(run, tmp_path / "copy")
    run.close()
    file = max(segments(copy), key=lambda file: file.stat().st_size)
    os.truncate(file, file.stat().st_size - cut)
    torn = Runner(copy)
    assert (torn("GET", "a"), torn("GET", "b")) == (b"1", None)
    torn("SET", "c", 3)
    torn.close()
    again = Runner(copy)
    assert (again("GET", "a"), again("GET", "c")) == (b"1", b"3")
    assert again.findings() == []
    again.close()


def test_a_store_that_was_cut_off_while_it_was_made(tmp_path: Path) -> None:
    """The directories and the first segment are there, the engine is not: a new store, as nothing was ever promised."""
    (tmp_path / "store" / "log").mkdir(parents=True)
    (tmp_path / "store" / "log" / "0000000001.aof").touch()
    (tmp_path / "store" / "tree.new").mkdir()
    run = Runner(tmp_path / "store")
    run("SET", "a", 1)
    run.reopen()
    assert run("GET", "a") == b"1"
    run.close()
