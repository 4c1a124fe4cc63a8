"""The table of resident values: a dict to whoever uses it."""

import random
from typing import Any

import pytest

from diskkv.store.residents import SHARDS, SHIFT, Residents


def test_it_does_what_a_dict_does() -> None:
    rng = random.Random(7)
    table: Any = Residents()
    model: dict[bytes, Any] = {}
    assert not table
    for step in range(5000):
        key = b"%d" % rng.randrange(300)
        match rng.randrange(4):
            case 0 | 1:
                table[key] = model[key] = step
            case 2 if key in model:
                del table[key], model[key]
            case _:
                assert table.get(key) == model.get(key)
                assert table.shards[hash(key) >> SHIFT].get(key) == model.get(key)
        assert (key in table) == (key in model)
        assert len(table) == len(model)
    assert dict(table.items()) == model
    assert sorted(table) == sorted(model)
    assert sorted(table.values()) == sorted(model.values())
    while model:
        key, value = table.popitem()
        assert model.pop(key) == value
    assert not table
    with pytest.raises(KeyError):
        table.popitem()
    with pytest.raises(KeyError):
        table[b"key"]
    with pytest.raises(KeyError):
        del table[b"key"]


def test_keys_are_spread_evenly() -> None:
    table: Any = Residents()
    for number in range(64_000):
        table[b"key:%d" % number] = number
    sizes = list(map(len, table.shards))
    assert len(sizes) == SHARDS
    assert min(sizes) > 700
    assert max(sizes) < 1300
