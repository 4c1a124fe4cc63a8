"""From and into servers that are running."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_import_export_oracle import DEBUG, contents, diskkv, fill, served
from tests.support.oracle import Oracle, start


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def listening(*options: str) -> Iterator[tuple[Oracle, str]]:
    """A redis-server, and its address."""
    port = free_port()
    oracle = start("--port", str(port), "--bind", "127.0.0.1", *DEBUG, *options)
    try:
        yield oracle, f"127.0.0.1:{port}"
    finally:
        oracle.close()


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[int]:
    """A diskkv server on a store, and its port."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "diskkv", "serve", "--dir", str(directory), "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        for line in server.stdout:
            if "ready" in line:
                break
        yield port
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def check_store(store: Path, directory: Path, expected: dict[tuple[int, bytes], Any]) -> None:
    directory.mkdir()
    assert diskkv("export", store, directory / "dump.rdb").exit_code == 0
    assert served(directory) == expected


@pytest.mark.parametrize("manner", ["disk", "diskless", "scan"])
def test_from_a_redis(manner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"disk": ("--repl-diskless-sync", "no"), "diskless": ("--repl-diskless-sync-delay", "0"), "scan": ()}[manner]
    with listening(*options) as (oracle, address):
        expected = fill(oracle, 11)
        if manner == "scan":
            oracle.run("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@all", "-psync", "-replconf")
            monkeypatch.setenv("REDISCLI_AUTH", "secret")
            address = f"redis://reader@{address}"
        result = diskkv("import", address, "--into", tmp_path / "store")
        assert result.exit_code == 0, result.output
        assert ("key by key" if manner == "scan" else "as to a replica") in result.output
        result = diskkv("export", address, tmp_path / "direct.rdb")
        assert result.exit_code == 0, result.output
    check_store(tmp_path / "store", tmp_path / "served", expected)
    (tmp_path / "direct").mkdir()
    os.rename(tmp_path / "direct.rdb", tmp_path / "direct" / "dump.rdb")
    assert served(tmp_path / "direct") == expected


@pytest.mark.parametrize("form", ["rdb", "aof", "jsonl"])
def test_into_servers(form: str, tmp_path: Path) -> None:
    with listening() as (oracle, address):
        expected = fill(oracle, 12)
        oracle.run("SADD", "large", *range(8000))
        oracle.run("SELECT", 3)
        oracle.run("RPUSH", "large", *range(9000))
        expected = contents(oracle)
        source = tmp_path / f"source.{form}"
        result = diskkv("export", address, source)
        assert result.exit_code == 0, result.output
    with listening() as (oracle, address):
        oracle.run("SET", "large", "what was here before")
        if form == "aof":
            result = diskkv("import", source, "-p", address.partition(":")[2])
            assert result.exit_code == 1 and "use --flush" in result.output
        result = diskkv("import", source, "-p", address.partition(":")[2], *(["--flush"] if form == "aof" else []))
        assert result.exit_code == 0, result.output
        if form != "aof":
            assert contents(oracle) == expected
    with serving(tmp_path / "store") as port:
        result = diskkv("import", source, "-h", "127.0.0.1", "-p", port)
        assert result.exit_code == 0, result.output
        assert diskkv("export", f"127.0.0.1:{port}", tmp_path / "again.jsonl").exit_code == 0
    assert diskkv("import", tmp_path / "again.jsonl", "--into", tmp_path / "other").exit_code == 0
    check_store(tmp_path / "other", tmp_path / "served", expected)


def test_what_a_server_refuses_is_listed(tmp_path: Path) -> None:
    (tmp_path / "source.jsonl").write_text(
        '{"db":0,"key":"a","type":"string","value":"1"}\n{"db":99,"key":"b","type":"string","value":"2"}\n'
    )
    with listening() as (oracle, address):
        result = diskkv("import", tmp_path / "source.jsonl", "-p", address.partition(":")[2])
        assert result.exit_code == 3 and "DB index is out of range" in result.output
        assert oracle.run("GET", "a") == b"1"
    assert diskkv("import", tmp_path / "source.jsonl", "-p", address.partition(":")[2]).exit_code == 1
    assert diskkv("import", address, "--into", tmp_path / "store").exit_code == 1


def test_pipe_mode_works_with_the_server(tmp_path: Path) -> None:
    with listening() as (oracle, address):
        expected = fill(oracle, 13)
        assert diskkv("export", address, tmp_path / "all.aof").exit_code == 0
    with serving(tmp_path / "store") as port, open(tmp_path / "all.aof", "rb") as commands:
        done = subprocess.run(["redis-cli", "-p", str(port), "--pipe"], stdin=commands, capture_output=True, text=True)
        assert "errors: 0," in done.stdout, done.stdout
        # redis-cli --rdb asks for what only a master of replicas gives
        done = subprocess.run(["redis-cli", "-p", str(port), "--rdb", str(tmp_path / "no.rdb")], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
    check_store(tmp_path / "store", tmp_path / "served", expected)
