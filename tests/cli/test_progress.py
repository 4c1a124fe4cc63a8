"""The line that says how far a task has come, and what Ctrl-C does to it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

import diskkv
from diskkv.cli import main
from diskkv.cli.progress import Progress, duration


def test_the_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    part: float | None = None
    with Progress(lambda: part, lambda: 5_000_000, lambda: 3000, stopped="x") as progress:
        now = 100.1
        progress.tick()
        assert capsys.readouterr().err == ""
        now = 110.0
        progress.tick()
        assert capsys.readouterr().err == "\r\x1b[K3,000 keys, 300/s, 5.0 MB, 0.5 MB/s"
        part = 0.1
        progress.tick()
        assert capsys.readouterr().err == ""
        now = 120.0
        progress.tick()
        assert capsys.readouterr().err.endswith("10 %  3,000 keys, 150/s, 5.0 MB, 0.2 MB/s, 3:00 left")
    assert capsys.readouterr().err.endswith("left\n")
    assert (duration(59.6), duration(3661)) == ("1:00", "1:01:01")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_wait_for_a_tick(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(number)
    done = []
    with pytest.raises(SystemExit) as ended, Progress(lambda: None, None, lambda: 0, stopped="half of it is there") as progress:
        progress.tick()
        os.kill(os.getpid(), number)
        done.append("what must not be cut in two")
        # A second one ends the process as it is.
        assert signal.getsignal(number) == signal.SIG_DFL
        progress.tick()
        done.append("what comes after")
    assert done == ["what must not be cut in two"]
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err == "interrupted: half of it is there\n"
    assert signal.getsignal(number) == before


def test_a_signal_that_comes_too_late_changes_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Progress(lambda: None, None, lambda: 0, stopped="x"):
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("words", [["export", "DIR", "x.rdb"], ["backup", "x", "--store", "DIR"], ["keys", "DIR"], ["check", "DIR"]])
def test_who_wants_to_read_a_store_does_not_make_one(tmp_path: Path, words: list[str]) -> None:
    result = CliRunner().invoke(main, [str(tmp_path) if word == "DIR" else word for word in words])
    assert result.exit_code in (1, 2)
    assert "there is no store in" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_single_great_value_is_looked_at_while_it_comes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Random(1).randbytes(8 << 20)
    with diskkv.open(str(tmp_path / "from")) as db:
        db.set("great", data)
    dump = str(tmp_path / "dump.rdb")
    assert CliRunner().invoke(main, ["export", str(tmp_path / "from"), dump]).exit_code == 0
    seen: list[int] = []

    def look(progress: Progress) -> None:
        assert progress._done is not None
        seen.append(progress._done())

    monkeypatch.setattr(Progress, "look", look)
    result = CliRunner().invoke(main, ["import", dump, "--into", str(tmp_path / "to")])
    assert result.exit_code == 0, result.output
    assert len(set(seen)) > 8
    assert sorted(seen) == seen
    with diskkv.open(str(tmp_path / "to")) as db:
        assert db.get("great") == data
