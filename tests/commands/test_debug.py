"""DEBUG: who may, and what it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.commands.debug import ABSENT, HELP, SUBCOMMANDS
from diskkv.dispatch.session import LOCAL
from diskkv.errors import CommandError
from diskkv.replies import OK
from diskkv.resp.encode import encode
from tests.support.oracle import Oracle, plain, start
from tests.support.runner import Runner


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    oracle = start("--enable-debug-command", "yes")
    yield oracle
    oracle.close()


@pytest.fixture
def allowed(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path / "debug", enable_debug_command="yes")
    yield runner
    findings = runner.findings()
    runner.close()
    assert not findings


def test_it_is_allowed_to_nobody_unless_said(run: Runner) -> None:
    assert "DEBUG command not allowed" in str(run("DEBUG", "DIGEST"))
    for address in ("127.0.0.1:1", "[::1]:1", "/tmp/socket:0", ""):
        assert LOCAL.match(address), address
    for address in ("10.0.0.1:1", "[::2]:1", "127.0.0.12:1"):
        assert not LOCAL.match(address), address


# Not double, which 7.0 prints with more digits.
TYPES = ("string", "integer", "bignum", "null", "array", "set", "map", "attrib", "push", "verbatim", "true", "false", "nonesuch")
DATA = (
    ("SET", "string", "x" * 100_000),
    ("RPUSH", "list", *range(700)),
    ("SADD", "set", *range(300), "a"),
    ("SADD", "integers", *range(10)),
    ("ZADD", "sorted", 1.5, "a", -3, "b", "inf", "c", 0, "d"),
    ("HSET", "hash", *range(400)),
    ("XADD", "stream", "5-1", "a", "1", "b", "2"),
    ("XADD", "stream", "5-2", "c", "3"),
    ("SET", "empty", ""),
    ("SET", "expiring", 1, "PXAT", 4_000_000_000_000),
)


def test_fingerprints_are_those_of_redis(allowed: Runner, oracle: Oracle) -> None:
    oracle.run("FLUSHALL")
    keys = [*dict.fromkeys(str(words[1]) for words in DATA), "none"]
    for words in DATA:
        oracle.run(*words)
        allowed(*words)
    for when in ("resident", "stored"):
        assert plain(allowed("DEBUG", "DIGEST-VALUE", *keys)) == oracle.run("DEBUG", "DIGEST-VALUE", *keys), when
        assert plain(allowed("DEBUG", "DIGEST")) == oracle.run("DEBUG", "DIGEST"), when
        allowed.evict()


@pytest.mark.parametrize("way", ["RELOAD", "LOADAOF"])
def test_the_store_is_read_anew(allowed: Runner, way: str) -> None:
    allowed("SELECT", 3)
    for words in DATA:
        allowed(*words)
    before = allowed("DEBUG", "DIGEST")
    objects = allowed.session.db.objects
    allowed("MULTI")
    allowed("DEBUG", way)
    assert isinstance(allowed("EXEC")[0], CommandError)
    watcher = allowed.executor.open_session()
    allowed("WATCH", "string", session=watcher)
    assert allowed("DEBUG", way) == OK
    assert allowed.session.db.objects is not objects
    assert allowed("DEBUG", "DIGEST") == before
    assert allowed("INCR", "after") == 1
    # Twice, with something to replay: it must not be in the log itself.
    assert allowed("DEBUG", way) == OK
    assert allowed("DEBUG", way) == OK
    allowed.reopen()
    allowed("SELECT", 3)
    assert allowed("GET", "after") == b"1"


def test_keys_expire_by_themselves_or_when_looked_for(allowed: Runner) -> None:
    allowed("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    allowed("SET", "a", 1, "PX", 10)
    allowed.clock.advance(100)
    assert allowed("DBSIZE") == 1
    assert allowed("GET", "a") is None
    assert allowed("DBSIZE") == 0
    allowed("SET", "a", 1, "PX", 10)
    allowed.clock.advance(100)
    allowed("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    assert allowed("DBSIZE") == 0


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_type_of_the_protocol_has_an_example(allowed: Runner, oracle: Oracle, protocol: int) -> None:
    def wire(name: str) -> bytes:
        connection = oracle.connect()
        try:
            connection.sendall(b"HELLO %d\r\nDEBUG PROTOCOL %b\r\nECHO end\r\n" % (protocol, name.encode()))
            data = b""
            while not data.endswith(b"$3\r\nend\r\n"):
                data += connection.recv(1 << 16)
        finally:
            connection.close()
        hello = data.index(b"modules\r\n*0\r\n") + len(b"modules\r\n*0\r\n")
        return data[hello : -len(b"$3\r\nend\r\n")]

    allowed.session.protocol = protocol
    for name in TYPES:
        assert encode(allowed("DEBUG", "PROTOCOL", name), protocol) == wire(name), name


def test_strings_can_be_made_in_masses(allowed: Runner, oracle: Oracle) -> None:
    oracle.run("FLUSHALL")
    for words in ((50,), (60, "p", 4), (60, "p", 10)):
        assert plain(allowed("DEBUG", "POPULATE", *words)) == oracle.run("DEBUG", "POPULATE", *words)
    assert plain(allowed("DEBUG", "DIGEST")) == oracle.run("DEBUG", "DIGEST")
    allowed.reopen()
    assert plain(allowed("DEBUG", "DIGEST")) == oracle.run("DEBUG", "DIGEST")


def test_errors_are_those_of_redis(allowed: Runner, oracle: Oracle) -> None:
    for words in (
        [], ["nonesuch"], ["SLEEP"], ["SLEEP", 0], ["ERROR", "FOO bar"], ["OBJECT", "none"], ["RELOAD", "x"], ["POPULATE", -1],
        ["QUICKLIST-PACKED-THRESHOLD", "5x"], ["QUICKLIST-PACKED-THRESHOLD", "100b"], ["DIGEST", "x"], ["LOG", "x"], ["CHANGE-REPL-ID"],
    ):  # fmt: skip
        reply: Any = allowed("DEBUG", *words)
        line = encode(reply, 2)[1:-2].decode()
        assert line == str(oracle.run("DEBUG", *words)).removeprefix("b'").removesuffix("'"), words


def test_what_is_there_is_told_and_what_is_absent_is_refused(allowed: Runner) -> None:
    assert not set(SUBCOMMANDS) & set(ABSENT)
    assert [usage.split()[0].encode() for usage, _ in HELP] == sorted(SUBCOMMANDS)
    for name in ABSENT:
        assert "is not there" in str(allowed("DEBUG", name)), name


def test_reading_anew_without_emptying_needs_leave_to_replace(allowed: Runner) -> None:
    assert allowed("DEBUG", "RELOAD", "NOFLUSH") == OK
    allowed("SET", "a", 1)
    assert "Error trying to load" in str(allowed("DEBUG", "RELOAD", "NOFLUSH"))
    assert allowed("DEBUG", "RELOAD", "NOFLUSH", "MERGE") == OK
    assert isinstance(allowed("DEBUG", "RELOAD", "NOSAVE"), CommandError)
    assert allowed("GET", "a") == b"1"


def test_what_only_looks_is_no_use_of_a_key(allowed: Runner) -> None:
    allowed("SET", "a", 1)
    allowed.clock.advance(5000)
    for words in (("TTL", "a"), ("PTTL", "a"), ("EXPIRETIME", "a"), ("TYPE", "a"), ("EXISTS", "a")):
        allowed(*words)
        assert allowed("OBJECT", "IDLETIME", "a") == 5, words
    allowed("TOUCH", "a")
    assert allowed("OBJECT", "IDLETIME", "a") == 0
