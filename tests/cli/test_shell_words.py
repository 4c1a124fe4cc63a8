from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.cli.shell_words import quoted, split


@given(st.lists(st.binary()))
def test_quoted_words_are_read_back(words: list[bytes]) -> None:
    assert split(b" ".join(map(quoted, words))) == words


@given(st.binary())
def test_quoted_is_printable_ascii(value: bytes) -> None:
    assert quoted(value).decode("ascii").isprintable()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  \t ", []),
        (b"get a", [b"get", b"a"]),
        (b'set "a b" \'c d\'', [b"set", b"a b", b"c d"]),
        (rb'"\x41\n\r\t\a\b\q\"\\"', [b'A\n\r\t\a\bq"\\']),
        (rb"'\n\'\"'", [rb"\n'" + rb"\""]),
        (rb'"\xZZ"', [b"xZZ"]),
        (b'x"y z"', [b"xy z"]),
        (b"''", [b""]),
        (b"\xff\xfe", [b"\xff\xfe"]),
        (rb"a\nb", [rb"a\nb"]),
        (b'"a"b', None),
        (b"'a'b", None),
        (b'"a', None),
        (b"a'", None),
        (rb'"a\"', None),
    ],
)
def test_split(line: bytes, words: list[bytes] | None) -> None:
    assert split(line) == words
