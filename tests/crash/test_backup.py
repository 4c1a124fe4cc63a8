"""Backups: of one moment whatever goes on, cheap when there are earlier ones, and followed by the archived log to any moment."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from diskkv.cli import main
from diskkv.errors import SettingError, StoreError
from diskkv.rewind import choose, restore_until
from diskkv.store import log
from diskkv.store.backup import Label, latest, read_label, restore
from tests.crash.powered import Player
from tests.support.contents import contents
from tests.support.runner import Runner


def found_in(path: Path, seed: int, **settings: str) -> int:
    """How many ticks a restored store holds; it must be what that many ticks leave, and in order."""
    player = Player(path, seed, **settings)
    calm = Player(":memory:", seed)
    try:
        found = player.found()
        while calm.played < found:
            calm.tick()
        calm.come_to(found)
        player.come_to(found)
        assert contents(player.runner.executor.store) == contents(calm.runner.executor.store)
        assert player.runner.findings() == []
        return found
    finally:
        player.runner.close()
        calm.runner.close()


def test_backups_under_load_are_of_one_moment(tmp_path: Path) -> None:
    player = Player(tmp_path / "store", 5)
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            player.tick()

    thread = threading.Thread(target=load)
    thread.start()
    taken = []
    try:
        for _ in range(4):
            # The last of them may not be committed yet.
            before = player.played - 1
            label = player.runner.executor.store.backups.take(str(tmp_path / "backups"))
            taken.append((before, player.played + 1, player.runner.executor.store.backups.status.path, label))
    finally:
        stop.set()
        thread.join()
        player.runner.close()
    for number, (before, after, path, label) in enumerate(taken):
        assert read_label(Path(path)) == label
        restore(Path(path), tmp_path / f"restored{number}")
        assert before <= found_in(tmp_path / f"restored{number}", 5) <= after


def test_what_an_earlier_backup_has_is_not_copied_again(tmp_path: Path) -> None:
    player = Player(tmp_path / "store", 6)
    for _ in range(400):
        player.tick()
    player.runner.checkpoint()
    player.runner.reopen()
    store = player.runner.executor.store
    first = store.backups.take(str(tmp_path / "backups"))
    # The clock stands still: two backups of one moment.
    second = store.backups.take(str(tmp_path / "backups"))
    assert first.new_files == first.files
    tables = len(list((tmp_path / "store" / "tree").glob("*.ldb")))
    assert tables
    # And not a byte of the log.
    assert second.files - second.new_files > tables
    assert second.new_bytes < 1000
    player.runner.close()
    assert not (tmp_path / "store" / "backup").exists()


def test_the_archive_leads_to_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive"
    settings = {"archive-dir": str(archive)}
    player = Player(tmp_path / "store", 7, **settings)
    store = player.runner.executor.store
    # Behind the clock of the ticks: nothing is to expire but by what the log says.
    begun = player.clock() // 1000 - 100
    at: list[int] = []
    second = 0
    # The log's own clock is the system's, and its thread stamps ticks by it once a second: both say what they are told.
    monkeypatch.setattr(log, "system_clock", lambda: (begun + second) * 1000)
    for second in range(40):
        store.log.stamp(begun + second)
        if second == 3:
            player.clock.now, now = (begun + second) * 1000, player.clock.now
            store.backups.take(str(tmp_path / "backups"))
            player.clock.now = now
        for _ in range(20):
            player.tick()
            store.log.stamp(begun + second)
        at.append(player.played)
    player.runner.close()
    archives = [archive, tmp_path / "store" / "log"]
    backup = choose(tmp_path / "backups", None)
    for number, second in enumerate((3, 17, 39)):
        restore_until(backup, tmp_path / f"to{number}", archives, (begun + second) * 1000)
        assert found_in(tmp_path / f"to{number}", 7) == at[second]
    restore_until(backup, tmp_path / "end", archives, None)
    assert found_in(tmp_path / "end", 7) == player.played
    with pytest.raises(StoreError, match="the archive: a segment is missing"):
        restore_until(backup, tmp_path / "gap", [tmp_path / "store" / "log"], None)


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    player = Player(tmp_path / "store", 8)
    player.tick()
    player.runner.executor.store.backups.take(str(tmp_path / "backups"))
    player.runner.close()
    path = latest(tmp_path / "backups")
    assert path is not None
    assert latest(tmp_path / "backups", until=0) is None
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(StoreError, match="not empty"):
        restore(path, tmp_path / "full")
    (path / "BACKUP").write_text(json.dumps({"time": 1}))
    with pytest.raises(StoreError, match="not a backup"):
        restore(path, tmp_path / "new")
    with pytest.raises(StoreError, match="no backup"):
        choose(tmp_path / "full", None)


def test_a_store_in_memory_has_none(tmp_path: Path) -> None:
    player = Player(":memory:", 9)
    assert str(player.runner("DISKKV.BACKUP", "START", str(tmp_path))) == "ERR this store is in memory"
    assert player.runner("DISKKV.BACKUP", "STATUS")[b"state"] == b"none"
    player.runner.close()


def test_the_command_line(tmp_path: Path) -> None:
    # Nothing that expires: the command line's clock is the system's.
    run = Runner(tmp_path / "store")
    run.batch([("SET", f"k{number}", number) for number in range(50)])
    there = contents(run.executor.store)
    run.close()
    runner = CliRunner()
    made = runner.invoke(main, ["backup", str(tmp_path / "backups"), "--store", str(tmp_path / "store")])
    assert made.exit_code == 0, made.output
    again = runner.invoke(main, ["restore", str(tmp_path / "backups"), str(tmp_path / "restored")])
    assert again.exit_code == 0, again.output
    restored = Runner(tmp_path / "restored")
    assert contents(restored.executor.store) == there
    restored.close()
    assert runner.invoke(main, ["restore", str(tmp_path / "backups"), str(tmp_path / "restored")]).exit_code == 1
    early = runner.invoke(main, ["restore", str(tmp_path / "backups"), str(tmp_path / "early"), "--until", "1999-01-01"])
    assert early.exit_code == 1
    assert isinstance(read_label(choose(tmp_path / "backups", None)), Label)


def test_an_archive_is_one_stores(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    player = Player(tmp_path / "one", 11, **{"archive-dir": str(archive)})
    for _ in range(100):
        player.tick()
    store = player.runner.executor.store
    store.backups.take(str(tmp_path / "backups"))
    player.runner.reopen()
    player.runner.close()
    # Another store, and what was restored of this one, need their own: at once, not when the first segment goes there.
    restore_until(choose(tmp_path / "backups", None), tmp_path / "restored", [], None)
    for other in ("two", "restored"):
        with pytest.raises(SettingError, match="is another store's"):
            Player(tmp_path / other, 12, **{"archive-dir": str(archive)})
        Player(tmp_path / other, 12, **{"archive-dir": str(tmp_path / f"of {other}")}).runner.close()
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="archive-dir: "):
        Player(tmp_path / "two", 12, **{"archive-dir": str(tmp_path / "file")})


def test_who_only_looks_at_a_store_makes_no_hole_in_its_archive(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    player = Player(tmp_path / "store", 13, **{"archive-dir": str(archive)})
    player.tick()
    player.runner.close()
    runner = CliRunner()
    for words in (["backup", str(tmp_path / "backups"), "--store"], ["check"], ["export", "--format", "jsonl"]):
        end = [str(tmp_path / "out")] if words[0] == "export" else []
        done = runner.invoke(main, [*words, str(tmp_path / "store"), *end])
        assert done.exit_code == 0, done.output
    player = Player(tmp_path / "store", 13, **{"archive-dir": str(archive)})
    player.played = 1
    while player.played < 30:
        player.tick()
    player.runner.close()
    restore_until(choose(tmp_path / "backups", None), tmp_path / "restored", [archive, tmp_path / "store" / "log"], None)
    restored = Player(tmp_path / "restored", 13)
    assert restored.found() == 30
    restored.runner.close()


def test_a_backup_that_was_killed_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    player = Player(tmp_path / "store", 14)
    player.tick()
    player.runner.close()
    (tmp_path / "store" / "backup" / "tree").mkdir(parents=True)
    player = Player(tmp_path / "store", 14)
    assert not (tmp_path / "store" / "backup").exists()
    player.runner.close()


def test_a_restore_that_does_not_come_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player = Player(tmp_path / "store", 15)
    player.tick()
    player.runner.executor.store.backups.take(str(tmp_path / "backups"))
    player.runner.close()
    backup = choose(tmp_path / "backups", None)

    def give_up(done: int, size: int, ticks: int) -> None:
        assert (tmp_path / "to.partial").exists()
        raise KeyboardInterrupt

    def give_up_in_it(done: int, size: int, ticks: int) -> None:
        assert os.listdir(tmp_path / "mounted") == ["restore.partial"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_until(backup, tmp_path / "to", [], None, give_up)
    assert not (tmp_path / "to").exists() and not (tmp_path / "to.partial").exists()
    # What a kill left is not taken for anything else.
    (tmp_path / "to.partial").mkdir()
    with pytest.raises(StoreError, match="delete it"):
        restore_until(backup, tmp_path / "to", [], None)
    (tmp_path / "to.partial").rmdir()
    (tmp_path / "to").mkdir()
    restore_until(backup, tmp_path / "to", [], None)
    assert found_in(tmp_path / "to", 15) == 1
    (tmp_path / "mounted").mkdir()
    with pytest.raises(KeyboardInterrupt):
        restore_until(backup, tmp_path / "mounted", [], None, give_up_in_it)
    restore_until(backup, tmp_path / "mounted", [], None)
    assert sorted(os.listdir(tmp_path / "mounted")) == sorted(set(os.listdir(tmp_path / "to")) - {"LOCK"})
    assert found_in(tmp_path / "mounted", 15) == 1
