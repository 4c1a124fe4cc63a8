"""A damaged table doesn't stop LevelDB for ever, and nothing that was lost with it reads as absent or as it was before."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from diskkv.engine.leveldb import LevelEngine, healing, tables
from diskkv.engine.leveldb.healing import file_of
from diskkv.engine.leveldb.losses import NAMES, passes
from diskkv.engine.leveldb.manifest import Table, live_tables
from diskkv.engine.leveldb.tables import TableFile
from diskkv.errors import Damaged

FIRST = int(os.environ.get("DISKKV_DAMAGE_FROM", "1"))
DAMAGES = int(os.environ.get("DISKKV_DAMAGE", "12"))
KEYS = [b"%05d" % number for number in range(4000)]
UNKNOWN = object()
# What `healed` writes.
TOUCHED = {KEYS[0]: b"to have something to write", KEYS[-1]: b"to have something to write"}

Model = dict[bytes, bytes | None]


def opened(tree: Path) -> LevelEngine:
    return LevelEngine(str(tree), block_cache=1 << 20, write_buffer=64 << 10)


def put(engine: LevelEngine, model: Model, changes: Model) -> None:
    batch = engine.batch(sync=False)
    for key, value in changes.items():
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
    engine.write(batch)
    model.update(changes)


def grown(tree: Path, seed: int) -> Model:
    """A tree of several levels with older records below newer ones, deletions among them."""
    random = Random(seed)
    model: Model = {}
    engine = opened(tree)
    put(engine, model, {key: b"oldest " + random.randbytes(40) for key in KEYS if random.random() < 0.8})
    engine.compact(b"", b"\xff")
    for generation in range(random.randrange(2, 7)):
        low = random.randrange(len(KEYS))
        for _ in range(random.randrange(1, 4)):
            chosen = random.sample(KEYS[low : low + 1500], min(400, len(KEYS[low : low + 1500])))
            put(engine, model, {key: None if random.random() < 0.3 else b"%d " % generation + random.randbytes(60) for key in chosen})
        if random.random() < 0.5:
            engine.close()
            engine = opened(tree)
    engine.close()
    return model


def injure(tree: Path, random: Random, part: str) -> Table:
    """Flip a bit in a table: in one of its blocks, or where all of it hangs on it."""
    live = live_tables(str(tree))
    assert live
    table = random.choice(sorted(live.values()))
    file = file_of(str(tree), table.number)
    # The filters and the index take less than a tenth.
    at = random.randrange(table.size * 9 // 10) if part == "block" else table.size - 1 - random.randrange(8)
    data = bytearray(Path(file).read_bytes())
    data[at] ^= 1 << random.randrange(8)
    Path(file).write_bytes(data)
    return table


def healed(tree: Path) -> LevelEngine:
    """The tree's engine, after compactions have met what is damaged."""
    engine = opened(tree)
    for _ in range(20):
        try:
            for _ in range(2):
                put(engine, {}, dict(TOUCHED))
                engine.compact(b"", b"\xff")
            put(engine, {}, dict(TOUCHED))
            return engine
        except Damaged:
            assert engine.diagnose()
            engine.reopen()
    raise AssertionError("it never heals")


def read(engine: LevelEngine, key: bytes) -> object:
    try:
        return engine.get(key)
    except Damaged as error:
        assert ".ldb: the records from" in str(error)
        return UNKNOWN


def agree(engine: LevelEngine, model: Model) -> int:
    """Every look-up and every scan says what the model says, or that it can't; how many look-ups can't."""
    unknown = {key for key in KEYS if answer(engine, key, model) is UNKNOWN}
    present = [(key, value) for key, value in sorted(model.items()) if value is not None]
    for found, expected in (
        (until_damage(engine.scan(b"")), present),
        (until_damage(engine.scan(b"01000", b"02000")), [record for record in present if b"01000" <= record[0] < b"02000"]),
        (until_damage(engine.scan_keys(b"", reverse=True)), [key for key, _ in reversed(present)]),
    ):
        assert found == expected[: len(found)]
        assert unknown or engine.noted_losses() or len(found) == len(expected)
    around = dict(engine.scan_around(b""))
    assert all(around.get(key) == model.get(key) for key in KEYS if key not in unknown)
    return len(unknown)


def answer(engine: LevelEngine, key: bytes, model: Model) -> object:
    found = read(engine, key)
    assert found is UNKNOWN or found == model.get(key), key
    return found


def until_damage(records: Iterator[object]) -> list[object]:
    found = []
    with contextlib.suppress(Damaged):
        for record in records:
            found.append(record)
    return found


@pytest.mark.parametrize("seed", range(FIRST, FIRST + DAMAGES))
def test_what_is_lost_is_an_error_until_it_is_written_anew(tmp_path: Path, seed: int) -> None:
    tree = tmp_path / "tree"
    model = grown(tree, seed)
    random = Random(seed)
    for _ in range(random.randrange(1, 4)):
        injure(tree, random, "footer" if random.random() < 0.2 else "block")
    engine = healed(tree)
    model |= TOUCHED
    assert agree(engine, model) < len(KEYS)
    lost = [key for key in KEYS if read(engine, key) is UNKNOWN]
    put(engine, model, {key: None if number % 2 else b"new" for number, key in enumerate(lost)})
    assert [read(engine, key) for key in lost] == [model[key] for key in lost]
    engine.close()
    engine = opened(tree)
    engine.compact(b"", b"\xff")
    assert agree(engine, model) == 0
    engine.forget(b"00", b"01500")
    engine.forget(b"02500", b"99")
    for key in KEYS[1500:2500]:
        assert read(engine, key) == model.get(key)
    engine.close()
    engine = opened(tree)
    engine.forget(b"", b"99")
    assert not list(engine.holes())
    assert len(list(engine.scan(b""))) == len(list(engine.scan_keys(b"", reverse=True)))
    engine.close()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + DAMAGES))
def test_damage_again_and_again_with_writes_between(tmp_path: Path, seed: int) -> None:
    """Also to what stands for deletions, and to what tells of earlier damage."""
    tree = tmp_path / "tree"
    model = grown(tree, seed)
    random = Random(seed)
    for _ in range(4):
        for _ in range(random.randrange(1, 3)):
            injure(tree, random, "footer" if random.random() < 0.2 else "block")
        engine = healed(tree)
        model |= TOUCHED
        agree(engine, model)
        for _ in range(random.randrange(4)):
            low = random.randrange(len(KEYS) - 1000)
            chosen = random.sample(KEYS[low : low + 1000], 300)
            changes: Model = {key: None if random.random() < 0.4 else random.randbytes(50) for key in chosen}
            put(engine, model, changes)
            assert all(read(engine, key) == value for key, value in changes.items())
        if random.random() < 0.5:
            engine.compact(b"", b"\xff")
        agree(engine, model)
        engine.close()
        engine = opened(tree)
        agree(engine, model)
        engine.close()


def test_a_table_that_has_lost_its_index_loses_no_record(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    model = grown(tree, 3)
    for table in (live_tables(str(tree)) or {}).values():
        file = Path(file_of(str(tree), table.number))
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    engine = healed(tree)
    model |= TOUCHED
    assert agree(engine, model) == 0
    assert not engine.noted_losses()
    engine.close()


def test_a_filter_says_what_was_not_lost(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    engine = opened(tree)
    put(engine, {}, {key: Random(key).randbytes(50) for key in KEYS[::2]})
    engine.compact(b"", b"\xff")
    engine.close()
    injure(tree, Random(1), "block")
    engine = healed(tree)
    ((_, _, _, low, high),) = engine.holes()
    assert low is not None and high is not None
    inside = [key for key in KEYS if low <= key < high]
    assert len(inside) > 40
    assert all(read(engine, key) is UNKNOWN for key in inside if key in KEYS[::2])
    assert sum(read(engine, key) is None for key in inside if key not in KEYS[::2]) > 0.9 * len(inside) / 2
    engine.close()


def test_a_filter_says_what_leveldbs_say(tmp_path: Path) -> None:
    """Keys of every length up to some words of the hash, with bytes of all kinds."""
    random = Random(1)
    keys = [random.randbytes(1 + number % 21) for number in range(500)]
    tree = tmp_path / "tree"
    engine = opened(tree)
    put(engine, {}, dict.fromkeys(keys, b"value"))
    engine.compact(b"", b"\xff")
    engine.close()
    (table,) = (live_tables(str(tree)) or {}).values()
    seen = 0
    with TableFile(file_of(str(tree), table.number), table.size) as whole:
        for place in whole.index(table):
            bits = whole.filter_of(place)
            assert bits
            for key, _ in whole.entries(place):
                assert passes(bits, key[:-8])
                seen += 1
            assert sum(passes(bits, random.randbytes(12)) for _ in range(1000)) < 50
    assert seen == len(set(keys))


def test_a_newer_record_is_served_and_an_older_one_is_not(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    model: Model = {}
    engine = opened(tree)
    for text in (b"oldest", b"lost"):
        put(engine, model, dict.fromkeys(KEYS[:1000], text * 10))
        engine.compact(b"", b"\xff")
        # What is compacted with nothing below it sinks no further.
        put(engine, model, {b"a" + key: text for key in KEYS[:10]})
        engine.close()
        engine = opened(tree)
    put(engine, model, dict.fromkeys(KEYS[:1000:3], b"newer"))
    engine.close()
    lowest = max((live_tables(str(tree)) or {}).values(), key=lambda table: table.size)
    file = Path(file_of(str(tree), lowest.number))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    data[100] ^= 1
    file.write_bytes(data)
    engine = healed(tree)
    for number, key in enumerate(KEYS[1:1000], 1):
        assert read(engine, key) == b"newer" if number % 3 == 0 else read(engine, key) is UNKNOWN
    engine.close()


@pytest.mark.parametrize("injured", [(0,), (1,), (0, 1)])
def test_the_notes_are_kept_twice(tmp_path: Path, injured: tuple[int, ...]) -> None:
    tree = tmp_path / "tree"
    model = grown(tree, 1)
    injure(tree, Random(1), "block")
    healed(tree).close()
    model |= TOUCHED
    whole = (tree / NAMES[0]).read_bytes()
    for number in injured:
        (tree / NAMES[number]).write_bytes(whole[:100] + b"x" + whole[101:])
    if len(injured) == 2:
        with pytest.raises(Damaged, match="HOLES"):
            opened(tree)
        return
    engine = opened(tree)
    assert agree(engine, model)
    engine.close()
    assert [(tree / name).read_bytes() for name in NAMES] == [whole, whole]


def test_a_copy_knows_what_is_lost(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    model = grown(tree, 1)
    injure(tree, Random(1), "block")
    engine = healed(tree)
    model |= TOUCHED
    engine.copy(str(tmp_path / "copy"))
    unknown = agree(engine, model)
    engine.close()
    copy = opened(tmp_path / "copy")
    assert agree(copy, model) == unknown > 0
    copy.close()


@pytest.mark.parametrize("moment", ["noted", "replaced", "torn"])
def test_a_power_cut_while_a_table_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Notes without a new table, a new table that no manifest knows, and half an edit."""
    tree = tmp_path / "tree"
    model = grown(tree, 1)
    injure(tree, Random(1), "block")

    class Cut(Exception):
        pass

    def cut(path: str, what: bytes | int) -> None:
        if moment == "torn":
            assert isinstance(what, bytes)
            manifest = max(tree.glob("MANIFEST-*"))
            manifest.write_bytes(manifest.read_bytes() + what[: len(what) // 2])
        raise Cut

    monkeypatch.setattr(healing, "_keep" if moment == "noted" else "_append", cut)
    with pytest.raises(Cut):
        healed(tree)
    monkeypatch.undo()
    engine = healed(tree)
    model |= TOUCHED
    assert agree(engine, model)
    assert not list(tree.glob("*.mended"))
    engine.close()


def test_a_table_that_is_compacted_while_holes_are_looked_for_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    grown(tree, 1)
    live = live_tables(str(tree))
    assert live
    table = max(live.values())
    monkeypatch.setattr(tables, "live_tables", lambda path: {**live, 999_999: table._replace(number=999_999)})
    names = [*os.listdir(tree), "999999.ldb"]
    monkeypatch.setattr("os.listdir", lambda path: names)
    assert list(tables.holes(str(tree))) == []


def test_what_the_system_cannot_read_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come back, unlike what was read and is wrong."""
    tree = tmp_path / "tree"
    model = grown(tree, 1)
    injure(tree, Random(1), "block")
    pread = os.pread

    def failing(handle: int, size: int, offset: int) -> bytes:
        if 5000 < offset < 10_000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(handle, size, offset)

    engine = opened(tree)
    with monkeypatch.context() as patch:
        patch.setattr("os.pread", failing)
        assert list(engine.holes())
        assert not engine.diagnose()
        engine.reopen()
    assert not engine.noted_losses()
    assert engine.diagnose()
    engine.reopen()
    assert engine.noted_losses()
    assert agree(engine, model)
    engine.close()
