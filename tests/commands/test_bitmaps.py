"""SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, BITFIELD: small, large, and as Redis."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diskkv.errors import CommandError
from tests.support.oracle import Oracle, plain, start
from tests.support.runner import Runner

MIB = 1 << 20


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    oracle = start()
    yield oracle
    oracle.close()


def test_a_large_bitmap_is_worked_on_piece_by_piece(run: Runner) -> None:
    last = 500 * MIB * 8 - 1
    assert run("SETBIT", "large", last, 1) == 0
    assert run("SETBIT", "large", 12345, 1) == 0
    run.evict()
    value = run.executor.store.databases[0].find(b"large")
    assert value is not None
    assert value.weight < 1 * MIB
    assert run("GETBIT", "large", last) == 1
    assert run("SETBIT", "large", last - 1, 1) == 0
    assert value.weight < 1 * MIB
    run.reopen()
    assert run("STRLEN", "large") == 500 * MIB
    assert run("GETBIT", "large", 12345) == 1
    assert run("BITFIELD", "large", "GET", "u4", last - 3, "SET", "i8", 12340, 7) == [3, 4]


def test_counting_and_finding_across_strides(run: Runner) -> None:
    run("SETBIT", "large", 5 * MIB * 8, 1)
    run("SETBIT", "large", 3 * MIB * 8 + 3, 1)
    run.evict()
    assert run("BITCOUNT", "large") == 2
    assert run("BITCOUNT", "large", 3 * MIB, 3 * MIB) == 1
    assert run("BITCOUNT", "large", 3 * MIB * 8 + 4, -1, "BIT") == 1
    assert run("BITPOS", "large", 1) == 3 * MIB * 8 + 3
    assert run("BITPOS", "large", 1, 3 * MIB * 8 + 4, -1, "BIT") == 5 * MIB * 8
    assert run("BITOP", "NOT", "ones", "large") == 5 * MIB + 1
    assert run("BITCOUNT", "ones") == (5 * MIB + 1) * 8 - 2
    assert run("BITPOS", "ones", 0) == 3 * MIB * 8 + 3
    assert run("BITOP", "OR", "large", "large", "ones") == 5 * MIB + 1
    assert run("BITPOS", "large", 0) == (5 * MIB + 1) * 8
    assert run("BITPOS", "large", 0, 0, -1) == -1
    run.reopen()
    assert run("BITCOUNT", "large") == (5 * MIB + 1) * 8


def test_what_changes_nothing_touches_nothing(run: Runner) -> None:
    run("SETBIT", "a", 7, 1)
    changes = run.executor.store.changes
    assert run("SETBIT", "a", 7, 1) == 1
    assert run("BITOP", "AND", "missing", "none") == 0
    assert run("BITFIELD", "a", "GET", "u8", 0) == [1]
    assert run.executor.store.changes == changes


def test_bitop_into_one_of_its_sources_drops_the_expiry(run: Runner) -> None:
    run("SET", "a", "abc", "PX", 1000)
    assert run("BITOP", "NOT", "a", "a") == 3
    assert run("GET", "a") == bytes(255 - value for value in b"abc")
    assert run("TTL", "a") == -1


def test_wrong_ranges_are_errors_even_without_the_key(run: Runner) -> None:
    for argv in (["BITCOUNT", "none", "x", 1], ["BITCOUNT", "none", 0, 1, "x"], ["BITPOS", "none", 1, "x"], ["BITCOUNT", "none", 0]):
        assert isinstance(run(*argv), CommandError), argv
    assert run("BITPOS", "none", 0) == 0
    assert run("BITPOS", "none", 1) == -1


NAMES = ["a", "b", "c", "d"]


def random_command(rng: random.Random) -> list[Any]:
    key = rng.choice(NAMES)
    offset: Any = rng.choice([rng.randrange(100), rng.randrange(100), -1, "x", 2**32, 2**63, rng.randrange(70_000 * 8)])
    index = rng.choice([0, 1, 2, 5, -1, -2, -6, 100, -100, "x"])
    other = rng.choice([0, 1, 3, 9, -1, -3, -8, 100, -100])
    # (the oracle, being 7.0, does not look at the unit when the range runs backwards)
    unit = rng.choice([[], [], ["BIT"], ["byte"], ["x"] if other == 9 else []])
    encoding = rng.choice(["u1", "i1", "u8", "i8", "u63", "i64", "i64", "u5", "i13", "u64", "i65", "u0", "x8", "i", "u+1", "i08"])
    field = rng.choice([rng.randrange(60), f"#{rng.randrange(6)}", "#x", -1, rng.randrange(600_000)])
    number = rng.choice([0, 1, -1, 5, 127, 128, -129, 255, 2**63 - 1, -(2**63), rng.randrange(-(2**63), 2**63), "x"])
    operation = rng.choice([["GET", encoding, field], ["SET", encoding, field, number], ["INCRBY", encoding, field, number]])
    overflow = rng.choice([[], ["OVERFLOW", rng.choice(["wrap", "SAT", "FAIL", "x"])]])
    return rng.choice(
        [
            ["SETBIT", key, offset, rng.choice([0, 1, 1, 2, "x"])],
            ["GETBIT", key, offset],
            ["BITCOUNT", key, *rng.choice([[], [index, other, *unit], [index, other, *unit], [index]])],
            ["BITPOS", key, rng.choice([0, 1, 0, 1, 2, "x"]), *rng.choice([[], [index], [index, other, *unit], [index, other, *unit]])],
            ["BITOP", rng.choice(["and", "OR", "XOR", "NOT", "x"]), key, *rng.sample([*NAMES, "none"], rng.randrange(1, 4))],
            ["BITFIELD", key, *overflow, *operation],
            ["BITFIELD", key, *overflow, *operation, *overflow, "INCRBY", "u4", rng.randrange(40), 5, "GET", "u4", 0],
            ["BITFIELD_RO", key, *operation],
            ["GET", key],
            ["SET", key, rng.randbytes(rng.choice([0, 1, 3, 9]))],
            ["STRLEN", key],
        ]
    )


@pytest.mark.parametrize("seed", range(3))
def test_random_commands_answer_as_redis(tmp_path: Path, oracle: Oracle, seed: int) -> None:
    rng = random.Random(seed)
    run = Runner(tmp_path / "store", maxmemory="1mb")
    oracle.run("FLUSHALL")
    for key in NAMES:
        # The oracle, being 7.0, does not look at the other arguments of BITCOUNT and BITPOS when there is no key.
        run("SET", key, key)
        oracle.run("SET", key, key)
    for _ in range(1500):
        argv = random_command(rng)
        expected = oracle.run(*argv)
        assert plain(run(*argv)) == expected, argv
        for key in NAMES:
            if oracle.run("EXISTS", key) == 0:
                assert run("EXISTS", key) == 0
                run("SET", key, "")
                oracle.run("SET", key, "")
        roll = rng.random()
        if roll < 0.03:
            run.evict()
        elif roll < 0.05:
            run.reopen()
        elif roll < 0.1:
            run.checkpoint()
    for key in NAMES:
        assert run("GET", key) == oracle.run("GET", key)
    run.close()


def test_a_field_that_stays_what_it_was_is_no_change(run: Runner) -> None:
    run("SET", "k", "abc")
    before = run.executor.store.changes
    assert run("BITFIELD", "k", "INCRBY", "u1", 0, 10, "SET", "u8", 8, 98, "INCRBY", "i8", 16, 256) == [0, 98, 99]
    assert run.executor.store.changes == before
    run("BITFIELD", "k", "INCRBY", "u8", 100, 0)
    assert (run("STRLEN", "k"), run.executor.store.changes > before) == (14, True)
