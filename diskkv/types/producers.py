"""What a stream remembers of its producers' messages, so that one that is sent again is not added again (IDMP of XADD).

A message is known by its producer's name and its own, for a time and until the producer has had so many newer ones. In memory are the
producers; their messages, of which there may be many, are in ledgers: by a hash of both names, and each producer's by turn, the order in
which they came. 128 bits of hash under the store's own seed stand for the names: nobody can make two fall together.

A message that is too old is none, whoever looks; its records go when its producer is heard of again, and now and then when another one is.
While the log is replayed none is too old: what was there then is there, and a message that was added again replaces the old one.

All of it has a number out of the same series as the stream's groups. When it is forgotten as a whole (XCFGSET) it goes as a group does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from diskkv.errors import Damaged
from diskkv.format import PRODUCER, keys
from diskkv.format.ordered import pack_u32, unpack_u32
from diskkv.format.producers import (
    MessageRecord,
    ProducerRecord,
    ProductionRecord,
    message_sub,
    pack_message,
    pack_producer,
    producer_sub,
    turn_sub,
    unpack_message,
    unpack_producer,
)
from diskkv.types.groups import restore
from diskkv.types.ledgers import Ledger

if TYPE_CHECKING:
    from diskkv.types.streams import Stream

PRODUCER_WEIGHT = 1000
# How many messages of a producer that are too old go together.
RUN = 64


class Producer:
    """One that sends messages."""

    __slots__ = ("name", "number", "production", "turn", "turns")

    def __init__(self, production: Production, number: int, name: bytes) -> None:
        self.production = production
        self.number = number
        self.name = name
        # the turn of the next message
        self.turn = 1
        # turn -> hash
        self.turns = Ledger(production.stream, turn_sub(production.number, number))

    def record(self) -> tuple[bytes, bytes]:
        """Its record, sub and value."""
        turns = self.turns
        values = ProducerRecord(self.name, self.turn, turns.count, turns.low, turns.high)
        return producer_sub(self.production.number, self.number), pack_producer(values)

    def lives(self) -> bool:
        """Whether it has not been forgotten."""
        production = self.production
        return production.stream.production is production and production.producers().get(self.name) is self


class Production:
    """A stream's producers and their messages: how long they are remembered (in s), and how many of each producer at most."""

    __slots__ = ("added", "count", "duplicates", "known", "messages", "most", "next_producer", "number", "rotation", "seconds", "stream")

    def __init__(self, stream: Stream, number: int, seconds: int, most: int) -> None:
        self.stream = stream
        self.number = number
        self.seconds = seconds
        self.most = most
        self.added = 0
        self.duplicates = 0
        self.next_producer = 1
        # how many producers there are, and by name, or None until they are read
        self.count = 0
        self.known: dict[bytes, Producer] | None = {}
        # hash -> message
        self.messages = Ledger(stream, message_sub(number))
        # those whose old messages are looked for next
        self.rotation: list[Producer] = []

    def header(self) -> ProductionRecord:
        """What the stream's header says of it."""
        messages = self.messages
        return ProductionRecord(
            self.number, self.seconds, self.most, self.added, self.duplicates, self.next_producer, self.count, messages.count,
            messages.low, messages.high,
        )  # fmt: skip

    @classmethod
    def restored(cls, stream: Stream, record: ProductionRecord) -> Production:
        """What a stream's header says."""
        self = cls(stream, record.number, record.seconds, record.most)
        self.added, self.duplicates = record.added, record.duplicates
        self.next_producer, self.count = record.next_producer, record.producers
        self.known = None if record.producers else {}
        restore(self.messages, record.messages, record.low, record.high)
        return self

    def producers(self) -> dict[bytes, Producer]:
        """The producers by name."""
        found = self.known
        if found is None:
            found = self.known = {producer.name: producer for producer in self.stored()}
            self.stream.weigh(sum(PRODUCER_WEIGHT + len(name) for name in found))
        return found

    def stored(self) -> Iterator[Producer]:
        """The producers as the engine has them."""
        prefix = keys.data_prefix(self.stream.oid) + PRODUCER + pack_u32(self.number)
        for raw, value in self.stream.db.store.engine.scan(prefix, keys.after(prefix)):
            record = unpack_producer(value)
            producer = Producer(self, unpack_u32(raw, len(prefix)), record.name)
            producer.turn = record.turn
            restore(producer.turns, record.messages, record.low, record.high)
            yield producer

    # -- looking

    def find(self, producer: bytes, message: bytes, now: int | None) -> int | None:
        """The id of the entry that a message became, or None when it is not known. `now` is None for any time."""
        record = self.messages.get(self._hash(producer, message))
        if record is None:
            return None
        entry = unpack_message(record).entry
        return None if self._old(entry, now) else entry

    def told(self, producer: Producer, now: int | None) -> Iterator[tuple[bytes, int]]:
        """The messages of a producer and the entries that they became, as they came. REQUIRES: nothing is changed meanwhile."""
        young = False
        for _, raw in producer.turns.scan():
            message = unpack_message(self._message(raw))
            # As in Redis, what came behind a message that is not too old is not, either.
            young = young or not self._old(message.entry, now)
            if young:
                yield message.name, message.entry

    def counted(self, now: int) -> tuple[int, int]:
        """How many producers and messages are remembered."""
        counts = [producer.turns.count - sum(1 for _ in self._too_old(producer, now)) for producer in self.producers().values()]
        return sum(count > 0 for count in counts), sum(counts)

    def ledgers(self) -> Iterator[Ledger]:
        """Its own, and its producers'."""
        yield self.messages
        for producer in (self.known or {}).values():
            yield producer.turns

    def _hash(self, producer: bytes, message: bytes) -> int:
        return self.stream.db.store.hash128(b"%d:%b%b" % (len(producer), producer, message))

    def _old(self, entry: int, now: int | None) -> bool:
        return now is not None and entry >> 64 <= now - 1000 * self.seconds

    def _message(self, raw: bytes) -> bytes:
        record = self.messages.get(int.from_bytes(raw, "big"))
        if record is None:
            raise Damaged(f"stream {self.stream.key!r} lacks a message")
        return record

    def _too_old(self, producer: Producer, now: int | None) -> Iterator[tuple[int, int]]:
        """Turns and hashes, from the first on, of messages that are too old. REQUIRES: as `told`."""
        for turn, raw in producer.turns.scan():
            if not self._old(unpack_message(self._message(raw)).entry, now):
                return
            yield turn, int.from_bytes(raw, "big")

    # -- changing

    def add(self, name: bytes, message: bytes, entry: int, now: int | None) -> None:
        """A message of a producer, which is not known, became an entry."""
        self.stream.stir()
        producers = self.producers()
        producer = producers.get(name)
        if producer is None:
            producer = producers[name] = Producer(self, self.next_producer, name)
            self.next_producer += 1
            self.count += 1
            self.stream.resized(PRODUCER_WEIGHT + len(name))
        number = self._hash(name, message)
        known = self.messages.get(number)
        if known is not None:
            self._forget(producer, unpack_message(known).turn, number)
        self._purge(producer, now)
        producer.turns.put(producer.turn, number.to_bytes(16, "big"), new=True)
        self.messages.put(number, pack_message(MessageRecord(producer.number, producer.turn, entry, message)), new=True)
        producer.turn += 1
        self.added += 1
        self.stream.altered[producer] = None
        if producer.turns.count > self.most:
            turn, raw = next(producer.turns.scan())
            self._forget(producer, turn, int.from_bytes(raw, "big"))
        self._tidy(now)

    def repeated(self) -> None:
        """A message was sent that is known."""
        self.stream.stir()
        self.duplicates += 1

    def forget(self) -> None:
        """None of it is to be written any more."""
        weights = sum(PRODUCER_WEIGHT + len(name) for name in self.known or ())
        for ledger in self.ledgers():
            ledger.bury()
        self.stream.resized(-weights)

    def _tidy(self, now: int | None) -> None:
        """Look at one more producer: of many nothing is ever heard again."""
        if not self.rotation:
            self.rotation = list(self.producers().values())
        other = self.rotation.pop()
        if other.lives():
            self._purge(other, now)
            if not other.turns.count:
                del self.producers()[other.name]
                self.count -= 1
                self.stream.altered[other] = None
                self.stream.resized(-PRODUCER_WEIGHT - len(other.name))

    def _purge(self, producer: Producer, now: int | None) -> None:
        """Forget messages of a producer that are too old."""
        while old := list(islice(self._too_old(producer, now), RUN)):
            for turn, number in old:
                self._forget(producer, turn, number)

    def _forget(self, producer: Producer, turn: int, number: int) -> None:
        producer.turns.drop(turn)
        self.messages.drop(number)
        self.stream.altered[producer] = None

    def copy_to(self, stream: Stream, now: int | None) -> None:
        """Have a stream that remembers nothing remember the same."""
        other = stream.remember(self.seconds, self.most)
        for producer in self.producers().values():
            for name, entry in self.told(producer, now):
                other.add(producer.name, name, entry, None)
        other.added, other.duplicates = self.added, self.duplicates
