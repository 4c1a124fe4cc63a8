"""A paged index of members by score, then by their bytes: what a sorted set answers ranks, ranges and random members from.

A `Ranked` is a list of pages. A page has its lower bound, its exact count, and its content in order, or None for it while it is only
in the engine. Bounds and counts are always in memory (10 million members: about 15,000 pages) and lie in the engine as bucket
records, so a rank is a sum of counts and one page. A change to a page that is not in memory is kept beside it (`pending`) and costs
no load; when the page is loaded, what is pending or in flight is laid over what the engine says.

A page's content is an array of doubles and a list of members beside it, not one list of couples or of records' bytes: a search runs
over neighbouring bytes (measured on 100,000 members: couples took twice as long, each comparison being a cache miss), an item takes
16 bytes, nothing has to be packed, and a range of members is a slice.

A page that changes while nobody reads it gives its order up: it becomes a `bag`, a dict, in which a change costs half as much, and is
sorted (0.2 ms) when it is read or split. So a leaderboard of which only the top is read has but that in order.

The index knows neither records nor the store: `fetch(low, high)` hands it the engine's scores and members with low <= item < high,
`freeze` and `landed` tell it of checkpoints. What changed since the last landing stays in memory.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from diskkv.errors import Damaged

Item = tuple[float, bytes]
Content = tuple["array[float]", list[bytes]]

FIRST: Item = (float("-inf"), b"")

# A page is split when it has more items than MOST, into halves; one with fewer than FEW joins a neighbour if both have at most JOINED.
MOST = 1024
FEW = 64
JOINED = 640
# A read that crosses more unloaded pages than this does not keep them.
KEPT = 8
# The memory of an item, and what comes to it, the member's bytes apart, if the engine's record was read and nobody shares them.
ITEM_COST = 17
FETCHED_COST = 40
# The same of an item in a bag: a dict's table is at worst so large, just after it has grown.
BAG_COST = 110
# A page becomes a bag with so many changes since it was last read: to make it one and to sort it again takes no longer than they did.
UNREAD = 128


class Page:
    """Some neighbouring items: in order (`scores` and `members`), in a `bag`, or only in the engine."""

    __slots__ = ("bag", "bound", "count", "fetched", "least", "members", "ordered", "scores", "unread")

    def __init__(self, bound: Item, scores: array[float], members: list[bytes]) -> None:
        self.bound = bound
        self.scores = scores
        self.members = members
        self.bag: dict[bytes, float] | None = None
        self.count = len(members)
        self.ordered = True
        # with fewer items it is to become another
        self.least = FEW
        # how many changes there were since it was last read
        self.unread = 0
        # the bytes of memory that its members take besides what an item costs; 0 while the zset has them in memory, too
        self.fetched = 0

    @property
    def loaded(self) -> bool:
        """Whether its items are in memory."""
        return self.ordered or self.bag is not None

    def held(self) -> int:
        """How many bytes of memory they take. REQUIRES: loaded."""
        return (ITEM_COST if self.bag is None else BAG_COST) * self.count + self.fetched


class Ranked:
    """The index; see the module's docstring. `total` is how many items it has, `held` how many bytes of memory they take."""

    __slots__ = (
        "changed", "changed_flying", "dropped", "fetch", "held", "lows", "names", "pages", "pending", "pending_flying", "starts", "total",
    )  # fmt: skip

    def __init__(self, fetch: Callable[[Item, Item | None], Content]) -> None:
        self.fetch = fetch
        first = Page(FIRST, array("d"), [])
        self.pages: list[Page] = [first]
        # the bounds' scores and members
        self.lows: list[float] = [FIRST[0]]
        self.names: list[bytes] = [FIRST[1]]
        # how many items stand before each page; None when it has to be counted again
        self.starts: list[int] | None = None
        self.total = 0
        self.held = 0
        # pages that changed since the last freeze or are in flight; their buckets are to be written, and they do not leave memory but with
        # `surrender`
        self.changed: dict[Page, None] = {first: None}
        self.changed_flying: dict[Page, None] = {}
        # changes to pages that are not in memory: page -> item -> whether it came (True) or went
        self.pending: dict[Page, dict[Item, bool]] = {}
        self.pending_flying: dict[Page, dict[Item, bool]] = {}
        # bounds of pages that have ceased to exist
        self.dropped: dict[Item, None] = {}

    def fill(self, items: list[Item]) -> None:
        """Become an index of these items, all new. REQUIRES: sorted; the index is fresh."""
        step = MOST // 2
        self.pages, self.lows, self.names = [], [], []
        for start in range(0, max(len(items), 1), step):
            part = items[start : start + step]
            bound = part[0] if start else FIRST
            self.pages.append(Page(bound, array("d", [score for score, _ in part]), [member for _, member in part]))
            self.lows.append(bound[0])
            self.names.append(bound[1])
        self.changed = dict.fromkeys(self.pages)
        self.total = len(items)
        self.held = self.total * ITEM_COST

    def restore(self, buckets: Iterable[tuple[Item, int]]) -> None:
        """Become the index whose bounds and counts the engine has; nothing is in memory. REQUIRES: in order; the index is fresh."""
        pages = []
        for bound, count in buckets:
            page = Page(bound, array("d"), [])
            page.count, page.ordered = count, False
            pages.append(page)
        if pages:
            self.pages = pages
            self.total = sum([page.count for page in pages])
            self.lows = [page.bound[0] for page in pages]
            self.names = [page.bound[1] for page in pages]
            self.changed = {}

    # -- changing

    def apply(self, moved: Mapping[bytes, float | None], now: Mapping[bytes, float | None], *, roomy: bool = False) -> None:
        """Members have moved: `moved` has the scores that the index knows them by, None for new ones, and `now` their present ones,
        nothing or None for those that went. `roomy`: pages may take the memory of bags."""
        pages, lows, changed = self.pages, self.lows, self.changed
        self.starts = None
        # how many more there are: in all, in pages that are in order, and in bags
        more = kept = bagged = 0
        for member, old in moved.items():
            new = now.get(member)
            if new == old:
                continue
            if old is not None:
                at = bisect_right(lows, old) - 1
                if lows[at] == old:
                    at = self._among(old, member, at)
                page = pages[at]
                bag = page.bag
                if bag is not None:
                    del bag[member]
                    bagged -= 1
                elif page.ordered:
                    scores, members = page.scores, page.members
                    place = bisect_left(scores, old)
                    if members[place] != member:
                        place = bisect_left(members, member, place, bisect_right(scores, old, place))
                    del scores[place], members[place]
                    kept -= 1
                    page.unread += 1
                else:
                    self._note(page, (old, member), False)
                page.count -= 1
                more -= 1
                changed[page] = None
                if page.count < page.least:
                    self._dwindled(at)
            if new is not None:
                at = bisect_right(lows, new) - 1
                if lows[at] == new:
                    at = self._among(new, member, at)
                page = pages[at]
                bag = page.bag
                if bag is not None:
                    bag[member] = new
                    bagged += 1
                elif page.ordered:
                    scores, members = page.scores, page.members
                    place = bisect_left(scores, new)
                    if place < len(scores) and scores[place] == new:
                        place = bisect_left(members, member, place, bisect_right(scores, new, place))
                    scores.insert(place, new)
                    members.insert(place, member)
                    kept += 1
                    page.unread += 1
                    if page.unread > UNREAD and roomy:
                        self._disorder(page)
                else:
                    self._note(page, (new, member), True)
                page.count += 1
                more += 1
                changed[page] = None
                if page.count > MOST:
                    self._split(at)
        self.total += more
        self.held += kept * ITEM_COST + bagged * BAG_COST

    def _among(self, score: float, member: bytes, at: int) -> int:
        """The page of an item whose score is that of the bound of page `at`, and perhaps of some before it."""
        first = bisect_left(self.lows, score)
        return max(bisect_right(self.names, member, first, at + 1) - 1, 0)

    def _find(self, score: float, member: bytes) -> int:
        """The page that an item is or would be in."""
        at = bisect_right(self.lows, score) - 1
        return at if self.lows[at] != score else self._among(score, member, at)

    def _note(self, page: Page, item: Item, came: bool) -> None:
        notes = self.pending.get(page)
        if notes is None:
            notes = self.pending[page] = {}
        notes[item] = came

    def _split(self, at: int) -> None:
        page = self.pages[at]
        self._order(page)
        middle = page.count // 2
        bound = (page.scores[middle], page.members[middle])
        right = Page(bound, page.scores[middle:], page.members[middle:])
        del page.scores[middle:], page.members[middle:]
        page.count = middle
        right.fetched = page.fetched // 2
        page.fetched -= right.fetched
        right.unread = page.unread
        self.pages.insert(at + 1, right)
        self.lows.insert(at + 1, bound[0])
        self.names.insert(at + 1, bound[1])
        self.dropped.pop(bound, None)
        self.changed[page] = self.changed[right] = None

    def _dwindled(self, at: int) -> None:
        """A page has lost items, or half of its bag, the table of which does not get smaller."""
        page = self.pages[at]
        if page.bag is not None:
            self._order(page)
        if page.count < FEW and len(self.pages) > 1:
            self._join(at)

    def _join(self, at: int) -> None:
        """A page has become small: join it to a neighbour, or leave it be when both are large and it is not empty."""
        pages = self.pages
        near = [index for index in (at - 1, at) if 0 <= index < len(pages) - 1]
        left = min(near, key=lambda index: pages[index].count + pages[index + 1].count)
        one, other = pages[left], pages[left + 1]
        if pages[at].count and one.count + other.count > JOINED:
            return
        # Both are loaded first, so that no pending change is left behind with the wrong page.
        self._order(one)
        self._order(other)
        one.scores += other.scores
        one.members += other.members
        one.count += other.count
        one.fetched += other.fetched
        self.changed[one] = None
        self.changed.pop(other, None)
        self.changed_flying.pop(other, None)
        self.dropped[other.bound] = None
        del pages[left + 1], self.lows[left + 1], self.names[left + 1]

    # -- reading

    def rank(self, score: float, member: bytes) -> int:
        """How many items stand before this one, which need not be there."""
        at = self._find(score, member)
        page = self.pages[at]
        page.unread = 0
        if not page.ordered:
            self._order(page)
        scores = page.scores
        place = bisect_left(scores, score)
        if place < len(scores) and scores[place] == score:
            place = bisect_left(page.members, member, place, bisect_right(scores, score, place))
        starts = self.starts
        return (starts if starts is not None else self._count())[at] + place

    def members(self, start: int, stop: int) -> list[bytes]:
        """The members with ranks from `start` up to `stop`. REQUIRES: 0 <= start <= stop <= `total`."""
        page = self.pages[0]
        if stop <= page.count and page.ordered:
            page.unread = 0
            return page.members[start:stop]
        found: list[bytes] = []
        for _, members in self.walk(start, stop):
            found += members
        return found

    def pairs(self, start: int, stop: int) -> list[tuple[bytes, float]]:
        """As `members`, with their scores."""
        found: list[tuple[bytes, float]] = []
        for scores, members in self.walk(start, stop):
            found += zip(members, scores, strict=True)
        return found

    def walk(self, start: int, stop: int) -> Iterable[Content]:
        """The scores and members with ranks from `start` up to `stop`, in parts. REQUIRES: nothing is changed meanwhile."""
        # The two ends are what is asked for most, and need no counting.
        page = self.pages[0]
        if stop <= page.count:
            page.unread = 0
            if not page.ordered:
                self._order(page)
            return ((page.scores[start:stop], page.members[start:stop]),)
        page = self.pages[-1]
        before = self.total - page.count
        if start >= before:
            page.unread = 0
            if not page.ordered:
                self._order(page)
            return ((page.scores[start - before : stop - before], page.members[start - before : stop - before]),)
        return self._parts(start, stop)

    def _parts(self, start: int, stop: int) -> Iterator[Content]:
        starts = self.starts or self._count()
        at = bisect_right(starts, start) - 1
        last = bisect_left(starts, stop)
        keep = last - at <= KEPT
        for index in range(at, last):
            page = self.pages[index]
            page.unread = 0
            if not page.ordered and (keep or page.loaded):
                self._order(page)
            scores, members = (page.scores, page.members) if page.ordered else self._read(page)
            low, high = max(start - starts[index], 0), stop - starts[index]
            yield scores[low:high], members[low:high]

    def at(self, rank: int) -> tuple[bytes, float]:
        """The member and score of a rank. REQUIRES: there is one."""
        starts = self.starts or self._count()
        at = bisect_right(starts, rank) - 1
        page = self.pages[at]
        page.unread = 0
        if not page.ordered:
            self._order(page)
        rank -= starts[at]
        return page.members[rank], page.scores[rank]

    def _count(self) -> list[int]:
        # Only a lone page can be empty, so starts always ascend.
        self.starts = starts = [0, *accumulate([page.count for page in self.pages])]
        starts.pop()
        return starts

    def _order(self, page: Page) -> None:
        """Have the page in memory, and in order, from now on."""
        if page.ordered:
            return
        bag = page.bag
        if bag is not None:
            # By their bytes, and then by scores, which leaves those with the same as they are.
            page.members = members = sorted(bag)
            members.sort(key=bag.__getitem__)
            page.scores = array("d", map(bag.__getitem__, members))
            page.ordered, page.bag, page.least = True, None, FEW
            self.held -= (BAG_COST - ITEM_COST) * len(members)
            return
        page.scores, page.members = self._read(page)
        page.ordered = True
        self.pending.pop(page, None)
        self.pending_flying.pop(page, None)
        page.fetched = FETCHED_COST * page.count + sum(map(len, page.members))
        self.held += ITEM_COST * page.count + page.fetched

    def _disorder(self, page: Page) -> None:
        """Nobody has read the page for long: keep what is in it without order. REQUIRES: it is in order."""
        page.bag = dict(zip(page.members, page.scores, strict=True))
        self.held += (BAG_COST - ITEM_COST) * len(page.members)
        page.least = max(FEW, len(page.members) // 2)
        page.scores, page.members, page.ordered = array("d"), [], False

    def _read(self, page: Page) -> Content:
        """What is in a page that is not in memory: the engine's items, and over them what is not there yet."""
        at = self._find(*page.bound) + 1
        scores, members = self.fetch(page.bound, self.pages[at].bound if at < len(self.pages) else None)
        notes = {**self.pending_flying.get(page, {}), **self.pending.get(page, {})}
        if notes:
            items = [item for item in zip(scores, members, strict=True) if item not in notes]
            items += [item for item, came in notes.items() if came]
            items.sort()
            scores, members = array("d", [score for score, _ in items]), [member for _, member in items]
        if len(members) != page.count:
            raise Damaged(f"{len(members)} ranked records where their bucket says {page.count}")
        return scores, members

    # -- checkpoints and memory

    def freeze(self) -> dict[Item, int | None]:
        """A checkpoint begins: the buckets to be written, bound -> count, None for those to be deleted."""
        buckets: dict[Item, int | None] = dict.fromkeys(self.dropped)
        for page in self.changed:
            buckets[page.bound] = page.count
        self.dropped = {}
        if self.changed_flying:
            # The last flight never landed: what it held is part of this one.
            self.changed_flying.update(self.changed)
            for page, notes in self.pending.items():
                self.pending_flying[page] = {**self.pending_flying.get(page, {}), **notes}
        else:
            self.changed_flying, self.pending_flying = self.changed, self.pending
        self.changed, self.pending = {}, {}
        return buckets

    def landed(self) -> None:
        """What `freeze` handed over is in the engine."""
        self.changed_flying, self.pending_flying = {}, {}

    def unload(self) -> None:
        """Let go of every page that the engine has as it is. The members of the others may be nobody else's from now on."""
        for page in self.pages:
            if not page.loaded:
                continue
            if page not in self.changed and page not in self.changed_flying:
                self._empty(page)
            elif not page.fetched and page.count:
                page.fetched = (FETCHED_COST + len(next(iter(page.bag or page.members)))) * page.count
                self.held += page.fetched

    def surrender(self, stored: Mapping[bytes, float | None], now: Mapping[bytes, float | None]) -> None:
        """Let go of every page: keep of each what is not in the engine yet. `stored` has the scores that the engine knows the changed
        members by, None for new ones, and `now` those that this index knows them by. REQUIRES: nothing flies."""
        pages = self.pages
        for member, old in stored.items():
            new = now.get(member)
            if new == old:
                continue
            if old is not None and (page := pages[self._find(old, member)]).loaded:
                self._note(page, (old, member), False)
            if new is not None and (page := pages[self._find(new, member)]).loaded:
                self._note(page, (new, member), True)
        for page in pages:
            if page.loaded:
                self._empty(page)

    def _empty(self, page: Page) -> None:
        self.held -= page.held()
        page.scores, page.members, page.bag, page.ordered = array("d"), [], None, False
        page.fetched, page.unread, page.least = 0, 0, FEW

    def shed(self, count: int) -> bool:
        """Free about `count` items of a dead index; True when none are left."""
        freed = 0
        while self.pages and freed < count:
            page = self.pages.pop()
            freed += len(page.bag or page.members) + 1
        return not self.pages
