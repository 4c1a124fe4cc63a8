"""Backups of a server whose clients write all the time: each restores to one moment that was, and takes little more than what is new.

Transfers between accounts keep their sum. A transfer is one MULTI that also counts itself, so the count names the moment, and says what
every account then held: who made it remembers what it did.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import redis

from diskkv.app import open_executor
from diskkv.store.backup import read_label
from diskkv.store.check import check
from tests.differential import servers

ACCOUNTS = 50
BEGUN_WITH = 1000
WRITERS = 3
BACKUPS = 4
FILLING = 3000


class Writer(threading.Thread):
    """Transfers within accounts of its own, and fills keys besides, until told to stop."""

    def __init__(self, address: str, number: int, stop: threading.Event) -> None:
        super().__init__()
        self._client = redis.Redis(unix_socket_path=address)
        self._random = Random(number)
        self._number = number
        self._stop_asked = stop
        self.transfers: list[tuple[str, str, int]] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self._stop_asked.is_set():
                self._transfer()
        except Exception as error:
            self.failure = error
        finally:
            self._client.close()

    def _transfer(self) -> None:
        giver, taker = (f"account:{self._number}:{self._random.randrange(ACCOUNTS)}" for _ in range(2))
        amount = self._random.randrange(1, 10)
        self.transfers.append((giver, taker, amount))
        pipe = self._client.pipeline(transaction=True)
        pipe.decrby(giver, amount)
        pipe.hincrby("taken", taker, amount)
        pipe.incrby(taker, amount)
        pipe.incr(f"count:{self._number}")
        pipe.zincrby("turnover", amount, taker)
        pipe.rpush(f"history:{self._number}", f"{giver} {taker} {amount}")
        pipe.execute()
        pipe = self._client.pipeline(transaction=False)
        for _ in range(20):
            pipe.set(f"filling:{self._random.randrange(FILLING)}", self._random.randbytes(200))
        pipe.execute()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[servers.Server]:
    (tmp_path / "store").mkdir()
    with servers.diskkv("--maxmemory", "8mb", "--checkpoint-log-size", "1mb", path=tmp_path / "store") as started:
        yield started


def test_every_backup_is_a_moment_that_was(server: servers.Server, tmp_path: Path) -> None:
    client = redis.Redis(unix_socket_path=str(server.address))
    pipe = client.pipeline(transaction=False)
    for number in range(WRITERS):
        for account in range(ACCOUNTS):
            pipe.set(f"account:{number}:{account}", BEGUN_WITH)
    for number in range(20_000):
        pipe.set(f"old:{number}", b"%d" % number * 40)
    pipe.execute()
    stop = threading.Event()
    writers = [Writer(str(server.address), number, stop) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    counts: list[list[tuple[int, ...]]] = []
    try:
        for _ in range(BACKUPS):
            before = moments(client)
            while min(new - old for new, old in zip(moments(client), before, strict=True)) < 50:
                # Let there be something new.
                pass
            begun = moments(client)
            command = [sys.executable, "-m", "diskkv", "backup", str(tmp_path / "backups"), "-s", str(server.address)]
            done = subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            counts.append([begun, moments(client)])
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    client.close()
    assert [writer.failure for writer in writers] == [None] * WRITERS
    made = sorted((tmp_path / "backups").iterdir())
    assert len(made) == BACKUPS
    for path, (begun, ended) in zip(made, counts, strict=True):
        found = verify(path, tmp_path / "restored" / path.name, writers)
        assert all(low <= count <= high for low, count, high in zip(begun, found, ended, strict=True))
    labels = [read_label(path) for path in made]
    tables = {(entry.name, entry.stat().st_ino) for path in made for entry in (path / "tree").glob("*.ldb")}
    assert len(tables) == len({name for name, _ in tables}), "a table that an earlier backup has is there twice"
    # The others take what was written since, which may be all: compaction rewrites tables as it likes.
    assert labels[0].new_bytes == labels[0].bytes


def moments(client: redis.Redis) -> tuple[int, ...]:
    """How many transfers of each writer there are."""
    return tuple(int(found or 0) for found in client.mget([f"count:{number}" for number in range(WRITERS)]))


def verify(backup: Path, to: Path, writers: list[Writer]) -> tuple[int, ...]:
    """Restore a backup and see that it holds what the writers had done by then; their counts."""
    command = [sys.executable, "-m", "diskkv", "restore", str(backup), str(to)]
    subprocess.run(command, cwd=servers.ROOT, check=True, timeout=300, stdout=subprocess.DEVNULL)
    executor = open_executor(str(to))
    session = executor.open_session(owner=True)

    def ask(*words: str) -> list[bytes]:
        with executor.store.lock:
            executor.begin()
            reply = executor.execute(session, [word.encode() for word in words])
            executor.store.commit()
        assert isinstance(reply, list)
        return reply

    try:
        counts = tuple(int(found or 0) for found in ask("MGET", *(f"count:{number}" for number in range(WRITERS))))
        for number, count in enumerate(counts):
            names = [f"account:{number}:{account}" for account in range(ACCOUNTS)]
            expected = dict.fromkeys(names, BEGUN_WITH)
            for giver, taker, amount in writers[number].transfers[:count]:
                expected[giver] -= amount
                expected[taker] += amount
            assert dict(zip(names, map(int, ask("MGET", *names)), strict=True)) == expected
            history = [" ".join(map(str, transfer)).encode() for transfer in writers[number].transfers[:count]]
            assert ask("LRANGE", f"history:{number}", "0", "-1") == history
        with executor.store.lock:
            executor.store.checkpoint()
            assert [str(finding) for finding in check(executor.store)] == []
    finally:
        executor.store.close()
    return counts
