"""What streams have since Redis 8.6 survives export and import in every form, and repair: entries given back, and messages known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from diskkv.cli import main
from diskkv.clock import ManualClock
from tests.support.contents import contents
from tests.support.oracle import plain
from tests.support.runner import Runner

KEYS = ("small", "large")


def diskkv(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


def now() -> ManualClock:
    """A clock that says what the processes' own say: messages are known for a day."""
    return ManualClock(int(time.time() * 1000))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two streams, of which the large one is not restored whole."""
    run = Runner(tmp_path / "store", clock=now())
    for key, count in zip(KEYS, (20, 11_000), strict=True):
        for number in range(0, count, 1000):
            run.batch([["XADD", key, f"{at + 1}-1", "f", "v"] for at in range(number, min(number + 1000, count))])
        run("XGROUP", "CREATE", key, "g", 0)
        run("XREADGROUP", "GROUP", "g", "ann", "COUNT", 6, "STREAMS", key, ">")
        run("XNACK", key, "g", "FAIL", "IDS", 2, "5-1", "2-1")
        run("XNACK", key, "g", "FATAL", "IDS", 1, "4-1")
        run("XCFGSET", key, "IDMP-DURATION", 86_400, "IDMP-MAXSIZE", 70)
        for message in ("m1", b"\xff", "m1"):
            run("XADD", key, "IDMP", b"p\xfe", message, "*", "f", "v")
        run("XADD", key, "IDMPAUTO", "other", "*", "f", "v")
    assert run.findings() == []
    run.close()
    return tmp_path / "store"


def told(run: Runner, key: str) -> Any:
    info = run("XINFO", "STREAM", key, "FULL", "COUNT", 0)
    group = info[b"groups"][0]
    production = [info[name] for name in (b"idmp-duration", b"idmp-maxsize", b"pids-tracked", b"iids-tracked")]
    names = (("IDMP", b"p\xfe", "m1"), ("IDMP", b"p\xfe", b"\xff"), ("IDMPAUTO", "other"))
    known = [run("XADD", key, *name, "*", "f", "v") for name in names]
    claimed = plain(run("XREADGROUP", "GROUP", "g", "bob", "CLAIM", 1, "COUNT", 3, "STREAMS", key, ">"))
    return info[b"length"], group[b"nacked-count"], group[b"pending"], production, known, [row[0] for row in claimed[0][1]]


@pytest.mark.parametrize("form", ["rdb", "aof", "jsonl"])
def test_export_and_import(store: Path, tmp_path: Path, form: str) -> None:
    if form == "rdb":
        done = diskkv("export", store, tmp_path / "out", "--format", form)
        assert "needs version 14 of the format, which Redis before 8.8 can't load" in done.output
    done = diskkv("export", store, tmp_path / "out", "--format", form, "--rdb-version", 14)
    assert done.exit_code == 0, done.output
    done = diskkv("import", tmp_path / "out", "--into", tmp_path / "back")
    assert done.exit_code == 0, done.output
    there, here = Runner(store, clock=now()), Runner(tmp_path / "back", clock=now())
    for key in KEYS:
        assert told(here, key) == told(there, key)
    assert here.findings() == []
    here.close()
    there.close()


def test_repair(store: Path, tmp_path: Path) -> None:
    done = diskkv("repair", store, tmp_path / "repaired")
    assert done.exit_code == 0, done.output
    there, here = Runner(store, clock=now()), Runner(tmp_path / "repaired", clock=now())
    assert contents(here.executor.store) == contents(there.executor.store)
    here.close()
    there.close()
