"""HyperLogLogs without Redis at hand: both forms agree, estimates are good, and what is spoiled is noticed. See also tests/commands."""

from __future__ import annotations

import random

import pytest

from diskkv.lib import hyperloglog as hll


def made(count: int, limit: int) -> bytes:
    data = hll.EMPTY
    for first in range(0, count, 50):
        data = hll.add(data, [b"element %d" % number for number in range(first, min(first + 50, count))], limit) or data
    return data


@pytest.mark.parametrize("count", [1, 10, 300, 2000])
def test_both_forms_agree(count: int) -> None:
    sparse, dense = made(count, hll.UNLIMITED), made(count, 0)
    assert (hll.is_dense(sparse), hll.is_dense(dense)) == (False, True)
    assert hll.registers(sparse) == hll.registers(dense) == hll.registers(hll.to_dense(sparse))
    assert hll.count(sparse) == hll.count(dense) == hll.count_registers(hll.registers(sparse))
    assert abs(hll.count(dense) - count) <= max(1, count * 0.05)
    assert hll.to_dense(sparse) == dense


def test_a_union_takes_the_greater_registers() -> None:
    rng = random.Random(1)
    one, other = (bytes(rng.randrange(64) for _ in range(hll.REGISTERS)) for _ in range(2))
    assert hll.union(one, other) == bytes(map(max, one, other))


def test_any_registers_survive_being_packed() -> None:
    rng = random.Random(2)
    values = bytes(rng.randrange(64) for _ in range(hll.REGISTERS))
    packed = hll.merge(hll.EMPTY, values, 0, dense=True)
    assert len(packed) == hll.DENSE_SIZE
    assert hll.registers(packed) == values


def test_adding_again_changes_nothing() -> None:
    for limit in (0, 3000):
        data = made(100, limit)
        assert hll.add(data, [b"element %d" % number for number in range(100)], limit) is None


def test_the_cached_count() -> None:
    data = made(100, 3000)
    assert hll.cached(data) is None
    noted = hll.with_cached(data, hll.count(data))
    assert hll.cached(noted) == hll.count(data)
    assert hll.cached(hll.add(noted, [b"another"], 3000) or b"") is None


@pytest.mark.parametrize("body", [b"", b"\x7f\xfe", b"\x7f\xff\x00", b"\x7f", b"\x80\x7f\xff"])
def test_a_sparse_one_covers_all_registers(body: bytes) -> None:
    spoiled = hll.EMPTY[: hll.HEADER] + body
    assert hll.is_valid(spoiled)
    for function in (hll.registers, hll.count, hll.to_dense):
        with pytest.raises(hll.Corrupted):
            function(spoiled)


def test_what_is_none() -> None:
    for data in (b"", b"HYLL", b"HYLX" + bytes(20), hll.EMPTY[:4] + b"\x02" + hll.EMPTY[5:], hll.to_dense(hll.EMPTY) + b"\x00"):
        assert not hll.is_valid(data)


@pytest.mark.parametrize("limit", [0, 200, 3000, hll.UNLIMITED])
def test_many_at_once_are_as_one_by_one(limit: int) -> None:
    rng = random.Random(limit)
    together = single = hll.EMPTY
    for count in (33, 400, 1, 900, 2500):
        elements = [b"%d" % rng.randrange(5000) for _ in range(count)]
        together = hll.add(together, elements, limit) or together
        for element in elements:
            single = hll.add(single, [element], limit) or single
        assert together == single


def test_many_are_added_as_far_as_a_spoiled_one_goes() -> None:
    # It covers the first 64 registers alone: some elements' can be raised, others' can't be found.
    spoiled = hll.EMPTY[: hll.HEADER] + b"\x3f"
    with pytest.raises(hll.Corrupted):
        hll.add(spoiled, [b"%d" % number for number in range(100)], 3000)
