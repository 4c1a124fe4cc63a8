"""What tools/redis-suite makes of the output of Redis' test suite."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

from differential.servers import Server  # noqa: E402
from suitelib import checkout, units, verdict  # noqa: E402

OUTPUT = """\
Starting test server at port 7490
[ready]: 123
Testing unit/x
[ok]: SET and GET (3 ms)
[err]: LPUSH in a b in tests/unit/x.tcl
Expected '1' to be equal to '2'
(context: eval)
[ok]: twice (0 ms)
[ok]: twice (1 ms)
[ignore]: needs more: Tag: needs:debug denied
[skip]: left out
[err]: went wrong ERR unknown
    while executing "r foo"
[1/1 done]: unit/x (2 seconds)

                   The End

!!! WARNING The following tests failed:

*** [err]: LPUSH in a b in tests/unit/x.tcl
Expected '1' to be equal to '2'
"""
HUNG = """\
[ok]: first (3 ms)
[TIMEOUT]: clients state report follows.
sock1 => (IN PROGRESS) second one
"""


def test_the_output_is_read() -> None:
    outcome, hung = units.read(OUTPUT)
    assert hung is None
    assert outcome.results == {
        "SET and GET": "ok", "LPUSH in a b": "err", "twice": "ok", "twice #2": "ok", "needs more: Tag: needs:debug denied": "skip",
        "left out": "skip",
    }  # fmt: skip
    assert outcome.words == {"LPUSH in a b": "Expected '1' to be equal to '2' (context: eval)"}
    assert len(outcome.broken) == 1
    assert "while executing" in outcome.broken[0]
    assert outcome.count("ok") == 3


def test_a_hanging_test_is_named() -> None:
    outcome, hung = units.read(HUNG)
    assert (outcome.results, hung) == ({"first": "ok"}, "second one")


def test_a_suite_that_comes_to_no_test_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(units, "_runtest", lambda *_: "Can't find a non busy port in the 60000-60031 range.")
    server = cast(Server, nullcontext(SimpleNamespace(running=lambda: True)))
    with pytest.raises(units.NotRun, match="busy port"):
        units.run(tmp_path, "unit/x", lambda: server, tags="", options=(), patience=9, base_port=1)


def test_differences_are_weighed_against_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    there = units.Outcome({"a": "ok", "b": "ok", "c": "ok", "d": "err"})
    here = units.Outcome({"a": "ok", "b": "err", "d": "ok"}, {"b": "why"}, ["lost"])
    judge = verdict.Verdict("7.2")
    report = judge.weigh("unit/x", there, here, words=True)
    assert "1 of 3 pass" in report
    assert all(text in report for text in ("err: b", "why", "not reached: c", "lost"))
    assert not judge.clean
    assert "1 of the 3 tests that redis-server passes: 33.33 %" in judge.summary(everything=False)


def test_listed_tests_fail_and_those_that_pass_are_told() -> None:
    judge = verdict.Verdict("7.2")
    listed = next(one for one in judge.listed if one.id == "suite-shared")
    unit, _, name = listed.command.pattern.partition(": ")
    judge.weigh(unit, units.Outcome({name: "ok"}), units.Outcome({name: "err"}), words=False)
    assert judge.clean
    judge.weigh(unit, units.Outcome({name: "ok"}), units.Outcome({name: "ok"}), words=False)
    assert not judge.clean
    assert f"is listed and passes: {listed.id}" in judge.summary(everything=False)


def test_only_a_checkout_is_copied(tmp_path: Path) -> None:
    with pytest.raises(checkout.NoSuite):
        checkout.copy(tmp_path, tmp_path / "copy")
    with pytest.raises(checkout.NoSuite):
        checkout.version(tmp_path)
