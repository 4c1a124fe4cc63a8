"""Members of large objects: cursors, random members, growth, freezing. The model is a plain dict."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diskkv.types.hashes import Hash
from diskkv.types.members import Picks
from diskkv.types.sets import Set
from tests.support.runner import Runner


def value_of(run: Runner, key: str, kind: type[Any] = Set) -> Any:
    value = run.executor.store.databases[0].get(key.encode(), kind)
    assert value is not None
    return value


def members_of(run: Runner, key: str) -> set[bytes]:
    """What a full SSCAN finds, each at least once."""
    found: list[bytes] = []
    cursor = b"0"
    while True:
        cursor, part = run("SSCAN", key, cursor, "COUNT", 7)
        found += part
        if cursor == b"0":
            return set(found)


def shrink(run: Runner) -> None:
    """So little memory that a large object is never complete for long."""
    run.executor.store.cache.budget = 20_000


# -- cursors


@pytest.mark.parametrize("small_budget", [False, True])
def test_a_cursor_misses_nothing_that_stays(run: Runner, small_budget: bool) -> None:
    rng = random.Random(int(small_budget))
    staying = {b"stay%d" % number for number in range(600)}
    run("SADD", "s", *staying)
    if small_budget:
        shrink(run)
    disturbances: list[Callable[[], object]] = [
        run.evict, run.checkpoint, run.reopen,
        lambda: run("SADD", "s", *(f"x{rng.randrange(500)}" for _ in range(150))),
        lambda: run("SREM", "s", *(f"x{rng.randrange(500)}" for _ in range(150))),
        lambda: run("SADD", "s", f"x{rng.randrange(500)}"),
        lambda: run("SISMEMBER", "s", f"x{rng.randrange(500)}"),
        lambda: None,
    ]  # fmt: skip
    for _ in range(4):
        found: set[bytes] = set()
        cursor = b"0"
        calls = 0
        while cursor != b"0" or not calls:
            cursor, part = run("SSCAN", "s", cursor, "COUNT", 20)
            assert len(part) >= 20 or cursor == b"0"
            found.update(part)
            calls += 1
            rng.choice(disturbances)()
        assert found >= staying
        assert all(member.startswith((b"stay", b"x")) for member in found)


def test_a_small_object_comes_whole_and_a_cursor_survives_growth(run: Runner) -> None:
    run("HSET", "h", *(part for number in range(100) for part in (f"f{number}", number)))
    cursor, items = run("HSCAN", "h", 0, "COUNT", 1)
    assert cursor == b"0" and len(items) == 200
    run("HSET", "h", *(part for number in range(300) for part in (f"f{number}", number)))
    cursor, items = run("HSCAN", "h", 0, "COUNT", 50)
    assert cursor != b"0" and 100 <= len(items) <= 104
    run.evict()
    seen = dict(zip(items[::2], items[1::2], strict=True))
    while cursor != b"0":
        cursor, items = run("HSCAN", "h", cursor, "COUNT", 50)
        seen.update(zip(items[::2], items[1::2], strict=True))
    assert seen == {b"f%d" % number: b"%d" % number for number in range(300)}
    assert run("HSCAN", "h", 1 << 32) == [b"0", []]


def test_members_of_the_same_hash_come_together(run: Runner) -> None:
    store = run.executor.store
    store.hash32 = lambda member: b"\0\0\0" + member[:1]
    names = {b"%c%d" % (letter, number) for letter in b"abc" for number in range(100)}
    run("SADD", "s", *names)
    for _ in range(2):
        cursor, found, sizes = b"0", set(), []
        while True:
            cursor, part = run("SSCAN", "s", cursor, "COUNT", 10)
            found.update(part)
            sizes.append(len(part))
            if cursor == b"0":
                break
        assert found == names and sizes == [100, 100, 100]
        run.evict()


def test_match_filters_after_count(run: Runner) -> None:
    run("SADD", "s", *(f"m{number}" for number in range(500)))
    found = []
    cursor = b"0"
    while True:
        cursor, part = run("SSCAN", "s", cursor, "MATCH", "m1?", "COUNT", 50)
        found += part
        if cursor == b"0":
            break
    assert sorted(found) == [b"m1%d" % digit for digit in range(10)]


# -- random members


@pytest.mark.parametrize("evicted", [False, True])
@pytest.mark.parametrize("count", [20, 400])
def test_every_member_is_drawn(run: Runner, evicted: bool, count: int) -> None:
    run.executor.store.random.seed(7)
    names = {b"m%d" % number for number in range(count)}
    run("SADD", "s", *names)
    if evicted:
        shrink(run)
        run.evict()
    drawn = Counter(run("SRANDMEMBER", "s") for _ in range(count * 20))
    assert set(drawn) == names
    drawn = Counter(member for _ in range(40) for member in run("SRANDMEMBER", "s", -count))
    assert set(drawn) <= names and sum(drawn.values()) == 40 * count and len(drawn) > count * 0.99
    for wanted in (1, 5, count // 10, count // 2, count - 1, count, count + 1):
        sample = run("SRANDMEMBER", "s", wanted)
        assert len(sample) == len(set(sample)) == min(wanted, count) and set(sample) <= names
    fields = run("SRANDMEMBER", "s", -3)
    assert len(fields) == 3 and set(fields) <= names


def test_draws_are_uniform(run: Runner) -> None:
    run.executor.store.random.seed(11)
    run("SADD", "s", *range(300))
    run("SREM", "s", *range(100))
    run("SRANDMEMBER", "s")
    run("SREM", "s", *range(100, 150))
    run("SADD", "s", *range(50, 120))
    drawn = Counter(int(run("SRANDMEMBER", "s")) for _ in range(22_000))
    assert set(drawn) == {*range(50, 120), *range(150, 300)}
    # 100 expected for each; this is six standard deviations
    assert all(40 <= count <= 160 for count in drawn.values())


def test_picks_keep_each_member_once() -> None:
    rng = random.Random(3)
    present = {b"%d" % number for number in range(200)}
    picks = Picks(present)
    for _ in range(5000):
        match rng.randrange(3):
            case 0:
                member = b"%d" % rng.randrange(400)
                if member not in present:
                    present.add(member)
                    picks.added(member)
            case 1 if present:
                member = rng.choice(sorted(present)) if rng.random() < 0.1 else next(iter(present))
                present.remove(member)
                picks.stale.add(member)
            case _ if present:
                assert picks.draw(rng) in present
                member = picks.take(rng, 1)[0]
                present.remove(member)
        assert len(picks.entries) == len(present) + len(picks.stale)
    assert {member for member in picks.entries if member not in picks.stale} == present


@pytest.mark.parametrize("small_budget", [False, True])
def test_pop_takes_each_member_once(run: Runner, small_budget: bool) -> None:
    rng = random.Random(4)
    present = {b"m%d" % number for number in range(900)}
    run("SADD", "s", *present)
    if small_budget:
        shrink(run)
    steps = 0
    while present:
        steps += 1
        match rng.randrange(6):
            case 0:
                popped = run("SPOP", "s", rng.randrange(1, 9))
            case 1:
                run("SADD", "s", *(new := {b"n%d" % rng.randrange(10**9) for _ in range(2)}))
                present |= new
                continue
            case 2:
                gone = next(iter(present))
                assert run("SREM", "s", gone) == 1
                present.discard(gone)
                continue
            case _:
                popped = {run("SPOP", "s")}
        assert popped <= present
        present -= popped
        if steps % 40 == 0:
            rng.choice((run.evict, run.reopen, run.checkpoint))()
        assert run("SCARD", "s") == len(present)
    assert run("EXISTS", "s") == 0
    run.reopen()
    assert run("EXISTS", "s") == 0 and run("SPOP", "s") is None and run("SPOP", "s", 5) == set()


def test_popping_all_deletes_the_key(run: Runner) -> None:
    run("SADD", "s", *range(1000))
    assert len(run("SPOP", "s", 2000)) == 1000
    run.reopen()
    assert run("EXISTS", "s") == 0


def test_a_popped_batch_is_replayed(run: Runner, tmp_path: Path) -> None:
    run("SADD", "s", *range(5000))
    run("SPOP", "s", 3000)
    run("HSET", "h", "f", "10.5")
    run("HINCRBYFLOAT", "h", "f", "0.1")
    left = members_of(run, "s")
    copy = copied(run, tmp_path)
    assert copy("SCARD", "s") == 2000 and members_of(copy, "s") == left and copy("HGET", "h", "f") == b"10.6"
    copy.close()


def test_absurd_counts_are_refused(run: Runner) -> None:
    run("SADD", "s", 1, 2)
    run("HSET", "h", "f", 1)
    for argv in [("SRANDMEMBER", "s", -(2**62)), ("HRANDFIELD", "h", -(2**62)), ("HRANDFIELD", "h", -(2**40), "WITHVALUES")]:
        assert "value is out of range, value must between" in run(*argv).text
    assert sorted(run("SRANDMEMBER", "s", 2**62)) == [b"1", b"2"]
    assert len(run("SRANDMEMBER", "s", -100_000)) == 100_000


# -- growth


@pytest.mark.parametrize("evict", [False, True])
def test_crossing_the_limits(run: Runner, evict: bool) -> None:
    run("SADD", "count", *(f"m{number}" for number in range(128)))
    run("HSET", "bytes", "a", "x" * 4000)
    if evict:
        run.evict()
    assert not value_of(run, "count").oid and not value_of(run, "bytes", Hash).oid
    run("SADD", "count", "m128")
    run("HSET", "bytes", "a", "x" * 4095)
    assert value_of(run, "count").oid and not value_of(run, "bytes", Hash).oid
    run("HSET", "bytes", "b", "y")
    assert value_of(run, "bytes", Hash).oid
    for step in (run.checkpoint, run.evict, run.reopen):
        step()
        assert run("SMEMBERS", "count") == {b"m%d" % number for number in range(129)}
        assert run("HGETALL", "bytes") == {b"a": b"x" * 4095, b"b": b"y"}
    run("SREM", "count", *(f"m{number}" for number in range(128)))
    run.reopen()
    assert run("SMEMBERS", "count") == {b"m128"} and run("SCARD", "count") == 1


def test_encodings(run: Runner) -> None:
    cases: list[tuple[bytes, list[Any]]] = [
        (b"intset", [1, 2, 3]), (b"intset", [*range(512)]), (b"hashtable", [*range(513)]), (b"listpack", ["a", 1]),
        (b"listpack", [f"m{number}" for number in range(128)]), (b"hashtable", [f"m{number}" for number in range(129)]),
        (b"hashtable", ["x" * 65]), (b"listpack", ["x" * 60 + f"{number:04}" for number in range(128)]), (b"hashtable", [*range(300), "a"]),
    ]  # fmt: skip
    for number, (_, members) in enumerate(cases):
        for member in members:
            run("SADD", f"s{number}", member)
    steps: list[Callable[[], object]] = [lambda: None, run.evict, run.reopen]
    for step in steps:
        step()
        assert [value_of(run, f"s{number}").encoding() for number in range(len(cases))] == [name for name, _ in cases]
    run("HSET", "h", "f", "v")
    run("HSET", "long", "f", "v" * 65)
    run("HSET", "wide", *(part for number in range(129) for part in (f"f{number}", 1)))
    run("HDEL", "wide", *(f"f{number}" for number in range(100)))
    run("HSET", "heavy", *(part for number in range(100) for part in (f"f{number}", "v" * 60)))
    for step in steps[:2]:
        step()
        assert [value_of(run, key, Hash).encoding() for key in ("h", "long", "wide", "heavy")] == [
            b"listpack", b"hashtable", b"hashtable", b"listpack",
        ]  # fmt: skip


def test_copy(run: Runner) -> None:
    db = run.executor.store.databases[0]
    run("SADD", "s", *range(700))
    run("HSET", "h", "f", "v")
    for key, kind in ((b"s", Set), (b"h", Hash)):
        source = db.get(key, kind)
        assert source is not None
        with run.executor.store.lock:
            source.copy_to(db.open(key + b"2", kind))
            run.executor.store.commit()
    run("SREM", "s", *range(700))
    run.evict()
    assert run("SMEMBERS", "s2") == {b"%d" % number for number in range(700)} and run("HGETALL", "h2") == {b"f": b"v"}


# -- the checkpoint


def copied(run: Runner, tmp_path: Path) -> Runner:
    """A store opened from a copy of the directory as it is now, as after a crash."""
    target = tmp_path / "copy"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(run.path, target)
    return Runner(target)


@pytest.mark.parametrize("evicted", [False, True])
def test_a_checkpoint_is_the_state_at_its_freeze(run: Runner, tmp_path: Path, evicted: bool) -> None:
    run("SADD", "s", *range(400))
    run("HSET", "h", *(part for number in range(400) for part in (f"f{number}", 1)))
    run("SADD", "small", 1, 2, 3)
    run("SADD", "doomed", *range(400))
    if evicted:
        run.evict()
        shrink(run)
    run("HINCRBY", "h", "f1", 1)
    run("SADD", "s", 1000)
    run("SADD", "small", 4)
    store = run.executor.store
    with store.lock:
        store.writer.freeze()
        # the thread can't encode anything before the lock is free: each of these must have it done first
        run("HINCRBY", "h", "f1", 5)
        run("HDEL", "h", "f2")
        run("SADD", "s", 1001)
        run("SREM", "s", 1000, 5)
        run("SADD", "small", *range(200))
        run("SREM", "doomed", *range(400))
        run("SADD", "doomed", "again")
        assert run("HGET", "h", "f1") == b"7" and run("HGET", "h", "f2") is None and run("HLEN", "h") == 399
        cursor, found = b"0", []
        while True:
            cursor, part = run("HSCAN", "h", cursor, "COUNT", 100)
            found += part[::2]
            if cursor == b"0":
                break
        assert len(found) == 399 and b"f2" not in found
        store.writer.finish()
    expected = ({b"%d" % number for number in range(400)} | {b"1001"}) - {b"5"}
    for reader in (run, copied(run, tmp_path)):
        assert reader("SCARD", "s") == len(expected) and reader("SMEMBERS", "s") == expected
        assert members_of(reader, "s") == expected
        fields = reader("HGETALL", "h")
        assert fields[b"f1"] == b"7" and b"f2" not in fields and len(fields) == reader("HLEN", "h") == 399
        assert reader("SCARD", "small") == 200 and reader("SMEMBERS", "doomed") == {b"again"}
        if reader is not run:
            reader.close()
    run.reopen()
    assert run("SMEMBERS", "s") == expected and run("SCARD", "small") == 200


# -- memory


def test_weights_add_up(run: Runner) -> None:
    rng = random.Random(9)
    for round_ in range(60):
        for key in ("a", "b"):
            run("HSET", key, *(part for _ in range(30) for part in (f"f{rng.randrange(400)}", "v" * rng.randrange(50))))
            run("HDEL", key, *(f"f{rng.randrange(400)}" for _ in range(20)))
            run("HGET", key, f"f{rng.randrange(800)}")
        if round_ % 20 == 10:
            run.evict()
        if round_ == 40:
            shrink(run)
        for key in ("a", "b"):
            value = value_of(run, key, Hash)
            content = sum(value.ENTRY + len(name) + len(data or b"") for name, data in value.resident.items())
            assert value.weight - content == 350 + len(key)


def test_a_large_object_is_not_held_whole_in_little_memory(run: Runner) -> None:
    names = [b"member:%06d" % number for number in range(5000)]
    for at in range(0, len(names), 100):
        run("SADD", "s", *names[at : at + 100])
    run.evict()
    shrink(run)
    for name in names:
        assert run("SISMEMBER", "s", name) == 1 and run("SISMEMBER", "s", name + b"x") == 0
        assert value_of(run, "s").weight < 20_000
    assert len(run("SMEMBERS", "s")) == 5000 and len(run("SUNION", "s", "none")) == 5000
    assert run("SINTERCARD", 2, "s", "s") == 5000 and run("SDIFF", "s", "s") == set()
    assert value_of(run, "s").weight < 20_000
    assert run("SUNIONSTORE", "t", "s") == 5000
    run.checkpoint()
    assert value_of(run, "t").weight < 20_000
    assert members_of(run, "t") == set(names)
