"""What may still be typed, worked out from a usage line and the words that are there.

A usage line is read as a tree: `lower-case` words stand for values, others for themselves; `[...]` may be left out, `<a | b>` is a choice
(a bar inside brackets too), and `...` at a group's end lets it be repeated. Neighbouring optional groups may come in any order.
The match is greedy: nobody takes back a word that was given to a repeated value, so `BLPOP a b` still offers `[key ...] timeout`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKENS = re.compile(r"\.\.\.|[\[\]<>|]|[^\s\[\]<>|]+")


@dataclass(frozen=True, slots=True)
class Word:
    text: str

    @property
    def literal(self) -> bool:
        return self.text == self.text.upper()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Group:
    branches: tuple[tuple[Node, ...], ...]
    optional: bool
    repeated: bool

    def __str__(self) -> str:
        inside = " | ".join(show(branch) for branch in self.branches) + (" ..." if self.repeated else "")
        return f"[{inside}]" if self.optional else f"<{inside}>"


Node = Word | Group


def show(nodes: Sequence[Node]) -> str:
    return " ".join(map(str, nodes))


def parse(usage: str) -> tuple[Node, ...]:
    """A usage line as a tree; a bracket left open is closed at the end, so that no server's line can be an error."""
    # In `[=|~]` and the like the brackets, but not `=` and `~`, are grammar; `<` and `>` never occur as a literal word in usage lines.
    branches, _ = _branches(_TOKENS.findall(usage), 0)
    nodes, repeated = branches
    if len(nodes) == 1 and not repeated:
        return nodes[0]
    return (Group(nodes, False, repeated),)


def _branches(tokens: list[str], at: int) -> tuple[tuple[tuple[tuple[Node, ...], ...], bool], int]:
    branches: list[list[Node]] = [[]]
    repeated = False
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token in "]>":
            break
        if token == "|":
            branches.append([])
        elif token == "...":
            repeated = True
        elif token in "[<":
            (inside, again), at = _branches(tokens, at)
            branches[-1].append(Group(inside, token == "[", again))
        else:
            branches[-1].append(Word(token))
    return (tuple(map(tuple, branches)), repeated), at


def remaining(nodes: Sequence[Node], words: Sequence[str]) -> tuple[Node, ...] | None:
    """What may follow the words; None if the usage has no room for them."""
    rest, used = _match(tuple(nodes), words)
    return rest if used == len(words) else None


def openings(nodes: Sequence[Node]) -> Iterator[str]:
    """The literal words that may come next."""
    for node in nodes:
        if isinstance(node, Word):
            if node.literal:
                yield node.text
            return
        for branch in node.branches:
            yield from openings(branch)
        if not node.optional:
            return


def _match(nodes: tuple[Node, ...], words: Sequence[str]) -> tuple[tuple[Node, ...], int]:
    """The nodes that are left when the words have run out or fit no further, and how many words were used."""
    used = 0
    while nodes and used < len(words):
        node = nodes[0]
        if isinstance(node, Group) and node.optional:
            end = next((at for at, other in enumerate(nodes) if isinstance(other, Word) or not other.optional), len(nodes))
            region, nodes = nodes[:end], nodes[end:]
            left, region, taken = _match_any_order(region, words[used:])
            used += taken
            if left or used == len(words):
                nodes = left + region + nodes
                break
        elif isinstance(node, Group):
            found = _choose(node, words[used])
            if found is None:
                break
            left, taken = _match(found, words[used:])
            again = (Group(node.branches, True, True),) if node.repeated else ()
            nodes = left + again + nodes[1:]
            used += taken
            if left:
                break
        elif _fits(node, words[used]):
            nodes = nodes[1:]
            used += 1
        else:
            break
    return nodes, used


def _match_any_order(region: tuple[Node, ...], words: Sequence[str]) -> tuple[tuple[Node, ...], tuple[Node, ...], int]:
    """What is left of an option begun, the options not yet used, and how many words were used."""
    used = 0
    while used < len(words):
        chosen = _option(region, words[used])
        if chosen is None:
            break
        group, branch = chosen
        left, taken = _match(branch, words[used:])
        used += taken
        if not group.repeated:
            region = tuple(other for other in region if other is not group)
        if left:
            return left, region, used
    return (), region, used


def _option(region: tuple[Node, ...], word: str) -> tuple[Group, tuple[Node, ...]] | None:
    """The optional group that a word opens: one that has this very word, before one that takes any."""
    groups = [group for group in region if isinstance(group, Group)]
    for group in groups:
        for branch in group.branches:
            if word.upper() in openings(branch):
                return group, branch
    for group in groups:
        for branch in group.branches:
            if branch and _takes_any(branch[0]):
                return group, branch
    return None


def _choose(group: Group, word: str) -> tuple[Node, ...] | None:
    found = _option((group,), word)
    return found[1] if found else None


def _takes_any(node: Node) -> bool:
    if isinstance(node, Word):
        return not node.literal
    return any(branch and _takes_any(branch[0]) for branch in node.branches)


def _fits(word: Word, typed: str) -> bool:
    return not word.literal or word.text.upper() == typed.upper()
