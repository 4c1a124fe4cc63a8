"""The rank index against a sorted list, with a dict of records for an engine, and pages so small that they split and join all the time."""

from __future__ import annotations

import random
from array import array

import pytest

from diskkv.types import ranked
from diskkv.types.ranked import Content, Item, Ranked


class Records:
    """What an engine would hold of one index."""

    def __init__(self) -> None:
        self.items: set[Item] = set()
        self.buckets: dict[Item, int] = {}
        self.fetches = 0

    def fetch(self, low: Item, high: Item | None) -> Content:
        self.fetches += 1
        found = sorted(item for item in self.items if item >= low and (high is None or item < high))
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
def test_against_a_sorted_list(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    for name, small in (("MOST", 16), ("FEW", 4), ("JOINED", 10), ("KEPT", 2), ("UNREAD", 3)):
        monkeypatch.setattr(ranked, name, small)
    rng = random.Random(seed)
    bags = 0
    records = Records()
    scores: dict[bytes, float] = {b"%d" % number: float(number % 7) for number in range(rng.choice((0, 30)))}
    index = Ranked(records.fetch)
    index.fill(sorted((score, member) for member, score in scores.items()))
    frozen: tuple[set[Item], dict[Item, int | None]] | None = None
    failed: dict[Item, int | None] = {}
    for _ in range(600):
        kind = rng.random()
        if kind < 0.6:
            names = [b"%d" % rng.randrange(rng.choice((40, 300))) for _ in range(rng.randrange(1, 30))]
            moved = {name: scores.get(name) for name in names}
            growing = rng.random() < 0.55
            for name in moved:
                if growing:
                    scores[name] = float(rng.choice((5, rng.randrange(10))))
                else:
                    scores.pop(name, None)
            index.apply(moved, scores, roomy=rng.random() < 0.7)
            bags += sum(page.bag is not None for page in index.pages)
        elif kind < 0.8:
            compare(index, scores, rng)
        elif kind < 0.88:
            if frozen is None and not index.changed_flying and rng.random() < 0.5:
                known = {member: score for score, member in records.items}
                index.surrender({name: known.get(name) for name in {*known, *scores}}, scores)
                assert not any(page.loaded for page in index.pages) and index.held == 0
            else:
                index.unload()
        elif frozen is None:
            failed = {**failed, **index.freeze()}
            frozen = ({(score, member) for member, score in scores.items()}, failed)
        elif rng.random() < 0.7:
            records.write(*frozen)
            records.verify()
            index.landed()
            frozen, failed = None, {}
        else:
            # The flight fails; the next freeze takes what it held along.
            frozen = None
        assert index.held == sum(page.held() for page in index.pages if page.loaded)
    assert bags > 100
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


def test_changes_to_unloaded_pages_read_nothing() -> None:
    records = Records()
    index = Ranked(records.fetch)
    index.fill([(float(number), b"m") for number in range(20_000)])
    records.write({(float(number), b"m") for number in range(20_000)}, index.freeze())
    index.landed()
    index.unload()
    assert index.held == 0
    now: dict[bytes, float | None] = {b"x%d" % number: number * 7.5 for number in range(1000)}
    index.apply(dict.fromkeys(now), now)
    assert records.fetches == 0
    assert index.rank(15.0, b"n") == 16 + 2
    assert records.fetches == 1


def test_a_page_that_is_written_and_not_read_gives_its_order_up() -> None:
    index = Ranked(Records().fetch)
    scores: dict[bytes, float | None] = {b"%04d" % number: float(number) for number in range(2000)}
    index.fill([(float(number), b"%04d" % number) for number in range(2000)])
    others = index.pages[1:]
    for number in range(1100, 1400):
        name = b"%04d" % number
        moved = {name: scores[name]}
        scores[name] = number + 0.5
        index.apply(moved, scores, roomy=True)
        # The top is read all the time, and changed as often.
        moved = {b"0000": scores[b"0000"]}
        scores[b"0000"] = -float(number)
        index.apply(moved, scores, roomy=True)
        assert index.members(0, 2) == [b"0000", b"0001"]
    assert index.pages[0].ordered
    assert [page.bag is not None for page in others] == [1200 in span for span in spans(others, 2000)]
    held = index.held
    assert index.members(1022, 1026) == [b"1022", b"1023", b"1024", b"1025"]
    assert index.rank(1200.5, b"1200") == 1200
    assert index.held < held and all(page.ordered for page in index.pages)


def test_a_bag_that_has_lost_half_of_its_items_is_given_up() -> None:
    """A dict's table never gets smaller."""
    index = Ranked(Records().fetch)
    scores: dict[bytes, float | None] = {b"%04d" % number: float(number) for number in range(500)}
    index.fill([(float(number), b"%04d" % number) for number in range(500)])
    page = index.pages[0]
    for number in range(2 * ranked.UNREAD):
        name = b"%04d" % (number % 500)
        moved = {name: scores[name]}
        scores[name] = number + 0.25
        index.apply(moved, scores, roomy=True)
    assert page.bag is not None
    for number in range(240):
        index.apply({b"%04d" % number: scores.pop(b"%04d" % number)}, scores, roomy=True)
    assert page.bag is not None
    for number in range(240, 260):
        index.apply({b"%04d" % number: scores.pop(b"%04d" % number)}, scores, roomy=True)
    assert page.ordered and index.held == 240 * ranked.ITEM_COST
    assert index.members(0, 2) == [b"0260", b"0261"]


def test_without_room_no_page_becomes_a_bag() -> None:
    index = Ranked(Records().fetch)
    index.fill([(float(number), b"m") for number in range(2000)])
    held = index.held
    now: dict[bytes, float | None] = {b"x%d" % number: float(number % 10) for number in range(500)}
    index.apply(dict.fromkeys(now), now)
    assert all(page.ordered for page in index.pages) and index.held == held + 500 * ranked.ITEM_COST


def spans(pages: list[ranked.Page], stop: int) -> list[range]:
    """The whole scores that belong to some neighbouring pages."""
    lows = [int(page.bound[0]) for page in pages]
    return [range(low, high) for low, high in zip(lows, [*lows[1:], stop], strict=True)]
