"""Servers for tests and measurements: started in a private directory, reached on loopback or a unix socket, stopped by process id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .wire import Address, Connection, Lost

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 60.0


class StartFailed(Exception):
    """The server did not answer PING; the text holds the end of its output."""


def free_port() -> int:
    """A TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server process with its directory. `address` is a unix socket unless a `port` was asked for.

    `keep` leaves the directory in place when the server is closed; `path` names one to use instead of a fresh one (never removed).
    """

    def __init__(self, name: str, command: Sequence[str], *, port: int = 0, path: Path | None = None, extra: Sequence[str] = ()) -> None:
        self.name = name
        self._made = None if path else tempfile.mkdtemp(prefix=f"{name}-")
        self.path = path or Path(self._made or "")
        self.port = port
        self.address: Address = ("127.0.0.1", port) if port else str(self.path / "s.sock")
        listen = ["--port", str(port)] + ([] if port else ["--unixsocket", str(self.path / "s.sock")])
        self.command = [*command, "--dir", str(self.path), *listen, *extra]
        self.output = self.path / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self.process is None:
            raise StartFailed(f"{self.name} is not running")
        return self.process.pid

    def start(self) -> float:
        """Start the process and wait until it answers PING; the seconds that took."""
        environment = os.environ | {"LC_ALL": "C", "PYTHONPATH": str(ROOT)}
        began = time.perf_counter()
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(self.command, cwd=self.path, stdout=output, stderr=output, env=environment)
        while time.perf_counter() - began < START_SECONDS:
            if self.process.poll() is not None:
                break
            if self.answers():
                return time.perf_counter() - began
            time.sleep(0.002)
        self.kill()
        raise StartFailed(f"{self.name} did not start: {' '.join(self.command)}\n{self.output.read_text(errors='replace')[-2000:]}")

    def answers(self) -> bool:
        """Whether PING is answered by PONG now; False while the server loads."""
        try:
            connection = Connection(self.address, patience=5)
        except OSError:
            return False
        try:
            return connection.call(b"PING") == ("+", b"PONG")
        except Lost:
            return False
        finally:
            connection.close()

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> float:
        """Ask it to stop (SIGTERM) and wait; the seconds that took."""
        return self._end(signal.SIGTERM)

    def kill(self) -> float:
        """End it as a crash would (SIGKILL)."""
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> float:
        began = time.perf_counter()
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(number)
                try:
                    self.process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            self.process = None
        return time.perf_counter() - began

    def close(self) -> None:
        """End the process and remove its directory."""
        self.kill()
        if self._made:
            shutil.rmtree(self._made, ignore_errors=True)

    def __enter__(self) -> Server:
        if self.process is None:
            try:
                self.start()
            except StartFailed:
                self.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def diskkv(*extra: str, port: int = 0, path: Path | None = None) -> Server:
    """A diskkv server of this tree, not yet started."""
    return Server("diskkv", [sys.executable, "-m", "diskkv", "serve"], port=port, path=path, extra=extra)


def redis(*extra: str, port: int = 0, path: Path | None = None) -> Server:
    """A redis-server, not yet started; `FileNotFoundError` when there is none on this machine.

    `hz` is raised so that a blocked client's time-out is noticed within 2 ms, not 100; say `--hz 10` in `extra` where that matters.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("redis-server is not installed (Debian: apt-get install redis-server)")
    return Server("redis", [program], port=port, path=path, extra=("--save", "", "--bind", "127.0.0.1", "--hz", "500", *extra))
