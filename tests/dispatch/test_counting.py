"""What is counted of the commands in one packet, which are executed in a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from diskkv.dispatch import executor as module
from diskkv.replies import Encoded
from diskkv.resp.encode import ENCODERS
from tests.support.runner import Runner

TAKES = 1000


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock finds it TAKES later, and each command ends with one."""
    now = 0

    def tick() -> int:
        nonlocal now
        now += TAKES
        return now

    monkeypatch.setattr(module, "perf_ns", tick)


def execute(run: Runner, *lines: str) -> list[Any]:
    """The replies that a front has to look at, after all was executed as one packet."""
    requests = [line.encode().split() for line in lines]
    pending: Iterator[list[bytes]] = iter(requests)
    looked: list[Any] = []
    executor = run.executor
    with executor.store.lock:
        executor.begin()
        out: list[bytes] = []
        while (stop := executor.run(run.session, pending, out, ENCODERS[2])) is not None:
            looked.append(stop[1])
        executor.store.commit()
    assert len(out) + len(looked) == len(requests)
    return looked


def test_each_call_is_counted_once_with_its_time(run: Runner, ticking: None) -> None:
    stats = run.executor.stats
    stats.reset()
    long = " ".join(map(str, range(2000)))
    looked = execute(
        run, "SET a 1", "SET b 2", "GET a", "GET a", "LPUSH a 1", "GET b", "GET", "GET b", "PING", "GET a", f"RPUSH l {long}", "GET a",
        "LRANGE l 0 1", "LRANGE l 0 -1", "LRANGE l 0 1", "NOSUCH", "LRANGE l 0 1",
    )  # fmt: skip
    assert [reply.__class__.__name__ for reply in looked] == ["WrongType", "WrongArity", "Simple", "Encoded", "UnknownCommand"]
    assert isinstance(looked[3], Encoded)
    expected = {"set": (2, 0, 0), "get": (6, 0, 1), "lpush": (1, 1, 0), "ping": (1, 0, 0), "rpush": (1, 0, 0), "lrange": (4, 0, 0)}
    usage = {command.name: figures for command, figures in stats.usage.items()}
    assert {name: (figures.calls, figures.failed, figures.rejected) for name, figures in usage.items()} == expected
    assert {name: figures.nanoseconds for name, figures in usage.items()} == {
        name: TAKES * calls for name, (calls, _, _) in expected.items()
    }
    assert all(figures.buckets[TAKES.bit_length()] == figures.calls for figures in usage.values())
    assert stats.errors == {"WRONGTYPE": 1, "ERR": 2}


def test_each_slow_command_is_noted(run: Runner, ticking: None) -> None:
    stats = run.executor.stats
    stats.set_limits(0, 0)
    stats.slow.clear()
    lines = ["SET a 1", "GET a", "GET a", "LPUSH a 1", "RPUSH l 1 2", "LRANGE l 0 -1", "PING"]
    execute(run, *lines)
    assert [b" ".join(entry.argv).decode() for entry in reversed(stats.slow)] == lines
    assert {entry.microseconds for entry in stats.slow} == {TAKES // 1000}
