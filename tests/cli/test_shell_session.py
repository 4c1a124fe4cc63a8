"""What a session remembers, and what it says again on a new link."""

from __future__ import annotations

import pytest

from diskkv.cli.shell_replies import Kind, LinkClosed, LinkError, Reply
from diskkv.cli.shell_session import Login, Session, ask_aside
from tests.cli.loopback import Loopback

OK = b"+OK\r\n"
ANSWERS = {
    b"SELECT 2": OK,
    b"AUTH pw": OK,
    b"AUTH me pw": OK,
    b"HELLO 3": b"%0\r\n",
    b"HELLO 3 AUTH me pw": b"%0\r\n",
    b"MULTI": OK,
    b"EXEC": b"*0\r\n",
    b"DISCARD": OK,
    b"RESET": b"+RESET\r\n",
    b"BYE": b"",
    b"PING": b"+PONG\r\n",
    b"GET k": b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n$1\r\nv\r\n",
}


def session(place: Loopback, login: Login | None = None) -> tuple[Session, list[Reply], list[str]]:
    pushes: list[Reply] = []
    refusals: list[str] = []
    return Session(place, login or Login(), on_push=pushes.append, on_refusal=refusals.append), pushes, refusals


def say(subject: Session, *lines: str) -> None:
    for line in lines:
        subject.call(line.encode().split())


def test_logging_in() -> None:
    place = Loopback(ANSWERS)
    subject, _, refusals = session(place, Login(password=b"pw", user=b"me", database=2, protocol=3))
    say(subject, "PING")
    assert place.heard == [b"(open)", b"AUTH me pw", b"SELECT 2", b"HELLO 3", b"PING"]
    assert not refusals


def test_refusals_are_reported_and_not_fatal() -> None:
    subject, _, refusals = session(Loopback({}), Login(password=b"no", database=7, protocol=3))
    subject.connect()
    assert refusals == ["AUTH failed: ERR unknown", "SELECT 7 failed: ERR unknown", "HELLO 3 failed: ERR unknown"]
    assert subject.connected


def test_a_new_link_gets_the_old_state() -> None:
    place = Loopback(ANSWERS)
    subject, _, _ = session(place)
    say(subject, "AUTH pw", "SELECT 2", "HELLO 3")
    place.heard.clear()
    subject.connect()
    assert place.heard == [b"(open)", b"AUTH pw", b"SELECT 2", b"HELLO 3"]


def test_hello_with_a_login_is_remembered_and_reset_forgets_all() -> None:
    subject, _, _ = session(Loopback(ANSWERS))
    say(subject, "HELLO 3 AUTH me pw")
    assert subject.login == Login(password=b"pw", user=b"me", protocol=3)
    say(subject, "MULTI", "RESET")
    assert subject.login == Login()
    assert not subject.in_multi


@pytest.mark.parametrize(
    ("last", "reply", "database", "in_multi"),
    [
        ("EXEC", b"*0\r\n", 2, False),
        ("EXEC", b"*-1\r\n", 0, False),
        ("EXEC", b"-EXECABORT x\r\n", 0, False),
        ("DISCARD", OK, 0, False),
        ("DISCARD", b"-ERR\r\n", 2, True),
    ],
)
def test_a_select_in_a_transaction_counts_if_it_ran(last: str, reply: bytes, database: int, in_multi: bool) -> None:
    subject, _, _ = session(Loopback({**ANSWERS, b"SELECT 2": b"+QUEUED\r\n", last.encode(): reply}))
    say(subject, "MULTI", "SELECT 2")
    assert (subject.login.database, subject.in_multi) == (2, True)
    say(subject, last)
    assert (subject.login.database, subject.in_multi) == (database, in_multi)


def test_a_lost_link_ends_the_transaction_and_the_next_command_connects() -> None:
    place = Loopback(ANSWERS)
    subject, _, _ = session(place)
    say(subject, "MULTI")
    with pytest.raises(LinkClosed):
        say(subject, "BYE")
    assert not subject.connected
    assert not subject.in_multi
    say(subject, "PING")
    assert subject.connected
    place.reachable = False
    subject.drop()
    with pytest.raises(LinkError, match="nobody there"):
        say(subject, "PING")


def test_pushes_between_replies_are_handed_on() -> None:
    subject, pushes, _ = session(Loopback(ANSWERS))
    assert subject.call([b"GET", b"k"]) == Reply(Kind.BULK, b"v")
    assert [push.kind for push in pushes] == [Kind.PUSH]


def test_asking_aside_leaves_the_session_alone() -> None:
    place = Loopback(ANSWERS)
    subject, _, _ = session(place, Login(password=b"pw", database=2))
    say(subject, "MULTI")
    place.heard.clear()
    assert ask_aside(subject, [b"PING"]) == Reply(Kind.SIMPLE, b"PONG")
    assert place.heard == [b"(open)", b"AUTH pw", b"PING"]
    assert subject.in_multi
    assert ask_aside(subject, [b"BYE"]) is None


def test_moving_closes_the_place_left() -> None:
    here, there = Loopback(ANSWERS), Loopback(ANSWERS)
    subject, _, _ = session(here)
    say(subject, "PING")
    subject.move(there)
    assert here.closed
    say(subject, "PING")
    subject.close()
    assert there.closed
