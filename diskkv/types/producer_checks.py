"""What is wrong with a stream's producers and their messages as the engine has them, in words, for `check`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from diskkv.format import MESSAGE, PRODUCER, TURN, keys
from diskkv.format.groups import numbered
from diskkv.format.ordered import unpack_u32
from diskkv.format.producers import unpack_message

if TYPE_CHECKING:
    from diskkv.types.producers import Production
    from diskkv.types.streams import Stream

SHAPES = {PRODUCER: 8, MESSAGE: 20, TURN: 24}


def verify_production(stream: Stream) -> Iterator[str]:
    """REQUIRES: as `Value.verify`."""
    production = stream.production
    if production is not None:
        yield from _production(production)
    yield from _strays(stream)


def _production(production: Production) -> Iterator[str]:
    stream = production.stream
    engine, prefix = stream.db.store.engine, keys.data_prefix(stream.oid)
    producers = list(production.stored())
    if production.number >= stream.next_group:
        yield f"the production's number is not below the next one, {stream.next_group}"
    if len(producers) != production.count:
        yield f"there are {len(producers)} producers, the header says {production.count}"
    if len({producer.name for producer in producers}) != len(producers):
        yield "two producers have one name"
    yield from production.messages.verify("messages")
    turns = 0
    for producer in producers:
        where = f"producer {producer.name!r}"
        if producer.number >= production.next_producer:
            yield f"{where}: its number is not below the next one, {production.next_producer}"
        yield from producer.turns.verify(where)
        for turn, raw in producer.turns.scan():
            turns += 1
            message = engine.get(prefix + numbered(production.messages.sub, int.from_bytes(raw, "big")))
            if message is None or unpack_message(message)[:2] != (producer.number, turn):
                yield f"{where}: of turn {turn} there is no message"
            if turn >= producer.turn:
                yield f"{where}: the turn {turn} is not below the next one, {producer.turn}"
    if turns != production.messages.count:
        yield f"there are {production.messages.count} messages, their producers have {turns}"


def _strays(stream: Stream) -> Iterator[str]:
    """Records of a production that is no more, unless the reclaimer is about to delete them."""
    engine, start = stream.db.store.engine, keys.data_prefix(stream.oid)
    own = stream.production.number if stream.production is not None else 0
    reported: set[int] = set()
    for kind, length in SHAPES.items():
        for raw in engine.scan_keys(start + kind, keys.after(start + kind)):
            sub = raw[len(start) + 1 :]
            number = unpack_u32(sub) if len(sub) == length else -1
            if number == own or number in reported or engine.get(raw) is None:
                continue
            if number < 0 or engine.get(keys.garbage_group(stream.oid, number)) is None:
                reported.add(number)
                yield f"{raw[len(start) :]!r} belongs to no production"
