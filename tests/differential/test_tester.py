"""The differential tester itself: that it draws every command, reads every kind of reply, and finds what differs."""

from __future__ import annotations

import csv
import socket
from pathlib import Path

import pytest

from . import deviations, steps
from .compare import Judge
from .grammar import BadTable, compile_form
from .hazards import hazardous, without_wait
from .servers import ROOT
from .shrink import _fewer_steps
from .tables import DEFAULT_GROUPS, TABLES
from .wire import Connection, Lost, Reply, parse_address, show
from .words import Source

ORACLE = (7, 0, 15)
GROUPS = ("string", "hash", "list", "set", "sorted_set", "bitmap", "hyperloglog", "geo", "generic", "transactions")
LEFT_OUT = {"PFSELFTEST", "DUMP", "RESTORE", "MIGRATE", "WAIT", "WAITAOF"}


def test_every_command_of_the_groups_is_drawn() -> None:
    drawn = {line.split()[1] for text in TABLES.values() for line in text.strip().splitlines()}
    wanted: set[str] = set()
    with (ROOT / "data" / "redis-commands.tsv").open() as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            since = tuple(map(int, row["since"].split(".")))
            if row["group"] in GROUPS and since <= ORACLE:
                wanted.add(row["name"].split()[0])
    assert wanted - LEFT_OUT - drawn == set()


def test_a_seed_gives_the_same_steps_each_time() -> None:
    assert steps.chapter(5, 1, 300, DEFAULT_GROUPS) == steps.chapter(5, 1, 300, DEFAULT_GROUPS)
    assert steps.chapter(5, 1, 300, DEFAULT_GROUPS) != steps.chapter(5, 2, 300, DEFAULT_GROUPS)


def test_steps_survive_their_file(tmp_path: Path) -> None:
    written = steps.chapter(6, 0, 200, DEFAULT_GROUPS)
    steps.save(tmp_path / "steps.jsonl", written)
    assert steps.load(tmp_path / "steps.jsonl") == written


def test_no_step_is_hazardous() -> None:
    assert not any(hazardous(list(step.argv)) for step in steps.chapter(7, 0, 3000, DEFAULT_GROUPS) if step.argv)
    assert hazardous([b"SRANDMEMBER", b"k", b"-4611686018427387904"])
    assert hazardous([b"SET", b"k", b"v", b"ex", b"1"])
    assert without_wait((b"BLPOP", b"k", b"0")) == (b"BLPOP", b"k", b"0.002")
    assert without_wait((b"BLPOP", b"k", b"-1")) == (b"BLPOP", b"k", b"-1")


@pytest.mark.parametrize("form", ["GET <nosuchword>", "GET (<str>", "GET <str>)"])
def test_a_bad_form_is_refused(form: str) -> None:
    with pytest.raises(BadTable):
        compile_form(form)


def test_forms_draw_what_they_say() -> None:
    source, out = Source("x"), []  # type: tuple[Source, list[bytes]]
    compile_form("LMOVE a b (LEFT | RIGHT) c")(source, out)
    assert [word.upper() for word in out][:3] == [b"LMOVE", b"A", b"B"]
    assert out[3].upper() in (b"LEFT", b"RIGHT")


def served(raw: bytes) -> Connection:
    """A connection on which a server has already said `raw` and hung up."""
    listener = socket.create_server(("127.0.0.1", 0))
    connection = Connection(listener.getsockname()[:2])
    accepted, _ = listener.accept()
    accepted.sendall(raw)
    accepted.close()
    listener.close()
    return connection


@pytest.mark.parametrize(
    ("raw", "reply", "text"),
    [
        (b"+OK\r\n", ("+", b"OK"), "+OK"),
        (b"-ERR no\r\n", ("-", b"ERR no"), "-ERR no"),
        (b":-3\r\n", (":", -3), ":-3"),
        (b"$3\r\na\r\n\r\n", ("$", b"a\r\n"), '$"a\\r\\n"'),
        (b"$-1\r\n", ("$", None), "$nil"),
        (b"*-1\r\n", ("*", None), "*nil"),
        (b"_\r\n", ("_", None), "_nil"),
        (b"*2\r\n:1\r\n*0\r\n", ("*", [(":", 1), ("*", [])]), "*[:1, *[]]"),
        (b"%1\r\n+a\r\n:1\r\n", ("%", [(("+", b"a"), (":", 1))]), "%{+a: :1}"),
        (b"~1\r\n$1\r\na\r\n", ("~", [("$", b"a")]), '~[$"a"]'),
        (b",1.5\r\n", (",", b"1.5"), ",1.5"),
        (b"#t\r\n", ("#", True), "#True"),
        (b"=5\r\ntxt:a\r\n", ("=", b"txt:a"), '="txt:a"'),
    ],
)
def test_every_kind_of_reply_is_told_apart(raw: bytes, reply: Reply, text: str) -> None:
    connection = served(raw)
    assert connection.read() == reply
    assert show(reply) == text
    with pytest.raises(Lost):
        connection.read()
    connection.close()


def test_addresses() -> None:
    assert parse_address("localhost:7000") == ("localhost", 7000)
    assert parse_address("7000") == ("127.0.0.1", 7000)
    assert parse_address("/tmp/a.sock") == "/tmp/a.sock"


def bulks(*words: bytes, kind: str = "*") -> Reply:
    return kind, [("$", word) for word in words]


@pytest.mark.parametrize(
    ("command", "left", "right", "equal"),
    [
        ("GET k", ("$", b"a"), ("+", b"a"), False),
        ("GET k", ("$", None), ("*", None), False),
        ("SMEMBERS k", bulks(b"a", b"b"), bulks(b"b", b"a"), True),
        ("SMEMBERS k", bulks(b"a", b"b"), bulks(b"b", b"b"), False),
        ("SMEMBERS k", bulks(b"a", kind="~"), bulks(b"a"), False),
        ("LRANGE k 0 -1", bulks(b"a", b"b"), bulks(b"b", b"a"), False),
        ("HGETALL k", bulks(b"a", b"1", b"b", b"2"), bulks(b"b", b"2", b"a", b"1"), True),
        ("HGETALL k", bulks(b"a", b"1", b"b", b"2"), bulks(b"b", b"1", b"a", b"2"), False),
        ("TTL k", (":", 5000), (":", 5001), True),
        ("TTL k", (":", 5000), (":", -1), False),
        ("PEXPIRETIME k", (":", 2_200_000_000_000), (":", 2_200_000_000_001), False),
        ("SPOP k", ("$", b"a"), ("$", None), False),
        ("SRANDMEMBER k 2", bulks(b"a", b"b"), bulks(b"a"), False),
        ("OBJECT ENCODING k", ("$", b"raw"), ("$", b"int"), False),
        ("GET k", ("-", b"ERR a"), ("-", b"ERR b"), False),
    ],
)
def test_the_judge(command: str, left: Reply, right: Reply, equal: bool) -> None:
    assert Judge().equal(tuple(command.encode().split()), left, right) is equal


def test_the_judge_knows_what_a_draw_may_hold() -> None:
    whole = bulks(b"a", b"b")
    argv = (b"SRANDMEMBER", b"k", b"2")
    assert Judge().equal(argv, bulks(b"a", b"b"), bulks(b"b", b"a"), (whole, whole))
    assert not Judge().equal(argv, bulks(b"a", b"a"), bulks(b"b", b"a"), (whole, whole))
    assert not Judge().equal(argv, bulks(b"a", b"c"), bulks(b"b", b"a"), (whole, whole))
    assert Judge().equal((*argv[:2], b"-2"), bulks(b"a", b"a"), bulks(b"b", b"a"), (whole, whole))


def test_deviations_cover_only_what_they_say(tmp_path: Path) -> None:
    file = tmp_path / "deviations.tsv"
    header = "# why\nid\tcommand\tcondition\tdiskkv\tredis\treason\n"
    file.write_text(header + 'x\tZSCORE\t@same-numbers\t*\t*\tdigits\ny\tGET\t k$\t\\$"a"\t\\$nil\twhy\n')
    listed = deviations.load(file)
    assert listed.cover((b"zscore", b"k", b"m"), ("$", b"0.1"), ("$", b"0.10000000000000001"))
    assert not listed.cover((b"ZSCORE", b"k", b"m"), ("$", b"0.1"), ("$", b"0.2"))
    assert listed.cover((b"GET", b"k"), ("$", b"a"), ("$", None))
    assert not listed.cover((b"GET", b"other"), ("$", b"a"), ("$", None))
    assert listed.met == {"x": 1, "y": 1}
    file.write_text("x\tGET\n")
    with pytest.raises(deviations.BadDeviation):
        deviations.load(file)


def test_the_listed_deviations_can_be_read() -> None:
    assert len({deviation.id for deviation in deviations.load().listed}) == len(deviations.load().listed)


def test_shrinking_keeps_what_is_needed() -> None:
    all_steps = [steps.Step(0, steps.PLAIN, (b"%d" % number,)) for number in range(100)]
    needed = {all_steps[3], all_steps[50], all_steps[99]}
    assert set(_fewer_steps(all_steps, lambda tried: needed <= set(tried), 1e12)) == needed
