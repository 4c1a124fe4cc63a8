"""Where an import goes to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

import click

from diskkv.app import open_executor
from diskkv.cli.address import Address
from diskkv.clock import system_clock
from diskkv.config import Settings
from diskkv.dispatch.session import Session
from diskkv.errors import CommandError, DiskkvError, StoreError
from diskkv.format import STRING
from diskkv.rdb.commands import commands_of, encode_command
from diskkv.rdb.content import Commands, Key, Library
from diskkv.rdb.payload import write_payload
from diskkv.transfer.loading import Loader
from diskkv.transfer.report import Report

# From so many elements or bytes on a key goes in pieces.
LARGE = 5000
LARGE_STRING = 16 << 20
# What an argument of a command takes in memory besides its bytes, once it is part of a value.
WORD_BYTES = 150
# How much is sent before the replies are read.
SEND_BYTES = 1 << 20
SEND_COMMANDS = 500

Wanted = Callable[[int, bytes], bool]


class Target(Protocol):
    """Something that takes keys, libraries and commands."""

    def empty(self) -> bool:
        """Whether nothing is there."""

    def flush(self) -> None:
        """Delete all that is there."""

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

    def empty(self) -> bool:
        return True

    def flush(self) -> None:
        """Nothing is there."""

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


class Remote:
    """A server that is running. What it refuses is noted, and the rest goes on."""

    def __init__(self, address: Address, report: Report, wanted: Wanted) -> None:
        try:
            self._link = address.connect()
        except (OSError, DiskkvError) as error:
            raise click.ClickException(f"can't reach {address.host}:{address.port}: {error}") from None
        self._report = report
        self._wanted = wanted
        self._db = 0
        self._waiting: list[bytes] = []
        self._names: list[str] = []
        self._size = 0

    def empty(self) -> bool:
        text: bytes = self._link.ask(b"INFO", b"keyspace")
        return b"keys=" not in text

    def flush(self) -> None:
        self._link.ask(b"FLUSHALL")
        # Before Redis 7.0 there are no functions.
        with contextlib.suppress(CommandError):
            self._link.ask(b"FUNCTION", b"FLUSH")

    def key(self, key: Key) -> None:
        content = key.content
        if not self._wanted(key.db, key.name):
            for _ in content.parts:
                pass
            self._report.filtered += 1
            return
        if key.expire is not None and key.expire <= system_clock():
            for _ in content.parts:
                pass
            self._report.expired += 1
            return
        if key.db != self._db:
            self._send(f"database {key.db}", [b"SELECT", b"%d" % key.db])
            self._db = key.db
        name = f"the key {key.name!r} of database {key.db}"
        content.sound(LARGE)
        if content.count is None or content.count > (LARGE_STRING if content.tag == STRING else LARGE):
            # In pieces, because neither side should have it whole in memory; it is incomplete for a while.
            self._send(name, [b"DEL", key.name])
            for command in commands_of(key):
                self._send(name, command)
        else:
            payload = write_payload(content)
            command = [b"RESTORE", key.name, b"%d" % (key.expire or 0), payload, b"REPLACE", b"ABSTTL"]
            if key.idle is not None:
                command += [b"IDLETIME", b"%d" % key.idle]
            self._send(name, command)
        self._report.keys += 1

    def library(self, library: Library) -> None:
        self._send("a function library", [b"FUNCTION", b"LOAD", b"REPLACE", library.code])
        self._report.libraries += 1

    def commands(self, commands: Commands) -> None:
        for argv in commands.batch:
            self._send(f"a command {b' '.join(argv[:2])[:80]!r}", argv)
        self._report.commands += len(commands.batch)

    def _send(self, name: str, argv: list[bytes]) -> None:
        data = encode_command(argv)
        self._waiting.append(data)
        self._names.append(name)
        self._size += len(data)
        if self._size >= SEND_BYTES or len(self._waiting) >= SEND_COMMANDS:
            self.finish()

    def finish(self) -> None:
        self._link.send(b"".join(self._waiting))
        self._waiting, self._size = [], 0
        refused = ""
        for name in self._names:
            reply = self._link.reply()
            if isinstance(reply, CommandError) and name != refused:
                # Once, however many commands a key takes.
                refused = name
                self._report.leave_out(f"{name}: {reply}")
        self._names = []

    def close(self) -> None:
        self._link.close()


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

    def empty(self) -> bool:
        return not any(db.count for db in self._store.databases) and not self._execute([b"FUNCTION", b"LIST"])

    def flush(self) -> None:
        self._execute([b"FLUSHALL"])
        self._execute([b"FUNCTION", b"FLUSH"])

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
            self._loader.grown(sum(WORD_BYTES * len(argv) + sum(map(len, argv)) for argv in commands.batch))

    def finish(self) -> None:
        self._loader.finish()

    def close(self) -> None:
        with contextlib.suppress(StoreError):
            self._store.close()
