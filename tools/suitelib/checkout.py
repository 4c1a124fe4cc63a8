"""A copy of a Redis checkout's test suite, to run in: the suite writes below its own directory, and wants programs in src/."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

PROGRAMS = ("redis-cli", "redis-benchmark", "redis-server", "redis-check-aof", "redis-check-rdb")
# Units that start servers and clusters of their own whatever the mode: nothing in them would meet the server under test.
OWN_SERVERS = re.compile(r"unit/cluster/.*|unit/moduleapi/.*|integration/corrupt-dump.*")


class NoSuite(Exception):
    """There is no test suite where one was expected, or a program that it needs is missing."""


def copy(source: Path, target: Path) -> Path:
    """Copy what the suite needs from a checkout, which stays as it is; programs that were not built there are taken from PATH."""
    if not (source / "tests" / "test_helper.tcl").is_file():
        raise NoSuite(f"{source} is no checkout of Redis: tests/test_helper.tcl is missing")
    if shutil.which("tclsh") is None:
        raise NoSuite("tclsh is not installed (Debian: apt-get install tcl)")
    shutil.copytree(source / "tests", target / "tests", ignore=shutil.ignore_patterns("tmp"), symlinks=True)
    (target / "tests" / "tmp").mkdir()
    for name in ("runtest", "redis.conf", "utils"):
        found = source / name
        if found.is_dir():
            shutil.copytree(found, target / name, symlinks=True)
        elif found.is_file():
            shutil.copy2(found, target / name)
    (target / "src").mkdir()
    for name in PROGRAMS:
        built = source / "src" / name
        # Not resolved: the programs of Debian are one, which goes by the name that it is called by.
        program = str(built.absolute()) if built.is_file() else shutil.which(name)
        if program is not None:
            (target / "src" / name).symlink_to(program)
        elif name in ("redis-cli", "redis-benchmark"):
            raise NoSuite(f"{name} is neither built in {source / 'src'} nor installed (Debian: apt-get install redis-tools)")
    return target


def units(suite: Path) -> list[str]:
    """The units that a suite names, in its order, but those that start servers of their own."""
    listed = re.search(r"set ::all_tests \{(.*?)\}", (suite / "tests" / "test_helper.tcl").read_text(), re.DOTALL)
    if listed is None:
        raise NoSuite("tests/test_helper.tcl does not name the units as that of Redis 7.0 and 7.2 does")
    return [name for name in listed[1].split() if not OWN_SERVERS.fullmatch(name)]


def version(source: Path) -> tuple[int, int]:
    """Which Redis a checkout is of."""
    header = source / "src" / "version.h"
    found = re.search(r'REDIS_VERSION "(\d+)\.(\d+)', header.read_text()) if header.is_file() else None
    if found is None:
        raise NoSuite(f"{header} does not tell a version")
    return int(found[1]), int(found[2])


def server(source: Path) -> str:
    """The redis-server built in a checkout, or else the one in PATH."""
    built = source / "src" / "redis-server"
    return str(built.absolute()) if built.is_file() else shutil.which("redis-server") or "redis-server"
