"""The log by itself: what is read of it after bytes were lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from diskkv.errors import Damaged
from diskkv.store.cuts import KEPT, torn
from diskkv.store.log import FIRST, Log, LogReader, segment_name
from diskkv.store.marks import NAME, read_mark
from tests.support.contents import copy_of
from tests.support.runner import Runner


def written(path: Path, *, synced: bool) -> list[int]:
    """Three segments of five ticks each; their sizes. Not even the system knows what is on the disk, unless `synced`."""
    log = Log(str(path), "no")
    log.create()
    log.start(FIRST)
    sizes = []
    for segment in range(3):
        if segment:
            log.prepare()
            log.rotate()
        for number in range(5):
            log.parts.append((b"SET", b"key", b"%d" % (5 * segment + number)))
            log.commit()
            if synced:
                log.sync()
        sizes.append(log.position().offset)
    log.close()
    if not synced:
        # Closing puts all on the disk.
        os.unlink(path / NAME)
    return sizes


def ticks(reader: LogReader) -> list[int]:
    return [int(tick.split(b"\r\n")[-2]) for tick in reader]


def test_a_segment_that_lost_its_end_ends_the_log(tmp_path: Path) -> None:
    """The system may have written the third segment, and of the second only two ticks."""
    sizes = written(tmp_path, synced=False)
    for lost in range(1, sizes[1] + 1):
        os.truncate(segment_name(str(tmp_path), 2), sizes[1] - lost)
        reader = LogReader(str(tmp_path), FIRST)
        found = ticks(reader)
        assert found == list(range(len(found)))
        assert len(found) < 10
        assert reader.end.segment == 2


def test_a_segment_that_lost_its_synced_end_is_damage(tmp_path: Path) -> None:
    sizes = written(tmp_path, synced=True)
    os.truncate(segment_name(str(tmp_path), 2), sizes[1] // 2)
    with pytest.raises(Damaged):
        ticks(LogReader(str(tmp_path), FIRST))


def test_going_on_after_a_loss_leaves_a_log_that_can_be_read(tmp_path: Path) -> None:
    sizes = written(tmp_path, synced=False)
    os.truncate(segment_name(str(tmp_path), 2), sizes[1] - 1)
    reader = LogReader(str(tmp_path), FIRST)
    assert ticks(reader) == list(range(9))
    log = Log(str(tmp_path), "no")
    log.start(reader.end, reader.before)
    log.parts.append((b"SET", b"key", b"9"))
    log.commit()
    log.close()
    reader = LogReader(str(tmp_path), FIRST)
    assert ticks(reader) == list(range(10))
    assert reader.end.offset == os.path.getsize(segment_name(str(tmp_path), reader.end.segment))


def test_an_empty_segment_knows_how_long_the_one_before_it_was(tmp_path: Path) -> None:
    """A process dies right after it has gone on in a new segment; the next one writes there; then the old one loses its end."""
    sizes = written(tmp_path, synced=False)
    os.truncate(segment_name(str(tmp_path), 3), 0)
    reader = LogReader(str(tmp_path), FIRST)
    assert ticks(reader) == list(range(10))
    log = Log(str(tmp_path), "no")
    log.start(reader.end, reader.before)
    log.parts.append((b"SET", b"key", b"10"))
    log.commit()
    log.close()
    os.truncate(segment_name(str(tmp_path), 2), sizes[1] // 2)
    with open(segment_name(str(tmp_path), 3), "rb") as file:
        assert file.readline().split()[3:] == [b"0", b"%d" % sizes[1]]
    with pytest.raises(Damaged, match="was on the disk up to"):
        ticks(LogReader(str(tmp_path), FIRST))
    os.unlink(tmp_path / NAME)
    assert len(ticks(LogReader(str(tmp_path), FIRST))) < 10


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Path]:
    """The log of a store that was killed under `always`, with nothing in the tree: two segments, the second made ready."""
    run = Runner(tmp_path / "store", appendfsync="always")
    for number in range(10):
        run("SET", f"key{number}", "x" * 700)
    with run.executor.store.lock:
        run.executor.store.log.prepare()
        copy = copy_of(tmp_path / "store", tmp_path / "killed")
    yield copy / "log"
    run.close()


def last_tick(log: Path) -> tuple[Path, int]:
    """The segment that has something in it, and where its last tick begins."""
    segment = max(log.glob("*.aof"), key=lambda file: file.stat().st_size)
    return segment, segment.read_bytes().rindex(b"#T ")


def reopened(log: Path) -> Runner:
    return Runner(log.parent)


def test_the_mark_says_how_much_was_synced(killed: Path) -> None:
    segment, _ = last_tick(killed)
    assert read_mark(str(killed)) == (int(segment.stem), segment.stat().st_size)


@pytest.mark.parametrize("place", [3, 10, 40, 300, -1])
@pytest.mark.parametrize("marked", [True, False])
def test_a_last_tick_that_was_acknowledged_is_not_cut_off(killed: Path, place: int, marked: bool) -> None:
    segment, at = last_tick(killed)
    data = bytearray(segment.read_bytes())
    data[at + place if place >= 0 else place] ^= 1
    segment.write_bytes(data)
    if not marked:
        (killed / NAME).unlink()
    if marked or place != 3:
        with pytest.raises(Damaged, match=r"last tick, at offset|was on the disk"):
            reopened(killed)
        assert segment.read_bytes() == data
        return
    # Its first line is not one, so it may have been torn, for all that is known: it is kept.
    run = reopened(killed)
    assert run("EXISTS", "key8", "key9") == 1
    (kept,) = killed.glob("*.cut")
    assert kept.read_bytes() == data[at:]
    assert f"log_cut_bytes:{len(data) - at}".encode() in run("INFO", "persistence").text
    run.close()


def test_a_log_that_has_lost_its_end_behind_the_back_of_the_mark_is_refused(killed: Path) -> None:
    segment, at = last_tick(killed)
    os.truncate(segment, at)
    with pytest.raises(Damaged, match="was on the disk up to offset"):
        reopened(killed)
    (killed / NAME).unlink()
    run = reopened(killed)
    assert run("EXISTS", "key8", "key9") == 1
    run.close()


def test_a_last_segment_that_is_gone_is_refused(tmp_path: Path) -> None:
    written(tmp_path, synced=True)
    os.unlink(segment_name(str(tmp_path), 3))
    with pytest.raises(Damaged, match="of segment 3"):
        ticks(LogReader(str(tmp_path), FIRST))


@pytest.mark.parametrize("damage", [b"", b"garbage", b"0000000001 0000000000000100 00000000\n"])
def test_a_mark_that_cannot_be_read_proves_nothing(killed: Path, damage: bytes) -> None:
    (killed / NAME).write_bytes(damage)
    run = reopened(killed)
    assert run("DBSIZE") == 10
    run.close()


@pytest.mark.parametrize("left", ["half of it", "its first sectors", "its last sectors", "its size"])
def test_a_torn_last_tick_is_cut_off_and_kept(killed: Path, left: str) -> None:
    segment, at = last_tick(killed)
    data = bytearray(segment.read_bytes())
    edge = (at // 512 + 1) * 512
    match left:
        case "half of it":
            del data[at + 400 :]
        case "its first sectors":
            data[edge:] = bytes(len(data) - edge)
        case "its last sectors":
            data[at:edge] = bytes(edge - at)
        case "its size":
            data[at:] = bytes(len(data) - at)
    segment.write_bytes(data)
    (killed / NAME).unlink()
    run = reopened(killed)
    assert run("EXISTS", "key8", "key9") == 1
    kept = list(killed.glob("*.cut"))
    assert [file.read_bytes() for file in kept] == ([] if left == "its size" else [data[at:]])
    run.close()


def test_only_the_last_ends_are_kept(killed: Path) -> None:
    for number in range(KEPT + 3):
        run = reopened(killed)
        run("SET", "again", number)
        with run.executor.store.lock:
            copy = copy_of(killed.parent, killed.parent.parent / f"killed{number}")
        run.close()
        killed = copy / "log"
        segment, _ = last_tick(killed)
        with segment.open("ab") as file:
            file.write(b"#T 100 half a tick")
        (killed / NAME).unlink()
    reopened(killed).close()
    assert len(list(killed.glob("*.cut"))) == KEPT


def test_what_a_file_has_grown_by_and_was_not_written_is_told_from_what_was() -> None:
    data = bytes(range(1, 256)) * 10
    assert not torn(data, 0)
    assert not torn(data, 300)
    for offset in (0, 300):
        for low in (512 - offset, 1024 - offset):
            assert torn(data[:low] + bytes(512) + data[low + 512 :], offset)
    assert torn(data + bytes(100), 512 - len(data) % 512)
