"""When two replies count as equal, by command.

Equal means the same kinds and the same values, error texts included. Only where Redis itself promises less is less asked for:
order of unordered things, the outcome of chance, moments that depend on when the command arrived.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from . import stream_replies
from .wire import Reply

Argv = tuple[bytes, ...]

EXACT_FROM, EXACT_UNTIL = 2_200_000_000_000, 2_200_001_000_000  # the window of absolute moments that runs use, in ms
TOLERANCE_MS = 60_000

UNORDERED = frozenset((b"KEYS", b"SMEMBERS", b"SUNION", b"SINTER", b"SDIFF", b"HKEYS", b"HVALS"))
MOMENTS = {b"TTL": 1000, b"PTTL": 1, b"EXPIRETIME": 1000, b"PEXPIRETIME": 1}
RANDOM = frozenset((b"SPOP", b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER", b"RANDOMKEY"))
SCANS = {b"SCAN": 1, b"HSCAN": 2, b"SSCAN": 2, b"ZSCAN": 2}  # where the cursor stands
SHAPES = frozenset((b"TIME", b"LASTSAVE", *SCANS))
SHAPES_OF = frozenset(((b"ACL", b"GENPASS"), (b"CLIENT", b"ID"), (b"CLIENT", b"INFO"), (b"CLIENT", b"LIST"), (b"OBJECT", b"IDLETIME")))
VARYING_IN_HELLO = (b"version", b"id", b"modules")


def name_of(argv: Argv) -> bytes:
    return argv[0].upper() if argv else b""


def subcommand_of(argv: Argv) -> tuple[bytes, bytes]:
    return name_of(argv), argv[1].upper() if len(argv) > 1 else b""


class Judge:
    """Decides about pairs of replies. `encodings` says whether OBJECT ENCODING is held to be equal too."""

    def __init__(self, *, encodings: bool = True) -> None:
        self.encodings = encodings

    def equal(self, argv: Argv, left: Reply, right: Reply, before: tuple[Reply, Reply] | None = None) -> bool:
        """Whether the replies to `argv` agree. `before` are the replies to the reading that precedes a command of chance."""
        if left == right and name_of(argv) not in RANDOM:
            return True
        if left[0] != right[0] or left[0] in "-!":
            return bool(left == right)
        try:
            return self._equal_enough(argv, left, right, before)
        except (TypeError, ValueError):  # a reply nested where it should be flat, or an odd number of halves of pairs
            return False

    def _equal_enough(self, argv: Argv, left: Reply, right: Reply, before: tuple[Reply, Reply] | None) -> bool:
        name = name_of(argv)
        if name in UNORDERED:
            return bool(_bag(left) == _bag(right))
        if name == b"HGETALL":
            return bool(_pairs(left) == _pairs(right))
        if name in MOMENTS:
            return _near(left[1], right[1], MOMENTS[name])
        if name in RANDOM:
            return _chance(argv, left, right, before)
        if name in SHAPES or subcommand_of(argv) in SHAPES_OF:
            return bool(_shape(left) == _shape(right))
        if subcommand_of(argv) == (b"OBJECT", b"ENCODING"):
            return not self.encodings
        if name == b"HELLO":
            return bool(_greeting(left) == _greeting(right))
        if name in (b"SORT", b"SORT_RO"):
            return _sorted(argv, left, right)
        if name == b"XINFO" or (name == b"XPENDING" and len(argv) > 3):
            return bool(stream_replies.known(argv, left) == stream_replies.known(argv, right))
        return False


def _bag(reply: Reply) -> Any:
    return (reply[0], None) if reply[1] is None else (reply[0], Counter(reply[1]))


def _pairs(reply: Reply) -> Any:
    kind, items = reply
    return kind, Counter(items) if kind == "%" else Counter(zip(items[::2], items[1::2], strict=True))


def _near(left: Any, right: Any, unit: int) -> bool:
    if not isinstance(left, int) or not isinstance(right, int) or left < 0 or right < 0:
        return False
    if EXACT_FROM <= left * unit <= EXACT_UNTIL:
        return False
    return abs(left - right) * unit <= TOLERANCE_MS


def _flat(reply: Reply) -> list[Reply]:
    """All scalars of a reply, in order."""
    kind, value = reply
    if kind == "%":
        return [scalar for couple in value for item in couple for scalar in _flat(item)]
    if kind in "*~>" and value is not None:
        return [scalar for item in value for scalar in _flat(item)]
    return [reply]


def _shape(reply: Reply) -> Any:
    kind, value = reply
    if kind in "*~>" and value is not None:
        return kind, [item[0] for item in value]
    return kind, value is None


def _chance(argv: Argv, left: Reply, right: Reply, before: tuple[Reply, Reply] | None) -> bool:
    """Same shape, nothing that was not there, and no repetition unless a negative count allows it."""
    if left[1] is None or right[1] is None:
        return left == right
    if name_of(argv) == b"RANDOMKEY":
        return True if before is None else all(reply in source[1] for reply, source in zip((left, right), before, strict=True))
    if _depth(left) != _depth(right):
        return False
    if before is None:
        return True
    for reply, source in zip((left, right), before, strict=True):
        whole = {scalar[1] for scalar in _flat(source)}
        drawn = [scalar[1] for scalar in _flat(reply)]
        if not whole.issuperset(drawn):
            return False
        negative = len(argv) > 2 and argv[2].startswith(b"-")
        if len(argv) == 3 and not negative and len(set(drawn)) != len(drawn):
            return False
    return True


def _depth(reply: Reply) -> Any:
    kind, value = reply
    return (kind, [_depth(item) for item in value]) if kind in "*~>" else kind


def _greeting(reply: Reply) -> Any:
    kind, items = reply
    pairs = items if kind == "%" else list(zip(items[::2], items[1::2], strict=True))
    return kind, [(name, None if name[1] in VARYING_IN_HELLO else item) for name, item in pairs]


def _sorted(argv: Argv, left: Reply, right: Reply) -> bool:
    """SORT has no order of its own among elements that its comparison holds equal: by a pattern, or with NUL bytes under ALPHA."""
    words = {word.upper() for word in argv[2:]}
    if left[0] != "*" or len(left[1]) != len(right[1]):
        return False
    loose = b"BY" in words or any(b"\x00" in (item[1] or b"") for item in left[1] + right[1])
    if not loose:
        return False
    return True if b"LIMIT" in words else Counter(left[1]) == Counter(right[1])
