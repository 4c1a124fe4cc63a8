"""What many clients send at the same time: executed together, answered as if it were not."""

from __future__ import annotations

import random
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.dispatch import executor
from diskkv.dispatch.table import ROWS
from diskkv.server import reactor, rounds
from diskkv.server.connection import Connection
from diskkv.server.reactor import AVAILABLE, LITTLE, SLOW, Wire
from diskkv.server.rounds import Rounds
from diskkv.store.log import LogReader, Position, split_stamp
from tests.differential.wire import encode
from tests.support.contents import contents
from tests.support.disks import FaultyDisk
from tests.support.runner import Runner
from tests.support.still import Kept

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="there is no epoll here, and so no reactor")


class Client:
    """One end of a socket whose other end the server has."""

    def __init__(self, kept: Kept) -> None:
        self._socket, served = socket.socketpair()
        self._socket.setblocking(False)
        self.connection = Connection(kept.server, unix=True)
        assert kept.server.reactor is not None
        self.wire = Wire(kept.server.reactor, served, None, self.connection)
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]  # uvloop's transports are no instances of it, either

    def send(self, *argv: Any) -> None:
        self.send_raw(encode([word if isinstance(word, bytes) else str(word).encode() for word in argv]))

    def send_raw(self, data: bytes) -> None:
        self._socket.send(data)

    def received(self) -> bytes:
        """All that has come since it was last asked for."""
        try:
            return self._socket.recv(1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self._socket.close()


class Crowd(Kept):
    """A still server and so many clients."""

    def __init__(self, run: Runner, many: int) -> None:
        super().__init__(run)
        self.clients = [Client(self) for _ in range(many)]
        self.rows: list[int] = []
        run_row = run.executor.packets.run_row

        def counted(session: Any, plan: Any, requests: Any, at: int, out: list[bytes]) -> int:
            done = run_row(session, plan, requests, at, out)
            self.rows.append(done - at)
            return done

        self._executor, self.packets = run.executor, run.executor.packets
        run.executor.packets = _With(self.packets, run_row=counted)  # type: ignore[assignment]

    def serve(self) -> list[bytes]:
        """One round; what each client received."""
        self.server._serve_round()
        return [client.received() for client in self.clients]

    def close(self) -> None:
        for client in self.clients:
            client.close()
            client.wire.abort()
            client.connection.connection_lost(None)
        self._executor.packets = self.packets
        assert self.server.reactor is not None
        self.server.reactor.epoll.close()


class _With:
    """An object with some of its methods replaced."""

    def __init__(self, real: Any, **methods: Callable[..., Any]) -> None:
        self._real = real
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture(autouse=True)
def nobody_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(reactor, "SLOW", 1 << 62)
    monkeypatch.setattr(executor, "TURN_TIME", 1 << 62)


@pytest.fixture
def crowd(run: Runner) -> Iterator[Crowd]:
    crowd = Crowd(run, 4)
    yield crowd
    crowd.close()


def test_the_same_command_of_all_is_executed_as_one_in_their_order(run: Runner, crowd: Crowd) -> None:
    run("RPUSH", "list", "first")
    for number, client in enumerate(crowd.clients):
        client.send("RPUSH", "list", number)
    assert crowd.serve() == [b":2\r\n", b":3\r\n", b":4\r\n", b":5\r\n"]
    assert crowd.rows == [4]
    assert run("LRANGE", "list", 0, -1) == [b"first", b"0", b"1", b"2", b"3"]


def test_what_is_not_as_simple_is_executed_in_its_place(run: Runner, crowd: Crowd) -> None:
    run("SET", "a", 1)
    first, second, third, fourth = crowd.clients
    first.send("INCR", "a")
    second.send("INCR", "a")
    third.send("APPEND", "a", "0")
    fourth.send("INCR", "a")
    assert crowd.serve() == [b":2\r\n", b":3\r\n", b":2\r\n", b":31\r\n"]
    assert crowd.rows == [2]


def test_who_has_another_database_or_protocol_is_not_taken_for_the_others(run: Runner, crowd: Crowd) -> None:
    _, _, third, fourth = crowd.clients
    third.send("SELECT", 1)
    fourth.send("HELLO", 3)
    crowd.serve()
    for client in crowd.clients:
        client.send("SET", "k", "v")
    crowd.serve()
    run("DEL", "k")
    for client in crowd.clients:
        client.send("GET", "k")
    assert crowd.serve() == [b"$-1\r\n", b"$-1\r\n", b"$1\r\nv\r\n", b"_\r\n"]


def test_each_client_is_known_by_what_it_did_last(run: Runner, crowd: Crowd) -> None:
    run("GET", "k")
    run.clock.advance(5000)
    for client in crowd.clients:
        client.send("get", "k")
    crowd.serve()
    assert crowd.rows == [4]
    assert {(client.connection.session.last_command, client.connection.session.last_seen) for client in crowd.clients} == {
        (b"get", run.clock.now)
    }


def test_a_client_in_a_transaction_has_its_command_queued(run: Runner, crowd: Crowd) -> None:
    crowd.clients[1].send("MULTI")
    crowd.serve()
    for client in crowd.clients:
        client.send("INCR", "a")
    assert crowd.serve() == [b":1\r\n", b"+QUEUED\r\n", b":2\r\n", b":3\r\n"]


def test_part_of_a_request_is_not_taken_for_a_whole_one(crowd: Crowd) -> None:
    for client in crowd.clients:
        client.send_raw(encode([b"SET", b"a", b"1"])[:-3])
    crowd.serve()
    for client in crowd.clients:
        client.send_raw(b"1\r\n")
    assert crowd.serve() == [b"+OK\r\n"] * 4


def test_what_is_behind_the_beginning_of_a_request_belongs_to_it_after_waiting_too(run: Runner, crowd: Crowd) -> None:
    """Else what a client sends as a value would be executed."""
    waiting, other, *_ = crowd.clients
    value = encode([b"GET", b"secret"])
    run("SET", "secret", "told")
    request = encode([b"SET", b"k", value])
    begun = request.index(value)
    waiting.send_raw(encode([b"BLPOP", b"list", b"0"]) + request[:begun])
    crowd.serve()
    other.send("LPUSH", "list", "x")
    crowd.serve()
    waiting.send_raw(request[begun:-2])
    other.send("GET", "k")
    assert crowd.serve()[0] == b""
    waiting.send_raw(b"\r\n")
    assert crowd.serve()[0] == b"+OK\r\n"
    assert run("GET", "k") == value


def test_a_command_without_a_name_is_answered(crowd: Crowd) -> None:
    for client, argv in zip(crowd.clients, (("GET", "a"), ("EXISTS", "a"), ("", "a"), ("GET", "a")), strict=True):
        client.send(*argv)
    replies = crowd.serve()
    assert replies[:2] + replies[3:] == [b"$-1\r\n", b":0\r\n", b"$-1\r\n"]
    assert replies[2].startswith(b"-ERR unknown command ''")


def test_who_is_killed_by_another_has_its_answer_first(run: Runner, crowd: Crowd) -> None:
    first, second, third, fourth = crowd.clients
    for client in (first, second):
        client.send("INCR", "a")
    third.send("CLIENT", "KILL", "ID", first.connection.session.id)
    fourth.send("INCR", "a")
    assert crowd.serve()[:3] == [b":1\r\n", b":2\r\n", b":1\r\n"]
    assert first.connection.closing
    assert run("GET", "a") == b"3"


def test_who_is_killed_before_its_turn_is_not_executed(run: Runner, crowd: Crowd) -> None:
    first, second, third, fourth = crowd.clients
    first.send("CLIENT", "KILL", "ID", third.connection.session.id)
    for client in (second, third, fourth):
        client.send("INCR", "a")
    assert crowd.serve() == [b":1\r\n", b":1\r\n", b"", b":2\r\n"]


def test_who_is_dropped_in_the_middle_harms_nobody(run: Runner, crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for clients may run out in any command; those that go then may be any."""
    run("SET", "a", 1)
    _, second, third, _ = crowd.clients
    execute_one = Rounds._execute_one

    def dropping(self: Rounds, packet: rounds.Known, argv: list[bytes]) -> None:
        third.connection.drop()
        execute_one(self, packet, argv)
        if packet[1] is second.connection:
            second.connection.drop()

    monkeypatch.setattr(Rounds, "_execute_one", dropping)
    for client, key in zip(crowd.clients, ("word", "list", "a", "list"), strict=True):
        client.send("STRLEN" if key == "list" else "GET", key)
    assert crowd.serve() == [b"$-1\r\n", b"", b"", b":0\r\n"]
    for client in crowd.clients:
        client.connection.drop()
    crowd.serve()
    assert not crowd.server.held


@pytest.mark.parametrize(("at", "argv"), [(0, ("GET", "big")), (1, ("LRANGE", "list", 0, -1))])
def test_after_a_long_reply_others_have_their_turn(run: Runner, crowd: Crowd, at: int, argv: tuple[Any, ...]) -> None:
    """And what was read of those behind it waits for a later round."""
    run("SET", "big", b"x" * (2 << 20))
    run("RPUSH", "list", *[b"y" * 2000] * 1000)
    run("SET", "a", 1)
    for number, client in enumerate(crowd.clients):
        client.send(*(argv if number == at else ("STRLEN", "a")))
    replies = crowd.serve()
    assert replies[:at] == [b":1\r\n"] * at
    assert replies[at + 1 :] == [b""] * (3 - at)
    crowd.server._take_turns()
    crowd.server.end_tick()
    assert [client.received() for client in crowd.clients[at + 1 :]] == [b":1\r\n"] * (3 - at)


def test_a_mistake_in_the_server_ends_the_one_connection_that_met_it(run: Runner, crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    run_packet = crowd.packets.run

    def failing(session: Any, requests: Any, *rest: Any) -> Any:
        if requests[0][1] == b"cursed":
            raise RuntimeError("a mistake")
        return run_packet(session, requests, *rest)

    monkeypatch.setattr(run.executor.packets, "run", failing, raising=False)
    for client, key in zip(crowd.clients, ("a", "cursed", "a", "a"), strict=True):
        client.send("STRLEN", key)
    assert crowd.serve() == [b":0\r\n", b"", b":0\r\n", b":0\r\n"]


def test_what_is_published_leaves_behind_the_reply_of_the_same_round(crowd: Crowd) -> None:
    first, second, third, fourth = crowd.clients
    first.send("HELLO", 3)
    crowd.serve()
    first.send("SUBSCRIBE", "news")
    second.send("HELLO", 3)
    crowd.serve()
    first.send("INCR", "a")
    second.send("INCR", "a")
    third.send("PUBLISH", "news", "x")
    assert crowd.serve()[0] == b":1\r\n>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n"
    first.send("PUBLISH", "news", "y")
    second.send("INCR", "a")
    third.send("PUBLISH", "news", "z")
    fourth.send("INCR", "a")
    assert crowd.serve()[0].endswith(b"$1\r\nz\r\n")


def test_who_looks_on_sees_every_command_by_itself(crowd: Crowd) -> None:
    watcher, first, second, third = crowd.clients
    watcher.send("MONITOR")
    crowd.serve()
    for client in (first, second, third):
        client.send("GET", "a")
    assert crowd.serve()[0].count(b'"GET"') == 3


def test_an_error_is_the_answer_of_who_made_it_only(run: Runner, crowd: Crowd) -> None:
    run("SET", "word", "x")
    run("SET", "a", 1)
    for client, key in zip(crowd.clients, ("a", "word", "a", "a"), strict=True):
        client.send("INCR", key)
    assert crowd.serve() == [b":2\r\n", b"-ERR value is not an integer or out of range\r\n", b":3\r\n", b":4\r\n"]


def test_who_is_served_by_what_others_push_has_it_in_order(run: Runner, crowd: Crowd) -> None:
    waiting, first, second, third = crowd.clients
    waiting.send("BLPOP", "list", 0)
    assert crowd.serve() == [b""] * 4
    for number, client in enumerate((first, second, third)):
        client.send("RPUSH", "list", number)
    assert crowd.serve() == [b"*2\r\n$4\r\nlist\r\n$1\r\n0\r\n", b":1\r\n", b":1\r\n", b":2\r\n"]


def test_a_slow_row_makes_its_clients_slow(run: Runner, crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    run("GET", "a")
    monkeypatch.setattr(reactor, "SLOW", SLOW)
    # It is taken to have begun when the machine did.
    monkeypatch.setattr(rounds, "perf_ns", lambda: 0)
    for client in crowd.clients:
        client.send("GET", "a")
    crowd.serve()
    assert crowd.rows == [4]
    assert all(client.wire.slow for client in crowd.clients)


def test_who_sends_much_at_once_is_executed_by_itself(run: Runner, crowd: Crowd) -> None:
    first = crowd.clients[0]
    first.send_raw(encode([b"GET", b"a"]) * (LITTLE // 10))
    crowd.serve()
    assert first.wire.appetite > LITTLE
    crowd.rows.clear()
    for client in crowd.clients:
        client.send("GET", "a")
    crowd.serve()
    assert crowd.rows[0] == 3


def logged(run: Runner) -> list[bytes]:
    """What the log says of each tick."""
    return [split_stamp(tick)[1] for tick in LogReader(run.executor.store.log.path, Position(1, 0))]


def test_the_log_has_what_changed_something_as_it_came(run: Runner, crowd: Crowd) -> None:
    run("SADD", "set", "a")
    before = len(logged(run))
    for member, client in zip("abcd", crowd.clients, strict=True):
        client.send("SADD", "set", member)
    crowd.serve()
    for client in crowd.clients:
        client.send("SET", "k", "v")
    crowd.serve()
    assert crowd.rows == [4, 4]
    assert logged(run)[before:] == [
        b"".join(encode([b"SADD", b"set", member]) for member in (b"b", b"c", b"d")),
        encode([b"SET", b"k", b"v"]) * 4,
    ]


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[tuple[FaultyDisk, Runner, Crowd]]:
    disk = FaultyDisk("write", -1)
    run = Runner(tmp_path / "store", disk=disk)
    crowd = Crowd(run, 6)
    yield disk, run, crowd
    crowd.close()
    findings = run.findings()
    run.close()
    assert not findings


def test_when_the_log_fails_reads_are_done_again_and_writes_refused(faulty: tuple[FaultyDisk, Runner, Crowd]) -> None:
    disk, run, crowd = faulty
    run("SET", "a", 1)
    disk.rearm("write")
    for at, client in enumerate(crowd.clients):
        client.send(*(("INCR", "a") if at < 3 else ("GET", "a")))
    replies = crowd.serve()
    assert crowd.rows == [3, 3]
    assert [reply[:9] for reply in replies] == [b"-MISCONF "] * 3 + [b"$1\r\n1\r\n"] * 3
    assert run("GET", "a") == b"1"
    run.clock.advance(10_000)
    for client in crowd.clients:
        client.send("INCR", "a")
    assert crowd.serve() == [b":%d\r\n" % number for number in range(2, 8)]


def test_when_the_log_fails_who_tracks_is_told_to_forget_all(faulty: tuple[FaultyDisk, Runner, Crowd]) -> None:
    disk, _, crowd = faulty
    tracking, other = crowd.clients[:2]
    tracking.send("HELLO", 3)
    tracking.send("CLIENT", "TRACKING", "ON")
    tracking.send("GET", "a")
    crowd.serve()
    disk.rearm("write")
    other.send("SET", "a", 1)
    replies = crowd.serve()
    # Of the change, and of its being undone.
    assert replies[0] == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n"
    assert replies[1].startswith(b"-MISCONF ")
    tracking.send("GET", "a")
    assert crowd.serve()[0] == b"_\r\n"


def test_when_a_row_fails_halfway_all_of_the_tick_is_undone(
    faulty: tuple[FaultyDisk, Runner, Crowd], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run, crowd = faulty
    run("SET", "a", 1)
    plan = run.executor.packets.plan(b"INCR")
    assert plan is not None
    real = ROWS["incr"]

    def failing(ctx: Any, requests: Any, at: int, out: list[bytes]) -> int:
        real(ctx, requests[: at + 2], at, out)
        raise ValueError("a mistake in the command")

    plan.row = failing
    for at, client in enumerate(crowd.clients):
        client.send(*(("GET", "a") if at < 2 else ("INCR", "a")))
    replies = crowd.serve()
    assert replies[:2] == [b"$1\r\n1\r\n"] * 2
    assert all(reply.startswith(b"-") for reply in replies[2:])
    assert run("GET", "a") == b"1"


# those that are executed in rows, some of them more often
SIMPLE = (
    *[("SET", "s{k}", "{v}"), ("GET", "s{k}"), ("INCR", "n{k}"), ("LPUSH", "l{k}", "{v}"), ("RPOP", "l{k}"), ("SADD", "m{k}", "{v}")] * 3,
    *[("HSET", "h{k}", "{v}", "{v}"), ("HGET", "h{k}", "{v}"), ("ZADD", "z{k}", "{v}", "{v}")] * 3,
    ("RPUSH", "l{k}", "{v}"), ("LPOP", "l{k}"), ("MSET", "s{k}", "{v}", "s{d}", "{v}"), ("MSET", *("s{k}", "{v}") * 5),
)  # fmt: skip
WORDS = (
    *SIMPLE,
    ("set", "s{k}", "{v}", "EX", "100"), ("SET", "s{k}", "{v}", "NX"), ("INCR", "s{k}"), ("SADD", "l{k}", "{v}"),
    ("ZADD", "z{k}", "word", "{v}"), ("HSET", "h{k}", "{v}"), ("GET", "l{k}"), ("GET",), ("DEL", "l{k}"), ("PEXPIRE", "s{k}", "3"),
    ("HEXPIRE", "h{k}", "1", "FIELDS", "1", "{v}"), ("MSET", "l{k}", "{v}", "n{k}"),
    ("SELECT", "{d}"), ("HELLO", "3"), ("HELLO", "2"), ("MULTI",), ("EXEC",), ("WATCH", "s{k}"), ("BLPOP", "l{k}", "0"), ("SUBSCRIBE", "c"),
    ("UNSUBSCRIBE", "c"), ("PUBLISH", "c", "{v}"), ("APPEND", "s{k}", "{v}"), ("CLIENT", "REPLY", "SKIP"), ("CLIENT", "TRACKING", "ON"),
    ("CLIENT", "TRACKING", "OFF"), ("RESET",), ("FLUSHDB",), ("SWAPDB", "0", "1"), ("SORT", "l{k}", "ALPHA", "STORE", "l{d}"),
    ("RENAME", "s{k}", "s{d}"), ("NOSUCH", "x"),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_replies_are_those_of_a_server_that_executes_each_by_itself(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    disks = [FaultyDisk("write", -1) for _ in range(2)]
    runs = [Runner(tmp_path / f"store{number}", maxmemory="1mb", disk=disk) for number, disk in enumerate(disks)]
    executed = 0
    for _ in range(20):
        crowds = [Crowd(run, 12) for run in runs]
        monkeypatch.setattr(crowds[1].server._rounds, "_simple", lambda: False)
        # what each has yet to send of a request
        behind = [b""] * 12
        for turn in range(20):
            favourite = chance.choice(SIMPLE)
            full, short = chance.random() < 0.1, chance.random() < 0.5
            for disk in disks:
                disk.rearm("write" if full else "", short=short)
            for at in range(12):
                words = favourite if chance.random() < 0.95 else chance.choice(WORDS)
                argv = [word.format(k=chance.randrange(3), v=chance.randrange(30), d=chance.randrange(2)).encode() for word in words]
                raw = behind[at] or encode(argv)
                if chance.random() < 0.02:
                    raw += encode([b"INCR", b"n0"])
                cut = chance.randrange(len(raw)) + 1 if chance.random() < 0.02 else len(raw)
                behind[at] = raw[cut:]
                for crowd in crowds:
                    crowd.clients[at].send_raw(raw[:cut])
            replies = [crowd.serve() for crowd in crowds]
            assert replies[0] == replies[1], f"turn {turn}"
            for run in runs:
                if turn == 10:
                    run.evict()
                # By then there is room again.
                run.clock.advance(10_000 if full else 1)
        executed += sum(crowds[0].rows)
        assert not crowds[1].rows
        for crowd in crowds:
            crowd.close()
    assert executed > 500
    found = [contents(run.executor.store) for run in runs]
    assert found[0] == found[1]
    for run in runs:
        # As after a crash: what the log says of rows is done again.
        copy = tmp_path / f"{run.path}-copy"
        shutil.copytree(run.path, copy)
        again = Runner(copy, clock=run.clock)
        assert contents(again.executor.store) == found[0]
        assert not again.findings()
        again.close()
        assert not run.findings()
        run.close()
