"""A real server, really killed. `tools/crash` plays more rounds of the same."""

from __future__ import annotations

import os
from pathlib import Path

from tests.crash.killing import Ordeal

ROUNDS = int(os.environ.get("DISKKV_CRASH_ROUNDS", "5"))


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    ordeal = Ordeal(tmp_path, seed=1)
    acknowledged = sum(ordeal.round(longest=0.5) for _ in range(ROUNDS))
    assert acknowledged > 10 * ROUNDS
