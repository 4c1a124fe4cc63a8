from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.cli.shell_replies import BadReply, Kind, LinkClosed, Reply, ReplyReader
from diskkv.lib.multibulk import encode_command

EVERYTHING = (
    b"+OK\r\n-ERR no\r\n:-5\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n_\r\n,3.5\r\n#t\r\n(123\r\n=6\r\ntxt:ab\r\n!5\r\nSOS a\r\n"
    b"*2\r\n:1\r\n*0\r\n%1\r\n+k\r\n~1\r\n:2\r\n>1\r\n+p\r\n|1\r\n+a\r\n+b\r\n:7\r\n"
)
READ = [
    Reply(Kind.SIMPLE, b"OK"),
    Reply(Kind.ERROR, b"ERR no"),
    Reply(Kind.INTEGER, b"-5"),
    Reply(Kind.BULK, b"a\r\n"),
    Reply(Kind.NIL),
    Reply(Kind.NIL),
    Reply(Kind.NIL),
    Reply(Kind.DOUBLE, b"3.5"),
    Reply(Kind.BOOLEAN, b"t"),
    Reply(Kind.BIG, b"123"),
    Reply(Kind.VERBATIM, b"ab"),
    Reply(Kind.ERROR, b"SOS a"),
    Reply(Kind.ARRAY, items=[Reply(Kind.INTEGER, b"1"), Reply(Kind.ARRAY, items=[])]),
    Reply(Kind.MAP, items=[Reply(Kind.SIMPLE, b"k"), Reply(Kind.SET, items=[Reply(Kind.INTEGER, b"2")])]),
    Reply(Kind.PUSH, items=[Reply(Kind.SIMPLE, b"p")]),
    Reply(Kind.INTEGER, b"7"),
]


def read_all(pieces: list[bytes]) -> list[Reply]:
    feed = iter([*pieces, b""])
    reader = ReplyReader(lambda: next(feed))
    replies = []
    while True:
        try:
            replies.append(reader.read())
        except LinkClosed:
            return replies


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_every_type_in_pieces_of_any_size(size: int) -> None:
    assert read_all([EVERYTHING[at : at + size] for at in range(0, len(EVERYTHING), size)]) == READ


@pytest.mark.parametrize("junk", [b"HTTP/1.1 400\r\n", b"$x\r\n", b"*1\r\n" * 500, b"\r\n"])
def test_what_is_not_resp_is_refused(junk: bytes) -> None:
    with pytest.raises(BadReply):
        read_all([junk])


@given(st.lists(st.binary(), min_size=1))
def test_encoded_commands_read_back_as_arrays_of_bulks(argv: list[bytes]) -> None:
    assert read_all([encode_command(argv)]) == [Reply(Kind.ARRAY, items=[Reply(Kind.BULK, arg) for arg in argv])]
