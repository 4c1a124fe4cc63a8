"""The options by which a subcommand reaches a server, and redis-py's client for them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from diskkv.errors import StoreError

LOOK_SECONDS = 0.1
F = TypeVar("F", bound=Callable[..., Any])
OPTIONS = (
    click.option("-h", "--host", default="127.0.0.1", show_default=True, help="The server's host."),
    click.option("-p", "--port", type=click.IntRange(0, 65535), default=6379, show_default=True, help="The server's port."),
    click.option("-s", "--socket", default=None, help="The server's unix socket."),
    click.option("--user", default=None, help="User to be."),
    click.option("-a", "--pass", "password", default=None, help="Password to give; better kept in REDISCLI_AUTH."),
    click.option("--tls", is_flag=True, help="Speak TLS."),
    click.option("--cacert", default=None, help="Certificate of the authority to trust, instead of the system's."),
    click.option("--cert", default=None, help="Certificate to show to the server."),
    click.option("--key", default=None, help="Its private key."),
)


def server_options(function: F) -> F:
    """Give a subcommand the options; `connect` takes what they say."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def connect(
    *, host: str, port: int, socket: str | None, user: str | None, password: str | None, tls: bool, cacert: str | None, cert: str | None,
    key: str | None, database: int = 0,
) -> Any:  # fmt: skip
    """A client of a server, connected. A ClickException when it can't be reached, or lets nobody in."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    secured = {"ssl": True, "ssl_ca_certs": cacert, "ssl_certfile": cert, "ssl_keyfile": key} if tls else {}
    client = redis.Redis(
        host=host, port=port, unix_socket_path=socket, username=user, password=password or os.environ.get("REDISCLI_AUTH"), db=database,
        # Whoever waits in front of a terminal is told at once that nobody answers.
        retry=Retry(NoBackoff(), 0), **secured,  # type: ignore[arg-type]  # redis-py's signature has many types
    )  # fmt: skip
    try:
        client.ping()
    except redis.RedisError as error:
        raise click.ClickException(str(error)) from None
    return client


def follow(client: Any, command: str, arguments: list[str], look: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Begin something that a server does in the background, and `look` at its status until it has ended; the last status.

    A ClickException when the server refuses, or can't be reached any more.
    """
    import redis

    try:
        client.execute_command(command, "START", *arguments)
        while True:
            found: Any = client.execute_command(command, "STATUS")
            pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
            status = {name.decode(): value for name, value in pairs}
            if status["state"] != b"running":
                return status
            look(status)
            time.sleep(LOOK_SECONDS)
    except redis.RedisError as error:
        raise click.ClickException(str(error)) from None


def require_store(path: str) -> None:
    """A ClickException unless there is a store in a directory: whoever wants to read one is not to find that he has made it."""
    if not os.path.isdir(os.path.join(path, "tree")):
        raise click.ClickException(f"there is no store in {os.path.abspath(path)}")


def open_store(path: str, database: int = 0) -> Any:
    """A client of a store that is there, opened by this process. A ClickException when it can't be opened."""
    from diskkv.client.sync import open_client

    require_store(path)
    try:
        return open_client(path, db=database)
    except (StoreError, OSError) as error:
        raise click.ClickException(f"can't open {path}: {error}") from None
