"""What XINFO and XPENDING say, without what depends on the moment, on the form of Redis' tree, and on the 7.0 oracle's being older.

Since 7.2 a consumer comes to be when it first asks for anything, in 7.0 when it first gets something; so those that have nothing are
left out. (In 7.0 they have no time of their last success, either.)
"""

from __future__ import annotations

from typing import Any

from .stream_words import LONG_AGO
from .wire import Reply

# A time that has passed since is either longer than any run, or not.
LONG_MS = 1_000_000
_VARYING = frozenset((b"radix-tree-keys", b"radix-tree-nodes", b"seen-time", b"active-time", b"idle", b"inactive"))
_NAMES = frozenset((b"name", b"length"))


def known(argv: tuple[bytes, ...], reply: Reply) -> Any:
    """The comparable part of a reply to XINFO, or to XPENDING with a range."""
    value = _plain(reply)
    if argv[0].upper() == b"XPENDING":
        return [[number, consumer, idle > LONG_MS, times] for number, consumer, idle, times in value]
    if isinstance(value, list) and argv[1].upper() == b"CONSUMERS":
        return [each for each in value if each[b"pending"]]
    return value


def _plain(reply: Reply) -> Any:
    kind, value = reply
    if kind == "%":
        return _named({name[1]: _plain(item) for name, item in value})
    if kind == "*" and value:
        items = [_plain(item) for item in value]
        if value[0][0] == "$" and value[0][1] in _NAMES and len(items) % 2 == 0:
            return _named(dict(zip(items[::2], items[1::2], strict=True)))
        return items
    return value


def _named(told: dict[Any, Any]) -> dict[Any, Any]:
    left = {name: item for name, item in told.items() if name not in _VARYING}
    consumers = left.pop(b"consumers", None)
    if isinstance(consumers, list):
        left[b"consumers"] = [each for each in consumers if each[b"pel-count"]]
    if isinstance(left.get(b"pending"), list):
        # Of a group: id, consumer, time, count; of a consumer: id, time, count.
        left[b"pending"] = [[*row[:-2], row[-2] == LONG_AGO, row[-1]] for row in left[b"pending"]]
    return left
