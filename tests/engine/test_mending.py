"""LevelDB's files after a loss of power: torn ends are cut, damage is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from diskkv.engine.leveldb import LevelEngine
from diskkv.engine.leveldb.tables import holes
from diskkv.errors import Damaged


def grown(path: Path, count: int) -> Path:
    """A database of `count` batches, closed; its log."""
    engine = LevelEngine(str(path), block_cache=1 << 20, write_buffer=4 << 20)
    for number in range(count):
        batch = engine.batch(sync=True)
        # incompressible enough that the log's blocks hold a few batches each, and some go over blocks' borders
        batch.put(b"%04d" % number, bytes((number * 7 + at * at) % 251 for at in range(9000)))
        engine.write(batch)
    engine.close()
    return max(path.glob("*.log"))


def opened(path: Path) -> list[bytes]:
    engine = LevelEngine(str(path), block_cache=1 << 20, write_buffer=4 << 20)
    try:
        return list(engine.scan_keys(b""))
    finally:
        engine.close()


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"\xff" * 100, b"\x01\x02\x03" * 40])
def test_a_torn_end_is_cut_off(tmp_path: Path, garbage: bytes) -> None:
    log = grown(tmp_path / "tree", 20)
    data = log.read_bytes()
    torn = bytearray(data)
    torn[-5000 : -5000 + len(garbage)] = garbage
    log.write_bytes(bytes(torn))
    assert opened(tmp_path / "tree") == [b"%04d" % number for number in range(19)]


def test_an_end_that_is_not_there_is_no_damage(tmp_path: Path) -> None:
    log = grown(tmp_path / "tree", 20)
    log.write_bytes(log.read_bytes()[:-3000])
    assert opened(tmp_path / "tree") == [b"%04d" % number for number in range(19)]


def test_zeros_at_the_end_are_no_damage(tmp_path: Path) -> None:
    log = grown(tmp_path / "tree", 20)
    log.write_bytes(log.read_bytes() + bytes(100_000))
    assert opened(tmp_path / "tree") == [b"%04d" % number for number in range(20)]


@pytest.mark.parametrize("at", [200, 5000, 32768, 40000, 65536])
def test_damage_in_the_middle_is_refused(tmp_path: Path, at: int) -> None:
    log = grown(tmp_path / "tree", 20)
    data = bytearray(log.read_bytes())
    data[at : at + 4096] = bytes(4096)
    log.write_bytes(bytes(data))
    with pytest.raises(Damaged, match="proves that it was on the disk"):
        opened(tmp_path / "tree")
    assert log.read_bytes() == bytes(data), "what is refused is left as it is"


def test_whole_blocks_of_zeros_are_not_skipped_in_silence(tmp_path: Path) -> None:
    """LevelDB by itself opens this, without a word and without the batches that were there."""
    log = grown(tmp_path / "tree", 20)
    data = bytearray(log.read_bytes())
    data[32768:65536] = bytes(32768)
    log.write_bytes(bytes(data))
    with pytest.raises(Damaged):
        opened(tmp_path / "tree")


def test_a_torn_manifest_is_cut_off(tmp_path: Path) -> None:
    grown(tmp_path / "tree", 20)
    manifest = max((tmp_path / "tree").glob("MANIFEST-*"))
    manifest.write_bytes(manifest.read_bytes() + b"\x11\x22\x33\x44\x10\x00\x01garbage that has no checksum")
    assert opened(tmp_path / "tree") == [b"%04d" % number for number in range(20)]


def test_a_table_whose_name_was_lost_is_made_again(tmp_path: Path) -> None:
    """The manifest was written before the directory was synced, and what the table was made of is still there."""
    tree = tmp_path / "tree"
    grown(tree, 20)
    before = {path.name: path.read_bytes() for path in tree.iterdir()}
    # Opening makes a table of the log, and a new manifest; then the log and the old manifest go.
    opened(tree)
    table = max(tree.glob("*.ldb"))
    manifest = max(tree.glob("MANIFEST-*"))
    kept = manifest.read_bytes()
    for name, data in before.items():
        (tree / name).write_bytes(data)
    # As if it had been one more edit of the old manifest.
    old = next(name for name in before if name.startswith("MANIFEST-"))
    assert not (tree / old).read_bytes().startswith(kept)
    (tree / old).write_bytes((tree / old).read_bytes() + kept)
    assert (tree / "CURRENT").read_text().strip() == old
    table.unlink()
    assert opened(tree) == [b"%04d" % number for number in range(20)]


def test_a_table_that_was_lost_later_is_damage(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    grown(tree, 20)
    opened(tree)
    max(tree.glob("*.ldb")).unlink()
    with pytest.raises(Damaged, match="missing"):
        opened(tree)


def test_a_table_in_the_place_of_another_is_found(tmp_path: Path) -> None:
    for name in (b"one", b"two"):
        engine = LevelEngine(str(tmp_path / name.decode()), block_cache=1 << 20, write_buffer=4 << 20)
        batch = engine.batch(sync=True)
        for number in range(1000):
            batch.put(name + b"%04d" % number, b"value")
        engine.write(batch)
        engine.compact(b"", b"\xff")
        engine.close()
    (one,), (two,) = ((tmp_path / name).glob("*.ldb") for name in ("one", "two"))
    assert list(holes(str(one.parent))) == []
    assert one.stat().st_size == two.stat().st_size
    one.write_bytes(two.read_bytes())
    ((file, offset, size, low, high),) = holes(str(one.parent))
    assert (file, offset, size, low, high) == (str(one), 0, one.stat().st_size, b"one0000", b"one0999")


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_tells_of_damage_where_nothing_follows(tmp_path: Path, place: str, reverse: bool) -> None:
    """plyvel by itself takes the end of what can be read for the end of all."""
    tree = tmp_path / "tree"
    grown(tree, 20)
    opened(tree)
    table = max(tree.glob("*.ldb"))
    whole = table.read_bytes()
    edge = b"0000" if place == "first" else b"0019"
    for at in range(0, len(whole), 50):
        table.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        found = list(holes(str(tree)))
        if found and found[0].size < len(whole) and (found[0].low is None if place == "first" else found[0].high >= edge):
            break
    else:
        raise AssertionError("no such block")
    assert list(holes(str(tree)))
    engine = LevelEngine(str(tree), block_cache=1 << 20, write_buffer=4 << 20)
    try:
        for start, stop in ((b"", None), (b"", b"9999"), (b"0019", b"0020"), (b"0000", b"0001")):
            hit = stop is None or stop == b"9999" or (start == b"0000") is (place == "first")
            for scan in (engine.scan, engine.scan_keys):
                if hit:
                    with pytest.raises(Damaged):
                        list(scan(start, stop, reverse=reverse))
    finally:
        engine.close()
