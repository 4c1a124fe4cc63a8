"""Append-only files: RESP commands one after the other, perhaps behind an RDB file, perhaps several files that a manifest names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from diskkv.errors import BadDump
from diskkv.lib.words import split_words
from diskkv.rdb.content import Commands, Skipped
from diskkv.rdb.source import EndsEarly, Source

# How many commands are handed on together, and about how many bytes of them at most.
BATCH = 256
BATCH_BYTES = 1 << 20
# The longest command's number of words, and the longest word.
WORDS = 1 << 30


def read_commands(source: Source, name: str) -> Iterator[Commands | Skipped]:
    """The commands of an append-only file; a transaction comes whole or, if the file ends in it, not at all.

    BadDump where something stands that is no command; an end in the middle of one is only said.
    """
    batch: list[list[bytes]] = []
    held: list[list[bytes]] | None = None
    start = begun = source.position
    try:
        while not source.ended():
            start = source.position if held is None else start
            argv = _command(source)
            if not argv:
                continue
            word = argv[0].upper()
            if word == b"MULTI":
                held = []
            elif word == b"EXEC" and held is not None:
                batch += held
                held = None
            elif held is not None:
                held.append(argv)
                continue
            else:
                batch.append(argv)
            if len(batch) >= BATCH or source.position - begun >= BATCH_BYTES:
                yield Commands(batch)
                batch, begun = [], source.position
    except EndsEarly:
        held = []
    if batch:
        yield Commands(batch)
    if held is not None:
        yield Skipped(f"the end of {name} from byte {start} on, which is the beginning of a command or transaction")


def _command(source: Source) -> list[bytes]:
    """The next command; nothing for a remark."""
    at = source.position
    head = source.line()
    if head.startswith(b"#"):
        return []
    words: list[bytes] = []
    for _ in range(_number(head, b"*", at)):
        size = _number(source.line(), b"$", at)
        word = source.take(size + 2)
        if not word.endswith(b"\r\n"):
            raise BadDump(f"there is no command at byte {at}")
        words.append(word[:-2])
    return words


def _number(line: bytes, mark: bytes, at: int) -> int:
    if line[:1] != mark or not line[1:].isdigit() or int(line[1:]) > WORDS:
        raise BadDump(f"there is no command at byte {at}")
    return int(line[1:])


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files that a manifest names, in the order in which they count."""

    paths: list[str]


def read_manifest(path: str) -> Manifest:
    """A manifest (`file NAME seq N type b|i|h` a line). BadDump when it is none."""
    base: list[str] = []
    following: list[tuple[int, str]] = []
    folder = os.path.dirname(path)
    with open(path, "rb") as file:
        for line in file.read().splitlines():
            if not line or line.startswith(b"#"):
                continue
            words = split_words(line)
            if words is None or len(words) % 2:
                raise BadDump(f"{path}: {line!r} does not belong in a manifest")
            said = dict(zip(words[::2], words[1::2], strict=True))
            name, kind, number = said.get(b"file", b""), said.get(b"type", b""), said.get(b"seq", b"")
            if not name or b"/" in name or kind not in (b"b", b"i", b"h") or not number.isdigit():
                raise BadDump(f"{path}: {line!r} does not belong in a manifest")
            place = os.path.join(folder, os.fsdecode(name))
            if kind == b"b":
                base.append(place)
            elif kind == b"i":
                following.append((int(number), place))
    if len(base) > 1 or not (base or following):
        raise BadDump(f"{path} names {len(base)} base files")
    return Manifest([*base, *(place for _, place in sorted(following))])
