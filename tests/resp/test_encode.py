"""Replies into bytes, in both protocols; what is encoded is also read back by hiredis."""

from __future__ import annotations

import math
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.errors import NoSuchKey, WrongType
from diskkv.lib.multibulk import TooLong, encode_command
from diskkv.replies import NIL_ARRAY, NO_REPLY, OK, Pairs, Push, Score, Several, Simple, Verbatim
from diskkv.resp.encode import ENCODERS, encode, make_encoders
from diskkv.resp.parse import RequestParser

# value, RESP2, RESP3
REPLIES: list[tuple[Any, bytes, bytes]] = [
    (5, b":5\r\n", b":5\r\n"),
    (-(2**63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
    (True, b":1\r\n", b":1\r\n"),
    (False, b":0\r\n", b":0\r\n"),
    (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    (b"a\r\n", b"$3\r\na\r\n\r\n", b"$3\r\na\r\n\r\n"),
    (b"x" * 5000, b"$5000\r\n" + b"x" * 5000 + b"\r\n", b"$5000\r\n" + b"x" * 5000 + b"\r\n"),
    (None, b"$-1\r\n", b"_\r\n"),
    (NIL_ARRAY, b"*-1\r\n", b"_\r\n"),
    (NO_REPLY, b"", b""),
    (OK, b"+OK\r\n", b"+OK\r\n"),
    (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
    (-math.inf, b"$4\r\n-inf\r\n", b",-inf\r\n"),
    (Score(3.0), b"$1\r\n3\r\n", b",3\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
    ([b"a", b"bc"], b"*2\r\n$1\r\na\r\n$2\r\nbc\r\n", b"*2\r\n$1\r\na\r\n$2\r\nbc\r\n"),
    ([b"a", None], b"*2\r\n$1\r\na\r\n$-1\r\n", b"*2\r\n$1\r\na\r\n_\r\n"),
    ([b"a", [b"b"]], b"*2\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n", b"*2\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n"),
    ((1, (2, b"")), b"*2\r\n:1\r\n*2\r\n:2\r\n$0\r\n\r\n", b"*2\r\n:1\r\n*2\r\n:2\r\n$0\r\n\r\n"),
    ({b"m"}, b"*1\r\n$1\r\nm\r\n", b"~1\r\n$1\r\nm\r\n"),
    (frozenset({1}), b"*1\r\n:1\r\n", b"~1\r\n:1\r\n"),
    ({b"f": 1.5}, b"*2\r\n$1\r\nf\r\n$3\r\n1.5\r\n", b"%1\r\n$1\r\nf\r\n,1.5\r\n"),
    (Pairs([(b"m", 2.0)]), b"*2\r\n$1\r\nm\r\n$1\r\n2\r\n", b"*1\r\n*2\r\n$1\r\nm\r\n,2\r\n"),
    (Pairs([(b"f", b"v")]), b"*2\r\n$1\r\nf\r\n$1\r\nv\r\n", b"*1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"),
    (Pairs([]), b"*0\r\n", b"*0\r\n"),
    (Push([b"message", 1]), b"*2\r\n$7\r\nmessage\r\n:1\r\n", b">2\r\n$7\r\nmessage\r\n:1\r\n"),
    (Push([b"a"]), b"*1\r\n$1\r\na\r\n", b">1\r\n$1\r\na\r\n"),
    (Verbatim(b"text"), b"$4\r\ntext\r\n", b"=8\r\ntxt:text\r\n"),
    (Several([1, Push([])]), b":1\r\n*0\r\n", b":1\r\n>0\r\n"),
    (NoSuchKey(), b"-ERR no such key\r\n", b"-ERR no such key\r\n"),
    (
        [OK, WrongType()],
        b"*2\r\n+OK\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        b"*2\r\n+OK\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    ),
]


@pytest.mark.parametrize(("value", "resp2", "resp3"), REPLIES)
def test_a_reply_in_both_protocols(value: Any, resp2: bytes, resp3: bytes) -> None:
    assert encode(value, 2) == resp2
    assert encode(value, 3) == resp3
    assert ENCODERS[2][type(value)](value) == resp2


@pytest.mark.parametrize("value", ["text", ["text"], [b"a", "text"], bytearray(b"a"), object()])
@pytest.mark.parametrize("protocol", [2, 3])
def test_what_is_no_reply_is_refused(value: Any, protocol: int) -> None:
    with pytest.raises(TypeError):
        encode(value, protocol)


def test_a_subclass_is_encoded_as_its_base() -> None:
    class Count(int):
        pass

    assert encode(Count(3), 2) == b":3\r\n"


def test_a_long_item_in_a_list() -> None:
    items = [b"a", b"x" * 4095, b"x" * 4096, b"x" * 100000]
    assert encode(items, 2) == b"*4\r\n" + b"".join(encode(item, 2) for item in items)


NESTED = st.recursive(
    st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=9)), lambda inner: st.lists(inner, max_size=4), max_leaves=12
)


@given(NESTED, st.sampled_from([2, 3]))
def test_a_client_reads_what_was_encoded(value: Any, protocol: int) -> None:
    reader = hiredis.Reader()
    reader.feed(encode(value, protocol))
    assert reader.gets() == value
    assert not reader.has_data()


@given(st.lists(st.one_of(st.binary(max_size=9), st.just(b"x" * 4096)), min_size=1, max_size=6))
def test_a_command_is_read_back(argv: list[bytes]) -> None:
    assert RequestParser().feed(encode_command(argv)) == [argv]
    assert encode_command(argv) == encode(argv, 2)


def test_a_status_is_a_line() -> None:
    assert encode(Simple(b"Background saving started"), 2) == b"+Background saving started\r\n"


@pytest.mark.parametrize(
    "items",
    [
        [b"x" * 1000] * 101,
        [b"x", *[b"x" * 1000] * 101],
        [b"x", *[b"x" * 5000] * 21],
        [1, *[b"x" * 100] * 2000],
        [[b"x" * 1000] * 101],
        {b"%0100d" % number for number in range(2000)},
        Pairs([(b"x" * 100, 1.5)] * 2000),
    ],
)
@pytest.mark.parametrize("protocol", [2, 3])
def test_what_would_be_too_long_is_not_made(items: Any, protocol: int) -> None:
    whole = encode(items, protocol)
    assert make_encoders(len(whole))[protocol][type(items)](items) == whole
    with pytest.raises(TooLong):
        make_encoders(100_000)[protocol][type(items)](items)
