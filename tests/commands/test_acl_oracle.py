"""Rules and key specs against Redis: random users, random commands with keys in every place, the same decision."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from diskkv.dispatch.categories import CATEGORIES
from diskkv.dispatch.table import TABLE, Command, container
from tests.support.oracle import Error, Oracle, plain, start
from tests.support.runner import Runner

# Of 7.2, where it is another than the 7.0 oracle's.
OTHER_CATEGORIES = {"wait": "blocking"}
# The 7.0 oracle has no arrays.
KNOWN = [category for category in CATEGORIES if category != "array"]
KEYS = ("a", "b", "ab", "k1", "secret", "x:1")
WORDS = (
    "1", "2", "0", "3", "-1", "GET", "SET", "STORE", "STOREDIST", "BY", "LIMIT", "STREAMS", "COUNT", "BLOCK", "GROUP", "NOACK", "KEYS",
    "u8", "INCRBY", "OVERFLOW", "m", "NX", "EX", "WITHSCORES", "ALPHA", "nosort", "0-0", "$", ">", "get",
)  # fmt: skip
RULES = (
    "allkeys", "resetkeys", "allchannels", "resetchannels", "allcommands", "nocommands", "on", ">pw", "<pw", "reset", "clearselectors",
    "foo", "+get|a", "(+get",
)  # fmt: skip
PATTERNS = ("a*", "k?", "*", "secret", "[ab]", "x:*", "b")


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    oracle = start()
    yield oracle
    oracle.close()


def common(oracle: Oracle) -> list[Command]:
    """The commands that both have, with the same arity."""
    there = {}
    for entry in oracle.run("COMMAND"):
        there |= {one[0].decode(): one[1] for one in (entry, *entry[9])}
    found = []
    for name, command in TABLE.items():
        if name == command.name.encode():
            both = [one for one in (command, *command.subcommands.values()) if one.handler is not container]
            found += [one for one in both if there.get(one.name) == one.arity]
    return found


def without_notes(spec: list[Any]) -> list[Any]:
    fields = dict(zip(spec[::2], spec[1::2], strict=True))
    return [sorted(fields[b"flags"]), fields[b"begin_search"], fields[b"find_keys"]]


def test_every_key_spec_and_category_is_that_of_redis(run: Runner, oracle: Oracle) -> None:
    commands = common(oracle)
    assert len(commands) > 200
    for command in commands:
        ours, theirs = plain(run("COMMAND", "INFO", command.name))[0], oracle.run("COMMAND", "INFO", command.name)[0]
        assert [without_notes(spec) for spec in ours[8]] == [without_notes(spec) for spec in theirs[8]], command.name
        if command.name not in OTHER_CATEGORIES:
            assert set(ours[6]) == set(theirs[6]), command.name
    names = {command.name.encode() for command in commands}
    for category in KNOWN:
        if category not in OTHER_CATEGORIES.values():
            assert {*run("ACL", "CAT", category)} & names == {*oracle.run("ACL", "CAT", category)} & names, category


def rule(rng: random.Random, names: list[str]) -> str:
    dice = rng.random()
    if dice < 0.3:
        return rng.choice("+-") + rng.choice(names)
    if dice < 0.5:
        return rng.choice("+-") + "@" + rng.choice([*KNOWN, "all", "all", "none"])
    if dice < 0.75:
        return rng.choice(("~", "%R~", "%W~", "%RW~")) + rng.choice(PATTERNS)
    if dice < 0.82:
        return "&" + rng.choice(PATTERNS)
    if dice < 0.88:
        return "(" + " ".join(rule(rng, names) for _ in range(rng.randrange(4))) + ")"
    return rng.choice(RULES)


def words(rng: random.Random, command: Command) -> list[str]:
    name = command.name.split("|")
    more = 0 if command.high == command.low else rng.choice((0, 0, 1, 2, 3, 4, 5))
    return name + [rng.choice(KEYS if rng.random() < 0.6 else WORDS) for _ in range(command.low - len(name) + more)]


def test_the_same_users_may_do_the_same(run: Runner, oracle: Oracle) -> None:
    rng = random.Random(7)
    # Redis' own reading of these is wrong in ways that only errors show; and WAIT blocks in later versions.
    commands = [command for command in common(oracle) if command.name not in ("xreadgroup", "command", "pfmerge", "georadius", "wait")]
    names = [command.name for command in commands]
    refused = allowed = 0
    for name in ("u0", "u1", "u2"):
        run("ACL", "SETUSER", name)
        oracle.run("ACL", "SETUSER", name)
    for _ in range(4000):
        user = rng.choice(("u0", "u1", "u2"))
        if rng.random() < 0.15:
            argv = ["ACL", "SETUSER", user, *(rule(rng, names) for _ in range(rng.randrange(1, 5)))]
        elif rng.random() < 0.15:
            argv = ["COMMAND", rng.choice(("GETKEYS", "GETKEYSANDFLAGS")), *words(rng, rng.choice(commands))]
        else:
            argv = ["ACL", "DRYRUN", user, *words(rng, rng.choice(commands))]
        if len(argv) < 4:
            # For the 7.0 oracle COMMAND GETKEYS needs an argument of the command as well.
            continue
        ours, theirs = plain(run(*argv)), oracle.run(*argv)
        if isinstance(theirs, bytes):
            # 7.2 names the user, 7.0 does not.
            theirs = theirs.replace(b"This user has", b"User %b has" % user.encode())
        if argv[0] == "ACL" and argv[1] == "DRYRUN":
            allowed += ours == b"OK"
            refused += isinstance(ours, bytes) and ours != b"OK"
        assert ours == theirs, argv
    assert allowed > 300
    assert refused > 300


def test_the_categories_in_order(run: Runner, oracle: Oracle) -> None:
    assert run("ACL", "CAT") == [*oracle.run("ACL", "CAT"), b"array"]


def test_errors_of_rules_and_of_acl(run: Runner, oracle: Oracle) -> None:
    for argv in (
        ["ACL"], ["ACL", "FOO"], ["ACL", "CAT", "foo"], ["ACL", "CAT", "a", "b"], ["ACL", "LOG", "a", "b"],
        ["ACL", "LOG", "x"],
        ["ACL", "GENPASS", "x"], ["ACL", "GENPASS", "0"], ["ACL", "GENPASS", "1", "2"], ["ACL", "GETUSER", "nobody"], ["ACL", "SETUSER"],
        ["ACL", "WHOAMI"], ["ACL", "WHOAMI", "x"], ["ACL", "SAVE"], ["ACL", "LOAD"], ["ACL", "DELUSER", "default"], ["ACL", "DELUSER", "x"],
        ["ACL", "SETUSER", "u", "%R"], ["ACL", "SETUSER", "u", "~*", "~a"], ["ACL", "SETUSER", "u", "&*", "&a"],
        ["ACL", "SETUSER", "u", "("],
        ["ACL", "SETUSER", "u v"], ["ACL", "SETUSER", "u", "+debug|a", "+config|a"], ["ACL", "SETUSER", "u", ""], ["AUTH", "a", "b", "c"],
        ["AUTH", "x"], ["AUTH", "nobody", "x"], ["CLIENT", "KILL", "USER", "nobody"], ["ACL", "DRYRUN", "nobody", "get", "a"],
    ):  # fmt: skip
        ours, theirs = plain(run(*argv)), oracle.run(*argv)
        assert ours == theirs or (isinstance(theirs, Error) and str(ours) == str(theirs)), argv
