"""Consumer groups of a stream: who has been given which entries, and has not yet acknowledged them.

A group and its consumers are in memory once one of them is asked for, and go with the stream. Pending entries are in two ledgers: the
group's (id -> consumer, time, count) and, so that a consumer's own can be read in order, each consumer's (id -> nothing).

Who claims by how long entries wait needs them in that order: from the first time on that somebody does there is a third ledger, the
waiting ones by time and id. It is made of what was pending then a piece at a time, by each who claims, and kept up to date as far as it
has come; groups that nobody claims from in this way are spared it.

What a consumer has given back (XNACK) is pending for nobody, and comes before all others when somebody claims, in the order of being given
back: each has a turn, and stands in a ledger of its own by turn and id.

Numbers of groups are never used twice in a stream, nor numbers of consumers in a group. So destroying a group costs the same however
much is pending: a garbage record names it, and the reclaimer deletes what lies below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from diskkv.format import CONSUMER, GROUP, keys
from diskkv.format.groups import (
    NOBODY,
    ConsumerRecord,
    GroupRecord,
    ReleasedRecord,
    WaitingRecord,
    consumer_sub,
    group_sub,
    owned_sub,
    pack_consumer,
    pack_delivery,
    pack_group,
    pending_sub,
    released_sub,
    unpack_consumer,
    unpack_delivery,
    unpack_group,
    waiting_number,
    waiting_parts,
    waiting_sub,
)
from diskkv.format.ordered import pack_u32, unpack_u32
from diskkv.types.ledgers import ID_MAX, MOST, Ledger
from diskkv.types.progress import count_read

if TYPE_CHECKING:
    from diskkv.types.streams import Entry, Stream

# `Consumer.active` of one that has never been given an entry.
NEVER = -1

GROUP_WEIGHT = 1500
CONSUMER_WEIGHT = 1100
# How often an entry can have been delivered: it is not counted further.
MOST_TIMES = (1 << 63) - 1
# How many pending entries of a deleted consumer are forgotten together.
RUN = 512
# How many pending entries are put in the order of their times at most by one who claims.
SORTED = 10_000


class Delivery(NamedTuple):
    """A pending entry: whose it is, when it was last delivered (ms), and how often. What was given back is nobody's, and has the time 0."""

    number: int
    consumer: Consumer | None
    time: int
    times: int

    @property
    def again(self) -> int:
        """How often it will have been delivered when it is once more."""
        return min(self.times + 1, MOST_TIMES)


class Consumer:
    """One of a group. `seen` is when it last asked for something, `active` when it last got something."""

    __slots__ = ("active", "group", "name", "number", "owned", "seen")

    def __init__(self, group: Group, number: int, name: bytes, seen: int) -> None:
        self.group = group
        self.number = number
        self.name = name
        self.seen = seen
        self.active = NEVER
        self.owned = Ledger(group.stream, owned_sub(group.number, number))

    def __len__(self) -> int:
        """How many entries are pending for it."""
        return self.owned.count

    def record(self) -> tuple[bytes, bytes]:
        """Its record, sub and value."""
        owned = self.owned
        values = ConsumerRecord(self.name, self.seen, self.active, owned.count, owned.low, owned.high)
        return consumer_sub(self.group.number, self.number), pack_consumer(values)

    def lives(self) -> bool:
        """Whether neither it nor its group is gone."""
        return self.group.by_number.get(self.number) is self and self.group.lives()

    def restore(self, record: ConsumerRecord) -> None:
        """Become what a record says."""
        self.active = record.active
        restore(self.owned, record.pending, record.low, record.high)


class Group:
    """A group of consumers, each of which gets entries that no other gets."""

    __slots__ = (
        "by_number", "consumers", "last", "name", "next_consumer", "number", "pending", "read", "released", "stream", "turn", "upto",
        "waiting",
    )  # fmt: skip

    def __init__(self, stream: Stream, number: int, name: bytes, last: int, read: int) -> None:
        self.stream = stream
        self.number = number
        self.name = name
        # the last id delivered, and how many entries there were up to it
        self.last = last
        self.read = read
        self.next_consumer = 1
        self.pending = Ledger(stream, pending_sub(number))
        self.consumers: dict[bytes, Consumer] = {}
        self.by_number: dict[int, Consumer] = {}
        # the pending entries up to an id by when they were last delivered; None until somebody asks
        self.waiting: Ledger | None = None
        self.upto = -1
        # what was given back by turn, and the next turn; None until something is
        self.released: Ledger | None = None
        self.turn = 1

    def __len__(self) -> int:
        """How many entries are pending."""
        return self.pending.count

    def record(self) -> tuple[bytes, bytes]:
        """Its record, sub and value."""
        pending, waiting, released = self.pending, self.waiting, self.released
        sorted_ones = None if waiting is None else WaitingRecord(self.upto, waiting.count, waiting.low, waiting.high)
        unowned = None if released is None else ReleasedRecord(self.turn, released.count, released.low, released.high)
        values = GroupRecord(
            self.name, self.last, self.read, pending.count, pending.low, pending.high, self.next_consumer, sorted_ones, unowned
        )
        return group_sub(self.number), pack_group(values)

    def restore(self, record: GroupRecord) -> None:
        """Become what a record says."""
        self.next_consumer = record.next_consumer
        restore(self.pending, record.pending, record.low, record.high)
        if record.waiting is not None:
            self.upto, count, low, high = record.waiting
            self.waiting = Ledger(self.stream, waiting_sub(self.number))
            restore(self.waiting, count, low, high)
        if record.released is not None:
            self.turn, count, low, high = record.released
            self.released = Ledger(self.stream, released_sub(self.number))
            restore(self.released, count, low, high)

    def enter(self, consumer: Consumer) -> None:
        """A consumer comes to be, or was read from its record."""
        self.consumers[consumer.name] = self.by_number[consumer.number] = consumer
        self.stream.weigh(CONSUMER_WEIGHT + len(consumer.name))

    # -- changing

    def create_consumer(self, name: bytes, now: int) -> Consumer:
        """A new consumer. REQUIRES: there is none of that name."""
        self._changed()
        consumer = Consumer(self, self.next_consumer, name, now)
        self.next_consumer += 1
        self.enter(consumer)
        self.stream.altered[consumer] = None
        return consumer

    def delete_consumer(self, consumer: Consumer) -> int:
        """Forget a consumer and what is pending for it; how many entries that was."""
        self._changed()
        count = len(consumer)
        while owned := [number for number, _ in islice(consumer.owned.scan(), RUN)]:
            for number in owned:
                self._retime(number, self.pending.get(number), None)
                self.pending.drop(number)
                consumer.owned.drop(number)
        del self.consumers[consumer.name], self.by_number[consumer.number]
        self.stream.altered[consumer] = None
        self.stream.resized(-CONSUMER_WEIGHT - len(consumer.name))
        return count

    def lives(self) -> bool:
        """Whether it has not been destroyed."""
        return self.stream.groups().get(self.name) is self

    def notice(self, consumer: Consumer, now: int) -> None:
        """A consumer asks for something. That alone is no change that anyone watches for, and the log need not tell it."""
        if consumer.seen != now:
            consumer.seen = now
            self.stream.altered[consumer] = None
            self.stream.note()

    def serve(self, consumer: Consumer, now: int) -> None:
        """A consumer has been given something."""
        consumer.active = now
        self.stream.altered[consumer] = None
        self.stream.note()

    def set_last(self, last: int, read: int) -> None:
        """XGROUP SETID: say what was delivered last, and how many entries there are up to it."""
        self._changed()
        self.last = last
        self.read = read

    def deliver(self, consumer: Consumer, entries: Sequence[Entry], now: int, *, pending: bool) -> None:
        """Note that entries, the next ones behind `last`, were given to a consumer: for it to acknowledge, if `pending`."""
        self._changed()
        self.read = count_read(self.stream, self, entries)
        self.last = entries[-1][0]
        if not pending:
            return
        record = pack_delivery(consumer.number, now, 1)
        ledger, owned = self.pending, consumer.owned
        for number, _ in entries:
            # Only after XGROUP SETID can one be pending already.
            old = ledger.get(number) if number <= ledger.high else None
            ledger.put(number, record, new=old is None)
            self._retime(number, old, now)
            if old is not None and self._take(number, old, consumer):
                continue
            owned.put(number, b"", new=True)
        consumer.active = now
        self.stream.altered[consumer] = None

    def deliver_again(self, consumer: Consumer, numbers: Iterable[int], now: int) -> dict[int, list[int]]:
        """A consumer was told of pending entries of its own once more; their ids by how often that has been now."""
        counts: dict[int, list[int]] = {}
        self._changed()
        for number in numbers:
            found = self.find(number)
            assert found is not None
            self.pending.put(number, pack_delivery(consumer.number, now, found.again), new=False)
            self._move(number, found.time, now)
            counts.setdefault(found.again, []).append(number)
        return counts

    def give(self, consumer: Consumer, number: int, time: int, count: int) -> None:
        """An entry is pending for a consumer from now on, whoever had it before."""
        self._changed()
        old = self.pending.get(number)
        self.pending.put(number, pack_delivery(consumer.number, time, count), new=old is None)
        self._retime(number, old, time)
        if old is not None and self._take(number, old, consumer):
            return
        consumer.owned.put(number, b"", new=True)
        self.stream.altered[consumer] = None

    def release(self, number: int, count: int) -> None:
        """An entry is pending for nobody from now on, delivered so often, whoever had it before; its turn comes after all others'."""
        self._changed()
        if self.released is None:
            self.released = Ledger(self.stream, released_sub(self.number))
        old = self.pending.get(number)
        self.pending.put(number, pack_delivery(NOBODY, self.turn, count), new=old is None)
        self._retime(number, old, None)
        if old is not None:
            self._take(number, old, None)
        self.released.put(waiting_number(self.turn, number), b"", new=True)
        self.turn += 1

    def forget(self) -> None:
        """The group is destroyed: nothing of what is pending in it is to be written any more."""
        for ledger in self.ledgers():
            ledger.bury()
        weights = sum(CONSUMER_WEIGHT + len(name) for name in self.consumers)
        self.stream.resized(-GROUP_WEIGHT - len(self.name) - weights)

    def acknowledge(self, numbers: Iterable[int]) -> int:
        """Entries are pending no more; how many were."""
        done = 0
        for number in numbers:
            record = self.pending.get(number)
            if record is not None:
                if not done:
                    self._changed()
                done += 1
                self._retime(number, record, None)
                self.pending.drop(number)
                self._take(number, record, None)
        return done

    def _retime(self, number: int, old: bytes | None, time: int | None) -> None:
        """An entry's record was `old`, None for none; it was last delivered at `time` now, or is pending no more."""
        if self.waiting is not None:
            holder, before, _ = (NOBODY, 0, 0) if old is None else unpack_delivery(old)
            self._move(number, None if holder == NOBODY else before, time)

    def _move(self, number: int, before: int | None, time: int | None) -> None:
        waiting = self.waiting
        if waiting is None or number > self.upto or before == time:
            return
        if before is not None:
            waiting.drop(waiting_number(before, number))
        if time is not None:
            waiting.put(waiting_number(time, number), b"", new=True)

    @property
    def sorted(self) -> bool:
        """Whether all that is pending is known in the order of its times."""
        return self.upto == ID_MAX

    def sort(self) -> None:
        """Put some more of what is pending in the order of its times."""
        if self.sorted:
            return
        self._changed()
        if self.waiting is None:
            self.waiting = Ledger(self.stream, waiting_sub(self.number))
        waiting = self.waiting
        found = list(islice(self.deliveries(self.upto + 1, ID_MAX), SORTED))
        for number, consumer, time, _ in found:
            if consumer is not None:
                waiting.put(waiting_number(time, number), b"", new=True)
        self.upto = found[-1].number if len(found) == SORTED else ID_MAX

    def _take(self, number: int, record: bytes, consumer: Consumer | None) -> bool:
        """Take an entry from whoever had it by its old record; but not, and True, when that is the consumer who has it now."""
        holder, turn, _ = unpack_delivery(record)
        if holder == NOBODY:
            assert self.released is not None
            self.released.drop(waiting_number(turn, number))
            return False
        loser = self.by_number[holder]
        if loser is consumer:
            return True
        loser.owned.drop(number)
        self.stream.altered[loser] = None
        return False

    def _changed(self) -> None:
        self.stream.stir()
        self.stream.altered[self] = None

    # -- looking

    def holds(self, number: int) -> bool:
        """Whether an entry is pending."""
        return self.pending.get(number) is not None

    def find(self, number: int) -> Delivery | None:
        """A pending entry, or None when it is not pending."""
        record = self.pending.get(number)
        return None if record is None else self._delivery(number, record)

    def deliveries(self, start: int, stop: int) -> Iterator[Delivery]:
        """The pending entries with start <= id <= stop in order. REQUIRES: nothing is changed meanwhile."""
        return (self._delivery(number, record) for number, record in self.pending.scan(start, stop))

    def deliveries_to(self, consumer: Consumer, start: int, stop: int) -> Iterator[Delivery]:
        """Those of one consumer."""
        for number, _ in consumer.owned.scan(start, stop):
            found = self.find(number)
            assert found is not None
            yield found

    def by_time(self, until: int) -> Iterator[Delivery]:
        """What was given back, and then what was last delivered at a time or before it, as far as that is sorted, from the earliest on.
        REQUIRES: as `deliveries`."""
        if until < 0:
            return
        yield from self.unowned()
        if self.waiting is not None:
            yield from self._in_order(self.waiting, waiting_number(until, ID_MAX))

    def unowned(self) -> Iterator[Delivery]:
        """What was given back, in the order of that. REQUIRES: as `deliveries`."""
        if self.released is not None:
            yield from self._in_order(self.released, MOST)

    def _in_order(self, ledger: Ledger, stop: int) -> Iterator[Delivery]:
        for both, _ in ledger.scan(0, stop):
            found = self.find(waiting_parts(both)[1])
            assert found is not None
            yield found

    def first_after(self, time: int) -> int | None:
        """When the first of what was last delivered later than at a time was, as far as that is sorted; None when there is none."""
        if self.waiting is None:
            return None
        later = next(self.waiting.scan(waiting_number(max(time + 1, 0), 0)), None)
        return None if later is None else waiting_parts(later[0])[0]

    def _delivery(self, number: int, record: bytes) -> Delivery:
        consumer, time, count = unpack_delivery(record)
        return Delivery(number, None, 0, count) if consumer == NOBODY else Delivery(number, self.by_number[consumer], time, count)

    def ledgers(self) -> Iterator[Ledger]:
        """The group's own and its consumers'."""
        yield self.pending
        if self.waiting is not None:
            yield self.waiting
        if self.released is not None:
            yield self.released
        for consumer in self.consumers.values():
            yield consumer.owned

    def stored_consumers(self) -> Iterator[Consumer]:
        """The consumers as the engine has them."""
        prefix = keys.data_prefix(self.stream.oid) + CONSUMER + pack_u32(self.number)
        for raw, value in self.stream.db.store.engine.scan(prefix, keys.after(prefix)):
            record = unpack_consumer(value)
            consumer = Consumer(self, unpack_u32(raw, len(prefix)), record.name, record.seen)
            consumer.restore(record)
            yield consumer

    def copy_to(self, stream: Stream) -> None:
        """Make a group like this one in a stream that has none of its name."""
        group = stream.create_group(self.name, self.last, self.read)
        for consumer in self.consumers.values():
            copied = group.create_consumer(consumer.name, consumer.seen)
            copied.active = consumer.active
        for number, owner, time, times in self.deliveries(0, ID_MAX):
            if owner is not None:
                group.give(group.consumers[owner.name], number, time, times)
        for number, _, _, times in self.unowned():
            group.release(number, times)

    def sorted_consumers(self) -> list[Consumer]:
        """The consumers by name, as Redis lists them."""
        return [self.consumers[name] for name in sorted(self.consumers)]


def stored_groups(stream: Stream) -> dict[int, Group]:
    """A stream's groups by their numbers as the engine has them, without their consumers."""
    prefix = keys.data_prefix(stream.oid) + GROUP
    found = {}
    for raw, value in stream.db.store.engine.scan(prefix, keys.after(prefix)):
        record = unpack_group(value)
        number = unpack_u32(raw, len(prefix))
        found[number] = group = Group(stream, number, record.name, record.last, record.read)
        group.restore(record)
    return found


def restore(ledger: Ledger, count: int, low: int, high: int) -> None:
    """A ledger becomes what the record of its group or consumer says."""
    ledger.count, ledger.low, ledger.high, ledger.written = count, low, high, high
