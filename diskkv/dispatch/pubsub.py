"""Channels and patterns: who hears what."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        session.subscriptions[channel] = None
        self.channels.setdefault(channel, {})[session] = None
        session.regate()

    def unsubscribe(self, session: Session, channel: bytes) -> None:
        session.subscriptions.pop(channel, None)
        _drop(self.channels, channel, session)
        session.regate()

    def psubscribe(self, session: Session, pattern: bytes) -> None:
        session.patterns[pattern] = None
        self.patterns.setdefault(pattern, {})[session] = None
        session.regate()

    def punsubscribe(self, session: Session, pattern: bytes) -> None:
        session.patterns.pop(pattern, None)
        _drop(self.patterns, pattern, session)
        session.regate()

    def ssubscribe(self, session: Session, channel: bytes) -> None:
        session.shards[channel] = None
        self.shards.setdefault(channel, {})[session] = None
        session.regate()

    def sunsubscribe(self, session: Session, channel: bytes) -> None:
        session.shards.pop(channel, None)
        _drop(self.shards, channel, session)
        session.regate()

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


def _drop(table: dict[bytes, dict[Session, None]], name: bytes, session: Session) -> None:
    sessions = table.get(name)
    if sessions is not None:
        sessions.pop(session, None)
        if not sessions:
            del table[name]
