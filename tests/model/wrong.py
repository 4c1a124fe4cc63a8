"""A reply that is an error, in the model's terms."""

from __future__ import annotations


class Wrong(Exception):
    """An error reply with this code."""

    def __init__(self, code: str = "ERR") -> None:
        self.code = code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wrong) and other.code == self.code

    def __repr__(self) -> str:
        return f"Wrong({self.code})"

    __hash__ = None  # type: ignore[assignment]  # compared, never looked up
