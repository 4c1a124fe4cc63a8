"""The server's process: in the background, with its number in a file, unimpressed by a terminal that closes."""

from __future__ import annotations

import configparser
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diskkv.cli.daemon import pid_file
from diskkv.cli.serve import FILES_OF_OUR_OWN
from diskkv.config import Settings
from diskkv.errors import SettingError
from tests.differential import servers
from tests.differential.wire import Connection


def serve(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "diskkv", "serve", "--port", "0", *words]
    return subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, timeout=60, check=False)


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_in_the_background(tmp_path: Path) -> None:
    address = str(tmp_path / "s.sock")
    words = ("--daemonize", "yes", "--dir", str(tmp_path / "store"), "--unixsocket", address, "--pidfile", "the.pid")
    done = serve(*words)
    assert done.returncode == 0, done.stderr
    # It is being served by now.
    client = Connection(address, patience=60)
    process = int((tmp_path / "store" / "the.pid").read_text())
    try:
        assert os.getsid(process) == process
        assert client.call(b"SET", b"a", b"1") == ("+", b"OK")
        os.kill(process, signal.SIGHUP)
        assert client.call(b"GET", b"a") == ("$", b"1")
        # A second one can't have it, and says so before its parent ends.
        again = serve(*words)
        assert again.returncode == 1
        assert "in use by another process" in again.stderr
        assert int((tmp_path / "store" / "the.pid").read_text()) == process
    finally:
        os.kill(process, signal.SIGTERM)
    client.close()
    while not gone(process):
        time.sleep(0.01)
    assert not (tmp_path / "store" / "the.pid").exists()


def test_a_pid_file_that_is_not_ours_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    with pid_file(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"
        path.write_text("1\n")
    assert path.read_text() == "1\n"
    # Best effort.
    with pid_file(str(tmp_path / "nonesuch" / "x.pid")), pid_file(""):
        pass


def test_a_report_that_can_not_be_written(tmp_path: Path) -> None:
    done = serve("--dir", str(tmp_path / "store"), "--logfile", "/nonesuch/x.log")
    assert done.returncode == 1
    assert done.stderr == "Error: can't open the log file /nonesuch/x.log: No such file or directory\n"


def test_upstart_is_refused() -> None:
    with pytest.raises(SettingError, match="upstart"):
        Settings(supervised="upstart")


def test_the_service_of_systemd() -> None:
    """What it begins is what `serve` takes, and the manager is told what it waits for."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser's documentation has it
    unit.read(servers.ROOT / "data" / "diskkv.service")
    service = unit["Service"]
    program, subcommand, *words = service["ExecStart"].split()
    settings = Settings()
    settings.read_options(words)
    assert (Path(program).name, subcommand) == ("diskkv", "serve")
    assert (service["Type"], settings["supervised"], settings["daemonize"]) == ("notify", "systemd", False)
    assert settings["dir"] == f"/var/lib/{service['StateDirectory']}"
    assert os.path.dirname(settings["unixsocket"]) == f"/run/{service['RuntimeDirectory']}"
    assert int(service["LimitNOFILE"]) >= settings["maxclients"] + FILES_OF_OUR_OWN


@pytest.mark.parametrize("option", ["--dir a my.conf", "--requirepass", "--requirepass a b", "--port 1 2", "--unixsocket", "--bind"])
def test_one_value_is_neither_none_nor_two(option: str) -> None:
    with pytest.raises(SettingError, match=f"^{option.split()[0]}: wrong number of arguments$"):
        Settings().read_options(option.split())


def test_an_empty_value_is_one_and_some_have_several() -> None:
    settings = Settings()
    settings.read_options(["--requirepass", "", "--bind", "::1", "127.0.0.1", "--save", "900", "1", "300", "10"])
    assert (settings["requirepass"], settings["bind"], settings["save"]) == ("", "::1 127.0.0.1", "900 1 300 10")
