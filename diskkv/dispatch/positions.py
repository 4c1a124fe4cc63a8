"""Which words of a command are keys or channels, and what is done to them (access control, COMMAND GETKEYS, CLIENT NO-TOUCH)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from diskkv.dispatch.keyspecs import KeySpec, specs_of
from diskkv.dispatch.table import Command
from diskkv.lib.numbers import parse_int

# A place in argv, and the flags of `keyspecs` for what stands there.
Use = tuple[int, tuple[str, ...]]

READS = ("RO", "access")
OVERWRITES = ("OW", "update")
CHANGES = ("RW", "access", "update")


class NoKeys(Exception):
    """The command takes no keys, or these arguments do not say which."""


def key_positions(command: Command, argv: Sequence[bytes]) -> list[int]:
    """The places in argv of a command's keys, in order. NoKeys when the arguments contradict themselves."""
    return [position for position, _ in key_uses(command, argv)]


def takes_keys(command: Command) -> bool:
    """Whether there are arguments with which the command has keys."""
    return any(spec.is_key for spec in specs_of(command))


def key_uses(command: Command, argv: Sequence[bytes]) -> list[Use]:
    """The places of a command's keys and what is done to each. NoKeys when the arguments contradict themselves.

    Every key that the command would touch is among them, whatever the arguments: access control rests on it.
    """
    finder = FINDERS.get(command.name)
    if finder is not None:
        return finder(argv)
    found: list[Use] = []
    for spec in specs_of(command):
        if spec.is_key:
            found += [(position, spec.flags) for position in _places(spec, argv)]
    return found


def _places(spec: KeySpec, argv: Sequence[bytes]) -> range:
    count = len(argv)
    first = spec.first
    if spec.keyword:
        first = _behind(spec, argv)
        if not first:
            return range(0)
    if spec.counted:
        number = parse_int(argv[first]) if first < count else None
        if number is None or number < 1:
            raise NoKeys
        last = first + (number - 1) * spec.step + 1
        first += 1
    elif spec.last >= 0:
        last = first + spec.last
    elif spec.part:
        last = first + (count - first) // spec.part + spec.last
    else:
        last = count + spec.last
    if first == count and spec.last < 0 and not spec.keyword:
        # None is as good as some (PFMERGE's sources); Redis finds no keys at all then, not even those of other specs.
        return range(0)
    if not first <= last < count:
        raise NoKeys
    return range(first, last + 1, spec.step)


def _behind(spec: KeySpec, argv: Sequence[bytes]) -> int:
    """The place behind a spec's keyword; 0 when it does not occur."""
    wanted = spec.keyword.encode()
    places = range(spec.first, len(argv) - 1) if spec.first > 0 else range(len(argv) + spec.first, 1, -1)
    return next((at + 1 for at in places if 0 < at < len(argv) and argv[at].upper() == wanted), 0)


# -- commands whose options decide; each reads them as the command itself does


# Options of SET by which one learns what was there before.
TELLING = frozenset({b"GET", b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE"})


def _set(argv: Sequence[bytes]) -> list[Use]:
    reads = any(word.partition(b"\0")[0].upper() in TELLING for word in argv[3:])
    return [(1, CHANGES if reads else OVERWRITES)]


def _bitfield(argv: Sequence[bytes]) -> list[Use]:
    at, count = 2, len(argv)
    while at < count:
        word, left = argv[at].upper(), count - at - 1
        if word == b"GET" and left >= 2:
            at += 3
        elif word == b"OVERFLOW" and left >= 1:
            at += 2
        else:
            return [(1, CHANGES)]
    return [(1, READS)]


def _sort(argv: Sequence[bytes]) -> list[Use]:
    store = 0
    at, count = 2, len(argv)
    while at < count:
        word = argv[at].upper()
        if word == b"STORE" and at + 1 < count:
            # The last one counts.
            store = at + 1
        at += {b"LIMIT": 3, b"GET": 2, b"BY": 2, b"STORE": 2}.get(word, 1)
    return [(1, READS), *([(store, OVERWRITES)] if store else [])]


def _sort_ro(argv: Sequence[bytes]) -> list[Use]:
    return [(1, READS)]


def _georadius(options: int) -> Callable[[Sequence[bytes]], list[Use]]:
    def find(argv: Sequence[bytes]) -> list[Use]:
        # Redis' specs name the first STORE and the first STOREDIST, its command stores to the last of either: all of them are named here.
        words = [word.upper() for word in argv]
        stores = [at + 1 for option in (b"STORE", b"STOREDIST") for at in range(options, len(argv) - 1) if words[at] == option]
        return [(1, READS), *((at, OVERWRITES) for at in stores)]

    return find


def _migrate(argv: Sequence[bytes]) -> list[Use]:
    moved = ("RW", "access", "delete")
    at, count = 6, len(argv)
    while at < count:
        word = argv[at].upper()
        if word == b"KEYS":
            if argv[3]:
                raise NoKeys
            return [(place, moved) for place in range(at + 1, count)]
        at += {b"AUTH": 2, b"AUTH2": 3}.get(word, 1)
    return [(3, moved)]


def _streams(argv: Sequence[bytes]) -> list[Use]:
    """The keys behind STREAMS, which is not the first such word if a group or a consumer is called so."""
    at, count = 1, len(argv)
    while at < count:
        word = argv[at].upper()
        if word == b"STREAMS":
            keys = (count - at - 1) // 2
            if not keys:
                break
            return [(place, READS) for place in range(at + 1, at + 1 + keys)]
        at += {b"BLOCK": 2, b"COUNT": 2, b"GROUP": 3, b"CLAIM": 2}.get(word, 1)
    raise NoKeys


FINDERS: dict[str, Callable[[Sequence[bytes]], list[Use]]] = {
    "set": _set,
    "bitfield": _bitfield,
    "sort": _sort,
    "sort_ro": _sort_ro,
    "georadius": _georadius(6),
    "georadiusbymember": _georadius(5),
    "migrate": _migrate,
    "xread": _streams,
    "xreadgroup": _streams,
}

# -- channels: command -> whether its words are patterns, and whether only the first one is a channel. Leaving a channel is always allowed.
CHANNELS: dict[str, tuple[bool, bool]] = {
    "subscribe": (False, False),
    "ssubscribe": (False, False),
    "psubscribe": (True, False),
    "publish": (False, True),
    "spublish": (False, True),
}


def channel_positions(command: Command, argv: Sequence[bytes]) -> tuple[range, bool]:
    """The places in argv of the channels that a command hears or speaks on, and whether they are patterns."""
    found = CHANNELS.get(command.name)
    if found is None:
        return range(0), False
    patterns, single = found
    return range(1, 2 if single else len(argv)), patterns
