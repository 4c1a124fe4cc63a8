r"""Replies in a notation that keeps RESP's types apart, so that one text says what both protocols send.

    +OK             -ERR text         :2            ,3.25 (double)      #t            nil     nil* (null array in RESP2)
    "bulk\x00"      ="txt:verbatim"   [a b] array   ~[a b] set          {k => v} map  push[a b]

Inside others, statuses and errors stand in quotes: +"OK". What has an order of its own in each server, or cannot be foretold:

    any[a b]   an array in whatever order        :? $? ,?   any integer, bulk string, double        ...   anything

What is written is the RESP3 reply; RESP2's follows from it: nulls become null bulk strings or arrays, maps, sets and pushes arrays, doubles
and verbatim texts bulk strings. One rule is of Redis' making: `pairs[[a b] [c d]]` is an array of arrays in RESP3, one flat array in RESP2.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.differential.wire import Reply, quote

TOKEN = re.compile(
    r"""\s*(?:(?P<open>any\[|pairs\[|push\[|~\[|\[|\{)|(?P<close>[\]}])|(?P<arrow>=>)|(?P<text>[+=-]?"(?:[^"\\]|\\.)*")"""
    r"""|(?P<word>nil\*?|\.\.\.|[:$,]\?|:-?\d+|,[^\s\]}]+|\#[tf]))"""
)
OPENING = {"[": "*", "any[": "any", "pairs[": "pairs", "push[": ">", "~[": "~", "{": "%"}
PREFIX = {"*": "[", "any": "any[", "pairs": "pairs[", ">": "push[", "~": "~[", "%": "{"}


@dataclass(frozen=True)
class Node:
    """A reply as written. `kind` is RESP's type byte, or one of `any`, `pairs`, `nil`, `nil*`, `...`; `text` a scalar's bytes or `?`."""

    kind: str
    text: bytes | None = None
    items: tuple[Node, ...] = ()


class BadNotation(Exception):
    """What is written is no reply."""


def parse(text: str) -> Node:
    """The one reply that a text describes."""
    text = text.strip()
    if text[:1] in ("+", "-") and text[1:2] != '"':
        return Node(text[0], text[1:].encode())
    nodes = list(_nodes(text))
    if len(nodes) != 1:
        raise BadNotation(f"{len(nodes)} replies where one is expected: {text}")
    return nodes[0]


def _nodes(text: str) -> Iterator[Node]:
    stack: list[tuple[str, list[Node]]] = [("", [])]
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            if not text[at:].strip():
                break
            raise BadNotation(f"not a reply: {text[at:]!r}")
        at = match.end()
        if opening := match["open"]:
            stack.append((OPENING[opening], []))
        elif match["close"]:
            kind, items = stack.pop()
            if not stack or (kind == "%") != (match["close"] == "}"):
                raise BadNotation(f"{match['close']!r} closes nothing: {text}")
            stack[-1][1].append(Node(kind, None, tuple(items)))
        elif word := match["text"]:
            kind = "$" if word[0] == '"' else word[0]
            stack[-1][1].append(Node(kind, literal_eval("b" + word[word.index('"') :])))
        elif word := match["word"]:
            stack[-1][1].append(Node(word) if word in ("nil", "nil*", "...") else Node(word[0], word[1:].encode()))
    if len(stack) != 1:
        raise BadNotation(f"a bracket is not closed: {text}")
    yield from stack[0][1]


def render(node: Node, nested: bool = False) -> str:
    """The node as text; `parse` reads it back."""
    if node.kind in PREFIX:
        parts = [render(item, True) for item in node.items]
        if node.kind == "%":
            parts = [f"{key} => {value}" for key, value in zip(parts[::2], parts[1::2], strict=True)]
        return PREFIX[node.kind] + " ".join(parts) + ("}" if node.kind == "%" else "]")
    if node.text is None:
        return node.kind
    if node.kind in "+-":
        text = node.text.decode("latin-1")
        return node.kind + (quote(node.text) if nested or not text.isprintable() or text.startswith('"') or text != text.strip() else text)
    if node.kind in "$=" and node.text != b"?":
        return node.kind.replace("$", "") + quote(node.text)
    return node.kind + node.text.decode()


def resp2(node: Node) -> Node:
    """The node as RESP2 sends it, by the rules above."""
    items = tuple(resp2(item) for item in node.items)
    match node.kind:
        case ",":
            return Node("$", node.text)
        case "=":
            return Node("$", (node.text or b"")[4:])
        case ">":
            return Node("*", None, items)
        case "~":
            return Node("any", None, items)
        case "%":
            return Node("flat", None, items)
        case "pairs":
            return Node("*", None, tuple(part for pair in items for part in pair.items))
        case _:
            return Node(node.kind, node.text, items)


def matches(node: Node, reply: Reply, protocol: int) -> bool:
    """Whether a reply is what a node says."""
    return _same(resp2(node) if protocol == 2 else node, reply, protocol)


def _same(node: Node, reply: Reply, protocol: int) -> bool:
    kind, value = reply
    match node.kind:
        case "...":
            return True
        case "nil" | "nil*":
            return value is None and kind == ("_" if protocol == 3 else "*" if node.kind == "nil*" else "$")
        case "any" | "~":
            return kind == ("~" if node.kind == "~" else "*") and value is not None and _same_in_any_order(node.items, value, protocol)
        case "%" | "flat":
            if value is None or kind != ("%" if node.kind == "%" else "*") or (node.kind == "flat" and len(value) % 2):
                return False
            pairs = value if kind == "%" else list(zip(value[::2], value[1::2], strict=True))
            wanted = [Node("*", None, (key, item)) for key, item in zip(node.items[::2], node.items[1::2], strict=True)]
            return _same_in_any_order(wanted, [("*", list(pair)) for pair in pairs], protocol)
        case "*" | ">" | "pairs":
            wanted_kind = ">" if node.kind == ">" else "*"
            return kind == wanted_kind and value is not None and len(value) == len(node.items) and all(
                _same(item, part, protocol) for item, part in zip(node.items, value, strict=True)
            )
        case _:
            if kind != node.kind or value is None:
                return False
            return node.text == b"?" or node.text == (value if isinstance(value, bytes) else _scalar(value))


def _same_in_any_order(nodes: Sequence[Node], replies: Sequence[Reply], protocol: int) -> bool:
    left = list(replies)
    for node in nodes:
        found = next((at for at, reply in enumerate(left) if _same(node, reply, protocol)), None)
        if found is None:
            return False
        del left[found]
    return not left


def _scalar(value: int | bool) -> bytes:
    return (b"f", b"t")[value] if isinstance(value, bool) else b"%d" % value


def from_reply(reply: Reply) -> Node:
    """A reply as a node, type for type; RESP2's null array is `nil*`, all other nulls are `nil`."""
    kind, value = reply
    if value is None:
        return Node("nil*" if kind == "*" else "nil")
    if kind == "%":
        return Node("%", None, tuple(from_reply(part) for pair in value for part in pair))
    if kind in "*~>":
        return Node(kind, None, tuple(from_reply(part) for part in value))
    return Node(kind, value if isinstance(value, bytes) else _scalar(value))


def from_both(two: Reply, three: Reply) -> Node | None:
    """The node that stands for a RESP2 and a RESP3 reply both, or None when no rule leads from one to the other."""
    node = from_reply(three)
    kind, value = two
    if three[1] is None:
        return from_reply(two) if value is None else None
    if three[0] == "*" and kind == "*" and value is not None:
        if len(value) == len(three[1]):
            parts = [from_both(one, other) for one, other in zip(value, three[1], strict=True)]
            if None not in parts:
                return Node("*", None, tuple(part for part in parts if part is not None))
        node = Node("pairs", None, node.items)
        if any(item.kind != "*" or len(item.items) != 2 for item in node.items):
            return None
    return node if matches(node, two, 2) else None
