"""The letters of notify-keyspace-events: which classes of events are told, and in which of two ways."""

from __future__ import annotations

import enum


class Classes(enum.IntFlag):
    """A set of classes. KEYSPACE and KEYEVENT are the two kinds of channels; without either nothing is told.

    Its text is the letters in Redis' canonical form. (With `A`, Redis prints no `n`; so it is here.)
    """

    KEYSPACE = enum.auto()
    KEYEVENT = enum.auto()
    GENERIC = enum.auto()
    STRING = enum.auto()
    LIST = enum.auto()
    SET = enum.auto()
    HASH = enum.auto()
    ZSET = enum.auto()
    EXPIRED = enum.auto()
    EVICTED = enum.auto()
    STREAM = enum.auto()
    KEY_MISS = enum.auto()
    MODULE = enum.auto()
    NEW = enum.auto()
    ARRAY = enum.auto()

    def __str__(self) -> str:
        if self & ALL == ALL:
            return "A" + _letters(self, BESIDE)
        return _letters(self, IN_ALL | NEW | BESIDE)


# In the order in which CONFIG GET prints them: first what `A` stands for.
IN_ALL = {
    "g": Classes.GENERIC,
    "$": Classes.STRING,
    "l": Classes.LIST,
    "s": Classes.SET,
    "h": Classes.HASH,
    "z": Classes.ZSET,
    "x": Classes.EXPIRED,
    "e": Classes.EVICTED,
    "t": Classes.STREAM,
    "d": Classes.MODULE,
    "a": Classes.ARRAY,
}
BESIDE = {"K": Classes.KEYSPACE, "E": Classes.KEYEVENT, "m": Classes.KEY_MISS}
NEW = {"n": Classes.NEW}
ALL = Classes(sum(IN_ALL.values()))
LETTERS = {**IN_ALL, **BESIDE, **NEW, "A": ALL}


def parse_classes(text: str) -> Classes:
    """The classes that letters name. ValueError when one of them names none."""
    classes = Classes(0)
    for letter in text:
        if letter not in LETTERS:
            raise ValueError(f"{letter!r} is no class of events")
        classes |= LETTERS[letter]
    return classes


def _letters(classes: Classes, table: dict[str, Classes]) -> str:
    return "".join(letter for letter, one in table.items() if classes & one)
