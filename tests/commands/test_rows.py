"""Requests executed as a row are answered, and change the store and the log, as if they had been executed one by one."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from diskkv.dispatch import packets
from diskkv.dispatch.table import ROWS
from diskkv.errors import Damaged, LogFailed, StoreError
from diskkv.resp.encode import ENCODERS, encode
from diskkv.store.database import Database
from diskkv.types import list_runs
from diskkv.types.lists import List
from diskkv.types.members import Members
from tests.support import oracle
from tests.support.runner import Runner

KEYS = [b"s1", b"s2", b"n", b"h1", b"h2", b"l1", b"l2", b"set1", b"set2", b"z1", b"z2", b"none", b"gone"]


def execute(run: Runner, requests: list[list[bytes]], protocol: int = 2) -> list[bytes]:
    """The encoded replies to requests that came in one packet."""
    run.session.protocol = protocol
    with run.executor.store.lock:
        run.executor.store.wait_for_room()
        run.executor.begin()
        out: list[bytes] = []
        at = 0
        while (stop := run.executor.packets.run(run.session, requests, at, out, ENCODERS[protocol])) is not None:
            at = stop[0] + 1
            out.append(encode(stop[1], protocol))
        run.executor.store.commit()
    return out


def data(rng: random.Random, big: bool) -> bytes:
    size = rng.choice([0, 1, 8, 40, 400, 600, 4095, 4096, 70_000] if big else [0, 1, 8, 8, 40, 100])
    return bytes([rng.randrange(256)]) * size


def member(rng: random.Random) -> bytes:
    return b"m%d" % rng.randrange(30) if rng.random() < 0.95 else b"M" * rng.choice([600, 4096, 5000])


COMMANDS = {
    b"GET": KEYS[:3], b"SET": KEYS[:3], b"INCR": KEYS[2:3], b"HGET": KEYS[3:5], b"HSET": KEYS[3:5], b"LPUSH": KEYS[5:7],
    b"MSET": KEYS[:3], b"RPUSH": KEYS[5:7], b"LPOP": KEYS[5:7], b"RPOP": KEYS[5:7], b"SADD": KEYS[7:9], b"ZADD": KEYS[9:11],
}  # fmt: skip


def row(rng: random.Random, big: bool) -> list[list[bytes]]:
    """Some requests of one command, mostly in its simplest form and to one key."""
    name = rng.choice(list(COMMANDS))
    home = COMMANDS[name]
    key = rng.choice(home) if rng.random() < 0.95 else rng.choice(KEYS)
    found = []
    for _ in range(rng.choice([1, 2, 2, 3, 8, 40])):
        if rng.random() < 0.05:
            key = rng.choice(home)
        words = [rng.choice(KEYS[:3]) if name in (b"GET", b"SET") else key]
        if name == b"SET":
            words.append(b"%d" % rng.randrange(100) if rng.random() < 0.5 else data(rng, big))
            words += rng.choice([[]] * 30 + [[b"KEEPTTL"], [b"PX", b"100"], [b"NX"]])
        elif name == b"MSET":
            words = [word for _ in range(rng.choice([1, 2, 3, 10])) for word in (rng.choice(KEYS[:3]), data(rng, big))]
        elif name in (b"HGET", b"SADD"):
            words.append(member(rng))
        elif name == b"HSET":
            words += [member(rng), data(rng, big)]
        elif name in (b"LPUSH", b"RPUSH"):
            words.append(data(rng, big))
        elif name == b"ZADD":
            words += [rng.choice([b"1", b"2.5", b"-7", b"1e3", b"%d" % rng.randrange(50), b"inf"] * 4 + [b"x", b"nan"]), member(rng)]
        if rng.random() < 0.03:
            words += rng.choice([[b"extra"], [b"1"], [b"a", b"b"]])
        if rng.random() < 0.01:
            words = []
        found.append([rng.choice([name, name, name, name, name.lower()]) if rng.random() < 0.1 else name, *words])
    return found


def requests(rng: random.Random, big: bool) -> list[list[bytes]]:
    found: list[list[bytes]] = []
    for _ in range(rng.choice([1, 1, 2, 5])):
        found += row(rng, big)
    if rng.random() < 0.3:
        found.append(rng.choice([[b"DEL", rng.choice(KEYS)], [b"PEXPIRE", rng.choice(KEYS), b"50"], [b"LRANGE", b"l1", b"0", b"-1"]]))
    if rng.random() < 0.1:
        found.append([b"HPEXPIRE", rng.choice(KEYS[3:5]), b"30", b"FIELDS", b"1", member(rng)])
    return found


def content(run: Runner) -> list[Any]:
    """All that is in a store."""
    asked: list[list[Any]] = [
        ["TYPE"], ["PTTL"], ["GET"], ["HGETALL"], ["LRANGE", 0, -1], ["ZRANGE", 0, -1, "WITHSCORES"], ["SMEMBERS"], ["OBJECT", "ENCODING"],
    ]  # fmt: skip
    found = [repr(run("DBSIZE"))]
    for key in KEYS:
        for name, *words in asked:
            argv = [name, key, *words] if name != "OBJECT" else [name, *words, key]
            reply = run(*argv)
            if isinstance(reply, dict):
                reply = set(reply.items())
            found.append(repr((*argv, sorted(reply) if isinstance(reply, set) else reply)))
    return found


def crashed(run: Runner, path: Path) -> Runner:
    """What a store is after kill -9."""
    shutil.copytree(run.path, path)
    return Runner(path, clock=run.clock)


@pytest.mark.parametrize(
    ("seed", "big", "budget"), [(1, False, "64mb"), (2, True, "64mb"), (3, True, "64mb"), (4, False, "1mb"), (5, True, "1mb")]
)
def test_a_row_is_what_its_requests_are_one_by_one(
    seed: int, big: bool, budget: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    together = Runner(tmp_path / "together", maxmemory=budget)
    apart = Runner(tmp_path / "apart", maxmemory=budget)
    executed = dict.fromkeys(ROWS, 0)

    def counted(name: str) -> Any:
        def counting(ctx: Any, packet: list[list[bytes]], at: int, out: list[bytes]) -> int:
            done = ROWS[name](ctx, packet, at, out)
            executed[name] += done - at
            return done

        return counting

    monkeypatch.setattr(packets, "ROWS", {name: counted(name) for name in ROWS})
    for number in range(600):
        packet = requests(rng, big)
        protocol = rng.choice([2, 3])
        together.clock.advance(number % 7)
        apart.clock.advance(number % 7)
        replies = execute(together, packet, protocol)
        assert replies == [reply for argv in packet for reply in execute(apart, [argv], protocol)], packet
        if number % 50 == 49:
            together.evict()
            apart.evict()
    # Elements that may be long are popped one by one.
    assert all(executed[name] > 100 for name in ROWS if name != "spop" and not (big and name.endswith("pop")))
    assert content(together) == content(apart)
    later = crashed(together, tmp_path / "later")
    assert content(later) == content(together)
    assert later.findings() == together.findings() == apart.findings() == []
    for run in (together, apart, later):
        run.close()


def test_a_row_makes_as_many_changes_as_its_requests_one_by_one(tmp_path: Path) -> None:
    together, apart = Runner(tmp_path / "together"), Runner(tmp_path / "apart")
    rng = random.Random(7)
    for _ in range(300):
        packet = row(rng, False)
        execute(together, packet)
        for argv in packet:
            execute(apart, [argv])
        assert together.executor.store.changes == apart.executor.store.changes, packet
    together.close()
    apart.close()


@pytest.mark.parametrize(("count", "size", "evicted"), [(10, 3, False), (400, 3, False), (400, 3, True), (30, 5000, False)])
def test_a_row_of_spops_takes_members_once(count: int, size: int, evicted: bool, tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    members = {b"%d" % number * size for number in range(count)}
    run("SADD", "set", *members)
    if evicted:
        run.evict()
    popped = execute(run, [[b"SPOP", b"set"]] * (count - 3))
    assert len(popped) == count - 3
    left = run("SMEMBERS", "set")
    assert {encode(member, 2) for member in members} == {*popped, *(encode(member, 2) for member in left)}
    assert len(left) == 3
    later = crashed(run, tmp_path / "later")
    assert later("SMEMBERS", "set") == left
    rest = execute(run, [[b"SPOP", b"set"]] * 5)
    assert {*rest[:3]} == {encode(member, 2) for member in left}
    assert rest[3:] == [b"$-1\r\n"] * 2
    assert run.findings() == later.findings() == []
    run.close()
    later.close()


def test_spops_of_two_sets_leave_the_rows_after_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that takes nothing ends the rows of its packet."""
    run = Runner(tmp_path / "store")
    run("SADD", "a", *range(10))
    run("SADD", "b", *range(10))
    real, done = ROWS["set"], []

    def counting(ctx: Any, packet: list[list[bytes]], at: int, out: list[bytes]) -> int:
        done.append(real(ctx, packet, at, out) - at)
        return at + done[-1]

    monkeypatch.setattr(packets, "ROWS", {**ROWS, "set": counting})
    execute(run, [[b"SPOP", b"a"], [b"SPOP", b"b"], *([b"SET", b"k%d" % number, b"v"] for number in range(10))])
    assert sum(done) == 10
    assert run("SCARD", "a") == run("SCARD", "b") == 9
    run.close()


@pytest.mark.parametrize("kind", [Damaged, StoreError])
def test_what_a_row_can_not_read_is_answered_for_itself(
    kind: type[StoreError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Runner(tmp_path / "store")
    for number in range(5):
        run("SET", f"k{number}", number)
    real = Database._read

    def read(db: Database, key: bytes) -> bytes | None:
        if key == b"broken":
            raise kind("a checksum is wrong")
        return real(db, key)

    monkeypatch.setattr(Database, "_read", read)
    replies = execute(run, [[b"INCR", key] for key in (b"k0", b"k1", b"broken", b"k2")])
    assert replies[:2] + replies[3:] == [b":1\r\n", b":2\r\n", b":3\r\n"]
    assert b"checksum" in replies[2]
    assert run("MGET", "k0", "k1", "k2") == [b"1", b"2", b"3"]
    if kind is StoreError:
        # What is damaged SET replaces; what can't be read just now it does not.
        replies = execute(run, [[b"SET", key, b"7"] for key in (b"k0", b"broken", b"k2")])
        assert (replies[0], b"checksum" in replies[1], replies[2]) == (b"+OK\r\n", True, b"+OK\r\n")
        assert run("MGET", "k0", "k1", "k2") == [b"7", b"2", b"7"]
        replies = execute(run, [[b"MSET", key, b"8", b"k1", b"8"] for key in (b"k0", b"broken", b"k2")])
        assert (replies[0], b"checksum" in replies[1], replies[2]) == (b"+OK\r\n", True, b"+OK\r\n")
        assert run("MGET", "k0", "k1", "k2") == [b"8"] * 3
        # It is all or none: what has been done before in this tick goes with it.
        with pytest.raises(LogFailed):
            execute(run, [[b"MSET", b"k0", b"9"], [b"MSET", b"k1", b"9", b"broken", b"9"], [b"MSET", b"k2", b"9"]])
        assert run("MGET", "k0", "k1", "k2") == [b"8"] * 3
    run("SADD", "set", *range(500))
    run("ZADD", "z", *[word for number in range(500) for word in (number, number)])
    run("HSET", "h", *[word for number in range(500) for word in (number, number)])
    run.evict()

    def stored(self: Members, name: bytes) -> Any:
        if name == b"lost":
            raise kind("a checksum is wrong")
        return read(self, name)

    read = Members._stored
    monkeypatch.setattr(Members, "_stored", stored)
    for argv in ([b"SADD", b"set"], [b"ZADD", b"z", b"1000"]):
        replies = execute(run, [[*argv, name] for name in (b"new", b"3", b"lost", b"other")])
        assert (replies[0], b"checksum" in replies[2], replies[3]) == (b":1\r\n", True, b":1\r\n")
    replies = execute(run, [[b"HSET", b"h", name, b"7"] for name in (b"new", b"3", b"lost", b"other")])
    assert (replies[0], replies[1], b"checksum" in replies[2], replies[3]) == (b":1\r\n", b":0\r\n", True, b":1\r\n")
    assert run("HMGET", "h", "new", "3", "other") == [b"7"] * 3
    assert run("SISMEMBER", "set", "other") == run("SISMEMBER", "set", "new") == 1
    assert run("ZSCORE", "z", "other") == run("ZSCORE", "z", "3") == 1000.0
    run.close()


@pytest.mark.parametrize("words", [[], [b"2"]])
def test_members_that_can_not_be_read_are_not_popped_and_undo_nothing(
    words: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Runner(tmp_path / "store")
    run("SADD", "set", *range(500))
    run.evict()

    def fail(*args: Any) -> Any:
        raise Damaged("a checksum is wrong")

    monkeypatch.setattr(Members, "_window", fail)
    replies = execute(run, [[b"SET", b"k", b"v"], [b"SPOP", b"set", *words], [b"SPOP", b"set", *words], [b"GET", b"k"]])
    assert (replies[0], replies[-1]) == (b"+OK\r\n", b"$1\r\nv\r\n")
    assert [b"checksum" in reply for reply in replies] == [False, True, True, False]
    monkeypatch.undo()
    assert run("SCARD", "set") == 500
    assert run.findings() == []
    run.close()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", [b"LPOP", b"RPOP"])
def test_pops_that_can_not_be_read_undo_nothing(name: bytes, sparse: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Runner(tmp_path / "store")
    run("RPUSH", "l", *range(1000))
    if sparse:
        run("LREM", "l", 1, 500)
    run.evict()

    def fail(*args: Any) -> Any:
        raise Damaged("a checksum is wrong")

    monkeypatch.setattr(list_runs, "read_run", fail)
    replies = execute(run, [[b"SET", b"k", b"v"], [name, b"l"], [name, b"l"], [name, b"l"], [name, b"l", b"3"], [b"GET", b"k"]])
    assert (replies[0], replies[-1]) == (b"+OK\r\n", b"$1\r\nv\r\n")
    assert [b"checksum" in reply for reply in replies] == [False, True, True, True, True, False]
    monkeypatch.undo()
    assert run("LLEN", "l") == 1000 - sparse
    assert run.findings() == []
    run.close()


def test_a_row_that_fails_halfway_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Runner(tmp_path / "store")
    run("RPUSH", "l", "a")

    real = List.push_right

    def fail(self: List, elements: Any) -> int:
        if len(elements) == 1:
            return real(self, elements)
        self.touch()
        raise RuntimeError("a bug")

    monkeypatch.setattr(List, "push_right", fail)
    with pytest.raises(LogFailed):
        execute(run, [[b"RPUSH", b"l", b"b"], [b"RPUSH", b"l", b"c"], [b"SET", b"k", b"v"]])
    assert run("LRANGE", "l", 0, -1) == [b"a"]
    assert run("EXISTS", "k") == 0
    assert run.findings() == []
    run.close()


def packed(packet: list[list[bytes]]) -> bytes:
    return b"".join(b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in argv) for argv in packet)


def answered(connection: socket.socket, packet: list[list[bytes]]) -> bytes:
    """The bytes that Redis answers to a packet."""
    connection.sendall(packed([*packet, [b"ECHO", b"that was all"]]))
    end, found = b"$12\r\nthat was all\r\n", b""
    while not found.endswith(end):
        found += connection.recv(1 << 20)
    return found.removesuffix(end)


@pytest.mark.parametrize(("seed", "big"), [(11, False), (12, True)])
def test_packets_are_answered_as_by_redis(seed: int, big: bool, tmp_path: Path) -> None:
    rng = random.Random(seed)
    run = Runner(tmp_path / "store", maxmemory="4mb")
    redis = oracle.start()
    with contextlib.closing(redis.connect()) as connection:
        for number in range(1500):
            # Redis' clock can not be set.
            packet = [argv for argv in requests(rng, big) if not argv[0].endswith(b"EXPIRE") and b"PX" not in argv]
            if packet and number % 50:
                assert b"".join(execute(run, packet)) == answered(connection, packet), packet
            else:
                execute(run, [[b"FLUSHALL"]])
                answered(connection, [[b"FLUSHALL"]])
    redis.close()
    run.close()
