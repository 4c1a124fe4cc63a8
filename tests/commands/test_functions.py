"""FUNCTION and FCALL: replies as Redis', and libraries that outlive the process."""

from __future__ import annotations

import shutil
from pathlib import Path

from diskkv.errors import CommandError
from diskkv.replies import OK
from tests.support.oracle import plain, start
from tests.support.runner import Runner

LIBRARY = """#!lua name=mylib
redis.register_function('put', function(keys, args) return redis.call('set', keys[1], args[1]) end)
redis.register_function{function_name='show', callback=function(keys, args) return {keys, args} end, flags={'no-writes'}, description='d'}
"""


def code(name: str, body: str, engine: str = "lua") -> str:
    return f"#!{engine} name={name}\n{body}"


ONE = "redis.register_function('{}', function() return 1 end)"
COMMANDS: list[list[object]] = [
    ["FUNCTION", "LOAD", LIBRARY], ["FUNCTION", "LOAD", LIBRARY], ["FUNCTION", "LOAD", "REPLACE", LIBRARY],
    ["FCALL", "put", 1, "k", "v"], ["FCALL", "PUT", 1, "k", "v"], ["FCALL_RO", "put", 1, "k", "v"], ["FCALL_RO", "show", 1, "a", "b"],
    ["FCALL", "show", "x"], ["FCALL", "show", -1], ["FCALL", "show", 2, "a"], ["FCALL", "nosuch", 0], ["FUNCTION", "LIST", "WITHCODE"],
    ["FUNCTION", "LIST", "LIBRARYNAME", "MY*"], ["FUNCTION", "LIST", "LIBRARYNAME", "x*"], ["FUNCTION", "LIST", "LIBRARYNAME"],
    ["FUNCTION", "LIST", "nosuch"], ["FUNCTION", "STATS"], ["FUNCTION", "KILL"], ["FUNCTION", "LOAD", "x"], ["FUNCTION", "LOAD", "#!lua\n"],
    ["FUNCTION", "LOAD", "#!lua name=a"], ["FUNCTION", "LOAD", "#!lua name=a\n"], ["FUNCTION", "LOAD", "#!lua x=1\n"],
    ["FUNCTION", "LOAD", "#!lua name=a name=b\n"], ["FUNCTION", "LOAD", code("a-b", "")], ["FUNCTION", "LOAD", code("a", "", "nosuch")],
    ["FUNCTION", "LOAD", code("a", "return if")], ["FUNCTION", "LOAD", code("a", "error('x')")], ["FUNCTION", "LOAD", code("a", "x = 1")],
    ["FUNCTION", "LOAD", code("a", "redis.call('get', 'x')")], ["FUNCTION", "LOAD", code("a", "return string.rep('x', 3)")],
    ["FUNCTION", "LOAD", code("a", ONE.format("put"))], ["FUNCTION", "LOAD", code("a", ONE.format("a-b"))],
    ["FUNCTION", "LOAD", code("a", ONE.format("f") + ONE.format("f"))], ["FUNCTION", "LOAD", code("a", "redis.register_function()")],
    ["FUNCTION", "LOAD", code("a", "redis.register_function(1, 2)")], ["FUNCTION", "LOAD", code("a", "redis.register_function({}, 2)")],
    ["FUNCTION", "LOAD", code("a", "redis.register_function('a')")], ["FUNCTION", "LOAD", code("a", "redis.register_function{}")],
    ["FUNCTION", "LOAD", code("a", "redis.register_function{function_name='f'}")],
    ["FUNCTION", "LOAD", code("a", "redis.register_function{x=1}")],
    ["FUNCTION", "LOAD", code("a", "redis.register_function{flags={'x'}}")],
    ["FUNCTION", "LOAD", "NOSUCH", LIBRARY], ["FUNCTION", "LOAD", code("b", ONE.format("late"))], ["FCALL", "late", 0],
    ["FUNCTION", "LOAD", "REPLACE", code("b", "redis.register_function('late', function() return nosuch end)")], ["FCALL", "late", 0],
    ["FUNCTION", "LOAD", "REPLACE", code("b", "redis.register_function('late', function() redis.register_function('x') end)")],
    ["FCALL", "late", 0], ["EVAL", "return redis.call('fcall', 'late', 0)", 0], ["EVAL", "redis.register_function('x')", 0],
    ["FUNCTION", "DELETE", "nosuch"], ["FUNCTION", "DELETE", "b"], ["FCALL", "late", 0], ["FUNCTION", "RESTORE", "x"],
    ["FUNCTION", "FLUSH", "x"], ["FUNCTION", "FLUSH", "sync"], ["FUNCTION", "LIST"], ["FUNCTION", "DUMP"], ["FUNCTION", "NOSUCH"],
]  # fmt: skip


def comparable(reply: object) -> object:
    """A reply with libraries and functions, which come in any order, in one order."""
    if isinstance(reply, list):
        return sorted(map(comparable, reply), key=repr)
    return reply


def test_functions_answer_as_redis(run: Runner) -> None:
    oracle = start()
    different = []
    try:
        for argv in COMMANDS:
            here, there = comparable(plain(run(*argv))), comparable(oracle.run(*argv))
            if here != there:
                different.append((argv, here, there))
    finally:
        oracle.close()
    assert different == []


def test_dumps_go_both_ways(run: Runner) -> None:
    oracle = start()
    try:
        for execute, other in ((run, oracle.run), (oracle.run, run)):
            execute("FUNCTION", "FLUSH")
            execute("FUNCTION", "LOAD", LIBRARY)
            payload = execute("FUNCTION", "DUMP")
            other("FUNCTION", "FLUSH")
            assert plain(other("FUNCTION", "RESTORE", payload)) == b"OK"
            assert plain(other("FCALL", "show", 1, "a", "b")) == [[b"a"], [b"b"]]
            assert str(plain(other("FUNCTION", "RESTORE", payload))) == "ERR Library mylib already exists"
            assert plain(other("FUNCTION", "RESTORE", payload, "REPLACE")) == b"OK"
            assert plain(other("FUNCTION", "RESTORE", payload, "FLUSH")) == b"OK"
    finally:
        oracle.close()


def test_a_restore_that_fails_changes_nothing(run: Runner) -> None:
    run("FUNCTION", "LOAD", code("one", ONE.format("f")))
    payload = run("FUNCTION", "DUMP")
    run("FUNCTION", "FLUSH")
    run("FUNCTION", "LOAD", code("two", ONE.format("f")))
    assert isinstance(run("FUNCTION", "RESTORE", payload, "REPLACE"), CommandError)
    assert [library[b"library_name"] for library in run("FUNCTION", "LIST")] == [b"two"]
    assert run("FCALL", "f", 0) == 1


def test_libraries_survive(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    run("FUNCTION", "LOAD", LIBRARY)
    # A copy of what lies there now is what kill -9 would leave.
    for number in range(2):
        shutil.copytree(tmp_path / "store", tmp_path / f"copy{number}", ignore=shutil.ignore_patterns("LOCK"))
        copy = Runner(tmp_path / f"copy{number}")
        assert copy("FCALL", "put", 1, "k", "v") == OK
        assert copy.findings() == []
        copy("FUNCTION", "DELETE", "mylib")
        copy.reopen()
        assert copy("FUNCTION", "LIST") == []
        copy.close()
        run.checkpoint()
    run.reopen()
    functions = run("FUNCTION", "LIST")[0][b"functions"]
    assert [function[b"description"] for function in functions] == [None, b"d"]
    run.close()


def test_functions_load_and_run_in_a_transaction(run: Runner) -> None:
    run("MULTI")
    run("FUNCTION", "LOAD", LIBRARY)
    run("FCALL", "put", 1, "k", "v")
    assert run("EXEC") == [b"mylib", OK]
    assert run("GET", "k") == b"v"
