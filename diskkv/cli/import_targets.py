"""Where an import goes to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

import click

from diskkv.app import open_executor
from diskkv.config import Settings
from diskkv.dispatch.session import Session
from diskkv.errors import CommandError, StoreError
from diskkv.rdb.content import Commands, Key, Library
from diskkv.transfer.loading import Loader
from diskkv.transfer.report import Report

Wanted = Callable[[int, bytes], bool]


class Target(Protocol):
    """Something that takes keys, libraries and commands."""

    def key(self, key: Key) -> None: ...

    def library(self, library: Library) -> None: ...

    def commands(self, commands: Commands) -> None: ...

    def finish(self) -> None:
        """All has come: have it on the disk."""

    def close(self) -> None: ...


class Nowhere:
    """--dry-run: everything is read and counted, nothing kept."""

    def __init__(self, report: Report, wanted: Wanted) -> None:
        self._report = report
        self._wanted = wanted

    def key(self, key: Key) -> None:
        for _ in key.content.parts:
            pass
        if self._wanted(key.db, key.name):
            self._report.keys += 1
        else:
            self._report.filtered += 1

    def library(self, library: Library) -> None:
        self._report.libraries += 1

    def commands(self, commands: Commands) -> None:
        self._report.commands += len(commands.batch)

    def finish(self) -> None:
        """Nothing was kept."""

    def close(self) -> None:
        """Nothing was opened."""


class OwnStore:
    """A store's directory, opened by this process."""

    def __init__(self, path: str, report: Report, wanted: Wanted, *, maxmemory: str, databases: str) -> None:
        self._report = report
        try:
            self._executor = open_executor(path, Settings(maxmemory=maxmemory, databases=databases))
        except (StoreError, OSError) as error:
            raise click.ClickException(f"can't open the store in {path}: {error}") from None
        self._store = self._executor.store
        self._loader = Loader(self._store, report, wanted)
        self._session: Session = self._executor.open_session()
        self._dirty = 0

    def key(self, key: Key) -> None:
        self._loader.take(key)

    def library(self, library: Library) -> None:
        reply = self._execute([b"FUNCTION", b"LOAD", b"REPLACE", library.code])
        if isinstance(reply, CommandError):
            first = library.code.partition(b"\n")[0][:80]
            self._report.leave_out(f"the function library {first!r}: {reply}")
        else:
            self._report.libraries += 1

    def _execute(self, argv: list[bytes]) -> object:
        with self._store.lock:
            self._executor.begin()
            reply = self._executor.execute(self._session, argv)
            self._store.commit()
        return reply

    def commands(self, commands: Commands) -> None:
        """Execute as a server does that loads its own file: what has expired meanwhile is there until the file says otherwise."""
        store, executor, session = self._store, self._executor, self._session
        with store.lock:
            executor.begin()
            store.replaying = True
            try:
                for argv in commands.batch:
                    try:
                        executor.replay(session, argv)
                    except CommandError as error:
                        self._report.leave_out(f"a command {b' '.join(argv[:2])[:80]!r}: {error}")
                    self._report.commands += 1
            finally:
                store.replaying = False
            self._loader.grown(sum(sum(map(len, argv)) for argv in commands.batch))

    def finish(self) -> None:
        self._loader.finish()

    def close(self) -> None:
        with contextlib.suppress(StoreError):
            self._store.close()
