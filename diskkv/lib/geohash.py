"""Places as 52-bit numbers, near ones mostly near each other, and what a search around a place has to look at.

A number is the two coordinates' offsets in their ranges, 26 bits each, bit by bit in turn, the longitude's first. A cell is the part of
the world whose places share the leading bits; its `step` says how many of each coordinate. All is computed as Redis does, operation
by operation, so that scores, distances and what is found are the same to the last bit; where C goes on with infinity or NaN, so does this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import asin, cos, isfinite, nan, pi, sin, sqrt

STEP = 26
LONGITUDES = -180.0, 180.0
LATITUDES = -85.05112878, 85.05112878
# What the world's usual geohash texts count from.
TEXT_LATITUDES = -90.0, 90.0
_ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"

_RADIANS = pi / 180.0
_EARTH = 6372797.560856
_MERCATOR = 20037726.37
_SCALE = float(1 << STEP)

Place = tuple[float, float]


@cache
def _halves() -> list[int]:
    """Numbers of 14 bits taken apart: the even bits, and the odd ones 32 bits further up."""
    made = []
    for number in range(1 << 14):
        even = odd = 0
        for bit in range(7):
            even |= (number >> 2 * bit & 1) << bit
            odd |= (number >> 2 * bit + 1 & 1) << bit
        made.append(even | odd << 32)
    return made


def _apart(bits: int) -> int:
    """The latitude's bits of a number of 64, and 32 bits further up the longitude's."""
    halves = _halves()
    found = halves[bits & 16383] | halves[bits >> 14 & 16383] << 7 | halves[bits >> 28 & 16383] << 14 | halves[bits >> 42 & 16383] << 21
    return found | halves[bits >> 56] << 28 if bits >> 56 else found


_MASKS = ((16, 0x0000FFFF0000FFFF), (8, 0x00FF00FF00FF00FF), (4, 0x0F0F0F0F0F0F0F0F), (2, 0x3333333333333333), (1, 0x5555555555555555))


def _spread(number: int) -> int:
    for shift, mask in _MASKS:
        number = (number | number << shift) & mask
    return number


def _offsets(place: Place, step: int, latitudes: tuple[float, float] = LATITUDES) -> tuple[int, int]:
    """Where a place's cell lies, counted in cells from the south-west: latitude, longitude."""
    (west, east), (south, north) = LONGITUDES, latitudes
    scale = 1 << step
    return int((place[1] - south) / (north - south) * scale), int((place[0] - west) / (east - west) * scale)


def encode(place: Place, latitudes: tuple[float, float] = LATITUDES) -> int:
    """A place's number. REQUIRES: its longitude and latitude are within bounds."""
    latitude, longitude = _offsets(place, STEP, latitudes)
    return _spread(latitude) | _spread(longitude) << 1


def decode(score: float) -> Place:
    """The place that a number stands for, which may be any double: C makes an integer of 64 bits of it."""
    if 0 <= score < 2**63:
        bits = int(score)
    elif -(2**63) <= score < 2**64:
        bits = int(score) & 0xFFFFFFFFFFFFFFFF
    else:
        bits = 1 << 63 if score < 0 else 0
    found = _apart(bits)
    latitude, longitude = found & 0xFFFFFFFF, found >> 32
    # The middle of a cell of STEP bits: half its lower and its upper bound.
    south = latitude / _SCALE * 170.10225756 + -85.05112878
    north = (latitude + 1 & 0xFFFFFFFF) / _SCALE * 170.10225756 + -85.05112878
    west = longitude / _SCALE * 360.0 + -180.0
    east = (longitude + 1 & 0xFFFFFFFF) / _SCALE * 360.0 + -180.0
    x, y = (west + east) / 2, (south + north) / 2
    if bits >> 52:
        x, y = min(max(x, LONGITUDES[0]), LONGITUDES[1]), min(max(y, LATITUDES[0]), LATITUDES[1])
    return x, y


def text(place: Place) -> bytes:
    """The usual geohash, of eleven letters, the last of which is always 0 because there are no more bits."""
    bits = encode(place, TEXT_LATITUDES)
    return bytes([_ALPHABET[bits >> 52 - 5 * letter & 31] for letter in range(1, 11)]) + _ALPHABET[:1]


def distance(one: Place, other: Place) -> float:
    """Metres between two places, by the haversine formula."""
    v = sin((other[0] * _RADIANS - one[0] * _RADIANS) / 2)
    if v == 0.0:
        return _meridian_distance(one[1], other[1])
    first, second = one[1] * _RADIANS, other[1] * _RADIANS
    u = sin((second - first) / 2)
    root = sqrt(u * u + cos(first) * cos(second) * v * v)
    return 2.0 * _EARTH * asin(root) if root <= 1.0 else nan


def _meridian_distance(one: float, other: float) -> float:
    return _EARTH * abs(other * _RADIANS - one * _RADIANS)


@dataclass(frozen=True, slots=True)
class Shape:
    """What is searched: the places no further than `radius` from the centre or, if it is None, in a rectangle around it; in metres."""

    center: Place
    radius: float | None
    width: float = 0.0
    height: float = 0.0

    def reach(self, place: Place) -> float | None:
        """How far a place is from the centre; None when it lies outside."""
        if self.radius is not None:
            away = distance(self.center, place)
            return None if away > self.radius else away
        if _meridian_distance(place[1], self.center[1]) > self.height / 2:
            return None
        if distance(place, (self.center[0], place[1])) > self.width / 2:
            return None
        return distance(self.center, place)

    def _bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north of a rectangle around it."""
        longitude, latitude = self.center
        height, width = (self.radius, self.radius) if self.radius is not None else (self.height / 2, self.width / 2)
        across = height / _EARTH / _RADIANS
        top = width / _EARTH / _cos((latitude + across) * _RADIANS) / _RADIANS
        bottom = width / _EARTH / _cos((latitude - across) * _RADIANS) / _RADIANS
        along = bottom if latitude < 0 else top
        return longitude - along, latitude - across, longitude + along, latitude + across

    def _step(self, half_diagonal: float) -> int:
        """How fine cells may be so that one and its eight neighbours cover the shape, as far as its size tells."""
        if half_diagonal == 0:
            return STEP
        step = -1
        while half_diagonal < _MERCATOR:
            half_diagonal *= 2
            step += 1
        latitude = abs(self.center[1])
        return min(max(step - (latitude > 66) - (latitude > 80), 1), STEP)

    def cells(self, half_diagonal: float) -> Iterator[tuple[int, int]]:
        """The ranges of numbers, from and up to, of the cells that cover it, in order. `half_diagonal` may be the radius."""
        west, south, east, north = self._bounds()
        step = self._step(half_diagonal)
        latitude, longitude = _offsets(self.center, step)
        if step > 1 and (
            _edges(latitude + 1, step, LATITUDES)[1] < north
            or _edges(latitude - 1, step, LATITUDES)[0] > south
            or _edges(longitude + 1, step, LONGITUDES)[1] < east
            or _edges(longitude - 1, step, LONGITUDES)[0] > west
        ):
            step -= 1
            latitude, longitude = _offsets(self.center, step)
        rows, columns = {-1, 0, 1}, {-1, 0, 1}
        if step >= 2:
            low, high = _edges(latitude, step, LATITUDES, wrap=False)
            left, right = _edges(longitude, step, LONGITUDES, wrap=False)
            rows -= {-1} if low < south else set()
            rows -= {1} if high > north else set()
            columns -= {-1} if left < west else set()
            columns -= {1} if right > east else set()
        previous = None
        for row, column in _AROUND:
            if row in rows and column in columns:
                mask = (1 << step) - 1
                y = latitude + row & mask if row else latitude
                x = longitude + column & mask if column else longitude
                cell = _spread(y) | _spread(x) << 1
                # With few cells in the world, neighbours on both sides may be one; only the one before is remembered, and not the middle.
                if cell != previous:
                    yield cell << 52 - 2 * step, cell + 1 << 52 - 2 * step
                    previous = cell if row or column else None


# By row and column: the middle, north, south, east, west, then the corners.
_AROUND = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))


def _edges(offset: int, step: int, bounds: tuple[float, float], *, wrap: bool = True) -> tuple[float, float]:
    """The lower and the upper bound of a row or column of cells; beyond the last comes the first."""
    low, high = bounds
    scale = 1 << step
    if wrap:
        offset &= scale - 1
    return low + offset / scale * (high - low), low + (offset + 1) / scale * (high - low)


def _cos(angle: float) -> float:
    return cos(angle) if isfinite(angle) else nan


def half_diagonal(width: float, height: float) -> float:
    """From the middle of a rectangle to its corners."""
    return sqrt((width / 2) * (width / 2) + (height / 2) * (height / 2))
