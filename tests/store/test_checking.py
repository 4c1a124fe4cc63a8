"""Examining a store that goes on being used, and one with damage that no LevelDB passes over."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from diskkv.cli.check import check
from tests.support.runner import Runner


def examined(run: Runner) -> dict[bytes, Any]:
    assert b"started" in bytes(str(run("DISKKV.CHECK", "START")), "utf-8")
    for _ in range(3000):
        status: dict[bytes, Any] = run("DISKKV.CHECK", "STATUS")
        if status[b"state"] != b"running":
            return status
        time.sleep(0.01)
    raise AssertionError("the examination did not end")


def filled(path: Path) -> Runner:
    run = Runner(path)
    run("HSET", "hash", *(word for number in range(3000) for word in (number, os.urandom(60))))
    run("SET", "plain", 1)
    run.checkpoint()
    with run.executor.store.lock:
        run.executor.store.engine.compact(b"", b"\xff")
    return run


def test_a_store_in_use_is_examined(tmp_path: Path) -> None:
    run = filled(tmp_path / "store")
    assert run("DISKKV.CHECK", "STATUS")[b"state"] == b"none"
    status = examined(run)
    assert (status[b"state"], status[b"keys"], status[b"findings"], status[b"error"]) == (b"done", 2, 0, b"")
    run.close()


def test_damage_is_named_with_its_key_and_its_file(tmp_path: Path) -> None:
    filled(tmp_path / "store").close()
    table = max((tmp_path / "store" / "tree").glob("*.ldb"), key=os.path.getsize)
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    run = Runner(tmp_path / "store")
    status = examined(run)
    assert status[b"state"] == b"done"
    assert any(b"key b'hash'" in line for line in status[b"named"]), status
    assert run("GET", "plain") == b"1"
    run.close()
    result = CliRunner().invoke(check, [str(tmp_path / "store")])
    assert result.exit_code == 1, result.output
    assert "key b'hash'" in result.output
    assert ".ldb: " in result.output
