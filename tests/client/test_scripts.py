"""Scripts in process: redis-py's own helpers, and what other threads see of a script that takes long."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from redis.exceptions import ResponseError

import diskkv

ENDLESS = "while true do end"
COUNT = "return {redis.call('incrby', KEYS[1], ARGV[1]), 'x', {1, {'y'}}}"


def answer(call: Any, *words: Any) -> Any:
    try:
        return call(*words)
    except ResponseError as error:
        return error


def test_scripts_locks_and_functions(r: diskkv.Client) -> None:
    script = r.register_script(COUNT)
    assert script(keys=["n"], args=[5]) == [5, b"x", [1, [b"y"]]]
    pipeline = r.pipeline()
    script(keys=["n"], args=[1], client=pipeline)
    pipeline.get("n")
    assert pipeline.execute() == [[6, b"x", [1, [b"y"]]], b"6"]
    with r.lock("lock", timeout=10) as lock:
        assert lock.owned() and lock.extend(3) and lock.reacquire()
    r.function_load("#!lua name=mine\nredis.register_function('f', function(keys, args) return args end)")
    assert r.fcall("f", 0, "a") == [b"a"]
    with pytest.raises(ResponseError, match="nonexistent global variable 'nosuch'"):
        r.eval("return nosuch", 0)


def test_other_threads_get_busy(r: diskkv.Client) -> None:
    r.set("k", "v")
    r.config_set("busy-reply-threshold", 5)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(answer(r.eval, ENDLESS, 0)))
    thread.start()
    while not isinstance(answer(r.ping), ResponseError):
        pass
    for call, *words in ((r.get, "k"), (r.set, "k", 1), (r.exists, "k"), (r.mget, "k"), (r.incr, "n"), (r.hget, "h", "f")):
        assert "BUSY" in repr(answer(call, *words)) or "busy" in str(answer(call, *words))
    assert r.script_kill()
    thread.join()
    assert "killed by user" in str(found[0])
    assert r.get("k") == b"v"


def test_one_that_ends_by_itself(r: diskkv.Client) -> None:
    r.config_set("busy-reply-threshold", 1)
    assert r.eval("for i = 1, 5000 do redis.call('incr', 'n') end return redis.call('get', 'n')", 0) == b"5000"
    assert r.get("n") == b"5000"


def test_tasks_go_on_beside_a_script(path: str) -> None:
    async def main() -> None:
        async with diskkv.open_async(path) as r:
            await r.config_set("busy-reply-threshold", 5)
            assert (await r.register_script(COUNT)(keys=["n"], args=[5]))[0] == 5
            async with r.lock("lock", timeout=10) as lock:
                assert await lock.owned()
            running = asyncio.ensure_future(r.eval(ENDLESS, 0))
            await asyncio.sleep(0)
            assert await r.script_kill()
            with pytest.raises(ResponseError, match="killed by user"):
                await running
            cancelled = asyncio.ensure_future(r.eval(ENDLESS, 0))
            await asyncio.sleep(0)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert await r.eval("return 5", 0) == 5

    asyncio.run(main())


def test_a_store_that_closes_undoes_half_a_script(path: str) -> None:
    with diskkv.open(path) as r:
        r.config_set("busy-reply-threshold", 5)
        script = "redis.call('set', 'half', 1) while true do end"
        thread = threading.Thread(target=lambda: answer_anything(r, script))
        thread.start()
        while not isinstance(answer(r.ping), ResponseError):
            pass
    thread.join()
    with diskkv.open(path) as r:
        assert r.get("half") is None


def answer_anything(r: diskkv.Client, script: str) -> None:
    with pytest.raises(Exception):  # noqa: B017  the store closes under it, at whatever moment
        r.eval(script, 0)
