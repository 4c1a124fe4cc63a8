"""A replay executes commands that follow each other in rows, as a server executes a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from diskkv import app
from diskkv.dispatch.table import ROWS
from diskkv.errors import Damaged
from tests.support.contents import contents, copy_of
from tests.support.runner import Runner

# Each is done several times in a row, with keys that are there, are not, and are of another type.
COMMANDS: list[Callable[[Random], tuple[Any, ...]]] = [
    lambda rng: ("SET", f"s{rng.randrange(9)}", rng.randrange(99)),
    lambda rng: ("SET", f"s{rng.randrange(9)}", rng.randrange(99), "PX", 5),
    lambda rng: ("INCR", f"s{rng.randrange(9)}"),
    lambda rng: ("HSET", f"h{rng.randrange(2)}", rng.randrange(900), rng.randrange(99)),
    lambda rng: ("LPUSH", f"l{rng.randrange(2)}", rng.randrange(99)),
    lambda rng: ("lPush", f"l{rng.randrange(2)}", rng.randrange(99)),
    lambda rng: ("Lpop", f"l{rng.randrange(2)}"),
    lambda rng: ("RPUSH", f"l{rng.randrange(2)}", rng.randrange(99), rng.randrange(99)),
    lambda rng: ("RPOP", f"l{rng.randrange(2)}"),
    lambda rng: ("SADD", f"m{rng.randrange(2)}", rng.randrange(900)),
    lambda rng: ("SPOP", f"m{rng.randrange(2)}"),
    lambda rng: ("ZADD", f"z{rng.randrange(2)}", rng.randrange(99), rng.randrange(900)),
    lambda rng: ("XADD", "x", "*", "field", rng.randrange(99)),
    lambda rng: ("DEL", f"{rng.choice('shlmz')}{rng.randrange(2)}"),
    lambda rng: ("SELECT", rng.randrange(2)),
    lambda rng: ("SWAPDB", 0, 1),
    lambda rng: ("FLUSHDB",) if rng.random() < 0.1 else ("PING",),
]


def play(run: Runner, seed: int) -> None:
    rng = Random(seed)
    for _ in range(300):
        make = rng.choice(COMMANDS)
        another = rng.choice(COMMANDS)
        run.batch([make(rng), *[another(rng) for _ in range(rng.choice([1, 2, 30]))]])
        run.clock.advance(1)
        if rng.random() < 0.02:
            run.evict()


@pytest.mark.parametrize("seed", range(6))
def test_rows_come_to_what_their_commands_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    run = Runner(tmp_path / "store")
    play(run, seed)
    copy = Runner(copy_of(tmp_path / "store", tmp_path / "copy"), clock=run.clock)
    assert contents(copy.executor.store) == contents(run.executor.store)
    monkeypatch.setattr(app, "ROWS", {})
    plain = Runner(copy_of(tmp_path / "store", tmp_path / "another"), clock=run.clock)
    assert contents(plain.executor.store) == contents(run.executor.store)
    for runner in (run, copy, plain):
        assert not runner.findings()
        runner.close()


def test_a_row_is_as_much_to_replay_as_its_commands(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    run.batch([("INCR", "counter")] * 20)
    run("SET", "another", 1)
    copy = Runner(copy_of(tmp_path / "store", tmp_path / "copy"))
    assert copy.executor.store.backlog.commands == run.executor.store.backlog.commands == 21 + 1
    copy.close()
    run.close()


@pytest.mark.parametrize("changed", [0, 7])
def test_a_row_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: int) -> None:
    """If it has changed nothing, its commands are executed one by one; else so is everything, anew."""
    run = Runner(tmp_path / "store")
    run("RPUSH", "list", "first")
    run.batch([("RPUSH", "list", number) for number in range(20)])
    run.batch([("INCR", "counter")] * 20)
    copy = copy_of(tmp_path / "store", tmp_path / "copy")
    real, failures = ROWS["rpush"], 0

    def fail(session: Any, requests: list[list[bytes]], at: int, out: list[bytes]) -> int:
        nonlocal failures
        failures += 1
        if changed:
            real(session, requests[:changed], at, out)
        raise Damaged("a part of the list")

    monkeypatch.setitem(ROWS, "rpush", fail)
    opened = Runner(copy)
    assert failures == 1
    assert opened("LRANGE", "list", 0, -1) == [b"first", *[b"%d" % number for number in range(20)]]
    assert opened("GET", "counter") == b"20"
    assert contents(opened.executor.store) == contents(run.executor.store)
    assert not opened.findings()
    opened.close()
    run.close()
