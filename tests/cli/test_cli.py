"""The command group: what it loads, and when."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from diskkv.cli import SUBCOMMANDS, LazyGroup, main

ROOT = Path(__file__).parents[2]


def loaded_by(*args: str) -> set[str]:
    """The modules that `diskkv args...` has imported when it ends."""
    program = "import sys, atexit; atexit.register(lambda: print('\\n@', *sys.modules)); from diskkv.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, cwd=ROOT, timeout=30)
    return set(done.stdout.rpartition("@")[2].split())


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["shell", "--help"], ["shell", "-p", "1", "PING"]], ids=" ".join)
def test_nothing_heavy_is_loaded_before_it_is_needed(args: list[str]) -> None:
    loaded = loaded_by(*args)
    assert "click" in loaded
    assert not loaded & {"uvloop", "plyvel", "prompt_toolkit", "redis", "hiredis", "asyncio", "lupa"}


def test_help_lists_every_subcommand() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    for name, (_, about) in SUBCOMMANDS.items():
        assert name in text
        assert about in text


def test_an_absent_module_fails_only_its_own_subcommand() -> None:
    group = LazyGroup("g", table={"ghost": ("diskkv.cli.ghost", "Not there."), "shell": SUBCOMMANDS["shell"]})
    result = CliRunner().invoke(group, ["ghost"])
    assert result.exit_code == 1
    assert "no 'ghost'" in result.output
    assert CliRunner().invoke(group, ["shell", "--help"]).exit_code == 0
    assert "Not there." in CliRunner().invoke(group, ["--help"]).output


def test_a_module_that_fails_to_import_shows_its_own_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken_subcommand.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    group = LazyGroup("g", table={"broken": ("broken_subcommand", "")})
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        group.get_command(click.Context(group), "broken")


def test_unknown_subcommand() -> None:
    result = CliRunner().invoke(main, ["nosuch"])
    assert result.exit_code == 2
    assert "No such command 'nosuch'" in result.output


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "diskkv", "--version"], capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert done.returncode == 0
    assert done.stdout.startswith("diskkv ")
