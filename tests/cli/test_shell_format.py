"""Formats of what a Redis 7.0 can't be made to send, or redis-cli can't print; the rest is compared in test_shell_oracle."""

from __future__ import annotations

import pytest

from diskkv.cli.shell_format import Style, invalidation
from diskkv.cli.shell_replies import Kind, Reply


def bulk(text: bytes) -> Reply:
    return Reply(Kind.BULK, text)


def array(*items: Reply) -> Reply:
    return Reply(Kind.ARRAY, items=items)


BIG = Reply(Kind.BIG, b"12345678901234567890")


@pytest.mark.parametrize(
    ("style", "reply", "text"),
    [
        ("standard", BIG, b"(big number) 12345678901234567890\n"),
        ("raw", BIG, b"12345678901234567890\n"),
        ("csv", BIG, b"12345678901234567890\n"),
        ("json", BIG, b"12345678901234567890\n"),
        ("standard", Reply(Kind.PUSH), b"(empty push)\n"),
        ("standard", Reply(Kind.SET), b"(empty set)\n"),
        ("standard", Reply(Kind.MAP), b"(empty hash)\n"),
        ("standard", array(Reply(Kind.VERBATIM, b"a\nb"), Reply(Kind.BOOLEAN, b"f")), b"1) a\nb\n2) (false)\n"),
        ("json", Reply(Kind.MAP, items=[bulk(b'k"'), Reply(Kind.NIL)]), b'{"k\\"":null}\n'),
        ("json", bulk("é".encode()), '"é"\n'.encode()),
        ("quoted-json", bulk("é".encode()), b'"\\\\xc3\\\\xa9"\n'),
    ],
)
def test_styles(style: str, reply: Reply, text: bytes) -> None:
    assert Style(style).format(reply) == text


def test_numbers_are_aligned_and_nested_lists_indented() -> None:
    ten = array(*[bulk(b"%d" % number) for number in range(10)])
    lines = Style("standard").format(array(ten, array(bulk(b"x")))).split(b"\n")
    assert lines[0] == b'1)  1) "0"'
    assert lines[1] == b'    2) "1"'
    assert lines[9] == b'   10) "9"'
    assert lines[10:] == [b'2) 1) "x"', b""]


def test_texts_are_printed_as_they_are_whatever_the_style() -> None:
    for style in ("standard", "raw", "csv", "json"):
        assert Style(style).format(bulk(b"a:1\r\n"), as_is=True) == b"a:1\r\n"


def test_invalidation() -> None:
    keys = array(bulk(b"k1"), bulk(b"k\x00"))
    assert invalidation(Reply(Kind.PUSH, items=[bulk(b"invalidate"), keys])) == b'-> invalidate: "k1", "k\\x00"\n'
    assert invalidation(Reply(Kind.PUSH, items=[bulk(b"message"), keys])) is None
