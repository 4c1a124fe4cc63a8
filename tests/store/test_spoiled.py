"""A command with a bug in it, that fails after it has changed something, leaves nothing of what it did."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import TABLE
from diskkv.errors import Undone
from diskkv.types.strings import String
from tests.support.runner import Runner


def spoil(ctx: Session, key: bytes, data: bytes) -> Any:
    ctx.db.open(key, String).append(data)
    raise ZeroDivisionError


def test_a_half_done_command_is_undone(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    run("SET", "a", "1")
    monkeypatch.setitem(TABLE, b"SPOIL", dataclasses.replace(TABLE[b"APPEND"], name="spoil", handler=spoil))
    with pytest.raises(Undone):
        run("SPOIL", "a", "2")
    assert run("GET", "a") == b"1"
    run("SET", "b", "2")
    run.reopen()
    assert run("MGET", "a", "b") == [b"1", b"2"]
