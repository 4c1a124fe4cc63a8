"""SAVE, BGSAVE and the rules: dump files that Redis' own tools and servers take, written while others change things."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from diskkv.replies import OK, Simple
from tests.rdb.values import MAKERS
from tests.support.oracle import Error, plain, start
from tests.support.runner import Runner


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path / "store")
    yield runner
    runner.close()


def info(run: Runner) -> dict[str, str]:
    lines = plain(run("INFO", "persistence")).decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def saved(run: Runner) -> dict[str, str]:
    """Wait until the background save has ended; what INFO says then."""
    thread = run.executor.saver._thread
    if thread is not None:
        thread.join()
    return info(run)


def loaded(path: Path, directory: Path) -> dict[bytes, object]:
    """Keys with digests, as a redis-server loads them from a file."""
    checked = subprocess.run(["redis-check-rdb", path], capture_output=True, text=True)
    assert "RDB looks OK" in checked.stdout, checked.stdout
    oracle = start("--dir", str(directory), "--dbfilename", path.name, "--enable-debug-command", "yes")
    try:
        while b"loading:1" in oracle.run("INFO", "persistence"):
            pass
        return {key: oracle.run("DEBUG", "DIGEST-VALUE", key) for key in oracle.run("KEYS", "*")}
    finally:
        oracle.close()


def test_save_writes_what_a_redis_loads(run: Runner, tmp_path: Path) -> None:
    rng = random.Random(1)
    expected = {}
    oracle = start("--enable-debug-command", "yes")
    for number in range(30):
        key = b"key:%d" % number
        for command in MAKERS[number % len(MAKERS)](rng, key):
            run(*command)
            oracle.run(*command)
        expected[key] = oracle.run("DEBUG", "DIGEST-VALUE", key)
    oracle.close()
    before = int(info(run)["rdb_changes_since_last_save"])
    assert before >= 30
    run.clock.advance(5000)
    assert run("SAVE") == OK
    assert run("LASTSAVE") == run.clock() // 1000
    state = info(run)
    assert (state["rdb_changes_since_last_save"], state["rdb_saves"], state["rdb_last_bgsave_status"]) == ("0", "1", "ok")
    assert loaded(tmp_path / "store" / "dump.rdb", tmp_path / "store") == expected
    assert run.findings() == []


def test_fields_that_expire_make_it_a_newer_version(run: Runner, tmp_path: Path) -> None:
    run("HSET", "hash", "a", 1, "b", 2)
    run("SAVE")
    assert (tmp_path / "store" / "dump.rdb").read_bytes().startswith(b"REDIS0010")
    run("HPEXPIREAT", "hash", run.clock() + 5000, "FIELDS", 1, "a")
    run("CONFIG", "SET", "rdbcompression", "no")
    run("SAVE")
    assert (tmp_path / "store" / "dump.rdb").read_bytes().startswith(b"REDIS0012")


def test_background_save_is_a_moment_while_things_change(run: Runner, tmp_path: Path) -> None:
    """Two counters that always change together are equal in every file."""
    for number in range(3000):
        run("SET", f"filler:{number}", "x" * 50)
    stop = threading.Event()
    failures: list[object] = []

    def change() -> None:
        session = run.executor.open_session()
        while not stop.is_set():
            replies = run.batch([["INCR", "first"], ["SADD", f"set:{run.clock()}", 1], ["INCR", "last"]], session=session)
            failures.extend(reply for reply in replies if not isinstance(reply, int))

    worker = threading.Thread(target=change)
    worker.start()
    try:
        for _ in range(3):
            assert run("BGSAVE") == Simple(b"Background saving started")
            again = plain(run("BGSAVE", "SCHEDULE"))
            assert again in (Error("ERR Background save already in progress"), b"Background saving started")
            assert saved(run)["rdb_last_bgsave_status"] == "ok"
            found = loaded(tmp_path / "store" / "dump.rdb", tmp_path / "store")
            assert len(found) >= 3000 and found.get(b"first") == found.get(b"last")
    finally:
        stop.set()
        worker.join()
    assert failures == []


def test_errors(run: Runner, tmp_path: Path) -> None:
    run("SET", "a", 1)
    assert plain(run("BGSAVE", "NOW")) == Error("ERR syntax error")
    assert plain(run("SAVE", "NOW")) == Error("ERR wrong number of arguments for 'save' command")
    (tmp_path / "store" / "dump.rdb").mkdir()
    assert plain(run("SAVE")) == Error("ERR saving failed, see the server's log")
    run("BGSAVE")
    state = saved(run)
    assert (state["rdb_last_bgsave_status"], state["rdb_bgsave_in_progress"]) == ("err", "0")
    assert [path.name for path in (tmp_path / "store").iterdir() if ".part" in path.name] == []
    (tmp_path / "store" / "dump.rdb").rmdir()
    assert run("SAVE") == OK
    assert info(run)["rdb_last_bgsave_status"] == "ok"


def test_rules_save_by_themselves(run: Runner, tmp_path: Path) -> None:
    assert run("CONFIG", "SET", "save", "3600 1 10 4") == OK
    assert run("CONFIG", "GET", "save") == {b"save": b"3600 1 10 4"}
    run("SET", "a", 1)
    run("SET", "b", 1)
    run.clock.advance(20_000)
    with run.executor.store.lock:
        run.executor.saver.look_at_rules()
        assert not run.executor.saver.running
    run("SET", "c", 1)
    path = tmp_path / "store" / "dump.rdb"
    until = time.monotonic() + 60
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert path.exists() and saved(run)["rdb_saves"] == "1"


def test_closing_gives_a_save_up(run: Runner, tmp_path: Path) -> None:
    for number in range(2000):
        run("SET", number, "x" * 100)
    run("BGSAVE")
    run.reopen()
    assert [path.name for path in (tmp_path / "store").iterdir() if ".part" in path.name] == []
    assert run("DBSIZE") == 2000


def test_a_store_in_memory_has_no_place_for_it() -> None:
    run = Runner(":memory:")
    assert plain(run("SAVE")) == Error("ERR the store is in memory alone: there is no directory to save in")
    run.close()
