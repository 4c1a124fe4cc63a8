"""Directories that others write to meanwhile, and what makes names in them last."""

from __future__ import annotations

import os


def sizes_in(directory: str) -> dict[str, int]:
    """The files in a directory and their sizes. One that goes away while it is looked at is not among them."""
    sizes = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                if entry.is_file():
                    sizes[entry.name] = entry.stat().st_size
            except FileNotFoundError:
                continue
    return sizes


def bytes_in(directory: str) -> int:
    """The bytes of all of them."""
    return sum(sizes_in(directory).values())


def sync_path(path: str) -> None:
    """fsync a file or a directory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
