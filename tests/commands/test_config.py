"""CONFIG, and the table of settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from diskkv.config import BY_NAME, REFUSED, Settings
from diskkv.errors import CommandError, SettingError
from diskkv.replies import OK
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


def test_every_setting_of_redis_is_known_or_refused_by_name(oracle: Oracle) -> None:
    names = {name.decode() for name in oracle.run("CONFIG", "GET", "*")[::2]}
    assert names - set(BY_NAME) - set(REFUSED) == set()
    assert not set(BY_NAME) & set(REFUSED)


def test_errors_are_those_of_redis(run: Runner, oracle: Oracle) -> None:
    for words in (
        ["a", "b", "c"], ["a", "b"], ["timeout", "x"], ["timeout", -1], ["timeout", "5", "foo", "1"], ["appendfsync", "x"],
        ["maxmemory", "x"], ["maxmemory", "10mb", "maxmemory", "20mb"], ["protected-mode", "x"], ["slowlog-max-len", -1],
        ["client-output-buffer-limit", "x"], ["client-output-buffer-limit", "normal 1 2"], ["tcp-keepalive", 99999999999],
        ["client-output-buffer-limit", "foo 1 2 3"], ["client-output-buffer-limit", "normal x 2 3"], ["databases", 3],
        ["foo", 1, "timeout", "x"], ["timeout", 5, "databases", 3], ["daemonize", "yes"], [],
        ["timeout"], ["unixsocketperm", "777"],
    ):  # fmt: skip
        assert plain(run("CONFIG", "SET", *words)) == oracle.run("CONFIG", "SET", *words), words
    assert run("CONFIG", "GET", "timeout") == {b"timeout": b"0"}


def test_what_means_nothing_here_is_refused_with_the_reason(run: Runner) -> None:
    assert text(run("CONFIG", "SET", "hz", 100)) == (
        "ERR CONFIG SET failed (possibly related to argument 'hz') - means nothing here: keys expire at their millisecond"
    )
    assert run("CONFIG", "SET", "appendonly", "yes", "save", "") == OK
    assert text(run("CONFIG", "SET", "appendonly", "no")).endswith("can only be 'yes' here: every write is logged")
    assert text(run("CONFIG", "SET", "save", "60")).endswith("Invalid save parameters")
    with pytest.raises(SettingError, match="means nothing here: there is no cluster"):
        Settings(cluster_enabled="yes")


def test_get_shows_what_was_set(run: Runner) -> None:
    assert run("CONFIG", "SET", "maxmemory", "64mb", "slowlog-max-len", 3, "requirepass", "x") == OK
    assert run("CONFIG", "GET", "maxmemory", "SLOWLOG-MAX*", "nonesuch") == {b"maxmemory": b"67108864", b"slowlog-max-len": b"3"}
    assert run("CONFIG", "GET", "hash-max-*entries") == {b"hash-max-listpack-entries": b"128", b"hash-max-ziplist-entries": b"128"}
    run("HSET", "h", "a", 1, "b", 2)
    assert run("OBJECT", "ENCODING", "h") == b"listpack"
    assert run("CONFIG", "SET", "hash-max-ziplist-entries", 1) == OK
    assert run("OBJECT", "ENCODING", "h") == b"hashtable"
    assert run("CONFIG", "GET", "protected-mode", "save") == {b"protected-mode": b"yes", b"save": b""}
    assert len(run("CONFIG", "GET", "*")) == len(BY_NAME)


def test_output_limits_are_given_in_parts(run: Runner, oracle: Oracle) -> None:
    for words in ("pubsub 1mb 2k 3", "replica 1 2 3 NORMAL 4 5 6"):
        assert plain(run("CONFIG", "SET", "client-output-buffer-limit", words)) == oracle.run(
            "CONFIG", "SET", "client-output-buffer-limit", words
        )
        assert plain(run("CONFIG", "GET", "client-output-buffer-limit")) == oracle.run("CONFIG", "GET", "client-output-buffer-limit")


def test_a_listener_that_refuses_undoes_all(run: Runner) -> None:
    settings = run.executor.settings
    heard: list[tuple[str, str]] = []

    def listen(name: str) -> None:
        heard.append((name, settings.text(name)))
        if settings["timeout"] == 7:
            raise SettingError("not seven")

    settings.listeners.append(listen)
    reply = run("CONFIG", "SET", "maxclients", 5, "timeout", 7)
    assert text(reply) == "ERR CONFIG SET failed (possibly related to argument 'maxclients') - not seven"
    assert (settings["maxclients"], settings["timeout"]) == (10000, 0)
    assert heard[-2:] == [("maxclients", "10000"), ("timeout", "0")]


def test_changes_take_effect(run: Runner) -> None:
    run("CONFIG", "SET", "slowlog-log-slower-than", 0)
    for number in range(5):
        run("SET", f"key{number}", 1)
    assert run("SLOWLOG", "LEN") == 6
    run("CONFIG", "SET", "slowlog-max-len", 2, "slowlog-log-slower-than", -1)
    assert run("SLOWLOG", "LEN") == 2
    run("CONFIG", "SET", "maxmemory", "100mb")
    assert run.executor.store.cache.budget < 100 << 20
    run("CONFIG", "SET", "proto-max-bulk-len", "2mb")
    assert text(run("SETRANGE", "a", 2 << 20, "x")).startswith("ERR string exceeds maximum allowed size")


def test_resetstat(run: Runner) -> None:
    run("SET", "a", 1)
    run("GET")
    assert run("CONFIG", "RESETSTAT") == OK
    info = run("INFO", "commandstats", "errorstats").text
    assert b"cmdstat_set:" not in info
    assert b"errorstat_" not in info


def test_with_too_little_memory_nothing_may_be_added(run: Runner, oracle: Oracle) -> None:
    oracle.run("FLUSHALL")
    for words in (
        ["SET", "a", 1], ["MULTI"], ["SET", "a", 2], ["CONFIG", "SET", "maxmemory", 1], ["EXEC"],
        ["CONFIG", "SET", "maxmemory", 1], ["GET", "a"], ["SET", "a", 2], ["LPUSH", "l", 1], ["DEL", "none"], ["PING"],
        ["MULTI"], ["GET", "a"], ["DISCARD"], ["MULTI"], ["EXEC"],
        ["CONFIG", "SET", "maxmemory", 0], ["SET", "a", 3], ["GET", "a"],
    ):  # fmt: skip
        assert plain(run(*words)) == oracle.run(*words), words
    assert run("CONFIG", "GET", "maxmemory") == {b"maxmemory": b"0"}
    run("CONFIG", "SET", "maxmemory", "2mb")
    assert run("SET", "a", 4) == OK


def test_no_client_can_have_files_written_elsewhere(run: Runner) -> None:
    for name in ("dir", "dbfilename", "aclfile", "archive-dir", "logfile", "unixsocket", "enable-backup-command", "enable-debug-command"):
        assert "can't set immutable config" in text(run("CONFIG", "SET", name, "x")), name
