"""Lists by themselves: both forms, their crossing, holes, and what a checkpoint catches in the middle of changes."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.format import ELEMENT, LIST_RUN, keys
from diskkv.types.list_runs import LONG, STRIDE
from diskkv.types.lists import List
from tests.support.engines import Around
from tests.support.runner import Runner


def get(run: Runner, key: str = "l") -> List:
    value = run.executor.store.databases[0].find(key.encode())
    assert isinstance(value, List)
    return value


def whole(run: Runner, key: str = "l") -> list[bytes]:
    found: list[bytes] = run("LRANGE", key, 0, -1)
    return found


def numbers(start: int, stop: int) -> list[bytes]:
    return [b"%d" % number for number in range(start, stop)]


@pytest.mark.parametrize("evicted", [False, True])
@pytest.mark.parametrize("side", ["LPUSH", "RPUSH"])
def test_a_list_becomes_large_by_its_129th_element(run: Runner, evicted: bool, side: str) -> None:
    run(side, "l", *numbers(0, 128))
    if evicted:
        run.evict()
    assert not get(run).oid
    run(side, "l", 128)
    assert get(run).oid
    expected = numbers(0, 129) if side == "RPUSH" else numbers(0, 129)[::-1]
    for step in (None, run.evict, run.reopen):
        if step is not None:
            step()
        assert whole(run) == expected
        assert run("LLEN", "l") == 129


@pytest.mark.parametrize("evicted", [False, True])
@pytest.mark.parametrize(
    "words", [("RPUSH", "l", "y" * 97), ("LPUSH", "l", "y" * 97), ("LSET", "l", 1, "y" * 1097), ("LINSERT", "l", "AFTER", "p", "y" * 97)]
)
def test_a_list_becomes_large_by_its_4097th_byte(run: Runner, evicted: bool, words: tuple[Any, ...]) -> None:
    run("RPUSH", "l", "x" * 2000, "z" * 1000, "w" * 999, "p")
    if evicted:
        run.evict()
    before = whole(run)
    assert not get(run).oid
    run(*words)
    assert get(run).oid
    after = whole(run)
    assert len(after) - len(before) == (words[0] != "LSET")
    run.evict()
    assert whole(run) == after
    run.reopen()
    assert whole(run) == after


def test_of_an_evicted_list_only_what_is_touched_is_read(run: Runner) -> None:
    run("RPUSH", "l", *numbers(0, 10_000))
    run.evict()
    assert run("LLEN", "l") == 10_000
    assert not get(run).resident
    assert run("LINDEX", "l", 5000) == b"5000"
    assert run("RPOP", "l") == b"9999"
    assert run("LPOP", "l") == b"0"
    # What is left of the runs at both ends, which are written anew.
    assert len(get(run).resident) == 1 + 31 + 15
    assert run("LRANGE", "l", 100, 199) == numbers(101, 201)
    assert len(get(run).resident) == 1 + 31 + 15 + 100


def test_a_queue_leaves_no_trace_between_checkpoints(run: Runner) -> None:
    run("RPUSH", "l", *numbers(0, 200))
    run.checkpoint()
    for number in range(200, 1000):
        run("RPUSH", "l", number)
        run("LPOP", "l")
    value = get(run)
    assert len(value.touched) <= 400
    run.reopen()
    assert whole(run) == numbers(800, 1000)


def test_changes_near_an_end_make_no_holes(run: Runner) -> None:
    run("RPUSH", "l", *numbers(0, 2000))
    run("LREM", "l", 1, 50)
    run("LREM", "l", -1, 1990)
    run("LINSERT", "l", "BEFORE", 20, "a")
    run("LINSERT", "l", "AFTER", 1980, "b")
    assert not get(run).sparse
    expected = [*numbers(0, 20), b"a", *numbers(20, 50), *numbers(51, 1981), b"b", *numbers(1981, 1990), *numbers(1991, 2000)]
    assert whole(run) == expected
    run.reopen()
    assert whole(run) == expected


def test_an_insertion_in_the_middle_of_a_huge_list_writes_little(run: Runner) -> None:
    run("RPUSH", "l", *numbers(0, 50_000))
    run.evict()
    run("LINSERT", "l", "BEFORE", 25_000, "x")
    run("LREM", "l", 0, 30_000)
    elements = [place for place in get(run).touched if isinstance(place, int)]
    # The one that came, and the run of the one that went.
    assert len(elements) == 1 + 32
    run.evict()
    assert run("LINDEX", "l", 24_999) == b"24999"
    assert run("LINDEX", "l", 25_000) == b"x"
    assert run("LINDEX", "l", 30_001) == b"30001"
    assert run("LINDEX", "l", -1) == b"49999"
    assert run("LPOP", "l") == b"0"
    assert run("RPOP", "l") == b"49999"
    assert run("LLEN", "l") == 49_998


@pytest.mark.parametrize("where", ["BEFORE", "AFTER", "random"])
def test_many_insertions_at_one_place_move_few_elements_each(run: Runner, where: str) -> None:
    run("RPUSH", "l", *numbers(0, 6000))
    rng = random.Random(7)
    model = numbers(0, 6000)
    moved = 0
    put = List.put

    def counted(self: List, place: int, value: bytes) -> None:
        nonlocal moved
        moved += 1
        put(self, place, value)

    List.put = counted  # type: ignore[method-assign]
    try:
        for number in range(4000):
            side = rng.choice(["BEFORE", "AFTER"]) if where == "random" else where
            element = b"n%d" % number
            at = model.index(b"3000") + (side == "AFTER")
            model.insert(at, element)
            assert run("LINSERT", "l", side, 3000, element) == len(model)
    finally:
        List.put = put  # type: ignore[method-assign]
    assert moved < 20 * 4000
    assert whole(run) == model
    run.reopen()
    assert whole(run) == model


def test_insertions_at_one_place_of_a_list_full_of_them_still_find_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hardly any room between positions stretches of all sizes are spread out."""
    from diskkv.types import list_elements, list_runs, lists

    for module in (list_elements, list_runs, lists):
        monkeypatch.setattr(module, "STRIDE", 17)
        monkeypatch.setattr(module, "SPAN", 17 * 32)
    run = Runner(tmp_path / "store")
    model = numbers(0, 5000)
    run("RPUSH", "l", *model)
    for number in range(3000):
        model.insert(2500, b"n%d" % number)
        run("LINSERT", "l", "BEFORE", 2500 if not number else f"n{number - 1}", f"n{number}")
    assert whole(run) == model
    run.evict()
    assert whole(run) == model
    assert run.findings() == []
    run.close()


def test_a_trim_to_little_is_a_new_object_with_the_same_expiry(run: Runner) -> None:
    run("RPUSH", "l", *numbers(0, 5000))
    db = run.executor.store.databases[0]
    db.set_expire(get(run), run.clock() + 1000)
    oid = get(run).oid
    run("LTRIM", "l", 10, 209)
    assert get(run).oid not in (0, oid)
    assert get(run).expire == run.clock() + 1000
    assert whole(run) == numbers(10, 210)
    run.reopen()
    assert whole(run) == numbers(10, 210)
    run("LTRIM", "l", 1, 3)
    assert not get(run).oid
    assert whole(run) == numbers(11, 14)
    run.clock.advance(1000)
    assert run("LLEN", "l") == 0
    run("RPUSH", "l", "fresh")
    run("LTRIM", "l", 1, 0)
    assert run("EXISTS", "l") == 0


def test_deleted_lists_leave_no_records(run: Runner) -> None:
    run("RPUSH", "a", *numbers(0, 1000))
    run("LINSERT", "a", "BEFORE", 500, "x")
    run("RPUSH", "b", *numbers(0, 1000))
    run.evict()
    run("DEL", "a")
    run("LPOP", "b", 1000)
    run.checkpoint()
    store = run.executor.store
    while store.writer.reclaimer.pending():
        store.writer._wake.set()
    assert list(store.engine.scan_keys(b"D", b"E")) == []


def test_everything_removed_vanishes(run: Runner) -> None:
    for count in (3, 1000):
        run("RPUSH", "l", *["x"] * count)
        assert run("LREM", "l", 0, "x") == count
        assert run("EXISTS", "l") == 0
        run("RPUSH", "l", *["x"] * count, "y")
        assert run("LREM", "l", -count, "x") == count
        assert whole(run) == [b"y"]
        assert run("RPOP", "l") == b"y"
        assert run("EXISTS", "l") == 0


def test_a_large_list_of_a_few_can_lose_its_last_without_its_first(run: Runner) -> None:
    run("RPUSH", "l", *numbers(0, 200))
    run("LPOP", "l", 190)
    run.evict()
    assert run("LREM", "l", 0, 199) == 1
    assert run("LREM", "l", -1, 193) == 1
    expected = [*numbers(190, 193), *numbers(194, 199)]
    assert whole(run) == expected
    run.reopen()
    assert whole(run) == expected


def test_a_trim_of_nothing_is_still_told_to_who_watches(run: Runner) -> None:
    run("RPUSH", "l", 1, 2, 3)
    changes = run.executor.store.changes
    run.session.watch(b"l")
    run("LTRIM", "l", 0, -1)
    assert run.session.watcher is not None and run.session.watcher.touched
    assert run.executor.store.changes == changes


def changes(run: Runner) -> Iterator[None]:
    """Every kind of change; a checkpoint may begin where it yields."""
    run("RPUSH", "inline", 1, 2, 3)
    run("RPUSH", "growing", *numbers(0, 127))
    run("RPUSH", "dense", *numbers(0, 1500))
    run("RPUSH", "sparse", *numbers(0, 3000))
    run("LINSERT", "sparse", "BEFORE", 1500, "x")
    run("RPUSH", "gone", *numbers(0, 400))
    yield
    run("LPOP", "inline")
    run("LPUSH", "growing", "a", "b")
    run("LPOP", "dense", 10)
    run("RPUSH", "dense", "r")
    run("LSET", "dense", 700, "set")
    run("LREM", "sparse", 0, 1000)
    run("LSET", "sparse", 1200, "set")
    run("RPOP", "sparse", 600)
    run("DEL", "gone")
    run("RPUSH", "gone", "again")
    yield
    run("LREM", "dense", 1, 800)
    run("LPUSH", "dense", *numbers(0, 20))
    run("LPOP", "sparse", 700)
    run("LPUSH", "sparse", *numbers(0, 900))
    for number in range(40):
        run("LINSERT", "sparse", "AFTER", 1400, f"i{number}")
    run("LTRIM", "growing", 0, 10)
    run("LMOVE", "inline", "gone", "LEFT", "RIGHT")
    yield
    run("LTRIM", "sparse", 300, -300)
    run("LTRIM", "dense", 1, 5)
    run("RPOP", "inline")


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("evicted", [False, True])
def test_a_checkpoint_holds_the_state_at_its_beginning(run: Runner, tmp_path: Path, at: int, evicted: bool) -> None:
    """The state that is checkpointed while commands go on, with the log behind it, gives the state at the end."""
    store = run.executor.store
    steps = changes(run)
    for _ in range(at + 1):
        next(steps)
        if evicted:
            run.evict()
            evicted = at > 1
    names = ["inline", "growing", "dense", "sparse", "gone"]
    with store.lock:
        assert not store.writer.active or store.writer.finish() is None
        store.writer.freeze()
        for _ in steps:
            pass
        expected = [whole(run, name) for name in names]
    with store.lock:
        store.writer.finish()
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "store", copy)
    assert [whole(run, name) for name in names] == expected
    other = Runner(copy)
    assert [whole(other, name) for name in names] == expected
    other.evict()
    assert [whole(other, name) for name in names] == expected
    other.close()
    run.evict()
    assert [whole(run, name) for name in names] == expected


def test_a_list_that_outgrows_its_share_of_memory_is_spilled(tmp_path: Path) -> None:
    run = Runner(tmp_path / "store", maxmemory="1mb")
    model = []
    for at in range(0, 20_000, 500):
        part = numbers(at, at + 500)
        model += part
        run("RPUSH", "l", *part)
        run.checkpoint()
    value = get(run)
    assert value.weight < run.executor.store.cache.budget
    assert whole(run) == model
    run("LINSERT", "l", "BEFORE", 10_000, "x")
    model.insert(10_000, b"x")
    for at in range(0, 20_000, 100):
        assert run("LRANGE", "l", at, at + 99) == model[at : at + 100]
    assert get(run).weight < run.executor.store.cache.budget
    run.close()


def test_copies_are_equal_and_independent(run: Runner) -> None:
    db = run.executor.store.databases[0]
    for count in (0, 3000):
        run("RPUSH", "l", "a", "b", *numbers(0, count))
        copy = List(db, b"copy%d" % count)
        get(run).copy_to(copy)
        assert whole(run, f"copy{count}") == whole(run)
        run("LSET", f"copy{count}", 0, "changed")
        assert run("LINDEX", "l", 0) == b"a"
        run("DEL", "l")


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        (["a"], b"listpack"),
        (["1"] * 4000, b"listpack"),
        (["1"] * 4100, b"quicklist"),
        (["12345"] * 2000, b"listpack"),
        (["12345"] * 2100, b"quicklist"),
        (["x" * 100] * 79, b"listpack"),
        (["x" * 100] * 81, b"quicklist"),
        (["99999999999"] * 815, b"listpack"),
        (["99999999999"] * 820, b"quicklist"),
        (["x" * 9000], b"quicklist"),
    ],
)
def test_the_encoding_is_that_of_redis_for_lists_of_this_size(run: Runner, elements: list[str], expected: bytes) -> None:
    run("RPUSH", "l", *elements)
    assert get(run).encoding() == expected


def test_positions_take_odd_steps() -> None:
    """Steps that share factors with a dict's size would make its keys collide."""
    assert STRIDE % 2


def records(run: Runner, kind: bytes) -> dict[bytes, bytes]:
    prefix = keys.data_prefix(get(run).oid) + kind
    return dict(run.executor.store.engine.scan(prefix, keys.after(prefix)))


def test_short_elements_share_records_and_long_ones_do_not(run: Runner) -> None:
    run("RPUSH", "l", *numbers(0, 3200))
    run.checkpoint()
    assert len(records(run, LIST_RUN)) == 100
    assert not records(run, ELEMENT)
    run("LPOP", "l", 40)
    run("LSET", "l", 100, "x" * (LONG + 1))
    run.checkpoint()
    assert len(records(run, LIST_RUN)) == 99
    assert len(records(run, ELEMENT)) == 1
    run("LSET", "l", 100, "short again")
    run.checkpoint()
    assert len(records(run, LIST_RUN)) == 99
    assert not records(run, ELEMENT)
    run.evict()
    assert whole(run) == [*numbers(40, 140), b"short again", *numbers(141, 3200)]


def test_what_is_changed_while_a_checkpoint_writes_a_run_finds_the_others_in_it(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()

    class Held(Around):
        def write(self, batch: Any) -> None:
            started.set()
            go_on.wait()
            super().write(batch)

    go_on.set()
    run = Runner(tmp_path / "store", wrap=Held)
    run("RPUSH", "l", *numbers(0, 200))
    run.evict()
    run("LSET", "l", 3, "first")
    started.clear()
    go_on.clear()
    with run.executor.store.lock:
        run.executor.store.writer.freeze()
        run.executor.store.writer.encode_all()
    started.wait()
    run("LSET", "l", 5, "second")
    run("RPOP", "l", 20)
    go_on.set()
    run.evict()
    assert whole(run) == [b"0", b"1", b"2", b"first", b"4", b"second", *numbers(6, 180)]
    assert run.findings() == []
    run.close()


@pytest.mark.parametrize(("before", "after"), [("short", "x" * (LONG + 1)), ("x" * (LONG + 1), "short")])
def test_a_checkpoint_may_land_while_positions_are_read(tmp_path: Path, before: str, after: str) -> None:
    """An element moves from its run to a record of its own, or back, between the scans of the two."""
    go_on = threading.Event()
    go_on.set()

    class Landing(Around):
        at_scan: str | None = None

        def _pass(self, kind: str) -> None:
            if self.at_scan == kind:
                self.at_scan = None
                go_on.set()
                # The write needs no lock, but landing does: it is in the engine when this returns.
                written.wait()

        def write(self, batch: Any) -> None:
            go_on.wait()
            super().write(batch)
            written.set()

        def scan_keys(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False) -> Iterator[bytes]:
            self._pass("own")
            return super().scan_keys(start, stop, reverse=reverse)

    written = threading.Event()
    run = Runner(tmp_path / "store", wrap=Landing)
    engine = run.executor.store.engine
    assert isinstance(engine, Landing)
    run("RPUSH", "l", *numbers(0, 2000), before)
    run("LREM", "l", 1, 1000)
    run("LINSERT", "l", "BEFORE", 300, "x" * (LONG + 1))
    run("LSET", "l", 400, before)
    run.evict()
    run("LSET", "l", 400, after)
    go_on.clear()
    written.clear()
    with run.executor.store.lock:
        run.executor.store.writer.freeze()
        run.executor.store.writer.pack_all()
        value = get(run)
        assert value.buckets is not None
        value._let_go()
        engine.at_scan = "own"
        assert value.range(390, 410)[10] == after.encode()
        assert engine.at_scan is None
    assert run.findings() == []
    run.close()
