"""Imports point down, outside packages stay in their homes, files stay short, names say something."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "diskkv"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 600  # lines
VAGUE = re.compile(r"_*(utils?|helpers?|common|base|misc|managers?|handlers?|stuff|tools?)")

GROUND = frozenset({"errors", "replies", "clock", "lib"})
EVERYTHING = frozenset(path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir())
BELOW_APP = GROUND | {"engine", "format", "rdb", "resp", "config", "store", "types", "transfer", "dispatch", "commands"}

# The part of diskkv -> the other parts it may import. A part may import itself, and no part imports what is not listed.
MAY_IMPORT: dict[str, frozenset[str]] = {
    **{part: frozenset() for part in GROUND},
    "engine": frozenset({"errors", "lib"}),
    "format": frozenset({"errors", "lib"}),
    "resp": frozenset({"replies", "errors", "lib"}),
    "config": frozenset({"errors", "lib"}),
    "conffile": frozenset({"config", "errors", "lib"}),
    "store": frozenset({"engine", "format", "lib", "errors", "clock"}),
    "types": frozenset({"store", "format", "lib", "errors"}),
    "rdb": frozenset({"format", "errors", "lib"}),
    "transfer": frozenset({"rdb", "types", "store", "format", "lib", "errors", "clock"}),
    "dispatch": frozenset({"store", "transfer", "lib", "replies", "errors", "clock", "config"}),
    "scripting": frozenset({"dispatch", "store", "format", "rdb", "resp", "lib", "replies", "errors", "clock", "config"}),
    "commands": frozenset(
        {"scripting", "dispatch", "transfer", "rdb", "types", "store", "lib", "format", "replies", "errors", "config", "conffile"}
    ),
    "app": BELOW_APP | {"scripting"},
    "server": frozenset({"app", "dispatch", "resp", "lib", "replies", "errors", "config", "clock"}),
    "client": frozenset({"app", "commands", "resp", "dispatch", "lib", "store", "types", "replies", "errors", "config", "clock"}),
    "cli": frozenset(
        {"client", "lib", "rdb", "transfer", "server", "app", "dispatch", "store", "format", "resp", "replies", "config", "errors"}
        | {"clock", "conffile", "repair", "rewind"}
    ),
    "repair": frozenset({"app", "config", "dispatch", "engine", "errors", "format", "rdb", "resp", "store", "transfer", "types"}),
    "rewind": frozenset({"app", "clock", "config", "dispatch", "resp", "store", "errors"}),
    "__init__": EVERYTHING,
    "__main__": frozenset({"cli"}),
}

# A module from outside -> where alone it may be imported: files, or directories with a slash. Third-party ones must be listed.
HOMES: dict[str, tuple[str, ...]] = {
    "plyvel": ("engine/leveldb/",),
    "sortedcontainers": ("engine/memory.py",),
    "msgpack": ("format/",),
    "lz4": ("format/",),
    "xxhash": ("format/", "lib/"),
    "struct": ("format/", "lib/", "rdb/", "scripting/child.py"),
    "anycrc": ("rdb/checksum.py", "engine/leveldb/writing.py"),
    "lzf": ("rdb/lzf.py",),
    "hiredis": ("resp/parse.py",),
    "lupa": ("scripting/child.py",),
    "prometheus_client": ("server/metrics.py",),
    "asyncio": ("server/", "client/aio.py"),
    "uvloop": ("server/", "client/aio.py"),
    "threading": ("engine/", "store/", "transfer/saving.py", "client/", "server/", "cli/", "scripting/turns.py"),
    "time": ("clock.py", "dispatch/stats.py", "cli/"),
    "redis": ("client/", "cli/"),
    "click": ("cli/",),
    "prompt_toolkit": ("cli/",),
}


def place(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def part_of(name: str) -> str:
    """The part of diskkv that a module name such as `diskkv.store.cache` belongs to."""
    words = name.split(".")
    return words[1] if len(words) > 1 else "__init__"


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full module name of every import in a file, wherever in it; relative ones resolved, `from diskkv import x` as `diskkv.x`."""
    package = ["diskkv", *file.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*outer, *([node.module] if node.module else [])])
            if source == "diskkv":
                for alias in node.names:
                    yield node.lineno, f"diskkv.{alias.name}" if alias.name in EVERYTHING else source
            else:
                yield node.lineno, source


@pytest.mark.parametrize("file", FILES, ids=place)
def test_imports_point_down(file: Path) -> None:
    here = part_of(".".join(["diskkv", *file.relative_to(PACKAGE).with_suffix("").parts]))
    assert here in MAY_IMPORT, f"{here} is new: who may import it, and what may it import?"
    wrong = [
        f"{place(file)}:{line}: {here} may not import {name}"
        for line, name in imports(file)
        if name.split(".")[0] == "diskkv" and part_of(name) not in MAY_IMPORT[here] | {here}
    ]
    assert wrong == []


@pytest.mark.parametrize("file", FILES, ids=place)
def test_outside_packages_stay_in_their_homes(file: Path) -> None:
    wrong = []
    for line, name in imports(file):
        top = name.split(".")[0]
        if top == "diskkv" or (top in sys.stdlib_module_names and top not in HOMES):
            continue
        homes = HOMES.get(top, ())
        if not any(place(file) == home or (home.endswith("/") and place(file).startswith(home)) for home in homes):
            wrong.append(f"{place(file)}:{line}: {top} may be imported in {' '.join(homes) or 'no file yet (give it a home)'}")
    assert wrong == []


@pytest.mark.parametrize("file", FILES, ids=place)
def test_files_are_short_and_well_named(file: Path) -> None:
    lines = len(file.read_text().splitlines())
    assert lines <= LONGEST, f"{place(file)} has {lines} lines: give it a second room"
    for name in file.relative_to(PACKAGE).with_suffix("").parts:
        assert not VAGUE.fullmatch(name), f"{place(file)}: what is in a {name}?"


def test_every_part_is_in_the_table() -> None:
    directories = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert directories <= set(MAY_IMPORT)
