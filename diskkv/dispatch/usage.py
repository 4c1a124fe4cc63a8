"""Usage lines, read: the tree of arguments that COMMAND DOCS answers.

    usage    := name sequence
    sequence := node*
    node     := word | "[" choices "]" | "<" choices ">"       in brackets optional, in angles not
    choices  := sequence ("|" sequence)* ["..."]               dots: it may be repeated

Words in capitals, and signs, stand for themselves; a word in small letters stands for a value. `key [key ...]` is one argument that may
be given more than once. `EX seconds` is an argument with a token; a token with several values is a block.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_TOKENS = re.compile(r"\.\.\.|[\[\]|]|<(?=\S)|(?<=\S)>|[^\s\[\]|<>]+|[<>]")

INTEGERS = frozenset(
    {
        "seconds", "milliseconds", "count", "numkeys", "index", "start", "stop", "end", "offset", "increment", "decrement", "db",
        "destination-db", "cursor", "bit", "len", "maxlen", "rank", "num-matches", "min-match-len", "timeout", "client-id", "numreplicas",
        "index1", "index2", "protover", "limit", "samples", "numlocal", "num-local-replicas", "maxcount", "maxsize",
        "size",
    }
)  # fmt: skip
DOUBLES = frozenset({"score", "weight", "longitude", "latitude", "radius", "width", "height"})
KEYS = frozenset({"key", "key1", "key2", "newkey", "source", "destination", "destkey", "sourcekey", "destinationkey"})


@dataclass(slots=True)
class Argument:
    """One argument as COMMAND DOCS describes it: `kind` is string, integer, double, key, pattern, unix-time, pure-token, oneof or block."""

    name: str
    kind: str
    token: str = ""
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    arguments: list[Argument] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Group:
    """Brackets of either kind, and what they choose among."""

    choices: tuple[tuple[Node, ...], ...]
    optional: bool
    repeated: bool


Node = str | Group


def parse_arguments(usage: str) -> list[Argument]:
    """The arguments of a usage line without the command's name. ValueError when it breaks the grammar."""
    tokens = _TOKENS.findall(usage)
    choices, repeated, at = _choices(tokens, 0, "")
    if at != len(tokens) or len(choices) != 1 or repeated:
        raise ValueError(f"not a usage line: {usage!r}")
    return _sequence(choices[0])


def _choices(tokens: Sequence[str], at: int, closing: str) -> tuple[tuple[tuple[Node, ...], ...], bool, int]:
    choices: list[list[Node]] = [[]]
    repeated = False
    while at < len(tokens) and tokens[at] != closing:
        token = tokens[at]
        at += 1
        if token == "|":
            choices.append([])
        elif token == "...":
            repeated = True
        elif token in ("[", "<"):
            inner, again, at = _choices(tokens, at, "]" if token == "[" else ">")
            if at == len(tokens):
                raise ValueError(f"{token} is not closed")
            choices[-1].append(Group(inner, token == "[", again))
            at += 1
        elif token in ("]", ">"):
            raise ValueError(f"{token} closes nothing")
        else:
            choices[-1].append(token)
    if not all(choices) and closing:
        raise ValueError("nothing to choose")
    return tuple(map(tuple, choices)), repeated, at


def _literal(node: Node) -> bool:
    """Whether a word stands for itself."""
    return isinstance(node, str) and node == node.upper() and "ip:port" not in node


def _sequence(nodes: Sequence[Node]) -> list[Argument]:
    arguments: list[Argument] = []
    at = 0
    while at < len(nodes):
        argument, at = _next(nodes, at)
        arguments.append(argument)
    return arguments


def _next(nodes: Sequence[Node], at: int) -> tuple[Argument, int]:
    """The argument that begins at a node, and where the next one begins."""
    behind = _repeated_until(nodes, at)
    if behind:
        # What is repeated stands between here and the brackets that repeat it.
        argument = _one(nodes[at : behind - 1])
        argument.multiple = True
        argument.multiple_token = bool(argument.token)
        return argument, behind
    node = nodes[at]
    if isinstance(node, Group):
        return _group(node), at + 1
    if not _literal(node):
        return Argument(node, _kind(node)), at + 1
    stop = at + 1
    while stop < len(nodes) and not _literal(nodes[stop]) and not _begins_option(nodes[stop]):
        stop += 1
    return _with_token(node, nodes[at + 1 : stop]), stop


def _repeated_until(nodes: Sequence[Node], at: int) -> int:
    """Where it ends if what begins at a node is followed by brackets that repeat just that; else 0."""
    for stop in range(at + 1, len(nodes)):
        node = nodes[stop]
        if isinstance(node, Group) and node.optional and node.repeated and len(node.choices) == 1:
            return stop + 1 if node.choices[0] == tuple(nodes[at:stop]) else 0
    return 0


def _begins_option(node: Node) -> bool:
    """Whether brackets begin with a word that stands for itself, so that what is before them ends. Not so those of signs (`[= | ~]`)."""
    if not isinstance(node, Group) or not node.optional:
        return False
    first = node.choices[0][0]
    return isinstance(first, Group) or (_literal(first) and first[0].isalnum())


def _with_token(token: str, values: Sequence[Node]) -> Argument:
    if not values:
        return Argument(token.lower(), "pure-token", token)
    inner = _sequence(values)
    if len(inner) == 1 and not inner[0].optional and not inner[0].token:
        inner[0].token = token
        return inner[0]
    return Argument(token.lower(), "block", token, arguments=inner)


def _group(group: Group) -> Argument:
    if len(group.choices) == 1:
        argument = _one(group.choices[0])
        if argument.optional:
            argument = Argument(argument.name, "block", arguments=[argument])
    else:
        inner = [_one(choice) for choice in group.choices]
        argument = Argument("-or-".join(dict.fromkeys(one.name for one in inner[:3])), "oneof", arguments=inner)
    argument.optional = group.optional
    argument.multiple = argument.multiple or group.repeated
    return argument


def _one(nodes: Sequence[Node]) -> Argument:
    """A sequence as one argument: a block if it has more than one."""
    inner = _sequence(nodes)
    if len(inner) == 1:
        return inner[0]
    return Argument("-".join(one.name for one in inner[:2]), "block", arguments=inner)


def _kind(name: str) -> str:
    if name.startswith("unix-time"):
        return "unix-time"
    if name in KEYS:
        return "key"
    if name in INTEGERS:
        return "integer"
    if name in DOUBLES:
        return "double"
    return "pattern" if name == "pattern" else "string"
