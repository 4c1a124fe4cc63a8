"""Loses the power at random moments of a recorded run, and verifies what every policy promises of what is left."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from diskkv.errors import BadFormat, Damaged
from tests.crash.powered import Player
from tests.support.contents import contents
from tests.support.powercut import LEAVES, ForgetfulDisk
from tests.support.syscalls import Event, Recording, record

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Outage:
    """One verified loss of power."""

    leaves: str
    moment: int
    acknowledged: int
    found: int
    # since the first acknowledged tick that was lost, in seconds
    lost_seconds: float


class Outages:
    """A run of `ticks` under a policy, recorded; `verify` cuts it anywhere."""

    def __init__(self, directory: Path, policy: str, seed: int, ticks: int) -> None:
        self.directory = directory
        self.policy = policy
        self.seed = seed
        self.random = Random(seed)
        root = directory / "run"
        root.mkdir(parents=True)
        command = [sys.executable, "-m", "tests.crash.powered", str(root / "store"), policy, str(seed), str(ticks)]
        status = record(command, directory / "trace", cwd=ROOT, stdout=subprocess.DEVNULL)
        assert status == 0, f"the recorded program failed: {status}"
        self.events = Recording(directory / "trace", root, ROOT).events
        (directory / "trace").unlink()
        shutil.rmtree(root)

    def verify(self, count: int) -> list[Outage]:
        """Cut the power at `count` moments, each leaving nothing, everything and something of what was not on the disk."""
        disk = ForgetfulDisk()
        calm = Player(":memory:", self.seed)
        outages = []
        try:
            moments = sorted(self.random.randrange(len(self.events) + 1) for _ in range(count))
            played = 0
            for moment in moments:
                for event in self.events[played:moment]:
                    disk.play(event)
                played = moment
                # What is found may differ in age, and the calm store only goes forward: the oldest first.
                left = []
                for leaves in LEAVES:
                    found = self.directory / f"found-{leaves}"
                    shutil.rmtree(found, ignore_errors=True)
                    disk.cut(found, leaves, self.random)
                    left.append((leaves, found))
                outages += [self._verify(leaves, found / "store", moment, disk.said) for leaves, found in left]
        finally:
            calm.runner.close()
        return outages

    def verify_lying(self, count: int) -> Counter[str]:
        """Cut the power `count` times on a disk that has begun to lie at some moment before: what becomes of the store, counted.

        It is refused, or opens as it was at one moment, and is in order.
        """
        found: Counter[str] = Counter()
        for _ in range(count):
            honest = self.random.randrange(len(self.events))
            moment = self.random.randrange(honest, len(self.events) + 1)
            disk = ForgetfulDisk(honest)
            for event in self.events[:moment]:
                disk.play(event)
            for leaves in LEAVES:
                left = self.directory / "found-lying"
                shutil.rmtree(left, ignore_errors=True)
                disk.cut(left, leaves, self.random)
                try:
                    outage = self._verify(leaves, left / "store", moment, disk.said, lying=True)
                except AssertionError as error:
                    if not isinstance(error.__cause__, (Damaged, BadFormat)):
                        raise
                    found["refused"] += 1
                else:
                    found["nothing lost" if outage.found >= outage.acknowledged else "opened as it was before"] += 1
        return found

    def _verify(self, leaves: str, store: Path, moment: int, said: list[Event], *, lying: bool = False) -> Outage:
        where = f"seed {self.seed}, {self.policy}, {leaves} left of event {moment}"
        acknowledged = len(said)
        try:
            player = Player(store, self.seed, appendfsync=self.policy)
        except Exception as error:
            raise AssertionError(f"{where}: the store does not open") from error
        try:
            found = player.found()
            if not lying and (self.policy == "always" or leaves == "everything"):
                assert found >= acknowledged, f"{where}: {acknowledged} ticks were acknowledged, {found} are there"
            assert found <= acknowledged + 1, f"{where}: {found} ticks are there, {acknowledged} were acknowledged"
            player.come_to(found)
            assert contents(player.runner.executor.store) == self._contents(found), f"{where}: not what {found} ticks leave"
            assert player.runner.findings() == [], where
        finally:
            player.runner.close()
        lost = said[-1].at - said[found].at if found < acknowledged else 0.0
        return Outage(leaves, moment, acknowledged, found, lost)

    def _contents(self, ticks: int) -> object:
        """What is in a store after that many ticks."""
        player = Player(":memory:", self.seed)
        try:
            while player.played < ticks:
                player.tick()
            player.come_to(ticks)
            return contents(player.runner.executor.store)
        finally:
            player.runner.close()
