"""Where an import comes from: what kind of thing a name stands for, and its items one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from diskkv.cli.address import Address
from diskkv.errors import BadDump
from diskkv.rdb.aof import read_commands, read_manifest
from diskkv.rdb.content import Item
from diskkv.rdb.file import SIGNATURE, read_file
from diskkv.rdb.jsonl import read_lines
from diskkv.rdb.source import Source
from diskkv.transfer.live import read_server


class Place:
    """A source that has been recognised. `total` is how many bytes it has, None when nobody knows; `done` how many were read."""

    total: int | None = None

    def items(self) -> Iterator[Item]:
        """Everything in it. BadDump when it is damaged."""
        raise NotImplementedError

    def done(self) -> int:
        """How many bytes have been read so far."""
        raise NotImplementedError

    def commands_only(self) -> bool:
        """Whether it may hold commands, of which only their execution tells what keys come of them."""
        return False


class Files(Place):
    """RDB files and append-only files, one after the other, as one data set."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths
        self.total = sum(os.path.getsize(path) for path in paths)
        self._before = 0
        self._source = Source.of(b"")
        self._has_commands = len(paths) > 1 or _begins(paths[0]) != SIGNATURE

    def commands_only(self) -> bool:
        return self._has_commands

    def done(self) -> int:
        return self._before + self._source.position

    def items(self) -> Iterator[Item]:
        for path in self.paths:
            with open(path, "rb", buffering=0) as file:
                self._source = source = Source(file.read)
                try:
                    yield from self._items(file, source, path)
                except BadDump as error:
                    raise BadDump(f"{path}, near byte {source.position}: {error}") from None
                self._before += source.position
                self._source = Source.of(b"")

    def _items(self, file: BinaryIO, source: Source, path: str) -> Iterator[Item]:
        if _begins(path) == SIGNATURE:
            yield from read_file(source)
        yield from read_commands(source, path)


class Lines(Place):
    """Lines of JSON."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.total = os.path.getsize(path)
        self._done = 0

    def done(self) -> int:
        return self._done

    def items(self) -> Iterator[Item]:
        with open(self._path, "rb") as file:
            try:
                yield from read_lines(self._counted(file))
            except BadDump as error:
                raise BadDump(f"{self._path}: {error}") from None

    def _counted(self, file: BinaryIO) -> Iterator[bytes]:
        for line in file:
            self._done += len(line)
            yield line


class Server(Place):
    """A server that is running."""

    def __init__(self, address: Address, database: int | None, notice: Callable[[str], None]) -> None:
        self._link = address.connect()
        self._database = database
        self._notice = notice

    def done(self) -> int:
        return self._link.source.position

    def items(self) -> Iterator[Item]:
        try:
            yield from read_server(self._link, self._database, self._notice)
        finally:
            self._link.close()


def _begins(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(len(SIGNATURE))


def recognise(name: str) -> Place:
    """What a file or directory is. BadDump when nothing that can be imported is there, OSError when it can't be read."""
    path = name
    if os.path.isdir(path):
        found = [entry for folder in (path, os.path.join(path, "appendonlydir")) for entry in _manifests(folder)]
        if not found and os.path.exists(os.path.join(path, "dump.rdb")):
            found = [os.path.join(path, "dump.rdb")]
        if not found:
            raise BadDump(f"in {path} there is neither a manifest of append-only files nor a dump.rdb")
        if len(found) > 1:
            raise BadDump(f"in {path} there are {len(found)} manifests of append-only files: name one")
        path = found[0]
    if path.endswith(".manifest"):
        return Files(read_manifest(path).paths)
    start = _begins(path)
    if start == SIGNATURE or start[:1] in (b"*", b"#"):
        return Files([path])
    if start[:1] == b"{":
        return Lines(path)
    raise BadDump(f"{path} is neither an RDB file nor an append-only file nor lines of JSON")


def _manifests(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, entry) for entry in os.listdir(folder) if entry.endswith(".manifest")]
