"""Sorted sets: members with scores, in memory a dict and an ordered index (`ranked.py`), in the engine two records a member.

A small one lies whole in its meta record, and its index is built when somebody asks for order. A large one has, besides the member
records that `Members` writes, a ranked record for each member and a bucket record for each page of the index.

A change goes into `resident` at once; what it means for the index is settled later: `moved` remembers the score that a member had when
the index last knew it. `settle` brings the index up to date before an ordered read, at a freeze, and when SETTLE members wait, so no
checkpoint has much to do at once, and a member that changes often is sorted in rarely. `stored` and `stored_flying` remember the score
of a touched member's ranked record in the engine, None if it has none: that record goes when the new one is written.
"""

from __future__ import annotations

import contextlib
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from math import inf, nextafter
from typing import TYPE_CHECKING, Any, ClassVar

from diskkv.errors import CommandError, Damaged, StoreError
from diskkv.format import BUCKET, MEMBER, RANKED, ZSET, keys
from diskkv.format.meta import Meta, pack_items
from diskkv.format.ordered import pack_f64, pack_u32, unpack_f64, unpack_u32
from diskkv.store.value import data_type
from diskkv.types.members import SMALL_COUNT, SUNK, Members
from diskkv.types.ranked import FIRST, Content, Item, Ranked

if TYPE_CHECKING:
    from diskkv.store.database import Database

# All zsets are settled when a checkpoint begins, 2 us a change, in which nobody else is served: so if many have changed lately, of each no
# more than FEWEST may wait, and of all of them about WAITING.
SETTLE = 512
FEWEST = 4
WAITING = 4096
# What a change takes in memory until it has landed, in the index and in `stored`.
MOVED_BYTES = 240
# Beside the kinds of records, in what `freeze` hands to `records`.
DOUBTFUL = b""
# Redis' limits for `listpack`.

# A member, None for the lowest or the highest there is, and whether it is excluded.
LexBound = tuple[bytes | None, bool]
Records = Callable[[dict[Any, Any]], Iterator[tuple[bytes, "bytes | None"]]]


class NotANumber(CommandError):
    text = "resulting score is not a number (NaN)"


def _weightless(score: float) -> int:
    return 0


@data_type
class ZSet(Members):
    """Members with scores. Scores are never NaN and never -0.0."""

    __slots__ = ("broken", "buckets_flying", "counted", "doubtful", "index", "moved", "patience", "stored", "stored_flying")

    tag = ZSET
    # The score's float is counted here.
    ENTRY: ClassVar[int] = 124
    weigh = staticmethod(_weightless)

    resident: dict[bytes, float | None]

    def weigh_all(self, members: dict[bytes, Any]) -> int:
        return 0

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        self.index: Ranked | None = None
        # why the index can't be used any more, if it can't
        self.broken: str | None = None
        # how much of the index's memory is in `weight`
        self.counted = 0
        # None as long as there is no index that would have to be told
        self.moved: dict[bytes, float | None] | None = None
        # how many changes may wait
        self.patience = SETTLE
        self.stored: dict[bytes, float | None] = {}
        self.stored_flying: dict[bytes, float | None] = {}
        self.buckets_flying: dict[Item, int | None] = {}
        # what a checkpoint that failed may have written all the same, and is no longer so
        self.doubtful: dict[Item, None] = {}

    # -- members

    def assign(self, member: bytes, score: float) -> bool:
        """Give a member a score; True when the member is new."""
        old = self.resident.get(member)
        if old is None and not self.complete:
            old = self._stored(member)
        if old == score:
            return False
        self.touch()
        if old is None or not self.oid:
            self._change(member, score, old)
            return old is None
        # The commonest change of a large zset, so the short way is written out.
        moved = self.moved
        assert moved is not None
        if member not in moved:
            moved[member] = old
        self.resident[member] = self.touched[member] = score
        if len(moved) >= self.patience:
            self._keep_up()
        return False

    def increase(self, member: bytes, amount: float) -> float:
        """Add to a member's score, 0 if it is new; the new score. NotANumber when that is none."""
        old: float | None = self.get(member)
        score = amount if old is None else old + amount
        if score != score:
            raise NotANumber
        # -0.0 is folded.
        score += 0.0
        if old != score:
            self.touch()
            self._change(member, score, old)
        return score

    def put(self, member: bytes, value: float) -> float | None:
        old: float | None = self.get(member)
        if old != value:
            self._change(member, value, old)
        return old

    def _change(self, member: bytes, score: float, old: float | None) -> None:
        """REQUIRES: touched; `old` is the member's score, and another than `score`."""
        moved = self.moved
        if moved is not None and member not in moved:
            moved[member] = old
        resident = self.resident
        resident[member] = score
        if self.oid:
            self.touched[member] = score
            if old is None:
                if self.complete:
                    self.resized(124 + len(member))
                else:
                    self.size += 1
                if self.weight > self.ceiling:
                    self._spill()
            if moved is not None and len(moved) >= self.patience:
                self._keep_up()
        elif old is None:
            self.resized(124 + len(member))
            count = len(resident)
            if count > SMALL_COUNT or self.weight - 124 * count - self.counted > self.limit:
                self.enlarge()

    def drop(self, member: bytes) -> float | None:
        old: float | None = super().drop(member)
        moved = self.moved
        if moved is not None and old is not None:
            if member not in moved:
                moved[member] = old
            if len(moved) >= self.patience:
                self._keep_up()
        return old

    def enlarge(self) -> None:
        super().enlarge()
        self.stored = dict.fromkeys(self.resident)
        self.index = Ranked(self._fetch)
        self.index.fill(self._sorted())
        self.moved = {}
        self._account(self.index)

    def _sorted(self) -> list[Item]:
        return sorted([(score, member) for member, score in self.resident.items() if score is not None])

    # -- order

    def settle(self) -> Ranked:
        """The index, up to date. Damaged when what it needs of the engine can't be read."""
        if self.broken is not None:
            raise Damaged(self.broken)
        moved = self.moved
        if moved and not self.oid and len(moved) * 4 > len(self.resident):
            # Cheaper to sort a small zset anew than to apply all this.
            self.index = None
        index = self.index
        if index is None:
            index = self._open()
            if not self.oid:
                return index
        if moved:
            self.moved = {}
            try:
                index.apply(moved, self.resident, complete=self.complete)
            except Damaged as error:
                # Half of it has been done. The members do not need the index, so what else is done with them goes on.
                self.moved = moved
                self.broken = str(error)
                raise
            except StoreError:
                # Half of it has been done: what memory holds is not to be used.
                self.db.store.spoiled = "sorting a damaged sorted set"
                raise
            if self.oid:
                store = self.db.store
                store.backlog.bytes += MOVED_BYTES * len(moved)
                self.patience = max(FEWEST, min(SETTLE, WAITING // (max(len(store.large), store.writer.handed) or 1)))
                # Without a loop of Python's: what it has of a member already stays.
                deque(map(self.stored.setdefault, moved, moved.values()), maxlen=0)
        if index.held != self.counted:
            self._account(index)
        return index

    def _keep_up(self) -> None:
        """Many changes wait: bring the index up to date, unless it can't be used. Whoever asks for order is told so."""
        if self.broken is None:
            with contextlib.suppress(Damaged):
                self.settle()

    def _open(self) -> Ranked:
        index = Ranked(self._fetch)
        if self.oid:
            low = keys.data_prefix(self.oid) + BUCKET
            at = len(low)
            try:
                index.restore(
                    ((unpack_f64(key, at), key[at + 8 :]), unpack_u32(raw)) for key, raw in self.db.store.engine.scan(low, keys.after(low))
                )
            except Damaged as error:
                self.broken = str(error)
                raise
            self.index = index
            return index
        index.fill(self._sorted())
        self.index = index
        self.moved = {}
        self._account(index)
        return index

    def _fetch(self, low: Item, high: Item | None, names: list[bytes], whole: bool) -> Content:
        """For the index: the items from `low` up to `high`, of the engine's, unless `whole`, and of those with these names. REQUIRES:
        nothing has moved that the index does not know of."""
        score_of = self.resident.get
        found: dict[bytes, float] = {}
        if not whole:
            prefix = keys.data_prefix(self.oid) + RANKED
            at = len(prefix)
            stop = keys.after(prefix) if high is None else prefix + pack_f64(high[0]) + high[1]
            scan = self.db.store.engine.scan_keys(prefix + pack_f64(low[0]) + low[1], stop)
            stored = [(key[at + 8 :], unpack_f64(key, at)) for key in scan]
            # Who has changed since is in memory.
            if self.complete:
                found = {member: score for member, score in stored if score_of(member) == score}
            else:
                found = {member: score for member, score in stored if score_of(member, score) == score}
        if not names:
            return array("d", found.values()), list(found)
        bottom, top = low[0], inf if high is None else high[0]
        for member in names:
            score = score_of(member)
            if score is not None and bottom <= score <= top:
                found[member] = score
        # By their bytes, and then by scores, which leaves those with the same as they are.
        members = sorted(found)
        members.sort(key=found.__getitem__)
        scores = array("d", map(found.__getitem__, members))
        first = bisect_left(members, low[1], 0, bisect_right(scores, bottom))
        last = len(members) if high is None else bisect_left(members, high[1], bisect_left(scores, top))
        return (scores, members) if last - first == len(members) else (scores[first:last], members[first:last])

    def _ordered(self) -> Ranked:
        """The index for reading. What is read may load pages: `_limit` after it."""
        index = self.index
        return index if index is not None and not self.moved and self.broken is None else self.settle()

    def elements(self) -> list[bytes]:
        """All members by rank, for SORT."""
        return self.by_rank(0, len(self))

    def rank(self, member: bytes) -> tuple[int, float] | None:
        """How many members stand before this one, and its score; None when it is not there."""
        score: float | None = self.resident.get(member)
        if score is None and (self.complete or (score := self._stored(member)) is None):
            return None
        index = self._ordered()
        rank = index.rank(score, member)
        if index.held != self.counted:
            self._limit()
        return rank, score

    def by_rank(self, start: int, stop: int) -> list[bytes]:
        """The members with ranks from `start` up to `stop`. REQUIRES: 0 <= start <= stop <= length."""
        index = self._ordered()
        found = index.members(start, stop)
        if index.held != self.counted:
            self._limit()
        return found

    def pairs_by_rank(self, start: int, stop: int) -> list[tuple[bytes, float]]:
        """As `by_rank`, with their scores."""
        index = self._ordered()
        found = index.pairs(start, stop)
        if index.held != self.counted:
            self._limit()
        return found

    def at_rank(self, rank: int) -> tuple[bytes, float]:
        """The member and score of a rank. REQUIRES: 0 <= rank < length."""
        index = self._ordered()
        found = index.at(rank)
        if index.held != self.counted:
            self._limit()
        return found

    def between(self, low: float, high: float, *, without_low: bool = False, without_high: bool = False) -> tuple[int, int]:
        """The ranks, from and up to, of the members with scores from `low` to `high`, both included unless told otherwise."""
        if without_low:
            if low == inf:
                return 0, 0
            low = nextafter(low, inf)
        # What comes behind all members of the score `high` are those of the next higher score.
        above = high if without_high else nextafter(high, inf) if high != inf else None
        if above is not None and above <= low:
            return 0, 0
        index = self._ordered()
        start = index.rank(low + 0.0, b"") if low != -inf else 0
        stop = index.rank(above + 0.0, b"") if above is not None else len(self)
        if index.held != self.counted:
            self._limit()
        return start, stop

    def between_members(self, low: LexBound, high: LexBound, *, reverse: bool = False) -> tuple[int, int]:
        """The ranks, from and up to, of the members between two by their bytes. A bound is a member, None for the lowest or highest,
        and whether it is excluded. Means something only when all scores are equal.

        When they are not, a small zset gives what Redis gives, which goes from one end (`reverse`: the other) while the bounds hold.
        """
        if low[0] is not None and high[0] is not None and (low[0] > high[0] or (low[0] == high[0] and (low[1] or high[1]))):
            return 0, 0
        index = self._ordered()
        (lowest, first), (highest, last) = index.at(0), index.at(len(self) - 1)
        if not _above(highest, low) or not _below(lowest, high):
            start = stop = 0
        elif first != last and not self.oid:
            start, stop = _span_unequal(index.members(0, len(self)), low, high, reverse)
        else:
            start = 0 if low[0] is None else index.rank(first, low[0] + b"\0" if low[1] else low[0])
            stop = len(self) if high[0] is None else index.rank(last, high[0] if high[1] else high[0] + b"\0")
        if index.held != self.counted:
            self._limit()
        return start, max(start, stop)

    def remove_by_rank(self, start: int, stop: int) -> list[tuple[bytes, float]]:
        """Take the members with ranks from `start` up to `stop` away; they are returned in order."""
        found = self.pairs_by_rank(start, stop)
        if found:
            self.touch()
            for member, score in found:
                resident = self.resident
                if not self.complete and resident.get(member) is None:
                    # What the index says spares `drop` the engine.
                    self.resized(0 if member in resident else self.ENTRY + len(member))
                    resident[member] = score
                self.drop(member)
            # It is one command, but as much of it waits for the engine.
            self.db.store.backlog.commands += len(found)
            if not len(self):
                self.vanish()
        return found

    # -- memory

    def _account(self, index: Ranked) -> None:
        self.resized(index.held - self.counted)
        self.counted = index.held

    def _limit(self) -> None:
        """A read has taken something into memory: count it, and let go of what is clean if this one zset takes too much."""
        index = self.index
        if index is not None and index.held != self.counted:
            self._account(index)
        if self.oid and self.weight > self.ceiling:
            self._spill()

    def vanish(self) -> None:
        super().vanish()
        if not self.oid:
            self.index = None

    def _unload(self, kept: Container[bytes]) -> None:
        index = self.index
        if index is not None:
            index.unload(kept, all_pages=False)
            if index.held > self.db.cache.share // 2:
                # Changes all over a large zset leave no page clean.
                index.unload(kept, all_pages=True)
            self._account(index)

    def _hold(self, resident: dict[bytes, Any], weight: int) -> None:
        super()._hold(resident, weight + self.counted)

    # -- what the store needs

    def load(self, meta: Meta) -> None:
        super().load(meta)
        if meta.body is None:
            self.moved = {}
            self.flags = meta.extras[0] if meta.extras else 0

    def fill(self, items: list[Any]) -> None:
        self.resident = dict(zip(items[::2], items[1::2], strict=True))
        self.weight += sum(map(len, self.resident)) + len(self.resident) * self.ENTRY

    def body(self) -> bytes:
        items: list[Any] = [part for entry in self.resident.items() for part in entry]
        return pack_items([self.flags, *items] if self.flags else items)

    def extras(self) -> bytes:
        return bytes((self.flags,)) if self.flags else b""

    def _taken(self, member: bytes, value: Any, count: int) -> None:
        shapes = self.db.store.shapes
        if count > shapes.zset_entries or len(member) > shapes.zset_value:
            self.flags |= SUNK

    def pack(self, value: float) -> bytes:
        return pack_f64(value)

    def unpack(self, raw: bytes) -> float:
        return unpack_f64(raw)

    def ready(self) -> None:
        if self.broken is None:
            with contextlib.suppress(StoreError):
                self.settle()

    def freeze(self) -> tuple[bytes, Records, dict[Any, Any]]:
        index = self.settle()
        # What did not land the last time (these are empty if it did) goes along; of a stored score, the older one is true.
        if self.stored_flying:
            flown = [(score, member) for member, score in self.stored.items() if score is not None and member in self.stored_flying]
            self.doubtful = {**self.doubtful, **dict.fromkeys(flown)}
        self.stored_flying = stored = {**self.stored, **self.stored_flying} if self.stored_flying else self.stored
        self.buckets_flying = buckets = {**self.buckets_flying, **index.freeze()}
        self.stored = {}
        prefix, _, members = super().freeze()
        return prefix, self.records, {MEMBER: members, RANKED: stored, BUCKET: buckets, DOUBTFUL: self.doubtful}

    def remains(self) -> dict[Any, Any]:
        # Of the members and their ranked records all is known but what the buckets count.
        stored = {**(self.moved or {}), **self.stored, **self.stored_flying}
        return {MEMBER: self.touched, RANKED: stored, BUCKET: {}, DOUBTFUL: self.doubtful}

    def landed(self) -> None:
        self.stored_flying, self.buckets_flying, self.doubtful = {}, {}, {}
        if self.index is not None:
            self.index.landed()
            if self.linked:
                self._account(self.index)
        super().landed()

    def records(self, changes: dict[Any, Any]) -> Iterator[tuple[bytes, bytes | None]]:
        hash32 = self.db.store.hash32
        stored: dict[bytes, float | None] = changes[RANKED]
        for doubtful, name in changes[DOUBTFUL]:
            yield RANKED + pack_f64(doubtful) + name, None
        # All of a kind in a row: the engine's memory table is a list with a search from its head, and so there is less to be fetched into
        # the processor's cache for it (measured with 63,000 members: 5 us each instead of 7).
        members: dict[bytes, float | None] = changes[MEMBER]
        for member, score in members.items():
            yield MEMBER + hash32(member) + member, None if score is None else pack_f64(score)
        for member, score in members.items():
            old = stored.get(member)
            if old is not None and old != score:
                yield RANKED + pack_f64(old) + member, None
            if score is not None:
                yield RANKED + pack_f64(score) + member, b""
        for (low, name), count in changes[BUCKET].items():
            yield BUCKET + pack_f64(low) + name, None if count is None else pack_u32(count)

    def verify(self) -> Iterator[str]:
        yield from super().verify()
        if self.complete:
            return
        engine = self.db.store.engine
        members, ranked, bucket = (keys.data_prefix(self.oid) + kind for kind in (MEMBER, RANKED, BUCKET))
        width, hash32 = len(ranked), self.db.store.hash32
        buckets = [(key[width:], unpack_u32(raw)) for key, raw in engine.scan(bucket, keys.after(bucket))]
        if not buckets or buckets[0][0] != pack_f64(FIRST[0]) + FIRST[1]:
            yield "its first bucket does not begin at the lowest score"
        counts = [0] * len(buckets)
        at = -1
        for key in engine.scan_keys(ranked, keys.after(ranked)):
            sub = key[width:]
            while at + 1 < len(buckets) and buckets[at + 1][0] <= sub:
                at += 1
            if at >= 0:
                counts[at] += 1
            member = sub[8:]
            score = engine.get(members + hash32(member) + member)
            if score != sub[:8]:
                yield f"ranked {member!r} with a score that the member has not"
        for (low, count), found in zip(buckets, counts, strict=True):
            if found != count:
                yield f"the bucket from {low!r} says {count}, there are {found} ranked records"
        if sum(counts) != self.size:
            yield f"{sum(counts)} ranked records for {self.size} members"

    def shed(self, count: int) -> bool:
        return super().shed(count) and (self.index is None or self.index.shed(count))

    def encoding(self) -> bytes:
        """As Redis decides it for a zset of this size: `listpack` or `skiplist`."""
        shapes = self.db.store.shapes
        if self.flags & SUNK or len(self) > shapes.zset_entries or any(len(member) > shapes.zset_value for member in self.members()):
            return b"skiplist"
        return b"listpack"


def _above(member: bytes, low: LexBound) -> bool:
    return low[0] is None or (member > low[0] if low[1] else member >= low[0])


def _below(member: bytes, high: LexBound) -> bool:
    return high[0] is None or (member < high[0] if high[1] else member <= high[0])


def _span_unequal(members: Sequence[bytes], low: LexBound, high: LexBound, reverse: bool) -> tuple[int, int]:
    """What Redis' linear search finds between two bounds in members that are not in order, the last of which is above the lower bound and
    the first below the higher one."""
    count = len(members)
    if reverse:
        stop = next((index + 1 for index in range(count - 1, -1, -1) if _below(members[index], high)), 0)
        return next((index + 1 for index in range(stop - 1, -1, -1) if not _above(members[index], low)), 0), stop
    start = next((index for index in range(count) if _above(members[index], low)), count)
    return start, next((index for index in range(start, count) if not _below(members[index], high)), count)
