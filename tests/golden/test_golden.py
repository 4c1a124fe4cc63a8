"""One script, one truth: in process, over both protocols, through the shell, and on Redis itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.differential import servers
from tests.support import scripts
from tests.support.fronts import LocalFront, SocketFront, has_oracle
from tests.support.notation import Node, parse
from tests.support.scripts import GOLDEN, play, read

SCRIPTS = scripts.names()
TIMED = scripts.names("timed")
# One session, nothing that JSON cannot say, nothing about the session itself.
THROUGH_THE_SHELL = ("strings", "hashes", "lists", "sets", "bitmaps", "hyperloglogs", "geo")
PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3])


@pytest.fixture(scope="module")
def served() -> Iterator[SocketFront]:
    """A diskkv server of this tree."""
    with servers.diskkv() as server:
        yield SocketFront(server.address, oracle=False)


@pytest.fixture(scope="module")
def redis() -> Iterator[SocketFront]:
    """Redis. Without it the tests fail, or are skipped when DISKKV_NO_ORACLE=1 says that there is none."""
    if not has_oracle():
        if os.environ.get("DISKKV_NO_ORACLE") == "1":
            pytest.skip("DISKKV_NO_ORACLE=1: no redis-server to compare with")
        pytest.fail("no redis-server to compare with (set DISKKV_NO_ORACLE=1 to go without)")
    with servers.redis("--appendonly", "no") as server:
        yield SocketFront(server.address, oracle=True)


@PROTOCOLS
@pytest.mark.parametrize("name", SCRIPTS)
def test_in_process(name: str, protocol: int, tmp_path: Path) -> None:
    front = LocalFront(tmp_path / "store")
    try:
        for outcome in play(read(GOLDEN / f"{name}.txt"), front, protocol):
            outcome.judge(oracle=False)
        assert not front.run.findings()
    finally:
        front.close()


@pytest.mark.parametrize("name", SCRIPTS)
def test_in_process_with_nothing_kept_in_memory(name: str, tmp_path: Path) -> None:
    front = LocalFront(tmp_path / "store")
    try:
        for outcome in play(read(GOLDEN / f"{name}.txt"), front, 3, after=front.run.evict):
            outcome.judge(oracle=False)
        assert not front.run.findings()
    finally:
        front.close()


@PROTOCOLS
@pytest.mark.parametrize("name", TIMED)
def test_in_process_as_time_goes_by(name: str, protocol: int, tmp_path: Path) -> None:
    front = LocalFront(tmp_path / "store")
    try:
        for outcome in play(read(GOLDEN / "timed" / f"{name}.txt"), front, protocol):
            outcome.judge(oracle=False)
        assert not front.run.findings()
    finally:
        front.close()


@PROTOCOLS
@pytest.mark.parametrize("name", SCRIPTS)
def test_served(name: str, protocol: int, served: SocketFront) -> None:
    served.clear()
    for outcome in play(read(GOLDEN / f"{name}.txt"), served, protocol):
        outcome.judge(oracle=False)


@PROTOCOLS
@pytest.mark.parametrize("name", SCRIPTS)
def test_redis_says_so_too(name: str, protocol: int, redis: SocketFront) -> None:
    redis.clear()
    for outcome in play(read(GOLDEN / f"{name}.txt"), redis, protocol):
        outcome.judge(oracle=True)


@pytest.mark.parametrize("name", THROUGH_THE_SHELL)
def test_through_the_shell(name: str, tmp_path: Path) -> None:
    steps = read(GOLDEN / f"{name}.txt")
    typed = b"".join(b" ".join(map(_quoted, step.argv)) + b"\n" for step in steps)
    command = [sys.executable, "-m", "diskkv", "shell", "--json", str(tmp_path / "store")]
    done = subprocess.run(command, input=typed, capture_output=True, check=False, cwd=GOLDEN.parents[1])
    lines = done.stdout.decode("latin-1").split("\n")[:-1]
    assert len(lines) == len(steps), done.stderr.decode()
    for step, line in zip(steps, lines, strict=True):
        node = parse(step.expected(3, False))
        assert _said_in_json(node, _load(line)), f"line {step.line}: {step.text}\n  expected {step.expected(3, False)}\n  got {line}"


def _quoted(word: bytes) -> bytes:
    return b'"' + b"".join(b"\\x%02x" % byte for byte in word) + b'"'


def _load(line: str) -> Any:
    """A line of the shell's JSON. It prints errors as `error:` and a string, as redis-cli does."""
    if line.startswith("error:"):
        return Node("-", str(json.loads(line[6:], strict=False)).encode("latin-1"))
    return json.loads(line, strict=False)


def _said_in_json(node: Node, value: Any) -> bool:
    match node.kind:
        case "...":
            return True
        case "nil" | "nil*":
            return value is None
        case "-":
            return bool(value == node)
        case ":":
            return isinstance(value, int) and node.text in (b"?", b"%d" % value)
        case ",":
            return isinstance(value, (int, float)) and (node.text == b"?" or float(node.text or b"") == value)
        case "%":
            names = [(item.text or b"").decode("latin-1") for item in node.items[::2]]
            pairs = zip(names, node.items[1::2], strict=True)
            same = isinstance(value, dict) and sorted(names) == sorted(value)
            return same and all(_said_in_json(item, value[key]) for key, item in pairs)
        case "any" | "~":
            left = list(value)
            for item in node.items:
                found = next((at for at, part in enumerate(left) if _said_in_json(item, part)), None)
                if found is None:
                    return False
                del left[found]
            return not left
        case "*" | "pairs":
            parts = zip(node.items, value, strict=False)
            return isinstance(value, list) and len(value) == len(node.items) and all(_said_in_json(item, part) for item, part in parts)
        case _:
            return isinstance(value, str) and (node.text == b"?" or value.encode("latin-1") == node.text)
