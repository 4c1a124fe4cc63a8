"""Geohashes without Redis at hand: places survive, distances are right, and a search misses nothing. See also tests/commands."""

from __future__ import annotations

import random
from math import isclose

import pytest

from diskkv.lib import geohash
from diskkv.lib.geohash import Shape

PALERMO, CATANIA = (13.361389, 38.115556), (15.087269, 37.502669)


def test_known_places() -> None:
    assert geohash.encode(PALERMO) == 3479099956230698
    assert geohash.text(geohash.decode(3479447370796909.0)) == b"sqdtr74hyu0"
    assert isclose(geohash.distance(geohash.decode(3479099956230698.0), geohash.decode(3479447370796909.0)), 166274.1516, abs_tol=1e-4)


def test_a_place_comes_back_within_a_metre() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        place = rng.uniform(-180, 180), rng.uniform(-85, 85)
        assert geohash.distance(place, geohash.decode(float(geohash.encode(place)))) < 1


@pytest.mark.parametrize("seed", range(3))
def test_a_search_looks_wherever_something_may_be(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(300):
        center = rng.uniform(-170, 170), rng.uniform(-60, 60)
        radius = 10 ** rng.uniform(1, 5.5)
        shape = Shape(center, radius)
        ranges = list(shape.cells(radius))
        assert len(ranges) <= 9
        for _ in range(10):
            across = radius / 111_195
            place = center[0] + rng.uniform(-across, across), center[1] + rng.uniform(-across, across)
            if shape.reach(place) is not None:
                assert any(low <= geohash.encode(place) < high for low, high in ranges), (center, radius, place)


def test_a_rectangle() -> None:
    shape = Shape(CATANIA, None, 400_000.0, 200_000.0)
    assert shape.reach(PALERMO) is not None
    assert Shape(CATANIA, None, 300_000.0, 200_000.0).reach(PALERMO) is None
    assert Shape(CATANIA, None, 400_000.0, 100_000.0).reach(PALERMO) is None
