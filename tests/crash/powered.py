"""The program that loses its power: writes to a store as fast as it can and says which ticks were acknowledged.

    python -m tests.crash.powered DIRECTORY POLICY SEED TICKS

Tick n also sets the marker to n, so what is found can be compared with the same ticks in a store in memory. The end is abrupt.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from random import Random

from diskkv.clock import ManualClock
from tests.support.runner import Runner
from tests.support.workload import DATABASES, Workload

SETTINGS = {"checkpoint-log-size": "16kb", "maxmemory": "1mb", "databases": str(DATABASES + 1)}
MARKER = "ticks"
STEP_MS = 5


class Player:
    """Plays the ticks of a seed on a store."""

    def __init__(self, path: Path | str, seed: int, **settings: str) -> None:
        self.clock = ManualClock()
        self.begun = self.clock()
        self.runner = Runner(path, clock=self.clock, **SETTINGS, **settings)
        self.marker = self.runner.executor.open_session()
        self.marker.select(DATABASES)
        self.workload = Workload(Random(seed))
        self.played = 0

    def tick(self) -> None:
        """One more tick."""
        self.clock.advance(STEP_MS)
        self.played += 1
        store = self.runner.executor.store
        with store.lock:
            store.wait_for_room()
            self.runner.executor.begin()
            for command in self.workload.tick():
                self.runner.executor.execute(
                    self.runner.session, [word if isinstance(word, bytes) else str(word).encode() for word in command]
                )
            self.runner.executor.execute(self.marker, [b"SET", MARKER.encode(), b"%d" % self.played])
            store.commit()

    def come_to(self, ticks: int) -> None:
        """Have the clock stand where the tick that follows so many begins. Before it, and before what it leaves is on the disk, the keeper
        may have had expire what is due by then."""
        self.clock.advance(self.begun + (ticks + 1) * STEP_MS - self.clock())

    def found(self) -> int:
        """How many ticks the store holds."""
        return int(self.runner("GET", MARKER, session=self.marker) or 0)


def main() -> None:
    path, policy, seed, ticks = sys.argv[1:]
    player = Player(Path(path), int(seed), appendfsync=policy)
    for number in range(1, int(ticks) + 1):
        player.tick()
        os.write(1, b"%d\n" % number)
    os._exit(0)


if __name__ == "__main__":
    main()
