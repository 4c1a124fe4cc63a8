"""HELLO, AUTH, RESET, QUIT and CLIENT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from diskkv.errors import CommandError, Unblocked
from diskkv.replies import NO_REPLY, OK, PONG, POSTPONED, QUEUED, Blocked, Simple
from tests.support.listening import Listener
from tests.support.oracle import plain, start
from tests.support.runner import Runner


def text(reply: object) -> str:
    assert isinstance(reply, CommandError), reply
    return reply.line().decode()


def test_the_password_is_asked_for(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store", requirepass="secret")
    assert text(run("GET", "a")) == "NOAUTH Authentication required."
    assert text(run("MULTI")) == "NOAUTH Authentication required."
    assert text(run("HELLO", 3)).startswith("NOAUTH HELLO must be called with the client already authenticated")
    assert text(run("AUTH", "wrong")).startswith("WRONGPASS ")
    assert text(run("AUTH", "other", "secret")).startswith("WRONGPASS ")
    assert run("HELLO", 3, "AUTH", "default", "secret")[b"proto"] == 3
    assert run("GET", "a") is None
    run("RESET")
    assert text(run("GET", "a")).startswith("NOAUTH")
    assert run("AUTH", "secret") == OK
    assert run("CONFIG", "SET", "requirepass", "") == OK
    assert run("GET", "a", session=run.executor.open_session()) is None
    run.close()


def test_errors_are_those_of_redis(run: Runner) -> None:
    oracle = start()
    try:
        for argv in (
            ["AUTH", "a"], ["AUTH", "default", "a"], ["AUTH", "u", "p"], ["AUTH", "a", "b", "c"], ["AUTH"], ["HELLO", 4], ["HELLO", "x"],
            ["HELLO", 3, "AUTH"], ["HELLO", 3, "AUTH", "x"], ["HELLO", 2, "SETNAME", "a b"], ["HELLO", 2, "FOO"], ["RESET", "x"],
            ["HELLO", 2, "AUTH", "foo", "bar"], ["HELLO", "SETNAME", "x"], ["CLIENT"], ["CLIENT", "foo"], ["CLIENT", "KILL"],
            ["CLIENT", "KILL", "x"], ["CLIENT", "KILL", "ID", "x"], ["CLIENT", "KILL", "ID", 99], ["CLIENT", "KILL", "TYPE", "x"],
            ["CLIENT", "KILL", "ID", 1, "SKIPME"], ["CLIENT", "KILL", "foo", 1], ["CLIENT", "KILL", "SKIPME", "foo"],
            ["CLIENT", "KILL", "USER", "nobody"], ["CLIENT", "KILL", "SKIPME", "yes", "ID", 99], ["CLIENT", "LIST", "TYPE", "x"],
            ["CLIENT", "LIST", "ID", "x"], ["CLIENT", "LIST", "ID"], ["CLIENT", "LIST", "ID", 98, 99], ["CLIENT", "LIST", "FOO"],
            ["CLIENT", "LIST", "TYPE", "pubsub"], ["CLIENT", "GETNAME"], ["CLIENT", "SETNAME", "a b"], ["CLIENT", "SETNAME", "a"],
            ["CLIENT", "GETNAME"], ["CLIENT", "SETNAME", ""], ["CLIENT", "GETNAME"], ["CLIENT", "REPLY", "foo"],
            ["CLIENT", "UNBLOCK", "x"], ["CLIENT", "UNBLOCK", 1], ["CLIENT", "UNBLOCK", 1, "FOO"], ["CLIENT", "PAUSE", "x"],
            ["CLIENT", "PAUSE", -1], ["CLIENT", "PAUSE", 1, "foo"], ["CLIENT", "NO-EVICT", "x"], ["CLIENT", "NO-EVICT", "on"],
            ["CLIENT", "ID", "x"], ["CLIENT", "INFO", "x"], ["SELECT", 16], ["SELECT", "x"], ["SELECT", 2**40], ["PING", 1, 2], ["ECHO"],
        ):  # fmt: skip
            assert plain(run(*argv)) == oracle.run(*argv), argv
    finally:
        oracle.close()


def test_hello(run: Runner) -> None:
    reply = run("HELLO", 3, "SETNAME", "me")
    assert list(reply) == [b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"]
    assert reply[b"id"] == run("CLIENT", "ID")
    assert run("CLIENT", "GETNAME") == b"me"
    assert run("HELLO")[b"proto"] == 3


def test_quit_and_reset(run: Runner) -> None:
    front = Listener()
    session = run.executor.open_session(front)
    run("SELECT", 3, session=session)
    run("MULTI", session=session)
    assert run("RESET", session=session) == Simple(b"RESET")
    assert run("SET", "a", 1, session=session) == OK
    assert run("EXISTS", "a") == 1
    run("MULTI", session=session)
    assert run("QUIT", session=session) == OK
    assert front.closed


def fields(line: str) -> dict[str, str]:
    return dict(field.split("=", 1) for field in line.split())


def test_client_list_tells_what_is_known(run: Runner) -> None:
    front = Listener("10.0.0.1:99")
    session = run.executor.open_session(front)
    run("HELLO", 3, "SETNAME", "listener", session=session)
    run("CLIENT", "SETINFO", "LIB-NAME", "made-up", session=session)
    run("CLIENT", "SETINFO", "lib-ver", "1.0", session=session)
    run("SUBSCRIBE", "a", session=session)
    run("SELECT", 2, session=session)
    run.clock.advance(5000)
    line = run("CLIENT", "INFO", session=session).text.decode()
    assert line.endswith("\n")
    shown = fields(line)
    assert shown == {
        "id": str(session.id), "addr": "10.0.0.1:99", "laddr": "127.0.0.1:6379", "fd": "8", "name": "listener", "age": "5", "idle": "5",
        "flags": "PU", "db": "2", "sub": "1", "psub": "0", "ssub": "0", "multi": "-1", "qbuf": "0", "cmd": "client|info",
        "user": "default", "redir": "-1", "resp": "3", "lib-name": "made-up", "lib-ver": "1.0",
    }  # fmt: skip
    assert len(run("CLIENT", "LIST").text.splitlines()) == 2
    assert fields(run("CLIENT", "LIST", "TYPE", "pubsub").text.decode())["name"] == "listener"
    assert fields(run("CLIENT", "LIST", "ID", session.id, 99).text.decode())["id"] == str(session.id)
    assert text(run("CLIENT", "SETINFO", "lib-ver", "a b")) == "ERR lib-ver cannot contain spaces, newlines or special characters."
    assert text(run("CLIENT", "SETINFO", "x", "y")) == "ERR Unrecognized option 'x'"


def test_client_kill(run: Runner) -> None:
    fronts = [Listener(f"10.0.0.1:{number}") for number in range(4)]
    sessions = [run.executor.open_session(front) for front in fronts]
    assert run("CLIENT", "KILL", "10.0.0.1:0") == OK
    run("PSUBSCRIBE", "*", session=sessions[1])
    assert run("CLIENT", "KILL", "TYPE", "pubsub", "ID", sessions[2].id) == 0
    assert run("CLIENT", "KILL", "TYPE", "pubsub", "USER", "default") == 1
    assert run("CLIENT", "KILL", "ADDR", "10.0.0.1:2", "LADDR", "127.0.0.1:6379") == 1
    assert run("CLIENT", "KILL", "ID", sessions[3].id, session=sessions[3]) == 0
    assert [front.closed for front in fronts] == [True, True, True, False]
    assert run("CLIENT", "KILL", "ID", sessions[3].id, "SKIPME", "no", session=sessions[3]) == 1
    assert fronts[3].closed


def test_client_kill_by_age(run: Runner) -> None:
    old = Listener("10.0.0.1:1")
    run.executor.open_session(old)
    run.clock.advance(5000)
    young = Listener("10.0.0.1:2")
    run("PING")
    session = run.executor.open_session(young)
    assert text(run("CLIENT", "KILL", "MAXAGE", "0", "ID", 1)) == "ERR maxage should be greater than 0"
    assert text(run("CLIENT", "KILL", "MAXAGE", "x", "ID", 1)) == "ERR maxage is not an integer or out of range"
    assert run("CLIENT", "KILL", "MAXAGE", "6") == 0
    assert run("CLIENT", "KILL", "MAXAGE", "5", "ID", session.id) == 0
    assert run("CLIENT", "KILL", "MAXAGE", "5") == 1
    assert (old.closed, young.closed) == (True, False)


def test_who_waits_for_a_pause_to_end_is_counted(run: Runner) -> None:
    other = run.executor.open_session(Listener())
    run("CLIENT", "PAUSE", 1000, "WRITE")
    assert run("SET", "a", 1, session=other) is POSTPONED
    assert run("EVAL", "return 1", 0, session=other) is POSTPONED
    assert run("EVAL", "#!lua flags=no-writes\nreturn 1", 0) == 1
    assert "blocked_clients:1\r\n" in run("INFO", "clients").text.decode()
    assert "b" in fields(run("CLIENT", "LIST", "ID", other.id).text.decode())["flags"]
    run("CLIENT", "UNPAUSE")
    assert "blocked_clients:0\r\n" in run("INFO", "clients").text.decode()
    assert run("MULTI", session=other) == OK
    assert run("SET", "a", 1, session=other) == QUEUED
    run("CLIENT", "PAUSE", 1000, "WRITE")
    assert run("EXEC", session=other) is POSTPONED
    run.clock.advance(1000)
    assert run("EXEC", session=other) == [OK]
    assert "blocked_clients:0\r\n" in run("INFO", "clients").text.decode()


def test_client_reply(run: Runner) -> None:
    assert run("CLIENT", "REPLY", "OFF") is NO_REPLY
    assert run("SET", "a", 1) is NO_REPLY
    assert run("NONESUCH") is not None
    assert run("CLIENT", "REPLY", "ON") == OK
    assert run("GET", "a") == b"1"
    assert run("CLIENT", "REPLY", "SKIP") is NO_REPLY
    assert run("PING") is NO_REPLY
    assert run("PING") == PONG


def test_what_skips_is_skipped_too(run: Runner) -> None:
    for command in (["CLIENT", "REPLY", "SKIP"], ["RESET"], ["GET"], ["NONESUCH"], ["CLIENT", "REPLY", "FOO"]):
        assert run("CLIENT", "REPLY", "SKIP") is NO_REPLY
        assert run(*command) is NO_REPLY
        if command[-1] == "SKIP":
            assert run("PING") is NO_REPLY
        assert run("PING") == PONG
    assert run("CLIENT", "REPLY", "SKIP") is NO_REPLY
    assert run("CLIENT", "REPLY", "ON") == OK
    assert run("CLIENT", "REPLY", "OFF") is NO_REPLY
    assert run("RESET") == Simple(b"RESET")


def test_a_pause_skips_nothing(run: Runner) -> None:
    other = run.executor.open_session()
    run("CLIENT", "PAUSE", 1000)
    assert run("CLIENT", "REPLY", "SKIP", session=other) is POSTPONED
    run("CLIENT", "UNPAUSE")
    assert run("CLIENT", "REPLY", "SKIP", session=other) is NO_REPLY
    run("CLIENT", "PAUSE", 1000)
    assert run("PING", session=other) is POSTPONED
    run.clock.advance(1000)
    assert run("PING", session=other) is NO_REPLY
    assert run("PING", session=other) == PONG


@pytest.mark.parametrize("how", [[], ["TIMEOUT"], ["ERROR"]])
def test_client_unblock(run: Runner, how: list[str]) -> None:
    session = run.executor.open_session()
    heard: list[Any] = []
    run.executor.waiters.park(session, [b"GET", b"list"], Blocked([b"list"], 3, None, timeout_reply=b"time is up"), heard.append)
    assert run("CLIENT", "UNBLOCK", session.id, *how) == 1
    assert run("CLIENT", "UNBLOCK", session.id, *how) == 0
    if how == ["ERROR"]:
        assert isinstance(heard[0], Unblocked)
    else:
        assert heard == [b"time is up"]
    assert session.db.awaited == {}


def test_client_pause(run: Runner) -> None:
    assert run("CLIENT", "PAUSE", 100, "WRITE") == OK
    assert run("SET", "a", 1) is POSTPONED
    assert run("GET", "a") is None
    assert run("PUBLISH", "a", 1) is POSTPONED
    run.clock.advance(100)
    assert run("SET", "a", 1) == OK
    run("CLIENT", "PAUSE", 100)
    assert run("GET", "a") is POSTPONED
    assert run("CLIENT", "UNPAUSE") == OK
    assert run("GET", "a") == b"1"
    run("CLIENT", "PAUSE", 1000)
    run("CLIENT", "PAUSE", 1, "WRITE")
    run.clock.advance(999)
    assert run("GET", "a") is POSTPONED


def test_no_touch_leaves_the_cache_alone(run: Runner) -> None:
    run("SET", "a", 1)
    run.evict()
    run("GET", "a")
    value = run.executor.store.databases[0].objects[b"a"]
    before = value.freq
    assert run("CLIENT", "NO-TOUCH", "on") == OK
    run("GET", "a")
    run("MULTI")
    assert run("GET", "a") == QUEUED
    assert run("EXEC") == [b"1"]
    assert value.freq == before
    run("TOUCH", "a")
    assert value.freq == before + 1
    run("CLIENT", "NO-TOUCH", "off")
    run("GET", "a")
    assert value.freq == before + 2
    assert text(run("CLIENT", "NO-TOUCH", "x")) == "ERR syntax error"


def test_old_clients_are_disconnected(run: Runner) -> None:
    run.clock.advance(5000)
    run("PING")
    young = run.executor.open_session()
    assert run("CLIENT", "KILL", "MAXAGE", 5, "SKIPME", "yes") == 0
    assert run("CLIENT", "KILL", "MAXAGE", 5, "SKIPME", "no") == 1
    assert run("CLIENT", "KILL", "MAXAGE", 6, "SKIPME", "no") == 0
    assert "greater than 0" in str(run("CLIENT", "KILL", "MAXAGE", 0, session=young))
    assert "not an integer" in str(run("CLIENT", "KILL", "MAXAGE", "x", session=young))
