"""diskkv against redis-server: random commands, every reply the same. Longer runs: `tools/differential`."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator

import pytest

from . import deviations, servers
from .campaign import Campaign, summary
from .compare import Judge
from .runner import READ_AT_ONCE, Runner
from .servers import Server
from .steps import JOIN, PARK, Step
from .tables import DEFAULT_GROUPS

COMMANDS = 2000
DEBUGGING = ("--enable-debug-command", "yes")
FRESH = random.SystemRandom().randrange(1 << 32)


def _require_oracle() -> None:
    """Fail without redis-server, unless whoever runs the tests has said that there is none."""
    if shutil.which("redis-server") is None:
        if os.environ.get("DISKKV_NO_ORACLE") == "1":
            pytest.skip("DISKKV_NO_ORACLE=1: no redis-server to compare with")
        pytest.fail("redis-server is needed (or DISKKV_NO_ORACLE=1 to go without)")


@pytest.fixture(scope="module")
def oracle() -> Iterator[Server]:
    _require_oracle()
    with servers.redis("--appendonly", "no", *DEBUGGING) as server:
        yield server


@pytest.fixture(scope="module")
def tested(oracle: Server) -> Iterator[Server]:
    with servers.diskkv("--appendfsync", "everysec", *DEBUGGING) as server:
        yield server


@pytest.fixture(scope="module")
def cramped(oracle: Server) -> Iterator[Server]:
    """A diskkv whose budget is so small that hardly anything stays in memory."""
    with servers.diskkv("--appendfsync", "everysec", *DEBUGGING, "--maxmemory", "1mb") as server:
        yield server


def check(left: Server, right: Server, seed: int, resp: str, count: int = COMMANDS) -> None:
    told: list[str] = []
    campaign = Campaign(left.address, right.address, deviations=deviations.load(), resp=resp, shrink_seconds=20, most=3, tell=told.append)
    outcome = campaign.run(seed, count, DEFAULT_GROUPS, length=1000)
    assert outcome.clean, f"tools/differential --seed {seed} --resp {resp} --length 1000\n" + "\n".join([*told, summary(outcome)])
    assert outcome.commands >= count


@pytest.mark.parametrize("resp", ["2", "3"])
@pytest.mark.parametrize("seed", [1, 2, pytest.param(FRESH, id="fresh")])
def test_replies_are_those_of_redis(tested: Server, oracle: Server, seed: int, resp: str) -> None:
    check(tested, oracle, seed, resp)


@pytest.mark.parametrize("seed", [3, pytest.param(FRESH, id="fresh")])
def test_a_tiny_budget_changes_no_reply(cramped: Server, oracle: Server, seed: int) -> None:
    check(cramped, oracle, seed, "both")


def test_the_oracle_agrees_with_itself(oracle: Server) -> None:
    """The tester asks nothing that chance or the clock decides: two Redis servers never differ."""
    with servers.redis("--appendonly", "no", *DEBUGGING) as other:
        check(other, oracle, FRESH, "both", 6000)


def test_a_command_that_may_arrive_in_two_pieces_is_not_parked(tested: Server, oracle: Server) -> None:
    """Between them another client's may be executed, on one side and not on the other."""
    runner = Runner(tested.address, oracle.address, judge=Judge(), deviations=deviations.load(), protocols=(2,))
    try:
        few = (b"BLPOP", b"nokey:1", b"nokey:2", b"0")
        assert not list(runner.play([Step(0, PARK, few), Step(0, JOIN, ())]))
        assert runner.pairs[0].parked == few
        many = (b"BLPOP", *(b"nokey:%d" % number for number in range(READ_AT_ONCE // 8)), b"0")
        assert not list(runner.play([Step(0, PARK, many), Step(0, JOIN, ())]))
        assert runner.pairs[0].parked is None
    finally:
        runner.close()
