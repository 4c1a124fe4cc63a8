"""Client tracking: who is told of which keys, when, and how much is remembered."""

from __future__ import annotations

from typing import Any

import pytest

from diskkv.dispatch.session import Session
from diskkv.errors import CommandError
from diskkv.replies import OK, Followed, Push
from tests.support.runner import Runner


class Client:
    """A session whose front keeps what it is told."""

    def __init__(self, run: Runner, protocol: int = 3) -> None:
        self.run = run
        self.told: list[Any] = []
        self.session: Session = run.executor.open_session(self)
        self.session.protocol = protocol

    def __call__(self, *argv: Any) -> Any:
        """The reply; what is told behind it counts as told."""
        reply = self.run(*argv, session=self.session)
        if isinstance(reply, Followed):
            self.told.extend(reply.pushes)
            reply = reply.reply
        return reply

    def push(self, reply: Any) -> None:
        self.told.append(reply)

    def close(self) -> None:
        """Nothing to close."""

    def describe(self) -> dict[str, str]:
        return {"addr": "test:1", "laddr": "test:2", "fd": "-1"}

    def heard(self) -> list[Any]:
        """The keys of the invalidations since the last time; None for all keys."""
        told, self.told[:] = list(self.told), []
        assert all(isinstance(push, Push) and push.items[0] == b"invalidate" for push in told), told
        return [push.items[1] for push in told]


def test_a_key_that_was_read_is_told_once(run: Runner) -> None:
    client = Client(run)
    client("CLIENT", "TRACKING", "ON")
    run("SET", "a", 1)
    assert client("GET", "a") == b"1"
    run("SET", "a", 2)
    run("SET", "a", 3)
    run("SET", "b", 3)
    assert client.heard() == [[b"a"]]


def test_nothing_is_heeded_while_nobody_tracks(run: Runner) -> None:
    client = Client(run)
    db = run.executor.store.databases[0]
    assert not db.heeded
    client("CLIENT", "TRACKING", "ON")
    assert db.heeded
    assert not run.session.gated
    client("GET", "a")
    client("CLIENT", "TRACKING", "OFF")
    assert not db.heeded
    assert run.executor.observers.tracking.readers == {}
    assert run.executor.call == run.executor.call_unobserved


def test_ones_own_changes_are_told_behind_the_reply_unless_noloop(run: Runner) -> None:
    client = Client(run)
    client("CLIENT", "TRACKING", "ON")
    client("GET", "a")
    reply = run("SET", "a", 1, session=client.session)
    assert isinstance(reply, Followed)
    assert reply.pushes == [Push((b"invalidate", [b"a"]))]
    client("MULTI")
    client("GET", "a")
    client("SET", "a", 2)
    reply = run("EXEC", session=client.session)
    assert isinstance(reply, Followed)
    assert len(reply.pushes) == 1
    client("CLIENT", "TRACKING", "ON", "NOLOOP")
    client("GET", "a")
    client("SET", "a", 1)
    assert client.heard() == []


def test_optin_and_optout(run: Runner) -> None:
    client = Client(run)
    client("CLIENT", "TRACKING", "ON", "OPTIN")
    client("GET", "a")
    client("CLIENT", "CACHING", "YES")
    client("GET", "b")
    client("GET", "c")
    run("MSET", "a", 1, "b", 1, "c", 1)
    assert client.heard() == [[b"b"]]
    client("CLIENT", "TRACKING", "OFF")
    client("CLIENT", "TRACKING", "ON", "OPTOUT")
    client("CLIENT", "CACHING", "NO")
    client("GET", "a")
    client("GET", "b")
    run("MSET", "a", 1, "b", 1)
    assert client.heard() == [[b"b"]]


def test_broadcasts_by_prefix_once_a_tick(run: Runner) -> None:
    client, all_of_it = Client(run), Client(run)
    client("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "user:", "PREFIX", "x")
    all_of_it("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP")
    run.batch([("SET", "user:2", 1), ("SET", "user:1", 1), ("SET", "y", 1), ("SET", "user:2", 2)])
    assert client.heard() == [[b"user:1", b"user:2"]]
    assert all_of_it.heard() == [[b"user:1", b"user:2", b"y"]]
    all_of_it("SET", "xx", 1)
    assert client.heard() == [[b"xx"]]
    assert all_of_it.heard() == []


def test_resp2_through_another_client(run: Runner) -> None:
    client, ear = Client(run, 2), Client(run, 2)
    ear("SUBSCRIBE", "__redis__:invalidate")
    client("CLIENT", "TRACKING", "ON", "REDIRECT", ear.session.id)
    assert client("CLIENT", "GETREDIR") == ear.session.id
    client("GET", "a")
    run("SET", "a", 1)
    run("FLUSHALL")
    assert [push.items for push in ear.told] == [
        (b"message", b"__redis__:invalidate", [b"a"]),
        (b"message", b"__redis__:invalidate", None),
    ]


def test_a_broken_redirection(run: Runner) -> None:
    client, ear = Client(run), Client(run)
    client("CLIENT", "TRACKING", "ON", "REDIRECT", ear.session.id)
    client("GET", "a")
    run.executor.close_session(ear.session)
    run("SET", "a", 1)
    assert client.told == [Push((b"tracking-redir-broken", ear.session.id))]
    assert list(client("CLIENT", "TRACKINGINFO")[b"flags"]) == [b"on", b"broken_redirect"]


def test_flushes_and_expiry(run: Runner) -> None:
    client = Client(run)
    client("CLIENT", "TRACKING", "ON")
    run("SET", "a", 1, "PX", 100)
    client("GET", "a")
    run.clock.advance(200)
    run("GET", "a")
    run("FLUSHDB")
    assert client.heard() == [[b"a"], None]


def test_the_table_is_bounded(run: Runner) -> None:
    run("CONFIG", "SET", "tracking-table-max-keys", 10)
    client = Client(run)
    client("CLIENT", "TRACKING", "ON")
    for number in range(25):
        client("GET", f"k{number}")
    assert client.heard() == [[b"k%d" % number] for number in range(15)]
    assert run.executor.observers.tracking.statistics()["tracking_total_keys"] == 10
    run("CONFIG", "SET", "tracking-table-max-keys", 9)
    assert client.heard() == [[b"k15"]]


def test_a_waiting_client_is_told_behind_its_reply(run: Runner) -> None:
    client = Client(run)
    client("CLIENT", "TRACKING", "ON")
    client("LRANGE", "m", 0, -1)
    argv = [b"BLMOVE", b"l", b"m", b"LEFT", b"LEFT", b"0"]
    run.executor.waiters.park(client.session, argv, client(*argv), client.push)
    run("RPUSH", "l", "foo")
    assert client.told == [b"foo", Push((b"invalidate", [b"m"]))]


def test_scripts_track_what_they_read(run: Runner) -> None:
    client = Client(run)
    client("CLIENT", "TRACKING", "ON")
    client("EVAL_RO", "return redis.call('get', KEYS[2])", 2, "a", "b")
    run("MSET", "a", 1, "b", 1)
    assert client.heard() == [[b"b"]]


def test_reset_ends_it(run: Runner) -> None:
    client = Client(run)
    client("CLIENT", "TRACKING", "ON", "BCAST")
    client("RESET")
    assert client("CLIENT", "GETREDIR") == -1
    assert run.executor.observers.tracking.prefixes == {}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("ON PREFIX a", "PREFIX option requires BCAST mode to be enabled"),
        ("ON BCAST OPTIN", "OPTIN and OPTOUT are not compatible with BCAST"),
        ("ON OPTIN OPTOUT", "You can't specify both OPTIN mode and OPTOUT mode"),
        ("ON REDIRECT 4711", "The client ID you want redirect to does not exist"),
        ("MAYBE", "syntax error"),
        ("ON REDIRECT", "syntax error"),
        (
            "ON BCAST PREFIX a PREFIX ab",
            "Prefix 'a' overlaps with another provided prefix 'ab'. Prefixes for a single client must not overlap.",
        ),
    ],
)
def test_what_is_refused(run: Runner, words: str, text: str) -> None:
    reply = run("CLIENT", "TRACKING", *words.split())
    assert isinstance(reply, CommandError)
    assert reply.text == text


class Counted(bytes):
    """A prefix that knows how often prefixes like it were compared."""

    compared = 0

    def startswith(self, *words: Any) -> bool:
        Counted.compared += 1
        return bytes.startswith(self, *words)


def test_overlaps_are_found_without_comparing_each_with_each(run: Runner) -> None:
    prefixes = [word for number in range(2000) for word in (b"PREFIX", Counted(b"%dx" % number))]
    assert run("CLIENT", "TRACKING", "ON", "BCAST", *prefixes) is OK
    assert Counted.compared < 20_000
    for words, text in (
        (["b", "17xy", "5x"], "Prefix '17xy' overlaps with an existing prefix '17x'"),
        (["a", "b", "c", "ab", "abc", "bb"], "Prefix 'a' overlaps with another provided prefix 'ab'"),
        (["b", "ac", "abc", "a"], "Prefix 'ac' overlaps with another provided prefix 'a'"),
        (["b", "b"], "Prefix 'b' overlaps with another provided prefix 'b'"),
    ):
        reply = run("CLIENT", "TRACKING", "ON", "BCAST", *(part for word in words for part in ("PREFIX", word)))
        assert isinstance(reply, CommandError)
        assert reply.text == f"{text}. Prefixes for a single client must not overlap."
