"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.runner import Runner

# No test depends on a speed.
settings.register_profile("diskkv", deadline=None)
settings.load_profile("diskkv")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Runner]:
    """Runs commands in process on a fresh store on disk; the store is checked when the test ends."""
    runner = Runner(tmp_path / "store")
    yield runner
    findings = runner.findings()
    runner.close()
    assert not findings
