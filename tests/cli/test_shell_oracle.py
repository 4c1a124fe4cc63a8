"""What our shell prints is what redis-cli prints, byte for byte."""

from __future__ import annotations

import json
import re

import pytest

from diskkv.cli.shell_docs import docs_of
from diskkv.cli.shell_links import TcpPlace
from diskkv.cli.shell_session import Login, Session
from tests.cli.conftest import Oracle, Outcome

STYLES = [
    [],
    ["--no-raw"],
    ["--no-raw", "-3"],
    ["--raw", "-3"],
    ["--csv"],
    ["--csv", "-3"],
    ["--json"],
    ["--json", "-2"],
    ["--quoted-json"],
    ["-d", ", ", "-D", "#\n"],
]

DATA = rb"""
SET s "a\x00b\n\"q\" \\ caf\xc3\xa9 \x7f\x1b\b\a\f\v"
SET n 12
SET empty ""
GET s
GET n
GET empty
GET none
TYPE s
STRLEN s
INCRBYFLOAT f 3.25
APPEND n x
MGET s none n
MGET none none
RPUSH l a b c d e f g h i "j k" l
LRANGE l 0 -1
LRANGE l 50 60
LPOP l 2
LPOP none
LPOP none 2
LPOS l zzz
HSET h f1 v1 f2 "v\x01"
HGETALL h
HGETALL none
HRANDFIELD none 2 WITHVALUES
HMGET h f1 none
SADD one m
SMEMBERS one
SMEMBERS none
SISMEMBER one m
ZADD z 1 a 2.5 b inf c -inf d 1e20 e 0.1 g
ZRANGE z 0 -1 WITHSCORES
ZRANGE z 0 -1
ZSCORE z b
ZSCORE z c
ZMSCORE z a none d
ZPOPMIN z 2
ZADD z INCR 1 zz
ZRANGEBYSCORE z 9999 10000
XADD x 1-1 f v g w
XADD x 1-2 f v2
XRANGE x - +
XREAD COUNT 1 STREAMS x 0
XREAD STREAMS x 99
XINFO STREAM x
XINFO STREAM x FULL
XGROUP CREATE x grp 0
XREADGROUP GROUP grp me STREAMS x >
XPENDING x grp
XINFO GROUPS x
GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEOPOS geo Palermo none
GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST
EXISTS s l none
EXPIRE s 0
OBJECT ENCODING l
OBJECT NOPE
CONFIG GET maxmemory
CONFIG GET nosuch
COMMAND INFO get nosuch
COMMAND DOCS set
COMMAND COUNT
COMMAND GETKEYS SET a b
SCAN 0 COUNT 100 MATCH zz*
EVAL "return {1,'two',{3,{}},false,{ok='fine'},{err='My Error'}}" 0
EVAL "return redis.status_reply('STAT')" 0
EVAL "redis.setresp(3); return {double=3.5}" 0
EVAL "redis.setresp(3); return redis.call('HGETALL','h')" 0
INCR h
NOSUCH a b
GET
MULTI
SET tx 1
GET tx
INCR h
EXEC
MULTI
GET
EXEC
EXEC
MULTI
DISCARD
WATCH w
SET w 1
MULTI
GET w
EXEC
SELECT 3
SET in3 1
DBSIZE
SELECT 0
SELECT 99
DEBUG PROTOCOL string
DEBUG PROTOCOL integer
DEBUG PROTOCOL double
DEBUG PROTOCOL null
DEBUG PROTOCOL array
DEBUG PROTOCOL set
DEBUG PROTOCOL map
DEBUG PROTOCOL push
DEBUG PROTOCOL verbatim
DEBUG PROTOCOL true
DEBUG PROTOCOL false
CLIENT LIST ID 123456
CLIENT NO-EVICT on
MEMORY DOCTOR
LATENCY DOCTOR
CLUSTER INFO
LATENCY HISTOGRAM nosuch
ACL WHOAMI
ACL GETUSER default
FUNCTION STATS
MODULE LIST
SLOWLOG RESET
PING
PING "two words"
ECHO "\x00\xff"
"""

SCRIPTS = {
    "data": DATA,
    "quotes": b"""
set a "b\\x00c\\n"
get a
  get   a\t
"unbalanced
'ok it''s
set 'x y' 'it\\'s'
get "x y"
get "x"y
get x"y
set x"y" 1
get xy
set '' ""
get ""
echo "\\q\\xZZ\\x4"
echo '\\x41\\n'
# comment
""",
    "repeat": b"3 incr num\n5x incr num\n3\n  2 incr num\n",
    "no newline at the end": b"set t 1\nget t",
    "carriage returns": b"set t 1\r\nget t\r\n",
    "quit": b"get a\nQUIT\nget a\n",
    "exit": b"get a\nExit\nget a\n",
    "refused login": b"auth x y\nget a\n",
    "slow": b"blpop nothing 0.01\n",
    "reset": b"multi\nreset\nget a\nhello 3\nhgetall none\nreset\nhgetall none\n",
}


def both(oracle: Oracle, args: list[str], stdin: bytes = b"", env: dict[str, str] | None = None) -> tuple[Outcome, Outcome]:
    oracle.reset()
    theirs = oracle.theirs(args, stdin=stdin, env=env)
    oracle.reset()
    return oracle.ours(args, stdin=stdin, env=env), theirs


def lines(outcome: Outcome) -> list[bytes]:
    """Output without what differs between two connections, and without the quotes that `test_quoted_json_can_be_parsed` is about."""
    text = re.sub(rb"(\bid\b\"?\W+(\(integer\) )?)\d+", rb"\1N", outcome.stdout)
    return text.replace(b'\\\\\\"', b'\\\\"').split(b"\n")


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("style", STYLES, ids=" ".join)
def test_script_on_stdin(oracle: Oracle, style: list[str], name: str) -> None:
    ours, theirs = both(oracle, style, SCRIPTS[name])
    assert lines(ours) == lines(theirs)
    assert ours.code == theirs.code
    assert not ours.stderr


def test_quoted_json_can_be_parsed(oracle: Oracle) -> None:
    """Here we differ: redis-cli escapes the backslash before a quote and not the quote itself, which no JSON parser accepts."""
    ours, theirs = both(oracle, ["--quoted-json", "ECHO", 'a"b\\ \n'])
    assert json.loads(ours.stdout) == r'a\"b\\ \n'
    assert ours.stdout.replace(b'\\\\\\"', b'\\\\"') == theirs.stdout


ONE_SHOTS = [
    ["SET", "k", "v"],
    ["GET", "none"],
    ["--no-raw", "GET", "none"],
    ["INCR", "k", "x"],
    ["-e", "INCR", "k", "x"],
    ["-e", "--no-raw", "GET", "k"],
    ["-r", "3", "INCR", "n"],
    ["-r", "3", "-i", "0.01", "INCR", "n"],
    ["-r", "0", "INCR", "n"],
    ["-n", "3", "SET", "k", "v"],
    ["-n", "99", "PING"],
    ["--no-auth-warning", "-a", "wrong", "PING"],
    ["--no-auth-warning", "--user", "who", "-a", "wrong", "PING"],
    ["-x", "SET", "k"],
    ["-x", "--no-raw", "ECHO"],
    ["QUIT"],
    ["exit"],
    ["3", "INCR", "n"],
    ["ECHO", "-e"],
    ["ECHO", ""],
    ["SUBSCRIBE"],
    ["--show-pushes", "no", "-3", "DEBUG", "PROTOCOL", "push"],
    ["--show-pushes", "yes", "-3", "DEBUG", "PROTOCOL", "push"],
    ["--show-pushes", "yes", "-3", "--no-raw", "DEBUG", "PROTOCOL", "push"],
]


@pytest.mark.parametrize("args", ONE_SHOTS, ids=" ".join)
def test_one_shot(oracle: Oracle, args: list[str]) -> None:
    ours, theirs = both(oracle, args, b"from\nstdin\x00")
    assert ours == theirs


def test_the_password_comes_from_the_environment(oracle: Oracle) -> None:
    ours, theirs = both(oracle, ["PING"], env={"REDISCLI_AUTH": "wrong"})
    assert ours == theirs
    assert b"AUTH failed" in ours.stderr


def test_nobody_there(oracle: Oracle, deaf_port: int) -> None:
    for args in (["-p", str(deaf_port), "PING"], ["-s", "/nonexistent", "PING"]):
        ours, theirs = both(oracle, args)
        assert (ours.code, ours.stdout) == (theirs.code, theirs.stdout) == (1, b"")
        assert ours.stderr


def test_a_unix_socket(oracle: Oracle) -> None:
    ours, theirs = both(oracle, ["-s", str(oracle.unix), "CLIENT", "GETNAME"])
    assert ours == theirs


def test_a_script_goes_on_after_an_error_and_says_so_at_the_end_if_asked(oracle: Oracle) -> None:
    """redis-cli takes -e for single commands only; here a script's exit code tells too."""
    ours, theirs = both(oracle, ["-e"], b"NOSUCH\nPING\n")
    assert ours.stdout == theirs.stdout
    assert (ours.code, theirs.code) == (1, 0)


def test_connecting_elsewhere_in_a_script(oracle: Oracle, deaf_port: int) -> None:
    script = f"set a 1\nconnect 127.0.0.1 {deaf_port}\nget a\nconnect 127.0.0.1 {oracle.port}\nget a\n".encode()
    ours, theirs = both(oracle, [], script)
    assert ours.stdout == theirs.stdout == b"OK\n1\n"
    assert ours.stderr.count(b"Could not connect") == 2


@pytest.mark.parametrize("style", [[], ["--no-raw"], ["--csv"], ["--json"], ["-3"], ["-3", "--no-raw"]], ids=" ".join)
def test_listening(oracle: Oracle, style: list[str]) -> None:
    """Both shells subscribe, get one message, and lose the link."""
    with oracle.listen(style) as (ours, theirs):
        assert oracle.command(b"PUBLISH ch hello").startswith(b":2")
        oracle.command(b"CLIENT KILL TYPE pubsub")
        assert ours.communicate(timeout=20)[0] == theirs.communicate(timeout=20)[0]
        assert ours.returncode == theirs.returncode == 1


def test_help_has_the_usage_that_redis_cli_shows(oracle: Oracle) -> None:
    session = Session(TcpPlace("127.0.0.1", oracle.port), Login(), on_push=lambda _: None, on_refusal=lambda _: None)
    docs = {doc.name: doc for doc in docs_of(session.call([b"COMMAND", b"DOCS"]))}
    session.close()
    for group in {doc.group for doc in docs.values()}:
        shown = oracle.theirs(["help", f"@{group}"]).stdout.decode()
        for name, usage in re.findall(r"\x1b\[1m(.*?)\x1b\[0m \x1b\[90m(.*?)\x1b\[0m", shown):
            assert re.sub(r"[<>\s]", "", docs[name].usage) == re.sub(r"[<>\s]", "", usage)


def test_help_on_a_command(oracle: Oracle) -> None:
    assert oracle.ours(["help", "incr"]).stdout.decode().split("\n") == [
        "",
        "  INCR key",
        "  summary: Increment the integer value of a key by one",
        "  since: 1.0.0",
        "  group: string",
        "",
        "",
    ]
    assert oracle.ours(["help", "@nosuch"]).stdout == b"There is no help on '@nosuch'.\n"
    assert b"@string" in oracle.ours(["help"]).stdout
    assert b"CONFIG RESETSTAT" in oracle.ours(["help", "config", "r"]).stdout


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["-2", "-3", "PING"], b"exclude each other"),
        (["--user", "me", "PING"], b"needs a password"),
        (["-x"], b"needs a command"),
        (["-r", "x", "PING"], b"not a valid integer"),
        (["PING", "-n", "2"], b""),
    ],
)
def test_usage_errors(oracle: Oracle, args: list[str], complaint: bytes) -> None:
    ours = oracle.ours(args)
    assert complaint in ours.stderr
    assert ours.code == (2 if complaint else 0)
