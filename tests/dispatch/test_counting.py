"""What is counted of the commands in one packet, which are executed in a row."""

from __future__ import annotations

from typing import Any

import pytest

from diskkv.dispatch import executor, packets
from diskkv.replies import Blocked, Encoded
from diskkv.resp.encode import ENCODERS
from diskkv.store.value import Recorded, Value
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

    for module in (executor, packets):
        monkeypatch.setattr(module, "perf_ns", tick)


def execute(run: Runner, *lines: str) -> list[Any]:
    """The replies that a front has to look at, after all was executed as one packet."""
    requests = [line.encode().split() for line in lines]
    looked: list[Any] = []
    with run.executor.store.lock:
        run.executor.begin()
        out: list[bytes] = []
        at = 0
        while (stop := run.executor.packets.run(run.session, requests, at, out, ENCODERS[2])) is not None:
            at = stop[0] + 1
            looked.append(stop[1])
        run.executor.store.commit()
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
    # Two rows of two took as long as one command, and count as two of half of that.
    rows = {"set": 1, "get": 1}
    assert {name: figures.nanoseconds for name, figures in usage.items()} == {
        name: TAKES * (calls - rows.get(name, 0)) for name, (calls, _, _) in expected.items()
    }
    for name, figures in usage.items():
        halves = 2 * rows.get(name, 0)
        assert figures.buckets[(TAKES // 2).bit_length()] == halves
        assert figures.buckets[TAKES.bit_length()] == figures.calls - halves
    assert stats.errors == {"WRONGTYPE": 1, "ERR": 2}


def test_each_slow_command_is_noted(run: Runner, ticking: None) -> None:
    stats = run.executor.stats
    stats.set_limits(0, 0)
    stats.slow.clear()
    lines = ["SET a 1", "GET a", "GET a", "LPUSH a 1", "RPUSH l 1 2", "LRANGE l 0 -1", "PING"]
    execute(run, *lines)
    assert [b" ".join(entry.argv).decode() for entry in reversed(stats.slow)] == lines
    assert {entry.microseconds for entry in stats.slow} == {TAKES // 1000}


def test_a_slow_row_is_noted_once(run: Runner, ticking: None, monkeypatch: pytest.MonkeyPatch) -> None:
    stats = run.executor.stats
    monkeypatch.setattr(packets, "ROW_TIME", TAKES // 2)
    stats.set_limits(TAKES // 1000, 0)
    monkeypatch.setattr(stats, "slow_after", TAKES - 1)
    monkeypatch.setattr(stats, "slow_log_after", TAKES - 1)
    stats.slow.clear()
    execute(run, "SET a 1", "SET b 2", "SET c 3")
    assert [entry.argv for entry in stats.slow] == [(b"SET", b"a", b"1")]


def test_many_quick_commands_are_not_a_slow_one(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0

    def touch(self: Recorded | Value, touch: Any) -> None:
        nonlocal now
        now += 10_000
        touch(self)

    for kind in (Value, Recorded):
        monkeypatch.setattr(kind, "touch", lambda self, real=kind.touch: touch(self, real))
    for module in (executor, packets):
        monkeypatch.setattr(module, "perf_ns", lambda: now)
    for line in ("SET {0} v", "INCR n", "HSET h {0} v", "SADD s {0}", "SPOP s", "ZADD z {0} {0}", "RPUSH l {0}", "LPOP l"):
        execute(run, *[line.format(number) for number in range(2000)])
    assert now > 2000 * 6 * 10_000 > run.executor.stats.slow_after
    assert not run.executor.stats.slow


def test_who_is_served_by_a_push_does_not_add_to_its_time(run: Runner, ticking: None) -> None:
    stats = run.executor.stats
    other = run.executor.open_session()
    blocked = run("BLPOP", "l", 0, session=other)
    assert isinstance(blocked, Blocked)
    served: list[Any] = []
    with run.executor.store.lock:
        run.executor.waiters.park(other, [b"BLPOP", b"l", b"0"], blocked, served.append)
    stats.reset()
    execute(run, "RPUSH l a")
    assert served == [[b"l", b"a"]]
    usage = {command.name: figures.nanoseconds for command, figures in stats.usage.items()}
    assert usage == {"rpush": TAKES, "blpop": TAKES}


def test_errors_of_every_class_are_counted(run: Runner) -> None:
    stats = run.executor.stats
    run("SET", "s", "x")
    run("ZADD", "z", 1, "a")
    stats.reset()
    execute(run, "PFADD s a", "ZUNIONSTORE t 1 z WEIGHTS x", "ZINTERCARD 1 z LIMIT -1")
    assert stats.errors == {"WRONGTYPE": 1, "ERR": 2}
    assert {command.name: figures.failed for command, figures in stats.usage.items()} == {"pfadd": 1, "zunionstore": 1, "zintercard": 1}
