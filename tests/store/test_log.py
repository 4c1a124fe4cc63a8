"""The log by itself: what is read of it after bytes were lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diskkv.errors import Damaged
from diskkv.store.log import FIRST, Log, LogReader, segment_name


def written(path: Path, *, synced: bool) -> list[int]:
    """Three segments of five ticks each; their sizes."""
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
        assert reader.dropped >= sizes[2]


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
    assert reader.dropped == 0


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
    assert len(ticks(LogReader(str(tmp_path), FIRST))) < 10
