"""Backups of a store that is being served."""

from __future__ import annotations

import os
from typing import Any

from diskkv.dispatch.session import Session, is_local
from diskkv.dispatch.table import ADMIN, NO_ASYNC_LOADING, NOSCRIPT, group, help_lines
from diskkv.errors import CommandError, StoreError
from diskkv.replies import Simple

command = group("server")

NOT_ALLOWED = "DISKKV.BACKUP is not allowed to this client: see the setting enable-backup-command"


def _allow(ctx: Session) -> None:
    allowed = ctx.executor.settings["enable-backup-command"]
    if allowed == "no" or (allowed == "local" and not is_local(ctx)):
        raise CommandError(NOT_ALLOWED)


@command("DISKKV.BACKUP START destination", ADMIN | NOSCRIPT | NO_ASYNC_LOADING, since="7.2.0")
def backup_start(ctx: Session, destination: bytes) -> Any:
    """Begin a backup into a directory of the server's machine, as it is at this moment."""
    _allow(ctx)
    path = os.fsdecode(destination)
    if not os.path.isabs(path):
        raise CommandError("the destination must be an absolute path")
    try:
        ctx.store.backups.begin(path)
    except StoreError as error:
        raise CommandError(str(error)) from None
    return Simple(b"Backup started")


@command("DISKKV.BACKUP STATUS", ADMIN | NOSCRIPT | NO_ASYNC_LOADING, since="7.2.0")
def backup_status(ctx: Session) -> dict[bytes, Any]:
    """Return what is known of the backup that runs, or was last."""
    _allow(ctx)
    status = ctx.store.backups.status
    found: dict[bytes, Any] = {
        b"state": b"running" if status.running else b"failed" if status.error else b"done" if status.label else b"none",
        b"destination": os.fsencode(status.destination),
        b"path": os.fsencode(status.path),
        b"error": status.error.encode("utf-8", "surrogateescape"),
        b"done-files": status.files,
        b"done-bytes": status.done,
        b"total-bytes": status.total,
    }
    label = status.label
    if label is not None:
        found |= {
            b"time": label.time, b"files": label.files, b"bytes": label.bytes, b"new-files": label.new_files, b"new-bytes": label.new_bytes,
        }  # fmt: skip
    return found


@command("DISKKV.BACKUP HELP", NOSCRIPT | NO_ASYNC_LOADING, since="7.2.0")
def backup_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("diskkv.backup")
