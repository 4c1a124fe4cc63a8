"""Which words name a place, and the road to a store in process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from diskkv.cli import main, shell_links
from diskkv.cli.shell import choose_place, history_path
from diskkv.cli.shell_links import Link, LocalPlace, TcpPlace, UnixPlace
from tests.cli.loopback import LoopbackLink


class OneKeyStore:
    """A store that knows SET, GET and PING, one key, and whether it is open."""

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.open = True

    def session(self) -> Link:
        return LoopbackLink(self._answer)

    def close(self) -> None:
        self.open = False

    def _answer(self, argv: list[bytes]) -> bytes:
        match argv:
            case [b"SET", _, value]:
                self.value = value
                return b"+OK\r\n"
            case [b"GET", _]:
                return b"$-1\r\n" if self.value is None else b"$%d\r\n%b\r\n" % (len(self.value), self.value)
        return b"-ERR unknown command\r\n"


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> dict[Path, OneKeyStore]:
    opened: dict[Path, OneKeyStore] = {}

    def open_local(path: Path) -> OneKeyStore:
        assert path not in opened, "opened twice"
        return opened.setdefault(path, OneKeyStore())

    monkeypatch.setattr(shell_links, "open_local", open_local)
    return opened


def test_a_script_on_a_store_in_process(stores: dict[Path, OneKeyStore], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["shell", "--no-raw", str(tmp_path)], input="SET k v\nGET k\nNOSUCH\n")
    assert result.output == 'OK\n"v"\n(error) ERR unknown command\n'
    assert result.exit_code == 0
    assert not stores[tmp_path].open


def test_one_command_on_a_store_in_process(stores: dict[Path, OneKeyStore], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["shell", "-e", str(tmp_path), "NOSUCH"])
    assert (result.exit_code, result.stderr) == (1, "ERR unknown command\n")
    assert not stores[tmp_path].open


def test_a_store_is_opened_once_for_many_links(stores: dict[Path, OneKeyStore]) -> None:
    place = LocalPlace(Path("mine"))
    place.open().close()
    place.open()
    assert place.label == "mine"
    place.close()
    assert not stores[Path("mine")].open


def described(host: str | None = None, port: int | None = None, unix: Path | None = None, *words: str) -> tuple[type, str, list[bytes]]:
    place, argv = choose_place(host, port, unix, words)
    return type(place), place.label, argv


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (lambda: described(), (TcpPlace, "127.0.0.1:6379", [])),
        (lambda: described(None, 7000, None, "GET", "k"), (TcpPlace, "127.0.0.1:7000", [b"GET", b"k"])),
        (lambda: described("::1", None, None), (TcpPlace, "[::1]:6379", [])),
        (lambda: described("h", 1, Path("/s"), "PING"), (UnixPlace, "/s", [b"PING"])),
        (lambda: described(None, None, None, "./new", "PING"), (LocalPlace, "new", [b"PING"])),
        (lambda: described(None, None, None, "tests"), (LocalPlace, "tests", [])),
    ],
)
def test_choice_of_place(given: Callable[[], object], found: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    assert given() == found


@pytest.mark.parametrize("words", [["ping"], ["GET", "k"], ["./new", "-n", "2"]])
def test_words_that_are_no_place(words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.UsageError):
        choose_place(None, None, None, words)
    assert not list(tmp_path.iterdir())


def test_the_history_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DISKKV_HISTFILE", raising=False)
    assert history_path() == tmp_path / ".diskkv_history"
    monkeypatch.setenv("DISKKV_HISTFILE", "/elsewhere")
    assert history_path() == Path("/elsewhere")
    monkeypatch.setenv("DISKKV_HISTFILE", "")
    assert history_path() is None
