"""What operators look at: MONITOR, LATENCY, shards' channels, LOLWUT."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from diskkv.dispatch import delays
from diskkv.dispatch.session import Session
from diskkv.errors import CommandError
from diskkv.replies import Followed, Push, Simple, Verbatim
from diskkv.store import expiry
from tests.support.runner import Runner


class Client:
    """A session whose front keeps what it is told."""

    def __init__(self, run: Runner, protocol: int = 3) -> None:
        self.run = run
        self.told: list[Any] = []
        self.session: Session = run.executor.open_session(self)
        self.session.protocol = protocol

    def __call__(self, *argv: Any) -> Any:
        return self.run(*argv, session=self.session)

    def push(self, reply: Any) -> None:
        self.told.append(reply)

    def close(self) -> None:
        """Nothing to close."""

    def describe(self) -> dict[str, str]:
        return {"addr": "1.2.3.4:5", "laddr": "test:2", "fd": "-1"}


def shown(client: Client) -> list[bytes]:
    """What a monitor has seen, without the time."""
    assert all(isinstance(line, Simple) for line in client.told)
    lines = [line.text.partition(b" ")[2] for line in client.told]
    client.told.clear()
    return lines


def test_monitor_shows_what_is_run(run: Runner) -> None:
    monitor, client = Client(run), Client(run)
    assert monitor("MONITOR") == Simple(b"OK")
    client("SELECT", 3)
    client("SET", 'a\n"\\', b"\xff\x00")
    assert shown(monitor) == [b'[3 1.2.3.4:5] "SELECT" "3"', b'[3 1.2.3.4:5] "SET" "a\\n\\"\\\\" "\\xff\\x00"']
    client("CONFIG", "GET", "port")
    client("NOSUCH")
    assert shown(monitor) == []
    client("MULTI")
    client("GET", "a")
    client("EXEC")
    assert [line.split(b" ")[2] for line in shown(monitor)] == [b'"MULTI"', b'"GET"', b'"EXEC"']
    client("EVAL", "return redis.call('set', KEYS[1], 1)", 1, "k")
    lines = shown(monitor)
    assert lines[0].startswith(b'[3 1.2.3.4:5] "EVAL"')
    assert lines[1:] == [b'[3 lua] "set" "k" "1"']


def test_monitor_shows_no_passwords(run: Runner) -> None:
    monitor, client = Client(run), Client(run)
    monitor("MONITOR")
    client("AUTH", "default", "secret")
    client("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "me")
    assert [line.partition(b"] ")[2] for line in shown(monitor)] == [
        b'"AUTH" "(redacted)" "(redacted)"',
        b'"HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "me"',
    ]


def test_a_monitor_touches_no_keys_and_can_be_reset(run: Runner) -> None:
    monitor = Client(run)
    monitor("MONITOR")
    reply = monitor("GET", "a")
    assert isinstance(reply, CommandError)
    assert reply.text == "Replica can't interact with the keyspace"
    reply = monitor("PING")
    assert isinstance(reply, Followed)
    assert len(reply.pushes) == 1
    assert run.executor.call != run.executor.call_unobserved
    monitor("RESET")
    assert run.executor.call == run.executor.call_unobserved
    assert monitor("GET", "a") is None


def test_shards_are_apart_from_channels(run: Runner) -> None:
    client = Client(run)
    client("SSUBSCRIBE", "a", "b")
    client("SUBSCRIBE", "a")
    assert run("SPUBLISH", "a", "hello") == 1
    assert run("PUBLISH", "b", "hello") == 0
    assert client.told == [Push((b"smessage", b"a", b"hello"))]
    assert sorted(run("PUBSUB", "SHARDCHANNELS")) == [b"a", b"b"]
    assert run("PUBSUB", "SHARDCHANNELS", "b*") == [b"b"]
    assert run("PUBSUB", "SHARDNUMSUB", "a", "c") == [b"a", 1, b"c", 0]
    client("SUNSUBSCRIBE")
    assert run("PUBSUB", "SHARDCHANNELS") == []
    assert client.session.listening()


def test_ones_own_message_comes_behind_the_reply(run: Runner) -> None:
    client = Client(run)
    client("SUBSCRIBE", "a")
    assert client("PUBLISH", "a", "hello") == Followed(1, [Push((b"message", b"a", b"hello"))])


def test_histograms_count_calls(run: Runner) -> None:
    for _ in range(5):
        run("SET", "a", 1)
    counted = run("LATENCY", "HISTOGRAM", "set", "nosuch")
    assert list(counted) == [b"set"]
    assert counted[b"set"][b"calls"] == 5
    assert list(counted[b"set"][b"histogram_usec"].values())[-1] == 5
    assert b"latency_percentiles_usec_set:p50=" in run("INFO", "latencystats").text
    run("CONFIG", "SET", "latency-tracking", "no")
    assert run("LATENCY", "HISTOGRAM") == {}
    run("CONFIG", "SET", "latency-tracking", "yes")
    run("SET", "a", 1)
    assert run("LATENCY", "HISTOGRAM", "set")[b"set"][b"calls"] == 1
    assert b"cmdstat_set:calls=6," in run("INFO", "commandstats").text


def test_the_latency_monitor(run: Runner) -> None:
    latencies = run.executor.stats.latencies
    assert run("LATENCY", "LATEST") == []
    latencies.add(b"command", 100, 1000)
    assert run("LATENCY", "LATEST") == []
    run("CONFIG", "SET", "latency-monitor-threshold", 50)
    for at, spent in ((1000, 60), (1000, 80), (1000, 40), (1001, 55)):
        latencies.add(b"command", spent, at)
    assert run("LATENCY", "LATEST") == [[b"command", 1001, 55, 80]]
    assert run("LATENCY", "HISTORY", "command") == [[1000, 80], [1001, 55]]
    assert run("LATENCY", "HISTORY", "nosuch") == []
    graph = run("LATENCY", "GRAPH", "command")
    assert isinstance(graph, Verbatim)
    assert b"high 80 ms, low 55 ms" in graph.text
    assert b"- command: 2 samples" in run("LATENCY", "DOCTOR").text
    assert isinstance(run("LATENCY", "GRAPH", "nosuch"), CommandError)
    assert run("LATENCY", "RESET", "nosuch") == 0
    assert run("LATENCY", "RESET") == 1
    for second in range(500):
        latencies.add(b"command", 60, second)
    assert len(run("LATENCY", "HISTORY", "command")) == 160


def test_what_is_no_command_is_an_event_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which everything takes a second."""
    seconds = itertools.count(0, 1_000_000_000)
    run = Runner(tmp_path / "store", appendfsync="always")
    try:
        for module in (delays, expiry):
            monkeypatch.setattr(module, "perf_ns", lambda: next(seconds))
        run("SET", "a", 1)
        assert run("LATENCY", "LATEST") == []
        run("CONFIG", "SET", "latency-monitor-threshold", 1000)
        run("SET", "a", 1, "PX", 10)
        store = run.executor.store
        with store.lock:
            store.expiry.due(store.now + 10, 10)
            store.commit()
        assert {entry[0]: entry[2:] for entry in run("LATENCY", "LATEST")} == {
            name: [1000, 1000] for name in (b"aof-write", b"aof-fsync-always", b"expire-cycle")
        }
        assert b"appendfsync" in run("LATENCY", "DOCTOR").text
        run("CONFIG", "SET", "latency-monitor-threshold", 0)
        run("LATENCY", "RESET")
        run("SET", "a", 1)
        assert run("LATENCY", "LATEST") == []
        run("CONFIG", "SET", "latency-monitor-threshold", 1001)
        run("SET", "a", 1)
        assert run("LATENCY", "LATEST") == []
    finally:
        run.close()


def test_a_command_that_waits_is_seen_once(run: Runner) -> None:
    watcher, waiting = Client(run), Client(run)
    run("CONFIG", "SET", "slowlog-log-slower-than", 0)
    watcher("MONITOR")
    argv = [b"BLPOP", b"list", b"0"]
    blocked = waiting(*argv)
    replies: list[Any] = []
    run.executor.waiters.park(waiting.session, argv, blocked, replies.append)
    assert not [entry for entry in run("SLOWLOG", "GET") if entry[3][0] == b"BLPOP"]
    run("RPUSH", "list", "a")
    assert replies == [[b"list", b"a"]]
    assert len([entry for entry in run("SLOWLOG", "GET") if entry[3][0] == b"BLPOP"]) == 1
    assert [line.text.split()[3] for line in watcher.told] == [b'"BLPOP"', b'"RPUSH"']


def test_lolwut_ends_with_the_version(run: Runner) -> None:
    assert b"Redis ver. 7.4" in run("LOLWUT").text
    assert b"Redis ver. 7.4" in run("LOLWUT", "VERSION", 5, 40, 3).text
    assert isinstance(run("LOLWUT", "VERSION", "x"), CommandError)
