"""Tells a torn end of LevelDB's files from damage, and cuts it off.

LevelDB refuses to open when its log or its manifest can't be read to the end, which is what a loss of power in the middle of a write may
leave; and, what is worse, it skips in silence over zeros where records should be. Everything that is written here is synced before the
next write begins: checkpoints, reclaiming and tidying ask for that, and LevelDB itself does it with its manifest. So what can't be read
may only be the last record of its file: it was never promised, and goes. Where another record begins behind it, it had been on the disk:
that is damage, and opening is refused.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from diskkv.engine.leveldb.writing import (
    BLOCK,
    COMPACT_POINTER,
    COMPARATOR,
    DELETED_FILE,
    FIRST,
    FULL,
    HEADER,
    LAST,
    LAST_SEQUENCE,
    LOG_NUMBER,
    MIDDLE,
    NEW_FILE,
    NEXT_FILE,
    PREVIOUS_LOG,
    masked_crc,
)
from diskkv.errors import Damaged

journal = logging.getLogger("diskkv")


class Fragment(NamedTuple):
    """A piece of a record: where it lies, and its kind, 0 if it can't be read."""

    start: int
    end: int
    kind: int


class Record(NamedTuple):
    """A whole record: where it lies, and what is in it."""

    start: int
    end: int
    data: bytes


class Edit(NamedTuple):
    """A part of a change of the manifest; of a table also its level and, of a new one, its size and its first and last internal key."""

    kind: int
    number: int
    level: int = 0
    size: int = 0
    first: bytes = b""
    last: bytes = b""


def mend(path: str, *, thorough: bool) -> bool:
    """Cut off what a loss of power has torn; whether there was anything. Damaged if it can't have been that.

    Unless `thorough`, checksums are only looked at in files with holes: what LevelDB would not notice by itself.
    """
    mended = False
    for name in sorted(os.listdir(path)):
        if not name.startswith("MANIFEST-") and not name.endswith(".log"):
            continue
        file = os.path.join(path, name)
        with open(file, "rb") as handle:
            data = handle.read()
        if thorough or _has_hole(data):
            end = _readable(file, data)
            if end < len(data):
                _cut(file, end, len(data) - end)
                mended = True
    return mended


def judge(path: str) -> None:
    """Damaged when the files that say what there is lack something that an edit of the manifest, undone, would not make unnecessary.

    LevelDB itself notices missing tables, but not that its manifest has lost its end, with the tables that were named there, whose
    contents it then takes for none: but the log that these came of is gone, too.
    """
    current = os.path.join(path, "CURRENT")
    try:
        with open(current, "rb") as handle:
            name = handle.read()
        if not re.fullmatch(rb"MANIFEST-\d+\n", name):
            raise Damaged(f"{current}: names no manifest")
        file = os.path.join(path, os.fsdecode(name.strip()))
        with open(file, "rb") as handle:
            data = handle.read()
    except FileNotFoundError as error:
        raise Damaged(f"{error.filename}: is missing") from None
    try:
        logs = [edit.number for record in records(data) for edit in edits(record.data) if edit.kind == LOG_NUMBER and edit.number]
    except IndexError:
        # An edit that can't be read: LevelDB finds its checksum wrong.
        return
    # A tree that `repair` has made is in no log.
    if logs and not os.path.exists(os.path.join(path, f"{logs[-1]:06d}.log")):
        # So it looks as well when the manifest's last edit has reached the disk before the names of what it speaks of.
        if undo_last_edit(path):
            judge(path)
            return
        raise Damaged(f"{file}: has lost its end: the log {logs[-1]:06d}.log, which it says is in use, is gone")


def undo_last_edit(path: str) -> bool:
    """Cut the last edit off the manifest if it was written, but never came into force: whether it was.

    LevelDB writes an edit, then syncs the directory with the new table's name, then the manifest. When the power goes before the
    directory is synced, the edit may be there and the table not. Then all that it replaces is still there, since that is deleted last.
    """
    try:
        with open(os.path.join(path, "CURRENT"), "rb") as current:
            file = os.path.join(path, os.fsdecode(current.read().strip()))
        with open(file, "rb") as manifest:
            data = manifest.read()
    except OSError:
        return False
    written = list(records(data))
    if len(written) < 2:
        return False
    names = set(os.listdir(path))
    start, _, last = written[-1]
    try:
        before = [edit for record in written[:-1] for edit in edits(record.data)]
        after = list(edits(last))
    except IndexError:
        return False
    missing = [edit for edit in after if edit.kind == NEW_FILE and not names & table_names(edit.number)]
    replaced = [edit for edit in after if edit.kind == DELETED_FILE]
    logs = [edit.number for edit in before if edit.kind == LOG_NUMBER][-1:]
    replaceable = all(names & table_names(edit.number) for edit in replaced) and logs and f"{logs[0]:06d}.log" in names
    if not missing or not replaceable:
        return False
    _cut(file, start, len(data) - start)
    return True


def table_names(number: int) -> set[str]:
    """The names that a table may have: LevelDB looks for the second where the first is not."""
    return {f"{number:06d}.ldb", f"{number:06d}.sst"}


def records(data: bytes, at: int = 0) -> Iterator[Record]:
    """The whole records of a file, from one that begins at `at` on."""
    start, parts = at, b""
    for fragment in _fragments(data, checked=False, at=at):
        piece = data[fragment.start + HEADER : fragment.end]
        if fragment.kind in (FULL, FIRST):
            start, parts = fragment.start, piece
        else:
            parts += piece
        if fragment.kind in (FULL, LAST):
            yield Record(start, fragment.end, parts)


def edits(record: bytes) -> Iterator[Edit]:
    """What an edit of the manifest says of files. Stops at what it does not know; IndexError when it is cut off."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = record[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def counted() -> bytes:
        nonlocal at
        length = varint()
        at += length
        return record[at - length : at]

    while at < len(record) and record[at] <= PREVIOUS_LOG:
        kind = varint()
        if kind == COMPARATOR:
            counted()
        elif kind == COMPACT_POINTER:
            varint()
            counted()
        elif kind == DELETED_FILE:
            level = varint()
            yield Edit(kind, varint(), level)
        elif kind == NEW_FILE:
            level = varint()
            yield Edit(kind, varint(), level, varint(), counted(), counted())
        elif kind in (LOG_NUMBER, NEXT_FILE, LAST_SEQUENCE, PREVIOUS_LOG):
            yield Edit(kind, varint())
        else:
            return


def _has_hole(data: bytes) -> bool:
    """Whether there is anything behind the first place where no record begins."""
    for fragment in _fragments(data, checked=False):
        if not fragment.kind:
            return bool(data[fragment.start :].strip(b"\0"))
    return False


def cut_at_hole(file: str) -> int:
    """Cut a file off where it can't be read, whatever follows; how many bytes that were. For copies only."""
    with open(file, "rb") as handle:
        data = handle.read()
    end, inside = 0, False
    for fragment in _fragments(data, checked=True):
        if not fragment.kind or inside is (fragment.kind in (FULL, FIRST)):
            break
        inside = fragment.kind in (FIRST, MIDDLE)
        if not inside:
            end = fragment.end
    else:
        if not inside:
            end = len(data)
    if end < len(data):
        _cut(file, end, len(data) - end)
    return len(data) - end


def _readable(file: str, data: bytes) -> int:
    """Where the last record ends that can be read before the first that can't; the whole length, if all can."""
    end = 0
    inside = broken = False
    for fragment in _fragments(data, checked=True):
        kind = fragment.kind
        if broken:
            if kind in (FULL, FIRST):
                raise Damaged(
                    f"{file}: unreadable at offset {end}, although a later record, at {fragment.start}, proves that it was on the disk. "
                    "It can't have been torn by a loss of power."
                )
        elif not kind or inside is (kind in (FULL, FIRST)):
            broken = True
        else:
            inside = kind in (FIRST, MIDDLE)
            if not inside:
                end = fragment.end
    return end if broken else len(data)


def _fragments(data: bytes, *, checked: bool, at: int = 0) -> Iterator[Fragment]:
    """The fragments of a file from one on, in order; what is cut off by its end is none, as for LevelDB."""
    size = len(data)
    while at + HEADER <= size:
        room = BLOCK - at % BLOCK
        if room < HEADER:
            at += room
            continue
        length, kind = data[at + 4] | data[at + 5] << 8, data[at + 6]
        end = at + HEADER + length
        if HEADER + length > room or not FULL <= kind <= LAST:
            yield Fragment(at, at + room, 0)
            at += room
            continue
        if end > size:
            return
        sound = not checked or masked_crc(data[at + 6 : end]) == int.from_bytes(data[at : at + 4], "little")
        yield Fragment(at, end, kind if sound else 0)
        at = end


def _cut(file: str, end: int, count: int) -> None:
    journal.warning("%(file)s ended in the middle of a write: %(bytes)d bytes were dropped", {"file": file, "bytes": count})
    handle = os.open(file, os.O_WRONLY)
    try:
        os.ftruncate(handle, end)
        os.fsync(handle)
    finally:
        os.close(handle)
