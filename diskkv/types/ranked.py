"""A paged ordered index of (score, member) items: what a sorted set answers ranks, ranges and random members from.

A `Ranked` is a list of pages. A page has its lower bound, its exact count, and its items in order, or None for them while they are
only in the engine. Bounds and counts are always in memory (10 million members: about 15,000 pages) and lie in the engine as bucket
records, so a rank is a sum of counts and one page. A change to a page that is not in memory is kept beside it (`pending`) and costs
no load; when the page is loaded, what is pending or in flight is laid over what the engine says.

Items are tuples and not their records' bytes: they sort the same way, a range of them is a reply as it is, and no score has to be
packed before a checkpoint writes it.

The index knows neither records nor the store: `fetch(low, high)` hands it the engine's items with low <= item < high, `freeze` and
`landed` tell it of checkpoints. What changed since the last landing stays in memory.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from diskkv.errors import Damaged

Item = tuple[float, bytes]

FIRST: Item = (float("-inf"), b"")

# A page is split when it has more items than MOST, into halves; one with fewer than FEW joins a neighbour if both have at most JOINED.
MOST = 1024
FEW = 64
JOINED = 640
# A read that crosses more unloaded pages than this does not keep them.
KEPT = 8


class Page:
    """Some neighbouring items. `items` is None while they are not in memory."""

    __slots__ = ("bound", "count", "items")

    def __init__(self, bound: Item, count: int, items: list[Item] | None) -> None:
        self.bound = bound
        self.count = count
        self.items = items


class Ranked:
    """The index; see the module's docstring. `held` is how many items it has in memory."""

    __slots__ = ("bounds", "changed", "changed_flying", "dropped", "fetch", "held", "pages", "pending", "pending_flying", "starts")

    def __init__(self, fetch: Callable[[Item, Item | None], list[Item]]) -> None:
        self.fetch = fetch
        self.pages: list[Page] = [Page(FIRST, 0, [])]
        self.bounds: list[Item] = [FIRST]
        # how many items stand before each page; None when it has to be counted again
        self.starts: list[int] | None = None
        self.held = 0
        # pages that changed since the last freeze or are in flight; they may not leave memory, and their buckets are to be written
        self.changed: dict[Page, None] = {}
        self.changed_flying: dict[Page, None] = {}
        # changes to pages that are not in memory: page -> item -> whether it came (True) or went
        self.pending: dict[Page, dict[Item, bool]] = {}
        self.pending_flying: dict[Page, dict[Item, bool]] = {}
        # bounds of pages that have ceased to exist
        self.dropped: dict[Item, None] = {}

    def fill(self, items: list[Item]) -> None:
        """Become an index of these items, all in memory and all new. REQUIRES: sorted; the index is fresh."""
        step = MOST // 2
        for start in range(0, max(len(items), 1), step):
            part = items[start : start + step]
            page = Page(part[0] if start else FIRST, len(part), part)
            if start:
                self.pages.append(page)
                self.bounds.append(page.bound)
            else:
                self.pages[0] = page
            self.changed[page] = None
        self.held = len(items)

    def restore(self, buckets: Iterable[tuple[Item, int]]) -> None:
        """Become the index whose bounds and counts the engine has; nothing is in memory. REQUIRES: in order; the index is fresh."""
        pages = [Page(bound, count, None) for bound, count in buckets]
        if pages:
            self.pages = pages
            self.bounds = [page.bound for page in pages]

    # -- changing

    def apply(self, gone: Iterable[Item], come: Iterable[Item]) -> None:
        """Take items away and add others. REQUIRES: the ones are there, the others, once those are gone, are not."""
        pages, bounds, changed = self.pages, self.bounds, self.changed
        self.starts = None
        held = self.held
        for item in gone:
            page = pages[bisect_right(bounds, item) - 1]
            items = page.items
            if items is None:
                self._note(page, item, False)
            else:
                del items[bisect_left(items, item)]
                held -= 1
            page.count -= 1
            changed[page] = None
            if page.count < FEW and len(pages) > 1:
                self.held = held
                self._join(page)
                held = self.held
        for item in come:
            page = pages[bisect_right(bounds, item) - 1]
            items = page.items
            if items is None:
                self._note(page, item, True)
            else:
                insort(items, item)
                held += 1
            page.count += 1
            changed[page] = None
            if page.count > MOST:
                self.held = held
                self._split(page)
                held = self.held
        self.held = held

    def _note(self, page: Page, item: Item, came: bool) -> None:
        notes = self.pending.get(page)
        if notes is None:
            notes = self.pending[page] = {}
        notes[item] = came

    def _split(self, page: Page) -> None:
        items = self._load(page)
        middle = len(items) // 2
        right = Page(items[middle], len(items) - middle, items[middle:])
        del items[middle:]
        page.count = middle
        at = bisect_right(self.bounds, page.bound)
        self.pages.insert(at, right)
        self.bounds.insert(at, right.bound)
        self.dropped.pop(right.bound, None)
        self.changed[right] = None

    def _join(self, page: Page) -> None:
        """A page has become small: join it to a neighbour, or leave it be when both are large and it is not empty."""
        at = bisect_left(self.bounds, page.bound)
        pages = self.pages
        near = [index for index in (at - 1, at) if 0 <= index < len(pages) - 1]
        left = min(near, key=lambda index: pages[index].count + pages[index + 1].count)
        one, other = pages[left], pages[left + 1]
        if page.count and one.count + other.count > JOINED:
            return
        # Both are loaded first, so that no pending change is left behind with the wrong page.
        items, more = self._load(one), self._load(other)
        items += more
        one.count = len(items)
        self.changed[one] = None
        self.changed.pop(other, None)
        self.changed_flying.pop(other, None)
        self.dropped[other.bound] = None
        del pages[left + 1], self.bounds[left + 1]

    # -- reading

    def __len__(self) -> int:
        return sum([page.count for page in self.pages])

    def rank(self, item: Item) -> int:
        """How many items are less than `item`, which need not be there."""
        at = bisect_right(self.bounds, item) - 1
        if at < 0:
            return 0
        page = self.pages[at]
        items = page.items
        if items is None:
            items = self._load(page)
        starts = self.starts
        if starts is None:
            starts = self._count()
        return starts[at] + bisect_left(items, item)

    def slice(self, start: int, stop: int) -> list[Item]:
        """The items with ranks from `start` up to `stop`. REQUIRES: 0 <= start <= stop <= how many there are."""
        first = self.pages[0]
        if stop <= first.count:
            items = first.items
            return (items if items is not None else self._load(first))[start:stop]
        found: list[Item] = []
        for items, low in self._parts(start, stop):
            found += items[low : low + stop - start - len(found)]
        return found

    def walk(self, start: int, stop: int) -> Iterator[Sequence[Item]]:
        """The same as `slice`, some at a time. REQUIRES: nothing is changed meanwhile."""
        rest = stop - start
        for items, low in self._parts(start, stop):
            part = items[low : low + rest]
            rest -= len(part)
            yield part

    def _parts(self, start: int, stop: int) -> Iterator[tuple[list[Item], int]]:
        """The items of every page that has some of a range of ranks, and where in the first of them it begins."""
        if start >= stop:
            return
        starts = self.starts or self._count()
        at = bisect_right(starts, start) - 1
        last = bisect_left(starts, stop)
        keep = last - at <= KEPT
        low = start - starts[at]
        for page in self.pages[at:last]:
            items = page.items
            if items is None:
                items = self._load(page) if keep else self._read(page)
            yield items, low
            low = 0

    def at(self, rank: int) -> Item:
        """The item of a rank. REQUIRES: there is one."""
        starts = self.starts or self._count()
        at = bisect_right(starts, rank) - 1
        page = self.pages[at]
        items = page.items
        return (items if items is not None else self._load(page))[rank - starts[at]]

    def _count(self) -> list[int]:
        # An empty page's start equals the next one's; only a lone page can be empty, so that starts always ascend.
        self.starts = starts = [0, *accumulate([page.count for page in self.pages])]
        starts.pop()
        return starts

    def _load(self, page: Page) -> list[Item]:
        """The page's items, kept in memory from now on."""
        items = page.items
        if items is None:
            items = self._read(page)
            if len(items) != page.count:
                raise Damaged(f"{len(items)} ranked records where their bucket says {page.count}")
            page.items = items
            self.pending.pop(page, None)
            self.pending_flying.pop(page, None)
            self.held += len(items)
        return items

    def _read(self, page: Page) -> list[Item]:
        """The items of a page that is not in memory: the engine's, and over them what is not there yet."""
        at = bisect_right(self.bounds, page.bound)
        items = self.fetch(page.bound, self.bounds[at] if at < len(self.bounds) else None)
        notes = {**self.pending_flying.get(page, {}), **self.pending.get(page, {})}
        if notes:
            items = [item for item in items if item not in notes]
            items += [item for item, came in notes.items() if came]
            items.sort()
        return items

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
        """Let go of every page that the engine has as it is."""
        for page in self.pages:
            if page.items is not None and page not in self.changed and page not in self.changed_flying:
                self.held -= len(page.items)
                page.items = None

    def shed(self, count: int) -> int:
        """Free about `count` items of a dead index; how many were freed, 0 when none are left."""
        freed = 0
        while self.pages and freed < count:
            freed += len(self.pages.pop().items or ()) + 1
        return freed
