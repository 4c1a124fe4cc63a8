"""Directories that others write to meanwhile."""

from __future__ import annotations

import os


def bytes_in(directory: str) -> int:
    """The sizes of the files in a directory. One that goes away while it is looked at counts nothing."""
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                total += entry.stat().st_size if entry.is_file() else 0
            except FileNotFoundError:
                continue
    return total
