"""The writer's thread: what else it does has its turn however fast one checkpoint follows the other."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from diskkv.store.writer import Writer
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
