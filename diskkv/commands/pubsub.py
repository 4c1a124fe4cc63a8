"""Published messages."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import FAST, LOADING, MAY_REPLICATE, NOSCRIPT, PUBSUB, STALE, WHILE_SUBSCRIBED, Keys, group, help_lines
from diskkv.errors import CommandError
from diskkv.lib.glob import compile_glob
from diskkv.replies import Push, Several

command = group("pubsub")

LISTEN = PUBSUB | NOSCRIPT | LOADING | STALE | WHILE_SUBSCRIBED


@command("SUBSCRIBE channel [channel ...]", LISTEN, since="2.0.0")
def subscribe(ctx: Session, *channels: bytes) -> Several:
    """Hear what is published on channels."""
    pushes = []
    for channel in channels:
        ctx.executor.pubsub.subscribe(ctx, channel)
        pushes.append(Push((b"subscribe", channel, ctx.subscribed())))
    return Several(pushes)


@command("UNSUBSCRIBE [channel [channel ...]]", LISTEN, since="2.0.0")
def unsubscribe(ctx: Session, *channels: bytes) -> Several:
    """Hear channels, or all of them, no more."""
    pushes = []
    for channel in channels or list(ctx.subscriptions):
        ctx.executor.pubsub.unsubscribe(ctx, channel)
        pushes.append(Push((b"unsubscribe", channel, ctx.subscribed())))
    return Several(pushes or [Push((b"unsubscribe", None, ctx.subscribed()))])


@command("PSUBSCRIBE pattern [pattern ...]", LISTEN, since="2.0.0")
def psubscribe(ctx: Session, *patterns: bytes) -> Several:
    """Hear what is published on channels that match patterns."""
    pushes = []
    for pattern in patterns:
        ctx.executor.pubsub.psubscribe(ctx, pattern)
        pushes.append(Push((b"psubscribe", pattern, ctx.subscribed())))
    return Several(pushes)


@command("PUNSUBSCRIBE [pattern [pattern ...]]", LISTEN, since="2.0.0")
def punsubscribe(ctx: Session, *patterns: bytes) -> Several:
    """Hear patterns, or all of them, no more."""
    pushes = []
    for pattern in patterns or list(ctx.patterns):
        ctx.executor.pubsub.punsubscribe(ctx, pattern)
        pushes.append(Push((b"punsubscribe", pattern, ctx.subscribed())))
    return Several(pushes or [Push((b"punsubscribe", None, ctx.subscribed()))])


@command("SSUBSCRIBE shardchannel [shardchannel ...]", LISTEN, since="7.0.0", keys=Keys(1, -1, 1))
def ssubscribe(ctx: Session, *channels: bytes) -> Several:
    """Hear what is published on channels of shards; this node is the only shard."""
    if ctx.executor.nested:
        raise CommandError("SSUBSCRIBE isn't allowed for a DENY BLOCKING client")
    pushes = []
    for channel in channels:
        ctx.executor.pubsub.ssubscribe(ctx, channel)
        pushes.append(Push((b"ssubscribe", channel, len(ctx.shards))))
    return Several(pushes)


@command("SUNSUBSCRIBE [shardchannel [shardchannel ...]]", LISTEN, since="7.0.0", keys=Keys(1, -1, 1))
def sunsubscribe(ctx: Session, *channels: bytes) -> Several:
    """Hear channels of shards, or all of them, no more."""
    pushes = []
    for channel in channels or list(ctx.shards):
        ctx.executor.pubsub.sunsubscribe(ctx, channel)
        pushes.append(Push((b"sunsubscribe", channel, len(ctx.shards))))
    return Several(pushes or [Push((b"sunsubscribe", None, len(ctx.shards)))])


@command("SPUBLISH shardchannel message", PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE, since="7.0.0", keys=Keys(1, 1, 1))
def spublish(ctx: Session, channel: bytes, message: bytes) -> int:
    """Send a message to whoever hears a shard's channel, and return how many times it was sent."""
    return ctx.executor.pubsub.spublish(channel, message)


@command("PUBLISH channel message", PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE, since="2.0.0")
def publish(ctx: Session, channel: bytes, message: bytes) -> int:
    """Send a message to whoever hears a channel, and return how many times it was sent."""
    return ctx.executor.pubsub.publish(channel, message)


@command("PUBSUB CHANNELS [pattern]", PUBSUB | LOADING | STALE, since="2.8.0")
def pubsub_channels(ctx: Session, pattern: bytes = b"*") -> list[bytes]:
    """Return the channels that somebody is subscribed to."""
    return list(filter(compile_glob(pattern), ctx.executor.pubsub.channels))


@command("PUBSUB NUMSUB [channel [channel ...]]", PUBSUB | LOADING | STALE, since="2.8.0")
def pubsub_numsub(ctx: Session, *channels: bytes) -> list[Any]:
    """Return how many clients are subscribed to channels, not counting patterns."""
    counts: list[Any] = []
    for channel in channels:
        counts += [channel, len(ctx.executor.pubsub.channels.get(channel, ()))]
    return counts


@command("PUBSUB NUMPAT", PUBSUB | LOADING | STALE, since="2.8.0")
def pubsub_numpat(ctx: Session) -> int:
    """Return how many patterns somebody is subscribed to."""
    return len(ctx.executor.pubsub.patterns)


@command("PUBSUB SHARDCHANNELS [pattern]", PUBSUB | LOADING | STALE, since="7.0.0")
def pubsub_shardchannels(ctx: Session, pattern: bytes = b"*") -> list[bytes]:
    """Return the channels of shards that somebody is subscribed to."""
    return list(filter(compile_glob(pattern), ctx.executor.pubsub.shards))


@command("PUBSUB SHARDNUMSUB [shardchannel [shardchannel ...]]", PUBSUB | LOADING | STALE, since="7.0.0")
def pubsub_shardnumsub(ctx: Session, *channels: bytes) -> list[Any]:
    """Return how many clients are subscribed to channels of shards."""
    counts: list[Any] = []
    for channel in channels:
        counts += [channel, len(ctx.executor.pubsub.shards.get(channel, ()))]
    return counts


@command("PUBSUB HELP", LOADING | STALE, since="6.2.0")
def pubsub_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("pubsub")
