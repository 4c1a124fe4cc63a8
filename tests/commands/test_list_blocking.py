"""BLPOP and its kin: who is served what, in which order, and what the log says of it."""

from __future__ import annotations

from typing import Any

import pytest

from diskkv.dispatch.session import Session
from diskkv.errors import WrongType
from diskkv.replies import NIL_ARRAY, OK, Blocked
from tests.support.runner import Runner


class Client:
    """A client of its own that blocks as a server's would."""

    def __init__(self, run: Runner) -> None:
        self.run = run
        self.session: Session = run.executor.open_session()
        self.replies: list[Any] = []

    def __call__(self, *argv: Any) -> Any:
        reply = self.run(*argv, session=self.session)
        if isinstance(reply, Blocked):
            words = [str(word).encode() for word in argv]
            with self.run.executor.store.lock:
                self.run.executor.waiters.park(self.session, words, reply, self.replies.append)
        return reply


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("BLPOP a l 0", [b"l", b"1"]),
        ("BRPOP a l 0", [b"l", b"3"]),
        ("BLMPOP 0 2 a l LEFT COUNT 2", [b"l", [b"1", b"2"]]),
        ("BLMPOP 0 2 a l RIGHT", [b"l", [b"3"]]),
        ("BLMOVE l d LEFT RIGHT 0", b"1"),
        ("BRPOPLPUSH l d 0", b"3"),
    ],
)
def test_where_there_is_something_nobody_waits(run: Runner, words: str, reply: Any) -> None:
    run("RPUSH", "l", 1, 2, 3)
    assert run(*words.split()) == reply
    left = [run("LRANGE", key, 0, -1) for key in "ld"]
    run.reopen()
    assert [run("LRANGE", key, 0, -1) for key in "ld"] == left


@pytest.mark.parametrize(
    ("words", "keys", "refusal"),
    [
        ("BLPOP a b 1.5", [b"a", b"b"], NIL_ARRAY),
        ("BRPOP a b 1.5", [b"a", b"b"], NIL_ARRAY),
        ("BLMPOP 1.5 2 a b LEFT", [b"a", b"b"], NIL_ARRAY),
        ("BLMOVE a b LEFT RIGHT 1.5", [b"a"], None),
        ("BRPOPLPUSH a b 1.5", [b"a"], None),
    ],
)
def test_blocked_names_keys_deadline_and_the_replies_of_not_waiting(run: Runner, words: str, keys: list[bytes], refusal: Any) -> None:
    blocked = run(*words.split())
    assert list(blocked.keys) == keys
    assert blocked.deadline == run.clock() + 1500
    assert blocked.timeout_reply is NIL_ARRAY
    assert blocked.refusal is refusal
    assert run(*words.replace("1.5", "0").split()).deadline is None
    assert run(*words.replace("1.5", "0.0001").split()).deadline == run.clock() + 1


def test_first_come_first_served(run: Runner) -> None:
    clients = [Client(run) for _ in range(4)]
    for client in clients:
        client("BLPOP", "l", 0)
    run("RPUSH", "l", 1, 2, 3)
    assert [client.replies for client in clients] == [[[b"l", b"1"]], [[b"l", b"2"]], [[b"l", b"3"]], []]
    assert run("EXISTS", "l") == 0
    run("LPUSH", "l", 4, 5)
    assert clients[3].replies == [[b"l", b"5"]]
    assert run("LRANGE", "l", 0, -1) == [b"4"]
    assert run.executor.waiters.count == 0
    run.reopen()
    assert run("LRANGE", "l", 0, -1) == [b"4"]


def test_a_push_replies_the_length_before_anyone_was_served(run: Runner) -> None:
    Client(run)("BRPOP", "l", 0)
    assert run("RPUSH", "l", 1, 2) == 2
    assert run("LRANGE", "l", 0, -1) == [b"1"]


def test_mixed_commands_are_served_in_their_order(run: Runner) -> None:
    mover, popper, many = Client(run), Client(run), Client(run)
    mover("BLMOVE", "l", "other", "RIGHT", "LEFT", 0)
    popper("BLPOP", "other", "l", 0)
    many("BLMPOP", 0, 1, "l", "LEFT", "COUNT", 10)
    run("RPUSH", "l", 1, 2, 3)
    assert mover.replies == [b"3"]
    # The popper's own list is looked at first, and by then the mover has put something there.
    assert popper.replies == [[b"other", b"3"]]
    assert many.replies == [[b"l", [b"1", b"2"]]]
    assert run("EXISTS", "l", "other") == 0


def test_a_chain_of_moves_runs_to_its_end(run: Runner) -> None:
    chain = [Client(run) for _ in range(3)]
    chain[2]("BLMOVE", "c", "d", "LEFT", "LEFT", 0)
    chain[1]("BRPOPLPUSH", "b", "c", 0)
    chain[0]("BLMOVE", "a", "b", "LEFT", "LEFT", 0)
    run("RPUSH", "a", "x")
    assert [client.replies for client in chain] == [[b"x"]] * 3
    assert run("LRANGE", "d", 0, -1) == [b"x"]
    run.reopen()
    assert run("LRANGE", "d", 0, -1) == [b"x"]
    assert run("EXISTS", "a", "b", "c") == 0


def test_a_key_of_another_type_wakes_nobody(run: Runner) -> None:
    client = Client(run)
    client("BLPOP", "l", 0)
    assert run("SET", "l", "string") == OK
    assert client.replies == []
    run("DEL", "l")
    run("LPUSH", "l", "x")
    assert client.replies == [[b"l", b"x"]]


def test_a_move_to_a_key_of_another_type_fails_and_takes_nothing(run: Runner) -> None:
    client = Client(run)
    run("SET", "d", "string")
    client("BLMOVE", "l", "d", "LEFT", "LEFT", 0)
    run("RPUSH", "l", "x")
    assert isinstance(client.replies[0], WrongType)
    assert run("LRANGE", "l", 0, -1) == [b"x"]


def test_who_stops_waiting_is_passed_over(run: Runner) -> None:
    gone, stays = Client(run), Client(run)
    gone("BLPOP", "l", 0)
    stays("BLPOP", "l", 0)
    with run.executor.store.lock:
        run.executor.close_session(gone.session)
    run("RPUSH", "l", "x")
    assert gone.replies == []
    assert stays.replies == [[b"l", b"x"]]


def test_inside_a_transaction_the_waiting_see_its_end_only(run: Runner) -> None:
    client = Client(run)
    client("BLPOP", "l", 0)
    with run.executor.store.lock:
        run.executor.open_atomic()
        run("RPUSH", "l", 1)
        run("LPUSH", "l", 0)
        assert client.replies == []
        run.executor.close_atomic()
    assert client.replies == [[b"l", b"0"]]


def test_an_element_of_a_list_by_itself_moves_without_losing_the_expiry(run: Runner) -> None:
    run("RPUSH", "l", "x")
    db = run.executor.store.databases[0]
    value = db.find(b"l")
    assert value is not None
    db.set_expire(value, run.clock() + 1000)
    assert run("LMOVE", "l", "l", "LEFT", "RIGHT") == b"x"
    found = db.find(b"l")
    assert found is not None and found.expire == run.clock() + 1000


def test_bounds_that_redis_7_0_did_not_yet_keep(run: Runner) -> None:
    run("RPUSH", "l", "x")
    assert str(run("LPOS", "l", "x", "RANK", -(2**63))).startswith("ERR value is out of range, value must between -9223372036854775807")
    for seconds in ("9223372036854775", "1e300", "inf"):
        assert str(run("BLPOP", "none", seconds)) == "ERR timeout is out of range"


def test_who_waits_is_slow_only_when_it_is_over(run: Runner) -> None:
    run("CONFIG", "SET", "slowlog-log-slower-than", 0)
    run("SLOWLOG", "RESET")
    assert isinstance(run("BLPOP", "nothing", 0), Blocked)
    assert not [entry for entry in run("SLOWLOG", "GET", -1) if entry[3][0] == b"BLPOP"]


def test_what_is_stored_in_the_place_of_another_type_wakes_nobody_but_what_is_restored_or_copied_there_does(run: Runner) -> None:
    """As in Redis, whose SORT and set operations replace a value, where RESTORE and COPY delete a key and add one."""
    run("SADD", "set", 15)
    run("RPUSH", "list", "x")
    waiting, restored, copied = Client(run), Client(run), Client(run)
    for key, client in (("a", waiting), ("b", restored), ("c", copied)):
        client("BLPOP", key, 0)
        run("SET", key, "text")
    run("SORT", "set", "STORE", "a")
    assert waiting.replies == []
    assert run("LRANGE", "a", 0, -1) == [b"15"]
    run("RESTORE", "b", 0, run("DUMP", "list"), "REPLACE")
    assert restored.replies == [[b"b", b"x"]]
    run("COPY", "list", "c", "REPLACE")
    assert copied.replies == [[b"c", b"x"]]
    run("RPUSH", "a", 16)
    assert waiting.replies == []
    run("DEL", "a")
    run("SORT", "set", "STORE", "a")
    assert waiting.replies == [[b"a", b"15"]]
