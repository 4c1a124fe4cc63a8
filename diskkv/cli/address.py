"""Where a server is, and who asks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from diskkv.transfer.link import Link

# A server that says nothing for so long is given up.
SECONDS = 120.0
DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address. Without a password, REDISCLI_AUTH in the environment is it."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None

    def connect(self) -> Link:
        """A connection, logged in. OSError, BadDump or CommandError when that fails."""
        link = Link(self.host, self.port, SECONDS)
        password = self.password or os.environ.get("REDISCLI_AUTH")
        if password:
            words = [os.fsencode(word) for word in (self.user, password) if word]
            link.ask(b"AUTH", *words)
        return link


def parse_address(text: str) -> Address | None:
    """What `redis://[[user]:password@]host[:port]` or `host:port` means; None for something else."""
    if not text.startswith("redis://"):
        host, colon, port = text.rpartition(":")
        if not colon or not host or "/" in text or not port.isdigit():
            return None
        text = f"redis://{text}"
    try:
        parts = urlsplit(text)
        port_number = parts.port or DEFAULT_PORT
    except ValueError:
        return None
    if not parts.hostname:
        return None
    user, password = parts.username, parts.password
    return Address(parts.hostname, port_number, unquote(user) if user else None, unquote(password) if password else None)
