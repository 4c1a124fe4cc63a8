"""`diskkv export`: a store's data for Redis, or for anybody."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import click

from diskkv.cli.connecting import require_store
from diskkv.cli.import_ import INCOMPLETE, say
from diskkv.cli.progress import Progress
from diskkv.errors import BadDump, DiskkvError, StoreError
from diskkv.rdb.commands import commands_of, encode_command
from diskkv.rdb.content import Item, Key, Library, Sizes, Skipped
from diskkv.rdb.jsonl import write_key, write_library
from diskkv.rdb.writer import FileWriter
from diskkv.store.directory import sync_directory
from diskkv.transfer.remarks import remarks
from diskkv.transfer.report import Report

# Since which Redis there is a version of RDB.
SINCE = {10: "7.0", 11: "7.2", 12: "7.4", 13: "8.6", 14: "8.8"}
VERSIONS = ", ".join(f"{version} is Redis {since}'s" for version, since in SINCE.items()) + "."


class Output(Protocol):
    """What items are written into."""

    def take(self, item: Item) -> None: ...

    def finish(self) -> None: ...


class RdbOutput:
    """An RDB file."""

    def __init__(self, file: BinaryIO, *, version: int, packing: bool) -> None:
        self._file = file
        self._version = version
        self._db = -1
        self._writer = FileWriter(file.write, version=version, packing=packing)
        self._writer.begin(remarks())

    def take(self, item: Item) -> None:
        if isinstance(item, Sizes):
            self._writer.database(item.db, item.keys, item.expiring)
            self._db = item.db
        elif isinstance(item, Library):
            self._writer.library(item.code)
        elif isinstance(item, Key):
            if item.db != self._db:
                self._writer.database(item.db, 0, 0)
            self._db = item.db
            self._writer.key(item)
            needed = self._writer.version
            if needed > self._version:
                raise BadDump(
                    f"the key {item.name!r} needs version {needed} of the format, which Redis before {SINCE[needed]} can't load: "
                    f"allow it with --rdb-version {needed}"
                )

    def finish(self) -> None:
        header = self._writer.end()
        self._file.seek(0)
        self._file.write(header)


class LinesOutput:
    """Commands, or lines of JSON."""

    def __init__(self, file: BinaryIO, *, json: bool) -> None:
        self._file = file
        self._json = json
        self._db = 0

    def take(self, item: Item) -> None:
        if isinstance(item, Key):
            if self._json:
                for line in write_key(item):
                    self._file.write(line.encode("utf-8") + b"\n")
                return
            if item.db != self._db:
                self._db = item.db
                self._file.write(encode_command([b"SELECT", b"%d" % item.db]))
            for command in commands_of(item):
                self._file.write(encode_command(command))
        elif isinstance(item, Library):
            if self._json:
                self._file.write(write_library(item).encode("utf-8") + b"\n")
            else:
                self._file.write(encode_command([b"FUNCTION", b"LOAD", item.code]))

    def finish(self) -> None:
        """All is written."""


@click.command()
@click.argument("store", metavar="STORE")
@click.argument("destination", type=click.Path(dir_okay=False))
@click.option("--format", "form", type=click.Choice(["rdb", "aof", "jsonl"]), help="What to write.  [default: by the destination's ending]")
@click.option("--rdb-version", type=click.IntRange(10, 14), default=10, show_default=True, help=VERSIONS)
@click.option("--no-compression", is_flag=True, help="Do not compress strings in an RDB file.")
@click.option("--match", metavar="PATTERN", help="Only keys that match the pattern, as KEYS has them.")
@click.option("--db", "databases", type=click.IntRange(0), multiple=True, help="Only this database; may be given several times.")
@click.option("--maxmemory", default="64mb", show_default=True, help="The memory budget while it lasts.")
@click.option("--quiet", is_flag=True, help="No progress line, even at a terminal.")
def export(
    store: str, destination: str, form: str | None, rdb_version: int, no_compression: bool, match: str | None,
    databases: tuple[int, ...], maxmemory: str, quiet: bool,
) -> None:  # fmt: skip
    """Write the data of STORE, a directory that nobody has open or a server as HOST:PORT, to the file DESTINATION.

    rdb is what redis-server loads as dump.rdb; aof are commands, for redis-cli --pipe or as an append-only file; jsonl are lines of JSON,
    one or several a key, strings that are not UTF-8 in base64. All of it is streamed, however large a key is, and the file takes
    its name only when it is complete.
    """
    from diskkv.lib.glob import compile_glob

    form = form or {".rdb": "rdb", ".aof": "aof", ".jsonl": "jsonl"}.get(os.path.splitext(destination)[1])
    if form is None:
        raise click.UsageError("say what to write: --format rdb, aof or jsonl")
    matches = compile_glob(os.fsencode(match)) if match is not None else None

    def wanted(db: int, key: bytes) -> bool:
        return (not databases or db in databases) and (matches is None or bool(matches(key)))

    report = Report()
    aside = f"{destination}.{os.getpid()}.part"
    passed = expected = 0
    with Progress(
        lambda: passed / expected if expected else None, lambda: _size(aside), lambda: report.keys,
        stopped=f"{destination} was not written", quiet=quiet,
    ) as progress:  # fmt: skip
        try:
            with _opened(store, maxmemory) as (items, expected), open(aside, "wb") as file:
                output: Output = LinesOutput(file, json=form == "jsonl")
                if form == "rdb":
                    output = RdbOutput(file, version=rdb_version, packing=not no_compression)
                for item in items:
                    progress.tick()
                    if isinstance(item, Key):
                        passed += 1
                        if not wanted(item.db, item.name):
                            for _ in item.content.parts:
                                pass
                            continue
                        report.keys += 1
                    elif isinstance(item, Skipped):
                        report.leave_out(item.what)
                    elif isinstance(item, Sizes) and databases and item.db not in databases:
                        continue
                    output.take(item)
                output.finish()
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, destination)
            sync_directory(os.path.dirname(destination) or ".")
        except (DiskkvError, OSError) as error:
            raise click.ClickException(f"the export stopped after {report.keys} keys: {error}") from None
        finally:
            with contextlib.suppress(OSError):
                os.unlink(aside)
    say(report, progress.seconds())
    if report.left_out:
        sys.exit(INCOMPLETE)


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


@contextlib.contextmanager
def _opened(store: str, maxmemory: str) -> Iterator[tuple[Iterator[Item], int]]:
    """Everything in a directory's store, or in a server, and how many keys that is, 0 for unknown. ClickException when it can't be
    opened."""
    from diskkv.app import open_executor
    from diskkv.cli.address import parse_address
    from diskkv.cli.import_sources import Server
    from diskkv.config import Settings
    from diskkv.transfer.reading import Snapshot

    address = None if os.path.isdir(store) else parse_address(store)
    if address is not None:
        yield Server(address, None, lambda text: click.echo(text, err=True)).items(), 0
        return
    if not os.path.isdir(store):
        raise click.UsageError(f"{store} is neither a directory nor HOST:PORT")
    require_store(store)
    try:
        executor = open_executor(store, Settings(maxmemory=maxmemory))
    except (StoreError, OSError) as error:
        raise click.ClickException(f"can't open the store in {store}: {error}") from None
    executor.store.log.kept = True
    try:
        with executor.store.lock:
            executor.store.checkpoint()
            snapshot = Snapshot(executor.store)
        try:
            yield snapshot.items(), snapshot.keys()
        finally:
            snapshot.close()
    finally:
        executor.store.close()
