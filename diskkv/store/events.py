"""What the store tells those who care that a key was touched or came to exist."""

from __future__ import annotations


class Watcher:
    """One client's WATCH: `touched` once any of its keys may have changed."""

    __slots__ = ("touched",)

    def __init__(self) -> None:
        self.touched = False
