"""Content that goes into a store past the log."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from diskkv.format import STRING
from diskkv.rdb.content import Content, Key
from diskkv.store.store import Store
from diskkv.transfer.loading import Loader
from diskkv.transfer.report import Report
from tests.support.runner import Runner


class Dead:
    """Something dead; while the keeper frees it, the writer's thread finds that it is time for a checkpoint of its own."""

    def __init__(self, store: Store, begun: threading.Event) -> None:
        self._store = store
        self._begun = begun

    def shed(self, count: int) -> bool:
        with self._store.lock:
            self._store.writer.freeze()
            self._begun.set()
        return True


def test_a_checkpoint_that_begins_meanwhile_is_not_replaced(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    store = run.executor.store
    writer = store.writer
    begun, awaited = threading.Event(), threading.Event()
    write, finish = store.engine.write, writer.finish

    def write_late(batch: Any) -> None:
        # Until somebody waits for it, the checkpoint lasts.
        assert awaited.wait(60)
        write(batch)

    def finish_then() -> None:
        if begun.is_set():
            awaited.set()
        finish()

    loader = Loader(store, Report())
    for number in range(100):
        loader.take(Key(0, b"%d" % number, Content(STRING, 1, iter([b"x"]))))
    monkeypatch.setattr(store.engine, "write", write_late)
    monkeypatch.setattr(writer, "finish", finish_then)
    dead: Any = Dead(store, begun)
    with store.lock:
        store.graves.add(dead)
        loader.flush()
    loader.finish()
    monkeypatch.undo()
    run.reopen()
    assert run("EXISTS", *map(str, range(100))) == run("DBSIZE") == 100
