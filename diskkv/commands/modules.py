"""MODULE: Redis' modules are programs for another machine; none can be loaded."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ADMIN, LOADING, NO_ASYNC_LOADING, NOSCRIPT, STALE, group, help_lines
from diskkv.errors import CommandError

command = group("server")

LOADING_ONE = NO_ASYNC_LOADING | ADMIN | NOSCRIPT
NONE = "modules can't be loaded here: they are made for Redis' own process"


@command("MODULE LIST", ADMIN | NOSCRIPT, since="4.0.0")
def module_list(ctx: Session) -> list[Any]:
    """Return the modules that are loaded: none."""
    return []


@command("MODULE LOAD path [arg [arg ...]]", LOADING_ONE, since="4.0.0")
def module_load(ctx: Session, *_: bytes) -> Any:
    """Say that no module can be loaded."""
    raise CommandError(NONE)


@command("MODULE LOADEX path [CONFIG name value [CONFIG name value ...]] [ARGS args [args ...]]", LOADING_ONE, since="7.0.0", arity=-3)
def module_loadex(ctx: Session, *_: bytes) -> Any:
    """Say that no module can be loaded."""
    raise CommandError(NONE)


@command("MODULE UNLOAD name", LOADING_ONE, since="4.0.0")
def module_unload(ctx: Session, name: bytes) -> Any:
    """Say that there is no such module."""
    raise CommandError("Error unloading module: no such module with that name")


@command("MODULE HELP", LOADING | STALE, since="5.0.0")
def module_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("module")
