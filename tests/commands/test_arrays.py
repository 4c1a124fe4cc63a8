"""Arrays, of which the oracle knows nothing: as Redis 8.8 documents them and its source has them."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from random import Random
from typing import Any

import pytest

from diskkv.errors import CommandError
from diskkv.rdb.checksum import crc64
from diskkv.replies import OK
from diskkv.transfer.values import content_of, put
from diskkv.types.arrays import Array
from tests.commands.test_notifications import Ear
from tests.support.contents import contents
from tests.support.oracle import plain
from tests.support.runner import Runner
from tests.support.whereabouts import HOW, settle

LAST = 2**64 - 2


def error(reply: Any) -> str:
    assert isinstance(reply, CommandError), reply
    return reply.text


SIZE = pytest.mark.parametrize("size", [7, 700])


@HOW
@SIZE
def test_by_index(run: Runner, size: int, how: str) -> None:
    assert run("ARSET", "a", 10, *range(size)) == size
    assert run("ARMSET", "a", 10, "first", LAST, "last", 3, "") == 2
    settle(run, how)
    assert [run("ARGET", "a", index) for index in (3, 9, 10, 11, LAST)] == [b"", None, b"first", b"1", b"last"]
    assert run("ARMGET", "a", LAST, 4, 11) == [b"last", None, b"1"]
    assert (run("ARCOUNT", "a"), run("ARLEN", "a")) == (size + 2, LAST + 1)
    assert run("ARGETRANGE", "a", 9, 11) == [None, b"first", b"1"]
    assert run("ARGETRANGE", "a", 11, 9) == [b"1", b"first", None]
    assert run("ARGETRANGE", "a", LAST, LAST - 1) == [b"last", None]
    assert run("ARSCAN", "a", 0, 11) == [[3, b""], [10, b"first"], [11, b"1"]]
    assert run("ARSCAN", "a", LAST, 0, "LIMIT", 2) == [[LAST, b"last"], [size + 9, b"%d" % (size - 1)]]
    assert run("ARDEL", "a", LAST, LAST, 9) == 1
    settle(run, how)
    assert run("ARLEN", "a") == size + 10
    assert run("ARDELRANGE", "a", 5, 12, 13, 11, 0, 0) == 4
    assert run("ARSCAN", "a", 0, 15) == [[3, b""], [14, b"4"], [15, b"5"]]
    settle(run, how)
    assert run("ARDELRANGE", "a", LAST, 4) == size - 4
    assert run("ARDELRANGE", "a", 0, LAST, 0, LAST) == 1
    assert run("EXISTS", "a") == 0
    assert plain(run("TYPE", "a")) == b"none"


def test_what_is_not_there(run: Runner) -> None:
    for words in ("ARGET a 1", "ARNEXT a", "ARLEN a", "ARCOUNT a", "ARDEL a 1", "ARDELRANGE a 1 2", "ARSEEK a 5", "AROP a 0 9 USED"):
        assert run(*words.split()) == (None if words == "ARGET a 1" else 0), words
    assert run("ARMGET", "a", 1, 2) == [None, None]
    assert run("ARGETRANGE", "a", 2, 0) == [None] * 3
    assert [run(*words.split()) for words in ("ARSCAN a 0 9", "ARGREP a - + EXACT x", "ARLASTITEMS a 9")] == [[], [], []]
    assert [run("AROP", "a", 0, 9, name) for name in ("SUM", "MIN", "MAX", "AND", "OR", "XOR")] == [None] * 6
    assert run("AROP", "a", 0, 9, "MATCH", "x") == 0
    assert error(run("ARINFO", "a")) == "no such key"
    assert run("EXISTS", "a") == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        *((f"{name}", "invalid array index") for name in (
            "ARGET a x", "ARGET a -1", "ARGET a 18446744073709551615", "ARMGET a 1 x", "ARSET a 1.5 v", "ARMSET a 1 v x v", "ARDEL a 1 x",
            "ARDELRANGE a 1 x", "ARGETRANGE a x 1", "ARGETRANGE a 1 x", "ARSCAN a 0 x", "ARGREP a * + EXACT v", "AROP a x 0 SUM",
            "ARSEEK a 18446744073709551616", "ARGREP a 0 -1 EXACT v",
        )),
        ("ARSET a 18446744073709551614 v w", "array index overflow"),
        ("ARMSET a 1 v 2", "wrong number of arguments for 'armset' command"),
        ("ARDELRANGE a 1 2 3", "wrong number of arguments for 'ardelrange' command"),
        ("ARGETRANGE a 0 1000000", "range exceeds maximum of 1000000 items"),
        ("ARSCAN a 0 9 LIMIT", "wrong number of arguments for 'arscan' command"),
        ("ARSCAN a 0 9 COUNT 3", "syntax error"),
        ("ARSCAN a 0 9 LIMIT x", "value is not an integer or out of range"),
        ("ARSCAN a 0 9 LIMIT 0", "LIMIT must be positive"),
        ("ARRING a x v", "invalid size"),
        ("ARRING a 0 v", "size must be positive"),
        ("ARLASTITEMS a x", "invalid COUNT"),
        ("ARLASTITEMS a 1 FWD", "syntax error"),
        ("ARLASTITEMS a 1 REV REV", "wrong number of arguments for 'arlastitems' command"),
        ("ARINFO a FULLER", "syntax error"),
        ("ARINFO a FULL FULL", "syntax error"),
        ("AROP a 0 9 AVG", "unknown operation"),
        ("AROP a 0 9 MATCH", "MATCH requires a value argument"),
        ("AROP a 0 9 MATCH x y", "MATCH requires a value argument"),
        ("AROP a 0 9 SUM x", "wrong number of arguments for 'arop' command"),
        ("ARGREP a - + EXACT", "wrong number of arguments for 'argrep' command"),
        ("ARGREP a - + AND OR", "syntax error"),
        ("ARGREP a - + EXACT x MATCH", "syntax error"),
        ("ARGREP a - + EXACT x LIMIT", "syntax error"),
        ("ARGREP a - + LIMIT -1 NONE", "LIMIT must be positive"),
        ("ARGREP a - + LIMIT x NONE", "value is not an integer or out of range"),
        ("ARGREP a - + RE (", "invalid regular expression: Missing ')'"),
        ("ARGREP a - + RE ( NONE x", "syntax error"),
        ("ARGREP a - + RE (a)\\1", "regular expression backreferences are not supported"),
        ("ARGREP a - + RE \\1", "invalid regular expression: Invalid back reference"),
    ],
)  # fmt: skip
def test_errors(run: Runner, words: str, text: str) -> None:
    """They come before anything is looked at, but for what another type holds; nothing is changed."""
    run("ARSET", "a", 0, "v")
    before = contents(run.executor.store)
    assert error(run(*words.split())) == text
    assert contents(run.executor.store) == before
    if words.split()[0] not in ("ARGET", "ARMGET"):
        run("SET", "a", "string")
        assert error(run(*words.split())) in (text, "Operation against a key holding the wrong kind of value"), words


def test_indexes_in_many_digits(run: Runner) -> None:
    assert error(run("ARSET", "a", "9" * 6000, "v")) == error(run("ARSET", "a", "-" + "9" * 6000, "v")) == "invalid array index"
    assert run("ARSET", "a", "0" * 6000 + "7", "v") == 1
    assert run("ARGET", "a", 7) == b"v"


def test_other_types(run: Runner) -> None:
    run("SET", "s", 1)
    run("ARSET", "a", 1, 1)
    for words in (
        "ARGET s x", "ARMGET s x", "ARSET s 1 v", "ARMSET s 1 v", "ARDEL s 1", "ARDELRANGE s 1 2", "ARLEN s", "ARCOUNT s",
        "ARGETRANGE s 1 2",
        "ARINSERT s v", "ARRING s 3 v", "ARNEXT s", "ARSEEK s 1", "ARLASTITEMS s 1", "ARINFO s", "ARSCAN s 0 1", "ARGREP s - + EXACT v",
        "AROP s 0 1 SUM", "GET a", "LPUSH a v", "HSET a f v", "XLEN a",
    ):  # fmt: skip
        reply = run(*words.split())
        assert isinstance(reply, CommandError) and reply.code == "WRONGTYPE", words
    assert error(run("ARGETRANGE", "s", 0, 10**6)) != "range exceeds maximum of 1000000 items"
    assert run("ARLASTITEMS", "s", 0) == []


def test_too_much_of_argrep(run: Runner) -> None:
    run("ARSET", "a", 0, "v")
    assert error(run("ARGREP", "a", "-", "+", *["EXACT", "x"] * 251)) == "too many predicates, maximum is 250"
    assert run("ARGREP", "a", "-", "+", *["EXACT", "x"] * 249, "EXACT", "v") == [0]
    assert error(run("ARGREP", "a", "-", "+", "RE", "x" * 2049)) == "regular expression is too long, maximum is 2048 bytes"
    assert run("ARGREP", "a", "-", "+", "RE", "x" * 2048) == []
    assert error(run("ARGREP", "a", "-", "+", "RE", "")) == "regular expression is empty"


@HOW
def test_inserting(run: Runner, how: str) -> None:
    assert run("ARINSERT", "a", "x", "y") == 1
    assert run("ARNEXT", "a") == 2
    assert run("ARSEEK", "a", 500) == 1
    settle(run, how)
    assert run("ARNEXT", "a") == 500
    assert run("ARINSERT", "a", *range(300)) == 799
    settle(run, how)
    assert run("ARNEXT", "a") == 800
    assert run("ARGETRANGE", "a", 499, 501) == [None, b"0", b"1"]
    assert run("ARLASTITEMS", "a", 2) == [b"298", b"299"]
    assert run("ARLASTITEMS", "a", 2, "rev") == [b"299", b"298"]
    assert run("ARSEEK", "a", 0) == 1
    assert run("ARNEXT", "a") == 0
    assert run("ARINSERT", "a", "z") == 0
    assert run("ARGETRANGE", "a", 0, 1) == [b"z", b"y"]
    # From the first index it goes on at the end.
    assert run("ARLASTITEMS", "a", 3) == [b"298", b"299", b"z"]
    # Indexes without an element count, too; there are no more than there are elements.
    run("ARDEL", "a", 799)
    assert run("ARLASTITEMS", "a", 3) == [b"297", b"298", b"z"]
    run("ARDEL", "a", 797)
    assert run("ARLASTITEMS", "a", 3) == [None, b"298", b"z"]
    assert len(run("ARLASTITEMS", "a", 10**9)) == run("ARCOUNT", "a") == 300


def test_the_end_of_the_indexes(run: Runner) -> None:
    run("ARSET", "a", 0, "v")
    run("ARSEEK", "a", LAST)
    assert error(run("ARINSERT", "a", "x", "y")) == "insert index overflow"
    assert run("ARINSERT", "a", "x") == LAST
    assert run("ARNEXT", "a") is None
    assert error(run("ARINSERT", "a", "y")) == "insert index overflow"
    assert run("ARINFO", "a")[b"next-insert-index"] == 0
    run("ARSEEK", "a", LAST + 1)
    run.reopen()
    assert run("ARNEXT", "a") is None
    assert run("ARLASTITEMS", "a", 9) == [None, b"x"]
    assert run("ARRING", "a", 2**63 - 1, "r") == 1


class Ring:
    """What ARRING does, by its description: positions of a list."""

    def __init__(self) -> None:
        self.slots: dict[int, bytes] = {}
        self.cursor: int | None = None

    def ring(self, size: int, values: list[bytes]) -> int:
        span = max(self.slots, default=-1) + 1
        following = 0 if self.cursor is None else self.cursor + 1
        if size < span or (size > span and self.cursor is not None and following < span):
            kept: list[bytes] = []
            at = span - 1 if self.cursor is None else self.cursor % span
            while len(kept) < min(size, span) and at in self.slots:
                kept.insert(0, self.slots[at])
                at = (at - 1) % span
            self.slots = dict(enumerate(kept))
            self.cursor = len(kept) - 1 if kept else None
        last = 0
        for value in values:
            last = (0 if self.cursor is None else self.cursor + 1) % size
            self.slots[last] = value
            self.cursor = last
        return last


@pytest.mark.parametrize("seed", range(6))
def test_rings(run: Runner, seed: int) -> None:
    random = Random(seed)
    ring = Ring()
    ring.ring(5, [b"first"])
    run("ARRING", "r", 5, "first")
    for number in range(150):
        size = random.choice((3, 5, 5, 5, 20, 150, 400))
        values = [b"%d-%d" % (number, at) for at in range(random.choice((1, 1, 2, 7, 90)))]
        assert run("ARRING", "r", size, *values) == ring.ring(size, values)
        if random.random() < 0.2:
            index = random.choice((0, 1, 7, 1000))
            run("ARSEEK", "r", index)
            ring.cursor = index - 1 if index else None
        if random.random() < 0.2 and len(ring.slots) > 1:
            index = random.choice(sorted(ring.slots))
            run("ARDEL", "r", index)
            del ring.slots[index]
        if random.random() < 0.1:
            settle(run, random.choice(("evicted", "reopened")))
        assert run("ARSCAN", "r", 0, LAST) == [list(pair) for pair in sorted(ring.slots.items())]
        assert run("ARNEXT", "r") == (0 if ring.cursor is None else ring.cursor + 1)


@pytest.mark.parametrize("seed", range(4))
def test_against_a_dict(run: Runner, seed: int) -> None:
    """Anything by index, through evictions, checkpoints and reopening, small and large."""
    random = Random(seed)
    model: dict[int, bytes] = {}
    for _ in range(400):
        start = random.choice((random.randrange(600), random.randrange(600), 1 << 40, LAST - 40))
        stop = random.choice((min(start + random.randrange(80), LAST), random.randrange(600)))
        match random.randrange(9):
            case 0 | 1 | 2:
                values = [random.randbytes(random.choice((3, 40, 700))) for _ in range(random.choice((1, 1, 30)))]
                new = sum(start + at not in model for at in range(len(values)))
                assert run("ARSET", "a", start, *values) == new
                model.update(enumerate(values, start))
            case 3:
                assert run("ARDEL", "a", start, stop) == sum(model.pop(index, None) is not None for index in (start, stop))
            case 4:
                low, high = min(start, stop), max(start, stop)
                gone = [index for index in model if low <= index <= high] if random.random() < 0.3 else None
                if gone is not None:
                    assert run("ARDELRANGE", "a", start, stop) == len(gone)
                    for index in gone:
                        del model[index]
            case 5:
                settle(run, random.choice(("evicted", "reopened")))
            case 6:
                run.checkpoint()
            case 7:
                assert run("ARGET", "a", start) == model.get(start)
            case 8:
                low, high = min(start, stop), max(start, stop)
                found = [[index, model[index]] for index in sorted(model, reverse=start > stop) if low <= index <= high]
                assert run("ARSCAN", "a", start, stop) == found
        assert (run("ARCOUNT", "a"), run("ARLEN", "a")) == (len(model), max(model, default=-1) + 1)
    assert run("ARSCAN", "a", LAST, 0) == [[index, model[index]] for index in sorted(model, reverse=True)]


def test_searching(run: Runner) -> None:
    run("ARMSET", "a", 2, "Apple pie", 5, "apple", 9, "banana", 400, "ANANAS", 401, "x\x00y")

    def grep(*words: Any) -> Any:
        return run("ARGREP", "a", *words)

    assert grep("-", "+", "EXACT", "apple") == [5]
    assert grep("-", "+", "EXACT", "APPLE", "NOCASE") == [5]
    assert grep("-", "+", "MATCH", "pp") == [2, 5]
    assert grep("+", "-", "MATCH", "ana", "nocase") == [400, 9]
    assert grep("-", "+", "MATCH", "") == [2, 5, 9, 400, 401]
    assert grep("-", "+", "GLOB", "*a") == [9]
    assert grep("-", "+", "GLOB", "a*", "NOCASE") == [2, 5, 400]
    assert grep("-", "+", "RE", "^[Aa]pple( pie)?$", "LIMIT", 1) == [2]
    assert grep("-", "+", "RE", "x.y") == [401]
    assert grep("-", "+", "MATCH", "a", "RE", "e$") == [2, 5, 9]
    assert grep("-", "+", "MATCH", "a", "AND", "RE", "e$") == [5]
    assert grep("-", "+", "MATCH", "a", "AND", "OR", "RE", "e$") == [2, 5, 9]
    assert grep("-", "+", "MATCH", "apple", "AND", "NOCASE", "GLOB", "*pie", "WITHVALUES") == [[2, b"Apple pie"]]
    assert grep(9, 3, "MATCH", "a", "WITHVALUES", "LIMIT", 5) == [[9, b"banana"], [5, b"apple"]]
    assert grep(5, "+", "LIMIT", 1, "LIMIT", 2, "MATCH", "a") == [5, 9]


def test_computing(run: Runner) -> None:
    def op(name: str, *words: Any) -> Any:
        return run("AROP", "a", 0, LAST, name, *words)

    run("ARMSET", "a", 0, "3", 1, "word", 2, "-2", 3, "7.75", 70, "3")
    assert [op(name) for name in ("SUM", "min", "MAX", "USED")] == [b"11.75", b"-2", b"7.75", 5]
    assert [op(name) for name in ("AND", "OR", "XOR")] == [3 & -2 & 7, 3 | -2 | 7, 3 ^ -2 ^ 7 ^ 3]
    assert [op("MATCH", word) for word in ("3", "word", "3.0", "none")] == [2, 1, 0, 0]
    assert run("AROP", "a", 3, 1, "SUM") == b"5.75"
    run("ARMSET", "a", 0, "word", 2, "", 3, "1e30", 70, "-9223372036854775809")
    assert [op(name) for name in ("AND", "SUM", "MAX")] == [None, b"9.9999999999077663e+29", b"1e+30"]
    run("ARMSET", "a", 3, "-3.9", 70, "0x10")
    assert [op("OR"), op("XOR")] == [-3 | 16, -3 ^ 16]
    run("DEL", "a")
    run("ARSET", "a", 0, "word")
    assert [op(name) for name in ("SUM", "MIN", "MAX", "AND")] == [None] * 4


@pytest.mark.parametrize(
    ("numbers", "total"),
    [
        (["0.1", "0.2"], b"0.3"), (["9223372036854775807", "1"], b"9.2233720368547758e+18"), (["1e400", "1"], b"1e+400"),
        (["inf", "1"], b"inf"), (["1", "-inf"], b"-inf"), (["inf", "-inf", "1"], b"-nan"), (["1e4932", "1e4932"], b"inf"),
        (["-1e4932", "-1e4932"], b"-inf"), (["1.5", "-1.5"], b"0"), (["0.00001"], b"1e-05"),
        (["12345678901234567"], b"12345678901234567"), (["123456789012345678"], b"1.2345678901234568e+17"), (["0.25"], b"0.25"),
    ],
)  # fmt: skip
def test_sums(run: Runner, numbers: list[str], total: bytes) -> None:
    run("ARSET", "a", 0, *numbers)
    assert run("AROP", "a", 0, 99, "SUM") == total


def test_doubles_count_as_doubles(run: Runner) -> None:
    """Redis keeps as a double what prints as it stands when two bits are taken from it; other decimals count as long doubles."""
    run("ARSET", "a", 0, "0.7", "-0.7")
    assert run("AROP", "a", 0, 0, "SUM") == b"0.7"
    # A hundredth that is not a double's value, but has two bits to spare.
    spare = next(f"0.{number}" for number in range(11, 99) if number % 5 and not struct.pack("<d", number / 100)[0] & 3)
    run("ARSET", "a", 0, spare, f"-{spare}e0")
    assert run("AROP", "a", 0, 1, "SUM") not in (b"0", None)


def test_information(run: Runner) -> None:
    run("ARSET", "a", 4090, *range(10))
    run("ARMSET", "a", 50_000, "x", 51_000, "y", 52_000, "z")
    told = run("ARINFO", "a")
    assert told == {
        b"count": 13, b"len": 52_001, b"next-insert-index": 0, b"slices": 3, b"directory-size": 13, b"super-dir-entries": 0,
        b"slice-size": 4096,
    }  # fmt: skip
    full = run("ARINFO", "a", "full")
    assert {name: full[name] for name in told} == told
    assert (full[b"dense-slices"], full[b"sparse-slices"], full[b"avg-dense-size"], full[b"avg-dense-fill"]) == (2, 1, 5.0, 1.0)
    assert full[b"avg-sparse-size"] == 3.0


def test_everything_that_goes_with_a_key(run: Runner) -> None:
    """Type, encoding, copies, names, expiry, dumps; small and large."""
    for key, size in (("small", 5), ("large", 800)):
        run("ARSET", key, 3, *range(size))
        run("ARINSERT", key, "inserted", "9.5", "-77")
        assert plain(run("TYPE", key)) == b"array"
        assert run("OBJECT", "ENCODING", key) == b"sliced-array"
        run("COPY", key, f"{key}-copy")
        run("RENAME", f"{key}-copy", f"{key}-renamed")
        assert run("RESTORE", f"{key}-restored", 0, run("DUMP", key)) == OK
        run.reopen()
        values = [run.executor.store.databases[0].get(f"{key}{end}".encode(), Array) for end in ("", "-renamed", "-restored")]
        assert all(value is not None for value in values)
        assert len({(tuple(value.scan()), value.cursor) for value in values if value is not None}) == 1
    assert set(run("SCAN", 0, "COUNT", 99, "TYPE", "array")[1]) == {
        key + end for key in (b"small", b"large") for end in (b"", b"-renamed", b"-restored")
    }
    run("PEXPIRE", "large", 5)
    run.clock.advance(10)
    assert run("ARCOUNT", "large") == 0


@pytest.mark.parametrize(
    ("cursor", "elements", "expected"),
    [
        (b"\x00", b"\x05\x01" + (-7).to_bytes(8, "little", signed=True), [[5, b"-7"]]),
        (b"\x01\x05", b"\x05\x02" + bytes.fromhex("000000000000f83f"), [[5, b"1.5"]]),
        (b"\x00", b"\x40\x45\x02" + bytes.fromhex("0000000000000840"), [[69, b"3.0"]]),
        (b"\x00", b"\x05\x03\x02hi", [[5, b"hi"]]),
        (b"\x00", b"\x81" + b"\xff" * 7 + b"\xfe" + b"\x00\xc0\x07", [[LAST, b"7"]]),
    ],
)
def test_payloads_of_redis(run: Runner, cursor: bytes, elements: bytes, expected: Any) -> None:
    """What its own forms of elements look like, by its source."""
    assert run("RESTORE", "a", 0, sealed(b"\x1c\x01" + cursor + elements)) == OK
    assert run("ARSCAN", "a", 0, LAST) == expected
    assert run("ARNEXT", "a") == (6 if len(cursor) > 1 else 0)


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x00", b"\x01\x02\x05\x00\x01x", b"\x01\x00\x05\x04\x01x", b"\x02\x00\x05\x00\x01x",
        b"\x01\x00\x81" + b"\xff" * 8 + b"\x00\x01x",
        b"\x02\x00\x05\x00\x01x\x05\x00\x01y", b"\x01\x01\x81" + b"\xff" * 8 + b"\x05\x00\x01x",
    ],
)  # fmt: skip
def test_damaged_payloads(run: Runner, body: bytes) -> None:
    assert isinstance(run("RESTORE", "a", 0, sealed(b"\x1c" + body)), CommandError)
    assert run("EXISTS", "a") == 0


def sealed(value: bytes) -> bytes:
    body = value + (14).to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def test_notices(run: Runner) -> None:
    ear = Ear(run, "Ea")
    assert run("CONFIG", "GET", "notify-keyspace-events") == {b"notify-keyspace-events": b"aE"}
    for words in ("ARSET a 0 v", "ARMSET a 1 v", "ARINSERT a v", "ARRING a 9 v", "ARSEEK a 3", "ARDEL a 0", "ARSEEK a 0"):
        assert ear.heard(*words.split()) == [f"{words.split()[0].lower()} a"]
    assert ear.heard("ARDEL", "a", 99) == ear.heard("ARDELRANGE", "a", 50, 99) == []
    run("CONFIG", "SET", "notify-keyspace-events", "KEA")
    assert ear.heard("ARDELRANGE", "a", 0, 99) == ["ardelrange a", "del a"]
    assert ear.heard("ARINSERT", "a", "v") == ["arinsert a"]
    assert ear.heard("ARDEL", "a", 0) == ["ardel a", "del a"]


@pytest.mark.parametrize(
    "words", ["ARSET a 0 w", "ARMSET a 0 w", "ARINSERT a w", "ARRING a 3 w", "ARSEEK a 5", "ARDEL a 0", "ARDELRANGE a 0 9"]
)
def test_who_watches_is_told(run: Runner, words: str) -> None:
    run("ARSET", "a", 0, "v", "v")
    run("WATCH", "a")
    other = run.executor.open_session()
    run("ARGREP", "a", "-", "+", "EXACT", "v", session=other)
    run("MULTI")
    run("ARLEN", "a")
    assert run("EXEC") == [2]
    run("WATCH", "a")
    run(*words.split(), session=other)
    run("MULTI")
    run("ARLEN", "a")
    assert not isinstance(run("EXEC"), list)


def test_replay(run: Runner, tmp_path: Path) -> None:
    """The log alone gives the same."""
    random = Random(5)
    for _ in range(200):
        match random.randrange(5):
            case 0:
                run("ARINSERT", "a", *range(random.randrange(1, 40)))
            case 1:
                run("ARRING", "b", random.choice((10, 200)), *range(random.randrange(1, 90)))
            case 2:
                run("ARSEEK", "a", random.randrange(900))
            case 3:
                run("ARDELRANGE", "a", random.randrange(900), random.randrange(900))
            case 4:
                run("ARMSET", "b", random.randrange(900), "x" * random.randrange(900), random.randrange(9), "y")
    before = contents(run.executor.store)
    run.executor.store.log.sync()
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "store", copy)
    again = Runner(copy)
    try:
        assert contents(again.executor.store) == before
        assert again.findings() == []
    finally:
        again.close()


@pytest.mark.parametrize("size", [5, 700])
def test_a_checkpoint_between_the_parts_of_an_import(run: Runner, size: int) -> None:
    """The cursor is set last, and is not forgotten."""
    run("ARSET", "a", 0, *range(size))
    run("ARSEEK", "a", 3)
    store = run.executor.store
    with store.lock:
        source = store.databases[0].get(b"a", Array)
        assert source is not None
        put(store.databases[0], b"b", content_of(source), lambda size: run.checkpoint())
    run.checkpoint()
    run.evict()
    assert run("ARNEXT", "b") == 3
    assert run("ARCOUNT", "b") == size


def test_larger_than_memory(tmp_path: Path) -> None:
    """What is in memory of a large array is what is ahead of the engine."""
    run = Runner(tmp_path / "large", maxmemory="1mb")
    try:
        for start in range(0, 40_000, 400):
            run("ARSET", "a", 3 * start, *(b"%0100d" % number for number in range(start, start + 400)))
            if start % 8000 == 0:
                run.checkpoint()
        run.checkpoint()
        value = run.executor.store.databases[0].get(b"a", Array)
        assert value is not None and value.ledger is not None
        assert not value.ledger.fresh and not value.ledger.flying
        assert value.weight < 2000
        assert run("ARCOUNT", "a") == 40_000
        assert run("ARGET", "a", 3 * 39_600 + 399) == b"%0100d" % 39_999
        assert run.findings() == []
    finally:
        run.close()


def test_accounts_of_what_is_written_again_and_again(run: Runner) -> None:
    run("ARSET", "a", 0, *["x" * 300] * 200)
    value = run.executor.store.databases[0].get(b"a", Array)
    assert value is not None
    weight = value.weight
    for _ in range(50):
        run("ARSET", "a", 0, "\x00\x01\x02" * 100)
    assert value.weight < weight + 1000
    run("ARDELRANGE", "a", 1, 199)
    run.checkpoint()
    assert value.weight < 2000
