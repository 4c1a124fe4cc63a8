"""One client, many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

import diskkv

LIMIT = 20


def until_blocked(r: diskkv.Client, count: int = 1) -> None:
    """Return once so many commands wait."""
    waiters = r._shared.executor.waiters
    pause = threading.Event()
    while waiters.count < count:
        pause.wait(0.001)


def test_increments_are_not_lost(r: diskkv.Client) -> None:
    def work(_: int) -> None:
        for _ in range(300):
            r.incr("n")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert r.get("n") == b"2400"


@pytest.mark.parametrize("transaction", [True, False])
def test_nobody_sees_half_a_pipeline(r: diskkv.Client, transaction: bool) -> None:
    r.mset({"a": 0, "b": 0})
    done = threading.Event()

    def write() -> None:
        for number in range(300):
            pipe = r.pipeline(transaction=transaction)
            pipe.set("a", number).set("b", number).execute()
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        a, b = r.mget("a", "b")
        assert a == b
        first, second = r.get("a"), r.get("b")
        assert first is not None and second is not None and int(first) <= int(second)
    writer.join(LIMIT)


def test_a_blocked_pop_is_served_by_another_thread(r: diskkv.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        popped = pool.submit(r.blpop, ["x", "q"], timeout=LIMIT)
        until_blocked(r)
        assert r.get("free") is None
        r.pipeline().set("a", 1).rpush("q", "one", "two").execute()
        assert popped.result(LIMIT) == (b"q", b"one")
    assert r.lrange("q", 0, -1) == [b"two"]


def test_blocked_clients_are_served_in_order(r: diskkv.Client) -> None:
    with ThreadPoolExecutor(3) as pool:
        popped = []
        for count in range(3):
            popped.append(pool.submit(r.blpop, "q", timeout=LIMIT))
            until_blocked(r, count + 1)
        r.rpush("q", 1, 2, 3)
        assert [future.result(LIMIT) for future in popped] == [(b"q", b"1"), (b"q", b"2"), (b"q", b"3")]


def test_client_unblock(r: diskkv.Client) -> None:
    with ThreadPoolExecutor(2) as pool:
        popped = pool.submit(r.blpop, "q", timeout=LIMIT)
        until_blocked(r)
        (blocked,) = (int(client["id"]) for client in r.client_list() if "b" in client["flags"])
        assert r.client_unblock(blocked)
        assert popped.result(LIMIT) is None
        popped = pool.submit(r.blpop, "q", timeout=LIMIT)
        until_blocked(r)
        assert r.client_unblock(blocked, error=True)
        with pytest.raises(redis.ResponseError, match="UNBLOCKED"):
            popped.result(LIMIT)


def test_a_killed_client_goes_on(r: diskkv.Client) -> None:
    first = r.client_id()
    with diskkv.open(r._shared.place) as other:
        assert other.client_kill_filter(_id=str(first)) == 1
    assert r.set("a", 1) and r.get("a") == b"1"
    assert r.client_id() != first


@pytest.mark.parametrize(
    "wait",
    [
        lambda r: r.blpop("q", timeout=0),
        lambda r: r.pipeline().set("a", 1).execute() and r.client().blpop("q", timeout=0),
    ],
)
def test_closing_wakes_who_waits(path: str, wait: Callable[[diskkv.Client], Any]) -> None:
    r = diskkv.open(path)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, r)
        until_blocked(r)
        r.close()
        with pytest.raises(redis.ConnectionError):
            waiting.result(LIMIT)
    for call in (lambda: r.get("a"), lambda: r.set("a", 1), lambda: r.incr("a"), lambda: r.ping(), lambda: r.pipeline().get("a").execute()):
        with pytest.raises(redis.ConnectionError):
            call()


def test_closing_under_work(path: str) -> None:
    r = diskkv.open(path)
    begun = threading.Barrier(5)

    def work(_: int) -> int:
        begun.wait()
        for count in range(10**9):
            try:
                r.set("a", count)
                r.get("a")
                r.pipeline().incr("n").execute()
            except redis.ConnectionError:
                return count
        return -1

    with ThreadPoolExecutor(4) as pool:
        counts = pool.map(work, range(4))
        begun.wait()
        r.close()
        assert all(count >= 0 for count in counts)
    with diskkv.open(path) as again:
        assert again.ping()


def test_state_is_refused_where_threads_share_it(r: diskkv.Client) -> None:
    for words in (("MULTI",), ("WATCH", "a"), ("SUBSCRIBE", "c")):
        with pytest.raises(redis.RedisError, match="session of its own"):
            r.execute_command(*words)
        assert r.set("a", 1) is True
    own = r.client()
    assert own.execute_command("MULTI") == b"OK"
    assert own.execute_command("INCRBY", "a", 1) == b"QUEUED"
    assert r.get("a") == b"1"
    assert own.execute_command("EXEC") == [2]
    own.close()
    assert r.get("a") == b"2"


@pytest.mark.parametrize("how", ["command", "pipeline"])
def test_whoever_kept_others_waiting_for_long_lets_them_have_their_turn(
    r: diskkv.Client, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    r.set("a", "1")
    seen: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        # Only who does not hold the lock can be waited for.
        monkeypatch.setattr("diskkv.client.caller.sleep", lambda _: seen.append(pool.submit(r.get, "a").result(LIMIT)))
        if how == "command":
            r.eval("for i = 1, 20000 do redis.call('PING') end", 0)
        else:
            pipe = r.pipeline()
            for number in range(2000):
                pipe.set("b", number)
            pipe.execute()
    assert seen == [b"1"]
