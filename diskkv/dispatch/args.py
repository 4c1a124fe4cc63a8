"""The cursor over a command's optional words, and the reading of numbers.

    args = Args(options)
    while args:
        match args.word():
            case b"NX" if not condition: condition = "NX"
            case b"EX" | b"PX" as unit: expiry = args.int()
            case _: raise BadSyntax

So the order of errors follows the order of words, as in Redis, and exclusions are guards.
"""

from __future__ import annotations

from collections.abc import Sequence

from diskkv.errors import BadSyntax, CommandError, NotFloat, NotInteger
from diskkv.lib.numbers import parse_float, parse_int, parse_long_double


class Args:
    """A command's remaining words, read one by one."""

    __slots__ = ("_at", "_items")

    def __init__(self, items: Sequence[bytes]) -> None:
        self._items = items
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._items)

    def __len__(self) -> int:
        """How many words are left."""
        return len(self._items) - self._at

    def word(self) -> bytes:
        """The next word in capitals. REQUIRES nothing: BadSyntax when there is none."""
        return self.next().upper()

    def peek(self) -> bytes:
        """The next word in capitals, without taking it; empty when there is none."""
        return self._items[self._at].upper() if self else b""

    def next(self) -> bytes:
        """The next word as it is. BadSyntax when there is none."""
        if self._at >= len(self._items):
            raise BadSyntax
        item = self._items[self._at]
        self._at += 1
        return item

    def rest(self) -> Sequence[bytes]:
        """All that is left, taken."""
        items = self._items[self._at :]
        self._at = len(self._items)
        return items

    def take(self, count: int) -> Sequence[bytes]:
        """The next `count` words. BadSyntax when there are fewer."""
        if len(self) < count:
            raise BadSyntax
        items = self._items[self._at : self._at + count]
        self._at += count
        return items

    def int(self) -> int:
        """The next word as a 64-bit integer. BadSyntax when there is none, NotInteger when it is none."""
        return integer(self.next())

    def float(self) -> float:
        """The next word as a double."""
        return double(self.next())


def quoted(raw: bytes) -> str:
    """A client's word as it stands in an error's text: Redis prints it as a C string, so it ends at its first zero byte."""
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def integer(raw: bytes, error: type[CommandError] = NotInteger) -> int:
    """A 64-bit integer, or the error."""
    number = parse_int(raw)
    if number is None:
        raise error
    return number


def bounded(raw: bytes, low: int, high: int, text: str) -> int:
    """An integer within bounds, or a CommandError with the text (Redis' getRangeLongFromObjectOrReply)."""
    number = parse_int(raw)
    if number is None or not low <= number <= high:
        raise CommandError(text)
    return number


def small_integer(raw: bytes, text: str | None = None) -> int:
    """A 32-bit integer, or a CommandError, with the text if given (Redis' getIntFromObjectOrReply)."""
    number = parse_int(raw)
    if number is None:
        raise CommandError(text) if text else NotInteger
    if not -(2**31) <= number < 2**31:
        raise CommandError(text or "value is out of range, value must between -2147483648 and 2147483647")
    return number


def double(raw: bytes, error: type[CommandError] = NotFloat) -> float:
    """A double, or the error; never NaN."""
    number = parse_float(raw)
    if number is None:
        raise error
    return number


def timeout(raw: bytes) -> float:
    """A blocking command's timeout in seconds: a double that is not negative, with Redis' two errors."""
    seconds = parse_float(raw)
    if seconds is None:
        # Redis reads it as a long double, which may be too great for a double, or too small.
        if parse_long_double(raw) is not None:
            if raw.lower().find(b"e-") > 0:
                return 0.0 if raw.startswith(b"-") else 0.0005
            raise CommandError("timeout is negative" if raw.startswith(b"-") else "timeout is out of range")
        raise CommandError("timeout is not a float or out of range")
    if seconds < 0:
        raise CommandError("timeout is negative")
    if seconds * 1000 > 2**63 - 1:
        raise CommandError("timeout is out of range")
    return seconds


def milliseconds(raw: bytes) -> int:
    """A timeout in milliseconds that is not negative, with Redis' two errors."""
    number = parse_int(raw)
    if number is None:
        raise CommandError("timeout is not an integer or out of range")
    if number < 0:
        raise CommandError("timeout is negative")
    return number
