"""Patterns: what redis-server 7 answered to KEYS and CONFIG GET (recorded here), and a slow matcher that is plainly right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.lib import glob
from diskkv.lib.glob import MOST_STARS, compile_glob, literal_prefix

MATCHES = [
    (b"*", b""),
    (b"*", b"anything\n"),
    (b"", b""),
    (b"**", b"a"),
    (b"h?llo", b"hello"),
    (b"h?llo", b"h\nllo"),
    (b"h*llo", b"hllo"),
    (b"h*llo", b"heeeello"),
    (b"h[ae]llo", b"hallo"),
    (b"h[^e]llo", b"hbllo"),
    (b"h[a-b]llo", b"hbllo"),
    (b"h[b-a]llo", b"hallo"),
    (b"a\\*b", b"a*b"),
    (b"a\\", b"a\\"),
    (b"[\\]]", b"]"),
    (b"[a-]", b"]"),
    (b"[a-]b", b"^"),
    (b"[abc", b"b"),
    (b"[^", b"x"),
    (b"[^]", b"x"),
    (b"[a\\", b"\\"),
    (b"[a-\xff]", b"\xff"),
    (b"[a-\xff]", b"a"),
    (b"[a-\xff]", b"A"),
    (b"*a*b", b"xaxab"),
    (b"a*a", b"aa"),
    (b"*[0-9]", b"ab3"),
    (b"?*?", b"ab"),
]

MISSES = [
    (b"**", b""),
    (b"", b"a"),
    (b"?", b""),
    (b"a*a", b"a"),
    (b"?*?", b"a"),
    (b"h[^e]llo", b"hello"),
    (b"[]a]", b"a"),
    (b"[]", b"]"),
    (b"[", b"["),
    (b"[a-\xff]", b"b"),
    (b"[a-\xff]", b"\x80"),
    (b"a\\*b", b"axb"),
    (b"abc", b"ABC"),
    (b"*b", b"ba"),
    (b"ab*bc", b"abc"),
]


@pytest.mark.parametrize(("pattern", "text"), MATCHES)
def test_a_match(pattern: bytes, text: bytes) -> None:
    assert compile_glob(pattern)(text)


@pytest.mark.parametrize(("pattern", "text"), MISSES)
def test_a_miss(pattern: bytes, text: bytes) -> None:
    assert not compile_glob(pattern)(text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (b"HeL*", b"hElLo", True),
        (b"[A-C]x", b"bX", True),
        (b"[aX]", b"x", True),
        (b"[\\X]", b"x", False),
        (b"\\X", b"x", True),
        (b"[^A]", b"a", False),
    ],
)
def test_case_is_ignored_on_request(pattern: bytes, text: bytes, expected: bool) -> None:
    assert compile_glob(pattern, nocase=True)(text) is expected


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [(b"user:*", b"user:"), (b"a\\*b*", b"a*b"), (b"*", b""), (b"a?b", b"a"), (b"a[b]", b"a"), (b"plain", b"plain"), (b"a\\", b"a\\")],
)
def test_the_prefix_of_all_matches(pattern: bytes, prefix: bytes) -> None:
    assert literal_prefix(pattern) == prefix


def test_many_stars_take_no_exponential_time() -> None:
    text = b"a" * 5000
    assert not compile_glob(b"a*" * 500 + b"b")(text)
    assert not compile_glob(b"*[a-z]" * 500 + b"b")(text)
    assert compile_glob(b"?*" * 500 + b"a")(text)


def slow_match(pattern: bytes, text: bytes) -> bool:
    """Stars, question marks and literals by the definition."""
    if not pattern:
        return not text
    if pattern[:1] == b"*":
        return any(slow_match(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[:1] in (b"?", text[:1]) and slow_match(pattern[1:], text[1:])


@given(st.text("ab*?", max_size=7), st.text("ab", min_size=1, max_size=9))
def test_the_matcher_agrees_with_the_definition(pattern: str, text: str) -> None:
    assert compile_glob(pattern.encode())(text.encode()) == slow_match(pattern.encode(), text.encode())


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_every_match_starts_with_the_prefix(pattern: bytes, text: bytes) -> None:
    if compile_glob(pattern)(text):
        assert text.startswith(literal_prefix(pattern))


PATTERNS = st.lists(st.sampled_from(b"ab*?[]^-\\A"), max_size=9).map(bytes)
TEXTS = st.lists(st.sampled_from(b"abA]-\\^"), max_size=7).map(bytes)


@given(PATTERNS, TEXTS, st.booleans())
def test_a_long_pattern_is_read_as_a_short_one_is_cut(pattern: bytes, text: bytes, nocase: bool) -> None:
    if pattern not in (b"", b"*"):
        assert glob._Reader(pattern, nocase).matches(text) == glob._cut(pattern, nocase)(text)


@pytest.mark.parametrize("count", [MOST_STARS - 1, MOST_STARS, MOST_STARS + 1])
@pytest.mark.parametrize("end", [b"", b"*"])
def test_a_long_pattern_may_have_as_many_stars(count: int, end: bytes) -> None:
    pattern, text = b"a*" * count + b"b" + end, b"a" * count + b"b"
    assert glob._Reader(pattern, False).matches(text) == glob._cut(pattern, False)(text)


@pytest.mark.parametrize("atom", [b"a", b"?", b"[a-z]", b"\\a", b"a*", b"[^b]*"])
def test_a_pattern_of_megabytes_costs_nothing_and_is_not_kept(monkeypatch: pytest.MonkeyPatch, atom: bytes) -> None:
    monkeypatch.setattr(glob, "_parse", None)
    pattern = atom * (20 << 20)
    before = glob._compile.cache_info()
    assert not compile_glob(pattern)(b"a" * 100)
    assert pattern.startswith(literal_prefix(pattern))
    assert glob._compile.cache_info() == before
