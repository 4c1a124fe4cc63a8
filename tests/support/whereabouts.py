"""Where a store's values are when something is asked of them: in memory, or only on the disk."""

from __future__ import annotations

import pytest

from tests.support.runner import Runner

HOW = pytest.mark.parametrize("how", ["in memory", "evicted", "reopened"])


def settle(run: Runner, how: str) -> None:
    """Have them be there, by one of the names that HOW gives to a test."""
    if how == "evicted":
        run.evict()
    elif how == "reopened":
        run.reopen()
