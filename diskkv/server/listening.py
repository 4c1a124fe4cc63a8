"""The sockets on which clients arrive; `bind`, the ports and what TLS needs may change while they are served."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import stat
from collections.abc import Callable
from typing import Any

from diskkv.config import Settings
from diskkv.errors import SettingError
from diskkv.server.reactor import Port, Reactor
from diskkv.server.secured import HANDSHAKE, Secured
from diskkv.server.tls import make_context

journal = logging.getLogger("diskkv")

Place = tuple[str, int]
# What CONFIG SET answers when a change comes to nothing; the server's report says more.
REASONS = {
    "port": "Unable to listen on this port. Check server logs.",
    "metrics-port": "Unable to listen on this port. Check server logs.",
    "tls-port": "Unable to listen on this port. Check server logs.",
    "bind": "Failed to bind to specified addresses.",
}
BAD_TLS = "Unable to update TLS configuration. Check server logs."
ANYWHERE = {"*": "0.0.0.0", "::*": "::"}


class Listening:
    """The TCP sockets at the port of that name in the settings: `port`, `tls-port` or `metrics-port`. `protocol` makes what serves one."""

    def __init__(
        self, settings: Settings, loop: asyncio.AbstractEventLoop, protocol: Callable[[], Any], port: str = "port",
        *, reactor: Reactor | None = None,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._port = port
        self._reactor = reactor
        self._context: ssl.SSLContext | None = None
        self._loop = loop
        self._protocol = protocol
        # what is open, and what serves it, a moment later
        self._sockets: dict[Place, socket.socket] = {}
        self._servers: dict[Place, asyncio.AbstractServer | Port] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> list[str]:
        """Open them all; their addresses. SettingError when one can't be had."""
        wanted = self._wanted()
        self._context = self._make_context(wanted)
        self._sockets = self._open(wanted)
        for place, raw in self._sockets.items():
            await self._serve(place, raw)
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self._sockets]

    def changed(self, name: str) -> None:
        """A setting has changed: open what is new, close what is gone. SettingError, and nothing is changed, if that can't be."""
        if name not in (self._port, "bind"):
            if name.startswith("tls-") and self._port == "tls-port":
                self._renew()
            return
        wanted = self._wanted()
        if self._context is None:
            self._context = self._try_context(wanted)
        try:
            opened = self._open({place: optional for place, optional in wanted.items() if place not in self._sockets})
        except SettingError as error:
            journal.warning("%(error)s", {"error": error})
            raise SettingError(REASONS[name]) from None
        for place in [place for place in self._sockets if place not in wanted]:
            self._close(place)
        for place, raw in opened.items():
            self._serve_soon(place, raw)

    def _renew(self) -> None:
        """New certificates: who connects from now on sees them. The sockets stay, and with them those who wait to be accepted."""
        self._context = self._try_context(self._wanted())
        for place, old in list(self._sockets.items()):
            raw = old.dup()
            raw.setblocking(False)
            self._close(place)
            self._serve_soon(place, raw)

    def _serve_soon(self, place: Place, raw: socket.socket) -> None:
        self._sockets[place] = raw
        task = self._loop.create_task(self._serve(place, raw))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _try_context(self, wanted: dict[Place, bool]) -> ssl.SSLContext | None:
        try:
            return self._make_context(wanted)
        except SettingError as error:
            journal.warning("%(error)s", {"error": error})
            raise SettingError(BAD_TLS) from None

    def _make_context(self, wanted: dict[Place, bool]) -> ssl.SSLContext | None:
        return make_context(self._settings) if wanted and self._port == "tls-port" else None

    def close(self) -> None:
        """No client arrives any more."""
        for place in list(self._sockets):
            self._close(place)

    def _close(self, place: Place) -> None:
        del self._sockets[place]
        server = self._servers.pop(place, None)
        if server is not None:
            server.close()

    async def _serve(self, place: Place, raw: socket.socket) -> None:
        if self._reactor is not None:
            if self._sockets.get(place) is raw:
                self._servers[place] = self._reactor.listen(raw, self._serving())
            else:
                raw.close()
            return
        server = await self._loop.create_server(
            self._protocol, sock=raw, backlog=self._settings["tcp-backlog"], ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE if self._context is not None else None,
        )  # fmt: skip
        if self._sockets.get(place) is raw:
            self._servers[place] = server
        else:
            # Closed again before it was served.
            server.close()

    def _serving(self) -> Callable[[], Any]:
        """What makes that which serves a client of the reactor."""
        context = self._context
        if context is None:
            return self._protocol
        return lambda: Secured(self._loop, context, self._protocol)

    def _wanted(self) -> dict[Place, bool]:
        """Where to listen, and whether it may fail."""
        port = self._settings[self._port]
        if not port:
            return {}
        places = {}
        for word in self._settings["bind"].split():
            host = word.removeprefix("-")
            places[ANYWHERE.get(host, host), port] = word.startswith("-")
        return places

    def _open(self, places: dict[Place, bool]) -> dict[Place, socket.socket]:
        opened: dict[Place, socket.socket] = {}
        for (host, port), optional in places.items():
            try:
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                raw = socket.create_server((host, port), family=family, backlog=self._settings["tcp-backlog"])
            except OSError as error:
                taken = error.errno == errno.EADDRINUSE
                if optional and not taken:
                    continue
                for other in opened.values():
                    other.close()
                reason = "the port is taken" if taken else error.strerror or str(error)
                raise SettingError(f"can't listen on {host}:{port}: {reason}") from None
            raw.setblocking(False)
            opened[host, port] = raw
        return opened


def open_unix(path: str, mode: int, backlog: int) -> socket.socket:
    """A listening socket at a path, in place of one that was left there. OSError when there can be none.

    Redis takes the place of a server that is still there, whose clients then write into another data set.
    """
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
            if _answers(path):
                raise OSError(errno.EADDRINUSE, "another process listens there")
            os.unlink(path)
        raw.bind(path)
        os.chmod(path, mode)
        raw.listen(backlog)
        raw.setblocking(False)
    except OSError:
        raw.close()
        raise
    return raw


def _answers(path: str) -> bool:
    """Whether somebody accepts clients at the socket of that path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True  # so many wait that there is no place for one more
        except OSError:
            return False
        return True
