"""Channels and patterns: who hears what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskkv.dispatch.session import NAME_COST
from diskkv.lib.glob import compile_glob
from diskkv.replies import Push

if TYPE_CHECKING:
    from diskkv.dispatch.session import Session


class PubSub:
    """All subscriptions. Messages go to `session.push`."""

    def __init__(self) -> None:
        self.channels: dict[bytes, dict[Session, None]] = {}
        self.patterns: dict[bytes, dict[Session, None]] = {}
        self.shards: dict[bytes, dict[Session, None]] = {}

    def subscribe(self, session: Session, channel: bytes) -> None:
        _add(session, session.subscriptions, self.channels, channel)

    def unsubscribe(self, session: Session, channel: bytes) -> None:
        _drop(session, session.subscriptions, self.channels, channel)

    def psubscribe(self, session: Session, pattern: bytes) -> None:
        _add(session, session.patterns, self.patterns, pattern)

    def punsubscribe(self, session: Session, pattern: bytes) -> None:
        _drop(session, session.patterns, self.patterns, pattern)

    def ssubscribe(self, session: Session, channel: bytes) -> None:
        _add(session, session.shards, self.shards, channel)

    def sunsubscribe(self, session: Session, channel: bytes) -> None:
        _drop(session, session.shards, self.shards, channel)

    def forget(self, session: Session) -> None:
        """The client has gone, or was reset."""
        for channel in list(session.subscriptions):
            self.unsubscribe(session, channel)
        for pattern in list(session.patterns):
            self.punsubscribe(session, pattern)
        for channel in list(session.shards):
            self.sunsubscribe(session, channel)

    def publish(self, channel: bytes, message: bytes) -> int:
        """Send a message to everyone who hears the channel; how many copies went out (PUBLISH)."""
        sent = 0
        listeners = self.channels.get(channel)
        if listeners:
            push = Push((b"message", channel, message))
            for session in list(listeners):
                session.push(push)
            sent += len(listeners)
        for pattern, sessions in list(self.patterns.items()):
            if compile_glob(pattern)(channel):
                push = Push((b"pmessage", pattern, channel, message))
                for session in list(sessions):
                    session.push(push)
                sent += len(sessions)
        return sent

    def spublish(self, channel: bytes, message: bytes) -> int:
        """Send a message to everyone who hears the shard's channel; how many copies went out (SPUBLISH)."""
        listeners = list(self.shards.get(channel, ()))
        push = Push((b"smessage", channel, message))
        for session in listeners:
            session.push(push)
        return len(listeners)


def _add(session: Session, own: dict[bytes, None], table: dict[bytes, dict[Session, None]], name: bytes) -> None:
    if name in own:
        return
    own[name] = None
    session.name_size += NAME_COST + len(name)
    table.setdefault(name, {})[session] = None
    session.regate()


def _drop(session: Session, own: dict[bytes, None], table: dict[bytes, dict[Session, None]], name: bytes) -> None:
    if name not in own:
        return
    del own[name]
    session.name_size -= NAME_COST + len(name)
    sessions = table[name]
    del sessions[session]
    if not sessions:
        del table[name]
    session.regate()
