"""A disk that forgets when the power goes.

It plays a recording (`syscalls.py`) under POSIX' own words: bytes are on the disk once an fsync of their file that began after they were
written has ended; a name that was created, renamed or removed is once the same is true of its directory. Of all else may be left nothing,
everything, or something: of a file's writes an arbitrary choice, page by page, with zeros where only the size arrived; of the changes of
names a beginning, because file systems journal these in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from random import Random
from typing import Any

from tests.support.syscalls import Event

PAGE = 4096
NOTHING, EVERYTHING, SOMETHING = LEAVES = ("nothing", "everything", "something")


@dataclass(eq=False)
class File:
    """What a file holds on the disk, and the changes since: (number, offset, bytes), or (number, size, None) for a new size."""

    disk: bytearray = field(default_factory=bytearray)
    size: int = 0
    pending: list[tuple[int, int, bytes | None]] = field(default_factory=list)


@dataclass(eq=False)
class Directory:
    """The names in a directory: now, and on the disk."""

    now: dict[str, Any] = field(default_factory=dict)
    disk: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Handle:
    target: Any
    position: int
    appends: bool


@dataclass(eq=False)
class Renaming:
    """Changes of one directory's names that happen together; None is a name that goes."""

    number: int
    directory: Directory
    names: dict[str, Any]


class ForgetfulDisk:
    """The state after each event of a recording; `said` is what the program had told the world by then.

    From the event `lies_from` on the disk says that it has synced, and has not.
    """

    def __init__(self, lies_from: float = inf) -> None:
        self.lies_from = lies_from
        self.root = Directory()
        self.said: list[Event] = []
        self._number = 0
        self._handles: dict[int, Handle] = {}
        self._syncs: dict[int, tuple[Any, int]] = {}
        self._pending: list[Renaming] = []

    def play(self, event: Event) -> None:
        """The next event happens."""
        self._number += 1
        if event.kind == "say":
            self.said.append(event)
        else:
            getattr(self, f"_{event.kind}")(*event.arguments)

    def _find(self, path: str) -> tuple[Directory, str]:
        *parents, name = path.split("/")
        directory = self.root
        for parent in parents:
            directory = directory.now[parent]
        return directory, name

    def _change(self, directory: Directory, names: dict[str, Any]) -> None:
        _enter(directory.now, names)
        self._pending.append(Renaming(self._number, directory, names))

    def _open(self, handle: int, path: str, create: bool, truncate: bool, appends: bool) -> None:
        if path == "":
            self._handles[handle] = Handle(self.root, 0, False)
            return
        directory, name = self._find(path)
        if create and name not in directory.now:
            self._change(directory, {name: File()})
        self._handles[handle] = Handle(directory.now[name], 0, appends)
        if truncate:
            self._resize(handle, 0)

    def _close(self, handle: int) -> None:
        del self._handles[handle]

    def _write(self, handle: int, data: bytes, offset: int | None) -> None:
        opened = self._handles[handle]
        file = opened.target
        if offset is None:
            offset = file.size if opened.appends else opened.position
            opened.position = offset + len(data)
        file.pending.append((self._number, offset, data))
        file.size = max(file.size, offset + len(data))

    def _seek(self, handle: int, position: int) -> None:
        self._handles[handle].position = position

    def _resize(self, handle: int, size: int) -> None:
        file = self._handles[handle].target
        if file.size != size:
            file.pending.append((self._number, size, None))
            file.size = size

    def _grow(self, handle: int, size: int) -> None:
        self._resize(handle, max(size, self._handles[handle].target.size))

    def _begin_sync(self, handle: int, token: int) -> None:
        self._syncs[token] = self._handles[handle].target, self._number

    def _end_sync(self, token: int) -> None:
        target, number = self._syncs.pop(token)
        if self._number >= self.lies_from:
            return
        if isinstance(target, File):
            for change in target.pending:
                if change[0] <= number:
                    _apply(target.disk, change)
            target.pending = [change for change in target.pending if change[0] > number]
            return
        rest = []
        for change in self._pending:
            if change.directory is target and change.number <= number:
                _enter(target.disk, change.names)
            else:
                rest.append(change)
        self._pending = rest

    def _rename(self, old: str, new: str) -> None:
        directory, name = self._find(old)
        other, new_name = self._find(new)
        assert directory is other, "a file was renamed into another directory: nothing here says what is left of that"
        self._change(directory, {new_name: directory.now[name], name: None})

    def _link(self, old: str, new: str) -> None:
        directory, name = self._find(old)
        target = directory.now[name]
        directory, name = self._find(new)
        self._change(directory, {name: target})

    def _unlink(self, path: str) -> None:
        directory, name = self._find(path)
        self._change(directory, {name: None})

    def _mkdir(self, path: str) -> None:
        directory, name = self._find(path)
        self._change(directory, {name: Directory()})

    def cut(self, to: Path, leaves: str, random: Random) -> None:
        """The power goes: make a directory of what will be found. The disk itself can go on."""
        count = {NOTHING: 0, EVERYTHING: len(self._pending)}.get(leaves)
        if count is None:
            count = random.randrange(len(self._pending) + 1)
        found: dict[int, dict[str, Any]] = {}
        for change in self._pending[:count]:
            names = found.setdefault(id(change.directory), dict(change.directory.disk))
            _enter(names, change.names)
        self._lay(self.root, to, found, leaves, random, {})

    def _lay(
        self, directory: Directory, to: Path, found: dict[int, dict[str, Any]], leaves: str, random: Random, images: dict[int, bytes]
    ) -> None:
        to.mkdir()
        for name, target in found.get(id(directory), directory.disk).items():
            if isinstance(target, Directory):
                self._lay(target, to / name, found, leaves, random, images)
                continue
            if id(target) not in images:
                images[id(target)] = _left_of(target, leaves, random)
            (to / name).write_bytes(images[id(target)])


def _enter(names: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, target in changes.items():
        if target is None:
            names.pop(name, None)
        else:
            names[name] = target


def _apply(image: bytearray, change: tuple[int, int, bytes | None]) -> None:
    _, offset, data = change
    if data is None:
        del image[offset:]
        image.extend(bytes(offset - len(image)))
        return
    image.extend(bytes(max(0, offset - len(image))))
    image[offset : offset + len(data)] = data


def _left_of(file: File, leaves: str, random: Random) -> bytes:
    image = bytearray(file.disk)
    if leaves == NOTHING:
        return bytes(image)
    pending = file.pending
    likelihood = 1.0
    if leaves == SOMETHING:
        pending = pending[: random.randrange(len(pending) + 1)]
        likelihood = random.choice((1.0, 0.9, 0.5, 0.0))
    for change in pending:
        number, offset, data = change
        if data is None or likelihood == 1.0:
            _apply(image, change)
            continue
        at = offset
        while at < offset + len(data):
            end = min(offset + len(data), (at // PAGE + 1) * PAGE)
            # What does not arrive leaves zeros where the file has grown.
            arrived = random.random() < likelihood
            if arrived or end > len(image):
                _apply(image, (number, at, data[at - offset : end - offset] if arrived else bytes(image[at:end]).ljust(end - at, b"\0")))
            at = end
    return bytes(image)
