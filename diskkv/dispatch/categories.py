"""The categories that Redis puts commands in (ACL CAT, ACL rules, COMMAND INFO, COMMAND LIST FILTERBY ACLCAT)."""

from __future__ import annotations

from diskkv.dispatch.table import Command, Flag, container

_GROUPS: dict[str, tuple[str, ...]] = {
    "generic": ("keyspace",),
    "string": ("string",),
    "bitmap": ("bitmap",),
    "hash": ("hash",),
    "list": ("list",),
    "set": ("set",),
    "sorted-set": ("sortedset",),
    "sorted_set": ("sortedset",),
    "stream": ("stream",),
    "array": ("array",),
    "hyperloglog": ("hyperloglog",),
    "geo": ("geo",),
    "connection": ("connection",),
    "transactions": ("transaction",),
    "scripting": ("scripting",),
}
_DANGEROUS = {"info", "keys", "migrate", "restore", "flushall", "flushdb", "swapdb", "restore-asking", "sort", "sort_ro"}
_OTHERWISE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("dbsize", "flushall", "flushdb", "swapdb", "restore-asking"), ("keyspace",)),
    **dict.fromkeys(("sort", "sort_ro"), ("set", "sortedset", "list")),
    **dict.fromkeys(("wait", "waitaof", "asking", "readonly", "readwrite"), ("connection",)),
    **dict.fromkeys(("lastsave", "role"), ("admin",)),
}

# All of them, in the order in which ACL CAT lists them.
CATEGORIES = (
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream", "pubsub",
    "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
    "array",
)  # fmt: skip


def categories(command: Command) -> list[str]:
    """A command's categories, without the `@`, in Redis' order."""
    flags = command.flags
    if command.handler is container:
        return ["slow"]
    found = set(_OTHERWISE.get(command.name, _GROUPS.get(command.group, ())))
    if command.name.split("|")[0] == "command":
        found.add("connection")
    if flags & Flag.WRITE:
        found.add("write")
    if flags & Flag.READONLY and "scripting" not in found:
        found.add("read")
    if flags & Flag.ADMIN:
        found.add("admin")
    if "admin" in found or command.name in _DANGEROUS:
        found.add("dangerous")
    if flags & Flag.PUBSUB:
        found.add("pubsub")
    if flags & Flag.BLOCKING:
        found.add("blocking")
    found.add("fast" if flags & Flag.FAST else "slow")
    return [name for name in CATEGORIES if name in found]
