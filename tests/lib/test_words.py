"""Lines cut into words, as redis-server 7 cuts inline commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.lib.words import split_words

WORDS = {
    b"": [],
    b" \t\x0b": [],
    b"a b  c ": [b"a", b"b", b"c"],
    b'"a b" c': [b"a b", b"c"],
    b'a"b c"': [b"ab c"],
    b"\"\" ''": [b"", b""],
    rb'"\n\r\t\b\a\q\\\"\x41\xzz"': [b'\n\r\t\b\aq\\"Axzz'],
    rb"'\n\'\\x'": [rb"\n'\\x"],
    rb"\x41": [rb"\x41"],
    b"a\x0bb": [b"a\x0bb"],
    b"a\0b": [b"a"],
}


@pytest.mark.parametrize(("line", "words"), WORDS.items())
def test_a_line_is_cut_into_words(line: bytes, words: list[bytes]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", [b'"', b"'", b'"a"b', b"'a'\"b\"", b'"a\\', b'"a\\"', b"'a\\'", b'a"'])
def test_unbalanced_quotes_are_refused(line: bytes) -> None:
    assert split_words(line) is None


@given(st.lists(st.binary()))
def test_quoted_words_are_read_back(words: list[bytes]) -> None:
    line = b" ".join(b'"' + b"".join(b"\\x%02x" % char for char in word) + b'"' for word in words)
    assert split_words(line) == words
