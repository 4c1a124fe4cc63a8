"""The power goes at random moments; `tools/powercut` does the same for longer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.crash.outages import Outages


@pytest.fixture(autouse=True)
def strace() -> None:
    """What the program does is recorded by strace; without it the tests fail, unless it is known that it can't be used here."""
    if os.environ.get("DISKKV_NO_STRACE") == "1":
        pytest.skip("DISKKV_NO_STRACE=1: no strace here")
    if shutil.which("strace") is None:
        pytest.fail("strace is needed (or DISKKV_NO_STRACE=1 to go without)")


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_left_is_what_was_promised(tmp_path: Path, policy: str, seed: int) -> None:
    outages = Outages(tmp_path, policy, seed, ticks=700).verify(15)
    assert any(outage.found for outage in outages)
    if policy == "no":
        # The simulated disk does forget.
        assert any(outage.found < outage.acknowledged for outage in outages)


def test_what_a_lying_disk_leaves_is_refused_or_of_one_moment(tmp_path: Path) -> None:
    found = Outages(tmp_path, "always", 1, ticks=300).verify_lying(6)
    assert found["refused"] and found["opened as it was before"], found
