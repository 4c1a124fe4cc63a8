"""Places against Redis: what is stored, measured and found is the same to the last digit, in small sorted sets and in large ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.oracle import Oracle, plain, start
from tests.support.runner import Runner

Words = tuple[Any, ...]
UNITS = ("m", "km", "FT", "mi")


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    server = start()
    yield server
    server.close()


def same(run: Runner, oracle: Oracle, *argv: Any) -> Any:
    want = oracle.run(*argv)
    assert plain(run(*argv)) == want, argv
    return want


def same_scores(run: Runner, oracle: Oracle, key: str) -> None:
    theirs, ours = oracle.run("ZRANGE", key, 0, -1, "WITHSCORES"), plain(run("ZRANGE", key, 0, -1, "WITHSCORES"))
    assert ours[::2] == theirs[::2]
    assert ours[1::2] == [float(score) for score in theirs[1::2]]


def place(rng: random.Random) -> tuple[str, str]:
    kind = rng.randrange(12)
    if kind == 0:
        # The edges of the world; never two members at one place, since of members at the same distance COUNT may take any.
        return rng.choice(("180", "-180", "179.999999")), f"{rng.uniform(-85, 85)!r}"
    if kind == 1:
        return f"{rng.uniform(-180, 180)!r}", rng.choice(("85.05112878", "-85.05112878", "0"))
    if kind < 6:
        return f"{rng.uniform(13, 16):.9f}", f"{rng.uniform(36, 39):.9f}"
    return f"{rng.uniform(-180, 180)!r}", f"{rng.uniform(-85, 85)!r}"


def size(rng: random.Random) -> str:
    return rng.choice((f"{rng.uniform(0, 500):.3f}", f"{10 ** rng.uniform(-2, 8)!r}", "0", "200", "1e9", "20000"))


def around(rng: random.Random) -> Words:
    return ("FROMLONLAT", *place(rng)) if rng.random() < 0.6 else ("FROMMEMBER", f"m{rng.randrange(60)}")


def shape(rng: random.Random) -> Words:
    if rng.random() < 0.5:
        return "BYRADIUS", size(rng), rng.choice(UNITS)
    return "BYBOX", size(rng), size(rng), rng.choice(UNITS)


def options(rng: random.Random) -> Words:
    given: list[Any] = [word for word in ("WITHDIST", "WITHHASH", "withcoord") if rng.random() < 0.4]
    count = rng.randrange(1, 9)
    order = rng.choice(((), ("ASC",), ("DESC",), ("COUNT", count), ("COUNT", count, "ANY"), ("DESC", "COUNT", 3)))
    return (*given, *order)


def fill(run: Runner, oracle: Oracle, rng: random.Random, key: str, count: int) -> None:
    for first in range(0, count, 100):
        words = [word for number in range(first, min(first + 100, count)) for word in (*place(rng), f"m{number}")]
        same(run, oracle, "GEOADD", key, *words)


@pytest.mark.parametrize("seed", range(4))
def test_searches(run: Runner, oracle: Oracle, seed: int) -> None:
    rng = random.Random(seed)
    oracle.run("FLUSHALL")
    fill(run, oracle, rng, "small", 60)
    fill(run, oracle, rng, "large", 3000)
    found = 0
    for turn in range(250):
        key = rng.choice(("small", "large", "large", "none"))
        if turn % 60 == 0:
            run.evict()
        match rng.randrange(6):
            case 0:
                member = f"m{rng.randrange(70)}"
                same(run, oracle, "GEORADIUSBYMEMBER", key, member, size(rng), rng.choice(UNITS), *options(rng))
            case 1:
                found += len(same(run, oracle, "GEORADIUS_RO", key, *place(rng), size(rng), rng.choice(UNITS), *options(rng)) or ())
            case 2:
                same(run, oracle, "GEODIST", key, f"m{rng.randrange(70)}", f"m{rng.randrange(70)}", rng.choice(UNITS))
                same(run, oracle, rng.choice(("GEOPOS", "GEOHASH")), key, f"m{rng.randrange(70)}", f"m{rng.randrange(70)}")
            case _:
                found += len(same(run, oracle, "GEOSEARCH", key, *around(rng), *shape(rng), *options(rng)) or ())
    assert found > 5000


def test_storing(tmp_path: Path, oracle: Oracle) -> None:
    rng = random.Random(5)
    oracle.run("FLUSHALL")
    run = Runner(tmp_path / "store")
    fill(run, oracle, rng, "large", 1500)
    for _ in range(40):
        # What is searched may not be much of the world: Redis finds members twice then, and ends.
        where = ("FROMLONLAT", *place(rng), "BYRADIUS", rng.randrange(2000), "km")
        more = rng.choice(((), ("STOREDIST",), ("COUNT", 7), ("DESC", "STOREDIST")))
        same(run, oracle, "GEOSEARCHSTORE", "found", "large", *where, *more)
        same_scores(run, oracle, "found")
        store = rng.choice(("STORE", "STOREDIST"))
        same(run, oracle, "GEORADIUS", "large", *where[1:3], where[4], "km", store, rng.choice(("found", "other")))
        same_scores(run, oracle, "other")
        if rng.random() < 0.2:
            run.reopen()
    same(run, oracle, "GEOSEARCHSTORE", "found", "none", "FROMMEMBER", "m1", "BYRADIUS", 1, "km")
    same(run, oracle, "EXISTS", "found")
    assert not run.findings()
    run.close()


STRANGE = ["-1", "1e300", "-1e300", "inf", "-inf", "4503599627370496", "18446744073709551616", "1e19", "3.7", "-9.3e18"]


@pytest.mark.parametrize("score", STRANGE)
def test_scores_that_are_no_places(run: Runner, oracle: Oracle, score: str) -> None:
    oracle.run("FLUSHALL")
    for line in (f"ZADD z {score} m 3479099956230698 n", "GEOPOS z m n o", "GEOHASH z m", "GEODIST z m n"):
        same(run, oracle, *line.split())
    same(run, oracle, "GEOSEARCH", "z", "FROMMEMBER", "m", "BYRADIUS", 30000, "km", "WITHDIST", "ASC")


WRONG = [
    "GEOADD k 1 2", "GEOADD k NX XX 1 2 a", "GEOADD k NX CH XX", "GEOADD k CH CH CH", "GEOADD k 181 2 a", "GEOADD k 1 86 a",
    "GEOADD k x 2 a", "GEOADD k 1 2 a 3", "GEOADD k inf 2 a", "GEOADD t 1 2 a", "GEOADD t x 2 a", "GEODIST k a b x",
    "GEODIST k a b m m", "GEODIST t a b", "GEODIST none a b", "GEOPOS k", "GEOPOS none a b", "GEOHASH none a", "GEOHASH t a",
    "GEORADIUS k 1 2 3", "GEORADIUS k 1 2 x m", "GEORADIUS k 1 2 -3 m", "GEORADIUS k 1 2 3 x", "GEORADIUS k 1 99 3 x",
    "GEORADIUS k 1 2 3 m COUNT", "GEORADIUS k 1 2 3 m COUNT 0", "GEORADIUS k 1 2 3 m COUNT x", "GEORADIUS k 1 2 3 m ANY",
    "GEORADIUS k 1 2 3 m STORE", "GEORADIUS k 1 2 3 m STORE d WITHDIST", "GEORADIUS_RO k 1 2 3 m STORE d",
    "GEORADIUSBYMEMBER k none 3 m", "GEORADIUSBYMEMBER none m x y", "GEORADIUSBYMEMBER none m x y z", "GEORADIUSBYMEMBER k a x y",
    "GEORADIUSBYMEMBER_RO k a 3 m STORE d", "GEOSEARCH k FROMMEMBER a BYRADIUS 3 m STOREDIST",
    "GEOSEARCH k FROMMEMBER none BYRADIUS 3 m", "GEOSEARCH none FROMMEMBER none BYRADIUS 3 m",
    "GEOSEARCH none FROMMEMBER none BYRADIUS x m", "GEOSEARCH k FROMMEMBER a FROMLONLAT 1 2 BYRADIUS 3 m",
    "GEOSEARCH k FROMMEMBER a BYRADIUS 3 m BYBOX 1 2 m", "GEOSEARCH k ASC ASC ASC ASC ASC", "GEOSEARCH k FROMMEMBER a ASC DESC ASC",
    "GEOSEARCH k FROMMEMBER a BYBOX 1 2", "GEOSEARCH k FROMMEMBER a BYBOX 1 x m", "GEOSEARCH k FROMMEMBER a BYBOX x 1 m",
    "GEOSEARCH k FROMMEMBER a BYBOX 1 -1 m", "GEOSEARCH k FROMMEMBER a BYRADIUS 1 m ANY", "GEOSEARCH t FROMMEMBER a BYRADIUS 1 m",
    "GEOSEARCHSTORE d t FROMMEMBER a BYRADIUS 1 m", "GEOSEARCHSTORE d k FROMMEMBER a BYRADIUS 1 m WITHDIST",
    "GEOSEARCHSTORE d k FROMMEMBER a ASC ASC ASC", "GEOSEARCH k FROMLONLAT 200 1 BYRADIUS 1 m",
    "GEOSEARCH k FROMMEMBER a BYRADIUS inf m", "GEOSEARCH k FROMMEMBER a BYBOX inf inf km WITHDIST",
    "GEOSEARCH k FROMMEMBER a BYRADIUS nan m", "GEOSEARCH k FROMMEMBER a BYRADIUS 1 m COUNT 1 STORE d",
]  # fmt: skip


def test_errors_come_in_the_same_order(run: Runner, oracle: Oracle) -> None:
    oracle.run("FLUSHALL")
    for line in ("GEOADD k 13.361389 38.115556 a 15.087269 37.502669 b", "SET t text", *WRONG):
        same(run, oracle, *line.split())
