"""Commands that no run may contain: they would hang or bloat a server, or their outcome hangs on the moment they arrive.

Redis 7.0 itself hangs on `SRANDMEMBER key -4611686018427387904`; a 500 MB SETRANGE or a key that expires in a second would only show
that two machines are two machines. SORT by an outer text leaves equal texts in any order, so it must not be stored; and ranges by name
are only defined where all scores are equal. What comes near such limits from the harmless side (errors, the past) stays in.
"""

from __future__ import annotations

from itertools import pairwise

from .words import FAMILIES

LARGEST_OFFSET = 200_000
LEAST_SECONDS = 3600

BLOCKING_FIRST = frozenset((b"BLMPOP", b"BZMPOP"))
BLOCKING_LAST = frozenset((b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BZPOPMIN", b"BZPOPMAX"))
BLOCKING = BLOCKING_FIRST | BLOCKING_LAST
SHORT_WAIT = b"0.002"

_RELATIVE = {b"EXPIRE": (2, 1), b"PEXPIRE": (2, 1000), b"SETEX": (2, 1), b"PSETEX": (2, 1000)}
_ABSOLUTE = {b"EXPIREAT": (2, 1), b"PEXPIREAT": (2, 1000)}
_RELATIVE_WORDS = {b"EX": 1, b"PX": 1000}
_ABSOLUTE_WORDS = {b"EXAT": 1, b"PXAT": 1000}
_FORBIDDEN = frozenset(b"SHUTDOWN DEBUG QUIT MONITOR SUBSCRIBE PSUBSCRIBE SSUBSCRIBE SYNC PSYNC REPLICAOF SLAVEOF MIGRATE".split())


def hazardous(argv: list[bytes]) -> bool:
    """Whether this command must not be sent."""
    name = argv[0].upper()
    if name in _FORBIDDEN:
        return True
    if name in _RELATIVE or name in _ABSOLUTE:
        return _bad_moment(argv, *_RELATIVE.get(name, _ABSOLUTE.get(name, (2, 1))), absolute=name in _ABSOLUTE)
    if name in (b"SET", b"GETEX"):
        return _bad_option_moment(argv)
    if name in (b"SETRANGE", b"SETBIT") and len(argv) > 2:
        return LARGEST_OFFSET < _number(argv[2]) < 1 << 32 and not (name == b"SETRANGE" and _number(argv[2]) > 1 << 29)
    if name == b"BITFIELD":
        return any(_bad_field(earlier, later) for earlier, later in pairwise(argv))
    if name in (b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER") and len(argv) > 2:
        return _number(argv[2]) < -1000
    if name in (b"ZADD", b"ZINCRBY") and argv[1:2] and argv[1] in FAMILIES["lex"]:
        return any(word not in (b"0", b"-0") for word in argv[2::2])
    if name in (b"ZRANK", b"ZREVRANK"):
        # Since 7.2 a fourth word is an option; the 7.0 oracle refuses it at once, which makes transactions differ for ever after.
        return len(argv) > 3
    if name == b"XADD":
        return b"*" in argv[2:]  # the id would be made of the clock
    if name in (b"XREAD", b"XREADGROUP", b"XAUTOCLAIM"):
        options = {option.upper(): word for option, word in pairwise(argv)}
        return _number(options.get(b"BLOCK", b"1")) not in (1, -1) or _number(options.get(b"COUNT", b"1")) > 100_000
    if name == b"SORT":
        return {b"BY", b"ALPHA", b"STORE"} <= {word.upper() for word in argv[2:]}
    if name == b"CLIENT" and len(argv) > 2:
        subcommand, word = argv[1].upper(), argv[2].upper()
        return (subcommand == b"PAUSE" and _number(word) > 0) or (subcommand == b"REPLY" and word in (b"OFF", b"SKIP"))
    return False


def without_wait(argv: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The same blocking command, with a short wait in place of one that would hold the run up; errors in the timeout stay."""
    name = argv[0].upper()
    if name not in BLOCKING or len(argv) < 3:
        return argv
    place = 1 if name in BLOCKING_FIRST else len(argv) - 1
    try:
        wait = float(argv[place])
    except ValueError:
        wait = 1.0 if argv[place].lower().startswith(b"0x") else -1.0
    if 0.001 <= wait <= 0.01 or wait < 0 or wait > 1e12:
        return argv
    return (*argv[:place], SHORT_WAIT, *argv[place + 1 :])


def _number(word: bytes) -> int:
    try:
        return int(word)
    except ValueError:
        return 0


def _bad_moment(argv: list[bytes], place: int, per_second: int, *, absolute: bool) -> bool:
    if len(argv) <= place:
        return False
    seconds = _number(argv[place]) / per_second
    return 1_500_000_000 < seconds < 2_100_000_000 if absolute else 0 < seconds < LEAST_SECONDS


def _bad_option_moment(argv: list[bytes]) -> bool:
    for place, word in enumerate(argv[:-1]):
        option = word.upper()
        if option in _RELATIVE_WORDS and _bad_moment(argv, place + 1, _RELATIVE_WORDS[option], absolute=False):
            return True
        if option in _ABSOLUTE_WORDS and _bad_moment(argv, place + 1, _ABSOLUTE_WORDS[option], absolute=True):
            return True
    return False


def _bad_field(kind: bytes, offset: bytes) -> bool:
    """Whether BITFIELD would read these two words as a field so far out that the string becomes huge, yet not so far that it is refused."""
    bits = _number(offset.lstrip(b"#")) * (64 if offset[:1] == b"#" else 1)
    return kind[:1].lower() in (b"u", b"i") and LARGEST_OFFSET < bits < 1 << 39
