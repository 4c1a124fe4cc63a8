"""Every call has redis-py's result, in value and in type: compared with redis-py on a real Redis, in both protocols."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest
import redis

import diskkv
from tests.client.same import TABLES, Call
from tests.support.oracle import Oracle


def outcome(run: Call, r: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # redis-py's, of methods with newer names
            return shape(run(r))
    except Exception as error:
        return failure(error)


async def async_outcome(run: Call, r: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return shape(await run(r))
    except Exception as error:
        return failure(error)


def failure(error: Exception) -> Any:
    # What DataError says depends on whether redis-py packs with hiredis.
    return type(error), () if isinstance(error, redis.DataError) else error.args


def pool_of(oracle: Oracle, protocol: int, decode: bool) -> redis.ConnectionPool:
    options: dict[str, Any] = {}
    try:
        from redis.maint_notifications import MaintNotificationsConfig

        # redis-py 7.1 fails on a unix socket in RESP3 unless it is told not to expect word of a cluster's maintenance.
        options["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    except ImportError:
        pass
    unix = redis.UnixDomainSocketConnection
    return redis.ConnectionPool(connection_class=unix, path=oracle.path, protocol=protocol, decode_responses=decode, **options)


def shape(value: Any) -> Any:
    """A value with the types of all its parts."""
    if isinstance(value, Exception):
        return type(value), value.args
    if isinstance(value, (list, tuple)):
        return type(value), [shape(item) for item in value]
    if isinstance(value, dict):
        return dict, {key: shape(item) for key, item in value.items()}
    return type(value), value


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("table", TABLES)
def test_sync(path: str, oracle: Oracle, table: str, protocol: int, decode: bool) -> None:
    with (
        redis.Redis.from_pool(pool_of(oracle, protocol, decode)) as theirs,
        diskkv.open(path, protocol=protocol, decode_responses=decode) as ours,
    ):
        theirs.flushall()
        for run in TABLES[table]:
            assert outcome(run, ours) == outcome(run, theirs), run.__name__


@pytest.mark.parametrize(("protocol", "decode"), [(2, True), (3, False)])
@pytest.mark.parametrize("table", sorted(set(TABLES) - {"pipelines"}))
def test_asyncio(path: str, oracle: Oracle, table: str, protocol: int, decode: bool) -> None:
    async def main() -> None:
        theirs = redis.asyncio.Redis(unix_socket_path=oracle.path, protocol=protocol, decode_responses=decode)
        async with theirs, diskkv.open_async(path, protocol=protocol, decode_responses=decode) as ours:
            await theirs.flushall()
            for run in TABLES[table]:
                if "__" not in run.__name__:
                    assert await async_outcome(run, ours) == await async_outcome(run, theirs), run.__name__

    asyncio.run(main())
