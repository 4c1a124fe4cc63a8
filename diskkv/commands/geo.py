"""Places on the earth: sorted sets whose scores are geohashes. Searches are in `geo_searches.py`."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from diskkv.commands.zsets import zadd
from diskkv.dispatch.args import double
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, READONLY, WRITE, group
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib import geohash
from diskkv.lib.geohash import LATITUDES, LONGITUDES, Place
from diskkv.replies import NIL_ARRAY, Digits
from diskkv.types.zsets import ZSet

command = group("geo")

UNITS = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}


def read_place(longitude: bytes, latitude: bytes) -> Place:
    """Two words as a place, or an error if the geohash can't say it: it ends before the poles."""
    x, y = double(longitude), double(latitude)
    if not (LONGITUDES[0] <= x <= LONGITUDES[1] and LATITUDES[0] <= y <= LATITUDES[1]):
        raise CommandError(f"invalid longitude,latitude pair {x:f},{y:f}")
    return x, y


def read_unit(word: bytes) -> float:
    """How many metres a unit has."""
    metres = UNITS.get(word.upper())
    if metres is None:
        raise CommandError("unsupported unit provided. please use M, KM, FT, MI")
    return metres


def show_distance(distance: float) -> bytes:
    """A distance with four digits behind the point."""
    # What C makes of a number that is none.
    scaled = round(distance * 10_000) if isfinite(distance) else -(1 << 63)
    whole, part = divmod(abs(scaled), 10_000)
    return b"%s%d.%04d" % (b"-" if scaled < 0 else b"", whole, part)


def show_place(place: Place) -> list[Digits]:
    """Longitude and latitude with 17 digits behind the point, less the zeros at the end."""
    return [Digits((b"%.17f" % part).rstrip(b"0").rstrip(b".")) for part in place]


@command(
    "GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
    WRITE | DENYOOM,
    since="3.2.0",
)
def geoadd(ctx: Session, key: bytes, *words: bytes) -> Any:
    """Give members places, adding those that are not there; reply how many were new."""
    at = 0
    while at < len(words) and words[at].upper() in (b"NX", b"XX", b"CH"):
        at += 1
    options, places = words[:at], words[at:]
    if not places or len(places) % 3 or {b"NX", b"XX"} <= {word.upper() for word in options}:
        raise BadSyntax
    scored: list[bytes] = list(options)
    for place in range(0, len(places), 3):
        scored += (b"%d" % geohash.encode(read_place(places[place], places[place + 1])), places[place + 2])
    return zadd(ctx, key, scored[0], scored[1], *scored[2:])


def _scores(ctx: Session, key: bytes, members: Sequence[bytes]) -> list[float | None]:
    zset = ctx.db.get(key, ZSet)
    return [None] * len(members) if zset is None else [zset.get(member) for member in members]


@command("GEOPOS key [member [member ...]]", READONLY, since="3.2.0")
def geopos(ctx: Session, key: bytes, *members: bytes) -> list[Any]:
    """Return members' places."""
    return [NIL_ARRAY if score is None else show_place(geohash.decode(score)) for score in _scores(ctx, key, members)]


@command("GEOHASH key [member [member ...]]", READONLY, since="3.2.0")
def geohash_(ctx: Session, key: bytes, *members: bytes) -> list[bytes | None]:
    """Return members' places as geohash texts."""
    return [None if score is None else geohash.text(geohash.decode(score)) for score in _scores(ctx, key, members)]


@command("GEODIST key member1 member2 [M | KM | FT | MI]", READONLY, since="3.2.0")
def geodist(ctx: Session, key: bytes, member1: bytes, member2: bytes, *unit: bytes) -> bytes | None:
    """Return the distance between two members."""
    if len(unit) > 1:
        raise BadSyntax
    metres = read_unit(unit[0]) if unit else 1.0
    one, other = _scores(ctx, key, (member1, member2))
    if one is None or other is None:
        return None
    return show_distance(geohash.distance(geohash.decode(one), geohash.decode(other)) / metres)
