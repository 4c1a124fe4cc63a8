"""Which words of a command are keys, and what is done to them (COMMAND GETKEYS, CLIENT NO-TOUCH)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from diskkv.dispatch.table import Command, Flag
from diskkv.lib.numbers import parse_int

_STORES = re.compile(r"\b(STORE|STOREDIST) \w")
_STREAMS = re.compile(r"\bSTREAMS \w")


class NoKeys(Exception):
    """The command takes no keys, or these arguments do not say which."""


def key_positions(command: Command, argv: Sequence[bytes]) -> list[int]:
    """The places in argv of a command's keys, in order. NoKeys when the arguments contradict themselves."""
    keys = command.keys
    count = len(argv)
    found: list[int] = []
    if keys.first:
        last = keys.last if keys.last >= 0 else count + keys.last
        found += range(keys.first, min(last, count - 1) + 1, keys.step)
    if keys.numkeys:
        number = parse_int(argv[keys.numkeys]) if keys.numkeys < count else None
        step = keys.step or 1
        if number is None or number < 0 or keys.numkeys + number * step >= count:
            raise NoKeys
        found += range(keys.numkeys + 1, keys.numkeys + 1 + number * step, step)
    if _STORES.search(command.usage):
        # The last one counts, as when the command is run.
        words = [word.upper() for word in argv]
        stores = [at + 1 for at in range(2, count - 1) if words[at] in (b"STORE", b"STOREDIST")]
        found += stores[-1:]
    if _STREAMS.search(command.usage):
        words = [word.upper() for word in argv]
        at = words.index(b"STREAMS") + 1 if b"STREAMS" in words else count
        if at == count or (count - at) % 2:
            raise NoKeys
        found += range(at, at + (count - at) // 2)
    return found


def takes_keys(command: Command) -> bool:
    """Whether there are arguments with which the command has keys."""
    return bool(command.keys.first or command.keys.numkeys or _STORES.search(command.usage) or _STREAMS.search(command.usage))


def key_flags(command: Command, position: int, positions: Sequence[int]) -> list[bytes]:
    """What a command does to one of its keys: RO for reading, OW for overwriting, RW for changing.

    A destination is told from a source by its name in the usage line, which is coarser than Redis' own lists.
    """
    if not command.flags & Flag.WRITE:
        return [b"RO", b"access"]
    words = command.usage.split(" ")
    name = words[position].strip("[]") if position < len(words) and words[position].strip("[]<>").islower() else ""
    if name in ("destination", "destkey", "newkey"):
        return [b"OW", b"update"]
    if len(positions) > 1 and _STORES.search(command.usage):
        return [b"OW", b"update"] if position == positions[-1] else [b"RO", b"access"]
    if name in ("key", "source", "") and re.search(r"\b(destination|destkey)\b", command.usage):
        return [b"RO", b"access"]
    return [b"RW", b"access", b"update"]
