"""`diskkv backup`: a copy of a store, whether it is being served or not."""

from __future__ import annotations

import os
from typing import Any

import click

from diskkv.cli.connecting import connect, follow, require_store, server_options
from diskkv.cli.progress import Progress
from diskkv.errors import StoreError


@click.command()
@click.argument("destination", type=click.Path(file_okay=False))
@click.option("--store", type=click.Path(exists=True, file_okay=False), help="A store that nobody has open, instead of a server's.")
@server_options
@click.option("--quiet", is_flag=True, help="No progress line, even at a terminal.")
def backup(destination: str, store: str | None, quiet: bool, **server: Any) -> None:
    """Back a store up into a directory of backups, while it is being used. A server's is on the server's machine.

    The backup is the store as it was at one moment, in a directory of its own below DESTINATION. What an earlier backup there has already
    takes no space again.
    """
    destination = os.path.abspath(destination)
    done = total = files = 0

    def look(done_bytes: int, total_bytes: int, done_files: int) -> None:
        nonlocal done, total, files
        done, total, files = done_bytes, total_bytes, done_files
        progress.tick()

    progress = Progress(
        lambda: done / total if total else None, lambda: done, lambda: files, noun="files",
        stopped="no backup was made" if store is not None else "the server goes on with the backup", quiet=quiet,
    )  # fmt: skip
    with progress:
        if store is not None:
            require_store(store)
            _of_store(store, destination, look)
        else:
            _of_server(connect(**server), destination, look)


def _of_server(client: Any, destination: str, look: Any) -> None:
    def look_at(status: dict[str, Any]) -> None:
        look(status["done-bytes"], status["total-bytes"], status["done-files"])

    status = follow(client, "DISKKV.BACKUP", [destination], look_at)
    if status["state"] != b"done":
        raise click.ClickException(f"the backup failed: {os.fsdecode(status['error'])}")
    _say(os.fsdecode(status["path"]), status["new-files"], status["files"], status["new-bytes"], status["bytes"])


def _of_store(store: str, destination: str, look: Any) -> None:
    from diskkv.app import open_executor

    try:
        opened = open_executor(store).store
        opened.log.kept = True
        try:
            label = opened.backups.take(destination, lambda status: look(status.done, status.total, status.files))
        finally:
            opened.close()
    except (StoreError, OSError) as error:
        raise click.ClickException(f"the backup failed: {error}") from None
    _say(opened.backups.status.path, label.new_files, label.files, label.new_bytes, label.bytes)


def _say(path: str, new_files: int, files: int, new_bytes: int, size: int) -> None:
    click.echo(f"{path}: {new_files} of {files} files and {new_bytes:,} of {size:,} bytes are new")
