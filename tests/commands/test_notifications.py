"""Keyspace notifications: the settings' letters, and what is told of commands that the comparison with Redis can't reach."""

from __future__ import annotations

from typing import Any

import pytest

from diskkv.dispatch.notices import RULES
from diskkv.dispatch.table import TABLE, Flag
from diskkv.errors import CommandError
from diskkv.replies import Followed, Push
from tests.support.runner import Runner


class Ear:
    """A front that keeps what it is told."""

    def __init__(self, run: Runner, classes: str = "KEA") -> None:
        self.run = run
        self.told: list[Any] = []
        run("CONFIG", "SET", "notify-keyspace-events", classes)
        self.session = run.executor.open_session(self)
        self.session.protocol = 3
        run("PSUBSCRIBE", "__keyevent@*", session=self.session)

    def push(self, reply: Any) -> None:
        self.told.append(reply)

    def close(self) -> None:
        """Nothing to close."""

    def describe(self) -> dict[str, str]:
        return {"addr": "test:1", "laddr": "test:2", "fd": "-1"}

    def heard(self, *argv: Any) -> list[str]:
        """The events of one command, as `event key`, with the database unless it is 0."""
        self.told.clear()
        reply = self.run(*argv)
        assert not isinstance(reply, CommandError), reply
        return [self._shown(push) for push in self.told]

    @staticmethod
    def _shown(push: Any) -> str:
        assert isinstance(push, Push)
        _, _, channel, key = push.items
        number, event = channel.decode().removeprefix("__keyevent@").split("__:")
        return f"{event} {key.decode()}" + (f" in {number}" if number != "0" else "")


def test_every_command_that_writes_has_a_rule(run: Runner) -> None:
    run("PING")
    commands = [one for command in set(TABLE.values()) for one in (command, *command.subcommands.values())]
    assert [one.name for one in commands if one.flags & Flag.WRITE and one.name not in RULES] == []


@pytest.mark.parametrize(
    ("given", "shown"),
    [("", ""), ("KEA", "AKE"), ("g$lshzxetda", "A"), ("g$lshzxetd", "g$lshzxetd"), ("KEnm$", "$nKEm"), ("AKEmn", "AKEm"), ("KEKE", "KE")],
)
def test_the_letters_in_canonical_form(run: Runner, given: str, shown: str) -> None:
    run("CONFIG", "SET", "notify-keyspace-events", given)
    assert run("CONFIG", "GET", "notify-keyspace-events") == {b"notify-keyspace-events": shown.encode()}


def test_a_letter_that_is_none(run: Runner) -> None:
    reply = run("CONFIG", "SET", "notify-keyspace-events", "KEQ")
    assert reply.text.endswith("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")


def test_a_key_that_is_not_in_memory_is_not_new(run: Runner) -> None:
    run("SET", "there", 1)
    run.evict()
    ear = Ear(run, "KEAn")
    assert ear.heard("SET", "there", 2) == ["set there"]
    assert ear.heard("SET", "another", 2) == ["new another", "set another"]


def test_nothing_is_in_the_way_while_nobody_listens(run: Runner) -> None:
    executor = run.executor
    assert executor.call == executor.call_unobserved
    assert executor.store.listener is None
    run("CONFIG", "SET", "notify-keyspace-events", "KE")
    assert executor.call == executor.call_unobserved
    run("CONFIG", "SET", "notify-keyspace-events", "Kx")
    assert executor.call != executor.call_unobserved
    assert executor.store.databases[3].heeded
    run("CONFIG", "SET", "notify-keyspace-events", "")
    assert executor.call == executor.call_unobserved
    assert not executor.store.databases[3].heeded


def test_only_the_classes_asked_for(run: Runner) -> None:
    ear = Ear(run, "Eln")
    assert ear.heard("SET", "a", 1) == ["new a"]
    assert ear.heard("RPUSH", "l", 1) == ["new l", "rpush l"]
    assert ear.heard("DEL", "l") == []


def test_expiry_is_told_when_it_is_found(run: Runner) -> None:
    ear = Ear(run, "KEAm")
    run("SET", "a", 1, "PX", 100)
    run.clock.advance(200)
    assert ear.heard("GET", "a") == ["expired a", "keymiss a"]


def test_expiry_is_told_by_the_keeper(run: Runner) -> None:
    ear = Ear(run)
    run("SET", "a", 1, "PX", 100)
    run.clock.advance(200)
    store = run.executor.store
    with store.lock:
        ear.told.clear()
        store.tick()
        store.expiry.due(store.now, 10)
        assert [ear._shown(push) for push in ear.told] == ["expired a"]


def test_streams_and_their_groups(run: Runner) -> None:
    ear = Ear(run)
    assert ear.heard("XGROUP", "CREATE", "x", "g", "$", "MKSTREAM") == ["xgroup-create x"]
    assert ear.heard("XADD", "x", "1-1", "f", "v") == ["xadd x"]
    assert ear.heard("XADD", "x", "MAXLEN", 1, "2-1", "f", "v") == ["xadd x", "xtrim x"]
    assert ear.heard("XREADGROUP", "GROUP", "g", "me", "STREAMS", "x", ">") == ["xgroup-createconsumer x"]
    assert ear.heard("XREADGROUP", "GROUP", "g", "me", "STREAMS", "x", "0") == []
    assert ear.heard("XACK", "x", "g", "2-1") == []
    assert ear.heard("XGROUP", "CREATECONSUMER", "x", "g", "you") == ["xgroup-createconsumer x"]
    assert ear.heard("XGROUP", "DELCONSUMER", "x", "g", "you") == ["xgroup-delconsumer x"]
    assert ear.heard("XGROUP", "SETID", "x", "g", "0") == ["xgroup-setid x"]
    assert ear.heard("XAUTOCLAIM", "x", "g", "she", 0, "0") == ["xgroup-createconsumer x"]
    assert ear.heard("XSETID", "x", "9-9") == ["xsetid x"]
    assert ear.heard("XGROUP", "DESTROY", "x", "g") == ["xgroup-destroy x"]
    assert ear.heard("XDEL", "x", "2-1") == ["xdel x"]


def test_fields_that_expire(run: Runner) -> None:
    ear = Ear(run)
    run("HSET", "h", "a", 1, "b", 2)
    assert ear.heard("HPEXPIRE", "h", 100, "FIELDS", 1, "a") == ["hexpire h"]
    assert ear.heard("HPERSIST", "h", "FIELDS", 1, "a") == ["hpersist h"]
    run("HPEXPIRE", "h", 100, "FIELDS", 1, "a")
    run.clock.advance(200)
    assert ear.heard("HGET", "h", "a") == ["hexpired h"]
    run("HPEXPIRE", "h", 100, "FIELDS", 1, "b")
    run.clock.advance(200)
    assert ear.heard("HSET", "h", "c", 1) == ["hexpired h", "del h", "hset h"]
    assert ear.heard("HEXPIREAT", "h", 1, "FIELDS", 1, "c") == ["hdel h", "del h"]


def test_commands_in_a_transaction_and_of_those_who_wait(run: Runner) -> None:
    ear = Ear(run)
    waiting = run.executor.open_session()
    argv = [b"BLMOVE", b"l", b"m", b"LEFT", b"RIGHT", b"0"]
    run.executor.waiters.park(waiting, argv, run(*argv, session=waiting), lambda reply: None)
    run("MULTI")
    run("RPUSH", "l", 1)
    run("SET", "a", 1, "EX", 10)
    assert ear.heard("EXEC") == ["rpush l", "set a", "expire a", "rpush m", "lpop l", "del l"]


def test_ones_own_events_come_behind_the_reply(run: Runner) -> None:
    ear = Ear(run, "EA")
    reply = run("SET", "a", 1, session=ear.session)
    assert isinstance(reply, Followed)
    assert [ear._shown(push) for push in reply.pushes] == ["set a"]
    assert ear.told == []


def test_replay_tells_nothing_and_settings_last(run: Runner) -> None:
    ear = Ear(run)
    run("SET", "a", 1)
    run.reopen()
    assert len(ear.told) == 1
    # The setting is the process's: the same settings open the store again, and listen again.
    assert run.executor.store.listener is not None
