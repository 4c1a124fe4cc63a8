"""EVAL, EVALSHA, SCRIPT: replies as Redis', effects in the log, and a cage that holds."""

from __future__ import annotations

import pytest

from diskkv.errors import CommandError
from diskkv.replies import OK
from tests.support.oracle import plain, start
from tests.support.runner import Runner

SCRIPTS = [
    "return 1", "return 3.99", "return -3.99", "return 1/0", "return '3.3'", "return true", "return false", "return nil", "return",
    "return {1,2,nil,4}", "return {ok='x y'}", "return {err='My Err'}", "return {err='E'}", "return {1,{2,'x'},{}}",
    "return redis.error_reply('My Err')", "return redis.error_reply('-My Err')", "return redis.error_reply('E')",
    "return redis.status_reply('fine')", "return redis.error_reply(1)", "return nosuch", "x=1", "_G.x=1", "string.x=1", "redis.call=1",
    "return redis.call('nosuch')", "return redis.pcall('nosuch')", "return redis.call('get')", "return redis.pcall('get')",
    "return redis.call('lpush',KEYS[1],'1')", "return redis.pcall('lpush',KEYS[1],'1')", "return redis.call('multi')",
    "error('boom')", "error({err='My boom'})", "return if", "local a=nil; return a.b", "\n\nlocal a=nil\nreturn a.b",
    "return redis.sha1hex()", "return redis.sha1hex(1)", "return {pcall(function() error('x') end)}", "return redis.setresp(4)",
    "return redis.setresp()", "return redis.log(1)", "return redis.set_repl(9)", "return redis.replicate_commands()",
    "return redis.call('set','a',1.5)", "return redis.call('get','a')", "return redis.call('echo',3)",
    "return redis.call('echo',1e20)", "return redis.call()", "return redis.call({})", "return redis.call('get',true)",
    "return {KEYS[1],ARGV[1],ARGV[2]}", "return redis.call('eval','x',0)", "KEYS[1]='x' return KEYS",
    "local function f() return f()+1 end return f()", "error('x',0)", "return string.rep('x',-1)",
    "return cjson.encode({1,2,{a='x/\\n'}})", "return cjson.encode({})", "return cjson.decode('[1,[2,\"x\\\\u00e9\"],null,true]')",
    "return cjson.encode({[1]=1,[3]=3})", "return cjson.encode({cjson.null,1.5,true})", "return cjson.decode('{\"a\":[{\"b\":7}]}').a[1].b",
    "return cjson.decode('\\0')", "return cjson.decode('1\\0')", "return cjson.decode('')",
    "return cjson.decode('12\\0x')", "return cjson.decode('[12,\\0]')", "return cjson.decode('\"ab\\0c\"')",
    "return cjson.decode('  \\0  ')", "return cjson.decode('[1,2\\0')",
    *(f"return cjson.decode('{number}')" for number in ("+inf", "+Infinity", "inf", "-inf", "+1", "+0x10", "-0x10", "+", "+i", "+nan")),
    "return {bit.band(0xff,0x0f),bit.bor(1,2),bit.bxor(5,3),bit.bnot(0),bit.lshift(1,31),bit.rshift(-1,28),bit.arshift(-16,2)}",
    "return {bit.rol(0x12345678,12),bit.ror(0x12345678,12),bit.bswap(0x12345678),bit.tobit(0xffffffff),bit.tohex(255),bit.tohex(255,-4)}",
    "return redis.call('hgetall','h')", "redis.setresp(3) return redis.call('hgetall','h').map.f", "return redis.call('select',3)",
    "return redis.call('zscore','z','m')",  "return redis.call('lrange','l',0,-1)",
    "return #KEYS+#ARGV", "redis.call('config','get','x')", "return type(redis.call('get','nokey'))",
]  # fmt: skip

# Each must fail, or come back with nothing but false.
ESCAPES = [
    "return python", "return python.eval", "return io", "return debug", "return package", "return require", "return dofile",
    "return loadfile", "return module", "return newproxy", "return print", "return os.exit()", "return os.getenv('x')",
    "return string.dump(redis.call)", "return loadstring(string.dump(function() end))()",
    "getmetatable('').__index = {}", "getmetatable(redis).__index = {}", "rawset(_G, 'x', 1)",
    "rawset(redis, 'x', 1)", "table.insert(string, 1)", "table.remove(string)", "table.sort(redis)", "setmetatable(_G, {})",
    "setmetatable(redis, nil)", "\x1bLua\x51\x00", "assert(loadstring('\\27Lua'))()",
    "return redis.call.__class__", "return cjson.null.__class__", "return _G._G._G.python", "host(0)", "redis.x = 1", "cjson.encode = 1",
    "return rawget(_G, 'debug').x", "return rawget(redis, 'host').x", "return unpack({}, 1, 1e8)",
    "return unpack({}, -2147483648, 2147483647)", "return unpack({}, -2, 2147483647)", "return unpack({}, 2147483648, 2147483647)",
    "return unpack({}, 0/0)",
    "math.x = 1", "local f = redis.call f.x = 1", "setfenv(redis.call, {})", "setfenv(0, {})", "setfenv(2, {})", "setfenv(3, {})",
    "return getfenv(redis.call).python", "return getfenv(0).io", "return getfenv(2).io", "return getfenv(print).io", "KEYS = 1",
    "getfenv(1).x = 1", "next(_G)()", "return coroutine.wrap(function() return debug end)()", "table.foreach(_G, function(k, v) k.x() end)",
]  # fmt: skip


def text(reply: object) -> str:
    assert isinstance(reply, CommandError), reply
    return reply.line().decode()


def test_scripts_answer_as_redis(run: Runner) -> None:
    oracle = start()
    different = []
    try:
        for argv in (["HSET", "h", "f", "v"], ["ZADD", "z", "1.5", "m"], ["RPUSH", "l", "a", "b"], ["SET", "s", "x"]):
            run(*argv)
            oracle.run(*argv)
        for script in SCRIPTS:
            here, there = plain(run("EVAL", script, 1, "s", "v", "w")), oracle.run("EVAL", script, 1, "s", "v", "w")
            if here != there:
                different.append((script, here, there))
    finally:
        oracle.close()
    assert different == []


def test_misuse_answers_as_redis(run: Runner) -> None:
    write = "return redis.call('set','a',1)"
    oracle = start()
    try:
        for argv in (
            ["EVAL", "return 1", "x"], ["EVAL", "return 1", "-1"], ["EVAL", "return 1", "1"], ["EVALSHA", "x", 0], ["EVALSHA", "a" * 40, 0],
            ["EVAL_RO", write, 0], ["EVAL_RO", "return redis.pcall('set','a',1)", 0], ["SCRIPT", "LOAD", "return if"],
            ["SCRIPT", "LOAD", "return 1"], ["EVALSHA", "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB", 0], ["EVALSHA_RO", "x", 0],
            ["SCRIPT", "EXISTS", "x", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"], ["SCRIPT", "FLUSH", "X"],
            ["SCRIPT", "FLUSH", "async"], ["SCRIPT", "EXISTS", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"], ["SCRIPT", "KILL"], ["SCRIPT"],
        ):  # fmt: skip
            assert plain(run(*argv)) == oracle.run(*argv), argv
    finally:
        oracle.close()


@pytest.mark.parametrize("script", ESCAPES)
def test_nothing_leaves_the_cage(run: Runner, script: str) -> None:
    assert "process died" not in text(run("EVAL", script, 0))
    assert run("EVAL", "return ('x'):rep(2) .. redis.sha1hex('') .. tostring(rawget(_G, 'x'))", 0).startswith(b"xxda39a3ee")


def test_nothing_is_left_for_the_next_script(run: Runner) -> None:
    run("EVAL", "KEYS.x = 1 ARGV.y = 2 redis.setresp(3)", 0)
    found = run("EVAL", "return {tostring(KEYS.x), tostring(ARGV.y), tostring(redis.call('get', 'no'))}", 0)
    assert plain(found) == [b"nil", b"nil", b"false"]


def test_what_was_done_survives_a_restart(run: Runner) -> None:
    run("EVAL", "redis.call('set', 'a', 1) redis.call('select', 2) redis.call('set', 'b', 2) error('x')", 0)
    run("MULTI")
    run("EVAL", "redis.call('incr', 'a') return redis.call('sadd', 's', 1, 2)", 0)
    run("INCR", "a")
    assert run("EXEC") == [2, 3]
    run("EVAL", "redis.call('spop', 's')", 0)
    left = run("SMEMBERS", "s")
    run.reopen()
    assert run("GET", "a") == b"3"
    assert run("SMEMBERS", "s") == left
    assert run("EXISTS", "b") == 0
    run("SELECT", 2)
    assert run("GET", "b") == b"2"


def test_a_script_touches_what_is_watched(run: Runner) -> None:
    run("WATCH", "k")
    run("EVAL", "redis.call('set', 'k', 1)", 0, session=run.executor.open_session())
    run("MULTI")
    run("PING")
    assert run("EXEC") not in ([OK], [b"PONG"])
    assert run("GET", "k") == b"1"
