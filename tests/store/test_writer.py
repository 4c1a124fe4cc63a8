"""The writer's thread: what else it does has its turn however fast one checkpoint follows the other."""

from __future__ import annotations

import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from diskkv.engine import Engine
from diskkv.store.backlog import FULLER, SLACK
from diskkv.store.writer import FAIR, HURRY, KEY_TIME, LEISURE, MOST, PATIENCE, RECORDS, SLICE, SLICES, Writer
from tests.support.contents import copy_of
from tests.support.engines import Held
from tests.support.runner import Runner

ENOUGH = 20


@pytest.fixture
def busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """A store in which the next checkpoint is under way whenever one has landed, until there were ENOUGH."""
    land = Writer._land

    def land_and_freeze(self: Writer) -> None:
        land(self)
        if not self._stopping and self.checkpoints < ENOUGH:
            run.executor.begin()
            run.executor.execute(run.session, [b"SET", b"key", b"%d" % self.checkpoints])
            run.executor.store.commit()
            if not self.active:
                self.freeze()

    run = Runner(tmp_path / "store")
    monkeypatch.setattr(Writer, "_land", land_and_freeze)
    return run


def begin(run: Runner) -> None:
    run("SET", "key", 1)
    with run.executor.store.lock:
        run.executor.store.writer.freeze()


def test_an_errand_is_run_between_two_checkpoints(busy: Runner) -> None:
    writer = busy.executor.store.writer
    seen: list[int] = []
    done = threading.Event()

    def errand() -> None:
        seen.append(writer.checkpoints)
        done.set()

    writer.undisturbed(errand)
    begin(busy)
    assert done.wait(60)
    busy.close()
    assert seen[0] < ENOUGH


def test_space_is_reclaimed_between_checkpoints(busy: Runner) -> None:
    busy("SADD", "set", *range(1000))
    busy("DEL", "set")
    writer = busy.executor.store.writer
    step = writer.reclaimer.step
    seen: list[int] = []
    done = threading.Event()

    def noted() -> None:
        seen.append(writer.checkpoints)
        step()
        done.set()

    writer.reclaimer.step = noted  # type: ignore[method-assign]
    begin(busy)
    assert done.wait(60)
    busy.close()
    assert seen[0] < ENOUGH


class Recorded(threading.Event):
    """An event that knows for how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.patience: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.patience.append(timeout)
        return super().wait(timeout)


@pytest.mark.parametrize("backlogged", [True, False])
def test_the_thread_encodes_without_rests_while_writers_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backlogged: bool
) -> None:
    run = Runner(tmp_path / "store")
    store = run.executor.store
    for number in range(0, 4000, 100):
        run("MSET", *(word for each in range(number, number + 100) for word in (f"key:{each}", "value")))
        run("SADD", "set", *range(number, number + 100))
    writer = store.writer
    monkeypatch.setattr(writer, "backlogged", lambda: backlogged)
    monkeypatch.setattr("diskkv.store.writer.FAIR", 1 << 60)
    waited = Recorded()
    monkeypatch.setattr(writer, "_encoded", waited)
    with store.lock:
        writer.freeze()
        assert len(writer.frozen) == 4001
    assert waited.wait(60)
    with store.lock:
        while writer.active:
            store.landed.wait(60)
    times = [patience for patience in waited.patience if patience != 60]
    assert times[0] == PATIENCE
    assert len(times) > 4000 // SLICE // SLICES + 1
    assert set(times[1:]) == {HURRY if backlogged else LEISURE}
    run.close()


def test_a_tick_of_many_commands_encodes_many_keys(run: Runner) -> None:
    store = run.executor.store
    run("MSET", *(word for each in range(4000) for word in (f"key:{each}", "value")))
    with store.lock:
        store.writer.freeze()
        at = store.writer._at
        for commands, encoded in ((0, SLICE), (10, SLICE), (500, 1000), (100_000, MOST)):
            store.writer.step(commands)
            assert store.writer._at - at == encoded
            at = store.writer._at


def test_what_large_objects_handed_over_is_packed_at_the_end_of_ticks(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    store = run.executor.store
    run("SADD", "one", *range(3000))
    run("SADD", "other", *range(3000))
    with store.lock:
        store.writer.freeze()
        writer = store.writer
        writer.step()
        assert writer.packing and not writer.encoding
        packed: list[bytes] = []
        with monkeypatch.context() as patch:
            patch.setattr(writer, "_batch", Noting(writer._batch, packed))
            # Each record takes as long as a key is taken to need.
            patch.setattr("diskkv.store.writer.perf_ns", lambda: len(packed) * KEY_TIME)
            seen = 0
            for commands, records in ((0, SLICE), (500, 1000), (1000, MOST), (100_000, MOST)):
                writer.step(commands)
                assert 0 <= len(packed) - seen - records < RECORDS
                seen = len(packed)
            while writer.packing:
                writer.step()
        assert len(packed) == len(set(packed)) == 6000


class Noting:
    """A batch of which it is noted what is put into it."""

    def __init__(self, batch: Any, noted: list[bytes]) -> None:
        self._batch = batch
        self._noted = noted
        self.delete = batch.delete

    def put(self, key: bytes, value: bytes) -> None:
        self._noted.append(key)
        self._batch.put(key, value)


def test_the_log_stays_that_a_checkpoint_needs_which_begins_while_the_last_is_tidied_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines: list[Held] = []

    def wrap(engine: Engine) -> Held:
        engines.append(Held(engine))
        return engines[-1]

    run = Runner(tmp_path / "store", wrap=wrap)
    store = run.executor.store
    dropped = threading.Event()
    drop = store.log.drop_before

    def noted(segment: int) -> None:
        drop(segment)
        dropped.set()

    def begin_the_next(seconds: float) -> None:
        if not dropped.is_set() and not store.writer.active:
            store.log.prepare()
            run("SET", "later", 2)
            with store.lock:
                engines[-1].hold()
                store.writer.freeze()

    monkeypatch.setattr(store.log, "drop_before", noted)
    monkeypatch.setattr("diskkv.store.writer.sleep", begin_the_next)
    begin(run)
    assert dropped.wait(60)
    copy = Runner(copy_of(tmp_path / "store", tmp_path / "copy"))
    assert (copy("GET", "key"), copy("GET", "later")) == (b"1", b"2")
    copy.close()
    engines[-1].release()
    run.close()


@pytest.mark.parametrize(("took", "most"), [(1_000_000, 100), (0, 42_000)])
def test_a_checkpoint_begins_before_a_replay_would_take_too_long(
    run: Runner, monkeypatch: pytest.MonkeyPatch, took: int, most: int
) -> None:
    """What took 1 ms each takes as long when it is done again; what took no time has to be read and looked up all the same."""
    store = run.executor.store
    times = count(0, took)
    monkeypatch.setattr("diskkv.dispatch.executor.perf_ns", lambda: next(times))
    store.backlog.limit(log_work=100_000_000)
    for number in range(most):
        run("SET", number, "x")
        if number < most * 0.98:
            assert store.writer.checkpoints == 0 and not store.writer.active
    for number in range(most // 10):
        run("SET", number, "x")
    run.checkpoint()
    assert store.writer.checkpoints > 1


def test_a_command_that_changes_much_is_much_work(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replayed after a crash it looks up all of its members, and as much of it waits for the engine as of many commands."""
    store = run.executor.store
    monkeypatch.setattr("diskkv.dispatch.executor.perf_ns", lambda: 0)
    store.backlog.limit(log_work=50_000_000)
    for start in range(0, 49_000, 1000):
        run("SADD", "set", *range(start, start + 1000))
        assert store.writer.checkpoints == 0 and not store.writer.active
    for start in range(49_000, 60_000, 1000):
        run("SADD", "set", *range(start, start + 1000))
    run.checkpoint()
    assert store.writer.checkpoints > 1
    store.backlog.limit(log_work=1 << 60, dirty_bytes=600_000)
    before = store.writer.checkpoints
    for number in range(10_000):
        run("SADD", "another", number)
    run.checkpoint()
    assert store.writer.checkpoints > before + 1


def test_the_same_changed_again_and_again_takes_no_more_memory(run: Runner) -> None:
    """So it is no reason for a checkpoint. What is deleted takes some, whether it is there or not."""
    store = run.executor.store
    store.backlog.limit(log_work=1 << 60, dirty_bytes=600_000)
    run("SADD", "set", *range(1000))
    for number in range(10_000):
        run("SET", number % 10, "x" * 50)
        run("SREM", "set", number % 1000)
        run("SADD", "set", number % 1000)
        assert store.writer.checkpoints == 0 and not store.writer.active
    run("SADD", "set", *range(20_000))
    for number in range(20_000):
        run("SREM", "set", number)
    run.checkpoint()
    assert store.writer.checkpoints > 1


def test_who_waits_for_a_checkpoint_packs_all_of_it(run: Runner) -> None:
    """Not the thread, which would let others have the lock after every few records."""
    store = run.executor.store
    run("SADD", "set", *range(10_000))
    with store.lock:
        store.writer.freeze()
        assert store.writer.packing
        store.writer.finish()
        assert store.writer.checkpoints == 1
    run("SADD", "set", *range(10_000, 20_000))
    with store.lock:
        store.writer.freeze()
        store.writer.pack_all()
        assert not store.writer.packing
    run.checkpoint()
    assert run("SCARD", "set") == 20_000


def test_what_a_short_command_makes_of_others_is_ahead_of_the_engine(run: Runner) -> None:
    """The log's growth does not tell of it: by that alone a client could fill several times `maxmemory`."""
    run("SADD", "a", *range(5000))
    run.checkpoint()
    store = run.executor.store
    before = store.backlog.bytes
    run("SUNIONSTORE", "b", "a")
    assert store.backlog.bytes - before >= store.databases[0].objects[b"b"].weight


def test_what_one_byte_changes_is_ahead_of_the_engine_as_a_whole(run: Runner) -> None:
    """The log tells of a byte: by that alone a piece of a large string, or a whole short one, counted as nothing."""
    run("SETRANGE", "large", 1_000_000, "x")
    run("SET", "short", "x" * 50_000)
    run.evict()
    backlog = run.executor.store.backlog
    before = backlog.bytes
    run("SETBIT", "large", 4_000_000, 1)
    assert 16_000 < backlog.bytes - before < 20_000
    run("SETBIT", "large", 4_000_008, 1)
    assert backlog.bytes - before < 20_000
    before = backlog.pinned
    run("APPEND", "short", "y")
    run("APPEND", "short", "y")
    assert 50_000 < backlog.pinned - before < 55_000


def test_a_checkpoint_begins_when_what_can_not_be_evicted_fills_the_cache(tmp_path: Path) -> None:
    """However little of it has changed: 6,000 short strings to which a byte each was added took six times `maxmemory`."""
    run = Runner(tmp_path / "store", maxmemory="8mb")
    store = run.executor.store
    for number in range(600):
        run("SET", number, "x" * 50_000)
    run.evict()
    before = store.writer.checkpoints
    most = 0
    for number in range(600):
        run("APPEND", number, "y")
        most = max(most, store.cache.used)
    assert store.writer.checkpoints > before
    assert most < max(FULLER * store.cache.budget, store.cache.budget + SLACK) + 100_000
    run.close()


def test_a_command_of_many_words_has_as_much_of_a_checkpoint_encoded_as_many_commands(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    store = run.executor.store
    run("SADD", "set", *range(3000))
    asked: list[int] = []
    with store.lock:
        store.writer.freeze()
        monkeypatch.setattr(store.writer, "step", asked.append)
        run("HSET", "hash", *range(400))
        run("SET", "a", 1)
        run("SET", "b", 1)
    assert asked == [201 + 1, 1, 1]


def test_a_thread_that_has_to_wait_for_the_lock_encodes_the_more(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a checkpoint that all writers wait for would last as many rounds of those who ask for much."""
    store = run.executor.store
    run("MSET", *(word for each in range(4000) for word in (f"key:{each}", "value")))
    now = 0
    waits = iter([FAIR + 12, FAIR + 12, FAIR - 1, *[0] * 100])
    steps: list[int] = []
    step = store.writer.step

    def clock() -> int:
        return now

    def counted() -> None:
        nonlocal now
        now += 1
        steps[-1] += 1
        step()

    class Lock:
        """The store's, for which one has to wait for so long."""

        def __enter__(self) -> None:
            nonlocal now
            now += next(waits)
            steps.append(0)

        def __exit__(self, *_: object) -> None:
            pass

    store.writer.stop()
    with monkeypatch.context() as patch:
        with store.lock:
            store.writer.freeze()
        patch.setattr("diskkv.store.writer.perf_ns", clock)
        patch.setattr(store, "lock", Lock())
        patch.setattr(store.writer, "step", counted)
        patch.setattr(store.writer, "backlogged", lambda: True)
        store.writer._help()
    assert steps[:3] == [SLICES, 12, SLICES]
    assert sum(steps) == 4000 // SLICE + 1
    store.writer._stopping = False
    store.writer.start()


def test_a_save_under_way_is_hurried_when_the_store_closes(run: Runner) -> None:
    """The checkpoint that it saves would be left to ticks that do not come any more."""
    saver: Any = run.executor.saver
    writer = run.executor.store.writer
    hurried: list[int] = []

    class Saving:
        def join(self) -> None:
            hurried.append(writer.awaited)

    saver._thread = Saving()
    saver.stop()
    saver._thread = None
    assert (hurried, writer.awaited) == ([1], 0)
