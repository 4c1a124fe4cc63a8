"""The categories that Redis puts commands in (COMMAND INFO, COMMAND LIST FILTERBY ACLCAT)."""

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
    "hyperloglog": ("hyperloglog",),
    "geo": ("geo",),
    "connection": ("connection",),
    "transactions": ("transaction",),
    "scripting": ("scripting",),
}
_DANGEROUS = {"keys", "flushall", "flushdb", "swapdb", "info", "sort", "sort_ro"}
_OTHERWISE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("dbsize", "flushall", "flushdb", "swapdb"), ("keyspace",)),
    **dict.fromkeys(("sort", "sort_ro"), ("set", "sortedset", "list")),
    "wait": ("connection",),
}


def categories(command: Command) -> list[str]:
    """A command's categories, without the `@`."""
    flags = command.flags
    if command.handler is container:
        return ["slow"]
    found = list(_OTHERWISE.get(command.name, _GROUPS.get(command.group, ())))
    if command.name.split("|")[0] == "command":
        found.append("connection")
    if flags & Flag.WRITE:
        found.append("write")
    if flags & Flag.READONLY:
        found.append("read")
    if flags & Flag.ADMIN or command.name == "lastsave":
        found.append("admin")
    if "admin" in found or command.name in _DANGEROUS:
        found.append("dangerous")
    if flags & Flag.PUBSUB:
        found.append("pubsub")
    if flags & Flag.BLOCKING:
        found.append("blocking")
    found.append("fast" if flags & Flag.FAST else "slow")
    return found
