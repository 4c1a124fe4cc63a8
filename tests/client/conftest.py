"""Clients in process, and redis-py on a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import diskkv
from tests.support.oracle import Oracle, start


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def r(path: str) -> Iterator[diskkv.Client]:
    """A client of a fresh store on disk."""
    with diskkv.open(path) as client:
        yield client


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    server = start()
    yield server
    server.close()
