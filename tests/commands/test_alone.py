"""What one node answers about replication, clusters and modules, which it has none of."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from diskkv.commands.cluster import NEED_A_CLUSTER
from diskkv.errors import CommandError, LogFailed
from diskkv.lib.slots import key_slot
from diskkv.replies import OK
from tests.support.disks import FaultyDisk
from tests.support.oracle import Oracle, plain, start
from tests.support.runner import Runner


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    oracle = start()
    yield oracle
    oracle.close()


@pytest.mark.parametrize(
    "line",
    [
        "ROLE", "ROLE x", "REPLICAOF NO ONE", "SLAVEOF no one", "REPLICAOF no x", "REPLICAOF localhost 70000", "REPLICAOF", "REPLCONF a",
        "FAILOVER", "FAILOVER ABORT", "FAILOVER x", "FAILOVER TO localhost 1", "FAILOVER TO localhost", "FAILOVER TO localhost x",
        "FAILOVER TIMEOUT 0", "FAILOVER TIMEOUT 5 FORCE", "FAILOVER ABORT ABORT", "WAIT 0 0", "WAIT x 0", "WAIT 0 -1", "WAIT 0 x",
        "CLUSTER", "CLUSTER nonesuch", "CLUSTER KEYSLOT", "CLUSTER MEET a", "READONLY x", "MODULE LIST", "MODULE nonesuch", "MODULE",
        "MEMORY PURGE", "MEMORY STATS x", "ASKING", "CLUSTER SLOTS",
    ],
)  # fmt: skip
def test_answers_are_those_of_a_redis_that_is_alone(run: Runner, oracle: Oracle, line: str) -> None:
    assert plain(run(*line.split())) == oracle.run(*line.split())


@pytest.mark.parametrize("usage", [line[0] for line in NEED_A_CLUSTER])
def test_what_needs_a_cluster_says_so(run: Runner, oracle: Oracle, usage: str) -> None:
    name = [word for word in usage.split() if word.isupper() and word.isascii() and not word.startswith(("[", "<"))][:2]
    for words in ([*name, "1", "2"], [*name, "1"], name):
        reply = plain(run(*words))
        if name != ["CLUSTER", "MYSHARDID"]:  # which 7.0 does not know
            assert reply == oracle.run(*words)
        else:
            assert "cluster support disabled" in reply or "wrong number" in reply


def test_replicating_is_refused(run: Runner) -> None:
    for line in ("REPLICAOF localhost 6379", "SLAVEOF localhost 6379", "PSYNC ? -1", "SYNC", "REPLCONF listening-port 1", "MODULE LOAD x"):
        assert isinstance(run(*line.split()), CommandError), line


def test_slots() -> None:
    assert [key_slot(key) for key in (b"", b"123456789", b"a{123456789}", b"{}123456789", b"{a", b"a}")][:3] == [0, 12739, 12739]
    assert key_slot(b"{}x") != key_slot(b"x")
    assert key_slot(b"{user1000}.following") == key_slot(b"{user1000}.followers") == key_slot(b"user1000")
    assert key_slot(b"foo{{bar}}zap") == key_slot(b"{bar")


def test_waiting_for_the_disk(tmp_path: Path) -> None:
    disk = FaultyDisk("sync", 1 << 30)
    run = Runner(tmp_path / "store", disk=disk, appendfsync="no")
    assert run("WAITAOF", 0, 0, 0) == [1, 0]
    assert run.batch([("SET", "a", 1), ("WAITAOF", 0, 0, 0), ("WAITAOF", 1, 0, 0)])[1:] == [[0, 0], [1, 0]]
    assert run("WAITAOF", 0, 5, 100) == [1, 0]
    assert run.executor.store.log.synced()
    for words in ((2, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 0, -1), ("x", 0, 0)):
        assert isinstance(run("WAITAOF", *words), CommandError), words
    disk.rearm("sync", number=errno.EIO)
    with pytest.raises(LogFailed):
        run.batch([("SET", "a", 2), ("WAITAOF", 1, 0, 0)])
    assert run("WAITAOF", 1, 0, 0) == [1, 0]
    run.close()


def test_what_needs_no_memory_is_purged(run: Runner) -> None:
    assert run("MEMORY", "PURGE") == OK
    assert b"All is well" in run("MEMORY", "DOCTOR").text
    assert run("MEMORY", "STATS")[b"keys.count"] == 0
