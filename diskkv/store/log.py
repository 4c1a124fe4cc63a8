"""The log: every change in its deterministic form, appended before its reply leaves.

Segments `NNNNNNNNNN.aof` hold Redis' append-only format (RESP commands, SELECT, MULTI and EXEC), so `redis-check-aof` accepts them and
Redis could load them. Each tick's commands follow one annotation line, which Redis' tools skip:

    #T <bytes> <crc32> <synced> [<before>]\r\n

The CRC covers the `bytes` that follow and is seeded with the line's other numbers and its offset, so that a flipped bit, a torn end
and a piece out of its place are all found. A segment's first tick says in `before` how long the segment before it was: whether that lost
its end can't be seen otherwise. `synced` is how much of this segment was known to be on the disk when the tick was
written: after a loss of power a hole behind that mark is what was never promised, and the log is cut there; a hole before it is
damage, and opening is refused. Of the last tick a file beside the segments tells the same (`marks.py`); and one of which no part is
missing was not torn. What is cut off is kept aside. A tick is applied whole or not at all, and MULTI ... EXEC never crosses one.

Promises. `commit` returns once the tick is in the kernel's hands: it survives kill -9. With `always` it is also on the disk; with
`everysec` a thread puts it there once a second; with `no` the kernel does when it likes. A commit that fails leaves the log as it
was before (the torn end is cut off) and raises OSError.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple
from zlib import crc32

from diskkv.clock import system_clock
from diskkv.errors import Damaged, SettingError
from diskkv.lib.multibulk import command_pieces
from diskkv.store.archive import keep
from diskkv.store.cuts import keep_aside, torn
from diskkv.store.directory import make_directory, sync_directory
from diskkv.store.marks import NAME as MARK_NAME
from diskkv.store.marks import Mark, read_mark

HEADER = re.compile(rb"#T (\d{1,12}) ([0-9a-f]{8}) (\d{1,12})(?: (\d{1,12}))?\r\n")
LONGEST_HEADER = 64
# Once a second a tick begins with such a line and the time in seconds: Redis' annotation of its append-only files.
STAMP = b"#TS:"
journal = logging.getLogger("diskkv")

POLICIES = ("always", "everysec", "no")


class Position(NamedTuple):
    """A place in the log: a segment's number and an offset in it."""

    segment: int
    offset: int


FIRST = Position(1, 0)


@dataclass(frozen=True, slots=True)
class LogStatistics:
    segment: int
    size: int
    written: int
    policy: str
    unsynced: int


class Disk:
    """What the log asks of the operating system, so that tests can hand in one that fails."""

    def open(self, name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    def write(self, handle: int, data: bytes) -> int:
        return os.write(handle, data)

    def overwrite(self, handle: int, data: bytes) -> int:
        return os.pwrite(handle, data, 0)

    def sync(self, handle: int) -> None:
        os.fdatasync(handle)

    def sync_now(self, handle: int) -> None:
        """`sync` that a commit waits for (appendfsync always)."""
        self.sync(handle)

    def truncate(self, handle: int, size: int) -> None:
        os.ftruncate(handle, size)

    def reserve(self, handle: int, size: int) -> None:
        os.posix_fallocate(handle, 0, size)


def _joined(encoded: list[Any], checksum: int, rest: bytes) -> bytes:
    """A tick of commands, some of them in pieces; `rest` ends its first line, `checksum` begins its checksum."""
    pieces = [b""]
    for one in encoded:
        if isinstance(one, bytes):
            pieces.append(one)
        else:
            pieces += one
    for piece in pieces:
        checksum = crc32(piece, checksum)
    pieces[0] = b"#T %d %08x %b\r\n" % (sum(map(len, pieces)), checksum, rest)
    return b"".join(pieces)


class Log:
    """A store's log, open for appending. Every method but the sync thread's requires the store's lock."""

    def __init__(self, path: str, policy: str, disk: Disk | None = None) -> None:
        self.path = path
        self.disk = disk if disk is not None else Disk()
        # what the next commit will append: commands, and bytes that are commands already; `merged` of them stand in one element
        self.parts: list[Sequence[bytes] | bytes] = []
        self.merged = 0
        self.database = -1
        self.written = 0
        self.ticks = 0
        self.sync_error: str | None = None
        # somebody waits for all that has been committed to be on the disk: the next commit of the store sees to it
        self.sync_asked = False
        # a directory for the segments that are not needed any more; empty: they are deleted
        self.archive = ""
        # none is deleted: whoever only looks at a store does not know of its archive, and makes no hole in it
        self.kept = False
        # what the next tick will begin with: once a second, what time it is
        self._stamp = b""
        self._policy = policy
        self._file = -1
        self._segment = 0
        self._offset = 0
        # how long the segment before this one is, as far as anybody needs to know
        self._before: int | None = None
        self._synced = 0
        self._mark = Mark(path, self.disk)
        # how many bytes of its end were cut off when it was opened
        self.cut = 0
        self._torn = False
        self._spare = -1
        self._retired: list[int] = []
        self._stop = threading.Event()
        self._syncer: threading.Thread | None = None
        # _sync_lock guards the handles; _syncing lets one thread at a time sync and close them
        self._sync_lock = threading.Lock()
        self._syncing = threading.Lock()
        make_directory(path)

    # -- appending

    @property
    def policy(self) -> str:
        """`always`, `everysec` or `no`."""
        return self._policy

    @policy.setter
    def policy(self, policy: str) -> None:
        if policy not in POLICIES:
            raise SettingError(f"appendfsync must be one of {', '.join(POLICIES)}")
        self._policy = policy

    def create(self) -> None:
        """Make the first segment, before a new store says anything of it: from then on a segment that is missing is damage."""
        os.close(self.disk.open(segment_name(self.path, FIRST.segment), os.O_WRONLY | os.O_CREAT))
        sync_directory(self.path)

    def start(self, at: Position, before: int | None = None) -> None:
        """Begin to append at a position, the end of what `LogReader` read; `before` is how long the segment before it was, if that was
        read, too. What lies behind the position is cut off and kept aside, and what lies before it put on the disk.
        """
        for number in segments(self.path):
            self._set_aside(number, 0 if number > at.segment else at.offset if number == at.segment else None)
            if number > at.segment:
                os.unlink(segment_name(self.path, number))
            elif number < at.segment:
                self._sync_segment(number)
        self._segment = at.segment
        self._file = self.disk.open(segment_name(self.path, at.segment), os.O_WRONLY | os.O_CREAT)
        self.disk.truncate(self._file, at.offset)
        os.lseek(self._file, at.offset, os.SEEK_SET)
        self.disk.sync(self._file)
        sync_directory(self.path)
        self._offset = self._synced = at.offset
        self._before = before
        self.database = -1
        self._mark.put(*at)
        if self._syncer is None:
            self._syncer = threading.Thread(target=self._sync_every_second, name="diskkv-log-sync", daemon=True)
            self._syncer.start()

    def _set_aside(self, number: int, offset: int | None) -> None:
        """Keep what of a segment is about to be cut off, if anything is."""
        name = segment_name(self.path, number)
        size = os.path.getsize(name)
        if offset is None or size <= offset:
            return
        self.cut += size - offset
        kept = keep_aside(name, offset)
        where = f"they are kept in {kept}" if kept else "none of them is kept"
        journal.warning(
            "%(file)s ended in the middle of a write: %(bytes)d bytes were cut off; %(where)s",
            {"file": name, "bytes": size - offset, "where": where},
        )

    def _sync_segment(self, number: int) -> None:
        handle = self.disk.open(segment_name(self.path, number), os.O_WRONLY)
        try:
            self.disk.sync(handle)
        finally:
            os.close(handle)

    def position(self) -> Position:
        """Where the next tick will go. REQUIRES: nothing is waiting to be committed."""
        return Position(self._segment, self._offset)

    def commit(self) -> None:
        """Append what has been put into `parts` as one tick. OSError when it could not be; the log is then as before."""
        parts = self.parts
        encoded: Any = [part if isinstance(part, bytes) else command_pieces(part) for part in parts]
        if self._stamp:
            encoded.insert(0, self._stamp)
            self._stamp = b""
        offset, synced = self._offset, self._synced
        before = None if offset else self._before
        seed = _seed(offset, synced) if before is None else _seed(0, synced, before)
        behind = b"" if before is None else b" %d" % before
        try:
            data = encoded[0] if len(encoded) == 1 else b"".join(encoded)
            tick = b"#T %d %08x %d%b\r\n%b" % (len(data), crc32(data, seed), synced, behind, data)
        except TypeError:
            # Some arguments are long: they are copied once only (an LPUSH of 100,000 bytes takes 0.08 ms, it took 0.23).
            tick = _joined(encoded, seed, b"%d%b" % (synced, behind))
        self.parts.clear()
        self.merged = 0
        size = len(tick)
        try:
            if self._torn:
                self._mend()
            done = self.disk.write(self._file, tick)
            while done < size:
                done += self.disk.write(self._file, tick[done:])
            if self._policy == "always":
                self.disk.sync_now(self._file)
                self._synced = offset + size
                if not self._retired:
                    self._mark.put(self._segment, offset + size)
        except OSError:
            self._torn = True
            self.database = -1
            with contextlib.suppress(OSError):
                self._mend()
            raise
        self._offset = offset + size
        self.written += size
        self.ticks += 1

    def forget(self) -> None:
        """Drop what waits to be committed."""
        self.parts.clear()
        self.merged = 0
        self.database = -1

    def _mend(self) -> None:
        """Cut off what a failed write left. OSError when even that fails; it is tried again before the next write."""
        self.disk.truncate(self._file, self._offset)
        os.lseek(self._file, self._offset, os.SEEK_SET)
        self._torn = False

    def probe(self, room: int = 1 << 20) -> None:
        """Find out whether there is room again: OSError while there is none. Leaves nothing behind."""
        # The writer's thread may be trying, too.
        name = os.path.join(self.path, f"probe{threading.get_ident()}")
        other = name + ".renamed"
        handle = self.disk.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            self.disk.reserve(handle, room)
            self.disk.write(handle, b"\0" * 4096)
            self.disk.sync(handle)
            os.rename(name, other)
            name = other
        finally:
            os.close(handle)
            os.unlink(name)

    # -- segments

    def prepare(self) -> None:
        """Make the next segment ready, so that `rotate` costs nothing. Called by the writer's thread, without the lock."""
        if self._spare < 0:
            spare = self.disk.open(segment_name(self.path, self._segment + 1), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            sync_directory(self.path)
            self._spare = spare

    def rotate(self) -> None:
        """Go on in the next segment, if one is ready. Either way what follows can be replayed without what came before."""
        self.database = -1
        if self._spare < 0 or self._torn:
            return
        with self._sync_lock:
            self._retired.append(self._file)
            self._file, self._spare = self._spare, -1
            self._segment += 1
            self._before = self._offset
            self._offset = self._synced = 0

    def drop_before(self, segment: int) -> None:
        """Delete the segments that a checkpoint has made superfluous, or archive them. OSError when that fails, and they stay."""
        if self.kept:
            return
        for number in segments(self.path):
            if number < segment:
                if self.archive:
                    keep(segment_name(self.path, number), self.archive)
                os.unlink(segment_name(self.path, number))

    # -- syncing

    def sync(self) -> None:
        """Put everything committed so far on the disk. OSError when that fails. May be called from any thread."""
        with self._syncing:
            with self._sync_lock:
                segment, offset, handle = self._segment, self._offset, self._file
                retired = self._retired[:]
            for old in retired:
                self.disk.sync(old)
            if offset > self._synced:
                self.disk.sync(handle)
            with self._sync_lock:
                if self._segment == segment:
                    self._synced = max(self._synced, offset)
                self._mark.put(segment, offset)
                del self._retired[: len(retired)]
            for old in retired:
                os.close(old)

    def synced(self) -> bool:
        """Whether all that has been said is on the disk."""
        return not self.parts and not self._retired and self._offset == self._synced

    def stamp(self, seconds: int) -> None:
        """Have the next tick say what time it is."""
        self._stamp = b"%b%d\r\n" % (STAMP, seconds)

    def _sync_every_second(self) -> None:
        while not self._stop.wait(1.0):
            self.stamp(system_clock() // 1000)
            if self._policy == "no" and not self._retired:
                continue
            try:
                self.sync()
                self._mark.keep()
            except OSError as error:
                # What was to be synced may be lost for good, whatever the next sync says: only a checkpoint makes up for it.
                self.sync_error = os.strerror(error.errno or 0)

    def close(self) -> None:
        """Put everything on the disk and stop. OSError when that fails."""
        self._stop.set()
        if self._syncer is not None:
            self._syncer.join()
            self._syncer = None
        try:
            if self._file >= 0:
                if self._torn:
                    self._mend()
                self.sync()
        finally:
            for handle in (*self._retired, self._file, self._spare):
                if handle >= 0:
                    os.close(handle)
            if self._spare >= 0:
                os.unlink(segment_name(self.path, self._segment + 1))
            self._retired = []
            self._file = self._spare = -1
            self._mark.close()

    def statistics(self) -> LogStatistics:
        return LogStatistics(self._segment, self._offset, self.written, self._policy, self._offset - self._synced)


class NullLog(Log):
    """For stores in memory: nothing is kept."""

    def __init__(self) -> None:
        self.parts = []
        self.merged = 0
        self.database = -1
        self.written = self.ticks = self.cut = 0
        self.sync_error = None
        self.sync_asked = False
        self._policy = "no"

    def create(self) -> None:
        """There are no segments."""

    def start(self, at: Position, before: int | None = None) -> None:
        """Nothing to open."""

    def position(self) -> Position:
        return Position(0, 0)

    def commit(self) -> None:
        self.ticks += 1
        self.parts.clear()
        self.merged = 0

    def probe(self, room: int = 0) -> None:
        """There is always room."""

    def prepare(self) -> None:
        """There are no segments."""

    def rotate(self) -> None:
        """There are no segments."""

    def drop_before(self, segment: int) -> None:
        """There are no segments."""

    def sync(self) -> None:
        """Nothing is kept."""

    def synced(self) -> bool:
        """Nothing is on any disk."""
        return False

    def close(self) -> None:
        """Nothing was opened."""

    def statistics(self) -> LogStatistics:
        return LogStatistics(0, 0, 0, "no", 0)


class LogReader:
    """The ticks of a log from a position on, up to another if given. After the iteration `end` is where to append: what is behind it was
    never promised."""

    def __init__(self, path: str, start: Position, stop: Position | None = None) -> None:
        self.path = path
        self.end = start
        # how long the segment before the end's is, if it was read
        self.before: int | None = None
        self._stop = stop

    def __iter__(self) -> Iterator[bytes]:
        """Each tick's commands. Damaged where a part that had been on the disk can't be read."""
        first = self.end.segment
        yield from self._ticks()
        mark, end = Position(*read_mark(self.path)), self.end
        if first <= mark.segment < end.segment:
            # Up to where a segment was read that has others behind it.
            end = Position(mark.segment, os.path.getsize(segment_name(self.path, mark.segment)))
        if self._stop is None and end < mark:
            raise Damaged(
                f"{segment_name(self.path, end.segment)}: nothing can be read from offset {end.offset} on, but the log was on the disk up "
                f"to offset {mark.offset} of segment {mark.segment}. To give up all that follows, cut the file there and delete "
                f"{os.path.join(self.path, MARK_NAME)}"
            )

    def _ticks(self) -> Iterator[bytes]:
        start = self.end
        numbers = [number for number in segments(self.path) if number >= start.segment]
        if not numbers or numbers != list(range(start.segment, numbers[-1] + 1)):
            raise Damaged(f"{self.path}: a segment is missing: need all from {start.segment} on, found {numbers}")
        for number in numbers:
            offset = start.offset if number == start.segment else 0
            before = None if number == start.segment else self.end.offset
            with open(segment_name(self.path, number), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < offset:
                    raise Damaged(f"{file.name}: {size} bytes, but a checkpoint was taken at {offset}")
                file.seek(offset)
                while offset < size:
                    if self._stop is not None and (number, offset) >= self._stop:
                        return
                    tick = _read_tick(file, offset, before)
                    if tick is None and offset == 0 and before is not None and _read_tick(file, 0) is not None:
                        # This segment is in order, but the one before it has lost its end.
                        self._judge_end(number - 1, before, numbers[-1])
                        return
                    if tick is None:
                        self.end, self.before = Position(number, offset), before
                        self._judge_end(number, offset, numbers[-1])
                        return
                    self.end, self.before = Position(number, file.tell()), before
                    offset = self.end.offset
                    yield tick
                self.end, self.before = Position(number, offset), before

    def _judge_end(self, number: int, offset: int, last: int) -> None:
        """The tick at a place can't be read: is it a torn end, or damage to what had been promised?"""
        while last > number and not os.path.getsize(segment_name(self.path, last)):
            # Made ready for what comes next.
            last -= 1
        for segment in range(number, last + 1):
            with open(segment_name(self.path, segment), "rb") as file:
                rest_from = offset if segment == number else 0
                file.seek(rest_from)
                rest = file.read()
            if segment == number == last:
                self._judge_last(number, offset, rest)
            for match in HEADER.finditer(rest):
                size, synced = int(match[1]), int(match[3])
                if checked(match, rest[match.end() : match.end() + size], rest_from + match.start()) is None:
                    continue
                if (segment > number and synced) or (segment == number and synced > offset):
                    raise Damaged(
                        f"{segment_name(self.path, number)}: unreadable at offset {offset}, although later data prove that it was "
                        "on the disk. To give up all that follows, cut the file there and delete "
                        f"{os.path.join(self.path, MARK_NAME)}"
                    )


    def _judge_last(self, number: int, offset: int, rest: bytes) -> None:
        """What can't be read at the very end of the log: is it all that was written there, and has been damaged since?"""
        match = HEADER.match(rest)
        if match is not None and match.end() + int(match[1]) == len(rest) and not torn(rest, offset):
            raise Damaged(
                f"{segment_name(self.path, number)}: the last tick, at offset {offset}, is whole, but not what was written. To give "
                "it up, cut the file there"
            )


def _seed(offset: int, synced: int, before: int = -1) -> int:
    return (offset + 0x9E3779B1 * synced + 0x85EBCA6B * (before + 1)) & 0xFFFFFFFF


def _read_tick(file: BinaryIO, offset: int, before: int | None = None) -> bytes | None:
    """The commands of the tick at an offset; None if it can't be read, or says that the segment before it was not `before` bytes long."""
    file.seek(offset)
    match = HEADER.fullmatch(file.readline(LONGEST_HEADER))
    if match is None or (before is not None and match[4] is not None and int(match[4]) != before):
        return None
    return checked(match, file.read(int(match[1])), offset)


def checked(header: re.Match[bytes], data: bytes, offset: int) -> bytes | None:
    """A tick's commands, if they are what its header says."""
    before = -1 if header[4] is None else int(header[4])
    if len(data) < int(header[1]) or crc32(data, _seed(offset, int(header[3]), before)) != int(header[2], 16):
        return None
    return data


def split_stamp(tick: bytes) -> tuple[int | None, bytes]:
    """The time in seconds that a tick begins with, if it says one, and its commands."""
    if not tick.startswith(STAMP):
        return None, tick
    end = tick.index(b"\r\n")
    return int(tick[len(STAMP) : end]), tick[end + 2 :]


def segment_name(path: str, number: int) -> str:
    """The file of a segment."""
    return os.path.join(path, f"{number:010d}.aof")


def segments(path: str) -> list[int]:
    """The numbers of the segments that exist, ascending."""
    return sorted(int(name[:-4]) for name in os.listdir(path) if name.endswith(".aof") and name[:-4].isdigit())
