"""Rounds of kill -9: a server under load from several connections, killed at a random moment, opened again, verified.

Each connection owns some keys and knows what was acknowledged. Its counters only grow, so "no acknowledged write is lost" can be
decided: what is found is at least what was acknowledged and at most what was sent. A MULTI writes the same number to two keys, which
may never differ, and to members of a hash and a sorted set. APPENDs and INCRs tell whether something was replayed twice.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import redis

from tests.support.runner import Runner

CONNECTIONS = 6
ROOT = Path(__file__).resolve().parent.parent.parent
# Small, so that checkpoints follow each other and many are under way when the process dies.
SETTINGS = ("--checkpoint-log-size", "64kb", "--maxmemory", "4mb", "--loglevel", "warning")


@dataclass
class Ledger:
    """What one connection has sent and what was acknowledged, over all rounds."""

    name: str
    sent: int = 0
    acknowledged: int = 0
    # key -> (the number acknowledged last, the number sent last)
    numbers: dict[str, tuple[int, int]] = field(default_factory=dict)

    def send(self, key: str) -> int:
        """The next number for a key."""
        acknowledged, sent = self.numbers.get(key, (0, 0))
        self.numbers[key] = (acknowledged, sent + 1)
        self.sent += 1
        return sent + 1

    def receive(self, key: str, number: int) -> None:
        self.numbers[key] = (number, self.numbers[key][1])
        self.acknowledged += 1

    def allows(self, key: str, found: int) -> bool:
        acknowledged, sent = self.numbers.get(key, (0, 0))
        return acknowledged <= found <= sent

    def settle(self, key: str, found: int) -> None:
        """A new round begins from what was found."""
        self.numbers[key] = (found, found)


class Client(threading.Thread):
    """One connection's load until the server dies."""

    def __init__(self, socket: str, ledger: Ledger, seed: int) -> None:
        super().__init__(daemon=True)
        self.ledger = ledger
        self.random = Random(seed)
        self.connection = redis.Redis(unix_socket_path=socket, socket_timeout=60)
        self.complaint: str | None = None

    def run(self) -> None:
        try:
            while True:
                self.step()
        except redis.ConnectionError:
            return
        except Exception as error:  # a reply that should not have come: reported by the main thread
            self.complaint = repr(error)
        finally:
            self.connection.close()

    def step(self) -> None:
        name, ledger = self.ledger.name, self.ledger
        r: Any = self.connection
        match self.random.randrange(8):
            case 0 | 1:
                key = f"{name}:set{self.random.randrange(40)}"
                number = ledger.send(key)
                r.set(key, b"%d " % number + b"x" * self.random.choice((0, 100, 3000)))
                ledger.receive(key, number)
            case 2:
                key = f"{name}:incr"
                number = ledger.send(key)
                assert r.incr(key) == number, "INCR counted wrongly"
                ledger.receive(key, number)
            case 3:
                key = f"{name}:append"
                number = ledger.send(key)
                assert r.append(key, b"%08d" % number) == 8 * number, "APPEND appended wrongly"
                ledger.receive(key, number)
            case 4:
                key = f"{name}:multi"
                number = ledger.send(key)
                with r.pipeline(transaction=True) as pipe:
                    pipe.set(f"{key}:one", number).hset(f"{key}:hash", f"f{number % 500}", number)
                    pipe.zadd(f"{key}:zset", {f"m{number % 700}": number}).set(f"{key}:two", number)
                    pipe.execute()
                ledger.receive(key, number)
            case 5:
                key = f"{name}:large{self.random.randrange(2)}"
                number = ledger.send(key)
                # The number at the end: the old and the new end differ, so a piece that is lost or stale is seen.
                r.setrange(key, 100_000 + 8 * number, b"%08d" % number)
                ledger.receive(key, number)
            case 6:
                key = f"{name}:moving"
                number = ledger.send(key)
                with r.pipeline(transaction=True) as pipe:
                    here, there = f"{key}{number % 3}", f"{key}{(number + 1) % 3}"
                    pipe.delete(here).set(here, number).rename(here, there)
                    pipe.execute()
                ledger.receive(key, number)
            case 7:
                key = f"{name}:pipe"
                numbers = [ledger.send(key) for _ in range(20)]
                with r.pipeline(transaction=False) as pipe:
                    for number in numbers:
                        pipe.sadd(key, number)
                    pipe.execute()
                ledger.receive(key, numbers[-1])


class Ordeal:
    """One store through many rounds."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self.random = Random(seed)
        self.ledgers = [Ledger(f"c{index}") for index in range(CONNECTIONS)]
        self.rounds = 0
        directory.mkdir(parents=True, exist_ok=True)

    def round(self, longest: float = 1.0) -> int:
        """Serve, load, kill, verify; how many writes were acknowledged in this round."""
        socket = str(self.directory / "socket")
        before = sum(ledger.acknowledged for ledger in self.ledgers)
        command = [sys.executable, "-m", "diskkv", "serve", "--dir", str(self.directory / "store"), "--port", "0", "--unixsocket", socket]
        process = subprocess.Popen([*command, *SETTINGS], cwd=ROOT)
        try:
            self._await(socket, process)
            clients = [Client(socket, ledger, self.random.getrandbits(32)) for ledger in self.ledgers]
            for client in clients:
                client.start()
            time.sleep(self.random.uniform(0.05, longest))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for client in clients:
            client.join(60)
            assert client.complaint is None, client.complaint
        self.rounds += 1
        self.verify()
        return sum(ledger.acknowledged for ledger in self.ledgers) - before

    def _await(self, socket: str, process: subprocess.Popen[bytes]) -> None:
        for _ in range(3000):
            assert process.poll() is None, "the server did not open the store"
            try:
                probe = redis.Redis(unix_socket_path=socket)
                probe.ping()
                probe.close()
                return
            except redis.ConnectionError:
                time.sleep(0.01)
        raise AssertionError("the server did not answer")

    def verify(self) -> None:
        """Open the store and hold it against the ledgers; it must be in order, too."""
        runner = Runner(self.directory / "store")
        try:
            for ledger in self.ledgers:
                for key in list(ledger.numbers):
                    found = self._found(runner, key)
                    assert ledger.allows(key, found), f"{key}: found {found}, acknowledged and sent {ledger.numbers[key]}"
                    ledger.settle(key, found)
            assert runner.findings() == []
        finally:
            runner.close()

    def _found(self, runner: Runner, key: str) -> int:
        """The number that a key has come to; checks whatever else is known of it."""
        kind = key.partition(":")[2].rstrip("0123456789")
        if kind == "set":
            return int((runner("GET", key) or b"0").split()[0])
        if kind == "incr":
            return int(runner("GET", key) or 0)
        if kind == "append":
            data = runner("GET", key) or b""
            assert data == b"".join(b"%08d" % number for number in range(1, len(data) // 8 + 1)), f"{key} was not appended to once each"
            return len(data) // 8
        if kind == "large":
            length: int = runner("STRLEN", key)
            if not length:
                return 0
            number = (length - 100_000) // 8 - 1
            assert runner("GETRANGE", key, -8, -1) == b"%08d" % number, key
            return number
        if kind == "pipe":
            count: int = runner("SCARD", key)
            assert not count or runner("SISMEMBER", key, count) == 1, f"{key}: {count} members, but not the last"
            return count
        if kind == "moving":
            return max(int(runner("GET", f"{key}{index}") or 0) for index in range(3))
        number = int(runner("GET", f"{key}:one") or 0)
        assert int(runner("GET", f"{key}:two") or 0) == number, f"{key}: half a MULTI"
        if number:
            assert int(runner("HGET", f"{key}:hash", f"f{number % 500}")) == number, f"{key}: half a MULTI, in the hash"
            assert float(runner("ZSCORE", f"{key}:zset", f"m{number % 700}")) == number, f"{key}: half a MULTI, in the sorted set"
            assert runner("HLEN", f"{key}:hash") == min(number, 500)
            assert runner("ZCARD", f"{key}:zset") == min(number, 700)
        return number
