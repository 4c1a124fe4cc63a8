"""Directories that others write to meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diskkv.lib.directories import bytes_in, sizes_in


def test_what_goes_away_while_it_is_looked_at_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(bytes(10))
    (tmp_path / "directory").mkdir()
    scan = os.scandir

    @contextmanager
    def slow(directory: str) -> Iterator[list[os.DirEntry[str]]]:
        with scan(directory) as entries:
            found = list(entries)
        (tmp_path / "b").unlink(missing_ok=True)
        yield found

    monkeypatch.setattr(os, "scandir", slow)
    assert sizes_in(str(tmp_path)) == {"a": 10, "c": 10}
    assert bytes_in(str(tmp_path)) == 20
