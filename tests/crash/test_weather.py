"""Random commands under random weather: checkpoints frozen, held in flight, landed or failed, logs that can't be written, evictions and
kills, all against a store in memory that knows no such things.

DISKKV_WEATHER=200 plays as many games instead of the usual few; DISKKV_WEATHER_FROM=17 begins with that seed.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from diskkv.errors import CommandError, LogFailed
from diskkv.store import writer
from diskkv.store.store import PROBE_MS
from tests.support.contents import contents, copy_of
from tests.support.disks import FaultyDisk
from tests.support.engines import Held
from tests.support.runner import Runner
from tests.support.workload import DATABASES, Workload

FIRST = int(os.environ.get("DISKKV_WEATHER_FROM", "1"))
GAMES = int(os.environ.get("DISKKV_WEATHER", "12"))
TICKS = 150


class Game:
    """A store under weather, and the calm one that it must equal."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.random = Random(seed)
        self.disk = FaultyDisk("none", 1)
        self.calm = Runner(":memory:", databases=str(DATABASES))
        self.kills = 0
        self.story: list[Any] = []
        self._open(path / "store")
        self.workload = Workload(self.random)

    def _open(self, directory: Path) -> None:
        engines: list[Held] = []

        def held(inner: Any) -> Held:
            engines.append(Held(inner))
            return engines[-1]

        self.runner = Runner(directory, wrap=held, disk=self.disk, clock=self.calm.clock, databases=str(DATABASES))
        self.engine = engines[0]
        self.store = self.runner.executor.store

    def play(self) -> None:
        for _ in range(TICKS):
            self.weather()
            self.tick()
        self.settle()
        self.compare("at the end")
        self.engine.fail_next = None
        with self.store.lock:
            while self.store.writer.healing:
                self.store.landed.wait()
        assert self.runner.findings() == []

    def weather(self) -> None:
        chance = self.random.random()
        store = self.store
        if chance < 0.15:
            with store.lock:
                if not store.writer.active and not store.writer.healing:
                    self.story.append("freeze, hold")
                    self.engine.hold()
                    store.writer.freeze()
        elif chance < 0.3:
            self.engine.fail_next = self.random.choice((None, None, None, "lost", "applied")) if store.writer.active else None
            self.story.append(f"land {self.engine.fail_next}")
            self.settle()
        elif chance < 0.35:
            self.story.append("evict")
            with store.lock:
                budget, store.cache.budget = store.cache.budget, 0
                store.cache.trim()
                store.cache.budget = budget
        elif chance < 0.38:
            self.kill()
        elif chance < 0.45:
            self.calm.clock.advance(self.random.randrange(700))
        elif chance < 0.48:
            self.disk.rearm("write", short=self.random.random() < 0.5, number=self.random.choice((errno.ENOSPC, errno.EIO)))
            self.story.append("break log")

    def settle(self) -> None:
        """Let a held checkpoint go on to its end, whatever that is."""
        self.engine.release()
        with self.store.lock:
            self.store.writer.finish()

    def tick(self) -> None:
        with self.store.lock:
            self.tick_alone()

    def tick_alone(self) -> None:
        """One tick on both stores, without the keeper in between."""
        commands = self.workload.tick()
        self.story.append(" | ".join(" ".join(str(word)[:20] for word in command[:8]) for command in commands))
        index = self.runner.session.index
        if self.store.failed is not None:
            # The keeper found out first.
            self.disk.kind, self.disk.failures = "none", 0
            self.calm.clock.advance(PROBE_MS + 1)
        # The undoing waits for a checkpoint that is under way.
        if self.disk.kind == "write" or self.store.failed is not None:
            self.engine.release()
        try:
            replies = self.runner.batch(commands)
        except LogFailed:
            self.disk.kind, self.disk.failures = "none", 0
            self.runner.session.select(index)
            self.calm.clock.advance(PROBE_MS + 1)
            self.compare("after an undone tick")
            return
        assert [plain(reply) for reply in replies] == [plain(reply) for reply in self.calm.batch(commands)], self.tail()

    def kill(self) -> None:
        """Go on from a copy of the directory, as after a kill -9."""
        self.story.append("kill")
        index = self.runner.session.index
        with self.store.lock:
            copy = copy_of(self.runner.path, self.path / f"killed{self.kills}")
        self.kills += 1
        self.engine.release()
        self.runner.close()
        self._open(copy)
        self.runner.session.select(index)
        self.compare("after a kill")

    def compare(self, when: str) -> None:
        assert contents(self.store) == contents(self.calm.executor.store), f"{when}: {self.tail()}"

    def tail(self) -> str:
        return "\n".join(map(str, ["", *self.story[-25:]]))[:6000]

    def close(self) -> None:
        self.engine.release()
        self.runner.close()
        self.calm.close()


def plain(reply: Any) -> Any:
    """A reply as something that can be compared."""
    if isinstance(reply, CommandError):
        return str(reply)
    return [plain(part) for part in reply] if isinstance(reply, list) else reply


@pytest.mark.parametrize("seed", range(FIRST, FIRST + GAMES))
def test_random_commands_under_random_weather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.002)
    monkeypatch.setattr(writer, "SLICE", 3)
    game = Game(tmp_path, seed)
    try:
        game.play()
    finally:
        game.close()
