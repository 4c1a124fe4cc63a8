"""A paged index of members by score, then by their bytes: what a sorted set answers ranks, ranges and random members from.

A `Ranked` is a list of pages. A page has its lower bound, its exact count, and its content in order while somebody reads it. Bounds and
counts are always in memory (10 million members: about 15,000 pages) and lie in the engine as bucket records, so a rank is a sum of
counts and one page.

A page that is in order has an array of doubles and a list of members beside it, not one list of couples or of records' bytes: a search
runs over neighbouring bytes (measured on 100,000 members: couples took twice as long, each comparison being a cache miss), an item takes
16 bytes, nothing has to be packed, and a range of members is a slice.

Of a page that is not, only the names of those that may have `came` are kept, and of those that went nothing: what a change of it costs
is a count and a name. Whose score is what, the sorted set knows of all that the engine does not have yet. So when the page is read, it
has who is in the engine's records or among the names, and whose score lies in the page. Such is a page that has not been read yet, and
one that changes while nobody reads it, so a leaderboard of which only the top is read has but that in order. While the sorted set has
all its members in memory, a page that was in order needs no engine: it is `whole`, all of it stands among the names.

The index knows neither records nor the store: `fetch(low, high, names, whole)` hands it the scores and members with low <= item < high,
in order, of those in the engine (unless `whole`) and those of the names; `freeze` and `landed` tell it of checkpoints.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from itertools import accumulate, pairwise

from diskkv.errors import Damaged

Item = tuple[float, bytes]
Content = tuple["array[float]", list[bytes]]
Fetch = Callable[[Item, "Item | None", list[bytes], bool], Content]

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
# The memory of a name of one that may have come, which the sorted set has in memory.
NAME_COST = 8
# A page gives its order up with so many changes since it was last read: to put it in order again takes about as long as they did.
UNREAD = 256
# Of the names of those that may have come, many of which have gone again, a page keeps so many times as many as there are in it; of one
# that is whole a checkpoint leaves none if they are more than NAMES_LANDED.
NAMES = 4
NAMES_LANDED = 2048


class Page:
    """Some neighbouring items: in order (`scores` and `members`), or as described above."""

    __slots__ = ("bound", "came", "count", "fetched", "members", "ordered", "room", "scores", "unread", "whole")

    def __init__(self, bound: Item, scores: array[float], members: list[bytes]) -> None:
        self.bound = bound
        self.scores = scores
        self.members = members
        self.count = len(members)
        self.ordered = True
        # who may have come since the last freeze, and if it is `whole`, all who may be in it; more than `room` are looked through
        self.came: list[bytes] = []
        self.whole = False
        self.room = NAMES * MOST
        # how many changes there were since it was last read
        self.unread = 0
        # the bytes of memory that its members take besides what an item costs; 0 while the zset has them in memory, too
        self.fetched = 0

    def held(self) -> int:
        """How many bytes of memory it takes for what is in it."""
        return (ITEM_COST * self.count if self.ordered else NAME_COST * len(self.came)) + self.fetched


class Ranked:
    """The index; see the module's docstring. `total` is how many items it has, `held` how many bytes of memory they take."""

    __slots__ = ("changed", "changed_flying", "dropped", "fetch", "flying", "held", "lows", "names", "pages", "starts", "total")

    def __init__(self, fetch: Fetch) -> None:
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
        # pages that changed since the last freeze or are in flight; their buckets are to be written
        self.changed: dict[Page, None] = {first: None}
        self.changed_flying: dict[Page, None] = {}
        # who may have come to pages that are not in order, and is in flight
        self.flying: dict[Page, list[bytes]] = {}
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

    def apply(self, moved: Mapping[bytes, float | None], now: Mapping[bytes, float | None], *, complete: bool) -> None:
        """Members have moved: `moved` has the scores that the index knows them by, None for new ones, and `now` their present ones,
        nothing or None for those that went. `complete`: `now` has all members that there are."""
        pages, lows, changed = self.pages, self.lows, self.changed
        self.starts = None
        # how many more there are: in all, in pages that are in order, and names
        more = kept = named = 0
        # what is to be split, joined or looked through, when all have moved: what is in a page is told by where they are then
        odd: dict[Page, None] = {}
        for member, old in moved.items():
            new = now.get(member)
            if new == old:
                continue
            if old is not None:
                at = bisect_right(lows, old) - 1
                if lows[at] == old:
                    at = self._among(old, member, at)
                page = pages[at]
                if page.ordered:
                    scores, members = page.scores, page.members
                    place = bisect_left(scores, old)
                    if members[place] != member:
                        place = bisect_left(members, member, place, bisect_right(scores, old, place))
                    del scores[place], members[place]
                    kept -= 1
                    page.unread += 1
                page.count -= 1
                more -= 1
                changed[page] = None
                if page.count < FEW:
                    odd[page] = None
            if new is not None:
                at = bisect_right(lows, new) - 1
                if lows[at] == new:
                    at = self._among(new, member, at)
                page = pages[at]
                if page.ordered:
                    scores, members = page.scores, page.members
                    place = bisect_left(scores, new)
                    if place < len(scores) and scores[place] == new:
                        place = bisect_left(members, member, place, bisect_right(scores, new, place))
                    scores.insert(place, new)
                    members.insert(place, member)
                    kept += 1
                    page.unread += 1
                    if page.unread > UNREAD:
                        self._disorder(page, now, complete)
                else:
                    came = page.came
                    came.append(member)
                    named += 1
                    if len(came) > page.room:
                        odd[page] = None
                page.count += 1
                more += 1
                changed[page] = None
                if page.count > MOST:
                    odd[page] = None
        self.total += more
        self.held += kept * ITEM_COST + named * NAME_COST
        for page in odd:
            self._tend(page, now)

    def _among(self, score: float, member: bytes, at: int) -> int:
        """The page of an item whose score is that of the bound of page `at`, and perhaps of some before it."""
        first = bisect_left(self.lows, score)
        return max(bisect_right(self.names, member, first, at + 1) - 1, 0)

    def _find(self, score: float, member: bytes) -> int:
        """The page that an item is or would be in."""
        at = bisect_right(self.lows, score) - 1
        return at if self.lows[at] != score else self._among(score, member, at)

    def _tend(self, page: Page, now: Mapping[bytes, float | None]) -> None:
        """A page has become large or small, or has many names."""
        at = self._find(*page.bound)
        if self.pages[at] is not page:
            # It has been joined to another.
            return
        if page.count > MOST:
            self._split(at)
        elif page.count < FEW and len(self.pages) > 1:
            self._join(at)
        elif len(page.came) > page.room:
            low, high = page.bound[0], self.lows[at + 1] if at + 1 < len(self.lows) else float("inf")
            held = page.held()
            page.came = [name for name in dict.fromkeys(page.came) if (score := now.get(name)) is not None and low <= score <= high]
            page.room = max(page.room, 2 * len(page.came))
            self.held += page.held() - held

    def _split(self, at: int) -> None:
        """Make pages of a page that are half as large as it may be."""
        page = self.pages[at]
        self._order(page)
        scores, members, fetched = page.scores, page.members, page.fetched
        parts = 2 * len(members) // MOST
        edges = [len(members) * part // parts for part in range(parts + 1)]
        made: list[Page] = []
        for start, stop in pairwise(edges):
            bound = (scores[start], members[start]) if made else page.bound
            part = page if not made else Page(bound, array("d"), [])
            part.scores, part.members, part.count = scores[start:stop], members[start:stop], stop - start
            part.fetched = fetched * stop // len(members) - fetched * start // len(members)
            part.unread = page.unread
            self.dropped.pop(bound, None)
            self.changed[part] = None
            made.append(part)
        self.pages[at : at + 1] = made
        self.lows[at : at + 1] = [part.bound[0] for part in made]
        self.names[at : at + 1] = [part.bound[1] for part in made]

    def _join(self, at: int) -> None:
        """A page has become small: join it to a neighbour, or leave it be when both are large and it is not empty."""
        pages = self.pages
        near = [index for index in (at - 1, at) if 0 <= index < len(pages) - 1]
        left = min(near, key=lambda index: pages[index].count + pages[index + 1].count)
        one, other = pages[left], pages[left + 1]
        if pages[at].count and one.count + other.count > JOINED:
            return
        # Both are put in order first, so that no name is left behind with the wrong page.
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
        if one.count > MOST:
            self._split(left)

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
            if not page.ordered and (keep or page.whole):
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
        scores, members = self._read(page)
        self.held -= page.held() + NAME_COST * len(self.flying.pop(page, ()))
        page.scores, page.members, page.ordered = scores, members, True
        if not page.whole:
            page.fetched = FETCHED_COST * page.count + sum(map(len, members))
        page.came, page.whole = [], False
        self.held += page.held()

    def _disorder(self, page: Page, now: Container[bytes], complete: bool) -> None:
        """Nobody has read the page for long: keep the names of those that may be ahead of the engine. REQUIRES: it is in order."""
        names = page.members
        self.held -= ITEM_COST * len(names) + page.fetched
        page.scores, page.members, page.ordered = array("d"), [], False
        page.came, page.whole, page.fetched = names if complete else [name for name in names if name in now], complete, 0
        page.room = NAMES * max(len(names), MOST)
        self.held += NAME_COST * len(page.came)

    def _read(self, page: Page) -> Content:
        """What is in a page that is not in order."""
        at = self._find(*page.bound) + 1
        names = [*self.flying.get(page, ()), *page.came]
        scores, members = self.fetch(page.bound, self.pages[at].bound if at < len(self.pages) else None, names, page.whole)
        if len(members) != page.count:
            raise Damaged(f"{len(members)} ranked records where their bucket says {page.count}")
        return scores, members

    # -- checkpoints and memory

    def freeze(self) -> dict[Item, int | None]:
        """A checkpoint begins: the buckets to be written, bound -> count, None for those to be deleted."""
        buckets: dict[Item, int | None] = dict.fromkeys(self.dropped)
        flying = self.flying
        for page in self.changed:
            buckets[page.bound] = page.count
            if len(page.came) > NAMES_LANDED:
                # To look them through would cost more than to read the engine.
                page.whole = False
            if page.came and not page.whole:
                # If the last flight never landed, what it held is part of this one.
                flying[page] = flying[page] + page.came if page in flying else page.came
                page.came = []
        self.dropped = {}
        self.changed_flying.update(self.changed)
        self.changed = {}
        return buckets

    def landed(self) -> None:
        """What `freeze` handed over is in the engine."""
        self.held -= NAME_COST * sum(map(len, self.flying.values()))
        self.changed_flying, self.flying = {}, {}

    def unload(self, ahead: Container[bytes], *, all_pages: bool) -> None:
        """Only the members `ahead`, which has all that the engine does not know as they are, stay in memory. Let go of every page that the
        engine has as it is, or of all pages."""
        for page in self.pages:
            clean = page not in self.changed and page not in self.changed_flying
            if page.ordered:
                if clean or all_pages:
                    self._empty(page, [] if clean else [name for name in page.members if name in ahead])
                elif not page.fetched and page.count:
                    # They may be nobody else's from now on.
                    page.fetched = (FETCHED_COST + len(page.members[0])) * page.count
                    self.held += page.fetched
            elif page.whole:
                self._empty(page, [] if clean else [name for name in page.came if name in ahead])

    def _empty(self, page: Page, names: list[bytes]) -> None:
        """Let go of all that is in a page, but for these names of members that are ahead of the engine."""
        self.held -= page.held()
        page.scores, page.members, page.ordered = array("d"), [], False
        page.came, page.whole, page.fetched, page.unread = names, False, 0, 0
        self.held += page.held()

    def shed(self, count: int) -> bool:
        """Free about `count` items of a dead index; True when none are left."""
        freed = 0
        while self.pages and freed < count:
            page = self.pages.pop()
            freed += len(page.members) + len(page.came) + 1
        return not self.pages
