"""One reply's bytes, whole and well formed, into the values of `replies`; without recursion, because scripts nest as deep as they like."""

from __future__ import annotations

from typing import Any

from diskkv.errors import ScriptError
from diskkv.replies import NIL_ARRAY, Simple, Verbatim


def decode(wire: bytes) -> Any:
    """The value of a reply in RESP 2 or 3. Of a map whose keys can't be keys in Python comes the list of its pairs."""
    stack: list[tuple[int, int, list[Any]]] = []
    at = 0
    while True:
        stop = wire.index(b"\r", at)
        kind, head = wire[at], wire[at + 1 : stop]
        at = stop + 2
        value: Any
        if kind == 0x24:  # $
            size = int(head)
            value = None
            if size >= 0:
                value = wire[at : at + size]
                at += size + 2
        elif kind == 0x3A:  # :
            value = int(head)
        elif kind in b"*%~>":
            count = int(head) * (2 if kind == 0x25 else 1)
            if count > 0:
                stack.append((kind, count, []))
                continue
            value = NIL_ARRAY if count < 0 else collect(kind, [])
        elif kind == 0x2B:  # +
            value = Simple(head)
        elif kind == 0x2D:  # -
            value = ScriptError(head)
        elif kind == 0x3D:  # =
            size = int(head)
            value = Verbatim(wire[at + 4 : at + size], wire[at : at + 3])
            at += size + 2
        elif kind == 0x2C:  # ,
            value = float(head)
        elif kind == 0x23:  # #
            value = head == b"t"
        else:
            value = None if kind == 0x5F else int(head) if head.lstrip(b"-").isdigit() else head
        while stack:
            kind, count, items = stack[-1]
            items.append(value)
            if len(items) < count:
                break
            stack.pop()
            value = collect(kind, items)
        else:
            return value


def collect(kind: int, items: list[Any]) -> Any:
    """The items of an aggregate, in its form."""
    try:
        if kind == 0x25:  # %
            return dict(zip(items[::2], items[1::2], strict=True))
        if kind == 0x7E:  # ~
            return set(items)
    except TypeError:
        pass
    return items
