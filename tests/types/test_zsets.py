"""Large sorted sets: records, pages, checkpoints that freeze, fail or half succeed, little memory. The model is a dict."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from diskkv.errors import StoreError
from diskkv.format import BUCKET, MEMBER, RANKED, keys
from diskkv.format.ordered import unpack_f64, unpack_u32
from diskkv.store import readying, writer
from diskkv.types import ranked, zsets
from diskkv.types.zsets import ZSet
from tests.support.runner import Runner

Model = dict[bytes, float]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, small in (("MOST", 32), ("FEW", 6), ("JOINED", 20), ("KEPT", 2), ("UNREAD", 3)):
        monkeypatch.setattr(ranked, name, small)


def zset_of(run: Runner, key: str = "z") -> ZSet:
    value = run.executor.store.databases[0].get(key.encode(), ZSet)
    assert value is not None
    return value


def verify_records(run: Runner, model: Model) -> None:
    """What lies in the engine for `z` is exactly the model. REQUIRES: nothing is dirty."""
    zset = zset_of(run)
    engine = run.executor.store.engine
    prefix = keys.data_prefix(zset.oid)
    width = len(prefix)
    found: dict[bytes, dict[bytes, bytes]] = {MEMBER: {}, RANKED: {}, BUCKET: {}}
    for key, raw in engine.scan(prefix, keys.after(prefix)):
        found[key[width : width + 1]][key[width + 1 :]] = raw
    assert {sub[4:]: unpack_f64(raw) for sub, raw in found[MEMBER].items()} == model
    assert [(unpack_f64(sub), sub[8:]) for sub in found[RANKED]] == sorted((score, member) for member, score in model.items())
    bounds = [*sorted(found[BUCKET]), b"\xff" * 9]
    for low, high in pairwise(bounds):
        assert unpack_u32(found[BUCKET][low]) == sum(low <= sub < high for sub in found[RANKED])
    assert bounds[0] == b"\0\x0f" + b"\xff" * 6


def verify_replies(run: Runner, model: Model, rng: random.Random) -> None:
    order = sorted((score, member) for member, score in model.items())
    assert run("ZCARD", "z") == len(model)
    assert run("ZRANGE", "z", 0, -1) == [member for _, member in order]
    for _ in range(5):
        rank = rng.randrange(len(order))
        score, member = order[rank]
        assert run("ZRANK", "z", member) == rank and run("ZSCORE", "z", member) == score
        assert run("ZCOUNT", "z", score, "inf") == sum(other >= score for other, _ in order)
        assert run("ZREVRANGE", "z", rank, rank + 3) == [member for _, member in order[::-1][rank : rank + 4]]
    found: Model = {}
    cursor = b"0"
    while True:
        cursor, part = run("ZSCAN", "z", cursor, "COUNT", 50)
        found.update(zip(part[::2], map(float, part[1::2]), strict=True))
        if cursor == b"0":
            break
    assert found == model


def disturb(run: Runner, model: Model, rng: random.Random) -> None:
    """One random change."""
    name = b"m%d" % rng.randrange(rng.choice((200, 1500)))
    kind = rng.random()
    if kind < 0.7:
        pairs = {b"m%d" % rng.randrange(1500): float(rng.choice((1, rng.randrange(100)))) for _ in range(rng.choice((1, 1, 40)))}
        run("ZADD", "z", *(part for member, score in pairs.items() for part in (score, member)))
        model.update(pairs)
    elif kind < 0.8:
        run("ZINCRBY", "z", 0.5, name)
        model[name] = model.get(name, 0.0) + 0.5
    elif kind < 0.97 or len(model) < 500:
        if len(model) > 200:
            run("ZREM", "z", name)
            model.pop(name, None)
    else:
        popped = run(rng.choice(("ZPOPMIN", "ZPOPMAX")), "z", 100)
        for member, score in popped.items:
            assert model.pop(member) == score


@pytest.mark.parametrize("seed", range(4))
def test_records_are_exact_after_each_checkpoint(run: Runner, small_pages: None, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    store = run.executor.store
    if seed % 2:
        store.cache.budget = 20_000
    run("ZADD", "z", *(part for number in range(300) for part in (number % 50, f"m{number}")))
    model: Model = {b"m%d" % number: float(number % 50) for number in range(300)}
    for round_ in range(25):
        for _ in range(20):
            disturb(run, model, rng)
        with store.lock:
            store.commit()
            store.writer.freeze()
            # None of this may be in the batch: it has its turn in the next.
            for _ in range(10):
                disturb(run, model, rng)
            if rng.random() < 0.5:
                verify_replies(run, model, rng)
            store.writer.finish()
        if round_ % 8 == 7:
            # The directory as it is now, as after a crash; the log brings it up to date.
            copy = tmp_path / f"copy{round_}"
            shutil.copytree(run.path, copy)
            other = Runner(copy)
            verify_replies(other, model, rng)
            other.checkpoint()
            verify_records(other, model)
            other.close()
        verify_replies(run, model, rng)
        if rng.random() < 0.5:
            rng.choice((run.evict, run.checkpoint))()
            verify_records(run, model)
    run.reopen()
    verify_records(run, model)
    verify_replies(run, model, rng)


@pytest.mark.parametrize("written", [False, True])
def test_failed_checkpoints_leave_nothing_behind(run: Runner, small_pages: None, monkeypatch: pytest.MonkeyPatch, written: bool) -> None:
    """Also when the batch was written although the engine said that it was not."""
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.001)
    rng = random.Random(written)
    store = run.executor.store
    engine = store.engine
    run("ZADD", "z", *(part for number in range(300) for part in (number % 50, f"m{number}")))
    model: Model = {b"m%d" % number: float(number % 50) for number in range(300)}
    run.evict()
    for _ in range(6):
        for _ in range(rng.randrange(1, 3)):
            for _ in range(15):
                disturb(run, model, rng)
            real = engine.write

            def failing(batch: Any, real: Any = real) -> None:
                if written:
                    real(batch)
                raise StoreError("no")

            monkeypatch.setattr(engine, "write", failing)
            failures = store.writer.failures
            with store.lock:
                store.commit()
                store.writer.freeze()
                for _ in range(5):
                    disturb(run, model, rng)
                store.writer.finish()
            while store.writer.healing:
                time.sleep(0.001)
            assert store.writer.failures == failures + 1
            monkeypatch.setattr(engine, "write", real)
            verify_replies(run, model, rng)
        run.evict()
        verify_records(run, model)
        verify_replies(run, model, rng)


def test_growth_crosses_both_limits(run: Runner) -> None:
    for key, width, most in (("many", 1, 128), ("long", 200, 20)):
        for number in range(most):
            run("ZADD", key, number, f"{number:0{width}d}")
        assert not zset_of(run, key).oid
        run.evict()
        run("ZRANGE", key, 0, -1)
        run("ZADD", key, -1, "x" * width)
        assert zset_of(run, key).oid
        for step in (run.evict, run.reopen):
            step()
            assert run("ZRANGE", key, 0, 1) == [b"x" * width, b"%0*d" % (width, 0)] and run("ZCARD", key) == most + 1


def test_emptied_and_born_again(run: Runner) -> None:
    for _ in range(2):
        run("ZADD", "z", *(part for number in range(400) for part in (number, number)))
        run.evict()
        assert run("ZREMRANGEBYRANK", "z", 0, -1) == 400
        assert run("EXISTS", "z") == 0 and run("ZCARD", "z") == 0
        run("ZADD", "z", 1, "a")
        run.evict()
        assert run("ZRANGE", "z", 0, -1) == [b"a"]
        assert run("ZREM", "z", "a", "b") == 1 and run("EXISTS", "z") == 0


def test_copy_rename_and_extremes(run: Runner) -> None:
    db = run.executor.store.databases[0]
    run("ZADD", "z", "-inf", "low", "inf", "high", "-0", "zero", *(part for number in range(300) for part in (number / 7, number)))
    assert str(run("ZSCORE", "z", "zero")) == "0.0"
    zset_of(run).copy_to(db.open(b"copy", ZSet))
    run.executor.store.commit()
    run("ZREM", "z", "low")
    run.evict()
    assert run("ZRANGE", "copy", 0, 0) == [b"low"] and run("ZRANGE", "copy", -1, -1) == [b"high"] and run("ZCARD", "copy") == 303
    assert run("ZRANGE", "z", 0, 1) == [b"0", b"zero"]
    assert str(run("ZINCRBY", "copy", "-inf", "high")) == "ERR resulting score is not a number (NaN)"
    assert run("ZCOUNT", "copy", "-inf", "(inf") == 302 and run("ZCOUNT", "copy", "(-inf", "inf") == 302


def test_little_memory(run: Runner) -> None:
    run("ZADD", "z", *(part for number in range(20_000) for part in (number % 1000, f"member:{number}")))
    run.evict()
    run.executor.store.cache.budget = 400_000
    for number in range(0, 20_000, 7):
        assert run("ZSCORE", "z", f"member:{number}") == number % 1000
        if number % 70 == 0:
            assert run("ZRANK", "z", f"member:{number}") is not None
        assert zset_of(run).weight < 220_000
    assert len(run("ZRANGE", "z", 0, -1)) == 20_000
    assert zset_of(run).weight < 220_000


def test_weights_add_up(run: Runner, small_pages: None) -> None:
    rng = random.Random(3)
    run("ZADD", "z", *(part for number in range(300) for part in (number % 50, f"m{number}")))
    model: Model = {b"m%d" % number: float(number % 50) for number in range(300)}
    for round_ in range(40):
        for _ in range(10):
            disturb(run, model, rng)
        if round_ % 5 == 0:
            run.evict()
        if round_ == 20:
            run.executor.store.cache.budget = 20_000
        verify_replies(run, model, rng)
        zset = zset_of(run)
        held = zset.index.held if zset.index is not None else 0
        assert zset.counted == held
        assert zset.weight == 350 + 1 + held + sum(zset.ENTRY + len(member) for member in zset.resident)


def pages(zset: ZSet) -> Iterator[ranked.Page]:
    index = zset.index
    return iter(index.pages) if index is not None else iter(())


def test_adding_to_an_evicted_zset_loads_no_page(run: Runner) -> None:
    run("ZADD", "z", *(part for number in range(20_000) for part in (number, f"member:{number}")))
    run.evict()
    for number in range(0, 2000):
        run("ZADD", "z", number * 10 + 0.5, f"new:{number}")
    zset = zset_of(run)
    assert sum(page.ordered or page.whole for page in pages(zset)) == 0 and zset.index is not None
    assert run("ZRANK", "z", "new:1500") == 15_000 + 1 + 1500
    assert sum(page.ordered or page.whole for page in pages(zset)) == 1
    run.evict()
    assert run("ZRANGE", "z", 11, 12) == [b"member:10", b"new:1"]


def test_a_zset_that_grows_everywhere_lets_go_of_its_index(run: Runner) -> None:
    """No page of it is ever clean, because something comes to each while a checkpoint is under way."""
    store = run.executor.store
    store.cache.budget = 2_000_000
    for start in range(0, 40_000, 2000):
        with store.lock:
            store.commit()
            store.writer.freeze()
        run("ZADD", "z", *(part for number in range(start, start + 2000) for part in (number * 7919 % 40_009, f"member:{number}")))
        with store.lock:
            store.writer.finish()
        assert sum(page.count for page in pages(zset_of(run)) if page.ordered or page.whole) <= 20_000
        assert zset_of(run).weight < 2_000_000
    order = sorted((number * 7919 % 40_009, f"member:{number}".encode()) for number in range(40_000))
    assert run("ZRANGE", "z", 0, -1) == [member for _, member in order]
    run.checkpoint()
    verify_records(run, {member: float(score) for score, member in order})


def test_pages_that_fly_are_kept_also_when_they_have_been_joined_to_others(run: Runner, small_pages: None) -> None:
    """The index has forgotten then that anything flies, but the engine does not have it yet."""
    store = run.executor.store
    model = {b"m%d" % number: float(number) for number in range(300)}
    run("ZADD", "z", *(part for member, score in model.items() for part in (score, member)))
    for number in range(300):
        if number % 16 > 7:
            run("ZREM", "z", b"m%d" % number)
            del model[b"m%d" % number]
    run.evict()
    verify_replies(run, model, random.Random(1))
    index = zset_of(run).index
    assert index is not None
    page = index.pages[3]
    before, *others = list(page.members)
    with store.lock:
        model[b"new"] = model[before] + 0.5
        run("ZADD", "z", model[b"new"], "new")
        store.commit()
        store.writer.freeze()
        assert list(index.changed_flying) == [page]
        for member in others[:4]:
            run("ZREM", "z", member)
            del model[member]
        zset_of(run).settle()
        assert page not in index.pages and not index.changed_flying
        store.cache.budget = 2000
        zset_of(run)._spill()
        verify_replies(run, model, random.Random(1))
        store.writer.finish()
    verify_replies(run, model, random.Random(1))
    run.checkpoint()
    verify_records(run, model)


def test_an_engine_that_can_not_be_read_when_a_checkpoint_lands(run: Runner, small_pages: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is let go of then is not read for it: the writer's thread lives on."""
    store = run.executor.store
    model = {b"m%03d" % number: float(number) for number in range(300)}
    run("ZADD", "z", *(part for member, score in model.items() for part in (score, member)))
    run.evict()
    run("ZRANK", "z", "m000")
    with store.lock:
        run("ZADD", "z", 0.5, "flies")
        store.commit()
        store.writer.freeze()
        run("ZADD", "z", 1.5, "first")
        zset_of(run).settle()
        for number in range(40):
            run("ZADD", "z", 200.5, f"new{number}")
        store.commit()

        def unreadable(*_: Any, **__: Any) -> Iterator[bytes]:
            raise StoreError("too many open files")

        store.cache.budget = 0
        landed = store.writer.checkpoints + 1
        patience = time.monotonic() + 60
        with monkeypatch.context() as patch:
            patch.setattr(store.engine, "scan_keys", unreadable)
            while store.writer.checkpoints < landed and time.monotonic() < patience:
                store.landed.wait(0.1)
        assert store.writer.checkpoints == landed
        assert not any(page.ordered or page.whole for page in pages(zset_of(run)))
    model.update({b"flies": 0.5, b"first": 1.5, **{b"new%d" % number: 200.5 for number in range(40)}})
    verify_replies(run, model, random.Random(1))
    run.checkpoint()
    verify_records(run, model)


def test_of_many_sorted_sets_few_changes_wait(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are settled when a checkpoint begins, while nobody is served."""
    monkeypatch.setattr(zsets, "WAITING", 400)
    for number in range(20):
        run("ZADD", number, *[word for member in range(300) for word in (member, member)])
    values = [run.executor.store.databases[0].objects[b"%d" % number] for number in range(20)]
    rng = random.Random(3)

    def waiting() -> int:
        return sum(len(value.moved) for value in values)

    for _ in range(2):
        run.checkpoint()
        assert waiting() == 0
        most = 0
        for _ in range(5000):
            run("ZADD", rng.randrange(20), rng.randrange(10_000), rng.randrange(300))
            most = max(most, waiting())
    assert 150 < most <= 400
    for value in values:
        scores = value.resident
        assert value.by_rank(0, 300) == sorted(scores, key=lambda member: (scores[member], member))


def test_sorted_sets_make_themselves_ready_for_a_checkpoint_a_few_at_a_time(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evicted ones read their buckets for it: thousands at once would have everybody wait."""
    monkeypatch.setattr(readying, "READYING", 0)
    for number in range(40):
        run("ZADD", number, *[word for member in range(300) for word in (member, member)])
    run.evict()
    store = run.executor.store
    for number in range(40):
        run("ZADD", number, 7, "new")
    landed = store.writer.checkpoints
    monkeypatch.setattr(store.writer, "due", lambda: not store.writer.active)
    waiting = [len(store.large)]
    with store.lock:
        while not store.writer.active and store.writer.checkpoints == landed:
            run("SET", "a", "b")
            waiting.append(sum(bool(value.moved) for value in store.databases[0].objects.values() if value.__class__ is ZSet))
    assert waiting[0] == 40
    assert len(waiting) > 10
    assert all(0 <= before - after <= 3 for before, after in pairwise(waiting))
    assert waiting[-1] == 0
