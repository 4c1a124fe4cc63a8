"""A real Redis to compare with, and both shells as subprocesses."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    stdout: bytes
    stderr: bytes
    code: int


@dataclass(frozen=True)
class Oracle:
    """A running redis-server; `ours` and `theirs` run one of the shells against it from an empty data set."""

    port: int
    unix: Path

    def ours(self, args: Sequence[str], *, stdin: bytes = b"", env: dict[str, str] | None = None) -> Outcome:
        return self._run([sys.executable, "-m", "diskkv", "shell", "-p", str(self.port), *args], stdin, env)

    def theirs(self, args: Sequence[str], *, stdin: bytes = b"", env: dict[str, str] | None = None) -> Outcome:
        return self._run(["redis-cli", "-p", str(self.port), *args], stdin, env)

    def reset(self) -> None:
        assert self.command(b"FLUSHALL") == b"+OK\r\n"

    def command(self, line: bytes) -> bytes:
        """The beginning of the reply to an inline command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(line + b"\r\n")
            return connection.recv(1000)

    @contextmanager
    def listen(self, args: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
        """Our shell and redis-cli, both subscribed to the channel `ch`."""
        rest = ["-p", str(self.port), *args, "SUBSCRIBE", "ch"]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with (
            subprocess.Popen([sys.executable, "-m", "diskkv", "shell", *rest], cwd=ROOT, **pipes) as ours,
            subprocess.Popen(["redis-cli", *rest], **pipes) as theirs,
        ):
            try:
                while b"\r\n:2\r\n" not in self.command(b"PUBSUB NUMSUB ch"):
                    assert ours.poll() is None and theirs.poll() is None
                yield ours, theirs
            finally:
                ours.kill()
                theirs.kill()

    def _run(self, argv: Sequence[str], stdin: bytes, env: dict[str, str] | None) -> Outcome:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=30, cwd=ROOT, env={**os.environ, **(env or {})})
        return Outcome(done.stdout, done.stderr, done.returncode)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that refuses connections: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """Fails if Redis is not installed, unless DISKKV_NO_ORACLE=1 says that this is known."""
    if not (shutil.which("redis-server") and shutil.which("redis-cli")):
        if os.environ.get("DISKKV_NO_ORACLE") == "1":
            pytest.skip("redis-server and redis-cli are not installed, and DISKKV_NO_ORACLE=1 is set")
        pytest.fail("redis-server and redis-cli are needed; set DISKKV_NO_ORACLE=1 to do without them")
    port = free_port()
    unix = tmp_path_factory.mktemp("oracle") / "sock"
    argv = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(unix), "--save", "", "--appendonly", "no"]
    argv += ["--enable-debug-command", "yes", "--dir", str(unix.parent)]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if b"at " + str(unix).encode() in line:
                break
        yield Oracle(port, unix)
    finally:
        server.terminate()
        server.communicate(timeout=10)
