"""System calls fail below the log and below LevelDB; `tools/faults` does the same at every call."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.crash.faults import Fault, Ordeal

# Of each kind of call one, at a place where the log, the tree and LevelDB's own thread are at work.
FAULTS = [
    Fault("write", "ENOSPC", 2),
    Fault("write", "EIO", 12),
    Fault("write", "ENOSPC", 21),
    Fault("fdatasync", "EIO", 6, lasting=True),
    Fault("fsync", "EIO", 2),
    Fault("fdatasync", "EIO", 4),
    Fault("pwrite64", "EIO", 3, lasting=True),
    Fault("openat", "EMFILE", 8),
    Fault("rename", "EIO", 1),
    Fault("unlink", "EIO", 2),
    Fault("pread64", "EIO", 3),
]


@pytest.fixture(scope="module")
def ordeal(tmp_path_factory: pytest.TempPathFactory) -> Ordeal:
    """strace makes the calls fail; without it the tests fail, unless it is known that it can't be used here."""
    if os.environ.get("DISKKV_NO_STRACE") == "1":
        pytest.skip("DISKKV_NO_STRACE=1: no strace here")
    if shutil.which("strace") is None:
        pytest.fail("strace is needed (or DISKKV_NO_STRACE=1 to go without)")
    directory: Path = tmp_path_factory.mktemp("faults")
    return Ordeal(directory)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_nothing_acknowledged_is_lost_and_the_store_heals(ordeal: Ordeal, fault: Fault) -> None:
    outcome = ordeal.run(fault)
    assert outcome.injected, "the call was never made"
    assert outcome.complaints == []
    if not fault.lasting:
        assert outcome.opened and outcome.acknowledged


@pytest.mark.parametrize("fault", [Fault("write", "ENOSPC", 3), Fault("pread64", "EIO", 8)], ids=str)
def test_a_store_that_is_being_made(ordeal: Ordeal, fault: Fault) -> None:
    outcome = ordeal.run(fault, fresh=True)
    assert outcome.injected and outcome.opened
    assert outcome.complaints == []
