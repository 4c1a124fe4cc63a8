"""CONFIG."""

from __future__ import annotations

from typing import Any

from diskkv.conffile import rewrite
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
    ctx.store.expired = ctx.store.expired_parts = ctx.store.graves.freed = 0
    return OK


@command("CONFIG REWRITE", FLAGS, since="2.8.0")
def config_rewrite(ctx: Session) -> Any:
    """Write the settings into the file that they came from."""
    settings = ctx.executor.settings
    if settings.path is None:
        raise CommandError("The server is running without a config file")
    # Where users are in a file of their own, the configuration names them not.
    users = [user.describe().decode("utf-8", "surrogateescape") for user in ctx.executor.users.ordered()] if settings.users else []
    try:
        rewrite(settings, users)
    except OSError as error:
        raise CommandError(f"Rewriting config file: {error.strerror}") from None
    return OK


@command("CONFIG HELP", LOADING | STALE, since="5.0.0")
def config_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("config")
