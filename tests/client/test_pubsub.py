"""Published messages, in both protocols, by polling, listening and in a thread."""

from __future__ import annotations

import queue
from typing import Any

import pytest

import diskkv

LIMIT = 20


@pytest.fixture(params=[2, 3])
def subscriber(path: str, request: pytest.FixtureRequest) -> Any:
    with diskkv.open(path, decode_responses=True, protocol=request.param) as client:
        yield client


def message(kind: str, channel: str, data: Any, pattern: str | None = None) -> dict[str, Any]:
    return {"type": kind, "pattern": pattern, "channel": channel, "data": data}


def test_messages(subscriber: diskkv.Client, r: diskkv.Client) -> None:
    with subscriber.pubsub() as heard:
        heard.subscribe("a", "b")
        heard.psubscribe("a*")
        assert [heard.get_message(timeout=LIMIT) for _ in range(3)] == [
            message("subscribe", "a", 1), message("subscribe", "b", 2), message("psubscribe", "a*", 3) | {"channel": "a*", "pattern": None},
        ]  # fmt: skip
        assert heard.get_message() is None
        assert heard.get_message(timeout=0.01) is None
        assert r.publish("a", "hi") == 2
        assert heard.get_message() == message("message", "a", "hi")
        assert heard.get_message() == message("pmessage", "a", "hi", "a*")
        assert r.pubsub_numsub("a", "b") == [(b"a", 1), (b"b", 1)]
        heard.unsubscribe()
        heard.punsubscribe()
        assert [heard.get_message()["data"] for _ in range(3)] == [2, 1, 0]
    assert r.publish("a", "hi") == 0


def test_listen(subscriber: diskkv.Client, r: diskkv.Client) -> None:
    with subscriber.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe("a")
        for number in range(3):
            r.publish("a", number)
        listening = heard.listen()
        assert [next(listening)["data"] for _ in range(3)] == ["0", "1", "2"]


def test_in_a_thread(subscriber: diskkv.Client, r: diskkv.Client) -> None:
    got: queue.Queue[Any] = queue.Queue()
    heard = subscriber.pubsub()
    heard.subscribe(a=got.put)
    thread = heard.run_in_thread(sleep_time=0.05)
    r.publish("a", "hi")
    assert got.get(timeout=LIMIT)["data"] == "hi"
    thread.stop()
    thread.join(LIMIT)
