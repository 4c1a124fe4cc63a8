"""MIGRATE into a redis-server, and from one into diskkv: what arrives, what stays, and what is said when it fails."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from diskkv.replies import OK
from tests.cli.test_live_oracle import free_port, listening, serving
from tests.rdb.values import MAKERS
from tests.support.oracle import Error, Oracle, plain
from tests.support.runner import Runner


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path / "store")
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def target() -> Iterator[tuple[Oracle, str]]:
    with listening() as (oracle, address):
        yield oracle, address.partition(":")[2]


def test_values_of_every_type_arrive(run: Runner, target: tuple[Oracle, str]) -> None:
    oracle, port = target
    rng = random.Random(4)
    oracle.run("FLUSHALL")
    names = [b"key:%d" % number for number in range(18)]
    for number, name in enumerate(names):
        for command in MAKERS[number % len(MAKERS)](rng, name):
            run(*command)
            oracle.run(*command)
    for side in (run, oracle.run):
        side("PEXPIRE", names[0], 100_000)
    # A digest tells whether there is an expiry, too.
    digests = oracle.run("DEBUG", "DIGEST-VALUE", *names)
    oracle.run("FLUSHALL")
    assert run("MIGRATE", "127.0.0.1", port, "", 0, 5000, "COPY", "KEYS", *names, "missing") == OK
    assert oracle.run("DEBUG", "DIGEST-VALUE", *names) == digests
    assert 0 < oracle.run("PTTL", names[0]) <= 100_000
    assert run("EXISTS", *names) == len(names)
    taken = plain(run("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *names))
    assert taken == Error("ERR Target instance replied with error: BUSYKEY Target key name already exists.")
    assert run("EXISTS", *names) == len(names)
    assert run("MIGRATE", "127.0.0.1", port, "", 3, 5000, "REPLACE", "KEYS", *names) == OK
    assert run("EXISTS", *names) == 0
    oracle.run("SELECT", 3)
    assert oracle.run("DEBUG", "DIGEST-VALUE", *names) == digests
    oracle.run("SELECT", 0)
    assert plain(run("MIGRATE", "127.0.0.1", port, names[0], 0, 5000)) == b"NOKEY"
    assert "migrate_cached_sockets:1" in plain(run("INFO", "stats")).decode()
    run.reopen()
    assert run("EXISTS", *names) == 0


def test_partly_refused(run: Runner, target: tuple[Oracle, str]) -> None:
    """What arrived is gone here, what did not is still here."""
    oracle, port = target
    oracle.run("FLUSHALL")
    run("MSET", "a", 1, "b", 2, "c", 3)
    oracle.run("SET", "b", "taken")
    reply = plain(run("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", "a", "b", "c"))
    assert reply == Error("ERR Target instance replied with error: BUSYKEY Target key name already exists.")
    assert run("MGET", "a", "b", "c") == [None, b"2", None]
    assert oracle.run("MGET", "a", "b", "c") == [b"1", b"taken", b"3"]
    reply = plain(run("MIGRATE", "127.0.0.1", port, "b", 99, 5000))
    assert reply == Error("ERR Target instance replied with error: ERR DB index is out of range")
    assert run("GET", "b") == b"2"


def test_errors_are_worded_as_by_redis(run: Runner, target: tuple[Oracle, str]) -> None:
    oracle, _ = target
    oracle.run("FLUSHALL")
    nobody = str(free_port())
    for side in (run, oracle.run):
        side("SET", "key", 1)
    for argv in (
        ["MIGRATE", "127.0.0.1", nobody, "key", 0],
        ["MIGRATE", "127.0.0.1", nobody, "key", "x", 100],
        ["MIGRATE", "127.0.0.1", nobody, "key", 0, "x"],
        ["MIGRATE", "127.0.0.1", nobody, "key", 0, 100, "NOPE"],
        ["MIGRATE", "127.0.0.1", nobody, "key", 0, 100, "AUTH"],
        ["MIGRATE", "127.0.0.1", nobody, "key", 0, 100, "AUTH2", "user"],
        ["MIGRATE", "127.0.0.1", nobody, "key", 0, 100, "KEYS", "key"],
        ["MIGRATE", "127.0.0.1", nobody, "", 0, 100, "KEYS", "missing"],
        ["MIGRATE", "127.0.0.1", nobody, "key", 0, 100],
        ["MIGRATE", "127.0.0.1", nobody, "missing", 0, 100],
        ["MIGRATE", "127.0.0.1", nobody, "missing", 0, -5],
    ):
        assert plain(run(*argv)) == oracle.run(*argv), argv


def test_a_password_is_given(run: Runner) -> None:
    with listening("--requirepass", "secret") as (oracle, address):
        port = address.partition(":")[2]
        run("SET", "key", 1)
        assert "NOAUTH" in str(plain(run("MIGRATE", "127.0.0.1", port, "key", 0, 5000)))
        assert "WRONGPASS" in str(plain(run("MIGRATE", "127.0.0.1", port, "key", 0, 5000, "AUTH", "wrong")))
        assert run("GET", "key") == b"1"
        assert run("MIGRATE", "127.0.0.1", port, "key", 0, 5000, "AUTH2", "default", "secret") == OK
        oracle.run("AUTH", "secret")
        assert oracle.run("GET", "key") == b"1"


def test_silence_ends_with_the_timeout(run: Runner) -> None:
    run("SET", "key", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert plain(run("MIGRATE", "127.0.0.1", port, "key", 0, 50)) == Error("IOERR error or timeout reading to target instance")
    assert run("GET", "key") == b"1"


def test_a_connection_that_was_closed_meanwhile_is_made_again(run: Runner) -> None:
    port = ""
    for number in range(2):
        options = ("--port", port) if port else ()
        with listening(*options) as (oracle, address):
            port = port or address.partition(":")[2]
            run("SET", "key", number)
            assert run("MIGRATE", "127.0.0.1", port, "key", 0, 5000) == OK
            assert oracle.run("GET", "key") == b"%d" % number


def test_from_a_redis_into_diskkv(tmp_path: Path, target: tuple[Oracle, str]) -> None:
    oracle, _ = target
    oracle.run("FLUSHALL")
    rng = random.Random(9)
    names = [b"key:%d" % number for number in range(12)]
    for number, name in enumerate(names):
        for command in MAKERS[number % len(MAKERS)](rng, name):
            oracle.run(*command)
    digests = oracle.run("DEBUG", "DIGEST-VALUE", *names)
    with serving(tmp_path / "served") as port:
        assert oracle.run("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *names) == b"OK"
        assert oracle.run("DBSIZE") == 0
    run = Runner(tmp_path / "served")
    for name, digest in zip(names, digests, strict=True):
        assert oracle.run("RESTORE", name, 0, plain(run("DUMP", name))) == b"OK"
        assert oracle.run("DEBUG", "DIGEST-VALUE", name) == [digest]
    run.close()
