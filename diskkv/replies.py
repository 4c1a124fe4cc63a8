"""Reply values for which Python has no twin.

A command returns plain Python values (`int`, `bytes`, `None`, `list`, `set`, `dict`, `float`, `bool`, `str` never) or one of
these; `resp/encode.py` turns them into bytes, once for RESP2 and once for RESP3, so that no command knows the protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Up to how many bytes a reply is short: nobody counts what it takes until it has been sent.
SHORT = 4096


class Simple:
    """A status line, `+text`."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Simple({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Simple) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


OK = Simple(b"OK")
QUEUED = Simple(b"QUEUED")
PONG = Simple(b"PONG")


# A set whose order is told: `dict.fromkeys(members).keys()`. An array in RESP2, as all sets are.
OrderedSet: type = type(dict.fromkeys(()).keys())


class NilArray:
    """The null that stands for an array: `*-1` in RESP2, `_` in RESP3. Its one value is `NIL_ARRAY`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NIL_ARRAY"


NIL_ARRAY = NilArray()


class NoReply:
    """Nothing is sent (CLIENT REPLY OFF, and commands that push their own answers). Its one value is `NO_REPLY`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_REPLY"


NO_REPLY = NoReply()


@dataclass(frozen=True, slots=True)
class Push:
    """Out-of-band data: `>` in RESP3, an ordinary array in RESP2."""

    items: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A text with a three-letter format, `=` in RESP3, a bulk string in RESP2."""

    text: bytes
    format: bytes = b"txt"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Couples such as member and score: an array of two-element arrays in RESP3, one flat array in RESP2."""

    items: Sequence[tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Named:
    """Replies by name, such as the entries of several streams: a map in RESP3, an array of two-element arrays in RESP2."""

    items: Sequence[tuple[bytes, Any]]


@dataclass(frozen=True, slots=True)
class Score:
    """A double whose RESP2 form is a bulk string: `,` in RESP3. (A bare `float` is encoded the same way.)"""

    value: float


class Digits(Score):
    """A double in these very digits, in both protocols, where its shortest form would not do (a coordinate, a long double)."""

    __slots__ = ("text",)
    text: bytes

    def __init__(self, text: bytes) -> None:
        Score.__init__(self, float(text))
        object.__setattr__(self, "text", text)


@dataclass(frozen=True, slots=True)
class Several:
    """More than one reply to one command (SUBSCRIBE a b): each is encoded on its own, one after the other."""

    items: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A reply in a protocol that its client does not speak any more: what a transaction answered before its HELLO."""

    protocol: int
    reply: Any


@dataclass(frozen=True, slots=True)
class Followed:
    """A reply, and what leaves behind it: messages that the command caused and its own client hears."""

    reply: Any
    pushes: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A reply that came encoded, in the protocol that its client spoke (a script's result); `resp/decode.py` gives the values in it."""

    wire: bytes


@dataclass(frozen=True, slots=True)
class Blocked:
    """The command found nothing and wishes to wait.

    `keys` are the keys to wait on, `tag` the type (`format`) that one of them must come to have before the command is tried
    again as a whole; `deadline` is a time in ms or None for ever; `timeout_reply` is what the client gets then. Where nobody can
    wait (MULTI, a script) the answer is `refusal`, at once. `argv` is what to try again with, where that is not the command as it
    came because words in it meant the moment of the call (the `$` of XREAD). With `vanishing` it is tried again, too, when one of the
    keys ceases to exist or comes to have another type.

    `again` is a time in ms at which the command may succeed although nothing has happened to the keys; None for none.

    With `run` it is a script that waits for nothing but its own end, and will not be tried again: see `scripting`.
    """

    keys: Sequence[bytes]
    tag: int
    deadline: int | None
    timeout_reply: Any = NIL_ARRAY
    refusal: Any = NIL_ARRAY
    argv: list[bytes] | None = None
    # whether a key that has been there all along may do, once it has grown
    growing: bool = False
    vanishing: bool = False
    again: int | None = None
    run: Any = None


def without_waiting(reply: Any) -> Any:
    """A reply where nobody can wait: Blocked becomes its timeout reply."""
    return reply.refusal if reply.__class__ is Blocked else reply


class Postponed:
    """Not a reply: the command may not run now (CLIENT PAUSE, writers waiting for a checkpoint). The front tries it again later."""


POSTPONED = Postponed()
