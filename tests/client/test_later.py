"""Commands that Redis 7.0, which the other tests of the client compare with, does not know: results by redis-py's documentation."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import redis

import diskkv

pytestmark = pytest.mark.filterwarnings("ignore:Call to:UserWarning")  # redis-py calls these arguments experimental
needs = pytest.mark.skipif(not hasattr(redis.Redis, "increx"), reason="this redis-py is older than the commands")


def text(value: str, decode: bool) -> Any:
    return value if decode else value.encode()


@needs
@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("protocol", [2, 3])
def test_sync(path: str, protocol: int, decode: bool) -> None:
    with diskkv.open(path, protocol=protocol, decode_responses=decode) as opened:
        r: Any = opened
        assert r.set("k", "Hello world") is True
        assert r.digest("k") == text("b6acb9d84a38ff74", decode)
        assert r.set("k", "x", ifeq="other") is None
        assert r.set("k", "x", ifdeq="b6acb9d84a38ff74") is True
        assert r.set("k", "y", ifne="z", get=True) == text("x", decode)
        assert r.delex("k", ifeq="x") == 0
        assert r.delex("k", ifne="x") == 1
        assert r.msetex({"a": "1", "b": "2"}, ex=100) == 1
        assert r.mget("a", "b") == [text("1", decode), text("2", decode)]
        assert r.execute_command("INCREX", "a", "BYINT", 5) == [6, 5]
        assert [float(part) for part in r.execute_command("INCREX", "a", "BYFLOAT", 0.5)] == [6.5, 0.5]
        r.sadd("s", "a", "b")
        r.sadd("t", "b", "c")
        assert r.execute_command("SUNIONCARD", 2, "s", "t") == 3
        assert r.execute_command("SDIFFCARD", 2, "s", "t") == 1
        r.rpush("l", 1, 2, 3)
        moved = r.execute_command("LMOVEM", "l", "m", "LEFT", "LEFT", "COUNT", 2, "OBO")
        assert moved == [text("2", decode), text("1", decode)]
        assert r.execute_command("BLMOVEM", "l", "m", "LEFT", "LEFT", 0.01, "EXACTLY", 2, "OBO") is None
        r.set("x", b"\x0f")
        r.set("y", b"\x33")
        assert r.bitop("DIFF", "d", "x", "y") == 1


@needs
def test_asyncio(path: str) -> None:
    async def main() -> None:
        async with diskkv.open_async(path) as opened:
            r: Any = opened
            await r.set("k", "v")
            assert await r.set("k", "w", ifeq="v") is True
            assert await r.digest("k") is not None
            waiting = asyncio.create_task(r.execute_command("BLMOVEM", "l", "m", "LEFT", "RIGHT", 0, "EXACTLY", 2, "BULK"))
            await asyncio.sleep(0)
            await r.rpush("l", 1)
            await r.rpush("l", 2)
            assert await waiting == [b"1", b"2"]
            assert await r.delex("k", ifeq="w") == 1

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(redis.Redis, "xnack"), reason="this redis-py is older than the commands")
@pytest.mark.parametrize("protocol", [2, 3])
def test_streams_and_hot_keys(path: str, protocol: int) -> None:
    with diskkv.open(path, protocol=protocol, decode_responses=True) as opened:
        r: Any = opened
        r.hotkeys_start(metrics=[SimpleNamespace(value="NET")])
        first = r.xadd("x", {"f": "v"}, idmp=("producer", "message"))
        assert r.xadd("x", {"f": "v"}, idmp=("producer", "message")) == first
        second = r.xadd("x", {"f": "v"}, idmpauto="producer")
        assert r.xcfgset("x", idmp_duration=200) in (True, "OK")
        assert r.xinfo_stream("x")["iids-duplicates"] == 1
        r.xgroup_create("x", "g", id="0")
        r.xreadgroup("g", "ann", {"x": ">"})
        assert r.xnack("x", "g", "FAIL", first) == 1
        assert [entry["message_id"] for entry in r.xpending_range("x", "g", "-", "+", 9, consumername="ann")] == [second]
        assert r.execute_command("XREAD", "MAXCOUNT", 1, "STREAMS", "x", "0") is not None
        r.hotkeys_stop()
        assert r.hotkeys_get() is not None
        r.hotkeys_reset()


@pytest.mark.skipif(not hasattr(redis.Redis, "arset"), reason="this redis-py is older than the commands")
@pytest.mark.parametrize("protocol", [2, 3])
def test_arrays(path: str, protocol: int) -> None:
    with diskkv.open(path, protocol=protocol, decode_responses=True) as opened:
        r: Any = opened
        assert r.arset("a", 5, "x", "2.5") == 2
        assert r.armset("a", {9: "1", 0: "zero"}) == 2
        assert (r.arcount("a"), r.arlen("a")) == (4, 10)
        assert r.arget("a", 5) == "x"
        assert r.armget("a", 5, 6, 7) == ["x", "2.5", None]
        assert r.argetrange("a", 7, 5) == [None, "2.5", "x"]
        assert r.arscan("a", 0, 9, limit=2) == [[0, "zero"], [5, "x"]]
        matching = [(SimpleNamespace(value="RE"), "^[0-9.]+$")]
        assert r.argrep("a", 0, 9, matching, withvalues=True) == [[6, "2.5"], [9, "1"]]
        assert r.arop("a", 0, 9, SimpleNamespace(value="SUM")) == "3.5"
        assert r.arinsert("a", "i") == 0
        assert r.arnext("a") == 1
        assert r.arseek("a", 3) == 1
        assert r.arring("b", 2, "1", "2", "3") == 0
        assert r.arlastitems("b", 2) == ["2", "3"]
        assert r.arinfo("a")["count"] == 4
        assert r.ardel("a", 9) == 1
        assert r.ardelrange("a", (0, 5), (6, 7)) == 3
        assert not r.exists("a")
