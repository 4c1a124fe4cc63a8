"""DUMP and RESTORE, both ways between diskkv and a redis-server, and against damage."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from diskkv.clock import ManualClock
from diskkv.rdb.checksum import crc64
from tests.rdb.values import MAKERS
from tests.support.oracle import Error, Oracle, plain, start
from tests.support.runner import Runner


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    server = start("--enable-debug-command", "yes")
    yield server
    server.close()


@pytest.mark.parametrize("seed", range(4))
def test_values_go_both_ways(seed: int, oracle: Oracle, tmp_path: Path) -> None:
    rng = random.Random(seed)
    run = Runner(tmp_path / "store", maxmemory=rng.choice(["16mb", "64mb"]))
    oracle.run("FLUSHALL")
    keys = []
    for round_ in range(4):
        for maker in MAKERS:
            key = b"%s%d" % (maker.__name__.encode(), round_)
            keys.append(key)
            for command in maker(rng, key):
                theirs = oracle.run(*command)
                assert plain(run(*command)) == theirs
    for key in keys:
        digest = oracle.run("DEBUG", "DIGEST-VALUE", key)
        assert isinstance(digest, list), digest
        rng.choice([run.evict, run.reopen, run.checkpoint, int])()
        ours = plain(run("DUMP", key))
        theirs = oracle.run("DUMP", key)
        if theirs is None:
            # a stream of which everything was deleted exists; no other empty value does
            assert ours is None
            continue
        assert oracle.run("RESTORE", b"ours", 0, ours, "REPLACE") == b"OK", key
        assert oracle.run("DEBUG", "DIGEST-VALUE", b"ours") == digest, key
        assert plain(run("RESTORE", b"theirs", 0, theirs, "REPLACE")) == b"OK", key
        rng.choice([run.evict, run.reopen, run.checkpoint, int])()
        assert oracle.run("RESTORE", b"back", 0, plain(run("DUMP", b"theirs")), "REPLACE") == b"OK", key
        assert oracle.run("DEBUG", "DIGEST-VALUE", b"back") == digest, key
        if key.startswith(b"stream"):
            assert without_tree(plain(run("XINFO", "STREAM", "theirs"))) == without_tree(oracle.run("XINFO", "STREAM", key))
            full = oracle.run("XINFO", "STREAM", key, "FULL", "COUNT", 0)
            assert without_tree(oracle.run("XINFO", "STREAM", "back", "FULL", "COUNT", 0)) == without_tree(full)
    assert run.findings() == []
    run.close()


def without_tree(info: list[object]) -> list[object]:
    """What XINFO STREAM says but for how the entries lie in memory."""
    return info[:2] + info[6:]


def test_options_and_errors(oracle: Oracle, tmp_path: Path) -> None:
    run = Runner(tmp_path / "store", clock=ManualClock(int(time.time() * 1000)))
    later = 2_000_000_000_000
    for argv in (
        ["SET", "a", "1"],
        ["SET", "other", "2"],
        ["RESTORE", "a", "0", "PAYLOAD"],
        ["RESTORE", "a", "0", "x"],
        ["RESTORE", "b", "-1", "PAYLOAD"],
        ["RESTORE", "b", "x", "PAYLOAD"],
        ["RESTORE", "b", "0", "PAYLOAD", "NOPE"],
        ["RESTORE", "b", "0", "PAYLOAD", "IDLETIME"],
        ["RESTORE", "b", "0", "PAYLOAD", "IDLETIME", "-1"],
        ["RESTORE", "b", "0", "PAYLOAD", "IDLETIME", "x"],
        ["RESTORE", "b", "0", "PAYLOAD", "FREQ", "256"],
        ["RESTORE", "b", "0", "PAYLOAD", "FREQ", "1", "IDLETIME", "1"],
        ["RESTORE", "b", "0", "PAYLOAD", "IDLETIME", "1000"],
        ["OBJECT", "IDLETIME", "b"],
        ["RESTORE", "b", "0", "short", "REPLACE"],
        ["RESTORE", "b", "0", "", "REPLACE"],
        ["RESTORE", "b", "0", "wrong checksum", "REPLACE"],
        ["RESTORE", "b", str(later), "PAYLOAD", "ABSTTL", "REPLACE"],
        ["PEXPIRETIME", "b"],
        ["RESTORE", "b", "1", "PAYLOAD", "ABSTTL", "REPLACE"],
        ["EXISTS", "b"],
        ["RESTORE", "c", "1", "PAYLOAD", "ABSTTL"],
        ["EXISTS", "c"],
        ["DUMP", "missing"],
        ["RESTORE", "a"],
        ["GET", "a"],
    ):
        words = [oracle.run("DUMP", "other") if word == "PAYLOAD" else word for word in argv]
        assert plain(run(*words)) == oracle.run(*words), argv
    run.close()


def test_restored_keys_survive_replay(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    run("RPUSH", "list", *range(300))
    payload = run("DUMP", "list")
    run("RESTORE", "copy", 5000, payload)
    run("RESTORE", "list", 0, payload, "REPLACE", "IDLETIME", 10)
    expire = run("PEXPIRETIME", "copy")
    run.executor.store.writer.finish()
    run.reopen()
    assert run("PEXPIRETIME", "copy") == expire
    assert run("LRANGE", "copy", 0, -1) == [b"%d" % number for number in range(300)] == run("LRANGE", "list", 0, -1)
    run.close()


@pytest.mark.parametrize("seed", range(3))
def test_damaged_payloads_are_refused_or_valid(seed: int, oracle: Oracle, tmp_path: Path) -> None:
    """Whatever stands in a payload with a right checksum, the answer is an error, or a value with which nothing is wrong."""
    rng = random.Random(seed)
    run = Runner(tmp_path / "store", maxmemory="8mb")
    oracle.run("FLUSHALL")
    outcomes = {"OK": 0, "ERR": 0}
    payloads = []
    for maker in MAKERS:
        for _ in range(3):
            oracle.run("DEL", "value")
            for command in maker(rng, b"value"):
                oracle.run(*command)
            payload = oracle.run("DUMP", "value")
            if payload is not None and len(payload) < 20_000:
                payloads.append(payload)
    for _ in range(1500):
        body = bytearray(rng.choice(payloads)[:-10])
        for _ in range(rng.choice((1, 1, 2, 5))):
            place = rng.randrange(len(body))
            match rng.randrange(5):
                case 0:
                    body[place] = rng.randrange(256)
                case 1:
                    body[place] ^= 1 << rng.randrange(8)
                case 2:
                    body[place : place + rng.randrange(9)] = rng.randbytes(rng.randrange(9))
                case 3:
                    body[place:place] = rng.choice([b"\x81" + b"\xff" * 8, b"\x80" + b"\xff" * 4, b"\xc3", b"\xff" * 8])
                case _:
                    body[0] = rng.randrange(26)
            body = body or bytearray(1)
        raw = bytes(body) + b"\x0b\x00"
        reply = plain(run("RESTORE", "damaged", 0, raw + crc64(raw).to_bytes(8, "little"), "REPLACE"))
        if reply == b"OK":
            outcomes["OK"] += 1
            run("DUMP", "damaged")
            if rng.random() < 0.05:
                assert run.findings() == []
        else:
            assert reply == Error("ERR Bad data format"), raw
            outcomes["ERR"] += 1
    assert run.findings() == []
    assert min(outcomes.values()) > 20, outcomes
    run.close()
