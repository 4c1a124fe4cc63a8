"""diskkv import and export: nothing is lost between diskkv and a redis-server, in any of the forms."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from diskkv.cli import main
from diskkv.format.meta import pack_items
from diskkv.rdb.checksum import crc64
from diskkv.replies import OK
from tests.rdb.values import MAKERS
from tests.support.oracle import Oracle, plain, start
from tests.support.runner import Runner

DEBUG = ("--enable-debug-command", "yes")


def diskkv(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def fill(oracle: Oracle, seed: int) -> dict[tuple[int, bytes], Any]:
    """Make keys of every type in several databases, some that expire; what each amounts to, by database and name."""
    rng = random.Random(seed)
    for db in (0, 3):
        oracle.run("SELECT", db)
        for number in range(40):
            key = b"key:%d" % number if number else b"\xff\x00 not text"
            for command in rng.choice(MAKERS)(rng, key):
                oracle.run(*command)
            if rng.random() < 0.3:
                oracle.run("PEXPIREAT", key, 2_000_000_000_000 + number)
    oracle.run("SELECT", 0)
    return contents(oracle)


def contents(oracle: Oracle) -> dict[tuple[int, bytes], Any]:
    found = {}
    for db in (0, 3):
        oracle.run("SELECT", db)
        for key in oracle.run("KEYS", "*"):
            state = oracle.run("XINFO", "STREAM", key, "FULL", "COUNT", 0) if oracle.run("TYPE", key) == b"stream" else []
            found[db, key] = oracle.run("DEBUG", "DIGEST-VALUE", key), oracle.run("PEXPIRETIME", key), state[:2] + state[6:]
    oracle.run("SELECT", 0)
    return found


def served(directory: Path) -> dict[tuple[int, bytes], Any]:
    """What a redis-server makes of the files in a directory."""
    oracle = start("--dir", str(directory), *DEBUG)
    try:
        while b"loading:1" in oracle.run("INFO", "persistence"):
            pass
        return contents(oracle)
    finally:
        oracle.close()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[tuple[int, bytes], Any]]]:
    """A redis-server's dump.rdb, and what is in it."""
    directory = tmp_path_factory.mktemp("original")
    oracle = start("--dir", str(directory), *DEBUG)
    expected = fill(oracle, 7)
    assert oracle.run("SAVE") == b"OK"
    oracle.close()
    yield directory / "dump.rdb", expected


@pytest.mark.parametrize("form", ["rdb", "aof", "jsonl"])
def test_everything_comes_through(form: str, original: tuple[Path, dict[tuple[int, bytes], Any]], tmp_path: Path) -> None:
    source, expected = original
    store = tmp_path / "store"
    result = diskkv("import", source, "--into", store)
    assert result.exit_code == 0, result.output
    assert f"{len(expected)} keys" in result.output
    out = tmp_path / f"out.{form}"
    assert diskkv("export", store, out).exit_code == 0
    # and once more from what was written
    again = tmp_path / "again"
    assert diskkv("import", out, "--into", again, "--maxmemory", "16mb").exit_code == 0
    run = Runner(again)
    assert run.findings() == []
    run.close()
    last = tmp_path / "served"
    last.mkdir()
    assert diskkv("export", again, last / "dump.rdb").exit_code == 0
    checked = subprocess.run(["redis-check-rdb", last / "dump.rdb"], capture_output=True, text=True)
    assert "RDB looks OK" in checked.stdout
    assert served(last) == expected


def test_commands_of_an_export_load_as_an_append_only_file(original: tuple[Path, dict[tuple[int, bytes], Any]], tmp_path: Path) -> None:
    source, expected = original
    diskkv("import", source, "--into", tmp_path / "store")
    files = tmp_path / "served" / "appendonlydir"
    files.mkdir(parents=True)
    assert diskkv("export", tmp_path / "store", files / "appendonly.aof.1.incr.aof", "--format", "aof").exit_code == 0
    (files / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    oracle = start("--dir", str(tmp_path / "served"), "--appendonly", "yes", *DEBUG)
    try:
        while b"loading:1" in oracle.run("INFO", "persistence"):
            pass
        assert contents(oracle) == expected
    finally:
        oracle.close()


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_append_only_files(preamble: str, tmp_path: Path) -> None:
    directory = tmp_path / "redis"
    directory.mkdir()
    oracle = start("--dir", str(directory), "--appendonly", "yes", "--aof-use-rdb-preamble", preamble, "--appendfsync", "always", *DEBUG)
    fill(oracle, 3)
    oracle.run("BGREWRITEAOF")
    while b"aof_rewrite_in_progress:1" in oracle.run("INFO", "persistence") or b"scheduled:1" in oracle.run("INFO", "persistence"):
        pass
    oracle.run("SPOP", "key:4")
    oracle.run("MULTI")
    oracle.run("SET", "in a transaction", 1)
    oracle.run("INCRBY", "in a transaction", 41)
    oracle.run("EXEC")
    oracle.run("SET", "gone", 1, "PX", 1)
    expected = contents(oracle)
    expected.pop((0, b"gone"), None)
    oracle.close()
    for file in (directory / "appendonlydir").iterdir():
        if ".incr." in file.name:
            whole = file.read_bytes()
            file.write_bytes(whole + b"#TS:1700000000\r\n*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$1\r\n1\r\n*2\r\n$3\r\nDEL")
    result = diskkv("import", directory, "--into", tmp_path / "store")
    assert result.exit_code == 3 and "the beginning of a command or transaction" in result.output, result.output
    last = tmp_path / "served"
    last.mkdir()
    assert diskkv("export", tmp_path / "store", last / "dump.rdb").exit_code == 0
    if preamble == "yes":
        assert served(last) == expected
    else:
        # Redis' own commands do not make entries pending that were deleted.
        assert {key: found[:2] for key, found in served(last).items()} == {key: found[:2] for key, found in expected.items()}


def test_an_interrupted_import_is_run_again(original: tuple[Path, dict[tuple[int, bytes], Any]], tmp_path: Path) -> None:
    source, expected = original
    whole = source.read_bytes()
    cut = tmp_path / "cut.rdb"
    for part in (0.2, 0.5, 0.9, 1.0):
        cut.write_bytes(whole[: int(len(whole) * part)])
        result = diskkv("import", cut, "--into", tmp_path / "store", "--maxmemory", "8mb")
        assert (result.exit_code == 0) == (part == 1.0), result.output
        if part < 1:
            assert "ends too early" in result.output
    last = tmp_path / "served"
    last.mkdir()
    assert diskkv("export", tmp_path / "store", last / "dump.rdb").exit_code == 0
    assert served(last) == expected


def test_choosing_and_trying(original: tuple[Path, dict[tuple[int, bytes], Any]], tmp_path: Path) -> None:
    source, expected = original
    wanted = sorted(key for db, key in expected if db == 3 and key.startswith(b"key:1"))
    result = diskkv("import", source, "--dry-run", "--match", "key:1*", "--db", 3)
    assert result.exit_code == 0 and f"{len(wanted)} keys," in result.output, result.output
    assert diskkv("import", source, "--into", tmp_path / "store", "--match", "key:1*", "--db", 3).exit_code == 0
    run = Runner(tmp_path / "store")
    assert run("DBSIZE") == 0
    run("SELECT", 3)
    assert sorted(run("KEYS", "*")) == wanted
    run.close()
    assert diskkv("export", tmp_path / "store", tmp_path / "some.jsonl", "--match", "key:1?", "--db", 3).exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "some.jsonl").read_text().splitlines()]
    assert {line["key"].encode() for line in lines} == {key for key in wanted if len(key) == 6}


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    module = (
        b"\x07\x05thing\x81" + (int("000000001" * 7, 2) << 10 >> 1).to_bytes(8, "big") + b"\x05\x03abc\x02\x07\x04" + bytes(8) + b"\x00"
    )
    body = b"REDIS0011\xfe\x00" + module + b"\xf8\x05\x00\x03key\x05value\xff"
    path = tmp_path / "dump.rdb"
    path.write_bytes(body + crc64(body).to_bytes(8, "little"))
    result = diskkv("import", path, "--into", tmp_path / "store")
    assert result.exit_code == 3
    assert "the key b'thing' of database 0, a value of the module type" in result.output
    run = Runner(tmp_path / "store")
    assert run("GET", "key") == b"value"
    run.close()
    path.write_bytes(body + crc64(body + b"!").to_bytes(8, "little"))
    result = diskkv("import", path, "--dry-run")
    assert result.exit_code == 1 and "checksum" in result.output


def test_bad_sources_are_refused(tmp_path: Path) -> None:
    for content, words in ((b"", "neither"), (b"REDIS0099", "version 99"), (b"*1\r\nPING\r\n", "no command at byte 0"), (b"{1}", "line 1")):
        path = tmp_path / "source"
        path.write_bytes(content)
        result = diskkv("import", path, "--dry-run")
        assert result.exit_code == 1 and words in result.output, (content, result.output)
    assert diskkv("import", tmp_path / "missing", "--dry-run").exit_code == 1
    assert diskkv("import", tmp_path, "--dry-run").exit_code == 1
    shutil.rmtree(tmp_path)


def test_function_libraries_go_along(tmp_path: Path) -> None:
    code = b"#!lua name=lib\nredis.register_function('answer', function() return 42 end)"
    run = Runner(tmp_path / "store")
    with run.executor.store.lock:
        run.executor.store.documents.put(b"library:lib", pack_items([code, b"answer", None, 0]))
    assert run("SAVE") == OK
    run.close()
    for name in ("saved", "exported"):
        (tmp_path / name).mkdir()
    os.rename(tmp_path / "store" / "dump.rdb", tmp_path / "saved" / "dump.rdb")
    assert diskkv("export", tmp_path / "store", tmp_path / "exported" / "dump.rdb").exit_code == 0
    for name in ("saved", "exported"):
        oracle = start("--dir", str(tmp_path / name))
        while b"loading:1" in oracle.run("INFO", "persistence"):
            pass
        assert oracle.run("FCALL", "answer", 0) == 42
        oracle.close()
    # and into another store, by its own FUNCTION LOAD
    result = diskkv("import", tmp_path / "saved" / "dump.rdb", "--into", tmp_path / "other")
    assert result.exit_code == 0 and "1 function libraries" in result.output, result.output
    run = Runner(tmp_path / "other")
    assert run("FCALL", "answer", 0) == 42
    run.close()


@pytest.mark.parametrize("kind", ["set", "hash", "zset"])
def test_members_that_come_twice_are_found(kind: str, tmp_path: Path) -> None:
    """Also when the first is no longer in memory: what is stored is not looked up again, but counted in the end."""
    shape: dict[str, Callable[[int], Any]] = {
        "set": lambda number: f"member {number}",
        "hash": lambda number: [f"field {number}", "value"],
        "zset": lambda number: [f"member {number}", number],
    }
    lines = []
    for part in range(60):
        numbers = range(part * 500, part * 500 + 500)
        line = {"db": 0, "key": "large", "type": kind, "value": [shape[kind](number) for number in numbers], "more": True}
        lines.append(json.dumps(line))
    source = tmp_path / "source.jsonl"
    last = {"db": 0, "key": "large", "type": kind, "value": [shape[kind](29_999 + 1)]}
    source.write_text("\n".join([*lines, json.dumps(last)]))
    result = diskkv("import", source, "--into", tmp_path / "good", "--maxmemory", "2mb")
    assert result.exit_code == 0, result.output
    last["value"] = [shape[kind](7)]
    source.write_text("\n".join([*lines, json.dumps(last)]))
    result = diskkv("import", source, "--into", tmp_path / "bad", "--maxmemory", "2mb")
    assert result.exit_code == 1 and "a member twice" in result.output, result.output
    for name, count in (("good", 1), ("bad", 0)):
        run = Runner(tmp_path / name)
        assert run("DBSIZE") == count
        assert run.findings() == []
        run.close()


def test_fields_that_expire_need_a_newer_version(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    for name, count in (("small", 3), ("large", 700)):
        run("HSET", name, *(word for number in range(count) for word in (f"f{number}", number)))
        run("HPEXPIREAT", name, 2_000_000_000_000, "FIELDS", 2, "f0", "f2")
    run.close()
    out = tmp_path / "out.rdb"
    result = diskkv("export", tmp_path / "store", out)
    assert result.exit_code == 1 and "--rdb-version 12" in result.output and not out.exists()
    assert diskkv("export", tmp_path / "store", out, "--rdb-version", 12).exit_code == 0
    assert diskkv("export", tmp_path / "store", tmp_path / "out.jsonl").exit_code == 0
    for source in (out, tmp_path / "out.jsonl"):
        target = tmp_path / source.suffix
        assert diskkv("import", source, "--into", target).exit_code == 0
        run = Runner(target)
        for name, count in (("small", 3), ("large", 700)):
            assert run("HPEXPIRETIME", name, "FIELDS", 3, "f0", "f1", "f2") == [2_000_000_000_000, -1, 2_000_000_000_000]
            assert run("HLEN", name) == count
        assert run.findings() == []
        run.close()


def test_more_databases(tmp_path: Path) -> None:
    source = tmp_path / "source.jsonl"
    source.write_text('{"db": 40, "key": "a", "type": "string", "value": "1"}')
    result = diskkv("import", source, "--into", tmp_path / "store")
    assert result.exit_code == 1 and "--databases" in result.output
    assert diskkv("import", source, "--into", tmp_path / "store", "--databases", 41).exit_code == 0


def test_large_values_come_in_pieces(tmp_path: Path) -> None:
    """Larger than the budget by far, in each form."""
    run = Runner(tmp_path / "one", maxmemory="4mb")
    for at in range(0, 30_000, 300):
        run("SADD", "set", *(b"member %d" % number for number in range(at, at + 300)))
        run("RPUSH", "list", *range(at, at + 300))
        run("APPEND", "string", random.Random(at).randbytes(60_000))
        run.checkpoint()
    expected = plain(run("LRANGE", "list", 0, -1)), sorted(run("SMEMBERS", "set")), run("GET", "string")
    run.close()
    for form in ("rdb", "jsonl", "aof"):
        assert diskkv("export", tmp_path / "one", tmp_path / f"out.{form}", "--maxmemory", "4mb").exit_code == 0
        result = diskkv("import", tmp_path / f"out.{form}", "--into", tmp_path / form, "--maxmemory", "4mb")
        assert result.exit_code == 0, result.output
        run = Runner(tmp_path / form, maxmemory="4mb")
        assert (plain(run("LRANGE", "list", 0, -1)), sorted(run("SMEMBERS", "set")), run("GET", "string")) == expected
        assert run.findings() == []
        run.close()
