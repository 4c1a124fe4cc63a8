from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.cli.shell_complete import completions, hint
from diskkv.cli.shell_docs import CommandDoc, Docs
from diskkv.cli.shell_hints import parse, remaining, show
from diskkv.cli.shell_replies import Kind, Reply

USAGES = {
    "APPEND": "key value",
    "BLPOP": "key [key ...] timeout",
    "CONFIG": "",
    "CONFIG GET": "parameter [parameter ...]",
    "CONFIG SET": "parameter value [parameter value ...]",
    "DBSIZE": "",
    "HSET": "key field value [field value ...]",
    "LINSERT": "key <BEFORE | AFTER> pivot element",
    "MIGRATE": 'host port <key | ""> db timeout [COPY] [[AUTH password] | [AUTH2 username password]] [KEYS key [key ...]]',
    "PING": "[message]",
    "SET": "key value [NX|XX] [GET] [EX seconds|PX milliseconds|KEEPTTL]",
    "SORT": "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]",
    "XADD": "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]",
    "ZADD": "key [NX | XX] [INCR] score member [score member ...]",
}


def docs() -> Docs:
    """Documents as a server of ours would give them: with usage lines."""

    def text(value: str) -> Reply:
        return Reply(Kind.BULK, value.encode())

    def about(name: str) -> list[Reply]:
        inner = [other for other in USAGES if other.startswith(f"{name} ")]
        below = [part for other in inner for part in (text(other.replace(" ", "|").lower()), about_map(other))]
        extra = [text("subcommands"), Reply(Kind.MAP, items=below)] if below else []
        return [text("usage"), text(USAGES[name]), text("group"), text("string"), *extra]

    def about_map(name: str) -> Reply:
        return Reply(Kind.MAP, items=about(name))

    top = [part for name in USAGES if " " not in name for part in (text(name.lower()), about_map(name))]
    return Docs(lambda argv: Reply(Kind.MAP, items=top) if argv == [b"COMMAND", b"DOCS"] else None, lambda: 0)


@pytest.mark.parametrize(
    ("line", "grey"),
    [
        ("", ""),
        ("app", ""),
        ("append", " key value"),
        ("append ", "key value"),
        ("Append k", " value"),
        ("append k v", ""),
        ("append k v more", ""),
        ("nosuch ", ""),
        ("3 append ", "key value"),
        ("3", ""),
        ("config get", " parameter [parameter ...]"),
        ("config get a", " [parameter ...]"),
        ("config set a", " value [parameter value ...]"),
        ("config set a 1 b", " value [parameter value ...]"),
        ("ping ", "[message]"),
        ("ping a", ""),
        ('append "two words" ', "value"),
        ('append "open ', ""),
        ("blpop a b ", "[key ...] timeout"),
        ("hset h f", " value [field value ...]"),
        ("linsert l ", "<BEFORE | AFTER> pivot element"),
        ("linsert l after ", "pivot element"),
        ("linsert l behind ", ""),
        ("set k v ", "[NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]"),
        ("set k v get ", "[NX | XX] [EX seconds | PX milliseconds | KEEPTTL]"),
        ("set k v ex ", "seconds [NX | XX] [GET]"),
        ("set k v ex 10 nx ", "[GET]"),
        ("set k v ex 10 nx get", ""),
        ("set k v bogus ", ""),
        ("sort k limit 0 ", "count [BY pattern] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]"),
        ("sort k get a ", "[GET pattern ...] [BY pattern] [LIMIT offset count] [ASC | DESC] [ALPHA]"),
        ("sort k get a get b desc ", "[BY pattern] [LIMIT offset count] [ALPHA]"),
        ("zadd z ", "[NX | XX] [INCR] score member [score member ...]"),
        ("zadd z nx 1 ", "member [score member ...]"),
        ("zadd z 1 m ", "[score member ...]"),
        ("xadd s maxlen ~ 10 ", "[LIMIT count] [NOMKSTREAM] <* | id> field value [field value ...]"),
        ("xadd s * ", "field value [field value ...]"),
        ("xadd s 1-1 f ", "value [field value ...]"),
        ("migrate h 1 k 0 10 auth ", "password [COPY] [KEYS key [key ...]]"),
        ("help", " [command | @group]"),
        ("connect h", " port"),
    ],
)
def test_hint(line: str, grey: str) -> None:
    assert hint(line, docs()) == grey


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("app", ["append"]),
        ("APP", ["APPEND"]),
        ("con", ["config", "connect"]),
        ("config ", ["get", "set"]),
        ("CONFIG ", ["GET", "SET"]),
        ("CONFIG s", ["set"]),
        ("set k v ", ["nx", "xx", "get", "ex", "px", "keepttl"]),
        ("SET k v E", ["EX"]),
        ("set k v ex ", []),
        ("2 set k v k", ["keepttl"]),
        ("linsert l ", ["before", "after"]),
        ("xadd s max", ["maxlen"]),
        ("help app", ["append"]),
        ("help @", ["@string"]),
        ("help config g", ["get"]),
        (":s", [":set"]),
        (":set n", ["nohints"]),
        ('get "open', []),
        ("nosuch ", []),
    ],
)
def test_completions(line: str, words: list[str]) -> None:
    assert completions(line, docs())[0] == words


@pytest.mark.parametrize("usage", USAGES.values())
def test_a_parsed_usage_shows_as_it_was(usage: str) -> None:
    assert show(parse(usage)).replace(" ", "") == usage.replace(" ", "")


@given(st.text(alphabet="ab AB[]<>|.", max_size=40), st.lists(st.sampled_from(["a", "AB", "b", "1"])))
def test_no_usage_line_is_an_error(usage: str, words: list[str]) -> None:
    remaining(parse(usage), words)


def test_without_documents_there_are_no_hints_but_the_shells_own_words() -> None:
    nothing = Docs(lambda argv: None, lambda: 0)
    assert hint("get ", nothing) == ""
    assert completions("qu", nothing) == (["quit"], "qu")


def test_documents_are_asked_for_once_a_login() -> None:
    asked: list[int] = []
    logins = 1

    def ask(argv: object) -> Reply:
        asked.append(logins)
        return Reply(Kind.MAP, items=[Reply(Kind.BULK, b"get"), Reply(Kind.MAP)])

    some = Docs(ask, lambda: logins)
    assert list(some.all()) == list(some.all()) == ["GET"]
    logins = 2
    assert some.all()["GET"] == CommandDoc("GET", "", "", "", "")
    assert asked == [1, 2]
