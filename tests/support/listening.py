"""A front that remembers what it was told."""

from __future__ import annotations

from typing import Any


class Listener:
    """The front of a client in a test."""

    def __init__(self, address: str = "127.0.0.1:1000") -> None:
        self.address = address
        self.pushed: list[Any] = []
        self.closed = False

    def push(self, reply: Any) -> None:
        self.pushed.append(tuple(reply.items))

    def close(self) -> None:
        self.closed = True

    def describe(self) -> dict[str, str]:
        return {"addr": self.address, "laddr": "127.0.0.1:6379", "fd": "8", "qbuf": "0", "flags": "U"}
