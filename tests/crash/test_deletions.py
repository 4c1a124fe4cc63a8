"""Somebody deletes files of a store, closed or open: what was in them is never said to be absent."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from diskkv.errors import CommandError, Damaged, LogFailed
from diskkv.replies import OK
from tests.support.runner import Runner

KEYS = 9000
PAYLOAD = {f"key{number:05}": Random(number).randbytes(1000) for number in range(KEYS)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store of several tables."""
    path = tmp_path_factory.mktemp("deletions") / "store"
    run = Runner(path, maxmemory="8mb", checkpoint_log_size="512kb")
    for key, data in PAYLOAD.items():
        with run.executor.store.lock:
            run.executor.store.wait_for_room()
        assert run("SET", key, data) is OK
    run("SADD", "set", *range(1000))
    run.checkpoint()
    with run.executor.store.lock:
        run.executor.store.engine.compact(b"", b"\xff")
    run.close()
    assert len(tables(path)) > 2
    return path


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "store"))


def tables(path: Path) -> list[Path]:
    return sorted((path / "tree").glob("*.ldb"))


def opened(path: Path) -> Runner:
    # Little memory, so that LevelDB's files are read.
    return Runner(path, maxmemory="1mb")


def ask(run: Runner, *argv: Any) -> Any:
    """A reply, asked for again when the tick was undone, as fronts do with what only reads."""
    try:
        return run(*argv)
    except LogFailed:
        return run(*argv)


def test_a_table_that_is_gone_is_refused_at_opening_by_name(store: Path) -> None:
    gone = tables(store)[0]
    gone.unlink()
    with pytest.raises(Damaged, match=rf"{gone.name} \(records from .* to .*\).*diskkv repair"):
        Runner(store)


def test_a_table_cut_short_is_named_at_opening_and_the_rest_is_served(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    short = tables(store)[0]
    with short.open("r+b") as file:
        file.truncate(short.stat().st_size // 2)
    run = opened(store)
    assert f"{short.name} (records from" in caplog.text
    replies = {key: run("GET", key) for key in PAYLOAD}
    assert all(reply == PAYLOAD[key] for key, reply in replies.items() if not isinstance(reply, CommandError))
    assert 0 < sum(isinstance(reply, CommandError) for reply in replies.values()) < KEYS
    run.close()


@pytest.mark.parametrize("how", ["unlink", "rename"])
def test_a_table_deleted_from_an_open_store_is_damage_and_not_absent_keys(store: Path, tmp_path: Path, how: str) -> None:
    run = opened(store)
    kept = tmp_path / "kept"
    kept.mkdir()
    # The first and the last are open, because opening a store looks into them.
    for table in tables(store)[1:-1]:
        shutil.copy(table, kept / table.name)
        table.unlink() if how == "unlink" else table.rename(tmp_path / table.name)
    right = damaged = 0
    for key, data in PAYLOAD.items():
        reply = ask(run, "GET", key)
        if isinstance(reply, CommandError):
            assert ".ldb" in str(reply) and "is missing" in str(reply)
            damaged += 1
        else:
            assert reply == data
            right += 1
    assert damaged
    # What may be in a table that is missing can neither be counted for absent by others.
    middle = f"key{KEYS // 2:05}"
    assert isinstance(run("EXISTS", middle), CommandError)
    assert isinstance(run("SETNX", middle, "wrong"), CommandError)
    assert isinstance(ask(run, "KEYS", "key*"), CommandError)
    # The rest goes on, and what is overwritten is there again.
    assert ask(run, "SET", "aaa", 1) is OK
    run.checkpoint()
    assert run("GET", "aaa") == b"1"
    # The files are put back.
    for table in kept.iterdir():
        shutil.copy(table, store / "tree" / table.name)
    for key, data in PAYLOAD.items():
        assert run("GET", key) == data
    assert run.findings() == []
    run.close()


def test_reads_of_a_transaction_do_not_believe_a_table_that_is_gone(store: Path) -> None:
    run = opened(store)
    middle = f"key{KEYS // 2:05}"
    for table in tables(store)[1:-1]:
        table.unlink()
    with pytest.raises(LogFailed):
        run.batch([("SETNX", middle, "wrong"), ("SET", "aaa", 1)])
    assert run("EXISTS", "aaa") == 0
    for command in (("SETNX", middle, "wrong"), ("SADD", middle, 1), ("RENAME", middle, "aaa"), ("EXISTS", middle)):
        assert isinstance(run(*command), CommandError), command
    run.close()
