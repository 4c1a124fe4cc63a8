"""`diskkv top` and `diskkv keys`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import diskkv
from diskkv.cli.bars import bar, printable, size
from diskkv.cli.keys import OTHERS, Best, Shares
from diskkv.cli.top import _cut, screen
from tests.differential import servers
from tests.differential.wire import Connection


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    with servers.diskkv() as started:
        yield started


@pytest.fixture
def client(server: servers.Server) -> Iterator[Connection]:
    connection = Connection(server.address)
    connection.call(b"FLUSHALL")
    yield connection
    connection.close()


def says(*words: object) -> tuple[int, str]:
    command = [sys.executable, "-m", "diskkv", *map(str, words)]
    done = subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def fill(client: Connection) -> None:
    for number in range(20):
        client.call(b"SET", b"small:%d" % number, b"x")
        client.call(b"RPUSH", b"queue:%d" % number, b"a", b"b")
    client.call(b"SET", b"big:\n1", b"x" * 100_000)


def test_top_once(server: servers.Server, client: Connection) -> None:
    fill(client)
    code, text = says("top", "-s", server.address, "--once", "-i", "0.2")
    assert code == 0, text
    for word in ("commands", "clients", "hits", "memory", "cache", "log", "checkpoints", "disk", "41 keys", "info"):
        assert word in text
    assert "\x1b" not in text


def test_what_cannot_be_reached() -> None:
    for words in (("top", "--once"), ("keys",)):
        code, text = says(*words, "-s", "/nonesuch.sock")
        assert (code, "Error" in text, "Traceback" in text) == (1, True, False)


def test_rates_are_of_the_interval_and_survive_a_reset() -> None:
    common = {"uptime_in_seconds": 1, "process_id": 1, "connected_clients": 1, "redis_version": "7"}
    before = common | {"total_commands_processed": 100, "cmdstat_get": {"calls": 100, "usec": 500}}
    after = common | {"total_commands_processed": 300, "cmdstat_get": {"calls": 300, "usec": 1500}}
    lines = "\n".join(screen(before, after, 2.0))
    assert "100/s" in lines
    assert any("get" in line and "5.0" in line for line in lines.split("\n"))
    assert all(float(word[:-2]) >= 0 for word in "\n".join(screen(after, before, 2.0)).split() if word.endswith("/s") and word[0].isdigit())


def test_a_line_is_cut_to_the_terminal() -> None:
    assert _cut("\x1b[31mabcdef\x1b[0m", 3) == "\x1b[31mabc\x1b[0m"
    assert _cut("abc", 10) == "abc"


@pytest.mark.parametrize("more", [(), ("--sample", "2000")])
def test_keys_of_a_server(server: servers.Server, client: Connection, more: tuple[str, ...]) -> None:
    fill(client)
    code, text = says("keys", "-s", server.address, *more)
    assert code == 0, text
    assert ("41 keys, about" in text) is not bool(more)
    by_type, by_prefix, largest = (text.split(title)[1] for title in ("By type", "By prefix", "Largest"))
    assert "string" in by_type and "list" in by_type
    assert by_prefix.split()[0] == "big:" and "20 keys" in by_prefix if not more else "queue:" in by_prefix
    assert largest.split("\n")[1].endswith("100,000 bytes        big:\\n1")


def test_keys_of_a_store(tmp_path: Path) -> None:
    with diskkv.open(tmp_path / "s") as db:
        db.hset("h:1", mapping={"a": "b"})
        db.set("plain", "v")
    code, text = says("keys", tmp_path / "s")
    assert code == 0, text
    assert "2 keys" in text and "(no prefix)" in text and "1 fields" in text


def test_hot_keys_need_a_policy_that_counts(server: servers.Server, client: Connection) -> None:
    fill(client)
    code, text = says("keys", "--hot", "-s", server.address)
    assert (code, "maxmemory-policy allkeys-lfu" in text) == (1, True)
    client.call(b"CONFIG", b"SET", b"maxmemory-policy", b"allkeys-lfu")
    for _ in range(300):
        client.call(b"GET", b"small:7")
    code, text = says("keys", "--hot", "-s", server.address, "--top", "3")
    client.call(b"CONFIG", b"SET", b"maxmemory-policy", b"noeviction")
    assert code == 0, text
    assert text.split("Most used")[1].split("\n")[1].endswith("small:7")


def test_memory_is_bounded_whatever_the_names() -> None:
    shares, best = Shares(2), Best(3)
    for number in range(100):
        shares.add(b"p%d:" % number, 1)
        best.add(number, b"k%d" % number, b"string")
    best.add(99, b"k99", b"string")
    assert shares.by_name == {b"p0:": [1, 1], b"p1:": [1, 1], OTHERS: [98, 98]}
    assert [number for number, _, _ in best.ordered()] == [99, 98, 97]


def test_numbers_and_names_for_people() -> None:
    assert [size(number) for number in (0, 1023, 1024, 5 << 30)] == ["0 B", "1023 B", "1.0 KB", "5.0 GB"]
    assert [bar(part, 2) for part in (0, 0.25, 0.5, 2)] == ["  ", "▌ ", "█ ", "██"]
    assert printable(b"a\x1b[2J\xff") == "a\\x1b[2J\\xff"
