"""HIMPORT, of which the oracle knows nothing: as Redis 8.10 documents it and its own tests have it."""

from __future__ import annotations

from diskkv.errors import CommandError, WrongType
from diskkv.replies import OK
from tests.support.runner import Runner


def refused(reply: object, text: str) -> bool:
    return isinstance(reply, CommandError) and reply.text.startswith(text)


def test_a_fieldset_makes_hashes(run: Runner) -> None:
    assert run("HIMPORT", "PREPARE", "user", "name", "", "age") is OK
    assert run("HIMPORT", "SET", "u:1", "user", "ann", "x", 30) is OK
    assert run("HGETALL", "u:1") == {b"name": b"ann", b"": b"x", b"age": b"30"}
    assert refused(run("HIMPORT", "SET", "u:2", "user", "bob", "y"), "value count does not match")
    assert refused(run("HIMPORT", "SET", "u:2", "none", "bob"), "no such fieldset")
    assert refused(run("HIMPORT", "PREPARE", "twice", "a", "b", "a"), "duplicate field name")
    assert refused(run("HIMPORT", "SET", "u:2", "twice", 1, 2, 3), "no such fieldset")
    assert run("EXISTS", "u:2") == 0


def test_what_a_key_had_is_replaced_if_it_was_a_hash(run: Runner) -> None:
    run("HIMPORT", "PREPARE", "pair", "a", "b")
    run("HSET", "h", "old", 1)
    run("PEXPIRE", "h", 1000)
    run("HIMPORT", "SET", "h", "pair", 1, 2)
    assert run("HGETALL", "h") == {b"a": b"1", b"b": b"2"}
    assert run("TTL", "h") == -1
    run("SET", "s", "text")
    assert isinstance(run("HIMPORT", "SET", "s", "pair", 1, 2), WrongType)
    assert run("GET", "s") == b"text"


def test_it_is_logged_as_what_it_amounts_to(run: Runner) -> None:
    run("HSET", "h", "old", 1)
    run("HIMPORT", "PREPARE", "pair", "a", "b")
    run("HIMPORT", "SET", "h", "pair", 1, 2)
    run("HIMPORT", "PREPARE", "wide", *range(300))
    run("HIMPORT", "SET", "w", "wide", *range(300))
    run.reopen()
    assert run("HGETALL", "h") == {b"a": b"1", b"b": b"2"}
    assert run("HLEN", "w") == 300
    assert refused(run("HIMPORT", "SET", "h", "pair", 1, 2), "no such fieldset")


def test_fieldsets_are_the_connections_own(run: Runner) -> None:
    other = run.executor.open_session()
    run("HIMPORT", "PREPARE", "f", "a")
    assert refused(run("HIMPORT", "SET", "h", "f", 1, session=other), "no such fieldset")
    assert refused(run("EVAL", "return redis.call('HIMPORT', 'SET', 'h', 'f', 1)", 0), "no such fieldset")
    script = "redis.call('HIMPORT', 'PREPARE', 'g', 'a') return redis.call('HIMPORT', 'SET', 'h', 'g', 1)"
    assert run("EVAL", script, 0).text == b"OK"
    assert refused(run("HIMPORT", "SET", "h", "g", 1), "no such fieldset")
    run("SELECT", 1)
    assert run("HIMPORT", "SET", "h", "f", 1) is OK


def test_fieldsets_are_replaced_and_forgotten_and_so_is_what_they_take(run: Runner) -> None:
    run("HIMPORT", "PREPARE", "f", "a", "b")
    taken = run.session.fieldset_size
    run("HIMPORT", "PREPARE", "f", "c", "d")
    assert run.session.fieldset_size == taken > 0
    assert [run("HIMPORT", "DISCARD", name) for name in ("f", "f", "none")] == [1, 0, 0]
    for number in range(3):
        run("HIMPORT", "PREPARE", number, "a")
    assert [run("HIMPORT", "DISCARDALL"), run("HIMPORT", "DISCARDALL")] == [3, 0]
    assert run.session.fieldset_size == 0
    run("HIMPORT", "PREPARE", "f", "a", "b")
    run("RESET")
    assert (run.session.fieldsets, run.session.fieldset_size) == ({}, 0)
