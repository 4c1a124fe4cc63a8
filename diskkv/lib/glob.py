"""The patterns of KEYS, SCAN MATCH and PSUBSCRIBE: `*`, `?`, `[a-z]`, `[^a]` and backslash escapes, on bytes.

`fnmatch` differs in most details, and one regular expression for a whole pattern may take exponential time. Here a pattern is
cut at its stars into parts of fixed length; the first is tied to the start, the last to the end, and each of the others is
taken where it first occurs, which is never worse than a later place. So the time is at most pattern times text. To cut a pattern of
megabytes would take longer than anybody waits: a VERY_LONG one is read as far as each text leads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

Matcher = Callable[[bytes], bool]

# A pattern is a list of parts, with a star between each two. A part is a list of atoms: one byte, or a set of bytes.
Atom = int | frozenset[int]

# Redis' matcher gives up on a pattern that would have it nest deeper than so many stars (the last one does not nest).
MOST_STARS = 1000
# Longer ones are not kept, and still longer ones not cut.
LONG, VERY_LONG = 1024, 16384
_SPECIAL = re.compile(rb"[*?\[\\]")
_ANY = frozenset(range(256))


def compile_glob(pattern: bytes, nocase: bool = False) -> Matcher:
    """A function that tells whether a text matches all of `pattern`.

    The pattern `*` matches everything, the empty text too, as in KEYS and SCAN. No other pattern but the empty one matches
    the empty text, not even `**`: Redis' matcher stops before it looks at the pattern.
    """
    if len(pattern) <= LONG:
        return _compile(pattern, nocase)
    return _cut(pattern, nocase) if len(pattern) <= VERY_LONG else _Reader(pattern, nocase).matches


def literal_prefix(pattern: bytes) -> bytes:
    """Bytes that every match starts with, for a scan of a range; all of the pattern if it has nothing special."""
    if len(pattern) <= LONG:
        return _literal_prefix(pattern)
    special = _SPECIAL.search(pattern)
    return pattern if special is None else pattern[: special.start()]


@lru_cache(maxsize=1024)
def _compile(pattern: bytes, nocase: bool) -> Matcher:
    return _cut(pattern, nocase)


def _cut(pattern: bytes, nocase: bool) -> Matcher:
    if pattern == b"*":
        return lambda text: True
    parts = _parse(pattern, nocase)
    if len(parts) > MOST_STARS + 1 + (not parts[-1]):
        return lambda text: False
    if len(parts) == 1:
        return _whole(parts[0])
    if not any(parts):
        return lambda text: text != b""
    if len(parts) == 2 and not parts[1] and (start := _literal(parts[0])) is not None:
        return lambda text: text.startswith(start)
    return _pieces(parts)


@lru_cache(maxsize=1024)
def _literal_prefix(pattern: bytes) -> bytes:
    prefix = bytearray()
    for atom in _parse(pattern, False)[0]:
        if not isinstance(atom, int):
            break
        prefix.append(atom)
    return bytes(prefix)


class _Reader:
    """A long pattern, read anew for each text."""

    def __init__(self, pattern: bytes, nocase: bool) -> None:
        self._pattern = pattern
        self._nocase = nocase
        # the classes that were met, by place: one may be nearly all of the pattern
        self._classes: dict[int, tuple[frozenset[int], int]] = {}

    def matches(self, text: bytes) -> bool:
        pattern, size, end = self._pattern, len(self._pattern), len(text)
        # where the last star was: in the pattern behind it, and up to where it has taken the text
        star, taken, stars = -1, 0, 0
        at = place = 0
        while place < end or at < size:
            if at < size and pattern[at] == 0x2A:
                while at < size and pattern[at] == 0x2A:
                    at += 1
                star, taken, stars = at, place, stars + 1
            elif at < size and place == end:
                return False
            else:
                atom, behind = self._atom(at) if at < size else (frozenset[int](), at)
                if text[place] in atom:
                    at, place = behind, place + 1
                elif star < 0:
                    return False
                else:
                    taken += 1
                    at, place = star, taken
        return stars <= MOST_STARS + (star == size) and end > 0

    def _atom(self, at: int) -> tuple[frozenset[int], int]:
        """The bytes that the pattern allows at a place, and where it goes on."""
        pattern = self._pattern
        char = pattern[at]
        at += 1
        if char == 0x3F:
            return _ANY, at
        if char == 0x5B:
            if at not in self._classes:
                self._classes[at] = _parse_class(pattern, at, self._nocase)
            return self._classes[at]
        if char == 0x5C and at < len(pattern):
            char = pattern[at]
            at += 1
        return _cases(char) if self._nocase else frozenset((char,)), at


def _whole(part: list[Atom]) -> Matcher:
    literal = _literal(part)
    if literal is not None:
        return lambda text: text == literal
    match = _expression(part).fullmatch
    return lambda text: match(text) is not None


def _pieces(parts: list[list[Atom]]) -> Matcher:
    """Parts with stars between them. Each is a fixed number of bytes, so an expression for one never tries a second way."""
    first = _expression(parts[0]).match
    searches = [_expression(part).search for part in parts[1:-1] if part]
    last = _expression(parts[-1]).match
    tail = len(parts[-1])

    def matches(text: bytes) -> bool:
        found = first(text)
        for search in searches:
            if found is None:
                return False
            found = search(text, found.end())
        if found is None:
            return False
        at = len(text) - tail
        return at >= found.end() and last(text, at) is not None

    return matches


def _literal(part: list[Atom]) -> bytes | None:
    values = [atom for atom in part if isinstance(atom, int)]
    return bytes(values) if len(values) == len(part) else None


def _expression(part: list[Atom]) -> re.Pattern[bytes]:
    return re.compile(b"".join(map(_atom_expression, part)), re.DOTALL)


def _atom_expression(atom: Atom) -> bytes:
    if isinstance(atom, int):
        return b"\\x%02x" % atom
    if atom == _ANY:
        return b"."
    if not atom:
        return b"(?!)"
    return b"[" + b"".join(b"\\x%02x" % value for value in sorted(atom)) + b"]"


def _parse(pattern: bytes, nocase: bool) -> list[list[Atom]]:
    parts: list[list[Atom]] = [[]]
    at, size = 0, len(pattern)
    while at < size:
        char = pattern[at]
        at += 1
        if char == 0x2A:  # *
            if parts[-1] or len(parts) == 1:  # a run of stars is one star
                parts.append([])
        elif char == 0x3F:  # ?
            parts[-1].append(_ANY)
        elif char == 0x5B:  # [
            members, at = _parse_class(pattern, at, nocase)
            parts[-1].append(members)
        else:
            if char == 0x5C and at < size:  # a backslash; the last one of a pattern stands for itself
                char = pattern[at]
                at += 1
            parts[-1].append(_cases(char) if nocase and _cases(char) != {char} else char)
    return parts


def _parse_class(pattern: bytes, at: int, nocase: bool) -> tuple[frozenset[int], int]:
    """The bytes of a class whose `[` has been read, and where it ends. One that isn't closed ends with the pattern.

    As in Redis: `[]` has no members; an escaped member keeps its case; a range may run backwards, takes any byte as its end,
    `]` too, and orders bytes as signed.
    """
    members: set[int] = set()
    size = len(pattern)
    negated = pattern[at : at + 1] == b"^"
    at += negated
    while at < size:
        char = pattern[at]
        if char == 0x5C and at + 1 < size:
            members.add(pattern[at + 1])
            at += 2
        elif char == 0x5D:  # ]
            at += 1
            break
        elif at + 2 < size and pattern[at + 1] == 0x2D:  # -
            members |= _range(char, pattern[at + 2], nocase)
            at += 3
        else:
            members |= _cases(char) if nocase else {char}
            at += 1
    return (_ANY - members if negated else frozenset(members)), at


def _range(start: int, end: int, nocase: bool) -> set[int]:
    low, high = sorted((_signed(start), _signed(end)))
    if nocase:
        low, high = _lower(low), _lower(high)
        return {value for value in range(256) if low <= _lower(_signed(value)) <= high}
    return {value & 0xFF for value in range(low, high + 1)}


def _signed(value: int) -> int:
    return value - 256 if value > 127 else value


def _lower(value: int) -> int:
    return value + 32 if 0x41 <= value <= 0x5A else value


def _cases(char: int) -> frozenset[int]:
    text = bytes((char,))
    return frozenset(text.lower() + text.upper())
