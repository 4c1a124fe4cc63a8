"""Append-only files are handed on a bounded piece at a time."""

from __future__ import annotations

import pytest

from diskkv.lib.multibulk import encode_command
from diskkv.rdb import aof
from diskkv.rdb.content import Commands
from diskkv.rdb.source import Source


@pytest.mark.parametrize(("size", "count", "most"), [(10, 1000, aof.BATCH), (300_000, 20, 4), (3 * aof.BATCH_BYTES, 3, 1)])
def test_neither_many_commands_nor_many_bytes_come_at_once(size: int, count: int, most: int) -> None:
    commands = [[b"SET", b"key:%d" % number, bytes(size)] for number in range(count)]
    source = Source.of(b"".join(map(encode_command, commands)))
    found: list[list[bytes]] = []
    for piece in aof.read_commands(source, "file"):
        assert isinstance(piece, Commands)
        assert len(piece.batch) <= most
        found += piece.batch
    assert found == commands
