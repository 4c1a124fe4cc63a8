"""Users: rules and how they are printed, who gets in, what is refused, and what becomes of clients when rights change."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from diskkv.app import open_executor
from diskkv.conffile import read_file
from diskkv.config import Settings
from diskkv.dispatch.session import NoFront, Session
from diskkv.dispatch.table import TABLE, Command, Flag, container
from diskkv.errors import CommandError, SettingError
from diskkv.replies import OK, QUEUED, Blocked
from tests.support.oracle import plain
from tests.support.runner import Runner

NEW = "off sanitize-payload resetchannels -@all"
UNKNOWN = "Unknown command or category name in ACL"


class Ear(NoFront):
    """A front that remembers what it was told."""

    def __init__(self) -> None:
        self.closed = 0
        self.pushed: list[Any] = []

    def close(self) -> None:
        self.closed += 1

    def push(self, reply: Any) -> None:
        self.pushed.append(reply)


def client(run: Runner, name: str = "ada", password: str = "pw") -> tuple[Session, Ear]:
    """A client that has logged in."""
    ear = Ear()
    session = run.executor.open_session(ear)
    assert run("AUTH", name, password, session=session) == OK
    return session, ear


def text(reply: Any) -> str:
    assert isinstance(reply, CommandError), reply
    return reply.line().decode()


def entry(run: Runner, at: int = 0) -> dict[str, Any]:
    log = run("ACL", "LOG")
    return {name.decode(): value for name, value in log[at].items()}


def described(run: Runner, name: str = "ada") -> str:
    lines = [line.decode() for line in run("ACL", "LIST")]
    return next(line for line in lines if line.startswith(f"user {name} ")).partition(f"user {name} ")[2]


@pytest.mark.parametrize(
    ("rules", "printed"),
    [
        ("", "off sanitize-payload resetchannels -@all"),
        ("on nopass ~* &* +@all", "on nopass sanitize-payload ~* &* +@all"),
        ("+@all -@string +incr -debug +debug|digest", "off sanitize-payload resetchannels +@all -@string +incr -debug +debug|digest"),
        ("+get +GET -set +set", "off sanitize-payload resetchannels -@all +get +set"),
        ("+config|get +config", "off sanitize-payload resetchannels -@all +config"),
        ("+@all -config|set -config", "off sanitize-payload resetchannels +@all -config"),
        ("+@hash -hget +@all +client|id", "off sanitize-payload resetchannels +@all +client|id"),
        ("%R~a %W~a %RW~b ~c %r~d", "off sanitize-payload ~a ~b ~c %R~d resetchannels -@all"),
        ("&a &b &a skip-sanitize-payload", "off skip-sanitize-payload resetchannels &a &b -@all"),
        ("+select|0 +SELECT|1", "off sanitize-payload resetchannels -@all +select|0 +select|1"),
        ("(+get ~a) ( +set &c )", f"{NEW} (~a resetchannels -@all +get) (resetchannels &c -@all +set)"),
        ("(+get) clearselectors +cluster|slots", "off sanitize-payload resetchannels -@all +cluster|slots"),
        ("on >a ~* +@all (+get) reset", "off sanitize-payload resetchannels -@all"),
    ],
)
def test_rules_are_printed_as_redis_prints_them(run: Runner, rules: str, printed: str) -> None:
    assert run("ACL", "SETUSER", "ada", *rules.split(" ")) == OK
    assert described(run) == printed
    # What is printed makes the same user again.
    assert run("ACL", "SETUSER", "ada", "reset", *printed.split(" ")) == OK
    assert described(run) == printed


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("foo", "Syntax error"), ("+nonesuch", UNKNOWN), ("+@nonesuch", UNKNOWN), ("+config|nonesuch", UNKNOWN), ("+get|a|b", UNKNOWN),
        ("-get|a", UNKNOWN), ("+config|get|a", "Allowing first-arg of a subcommand is not supported"),
        ("+get|", "Syntax error"), ("~a b", "Syntax error"), ("%X~a", "Syntax error"), ("%RR~a", "Syntax error"), ("%~a", "Syntax error"),
        ("#zz", "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"),
        ("<none", "The password you are trying to remove from the user does not exist"), ("(+nonesuch)", UNKNOWN),
    ],
)  # fmt: skip
def test_a_wrong_rule_changes_nothing(run: Runner, rule: str, reason: str) -> None:
    run("ACL", "SETUSER", "ada", "on", "+get")
    before = described(run)
    assert text(run("ACL", "SETUSER", "ada", "+set", rule)) == f"ERR Error in ACL SETUSER modifier '{rule}': {reason}"
    assert described(run) == before
    assert text(run("ACL", "SETUSER", "eve", "+set", rule)) == f"ERR Error in ACL SETUSER modifier '{rule}': {reason}"
    assert run("ACL", "GETUSER", "eve") is None


def test_getuser(run: Runner) -> None:
    run("ACL", "SETUSER", "ada", "on", ">pw", "~a", "&c", "+get", "(%R~b -@all +set)")
    assert plain(run("ACL", "GETUSER", "ada")) == [
        b"flags", [b"on", b"sanitize-payload"], b"passwords", [b"30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4"],
        b"commands", b"-@all +get", b"keys", b"~a", b"channels", b"&c",
        b"selectors", [[b"commands", b"-@all +set", b"keys", b"%R~b", b"channels", b""]],
    ]  # fmt: skip


def everything() -> Iterator[Command]:
    for name, command in TABLE.items():
        if name == command.name.encode():
            yield from (one for one in (command, *command.subcommands.values()) if one.handler is not container)


def smallest(command: Command) -> list[str]:
    words = command.name.split("|")
    return words + ["1"] * (command.low - len(words))


def because(command: Command, error: str) -> str:
    """The error for a command that may not run; EXEC says what comes of it."""
    return f"EXECABORT Transaction discarded because of: {error}" if command.name == "exec" else error


def test_nothing_runs_before_the_password(run: Runner) -> None:
    run("SET", "1", "x")
    run("CONFIG", "SET", "requirepass", "secret")
    stranger = run.executor.open_session(Ear())
    for protocol in (2, 3):
        stranger.protocol = protocol
        for command in everything():
            if not command.flags & Flag.NO_AUTH:
                assert text(run(*smallest(command), session=stranger)) == because(command, "NOAUTH Authentication required.")
    for wrong in (["AUTH", "x"], ["AUTH", "default", "x"], ["HELLO", "3", "AUTH", "default", "x"], ["AUTH", "nobody", "secret"]):
        assert text(run(*wrong, session=stranger)).startswith("WRONGPASS")
    assert text(run("HELLO", "3", session=stranger)).startswith("NOAUTH HELLO must be called")
    run("RESET", session=stranger)
    assert text(run("GET", "1", session=stranger)).startswith("NOAUTH")
    assert run("AUTH", "secret", session=stranger) == OK
    assert run("GET", "1", session=stranger) == b"x"
    assert run("RESET", session=stranger)
    assert text(run("GET", "1", session=stranger)).startswith("NOAUTH")


def test_whoever_may_nothing_runs_nothing(run: Runner) -> None:
    run("ACL", "SETUSER", "ada", "on", ">pw", "~*", "&*")
    session, _ = client(run)
    for command in everything():
        if not command.flags & Flag.NO_AUTH:
            expected = f"NOPERM User ada has no permissions to run the '{command.name}' command"
            assert text(run(*smallest(command), session=session)) == because(command, expected)
            assert run("ACL", "DRYRUN", "ada", *smallest(command)) == expected.partition(" ")[2].encode()


def test_keys_and_channels(run: Runner) -> None:
    run("ACL", "SETUSER", "ada", "on", ">pw", "+@all", "%R~r*", "%W~w*", "~b*", "&c*", "(+get ~other)")
    session, _ = client(run)

    def refused(*argv: str) -> str:
        reply = run(*argv, session=session)
        return text(reply) if isinstance(reply, CommandError) else ""

    key, channel = "NOPERM No permissions to access a key", "NOPERM No permissions to access a channel"
    for argv in (["GET", "r"], ["SET", "w", "1"], ["COPY", "r", "w"], ["GET", "other"], ["SET", "b", "1", "GET"], ["PUBLISH", "c", "x"]):
        assert refused(*argv) == "", argv
    for argv in (
        ["GET", "w"], ["SET", "r", "1"], ["COPY", "w", "r"], ["SET", "other", "1"], ["SET", "w", "1", "GET"],
        ["SET", "w", "1", "ifeq", "2"], ["SET", "w", "1", "IFDNE", "0" * 16], ["MGET", "r", "x"],
        ["GETSET", "w", "1"], ["DEL", "b", "r"], ["RENAME", "w", "b"], ["SORT", "b", "STORE", "r"], ["ZUNIONSTORE", "w", "2", "b", "x"],
    ):  # fmt: skip
        assert refused(*argv) == key, argv
    assert refused("PUBLISH", "x", "y") == channel
    assert refused("PSUBSCRIBE", "ca") == channel
    assert refused("SUBSCRIBE", "ca", "x") == channel
    assert not session.subscribed()


def test_sort_needs_the_right_to_read_everything(run: Runner) -> None:
    run("RPUSH", "b", "1")
    run("ACL", "SETUSER", "ada", "on", ">pw", "+@all", "~b")
    session, _ = client(run)
    assert text(run("SORT", "b", "BY", "x*", session=session)) == "ERR BY option of SORT denied due to insufficient ACL permissions."
    assert text(run("SORT_RO", "b", "GET", "#", session=session)) == "ERR GET option of SORT denied due to insufficient ACL permissions."
    assert run("SORT", "b", "BY", "nosort", session=session) == [b"1"]
    run("ACL", "SETUSER", "ada", "%R~*")
    assert run("SORT", "b", "BY", "x*", "GET", "#", session=session) == [b"1"]


def test_a_transaction_is_checked_twice(run: Runner) -> None:
    run("ACL", "SETUSER", "ada", "on", ">pw", "+@all", "~a*", "&a")
    session, _ = client(run)
    run("MULTI", session=session)
    assert text(run("SET", "b", "1", session=session)).startswith("NOPERM")
    assert text(run("EXEC", session=session)).startswith("EXECABORT")
    run("MULTI", session=session)
    for argv in (["SET", "a1", "1"], ["SET", "a2", "2"], ["PUBLISH", "a", "x"], ["INCR", "a1"]):
        assert run(*argv, session=session) == QUEUED
    run("ACL", "SETUSER", "ada", "resetkeys", "~a1", "resetchannels", "-incr")
    replies = run("EXEC", session=session)
    changed = "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer "
    assert replies[0] == OK
    assert [text(reply) for reply in replies[1:]] == [
        changed + "allowed for the following reason: no permission to touch the specified keys",
        changed + "allowed for the following reason: no permission to access one of the channels used as argument to the command",
        changed + "allowed for the following reason: no permission to execute the command or subcommand",
    ]
    assert (entry(run)["context"], entry(run)["object"], entry(run)["reason"]) == (b"multi", b"incr", b"command")


def test_whoever_waits_is_asked_again(run: Runner) -> None:
    run("ACL", "SETUSER", "ada", "on", ">pw", "+@all", "~*")
    session, _ = client(run)
    blocked = run("BLPOP", "list", "0", session=session)
    assert isinstance(blocked, Blocked)
    answers: list[Any] = []
    run.executor.waiters.park(session, [b"BLPOP", b"list", b"0"], blocked, answers.append)
    run("ACL", "SETUSER", "ada", "resetkeys")
    run("RPUSH", "list", "x")
    assert [text(answer) for answer in answers] == ["NOPERM No permissions to access a key"]
    assert run("LRANGE", "list", "0", "-1") == [b"x"]


def test_clients_of_users_that_go_are_disconnected(run: Runner) -> None:
    run("ACL", "SETUSER", "ada", "on", ">pw", "allcommands", "~*", "&a*", "&b")
    (session, ear), (listener, listening), (pattern, patterned) = client(run), client(run), client(run)
    run("SUBSCRIBE", "ab", session=listener)
    run("PSUBSCRIBE", "a*", session=pattern)
    run("ACL", "SETUSER", "ada", "resetchannels", "&ab")
    assert (ear.closed, listening.closed, patterned.closed) == (0, 0, 1)
    run("ACL", "SETUSER", "ada", "off")
    assert run("GET", "x", session=session) is None
    assert run("ACL", "DELUSER", "ada", "nobody") == 1
    assert (ear.closed, listening.closed) == (1, 1)
    assert run("ACL", "WHOAMI", session=session) == b"default"
    assert text(run("ACL", "DELUSER", "default")) == "ERR The 'default' user cannot be removed"


def test_requirepass_is_the_default_users_password(run: Runner) -> None:
    assert text(run("AUTH", "x")).startswith("ERR AUTH <password> called without any password configured")
    run("CONFIG", "SET", "requirepass", "one")
    run("ACL", "SETUSER", "default", ">two")
    for password in ("one", "two"):
        assert run("AUTH", password, session=run.executor.open_session()) == OK
    assert text(run("AUTH", "three", session=run.executor.open_session())).startswith("WRONGPASS")
    stranger = run.executor.open_session()
    assert text(run("PING", session=stranger)).startswith("NOAUTH")
    run("CONFIG", "SET", "requirepass", "")
    assert run("ACL", "WHOAMI", session=stranger) == b"default"
    assert described(run, "default") == "on nopass sanitize-payload ~* &* +@all"


def test_the_log_of_what_was_refused(run: Runner) -> None:
    run("ACL", "SETUSER", "ada", "on", ">pw", "+get", "~a")
    session, _ = client(run)
    run("SET", "a", "1", session=session)
    run("GET", "b", session=session)
    run("SET", "a", "1", session=session)
    run("AUTH", "ada", "wrong", session=session)
    seen = [
        (one[b"count"], one[b"reason"], one[b"context"], one[b"object"], one[b"username"], one[b"entry-id"]) for one in run("ACL", "LOG")
    ]
    assert seen == [
        (1, b"auth", b"toplevel", b"AUTH", b"ada", 2),
        (2, b"command", b"toplevel", b"set", b"ada", 0),
        (1, b"key", b"toplevel", b"b", b"ada", 1),
    ]
    run.clock.advance(61_000)
    run("SET", "a", "1", session=session)
    assert entry(run)["count"] == 1
    assert entry(run, 1)["age-seconds"] == 61.0
    assert b"cmd=set user=ada" in entry(run)["client-info"]
    assert len(run("ACL", "LOG", "2")) == 2
    run("CONFIG", "SET", "acllog-max-len", "1")
    run("GET", "c", session=session)
    assert len(run("ACL", "LOG")) == 1
    assert run("ACL", "LOG", "RESET") == OK
    assert run("ACL", "LOG") == []
    assert text(run("ACL", "LOG", "x")) == "ERR value is not an integer or out of range"


def test_passwords_are_written_nowhere(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    run("CONFIG", "SET", "slowlog-log-slower-than", "0")
    run("ACL", "SETUSER", "ada", "on", ">hidden1", "+get")
    run("ACL", "SETUSER", "ada", "<hidden2")
    run("AUTH", "ada", "hidden3")
    run("HELLO", "3", "AUTH", "ada", "hidden4")
    run("ACL", "DRYRUN", "ada", "AUTH", "hidden5")
    shown = repr([plain(run("SLOWLOG", "GET", "-1")), run("ACL", "LOG"), run("ACL", "LIST"), run("CLIENT", "LIST").text, caplog.text])
    assert "hidden" not in shown


def test_what_acl_answers_to_nonsense(run: Runner) -> None:
    assert text(run("ACL", "CAT", "nonesuch")) == "ERR Unknown category 'nonesuch'"
    assert text(run("ACL", "CAT", "a", "b")) == "ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP."
    assert text(run("ACL", "NONESUCH")) == "ERR unknown subcommand 'NONESUCH'. Try ACL HELP."
    assert text(run("ACL", "SETUSER", "a b")) == "ERR Usernames can't contain spaces or null characters"
    assert text(run("ACL", "SETUSER", "a", "(+get")).startswith("ERR Unmatched parenthesis in acl selector starting at '(+get'.")
    assert text(run("ACL", "DRYRUN", "nobody", "GET", "a")) == "ERR User 'nobody' not found"
    assert text(run("ACL", "DRYRUN", "default", "nonesuch")) == "ERR Command 'nonesuch' not found"
    assert text(run("ACL", "DRYRUN", "default", "GET")) == "ERR wrong number of arguments for 'get' command"
    assert text(run("ACL", "GENPASS", "0")).startswith("ERR ACL GENPASS argument must be the number of bits")
    assert [len(run("ACL", "GENPASS", *bits)) for bits in ([], ["5"], ["4096"])] == [64, 2, 1024]
    for name in ("SAVE", "LOAD"):
        assert text(run("ACL", name)).startswith("ERR This Redis instance is not configured to use an ACL file.")


def test_new_users_channels(run: Runner) -> None:
    run("CONFIG", "SET", "acl-pubsub-default", "allchannels")
    run("ACL", "SETUSER", "ada", "(+get)")
    assert described(run) == "off sanitize-payload &* -@all (&* -@all +get)"


def test_rules_about_parts_stand_where_they_were_given_last_and_go_with_the_whole(run: Runner) -> None:
    run("ACL", "SETUSER", "ada", "on", ">pw", "+get|a", "+set|a", "+get|b", "+config|get", "+get|a", "-config|set")
    assert described(run).endswith("-@all +set|a +get|b +config|get +get|a -config|set")
    run("ACL", "SETUSER", "ada", "+get|b", "-config", "+set")
    assert described(run).endswith("-@all +get|a +get|b -config +set")
    run("ACL", "SETUSER", "ada", "-get")
    assert described(run).endswith("-@all -config +set -get")
    assert text(run("GET", "a", session=client(run)[0])).startswith("NOPERM")


def test_twice_as_many_rules_are_twice_the_work(run: Runner) -> None:
    def steps(count: int) -> int:
        """How many instructions of the interpreter it takes to give a user so many rules, of every kind."""
        taken = 0

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal taken
            frame.f_trace_opcodes = True
            taken += event == "opcode"
            return trace

        kinds = ("+get|{}", "+@read", "-config|get", "~{}", "&{}", ">{}", "(+get|{})", "+set")
        rules = [kind.format(number) for kind in kinds for number in range(count)]
        sys.settrace(trace)
        try:
            assert run("ACL", "SETUSER", f"user{count}", *rules) == OK
        finally:
            sys.settrace(None)
        return taken

    steps(10)
    assert steps(400) < 2.2 * steps(200)


# -- files


def test_an_acl_file_is_loaded_and_saved_whole(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("user ada on >pw ~a* +@all\n\nuser default on nopass ~* &* +@all -@dangerous\n")
    run = Runner(tmp_path / "store", aclfile=str(file))
    session, ear = client(run)
    run("ACL", "SETUSER", "bob", "on", ">pw", "(+get ~b)")
    listed = run("ACL", "LIST", session=session)
    assert run("ACL", "SAVE", session=session) == OK
    assert file.read_bytes().splitlines() == listed
    assert oct(os.stat(file).st_mode & 0o777) == "0o600"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "users"]
    file.write_text("user ada on >pw +@all ~*\nuser ada on\nuser eve +nonesuch\nfoo\n")
    error = text(run("ACL", "LOAD", session=session))
    assert "Duplicate user 'ada' found on line 2" in error
    assert "Error in applying operation '+nonesuch': Unknown command" in error
    assert f"{file}:4 should start with user keyword" in error
    assert error.endswith("WARNING: ACL errors detected, no change to the previously active ACL rules was performed")
    assert run("ACL", "LIST", session=session) == listed
    assert ear.closed == 0
    file.write_text("user eve on nopass +@all ~*\n")
    assert run("ACL", "LOAD", session=session) == OK
    assert ear.closed == 1
    assert run("ACL", "USERS") == [b"default", b"eve"]
    assert described(run, "default") == "on nopass sanitize-payload ~* &* +@all"
    run.close()


def test_a_bad_acl_file_or_none_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="No such file"):
        open_executor(str(tmp_path / "store"), Settings(aclfile="missing"))
    (tmp_path / "store" / "users").write_text("user ada foo")
    with pytest.raises(SettingError, match="Syntax error"):
        open_executor(str(tmp_path / "store"), Settings(aclfile="users"))
    settings = Settings(aclfile="users")
    settings.users = [["ada", "on"]]
    with pytest.raises(SettingError, match="not both"):
        open_executor(str(tmp_path / "store"), settings)


def test_users_of_the_configuration(tmp_path: Path) -> None:
    conf = tmp_path / "redis.conf"
    conf.write_text('user default off\nuser ada on >pw ~* "+@all" (+get\tx)\nacllog-max-len 3\n'.replace("\t", " "))
    settings = Settings()
    with pytest.raises(SettingError, match="Syntax error"):
        read_file(settings, str(conf))
        open_executor(str(tmp_path / "store"), settings)
    settings = Settings()
    settings.read_options(["--user", "default", "off", "--user", "ada", "on", ">pw", "~*", "+@all"])
    executor = open_executor(str(tmp_path / "store"), settings)
    assert [user.name for user in executor.users.ordered()] == [b"ada", b"default"]
    assert not executor.users.open
    executor.store.close()


def test_without_a_file_users_are_kept_in_the_store(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    run("ACL", "SETUSER", "ada", "on", ">pw", "%R~a", "+get")
    run("ACL", "SETUSER", "bob", "on", "nopass")
    run("ACL", "DELUSER", "bob")
    before = described(run)
    run.reopen()
    assert described(run) == before
    assert run("ACL", "USERS") == [b"ada", b"default"]
    assert run.findings() == []
    # The default user, whom nobody has spoken of, is as the settings say.
    run.settings = Settings(requirepass="secret")
    run.reopen()
    assert text(run("PING")).startswith("NOAUTH")
    run("AUTH", "secret")
    run("ACL", "SETUSER", "default", "-flushall")
    run.settings = Settings(requirepass="other")
    run.reopen()
    assert run("AUTH", "other") == OK
    assert text(run("FLUSHALL")).startswith("NOPERM")
    run.close()
