"""The composition root: settings -> engine -> store -> table -> executor. The only module that knows all of them."""

from __future__ import annotations

from collections.abc import Callable

import diskkv.types  # noqa: F401  registers the data types
from diskkv import commands
from diskkv.clock import Clock, system_clock
from diskkv.config import LEAST_BUDGET, Settings, budget
from diskkv.dispatch.delays import watch_delays
from diskkv.dispatch.executor import Executor
from diskkv.dispatch.renames import rename
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ROWS
from diskkv.engine import Engine
from diskkv.errors import Damaged, SettingError, StoreError
from diskkv.resp.parse import RequestParser
from diskkv.scripting.scripts import Scripts
from diskkv.store.archive import claim
from diskkv.store.backlog import LEAST_WORK, LOG_BYTES, LOG_WORK
from diskkv.store.log import Disk, split_stamp
from diskkv.store.shapes import SHAPING
from diskkv.store.sizes import Sizes
from diskkv.store.store import ReplayAgain, Store


def open_executor(
    path: str,
    settings: Settings | None = None,
    *,
    clock: Clock = system_clock,
    engine: Callable[[Engine], Engine] | None = None,
    disk: Disk | None = None,
) -> Executor:
    """Open a store (a directory, or `:memory:`) and return what executes commands on it. Close it with `executor.store.close()`.

    StoreLocked when another process has it, BadFormat or Damaged when it can't be read, SettingError when the users are given wrongly.
    """
    settings = settings if settings is not None else Settings()
    commands.load()
    store = Store.open(
        path,
        apply=Replay(settings),
        budget=budget(settings["maxmemory"]),
        policy=settings["appendfsync"],
        databases=settings["databases"],
        clock=clock,
        engine=engine,
        disk=disk,
    )
    executor = new_executor(store, settings)
    # A SWAPDB may have been undone, or done again.
    store.on_undone = executor.reselect

    def changed(name: str) -> None:
        if name == "maxmemory":
            sizes = Sizes.of(budget(settings["maxmemory"]))
            store.cache.budget = sizes.cache
            store.backlog.limit(dirty_bytes=sizes.dirty)
            executor.quota.no_memory = 0 < settings["maxmemory"] < LEAST_BUDGET
        elif name == "max-disk-size":
            executor.quota.set_limit(settings["max-disk-size"])
        elif name == "appendfsync":
            store.log.policy = settings["appendfsync"]
        elif name == "checkpoint-log-size":
            size = settings["checkpoint-log-size"]
            store.backlog.limit(log_bytes=size, log_work=max(LEAST_WORK, LOG_WORK * size // LOG_BYTES))
        elif name in ("slowlog-log-slower-than", "latency-monitor-threshold"):
            executor.stats.set_limits(settings["slowlog-log-slower-than"], settings["latency-monitor-threshold"])
            watch_delays(store, executor.stats.latencies)
        elif name == "latency-tracking":
            executor.stats.track_latency()
        elif name == "archive-dir":
            _archive(store, settings["archive-dir"])
        elif name == "slowlog-max-len":
            executor.stats.limit_slow(settings["slowlog-max-len"])
        elif name == "requirepass":
            executor.users.require(settings["requirepass"])
        elif name == "maxmemory-policy":
            executor.counting = executor.frequencies.on
        elif name in SHAPING:
            setattr(store.shapes, SHAPING[name], settings[name])
        elif name == "notify-keyspace-events":
            executor.observers.notify(settings["notify-keyspace-events"])
        elif name == "tracking-table-max-keys":
            executor.observers.tracking.limit()

    try:
        rename(executor, settings.renames)
        executor.keeper.start()
        for name in (
            "maxmemory", "maxmemory-policy", "notify-keyspace-events", "slowlog-log-slower-than", "slowlog-max-len",
            "checkpoint-log-size", "archive-dir", "max-disk-size", *SHAPING,
        ):  # fmt: skip
            changed(name)
    except SettingError:
        store.close()
        raise
    settings.listeners.append(changed)
    store.backups.clean()
    executor.saver.attach()
    executor.checks.attach()
    store.chores.append(executor.peers.sweep)
    store.chores.append(executor.quota.chore)
    store.before_close.append(executor.peers.close)
    return executor


def _archive(store: Store, directory: str) -> None:
    """Have the log's segments go to an archive, or nowhere. SettingError when it can't be had."""
    if directory and store.path is not None:
        try:
            claim(directory, store.log.path)
        except (StoreError, OSError) as error:
            raise SettingError(f"archive-dir: {error}") from None
    store.log.archive = directory


def new_executor(store: Store, settings: Settings) -> Executor:
    """An executor with all that its commands need."""
    executor = Executor(store, settings)
    executor.scripts = Scripts(executor)
    return executor


class Replay:
    """Executes the log's ticks on a store that is being opened."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: Session | None = None
        # Rows of the same command are executed as one (see `dispatch/packets.py`), as long as none has failed.
        self._in_rows = True
        self._replies: list[bytes] = []

    def __call__(self, store: Store, tick: bytes) -> None:
        if self._session is None or self._session.store is not store:
            self._session = Session(new_executor(store, self._settings))
        session = self._session
        # A recovery replaces the store's databases: point at the present ones.
        session.db = store.databases[session.index]
        parser = RequestParser(max_bulk=1 << 40)
        requests = parser.feed(split_stamp(tick)[1])
        while requests:
            self._execute(session, requests)
            requests = parser.feed(b"") if parser.more else []
        if parser.buffered():
            raise Damaged("the log holds something that is not a command")

    def _execute(self, session: Session, requests: list[list[bytes]]) -> None:
        replay = session.executor.replay
        at, last = 0, len(requests) - 1
        while at <= last:
            argv = requests[at]
            if at < last and requests[at + 1][0] == argv[0] and self._in_rows and (done := self._run_row(session, requests, at)) > at:
                at = done
                continue
            replay(session, argv)
            at += 1

    def _run_row(self, session: Session, requests: list[list[bytes]], at: int) -> int:
        """Execute the commands from `at` on as a row; where the first stands that was not. ReplayAgain when that fails halfway."""
        row = ROWS.get(requests[at][0].lower().decode("latin-1"))
        if row is None:
            return at
        store = session.store
        before = store.changes
        try:
            done = row(session, requests, at, self._replies)
        except Exception:
            # One by one it will be seen whose fault it was.
            self._in_rows = False
            if store.changes == before:
                return at
            raise ReplayAgain from None
        finally:
            session.effects = None
            self._replies.clear()
        store.backlog.commands += done - at
        return done
