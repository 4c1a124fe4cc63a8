"""What a shell can talk to: a server behind a socket, or a store in this process.

A `Place` is where, a `Link` is one connection to it: bytes of RESP go in by `send` and come out by `receive`, whichever it is, so all
that lies above (reader, formats, transactions) is the same for both.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from diskkv.cli.shell_replies import LinkError

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor


class Link(Protocol):
    """One client's connection, from opening to `close`; a new one starts in RESP2, database 0, not authenticated.

    `receive` waits for at least one byte and returns b"" once the other side has closed. Both calls may be interrupted by Ctrl-C,
    after which only `close` is called. Failures are LinkErrors.
    """

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes: ...

    def close(self) -> None: ...


class Place(Protocol):
    """`label` names the place in prompts and messages. `open` may be called again at any time, also while other links are open.

    `close` gives up what the place itself holds; links are closed before.
    """

    @property
    def label(self) -> str: ...

    def open(self) -> Link: ...

    def close(self) -> None: ...


class LocalStore(Protocol):
    """An open store: each `session` is a client of its own."""

    def session(self) -> Link: ...

    def close(self) -> None: ...


def open_local(path: Path) -> LocalStore:
    """Open the store in a directory; a failure is a ClickException that names the directory."""
    # Here, so that talking to a server does not wait for the engine to be imported.
    from diskkv.app import open_executor
    from diskkv.errors import StoreError

    try:
        return OpenStore(open_executor(str(path)))
    except (StoreError, OSError) as error:
        raise click.ClickException(f"cannot open {path}: {error}") from None


class OpenStore:
    """A store that this process has opened for itself."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def session(self) -> Link:
        from diskkv.client.loopback import Loopback

        return Loopback(self._executor)

    def close(self) -> None:
        self._executor.store.close()


class SocketLink:
    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise LinkError(_reason(error)) from error

    def receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except OSError as error:
            raise LinkError(_reason(error)) from error

    def close(self) -> None:
        self._socket.close()


class TcpPlace:
    """A server's address; with a `context` it is spoken to in TLS, and `name` is whom its certificate must be for."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None = None, name: str | None = None) -> None:
        self.host = host
        self.port = port
        self._context = context
        self._name = name or host

    @property
    def label(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def open(self) -> Link:
        try:
            connection = socket.create_connection((self.host, self.port))
        except (OSError, OverflowError) as error:
            raise LinkError(f"Could not connect to {self.label}: {_reason(error)}") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._context is None:
            return SocketLink(connection)
        try:
            return SocketLink(self._context.wrap_socket(connection, server_hostname=self._name))
        except (OSError, ValueError) as error:
            connection.close()
            raise LinkError(f"Could not connect to {self.label} with TLS: {_reason(error)}") from error

    def close(self) -> None:
        """A server's address holds nothing."""


def client_context(
    *, authority: Path | None, authorities: Path | None, certificate: Path | None, key: Path | None, insecure: bool
) -> ssl.SSLContext:
    """How a client speaks TLS; without an authority the system's are trusted. A ClickException when a file is not what it should be."""
    try:
        context = ssl.create_default_context(cafile=authority, capath=authorities)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"can't use the certificates given: {_reason(error)}") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class UnixPlace:
    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def label(self) -> str:
        return str(self.path)

    def open(self) -> Link:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self.path))
        except OSError as error:
            connection.close()
            raise LinkError(f"Could not connect to {self.label}: {_reason(error)}") from error
        return SocketLink(connection)

    def close(self) -> None:
        """A server's address holds nothing."""


class LocalPlace:
    """A directory. The store is opened at the first link and stays open, so that dropping a link (Ctrl-C) costs nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store: LocalStore | None = None

    @property
    def label(self) -> str:
        return str(self.path)

    def open(self) -> Link:
        if self._store is None:
            self._store = open_local(self.path)
        return self._store.session()

    def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
