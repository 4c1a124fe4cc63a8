"""The longest common subsequence, against the table that defines it."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.lib.lcs import longest_common_subsequence

SHORT = st.lists(st.sampled_from(b"abc"), max_size=12).map(bytes)


def by_table(a: bytes, b: bytes) -> list[tuple[int, int]]:
    """The matching places from the last to the first, as Redis finds them."""
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, one in enumerate(a, 1):
        for j, other in enumerate(b, 1):
            lengths[i][j] = lengths[i - 1][j - 1] + 1 if one == other else max(lengths[i - 1][j], lengths[i][j - 1])
    found = []
    i, j = len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            found.append((i, j))
        elif lengths[i - 1][j] > lengths[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return found


@given(SHORT, SHORT)
def test_it_is_the_one_that_the_table_gives(a: bytes, b: bytes) -> None:
    common, ranges = longest_common_subsequence(a, b)
    places = [(i, j) for (a1, a2), (b1, b2) in ranges for i, j in zip(range(a2, a1 - 1, -1), range(b2, b1 - 1, -1), strict=True)]
    assert places == by_table(a, b)
    assert common == bytes(a[i] for i, _ in reversed(places))
    # No two ranges that follow each other are one.
    assert all(b2 + 1 < b1 or a2 + 1 < a1 for ((a1, _), (b1, _)), ((_, a2), (_, b2)) in pairwise(ranges))


@pytest.mark.parametrize("lengths", [(11_000, 11_000), (30_000_000, 3), (3, 30_000_000)])
def test_strings_as_long_as_they_may_be(lengths: tuple[int, int]) -> None:
    """A table of that many cells, filled in Python, would take half a minute and half a gigabyte."""
    random = Random(1)
    a, b = (random.randbytes(length) if length < 1 << 20 else b"abcd" * (length // 4) for length in lengths)
    common, ranges = longest_common_subsequence(a, b)
    assert len(common) == sum(a2 - a1 + 1 for (a1, a2), _ in ranges)
    for (a1, a2), (b1, b2) in ranges:
        assert a[a1 : a2 + 1] == b[b1 : b2 + 1]
