"""`diskkv repair`: what it saves is right, what it says is lost is all that is lost, and the source stays as it is."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from diskkv.cli.repair import repair as command
from diskkv.engine.leveldb.tables import holes
from diskkv.errors import StoreError
from diskkv.repair import repair
from tests.crash.damage import Specimen, plain
from tests.support.contents import contents, copy_of
from tests.support.runner import Runner

FIRST = int(os.environ.get("DISKKV_DAMAGE_FROM", "1"))
DAMAGES = int(os.environ.get("DISKKV_DAMAGE", "40"))


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return Specimen(tmp_path_factory.mktemp("repair"))


def prints(path: Path) -> dict[str, str]:
    """Every file of a directory and a digest of it."""
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in path.rglob("*") if file.is_file()}


def sound(path: Path, specimen: Specimen) -> dict[tuple[int, bytes], Any]:
    run = Runner(path, clock=specimen.clock)
    try:
        assert run.findings() == []
        return contents(run.executor.store)
    finally:
        run.close()


@pytest.fixture(scope="module")
def whole(specimen: Specimen, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, bytes], Any]:
    return sound(copy_of(specimen.made, tmp_path_factory.mktemp("whole") / "store"), specimen)


def test_a_sound_store_is_saved_whole(specimen: Specimen, whole: dict[tuple[int, bytes], Any], tmp_path: Path) -> None:
    outcome = repair(str(specimen.made), str(tmp_path / "new"))
    assert outcome.complete(), outcome
    assert sound(tmp_path / "new", specimen) == whole


def test_whatever_is_damaged_what_is_saved_is_right(specimen: Specimen, whole: dict[tuple[int, bytes], Any], tmp_path: Path) -> None:
    saved = 0
    for seed in range(FIRST, FIRST + DAMAGES):
        path, what = specimen.injure(seed)
        before = prints(path)
        to = tmp_path / str(seed)
        try:
            outcome = repair(str(path), str(to))
        except StoreError as error:
            assert "tree" in str(error) or "key" in str(error), f"{what}: {error}"
            assert prints(path) == before, what
            assert not to.exists()
            continue
        assert prints(path) == before, what
        assert os.listdir(tmp_path) == [str(seed)]
        found = sound(to, specimen)
        if outcome.complete():
            assert found == whole, what
        told = " ".join([*outcome.partial, *outcome.lost])
        # Beyond tables: the list of them, or what came after the last checkpoint.
        beyond = [line for line in outcome.damage if ".ldb: " not in line]
        for (number, key), content in found.items():
            if whole.get((number, key)) == content:
                saved += 1
                continue
            # Not as it was: in the report, or a part of the log could not be done again.
            assert f"db {number} key {key!r}" in told or beyond, f"{what}: {key!r}"
            kind, _, now = content
            was = whole.get((number, key))
            if kind in ("Set", "Hash", "ZSet") and was is not None and was[0] == kind and not beyond:
                assert set(now) <= set(was[2]), what
        missing = [key for key in whole if key not in found]
        if missing:
            # How many there were says the state record, and if that lay in a damaged table, an older one.
            assert outcome.damage or outcome.unnamed + len(outcome.lost) >= len(missing), what
        shutil.rmtree(to)
    assert saved


def test_members_whose_records_are_gone_are_counted_and_the_others_saved(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    random = Random(3)
    pairs = {str(number).encode(): random.randbytes(80) for number in range(4000)}
    run("HSET", "hash", *(word for pair in pairs.items() for word in pair))
    run("RPUSH", "list", *pairs.values())
    run("SET", "small", 1)
    run.checkpoint()
    with run.executor.store.lock:
        run.executor.store.engine.compact(b"", b"\xff")
    run.close()
    table = max((tmp_path / "store" / "tree").glob("*.ldb"), key=os.path.getsize)
    data = bytearray(table.read_bytes())
    for at in (len(data) // 5, len(data) * 4 // 5):
        data[at] ^= 4
    table.write_bytes(data)
    assert len(list(holes(str(table.parent)))) == 2
    result = CliRunner().invoke(command, [str(tmp_path / "store"), str(tmp_path / "new")])
    assert result.exit_code == 3, result.output
    assert f"damaged: {table}: " in result.output
    assert "in part: db 0 key b'hash' (hash): 39" in result.output
    assert "in part: db 0 key b'list' (list): 39" in result.output
    assert "1 keys whole, 2 in part, 0 losses" in result.output
    new = Runner(tmp_path / "new")
    try:
        assert new.findings() == []
        found = new("HGETALL", "hash")
        kept = dict(zip(found[::2], found[1::2], strict=True)) if isinstance(found, list) else found
        assert 3800 < len(kept) < 4000
        assert all(pairs[field] == value for field, value in kept.items())
        rest = iter(pairs.values())
        assert all(element in rest for element in new("LRANGE", "list", 0, -1))
        assert new("GET", "small") == b"1"
    finally:
        new.close()


def test_a_hole_in_the_log_ends_the_replay_unless_what_is_behind_is_wanted(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store", appendfsync="always")
    run("SET", "first", 1)
    run.checkpoint()
    for number in range(10):
        run("SET", f"key{number}", number)
    with run.executor.store.lock:
        path = copy_of(tmp_path / "store", tmp_path / "killed")
    run.close()
    segment = max((path / "log").glob("*.aof"), key=os.path.getsize)
    data = bytearray(segment.read_bytes())
    data[data.index(b"key4") + 1] ^= 1
    segment.write_bytes(data)
    with pytest.raises(StoreError, match="diskkv repair"):
        Runner(path)
    for flags, there in (([], range(4)), (["--behind-holes"], [0, 1, 2, 3, 5, 6, 7, 8, 9])):
        to = tmp_path / f"new{len(flags)}"
        result = CliRunner().invoke(command, [str(path), str(to), *flags])
        assert result.exit_code == 3, result.output
        assert f"damaged: {segment}: " in result.output
        assert ("left out: 5 later ticks" in result.output) is not bool(flags)
        new = Runner(to)
        assert plain(new("KEYS", "key*")) == plain([f"key{number}".encode() for number in there])
        assert new("GET", "first") == b"1"
        assert new.findings() == []
        new.close()


def test_a_tree_without_its_list_of_tables_is_saved(specimen: Specimen, whole: dict[tuple[int, bytes], Any], tmp_path: Path) -> None:
    path = copy_of(specimen.made, tmp_path / "store")
    for file in (path / "tree").glob("MANIFEST-*"):
        file.unlink()
    outcome = repair(str(path), str(tmp_path / "new"))
    assert outcome.damage
    assert not outcome.lost
    assert sound(tmp_path / "new", specimen) == whole


def test_nothing_is_overwritten(specimen: Specimen, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").touch()
    result = CliRunner().invoke(command, [str(specimen.made), str(tmp_path / "new")])
    assert (result.exit_code, "is not an empty directory" in result.output) == (2, True)
    result = CliRunner().invoke(command, [str(tmp_path / "new"), str(tmp_path / "other")])
    assert (result.exit_code, "there is no store" in result.output) == (2, True)


def test_a_table_without_its_index_is_saved_whole(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    run("MSET", *(word for number in range(2000) for word in (f"key{number}", f"value {number}")))
    run.checkpoint()
    run.executor.store.engine.compact(b"", b"\xff")
    run.close()
    for table in (tmp_path / "store" / "tree").glob("*.ldb"):
        data = bytearray(table.read_bytes())
        data[-1] ^= 1
        table.write_bytes(data)
    outcome = repair(str(tmp_path / "store"), str(tmp_path / "new"))
    assert outcome.whole == 2000 and not outcome.lost and not outcome.unnamed
    assert outcome.damage
    saved = Runner(tmp_path / "new")
    assert saved("GET", "key1999") == b"value 1999"
    saved.close()


def test_a_directory_that_is_there_is_filled_and_not_replaced(specimen: Specimen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a mount point, or in one where nobody may make another."""
    to = tmp_path / "there"
    (to / "lost+found").mkdir(parents=True)
    number = to.stat().st_ino

    def interrupted(one: str, other: str) -> None:
        if one.endswith("/log"):
            raise KeyboardInterrupt
        rename(one, other)

    rename = os.rename
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            repair(str(specimen.made), str(to))
    assert os.listdir(to) == ["lost+found"]
    (to / "repair.repairing").mkdir()
    with pytest.raises(StoreError, match="delete it"):
        repair(str(specimen.made), str(to))
    (to / "repair.repairing").rmdir()
    assert repair(str(specimen.made), str(to)).complete()
    assert to.stat().st_ino == number
    assert sorted(os.listdir(to)) == ["LOCK", "log", "lost+found", "tree"]
    # What a kill leaves in the middle of it is no store.
    shutil.move(to / "log", tmp_path / "log")
    with pytest.raises(StoreError):
        Runner(to)
    assert not os.path.exists(to / "log" / "0000000001.aof")
