"""TIME, SHUTDOWN, SLOWLOG, MEMORY, INFO, COMMAND."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.errors import CommandError
from diskkv.replies import NO_REPLY, OK, Simple
from tests.support.oracle import Oracle, plain, start
from tests.support.runner import Runner


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    oracle = start()
    yield oracle
    oracle.close()


def text(reply: object) -> str:
    assert isinstance(reply, CommandError), reply
    return reply.line().decode()


def fields(reply: Any) -> dict[str, str]:
    return dict(line.split(":", 1) for line in reply.text.decode().split("\r\n") if ":" in line)


def test_errors_are_those_of_redis(run: Runner, oracle: Oracle) -> None:
    for run_both in (["SET", "a", "b"], ["DEL", "none"]):
        run(*run_both)
        oracle.run(*run_both)
    for argv in (
        ["TIME", "x"], ["SHUTDOWN", "ABORT"], ["SHUTDOWN", "FOO"], ["SHUTDOWN", "SAVE", "NOSAVE"], ["SHUTDOWN", "ABORT", "NOW"],
        ["SLOWLOG", "GET", "x"], ["SLOWLOG", "GET", -2], ["SLOWLOG", "RESET"], ["SLOWLOG"], ["SLOWLOG", "foo"], ["BGSAVE", "x"],
        ["MEMORY", "USAGE", "none"], ["MEMORY", "USAGE", "a", "SAMPLES"], ["MEMORY", "USAGE", "a", "SAMPLES", "x"],
        ["MEMORY", "USAGE", "a", "FOO", 1], ["INFO", "nonesuch"], ["COMMAND", "COUNT", "x"], ["COMMAND", "FOO"], ["CONFIG"],
        ["COMMAND", "LIST", "FILTERBY", "MODULE", "x"], ["COMMAND", "LIST", "FOO"], ["COMMAND", "LIST", "FILTERBY", "FOO", "x"],
        ["COMMAND", "GETKEYS", "get", "a"], ["COMMAND", "GETKEYS", "get", "a", "b"], ["COMMAND", "GETKEYS", "foo", "x"],
        ["COMMAND", "GETKEYS", "ping", "x"], ["COMMAND", "GETKEYS", "mset", "a", 1, "b", 2], ["COMMAND", "DOCS", "nonesuch"],
        ["COMMAND", "GETKEYS", "sort", "a", "store", "b"], ["COMMAND", "GETKEYS", "zunionstore", "d", 2, "a", "b"],
        ["COMMAND", "GETKEYS", "zunionstore", "d", "x", "a", "b"], ["COMMAND", "GETKEYS", "zunionstore", "d", 5, "a", "b"],
        ["COMMAND", "GETKEYS", "object", "encoding", "a"], ["COMMAND", "GETKEYS", "smove", "a", "b", "c"],
        ["COMMAND", "GETKEYS", "bitop", "and", "d", "a", "b"], ["COMMAND", "GETKEYS", "sintercard", 2, "a", "b", "LIMIT", 1],
        ["COMMAND", "INFO", "nonesuch"], ["COMMAND", "GETKEYS", "rename", "a", "b"],
    ):  # fmt: skip
        assert plain(run(*argv)) == oracle.run(*argv), argv


def test_time_follows_the_clock_that_was_handed_in(run: Runner) -> None:
    run.clock.now = 1_700_000_001_234
    assert run("TIME") == [b"1700000001", b"234000"]


def test_shutdown_is_told_to_the_front(run: Runner) -> None:
    assert run("SHUTDOWN", "NOSAVE", "NOW") is NO_REPLY
    assert run.executor.shutdown == "nosave"
    assert run("SHUTDOWN", "ABORT") == OK
    assert run.executor.shutdown is None
    run("MULTI")
    assert text(run("SHUTDOWN")) == "ERR Command not allowed inside a transaction"


def test_the_log_is_shortened_on_demand(run: Runner) -> None:
    run.checkpoint()
    before = run.executor.store.writer.checkpoints
    run("SET", "a", 1)
    assert run("BGREWRITEAOF") == Simple(b"Background append only file rewriting started")
    with run.executor.store.lock:
        # no test waits for time: the checkpoint comes, or the test hangs
        while run.executor.store.writer.checkpoints == before:
            run.executor.store.landed.wait()
    assert run("LASTSAVE") == run.clock.now // 1000


def test_slow_commands_are_remembered(run: Runner) -> None:
    run("CONFIG", "SET", "slowlog-log-slower-than", 0)
    run("CLIENT", "SETNAME", "me")
    run("SLOWLOG", "RESET")
    run("SET", "a", "x" * 200)
    run("MSET", *range(40))
    entries = run("SLOWLOG", "GET", 2)
    assert [entry[3][0] for entry in entries] == [b"MSET", b"SET"]
    assert len(entries[0][3]) == 32
    assert entries[0][3][-1] == b"... (10 more arguments)"
    assert entries[1][3][2] == b"x" * 128 + b"... (72 more bytes)"
    assert entries[1][4:] == [b"127.0.0.1:0", b"me"]
    assert entries[0][0] == entries[1][0] + 1


def test_passwords_are_not_written_down(run: Runner) -> None:
    run("CONFIG", "SET", "slowlog-log-slower-than", 0)
    run("CONFIG", "SET", "requirepass", "secret")
    run("AUTH", "default", "secret")
    run("HELLO", 2, "AUTH", "default", "secret")
    shown = [entry[3] for entry in run("SLOWLOG", "GET")]
    assert shown[1] == [b"AUTH", b"(redacted)", b"(redacted)"]
    assert not any(b"secret" in words for words in shown)


def test_info_tells_what_is_true(run: Runner) -> None:
    run("SET", "a", 1, "PX", 100)
    run("SET", "b", 1)
    run("GET")
    run("INCR", "b", "c")
    run("LPUSH", "b", 1)
    run.clock.advance(90_000_000)
    run("GET", "a")
    info = fields(run("INFO"))
    assert info["redis_version"].startswith("7.4.")
    assert info["uptime_in_days"] == "1"
    assert info["connected_clients"] == "1"
    assert info["expired_keys"] == "1"
    assert info["db0"] == "keys=1,expires=0"
    assert info["total_error_replies"] == "3"
    assert info["errorstat_WRONGTYPE"] == "count=1"
    assert info["errorstat_ERR"] == "count=2"
    assert "cmdstat_get" not in info
    stats = fields(run("INFO", "commandstats"))
    assert stats["cmdstat_get"].startswith("calls=1,")
    assert stats["cmdstat_get"].endswith("rejected_calls=1,failed_calls=0")
    assert stats["cmdstat_lpush"].endswith("rejected_calls=0,failed_calls=1")
    assert run("INFO", "cluster", "KEYSPACE").text == b"# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\ndb0:keys=1,expires=0\r\n"
    assert set(fields(run("INFO", "everything"))) > set(info)


def test_the_version_is_that_of_the_package(run: Runner) -> None:
    project = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
    assert f'\nversion = "{fields(run("INFO", "server"))["diskkv_version"]}"\n' in project


def test_what_clients_read_in_info_is_there(run: Runner, oracle: Oracle) -> None:
    theirs = {line.split(":")[0] for line in oracle.run("INFO").decode().split("\r\n") if ":" in line}
    ours = set(fields(run("INFO")))
    wanted = {
        "redis_version", "redis_mode", "os", "arch_bits", "process_id", "run_id", "tcp_port", "uptime_in_seconds", "connected_clients",
        "maxclients", "blocked_clients", "used_memory", "used_memory_human", "used_memory_rss", "maxmemory", "maxmemory_policy",
        "loading", "aof_enabled", "aof_rewrite_in_progress", "aof_last_write_status", "total_connections_received",
        "total_commands_processed", "expired_keys", "evicted_keys", "pubsub_channels", "role", "connected_slaves", "used_cpu_sys",
        "cluster_enabled",
    }  # fmt: skip
    assert wanted <= ours & theirs


def test_command_docs_describe_arguments(run: Runner) -> None:
    docs = run("COMMAND", "DOCS", "expire", "object|encoding")
    assert list(docs) == [b"expire", b"object|encoding"]
    expire = docs[b"expire"]
    assert expire[b"since"] == b"1.0.0"
    assert expire[b"group"] == b"generic"
    assert expire[b"usage"] == b"EXPIRE key seconds [NX | XX | GT | LT]"
    key, seconds, condition = expire[b"arguments"]
    assert key == {b"name": b"key", b"type": b"key", b"display_text": b"key"}
    assert seconds[b"type"] == b"integer"
    assert (condition[b"type"], condition[b"flags"]) == (b"oneof", [Simple(b"optional")])
    assert condition[b"arguments"][0] == {b"name": b"nx", b"type": b"pure-token", b"token": b"NX"}
    container = run("COMMAND", "DOCS", "OBJECT")[b"object"]
    assert b"object|encoding" in container[b"subcommands"]
    assert len(run("COMMAND", "DOCS")) == run("COMMAND", "COUNT")


def test_commands_are_described_as_redis_describes_them(run: Runner, oracle: Oracle) -> None:
    names = ["get", "set", "del", "mget", "copy", "object|encoding", "keys", "config|get", "subscribe", "ping", "client|list", "flushall"]
    for ours, theirs in zip(run("COMMAND", "INFO", *names), oracle.run("COMMAND", "INFO", *names), strict=True):
        assert [ours[0], ours[1], *ours[3:6]] == [theirs[0], theirs[1], *theirs[3:6]]
        assert {flag.text for flag in ours[2]} == set(theirs[2])
        assert {category.text for category in ours[6]} == set(theirs[6])
    keys = run("COMMAND", "INFO", "mset")[0][8]
    assert plain(keys)[0][2:] == oracle.run("COMMAND", "INFO", "mset")[0][8][0][2:]
    assert len(run("COMMAND")) == run("COMMAND", "COUNT") == sum(b"|" not in name for name in run("COMMAND", "LIST"))


def test_command_list_filters(run: Runner) -> None:
    assert set(run("COMMAND", "LIST", "FILTERBY", "PATTERN", "*EXPIREAT")) == {b"expireat", b"pexpireat", b"hexpireat", b"hpexpireat"}
    assert set(run("COMMAND", "LIST", "FILTERBY", "ACLCAT", "transaction")) == {b"multi", b"exec", b"discard", b"watch", b"unwatch"}
    assert b"config|set" in run("COMMAND", "LIST", "FILTERBY", "PATTERN", "config*")


def test_help(run: Runner) -> None:
    for name in ("CLIENT", "COMMAND", "CONFIG", "MEMORY", "OBJECT", "PUBSUB", "SLOWLOG"):
        lines = [line.text for line in run(name, "HELP")]
        assert lines[0].startswith(name.encode() + b" <subcommand>")
        assert b"HELP" in lines
