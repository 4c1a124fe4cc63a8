"""Keyspace notifications of random commands, told as by redis-server."""

from __future__ import annotations

import random

import pytest

from . import servers
from .events import GROUPS, Hearing
from .steps import PLAIN, chapter
from .test_differential import _require_oracle

FRESH = random.SystemRandom().randrange(1 << 32)


@pytest.mark.parametrize("seed", [1, pytest.param(FRESH, id="fresh")])
def test_events_are_those_of_redis(seed: int) -> None:
    _require_oracle()
    with servers.diskkv() as left, servers.redis("--appendonly", "no") as right:
        hearing = Hearing(left.address, right.address, b"KEA")
        try:
            # Nobody waits: Redis 7.0 does not serve those who wait for a key that is overwritten, and so tells of no pop.
            found = hearing.run([step for step in chapter(seed, 0, 2000, GROUPS) if step.mode == PLAIN])
        finally:
            hearing.close()
    assert found == [], f"seed {seed}"
    assert hearing.events > 500
