"""The rank index against a sorted list, with a dict of records for an engine, and pages so small that they split and join all the time."""

from __future__ import annotations

import random
from array import array

import pytest

from diskkv.types import ranked
from diskkv.types.ranked import Content, Item, Ranked


class Records:
    """What an engine would hold of one index, and the scores that a sorted set would have in memory."""

    def __init__(self, scores: dict[bytes, float | None]) -> None:
        self.scores = scores
        self.items: set[Item] = set()
        self.buckets: dict[Item, int] = {}
        self.fetches = 0

    def fetch(self, low: Item, high: Item | None, names: list[bytes], whole: bool) -> Content:
        self.fetches += not whole
        known = {name: self.scores.get(name) for name in names}
        if not whole:
            known.update({name: self.scores.get(name, score) for score, name in self.items if (score, name) >= low})
        order = sorted((score, name) for name, score in known.items() if score is not None)
        found = [item for item in order if item >= low and (high is None or item < high)]
        return array("d", [score for score, _ in found]), [member for _, member in found]

    def write(self, items: set[Item], buckets: dict[Item, int | None]) -> None:
        self.items = items
        for bound, count in buckets.items():
            if count is None:
                self.buckets.pop(bound, None)
            else:
                self.buckets[bound] = count

    def verify(self) -> None:
        bounds = sorted(self.buckets)
        assert sum(self.buckets.values()) == len(self.items)
        for at, bound in enumerate(bounds):
            high = bounds[at + 1] if at + 1 < len(bounds) else None
            assert self.buckets[bound] == len([item for item in self.items if item >= bound and (high is None or item < high)])


def compare(index: Ranked, scores: dict[bytes, float], rng: random.Random) -> None:
    order = sorted((score, member) for member, score in scores.items())
    count = len(order)
    start, stop = sorted((rng.randrange(count + 1), rng.randrange(count + 1)))
    assert index.members(start, stop) == [member for _, member in order[start:stop]]
    assert index.pairs(start, stop) == [(member, score) for score, member in order[start:stop]]
    probe = (float(rng.randrange(-1, 12)), b"%d" % rng.randrange(300))
    assert index.rank(*probe) == sum(item < probe for item in order)
    if order:
        rank = rng.randrange(count)
        assert index.at(rank) == (order[rank][1], order[rank][0])
        assert index.rank(*order[rank]) == rank


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("complete", [True, False])
def test_against_a_sorted_list(monkeypatch: pytest.MonkeyPatch, seed: int, complete: bool) -> None:
    """Not `complete`: the scores of some of those that the engine has as they are can't be looked up."""
    for name, small in (("MOST", 16), ("FEW", 4), ("JOINED", 10), ("KEPT", 2), ("UNREAD", 3), ("NAMES", 2)):
        monkeypatch.setattr(ranked, name, small)
    rng = random.Random(seed)
    unordered = 0
    scores: dict[bytes, float] = {b"%d" % number: float(number % 7) for number in range(rng.choice((0, 30)))}
    memory: dict[bytes, float | None] = dict(scores)
    records = Records(memory)
    index = Ranked(records.fetch)
    index.fill(sorted((score, member) for member, score in scores.items()))
    frozen: tuple[set[Item], dict[Item, int | None]] | None = None
    failed: dict[Item, int | None] = {}
    # who is ahead of the engine, and in flight
    ahead, flies = set(scores), set[bytes]()
    for _ in range(600):
        kind = rng.random()
        if kind < 0.6:
            names = [b"%d" % rng.randrange(rng.choice((40, 300))) for _ in range(rng.randrange(1, 30))]
            moved = {name: scores.get(name) for name in names}
            growing = rng.random() < 0.55
            for name in moved:
                if growing:
                    memory[name] = scores[name] = float(rng.choice((5, rng.randrange(10))))
                else:
                    scores.pop(name, None)
                    memory[name] = None
            ahead |= moved.keys()
            index.apply(moved, memory, complete=complete)
            unordered += sum(not page.ordered and page.count > 0 for page in index.pages)
        elif kind < 0.8:
            compare(index, scores, rng)
        elif kind < 0.88:
            everything = rng.random() < 0.5
            index.unload(ahead | flies, all_pages=everything)
            assert not everything or not any(page.ordered or page.whole for page in index.pages)
            if not complete:
                for name in [name for name in memory if name not in ahead | flies]:
                    del memory[name]
        elif frozen is None:
            failed = {**failed, **index.freeze()}
            frozen = ({(score, member) for member, score in scores.items()}, failed)
            ahead, flies = set(), ahead
        else:
            if landed := rng.random() < 0.7:
                records.write(*frozen)
                records.verify()
                index.landed()
                failed = {}
            else:
                # The flight fails, after it has been written or before; the next freeze takes what it held along.
                if rng.random() < 0.5:
                    records.items = frozen[0]
                ahead |= flies
            frozen, flies = None, set()
            assert not landed or not index.flying
        flying = sum(len(names) for names in index.flying.values())
        assert index.held == sum(page.held() for page in index.pages) + ranked.NAME_COST * flying
        assert all(1 <= page.count <= 16 for page in index.pages[1:])
    assert unordered > 100
    if frozen is not None:
        failed = frozen[1]
    records.write({(score, member) for member, score in scores.items()}, {**failed, **index.freeze()})
    records.verify()
    again = Ranked(records.fetch)
    again.restore(sorted(records.buckets.items()))
    for _ in range(20):
        compare(again, scores, rng)
    while not again.shed(10):
        pass


def test_changes_to_pages_that_are_not_in_memory_read_nothing() -> None:
    now: dict[bytes, float | None] = {b"x%d" % number: number * 7.5 for number in range(1000)}
    records = Records(now)
    index = Ranked(records.fetch)
    index.fill([(float(number), b"m%05d" % number) for number in range(20_000)])
    records.write({(float(number), b"m%05d" % number) for number in range(20_000)}, index.freeze())
    index.landed()
    index.unload((), all_pages=False)
    assert index.held == 0
    index.apply(dict.fromkeys(now), now, complete=False)
    assert records.fetches == 0 and index.held == 1000 * ranked.NAME_COST
    assert index.rank(15.0, b"n") == 16 + 2
    assert records.fetches == 1


def test_a_page_that_is_written_and_not_read_gives_its_order_up() -> None:
    scores: dict[bytes, float | None] = {b"%04d" % number: float(number) for number in range(2000)}
    records = Records(scores)
    index = Ranked(records.fetch)
    index.fill([(float(number), b"%04d" % number) for number in range(2000)])
    others = index.pages[1:]
    for number in range(1100, 1100 + 2 * ranked.UNREAD):
        name = b"%04d" % number
        moved = {name: scores[name]}
        scores[name] = number + 0.5
        index.apply(moved, scores, complete=True)
        # The top is read all the time, and changed as often.
        moved = {b"0000": scores[b"0000"]}
        scores[b"0000"] = -float(number)
        index.apply(moved, scores, complete=True)
        assert index.members(0, 2) == [b"0000", b"0001"]
    assert index.pages[0].ordered
    assert [page.whole for page in others] == [1300 in span for span in spans(others, 2000)]
    assert index.members(1022, 1026) == [b"1022", b"1023", b"1024", b"1025"]
    assert index.rank(1200.5, b"1200") == 1200
    assert all(page.ordered for page in index.pages[:3]) and not records.fetches


def test_the_names_of_those_that_have_gone_do_not_gather() -> None:
    scores: dict[bytes, float | None] = {b"%04d" % number: float(number) for number in range(400)}
    records = Records(scores)
    index = Ranked(records.fetch)
    index.fill([(float(number), b"%04d" % number) for number in range(400)])
    most = 0
    for number in range(40_000):
        name = b"%04d" % (number % 400)
        moved = {name: scores[name]}
        scores[name] = number + 0.25
        index.apply(moved, scores, complete=True)
        most = max(most, index.held)
    assert index.pages[0].whole
    assert 3 * ranked.MOST * ranked.NAME_COST < most <= (ranked.NAMES * ranked.MOST + 1) * ranked.NAME_COST
    assert index.members(0, 2) == [b"0000", b"0001"]
    assert index.held == 400 * ranked.ITEM_COST and not records.fetches


def spans(pages: list[ranked.Page], stop: int) -> list[range]:
    """The whole scores that belong to some neighbouring pages."""
    lows = [int(page.bound[0]) for page in pages]
    return [range(low, high) for low, high in zip(lows, [*lows[1:], stop], strict=True)]
