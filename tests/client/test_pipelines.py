"""WATCH and its kin; what pipelines answer is compared with Redis in test_same.py."""

from __future__ import annotations

import pytest
import redis

import diskkv


def test_watch_fails_when_another_changes_the_key(r: diskkv.Client) -> None:
    r.set("a", 1)
    with r.pipeline() as pipe:
        pipe.watch("a")
        assert pipe.get("a") == b"1"
        r.set("a", 2)
        pipe.multi()
        pipe.set("a", 3)
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert r.get("a") == b"2"


def test_watch_passes_when_nobody_does(r: diskkv.Client) -> None:
    with r.pipeline() as pipe:
        pipe.watch("a")
        r.set("b", 2)
        pipe.multi()
        assert pipe.set("a", 3).execute() == [True]


def test_transaction_tries_again(r: diskkv.Client) -> None:
    tries = []

    def work(pipe: redis.client.Pipeline) -> None:
        tries.append(pipe.get("a"))
        if len(tries) == 1:
            r.set("a", "other")
        pipe.multi()
        pipe.set("a", "mine")

    assert r.transaction(work, "a") == [True]
    assert tries == [None, b"other"]


def test_a_pipeline_is_one_tick(r: diskkv.Client) -> None:
    log = r._shared.store.log
    before = log.ticks
    r.pipeline(transaction=False).set("a", 1).set("b", 2).incr("a").execute()
    r.pipeline().set("a", 1).set("b", 2).execute()
    assert log.ticks == before + 2


def test_select_moves_the_client_and_its_pipelines(r: diskkv.Client) -> None:
    r.select(2)
    r.set("a", "two")
    assert r.pipeline().get("a").execute() == [b"two"]
    with diskkv.open(r._shared.place, db=2) as other:
        assert other.get("a") == b"two"
    with pytest.raises(redis.ResponseError, match="out of range"):
        diskkv.open(r._shared.place, db=99)


def test_response_callbacks_are_heard(r: diskkv.Client) -> None:
    r.set("a", "x")
    r.set_response_callback("GET", lambda reply: (reply,))
    assert r.get("a") == (b"x",)
