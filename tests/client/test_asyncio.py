"""What the asyncio client has to itself: waiting, cancelling, sharing a store with threads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio

import diskkv


async def until_blocked(r: diskkv.AsyncClient) -> None:
    while not r._shared.executor.waiters.count:
        await asyncio.sleep(0)


def test_blocked_commands_leave_the_loop_free(path: str) -> None:
    async def main() -> None:
        async with diskkv.open_async(path) as r:
            popped = asyncio.create_task(r.blpop("q", timeout=20))
            await until_blocked(r)
            await r.rpush("q", "x")
            assert await popped == (b"q", b"x")
            assert await r.blpop("q", timeout=0.01) is None
            popped = asyncio.create_task(r.blpop("q", timeout=0))
            await until_blocked(r)
            popped.cancel()
            with pytest.raises(asyncio.CancelledError):
                await popped
            assert not r._shared.executor.waiters.count
            await r.rpush("q", "y")
            assert await r.lpop("q") == b"y"

    asyncio.run(main())


def test_served_from_a_thread(path: str) -> None:
    async def main() -> None:
        async with diskkv.open_async(path) as r:
            with diskkv.open(path) as other:
                popped = asyncio.create_task(r.blpop("q", timeout=20))
                await until_blocked(r)
                await asyncio.to_thread(other.rpush, "q", "x")
                assert await popped == (b"q", b"x")

    asyncio.run(main())


def test_pipelines(path: str) -> None:
    async def main() -> None:
        async with diskkv.open_async(path, decode_responses=True) as r:
            async with r.pipeline() as pipe:
                assert await pipe.set("a", 1).incr("a").execute() == [True, 2]
                await pipe.watch("a")
                assert await pipe.get("a") == "2"
                await r.set("a", 3)
                pipe.multi()
                pipe.set("a", 4)
                with pytest.raises(redis.WatchError):
                    await pipe.execute()
            assert [key async for key in r.scan_iter()] == ["a"]
            with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
                await r.lpush("a", 1)

    asyncio.run(main())


@pytest.mark.parametrize("protocol", [2, 3])
def test_pubsub(path: str, protocol: int) -> None:
    async def main() -> None:
        async with diskkv.open_async(path, protocol=protocol) as r, r.pubsub() as heard:
            await heard.subscribe("a")
            assert (await heard.get_message(timeout=20))["type"] == "subscribe"
            assert await heard.get_message() is None
            await r.publish("a", "hi")
            assert (await heard.get_message())["data"] == b"hi"
            following: Any = asyncio.create_task(anext(heard.listen()))
            await asyncio.sleep(0)
            await r.publish("a", "ho")
            assert (await following)["data"] == b"ho"

    asyncio.run(main())


def test_closing_wakes_who_waits(path: str) -> None:
    async def main() -> None:
        r = await diskkv.open_async(path)
        popped = asyncio.create_task(r.blpop("q", timeout=0))
        await until_blocked(r)
        await r.aclose()
        with pytest.raises(redis.ConnectionError):
            await popped
        with pytest.raises(redis.ConnectionError):
            await r.get("a")

    asyncio.run(main())
