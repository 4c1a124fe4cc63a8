"""Fields that expire, through redis-py's own methods in process."""

from __future__ import annotations

import diskkv


def test_the_methods_and_the_short_way_of_hget() -> None:
    with diskkv.open(":memory:", decode_responses=True) as db:
        db.hset("h", mapping={"a": "1", "b": "2", "c": "3"})
        assert db.hpexpire("h", 5000, "a", "none") == [1, -2]
        assert db.httl("h", "a", "b") == [5, -1]
        assert db.hsetex("h", mapping={"d": "4"}, px=5000) == 1
        assert db.hgetex("h", "b", px=5000) == ["2"]
        assert db.hgetdel("h", "c", "c") == ["3", None]
        assert db.hpersist("h", "d") == [1]
        assert db.hget("h", "a") == "1"
        assert db.hscan("h", no_values=True) == (0, ["a", "b", "d"])
        store = db._caller.executor.store
        later = store.clock() + 5000
        store.clock = lambda: later
        assert db.hget("h", "a") is None
        assert db.hget("h", "d") == "4"
        assert db.hlen("h") == 1
