"""`diskkv check`: examines a store."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import click

from diskkv.errors import StoreError

CLEAN, FINDINGS, CANNOT_OPEN = 0, 1, 2
LOOK_SECONDS = 0.1


@click.command()
@click.argument("path", type=click.Path(), required=False)
@click.option("-h", "--host", default="127.0.0.1", show_default=True, help="The server's host.")
@click.option("-p", "--port", type=int, default=6379, show_default=True, help="The server's port.")
@click.option("-s", "--socket", default=None, help="The server's unix socket.")
@click.option("--user", default=None, help="User to be.")
@click.option("-a", "--pass", "password", default=None, help="Password to give.")
def check(path: str | None, host: str, port: int, socket: str | None, user: str | None, password: str | None) -> None:
    """Verify everything that is in a store: the one in PATH, which nobody else may have open, or without PATH a server's, which goes on
    serving.

    The exit status is 0 when nothing is wrong, 1 when something is, and 2 when the store can't be opened or the server can't be asked.
    """
    if path is None:
        found, total = _of_server(host, port, socket, user, password)
    else:
        found, total = _of_store(path)
    click.echo(f"{found} findings" if found else f"{total} keys, nothing is wrong")
    sys.exit(FINDINGS if found else CLEAN)


def _of_store(path: str) -> tuple[int, int]:
    """How many findings there are, which are printed, and how many keys."""
    from diskkv.app import open_executor
    from diskkv.store.check import check as examine
    from diskkv.store.check import check_memory

    if not os.path.isdir(os.path.join(path, "tree")):
        click.echo(f"there is no store in {os.path.abspath(path)}", err=True)
        sys.exit(CANNOT_OPEN)
    try:
        executor = open_executor(path)
    except (StoreError, OSError) as error:
        click.echo(f"can't open the store in {os.path.abspath(path)}: {error}", err=True)
        sys.exit(CANNOT_OPEN)
    store = executor.store
    found = total = 0
    try:
        with store.lock:
            store.checkpoint()
            for finding in chain(check_memory(store), examine(store)):
                found += 1
                click.echo(str(finding))
            total = sum(db.count for db in store.databases)
    except (StoreError, OSError) as error:
        found += 1
        click.echo(f"damage: {error}")
    finally:
        if found:
            for line in _holes(store.engine):
                click.echo(line)
        store.close()
    return found, total


def _holes(engine: Any) -> Iterator[str]:
    """Where in which files damage lies, for people."""
    from diskkv.format.explain import place

    for file, offset, size, low, high in engine.holes():
        where = "" if high is None else f": records up to {place(high)}" if low is None else f": records from {place(low)} to {place(high)}"
        yield f"damage: {file}: {size:,} bytes at {offset:,} can't be read{where}"


def _of_server(host: str, port: int, socket: str | None, user: str | None, password: str | None) -> tuple[int, int]:
    """As `_of_store`, of a server's store."""
    import redis

    client: Any = redis.Redis(host=host, port=port, unix_socket_path=socket, username=user, password=password, decode_responses=True)
    try:
        client.execute_command("DISKKV.CHECK", "START")
        while True:
            reply: Any = client.execute_command("DISKKV.CHECK", "STATUS")
            status = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
            if status["state"] != "running":
                break
            time.sleep(LOOK_SECONDS)
    except redis.RedisError as error:
        click.echo(f"can't ask the server: {error}", err=True)
        sys.exit(CANNOT_OPEN)
    if status["state"] != "done":
        click.echo(f"the examination failed: {status['error']}", err=True)
        sys.exit(CANNOT_OPEN)
    for line in status["named"]:
        click.echo(line)
    return status["findings"], status["keys"]
