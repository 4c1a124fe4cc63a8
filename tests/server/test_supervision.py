"""What a service manager is told: everything by a real datagram socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from diskkv.replies import OK
from diskkv.server.supervision import held_by_kernel, watchdog_seconds
from tests.differential import servers
from tests.differential.wire import Connection
from tests.support.runner import Runner

# The interval is a quarter of this.
WATCHDOG = 0.4


class Manager:
    """The service manager's end."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(60)
        self.path = str(path)

    def hear(self) -> dict[str, str]:
        """The next message."""
        return dict(line.split("=", 1) for line in self.socket.recv(65536).decode().split("\n"))

    def until(self, name: str) -> dict[str, str]:
        """The next message that says something of this name."""
        while True:
            message = self.hear()
            if name in message:
                return message

    def heard(self) -> list[dict[str, str]]:
        """What has come and was not read yet."""
        found = []
        self.socket.setblocking(False)
        try:
            while True:
                found.append(self.hear())
        except BlockingIOError:
            return found
        finally:
            self.socket.settimeout(60)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    opened = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", opened.path)
    monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG * 1e6)))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield opened
    opened.socket.close()


@pytest.mark.parametrize("mode", ["systemd", "auto"])
def test_a_life(manager: Manager, mode: str) -> None:
    with servers.diskkv("--supervised", mode, "--daemonize", "yes") as server:
        assert manager.hear() == {"STATUS": "Opening the store"}
        # In the foreground all the same: the process that was started is the one that tells.
        assert manager.hear() == {"READY": "1", "STATUS": "Serving 0 clients, 0 keys", "MAINPID": str(server.pid)}
        client = Connection(server.address, patience=60)
        client.call(b"SET", b"a", b"1")
        while manager.until("STATUS")["STATUS"] != "Serving 1 clients, 1 keys":
            pass
        for _ in range(3):
            manager.until("WATCHDOG")
        client.close()
        server.stop()
        assert "STATUS" in manager.until("STOPPING")
        assert manager.heard() == []


def test_nobody_is_told_unless_that_is_wished(manager: Manager) -> None:
    with servers.diskkv() as server:
        server.stop()
    assert manager.heard() == []


def test_no_socket_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for address in (None, str(tmp_path / "nobody")):
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        if address is not None:
            monkeypatch.setenv("NOTIFY_SOCKET", address)
        with servers.diskkv("--supervised", "systemd") as server:
            server.stop()
            assert server.output.read_text().count(" # ") == 1


def test_an_abstract_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = f"diskkv-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        with servers.diskkv("--supervised", "auto"):
            manager.recv(100)
            assert manager.recv(1000).startswith(b"READY=1\n")


def test_a_loop_that_hangs_says_nothing(manager: Manager) -> None:
    with servers.diskkv("--supervised", "systemd", "--enable-debug-command", "yes") as server:
        client = Connection(server.address, patience=60)
        manager.until("WATCHDOG")
        manager.heard()
        client.call(b"DEBUG", b"SLEEP", b"3")
        client.close()
        # Thirty would have been due; some may have come before it slept, or since.
        assert len([message for message in manager.heard() if "WATCHDOG" in message]) < 10


def test_a_script_before_its_time_keeps_everybody_waiting_and_is_no_hang(manager: Manager) -> None:
    with servers.diskkv("--supervised", "systemd", "--busy-reply-threshold", "0") as server:
        script = b"redis.log(redis.LOG_WARNING, 'has begun') while true do end"
        one, two = (socket.socket(socket.AF_UNIX) for _ in range(2))
        for client in (one, two):
            client.connect(server.address)
        one.sendall(b"*3\r\n$4\r\nEVAL\r\n$%d\r\n%b\r\n$1\r\n0\r\n" % (len(script), script))
        while "has begun" not in server.output.read_text():
            time.sleep(0.01)
        manager.heard()
        two.sendall(b"PING\r\n")
        for _ in range(2):
            manager.until("WATCHDOG")
        two.setblocking(False)
        with pytest.raises(BlockingIOError):
            two.recv(10)
        one.close()
        two.close()


def test_what_the_kernel_holds(tmp_path: Path) -> None:
    """A process that begins another waits, and no signal ends that, until the other has its files: one is a pipe that opens late."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert not held_by_kernel(Path("/proc/self/stat"))
    assert not held_by_kernel(tmp_path / "nothing")
    opening = "[(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], 0, 0)]"
    program = f"import os, sys; os.posix_spawn('/bin/true', ['true'], {{}}, file_actions={opening}); input()"
    with subprocess.Popen([sys.executable, "-c", program, str(pipe)], stdin=subprocess.PIPE) as process:
        path = Path(f"/proc/{process.pid}/stat")
        while not held_by_kernel(path):
            time.sleep(0.01)
        pipe.open("w").close()
        while held_by_kernel(path):
            time.sleep(0.01)
        process.communicate(b"\n")


def test_whose_watchdog_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert watchdog_seconds() == 0
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert watchdog_seconds() == 30
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_seconds() == 0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_seconds() == 30


def test_save_says_that_it_gets_on(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[None] = []
    monkeypatch.setattr(run.executor.saver, "pulse", lambda: told.append(None))
    for number in range(10):
        run("SET", number, "x")
    assert run("SAVE") == OK
    assert len(told) >= 10
