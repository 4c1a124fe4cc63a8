"""Arrays survive export and import in every form, and repair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from diskkv.cli import main
from tests.support.contents import contents
from tests.support.runner import Runner

LAST = 2**64 - 2


def diskkv(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    run = Runner(tmp_path / "store")
    run("ARMSET", "small", 3, "x", LAST, b"\xff\x00", 70, "")
    for start in range(0, 3000, 500):
        run("ARSET", "large", 2 * start, *range(start, start + 500))
    run("ARSEEK", "large", 77)
    run("ARRING", "ring", 5, *range(9))
    run("ARSET", "end", 0, "v")
    run("ARSEEK", "end", LAST + 1)
    assert run.findings() == []
    run.close()
    return tmp_path / "store"


@pytest.mark.parametrize("form", ["rdb", "aof", "jsonl"])
def test_export_and_import(store: Path, tmp_path: Path, form: str) -> None:
    options = ("--rdb-version", 14) if form == "rdb" else ()
    exported = diskkv("export", store, tmp_path / f"out.{form}", *options)
    assert exported.exit_code == 0, exported.output
    imported = diskkv("import", tmp_path / f"out.{form}", "--into", tmp_path / "back")
    assert imported.exit_code == 0, imported.output
    before, after = Runner(store), Runner(tmp_path / "back")
    try:
        assert contents(after.executor.store) == contents(before.executor.store)
        assert after("ARNEXT", "end") is None
        assert after.findings() == []
    finally:
        before.close()
        after.close()


def test_lines_that_are_no_arrays(tmp_path: Path) -> None:
    lines = [
        '{"db": 0, "key": "a", "type": "array", "value": [[-1, "v"]]}',
        '{"db": 0, "key": "a", "type": "array", "value": [[18446744073709551615, "v"]]}',
        '{"db": 0, "key": "a", "type": "array", "cursor": -1, "value": [[1, "v"]]}',
        '{"db": 0, "key": "a", "type": "array", "value": [[1, "v"], [1, "w"]]}',
        '{"db": 0, "key": "a", "type": "array", "value": []}',
    ]
    for number, line in enumerate(lines):
        (tmp_path / "in.jsonl").write_text(line + "\n")
        result = diskkv("import", tmp_path / "in.jsonl", "--into", tmp_path / f"store{number}")
        assert result.exit_code != 0, line
        assert "Traceback" not in result.output


def test_repair(store: Path, tmp_path: Path) -> None:
    repaired = diskkv("repair", store, tmp_path / "new")
    assert repaired.exit_code == 0, repaired.output
    before, after = Runner(store), Runner(tmp_path / "new")
    try:
        assert contents(after.executor.store) == contents(before.executor.store)
    finally:
        before.close()
        after.close()
