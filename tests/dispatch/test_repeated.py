"""A reply that is kept for who asks again is the one that would be made now."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from diskkv.dispatch import packets
from diskkv.resp.encode import ENCODERS, encode
from tests.support.runner import Runner

LISTS = ["l1", "l2", "l3"]
ZSETS = ["z1", "z2", "z3"]


def ask(run: Runner, *argv: object, protocol: int = 2) -> bytes:
    """The encoded reply to a request that came as a packet."""
    run.session.protocol = protocol
    out: list[bytes] = []
    with run.executor.store.lock:
        run.executor.store.wait_for_room()
        run.executor.begin()
        stop = run.executor.packets.run(run.session, [[str(word).encode() for word in argv]], 0, out, ENCODERS[protocol])
        run.executor.store.commit()
    return encode(stop[1], protocol) if stop is not None else out[0]


def change(rng: random.Random, few: int) -> list[object]:
    """A command that may change a list or a sorted set."""
    one, other = rng.choice(LISTS), rng.choice(LISTS)
    zset, third = rng.choice(ZSETS), rng.choice(ZSETS)
    some = [f"e{rng.randrange(50)}" for _ in range(rng.randrange(1, few))]
    pairs = [word for element in some for word in (rng.randrange(100), element)]
    low = rng.randrange(-3, 10)
    return rng.choice(
        [
            ["LPUSH", one, *some], ["RPUSH", one, *some], ["RPUSH", one, some[0]], ["LPUSH", one, some[0]], ["LPOP", one], ["RPOP", one],
            ["LPOP", one, 3], ["LSET", one, low, some[0]], ["LINSERT", one, "BEFORE", some[0], "new"], ["LREM", one, 1, some[0]],
            ["LTRIM", one, low, -1], ["LMOVE", one, other, "LEFT", "RIGHT"], ["LMPOP", 2, one, other, "RIGHT", "COUNT", 2],
            ["SORT", one, "ALPHA", "STORE", other], ["ZADD", zset, *pairs], ["ZADD", zset, *pairs[:2]], ["ZADD", zset, "CH", *pairs],
            ["ZINCRBY", zset, 2.5, some[0]], ["ZREM", zset, *some], ["ZPOPMIN", zset], ["ZPOPMAX", zset, 2], ["ZMPOP", 1, zset, "MIN"],
            ["ZREMRANGEBYRANK", zset, low, low + 2], ["ZREMRANGEBYSCORE", zset, 10, 12], ["ZUNIONSTORE", zset, 2, zset, third],
            ["ZRANGESTORE", zset, third, 0, 20], ["DEL", rng.choice(LISTS + ZSETS)], ["RENAME", one, other], ["RENAME", zset, third],
            ["COPY", one, other, "REPLACE"], ["COPY", zset, third, "REPLACE"], ["PEXPIRE", rng.choice([one, zset]), 5],
            ["SET", rng.choice([one, zset]), "string"], ["SWAPDB", 0, 1], ["MOVE", one, 1], ["GEOADD", zset, 13.3, 38.1, some[0]],
        ]
    )  # fmt: skip


@pytest.mark.parametrize(("seed", "few", "kept"), [(1, 4, 16384), (2, 60, 16384), (3, 300, 16384), (4, 60, 500)])
def test_what_is_kept_is_true(seed: int, few: int, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "KEPT", kept)
    run = Runner(tmp_path / "store", maxmemory="2mb")
    rng = random.Random(seed)
    recalled = 0
    real = packets._recall

    def counting(*args: object) -> object:
        nonlocal recalled
        found = real(*args)  # type: ignore[arg-type]
        recalled += found is not None
        return found

    monkeypatch.setattr(packets, "_recall", counting)
    reads = [["LRANGE", key, 0, 9] for key in LISTS] + [["ZRANGE", key, 0, 5] for key in ZSETS]
    reads += [["ZREVRANGE", "z1", 0, -1, "WITHSCORES"], ["LRANGE", "l1", 0, -1], ["ZRANGE", "z2", "(5", 50, "BYSCORE", "LIMIT", 0, 3]]
    for number in range(1500):
        if rng.random() < 0.4:
            ask(run, *change(rng, few))
        run.clock.advance(rng.randrange(2))
        for read in rng.choices(reads, k=3):
            for _ in range(rng.choice([1, 3])):
                protocol = rng.choice([2, 3])
                reply = ask(run, *read, protocol=protocol)
                assert reply == encode(run(*read), protocol)
        if number % 100 == 99:
            run.evict()
    assert recalled > 500
    assert run.findings() == []
    run.close()


def test_what_expires_is_kept_until_then(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store")
    run("RPUSH", "l", "a")
    run("PEXPIRE", "l", 100)
    for _ in range(4):
        assert ask(run, "LRANGE", "l", 0, -1) == b"*1\r\n$1\r\na\r\n"
    held = run.executor.store.databases[0].objects[b"l"]
    assert isinstance(held.memo, packets.Memo)
    run.clock.advance(100)
    assert ask(run, "LRANGE", "l", 0, -1) == b"*0\r\n"
    run.close()


def test_all_that_is_kept_together_is_bounded(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store", maxmemory="64mb")
    bound = run.executor.store.cache.budget // packets.PART
    for number in range(500):
        ask(run, "RPUSH", f"l{number}", *range(200))
        for _ in range(3):
            ask(run, "LRANGE", f"l{number}", 0, -1)
    values = [run.executor.store.databases[0].objects[b"l%d" % number] for number in range(500)]
    memos = [value.memo for value in values if isinstance(value.memo, packets.Memo)]
    sizes = [len(memo.reply.wire) for memo in memos if memo.reply is not None]
    assert len(sizes) < len(memos)
    assert all(memo.argv == [] for memo in memos if memo.reply is None)
    assert 0 < sum(sizes) <= bound
    assert memos[-1] is values[-1].memo and memos[-1].reply is not None
    run.close()


def test_short_replies_and_long_requests_are_bounded_too(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store", maxmemory="1mb")
    most = run.executor.store.cache.budget // packets.PART // 500
    ask(run, "RPUSH", "l", "a")
    for number in range(3 * most):
        ask(run, "LSET", "l", 0, number)
        assert ask(run, "LRANGE", "l", 0, 0) == ask(run, "LRANGE", "l", 0, 0)
    assert 0 < len(run.executor.packets._memos) <= most
    ask(run, "ZADD", "z", 0, "a")
    for _ in range(3):
        assert ask(run, "ZRANGE", "z", "-", "[" + "b" * 10_000, "BYLEX") == b"*1\r\n$1\r\na\r\n"
    held = run.executor.store.databases[0].objects[b"z"]
    assert held is not None and not isinstance(held.memo, packets.Memo)
    run.close()
