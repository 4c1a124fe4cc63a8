"""The terminal side: keys in by a pipe, and once the whole shell on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prompt_toolkit.document import Document
from prompt_toolkit.input.defaults import create_pipe_input
from prompt_toolkit.layout import BufferControl
from prompt_toolkit.layout.processors import TransformationInput
from prompt_toolkit.output import DummyOutput

from diskkv.cli.shell_input import HintProcessor, LineHistory, Terminal, holds_password
from tests.cli.conftest import ROOT, Oracle
from tests.cli.test_shell_hints import docs


def typed(keys: str, *, history: Path | None = None) -> bytes:
    with create_pipe_input() as source:
        source.send_text(keys)
        return Terminal(docs(), history, source=source, sink=DummyOutput()).ask("> ")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("get a\r", b"get a"),
        ("app\tk v\r", b"appendk v"),
        ("config g\t x\r", b"config get x"),
        ("set k v kee\t\r", b"set k v keepttl"),
        ("echo \u00e9\r", "echo \u00e9".encode()),
        ("dropped\x03kept\r", b"kept"),
        ("\x1b[200~get a\nget b\x1b[201~\r", b"get a\nget b"),
        ("append\x1b[C\x05\r", b"append"),
    ],
)
def test_keys(keys: str, line: bytes) -> None:
    assert typed(keys) == line


def test_leaving() -> None:
    with pytest.raises(EOFError):
        typed("\x04")
    with pytest.raises(KeyboardInterrupt):
        typed("\x03")


@pytest.mark.parametrize(("hints", "drawn"), [(True, "hset k field value [field value ...]"), (False, "hset k ")])
def test_hints_are_drawn_unless_switched_off(hints: bool, drawn: str) -> None:
    with create_pipe_input() as source:
        terminal = Terminal(docs(), None, source=source, sink=DummyOutput())
        terminal.hints = hints
        line = TransformationInput(BufferControl(), Document("hset k "), 0, lambda at: at, [("", "hset k ")], 100, 10)
        fragments = HintProcessor(terminal, docs()).apply_transformation(line).fragments
    assert "".join(fragment[1] for fragment in fragments) == drawn


def test_history_is_one_line_an_entry_for_its_owner_only_and_without_passwords(tmp_path: Path) -> None:
    path = tmp_path / "history"
    with create_pipe_input() as source:
        terminal = Terminal(docs(), path, source=source, sink=DummyOutput())
        for line in ["get a", "auth secret", "get b", ""]:
            source.send_text(f"{line}\r")
            terminal.ask("> ")
    assert path.read_text() == "get a\nget b\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(LineHistory(path).load_history_strings()) == ["get b", "get a"]
    assert typed("\x1b[A\x1b[A\r", history=path) == b"get a"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("AUTH pw", True),
        ("2 auth user pw", True),
        ("acl setuser me >pw", True),
        ("ACL LIST", False),
        ("hello 3 auth u p", True),
        ("hello 3", False),
        ("migrate h 1 k 0 10 auth2 u p", True),
        ("config set requirepass x", True),
        ("config get requirepass", False),
        ("set auth pw", False),
        ('get "', False),
    ],
)
def test_lines_with_passwords(line: str, secret: bool) -> None:
    assert holds_password(line) == secret


# Only how long a failing test hangs.
PATIENCE = 30


class Keyboard:
    """A program on a pseudo-terminal: type into it, wait for what it shows."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._seen = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str) -> str:
        """Read until the pattern has been shown since the last wait; the whole text up to it."""
        while (found := re.search(pattern, plain(self._seen))) is None:
            ready, _, _ = select.select([self._master], [], [], PATIENCE)
            assert ready, f"never showed {pattern!r}: {plain(self._seen)!r}"
            data = os.read(self._master, 4096).decode(errors="replace")
            self._seen += data
            if "\x1b[6n" in data:
                self.type("\x1b[1;1R")
        text = plain(self._seen)
        self._seen = text[found.end() :]
        return text[: found.end()]


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]", "", text)


@contextmanager
def on_terminal(args: list[str], env: dict[str, str]) -> Iterator[tuple[Keyboard, subprocess.Popen[bytes]]]:
    master, slave = pty.openpty()
    program = [sys.executable, "-m", "diskkv", "shell", *args]
    everything = {**os.environ, "TERM": "xterm", **env}
    with subprocess.Popen(
        program, stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env=everything, start_new_session=True,
        # A suite that was started in the background ignores it, and who is started by one would, too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    ) as process:  # fmt: skip
        os.close(slave)
        try:
            yield Keyboard(master), process
        finally:
            process.kill()
            os.close(master)


def test_a_conversation(oracle: Oracle, deaf_port: int, tmp_path: Path) -> None:
    oracle.reset()
    with on_terminal(["-p", str(oracle.port)], {"DISKKV_HISTFILE": str(tmp_path / "history")}) as (keyboard, process):
        here = rf"127\.0\.0\.1:{oracle.port}"
        keyboard.wait_for(rf"{here}>")
        keyboard.type("rpush l ")
        keyboard.wait_for(r"element \[element \.\.\.\]")
        keyboard.type("a b\r")
        keyboard.wait_for(r"\(integer\) 2\r\n")
        keyboard.type("select 2\r")
        keyboard.wait_for(rf"{here}\[2\]>")
        keyboard.type("multi\r")
        keyboard.wait_for(rf"{here}\[2\]\(TX\)>")
        keyboard.type("discard\r")
        keyboard.wait_for(rf"{here}\[2\]>")
        keyboard.type("subscribe ch\r")
        keyboard.wait_for(r"3\) \(integer\) 1\r\n")
        process.send_signal(signal.SIGINT)
        keyboard.wait_for(rf"{here}\[2\]>")
        keyboard.type(f"connect 127.0.0.1 {deaf_port}\r")
        keyboard.wait_for(r"Connection refused\r\n")
        keyboard.wait_for(r"not connected>")
        keyboard.type(f"connect 127.0.0.1 {oracle.port}\r")
        keyboard.wait_for(rf"{here}\[2\]>")
        keyboard.type("quit\r")
        assert process.wait(timeout=10) == 0
    assert (tmp_path / "history").read_text().startswith("rpush l a b\nselect 2\nmulti\n")
