"""Connections to other servers that are kept for a while, because who moves one key there will soon move another (MIGRATE)."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from diskkv.store.store import Store
from diskkv.transfer.link import Link

# As in Redis: how many there are at most, and how long one is kept that nobody uses.
MOST = 64
IDLE_MS = 10_000


@dataclass(slots=True)
class Peer:
    """A connection, the database that is selected there, and when it was last asked for."""

    link: Link
    db: int
    used: int


class Peers:
    """The connections by host and port. Every method requires the store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._peers: dict[tuple[bytes, bytes], Peer] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def get(self, host: bytes, port: bytes, seconds: float) -> Peer:
        """The connection that there is, or a new one. OSError when that fails."""
        now = self._store.now
        peer = self._peers.get((host, port))
        if peer is None:
            number = int(port) if port.isdigit() and len(port) < 6 else 0
            try:
                link = Link(host.decode("idna" if host.isascii() and host else "utf-8"), number, seconds)
            except (UnicodeError, OverflowError) as error:
                raise OSError(str(error)) from None
            if len(self._peers) >= MOST:
                self.forget(*self._store.random.choice(list(self._peers)))
            peer = self._peers[host, port] = Peer(link, -1, now)
        peer.used = now
        peer.link.limit(seconds)
        return peer

    def forget(self, host: bytes, port: bytes) -> None:
        """Close a connection, if it is there."""
        peer = self._peers.pop((host, port), None)
        if peer is not None:
            with contextlib.suppress(OSError):
                peer.link.close()

    def sweep(self) -> None:
        """Close what nobody has used for a while."""
        for name, peer in list(self._peers.items()):
            if self._store.now - peer.used > IDLE_MS:
                self.forget(*name)

    def close(self) -> None:
        """Close all."""
        for name in list(self._peers):
            self.forget(*name)
