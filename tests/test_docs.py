"""What the README shows works as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from diskkv.cli import SUBCOMMANDS, main
from diskkv.config import BY_NAME
from diskkv.errors import CommandError
from tests.support.runner import Runner

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'name': 'bob', 'age': '41'} 1"


def test_redis_cli_examples_are_answered(run: Runner) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("redis-cli ")]
    assert len(lines) == 3
    for line in lines:
        words = shlex.split(line)
        assert words[1] == "-p"
        reply = run(*words[3:])
        assert not isinstance(reply, CommandError), (line, reply)


def test_settings_and_subcommands_named_exist() -> None:
    options = {"--help", "--name", "--plot"}
    for subcommand in SUBCOMMANDS:
        command = main.get_command(click.Context(main), subcommand)
        assert command is not None
        options |= {option for parameter in command.params for option in parameter.opts}
    for name in re.findall(r"--([a-z][a-z-]+)", README):
        assert name in BY_NAME or f"--{name}" in options, name
    for name in re.findall(r"tools/run (\w+)", README):
        assert name in SUBCOMMANDS, name


def test_the_table_of_commands_is_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "readme", "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
