"""The request parser: the same requests however the bytes arrive, and Redis' errors (recorded from redis-server 7)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.errors import ProtocolError
from diskkv.lib.multibulk import encode_command
from diskkv.resp.parse import RequestParser

Outcome = tuple[list[list[bytes]], str]


def array(*argv: bytes) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in argv)


def parse(*packets: bytes, authenticated: bool = True) -> Outcome:
    """All requests, and the text of the error that ended them."""
    parser = RequestParser()
    parser.authenticated = authenticated
    requests: list[list[bytes]] = []
    try:
        for packet in packets:
            requests += parser.feed(packet)
            while parser.more:
                requests += parser.feed(b"")
    except ProtocolError as error:
        return requests, str(error)
    return requests, ""


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


REQUESTS = {
    array(b"PING"): [[b"PING"]],
    array(b"GET", b"k") + array(b"SET", b"k", b""): [[b"GET", b"k"], [b"SET", b"k", b""]],
    array(b"SET", b"k", b"a\r\nb\0"): [[b"SET", b"k", b"a\r\nb\0"]],
    array(b"SET", b"k", b"\r\n$1\r\n*1\r\n"): [[b"SET", b"k", b"\r\n$1\r\n*1\r\n"]],
    array(b"A", b"x" * 4095, b"x" * 4096, b"x" * 70000): [[b"A", b"x" * 4095, b"x" * 4096, b"x" * 70000]],
    array(*[b"a"] * 3000): [[b"a"] * 3000],
    array(*[b"a", b"", b"x" * 5000, b"\r\n", b"$1\r\na"] * 300): [[b"a", b"", b"x" * 5000, b"\r\n", b"$1\r\na"] * 300],
    b"*0\r\n*-1\r\n*-7\r\n\r\n \n" + array(b"PING"): [[b"PING"]],
    b"*1\r\n$4\r\nPINGab*1\rX$1\r-a\r\n": [[b"PING"], [b"a"]],
    b"PING\r\nget  k\n\tset k 'v'\r\n": [[b"PING"], [b"get", b"k"], [b"set", b"k", b"v"]],
    b'ECHO "a\\x41\\n\\q" ' + b"'it\\'s \\n'\r\n": [[b"ECHO", b"aA\nq", b"it's \\n"]],
    b'ECHO a"b c" a\x0bb \x0bc a\rb ""\r\n': [[b"ECHO", b"ab c", b"a\x0bb", b"c", b"a", b"b", b""]],
    b"a" * 65536 + b"\n": [[b"a" * 65536]],
    b"*2\r\n$4\r\nECHO\r\n$5\r\nab": [],
    b"PI\0NG\r\n": [],
    b"*1\0\r\n": [],
    b"*2147483647\r\n$1\r\na\r\n": [],
    b"*1\r\n$536870912\r\na": [],
}


@pytest.mark.parametrize(("data", "requests"), REQUESTS.items(), ids=range(len(REQUESTS)))
def test_requests_are_read_at_once_and_byte_by_byte(data: bytes, requests: list[list[bytes]]) -> None:
    assert parse(data) == (requests, "")
    assert parse(*one_by_one(data)) == (requests, "")


ERRORS = {
    b"*x\r\n": "invalid multibulk length",
    b"*\r\n": "invalid multibulk length",
    b"*01\r\n": "invalid multibulk length",
    b"*2147483648\r\n": "invalid multibulk length",
    b"*1\r\n$-1\r\n": "invalid bulk length",
    b"*1\r\n$03\r\n": "invalid bulk length",
    b"*1\r\n$536870913\r\n": "invalid bulk length",
    b"*1\r\n+PING\r\n": "expected '$', got '+'",
    b"*1\r\n*1\r\n$4\r\nPING\r\n": "expected '$', got '*'",
    b"*1\r\n:1\r\n": "expected '$', got ':'",
    b"*1\r\n%1\r\n": "expected '$', got '%'",
    b"*1\r\n\r\n": "expected '$', got ' '",
    b"*1\r\n\xff\r\n": "expected '$', got '\udcff'",
    b"*1\r\n$" + b"1" * 65536: "too big bulk count string",
    b"*" + b"1" * 65536: "too big mbulk count string",
    b"a" * 65537: "too big inline request",
    b'ECHO "a\r\n': "unbalanced quotes in request",
    b"ECHO 'a'b\r\n": "unbalanced quotes in request",
}


@pytest.mark.parametrize(("data", "text"), ERRORS.items(), ids=range(len(ERRORS)))
def test_an_error_comes_after_the_requests_before_it(data: bytes, text: str) -> None:
    before = array(b"GET", b"k") + array(b"PING", b"\r\n")
    expected = ([[b"GET", b"k"], [b"PING", b"\r\n"]], "Protocol error: " + text)
    assert parse(before + data + array(b"PING")) == expected
    if len(data) < 1000:
        assert parse(*one_by_one(before + data)) == expected


def test_an_error_is_final() -> None:
    parser = RequestParser()
    assert parser.feed(array(b"PING") + b"*x\r\n") == [[b"PING"]]
    for _ in range(2):
        assert parser.more
        with pytest.raises(ProtocolError, match="invalid multibulk length"):
            parser.feed(array(b"PING"))


def test_before_authentication_requests_are_small_and_come_singly() -> None:
    assert parse(b"*11\r\n", authenticated=False)[1] == "Protocol error: unauthenticated multibulk length"
    assert parse(b"*1\r\n$16385\r\n", authenticated=False)[1] == "Protocol error: unauthenticated bulk length"
    assert parse(array(b"ECHO", b"a" * 16384), authenticated=False)[1] == ""
    parser = RequestParser()
    parser.authenticated = False
    long = array(*[b"x"] * 11)
    assert parser.feed(array(b"AUTH", b"secret") + long + long) == [[b"AUTH", b"secret"]]
    assert parser.more
    parser.authenticated = True
    assert parser.feed(b"") == [[b"x"] * 11] * 2
    assert not parser.more


def test_limits_can_be_set() -> None:
    parser = RequestParser(max_bulk=1 << 20, max_inline=10)
    with pytest.raises(ProtocolError, match="invalid bulk length"):
        parser.feed(b"*1\r\n$1048577\r\n")
    with pytest.raises(ProtocolError, match="too big inline request"):
        RequestParser(max_inline=10).feed(b"12345678901")


def test_what_is_held_is_counted() -> None:
    parser = RequestParser()
    data = array(b"SET", b"key", b"x" * 9000)
    assert parser.feed(data[:6000]) == []
    assert parser.buffered() == 6000
    assert parser.feed(data[6000:]) == [[b"SET", b"key", b"x" * 9000]]
    assert parser.buffered() == 0


def test_the_arguments_are_bytes() -> None:
    data = array(b"SET", b"k", b"\r\n") * 2
    for packets in ([data], one_by_one(data)):
        assert all(type(arg) is bytes for argv in parse(*packets)[0] for arg in argv)


ARGUMENTS = st.one_of(st.binary(max_size=12), st.text("\r\n*$1", max_size=8).map(str.encode))
PIECES = st.one_of(
    st.lists(ARGUMENTS, min_size=1, max_size=5).map(lambda argv: array(*argv)),
    st.text("*$123-\r\n \0\"'\\xPING", max_size=10).map(str.encode),
    st.sampled_from([b"PING\r\n", b"*0\r\n", b"*1\r\n", b"$1\r\n"]),
)


@given(st.lists(PIECES, max_size=6).map(b"".join), st.lists(st.integers(0, 60), max_size=4))
def test_the_cut_into_packets_does_not_matter(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), max([len(data), *cuts])]
    outcome = parse(data)
    assert parse(*one_by_one(data)) == outcome
    assert parse(*[data[start:end] for start, end in pairwise(edges)]) == outcome
    assert parse(data, authenticated=False) == outcome or "unauth" in parse(data, authenticated=False)[1]


@given(st.lists(st.lists(ARGUMENTS, min_size=1, max_size=6), max_size=8))
def test_what_was_encoded_is_read_back(requests: list[list[bytes]]) -> None:
    assert parse(b"".join(array(*argv) for argv in requests)) == (requests, "")


@given(st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=5), max_size=4), st.binary(max_size=12), st.integers(0, 60))
def test_verbatim_packets_are_what_the_log_would_say(requests: list[list[bytes]], tail: bytes, cut: int) -> None:
    data = b"".join(encode_command(argv) for argv in requests) + tail
    parser = RequestParser()
    for packet in (data[:cut], data[cut:]):
        try:
            given_out = parser.feed(packet)
        except ProtocolError:
            return
        if parser.verbatim:
            assert b"".join(encode_command(argv) for argv in given_out) == packet
    whole = RequestParser()
    if requests and not tail and not any(b"\r\n" in arg or arg.endswith(b"\r") for argv in requests for arg in argv):
        assert whole.feed(data) == requests
        assert whole.verbatim


BYTES = st.binary()


@given(
    st.lists(st.lists(st.binary(max_size=20) | st.just(b"x" * 4096), min_size=1, max_size=7), max_size=2), st.binary(max_size=9), BYTES
)
def test_what_is_one_request_is_the_one_that_is_read(requests: list[list[bytes]], tail: bytes, other: bytes) -> None:
    whole = b"".join(encode_command(argv) for argv in requests)
    for packet in (whole, whole + tail, whole.replace(tail, b"", 1) if tail else other):
        argv = RequestParser().alone(packet)
        if argv is not None:
            parser = RequestParser()
            assert parser.feed(packet) == [argv]
            assert parser.verbatim
    words = requests[0] if len(requests) == 1 else []
    simple = len(words) > 1 and not any(b"\r\n" in word or word.endswith(b"\r") or len(word) > 4095 for word in words)
    assert not simple or RequestParser().alone(whole) == requests[0]


@pytest.mark.parametrize("begun", [b"*", b"*2\r\n$4\r\nECHO\r\n$14\r\n", array(b"PING") + b"*2\r\n$4\r\nECHO\r\n$14\r\n"])
def test_what_belongs_to_a_request_that_has_begun_is_none_of_its_own(begun: bytes) -> None:
    parser = RequestParser()
    parser.feed(begun)
    assert parser.alone(array(b"GET", b"k")) is None


def test_short_arguments_are_read_many_at_once_however_they_arrive() -> None:
    class Counting(RequestParser):
        singly = 0

        def _read_size(self) -> bool:
            self.singly += 1
            return super()._read_size()

    parser = Counting()
    argv = [b"%d" % number for number in range(50_000)]
    data = array(*argv)
    found = [request for at in range(0, len(data), 10_000) for request in parser.feed(data[at : at + 10_000])]
    assert found == [argv]
    assert parser.singly < 500


def test_short_arguments_take_more_memory_than_their_bytes() -> None:
    parser = RequestParser()
    parser.feed(b"*100000\r\n" + b"$1\r\na\r\n" * 50_000)
    assert parser.buffered() == 9 + 7 * 50_000
    assert parser.memory() > 40 * 50_000
