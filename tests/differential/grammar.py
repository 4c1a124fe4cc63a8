"""The little language of the command tables, compiled once into functions that draw words.

    <name>      words of `words.WORDS`
    WORD        itself, its letters at times in lower or mixed case (lower-case words stay as they are)
    (a | b)     one of them
    [a]         a or nothing
    {a | b}     options: none, one, at times several of them in any order, duplicates and contradictions included
    a+          one or more; seldom more than a hundred, drawn from the wide world

A line of a table is a weight and a form: `3 LPOP <list> [<count>]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate

from .words import WORDS, Source

Draw = Callable[[Source, list[bytes]], None]

_TOKEN = re.compile(r"<\w+>|[\[\]{}()|+]|[^\s\[\]{}()|+<>]+")
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class BadTable(Exception):
    """A line of a table that is not in the language."""


class Table:
    """The lines of a table with their weights; draws whole commands."""

    def __init__(self, text: str) -> None:
        self.forms: list[Draw] = []
        weights: list[float] = []
        self.names: set[str] = set()
        for line in text.strip().splitlines():
            if not line.strip():
                continue
            weight, form = line.strip().split(maxsplit=1)
            self.forms.append(compile_form(form))
            weights.append(float(weight))
            self.names.add(form.split()[0])
        self._cumulative = list(accumulate(weights))

    @property
    def weight(self) -> float:
        return self._cumulative[-1]

    def draw(self, source: Source) -> list[bytes]:
        out: list[bytes] = []
        source.rng.choices(self.forms, cum_weights=self._cumulative)[0](source, out)
        source.wide = False
        return out


def compile_form(form: str) -> Draw:
    """The function that draws commands of this form."""
    tokens = _TOKEN.findall(form)
    draw, rest = _alternatives(tokens, 0, "")
    if rest != len(tokens):
        raise BadTable(f"{form!r}: what comes after word {rest}?")
    return _one_of(draw)


def _alternatives(tokens: list[str], at: int, closing: str) -> tuple[list[Draw], int]:
    """Sequences separated by `|` up to the closing bracket, and the place after it."""
    found: list[Draw] = []
    items: list[Draw] = []
    while at < len(tokens) and tokens[at] != closing:
        token = tokens[at]
        at += 1
        if token == "|":
            found.append(_sequence(items))
            items = []
        elif token == "+":
            items[-1] = _repeated(items[-1])
        elif token in ")]}":
            raise BadTable(f"{' '.join(tokens)}: {token} closes nothing")
        elif token in _CLOSING:
            inner, at = _alternatives(tokens, at, _CLOSING[token])
            if at >= len(tokens):
                raise BadTable(f"{' '.join(tokens)}: no {_CLOSING[token]}")
            at += 1
            items.append({"(": _one_of, "[": _maybe, "{": _options}[token](inner))
        elif token.startswith("<"):
            items.append(_word(token[1:-1]))
        else:
            items.append(_literal(token))
    found.append(_sequence(items))
    return found, at


def _sequence(items: list[Draw]) -> Draw:
    if len(items) == 1:
        return items[0]

    def draw(source: Source, out: list[bytes]) -> None:
        for item in items:
            item(source, out)

    return draw


def _one_of(choices: list[Draw]) -> Draw:
    if len(choices) == 1:
        return choices[0]

    def draw(source: Source, out: list[bytes]) -> None:
        source.rng.choice(choices)(source, out)

    return draw


def _maybe(choices: list[Draw]) -> Draw:
    inner = _one_of(choices)

    def draw(source: Source, out: list[bytes]) -> None:
        if source.rng.random() < 0.5:
            inner(source, out)

    return draw


def _options(choices: list[Draw]) -> Draw:
    def draw(source: Source, out: list[bytes]) -> None:
        dice = source.rng.random()
        for _ in range(0 if dice < 0.4 else 1 if dice < 0.8 else 2 if dice < 0.94 else 4):
            source.rng.choice(choices)(source, out)

    return draw


def _repeated(item: Draw) -> Draw:
    def draw(source: Source, out: list[bytes]) -> None:
        dice = source.rng.random()
        if dice < 0.97:
            times = source.rng.randint(1, 2 if dice < 0.6 else 8)
        else:
            source.wide, times = True, source.rng.choice((120, 128, 129, 200, 513))
        for _ in range(times):
            item(source, out)

    return draw


def _word(name: str) -> Draw:
    if name not in WORDS:
        raise BadTable(f"<{name}> is not a word")
    word = WORDS[name]

    def draw(source: Source, out: list[bytes]) -> None:
        drawn = word(source)
        if isinstance(drawn, bytes):
            out.append(drawn)
        else:
            out.extend(drawn)

    return draw


def _literal(text: str) -> Draw:
    raw = text.encode()

    def draw(source: Source, out: list[bytes]) -> None:
        dice = source.rng.random()
        out.append(raw if dice < 0.7 else raw.lower() if dice < 0.9 else raw.title())

    return draw
