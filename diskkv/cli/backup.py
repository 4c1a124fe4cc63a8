"""`diskkv backup`: a copy of a store, whether it is being served or not."""

from __future__ import annotations

import os
import time
from typing import Any

import click

from diskkv.errors import StoreError

LOOK_SECONDS = 0.1


@click.command()
@click.argument("destination", type=click.Path(file_okay=False))
@click.option("--store", type=click.Path(exists=True, file_okay=False), help="A store that nobody has open, instead of a server's.")
@click.option("-h", "--host", default="127.0.0.1", show_default=True, help="The server's host: this machine.")
@click.option("-p", "--port", type=int, default=6379, show_default=True, help="The server's port.")
@click.option("-s", "--socket", default=None, help="The server's unix socket.")
@click.option("--user", default=None, help="User to be.")
@click.option("-a", "--pass", "password", default=None, help="Password to give.")
def backup(destination: str, store: str | None, host: str, port: int, socket: str | None, user: str | None, password: str | None) -> None:
    """Back a store up into a directory of backups, while it is being used.

    The backup is the store as it was at one moment, in a directory of its own below DESTINATION. What an earlier backup there has already
    takes no space again.
    """
    destination = os.path.abspath(destination)
    if store is not None:
        _of_store(store, destination)
        return
    import redis

    client: Any = redis.Redis(host=host, port=port, unix_socket_path=socket, username=user, password=password, decode_responses=True)
    try:
        client.execute_command("DISKKV.BACKUP", "START", destination)
        while True:
            found: Any = client.execute_command("DISKKV.BACKUP", "STATUS")
            status = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
            if status["state"] != "running":
                break
            time.sleep(LOOK_SECONDS)
    except redis.RedisError as error:
        raise click.ClickException(str(error)) from None
    if status["state"] != "done":
        raise click.ClickException(f"the backup failed: {status['error']}")
    _say(status["path"], int(status["new-files"]), int(status["files"]), int(status["new-bytes"]), int(status["bytes"]))


def _of_store(store: str, destination: str) -> None:
    from diskkv.app import open_executor

    try:
        opened = open_executor(store).store
        try:
            label = opened.backups.take(destination)
        finally:
            opened.close()
    except (StoreError, OSError) as error:
        raise click.ClickException(f"the backup failed: {error}") from None
    _say(opened.backups.status.path, label.new_files, label.files, label.new_bytes, label.bytes)


def _say(path: str, new_files: int, files: int, new_bytes: int, size: int) -> None:
    click.echo(f"{path}: {new_files} of {files} files and {new_bytes:,} of {size:,} bytes are new")
