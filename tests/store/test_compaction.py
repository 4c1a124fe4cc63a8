"""The space of what was deleted comes back, and little else is rewritten for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from diskkv.format import keys
from diskkv.store import compaction
from diskkv.store.reclaim import LAST
from tests.support.engines import Around
from tests.support.runner import Runner

PIECE = 100_000
SETS = 60


class Noting(Around):
    """Writes down what is compacted."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.compacted: list[tuple[bytes, bytes]] = []

    def compact(self, start: bytes, stop: bytes) -> None:
        self.compacted.append((start, stop))
        super().compact(start, stop)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    monkeypatch.setattr(compaction, "PIECE", PIECE)
    monkeypatch.setattr(compaction, "LEAST", PIECE // 8)
    runner = Runner(tmp_path / "store", wrap=Noting)
    yield runner
    runner.close()


def engine(run: Runner) -> Noting:
    found = run.executor.store.engine
    assert isinstance(found, Noting)
    return found


def members(count: int) -> list[bytes]:
    random = Random(count)
    return [random.randbytes(32) for _ in range(count)]


def settle(run: Runner) -> list[tuple[bytes, bytes]]:
    """Have everything reach the engine and everything dead be deleted; what was compacted meanwhile."""
    run.checkpoint()
    writer = run.executor.store.writer
    before = len(engine(run).compacted)
    while writer.reclaimer.pending():
        writer._wake.set()
    return engine(run).compacted[before:]


def taken(run: Runner, prefix: bytes = b"D") -> int:
    """Bytes of the tables that a range takes, once nothing is left in LevelDB's log."""
    found = engine(run)
    found.inner.compact(b"", b"\0")
    return found.approximate_size(prefix, keys.after(prefix))


def test_a_range_is_left_alone_while_little_of_it_is_dead(run: Runner) -> None:
    for number in range(SETS):
        run("SADD", f"s{number}", *members(300))
    run.checkpoint()
    engine(run).inner.compact(b"", LAST)
    whole = taken(run)
    assert whole > 5 * PIECE
    for number in range(0, SETS // 5, 2):
        run("DEL", f"s{number * 5}")
        assert settle(run) == []
    for number in range(0, SETS, 2):
        run("DEL", f"s{number}")
    compacted = settle(run)
    assert len(compacted) > 2
    assert all(first[1] == second[0] for first, second in pairwise(compacted))
    assert taken(run) < 0.6 * whole


def test_a_great_object_is_compacted_in_pieces_and_nothing_else_is(run: Runner) -> None:
    for number in range(SETS):
        run("SADD", f"s{number}", *members(300))
        if number == SETS // 2:
            run("SADD", "great", *members(8_000))
    run.checkpoint()
    engine(run).inner.compact(b"", LAST)
    whole = taken(run)
    great = run.executor.store.databases[0].find(b"great")
    assert great is not None
    prefix = keys.data_prefix(great.oid)
    assert taken(run, prefix) > 2.5 * PIECE
    run("DEL", "great")
    compacted = settle(run)
    assert len(compacted) > 1
    assert all(prefix <= low < high <= keys.after(prefix) for low, high in compacted)
    # A block that ends where the object began may count as its own.
    assert taken(run, prefix) < 5_000
    assert taken(run) > whole / 2


def test_a_range_is_cut_into_pieces() -> None:
    random = Random(7)
    places = sorted(random.randbytes(12) for _ in range(1000))

    def size(low: bytes, high: bytes) -> int:
        return sum(5_000 for place in places if low <= place < high)

    pieces = list(compaction.cut(size, b"", LAST))
    assert (pieces[0][0], pieces[-1][1]) == (b"", LAST)
    assert all(one[1] == other[0] for one, other in pairwise(pieces))
    assert sum(size(*piece) for piece in pieces) == 5_000_000
    assert list(compaction.cut(lambda low, high: 1 << 40, b"a", b"a\0")) == [(b"a", b"a\0")]
