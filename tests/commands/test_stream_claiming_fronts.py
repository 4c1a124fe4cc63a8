"""A client that waits with XREADGROUP CLAIM gets what comes to have waited for long enough, though nothing happens to the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import diskkv
from diskkv.app import open_executor
from diskkv.client.loopback import Loopback
from diskkv.config import Settings
from tests.differential import servers
from tests.differential.wire import Connection

MADE = (b"XADD x 1-0 f v", b"XGROUP CREATE x g 0", b"XREADGROUP GROUP g ann STREAMS x >")
# Should nothing wake it, it waits for longer than any test may.
WAITING = b"XREADGROUP GROUP g bob BLOCK 600000 CLAIM 25 STREAMS x >"


def on_a_socket(path: Path) -> Any:
    with servers.diskkv() as server:
        connection = Connection(server.address, patience=60)
        try:
            return [connection.call(*words.split()) for words in (*MADE, WAITING, b"XPENDING x g")][-1]
        finally:
            connection.close()


def in_process(path: Path) -> Any:
    with diskkv.open(str(path)) as db:
        return [db.execute_command(*words.split()) for words in (*MADE, WAITING, b"XPENDING x g")][-1]


def in_process_with_asyncio(path: Path) -> Any:
    async def told() -> Any:
        async with diskkv.open_async(str(path)) as db:
            return [await db.execute_command(*words.split()) for words in (*MADE, WAITING, b"XPENDING x g")][-1]

    return asyncio.run(told())


def in_the_shells_way(path: Path) -> Any:
    executor = open_executor(str(path), Settings())
    try:
        front = Loopback(executor)
        replies = []
        for words in (*MADE, WAITING, b"XPENDING x g"):
            front.send(words + b"\r\n")
            replies.append(front.receive())
        front.close()
        return replies[-1]
    finally:
        executor.store.close()


@pytest.mark.parametrize("front", [on_a_socket, in_process, in_process_with_asyncio, in_the_shells_way])
def test_it_is_served_when_it_is_due(tmp_path: Path, front: Callable[[Path], Any]) -> None:
    assert "bob" in str(front(tmp_path / "store"))
