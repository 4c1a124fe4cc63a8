"""CONFIG."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ADMIN, LOADING, NOSCRIPT, SECRET, STALE, group, help_lines
from diskkv.errors import BadSyntax, CommandError, SettingError
from diskkv.replies import OK

command = group("server")

FLAGS = ADMIN | NOSCRIPT | LOADING | STALE


@command("CONFIG GET parameter [parameter ...]", FLAGS, since="2.0.0")
def config_get(ctx: Session, *patterns: bytes) -> dict[bytes, bytes]:
    """Return the settings that patterns match."""
    settings = ctx.executor.settings
    names = dict.fromkeys(name for pattern in patterns for name in settings.matching(pattern))
    return {name.encode(): settings.text(name).encode("utf-8", "surrogateescape") for name in names}


@command("CONFIG SET parameter value [parameter value ...]", FLAGS | SECRET, since="2.0.0")
def config_set(ctx: Session, *words: bytes) -> Any:
    """Change settings, all or none."""
    if len(words) % 2:
        raise BadSyntax
    texts = [word.decode("utf-8", "surrogateescape") for word in words]
    try:
        ctx.executor.settings.change(zip(texts[::2], texts[1::2], strict=True))
    except SettingError as error:
        raise CommandError(str(error)) from None
    return OK


@command("CONFIG RESETSTAT", FLAGS, since="2.0.0")
def config_resetstat(ctx: Session) -> Any:
    """Set the figures of INFO to zero."""
    ctx.executor.stats.reset()
    ctx.store.expired = ctx.store.expired_parts = 0
    return OK


@command("CONFIG REWRITE", FLAGS, since="2.8.0")
def config_rewrite(ctx: Session) -> Any:
    """Say that no configuration file is written."""
    raise CommandError("configuration files are read but not written here: change the file yourself")


@command("CONFIG HELP", LOADING | STALE, since="5.0.0")
def config_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("config")
