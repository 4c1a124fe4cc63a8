"""More data than memory: load, read, write beside a hot reader, stop, crash, and open again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from differential import servers
from differential.servers import Server
from differential.wire import Connection, Lost

from . import load
from .process import MemoryWatch, cpu_seconds, disk_bytes, io_bytes, resident_bytes, wait_until_quiet

MB = 1 << 20
HOT_KEYS = 100
WRITERS = 8
READERS = 8


class Large:
    """One run; `rows` collects what was measured as (what, value, unit)."""

    def __init__(
        self, *, keys: int, size: int, maxmemory: str, reads: int, seconds: float, options: Sequence[str], tell: Callable[[str], None]
    ) -> None:
        self.keys, self.size, self.reads, self.seconds = keys, size, reads, seconds
        self.options = ("--appendfsync", "everysec", "--maxmemory", maxmemory, *options)
        self.tell = tell
        self.rows: list[dict[str, Any]] = []

    def run(self, parent: Path | None) -> list[dict[str, Any]]:
        """Everything in turn, in a fresh directory below `parent`."""
        with tempfile.TemporaryDirectory(prefix="diskkv-large-", dir=parent) as folder:
            server = servers.diskkv(*self.options, path=Path(folder))
            with server:
                with MemoryWatch(server.pid) as memory:
                    self._load(server)
                    self._read(server, "uniform", load.uniform(self.keys, 3))
                    self._read(server, "Zipf 0.99", load.zipf(self.keys, 4))
                    self._hot_reader(server)
                self._note("peak RSS", memory.peak / MB, "MB")
                self._reopen(server)
        return self.rows

    def _note(self, what: str, value: float, unit: str) -> None:
        number: float | int = round(value) if abs(value) >= 1000 else round(value, 3)
        self.rows.append({"what": what, "value": number, "unit": unit})
        self.tell(f"  {what}: {number:,} {unit}")

    def _load(self, server: Server) -> None:
        self.tell(f"loading {self.keys:,} keys of {self.size} bytes")
        next_word = self.keys // 10

        def progress(sent: int) -> None:
            nonlocal next_word
            if sent >= next_word:
                self.tell(f"  {sent:,} keys, RSS {resident_bytes(server.pid) / MB:.0f} MB")
                next_word += max(1, self.keys // 10)

        seconds = load.load_all(server.address, self.keys, self.size, 2, progress)
        self._note("load rate", self.keys / seconds, "keys/s")
        began = time.perf_counter()
        quiet = wait_until_quiet(server.pid, 120)
        self._note("until quiet after the load" if quiet else "not quiet after the load in", time.perf_counter() - began, "s")
        self._note("CPU per key loaded", cpu_seconds(server.pid) / self.keys * 1e6, "us")
        written = io_bytes(server.pid)
        payload = self.keys * (self.size + 16)
        self._note("payload", payload / MB, "MB")
        self._note("written, by write(2)", written["wchar"] / MB, "MB")
        self._note("written, towards the disk", written["write_bytes"] / MB, "MB")
        self._note("write amplification", written["wchar"] / payload, "x")
        self._note("disk in use", disk_bytes(server.path) / MB, "MB")
        self._check_count(server)

    def _check_count(self, server: Server) -> None:
        count = self._ask(server, b"DBSIZE")
        if count != (":", self.keys):
            raise Lost(f"DBSIZE says {count} after loading {self.keys} keys")

    def _read(self, server: Server, name: str, numbers: Iterator[int]) -> None:
        self.tell(f"reading, {name}")
        rate, latencies = load.read_loop(server.address, numbers, self.reads, self.size, READERS)
        self._note(f"{name} reads ({READERS} clients)", rate, "reads/s")
        self._latencies(f"{name} read", latencies)

    def _latencies(self, name: str, latencies: list[float]) -> None:
        count = len(latencies)
        for label, value in (("p50", latencies[count // 2]), ("p99", latencies[count * 99 // 100]), ("max", latencies[-1])):
            self._note(f"{name} {label}", value * 1000, "ms")

    def _hot_reader(self, server: Server) -> None:
        self.tell(f"one client reads {HOT_KEYS} hot keys while {WRITERS} write")
        with load.Writers(server.address, HOT_KEYS, self.keys, self.size, WRITERS) as writers:
            latencies = load.paced_reads(server.address, HOT_KEYS, self.size, self.seconds)
        self._note(f"writes beside it ({WRITERS} clients)", writers.rate, "writes/s")
        self._latencies("hot read while others write", latencies)

    def _reopen(self, server: Server) -> None:
        self.tell("stopping and opening")
        self._note("clean stop", server.stop(), "s")
        self._open(server, "after a clean stop")
        self.tell("writing, then kill -9, then opening")
        load.load_all(server.address, min(self.keys, 100_000), self.size, 2, lambda sent: None)
        server.kill()
        self._open(server, "after kill -9")
        self._check_count(server)

    def _open(self, server: Server, name: str) -> None:
        began = time.perf_counter()
        self._note(f"open {name}, until PING", server.start(), "s")
        number = self.keys // 2
        if self._ask(server, b"GET", load.key_of(number)) != ("$", load.value_of(number, self.size)):
            raise Lost(f"a value is wrong {name}")
        self._note(f"open {name}, until a GET", time.perf_counter() - began, "s")

    def _ask(self, server: Server, *argv: bytes) -> tuple[str, Any]:
        connection = Connection(server.address, patience=60)
        try:
            return connection.call(*argv)
        finally:
            connection.close()
