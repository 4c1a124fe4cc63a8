"""Extended regular expressions: against Python's `re` where the two say the same, and by what TRE's source says where they do not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.lib.ere import BadExpression, Expression

ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", "^", "$", r"\w", r"\d", r"\.", "1"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda part: st.one_of(
        st.lists(part, min_size=1, max_size=4).map("".join),
        st.lists(part, min_size=1, max_size=3).map("|".join).map("({})".format),
        st.tuples(part.map("(?:{})".format), st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?"])).map("".join),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, st.text("abc1._A\n", max_size=12), st.booleans())
def test_as_python_says(pattern: str, text: str, nocase: bool) -> None:
    flags = re.DOTALL | (re.IGNORECASE if nocase else 0)
    # A dollar means the very end, which Python calls by another name.
    expected = re.search(pattern.replace("$", r"\Z").encode(), text.encode(), flags) is not None
    assert Expression(pattern.encode(), nocase=nocase).found_in(text.encode()) == expected


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        (b"", [b"", b"a"], []),
        (b"a||b", [b"", b"c"], []),
        (b"^(a||b)$", [b"", b"a", b"b"], [b"c"]),
        (b"*a", [b"a"], [b"b"]),
        (b"^{2}a", [b"a"], [b"ba"]),
        (b"a)", [b"a)"], [b"a"]),
        (b"()x", [b"x"], [b""]),
        (b"[]a]", [b"]", b"a"], [b"b"]),
        (b"[^]a]", [b"b"], [b"]", b"a", b""]),
        (b"[a-]", [b"-", b"a"], [b"b"]),
        (b"[-a]", [b"-", b"a"], [b"b"]),
        (b"^[[:alpha:]_]+$", [b"ab_C"], [b"a1", b""]),
        (b"[[:xdigit:][:space:]]", [b"f", b"\t"], [b"g"]),
        (b"[\\d]", [b"d", b"\\"], [b"1"]),
        (b"\\d\\D\\s\\S\\w\\W", [b"1a \ta!"[:3] + b"xa!"], [b"1a  a!"]),
        (b"\\bcat\\b", [b"a cat.", b"cat"], [b"cats", b"tomcat"]),
        (b"a\\Bb", [b"ab"], [b"a b"]),
        (b"\\Ba", [b"ba"], [b"a", b" a"]),
        (b"\\<a\\>", [b"-a-", b"a"], [b"ab", b"ba"]),
        (b"\\x41\\x{42}\\x", [b"AB\x00"], [b"AB"]),
        (b"\\x{100}", [], [b"\x00", b"\xff"]),
        (b"\\t\\n\\r\\f\\a\\e", [b"\t\n\r\f\a\x1b"], [b"tnrfae"]),
        (b"\\Qa.*\\E+$", [b"a.***"], [b"axx"]),
        (b"\\Q\\Ea", [b"a"], [b"b"]),
        (b"\\Qa|", [b"a|"], [b"a"]),
        (b"a(?i)b", [b"aB", b"ab"], [b"AB"]),
        (b"(a(?i)b)c", [b"aBc"], [b"aBC"]),
        (b"a(?i:b)c", [b"aBc"], [b"aBC"]),
        (b"(?i)a(?-i)b", [b"Ab"], [b"AB"]),
        (b"(?n)a.b", [b"axb"], [b"a\nb"]),
        (b"(?n)a[^x]b", [b"ayb"], [b"a\nb", b"axb"]),
        (b"a(?#no matter)b", [b"ab"], [b"a"]),
        (b"a.b", [b"a\nb", b"a\x00b", b"a\xffb"], [b"ab"]),
        (b"a{,2}b", [b"b", b"aab"], [b"a"]),
        (b"^a{,}$", [b"a"], [b"", b"aa"]),
        (b"^a{2}{2}$", [b"aaaa"], [b"aa", b"aaa"]),
        (b"^(a{0}|b)$", [b"", b"b"], [b"a"]),
        (b"(a*)*b", [b"b", b"aab"], [b"aaa"]),
        (b"\xff+$", [b"\xff\xff"], [b"\xfe"]),
    ],
)
def test_what_tre_says(pattern: bytes, found: list[bytes], missed: list[bytes]) -> None:
    expression = Expression(pattern)
    assert [text for text in found if not expression.found_in(text)] == []
    assert [text for text in missed if expression.found_in(text)] == []


def test_letters_of_either_case() -> None:
    assert Expression(b"^[^a]$", nocase=True).found_in(b"b")
    assert not Expression(b"[^a]", nocase=True).found_in(b"aA")
    assert Expression(b"^[[:lower:]]+x$", nocase=True).found_in(b"ABX")
    assert not Expression(b"^\xe4$", nocase=True).found_in(b"\xc4")


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        (b"(", "Missing ')'"), (b"a(b", "Missing ')'"), (b"[", "Missing ']'"), (b"[]", "Missing ']'"), (b"[^", "Missing ']'"),
        (b"[[:alpha:", "Missing ']'"), (b"[z-a]", "Invalid character range"), (b"[a-c-e]", "Invalid character range"),
        (b"[[:none:]]", "Unknown character class name"), (b"[[:alpha]", "Unknown character class name"),
        (b"[[.a.]]", "Unknown collating element"), (b"[[=a=]]", "Unknown collating element"), (b"a\\", "Trailing backslash"),
        (b"a{2", "Missing '}'"), (b"a{", "Missing '}'"), (b"a{}", "Invalid contents of {}"), (b"a{3,2}", "Invalid contents of {}"),
        (b"a{1,256}", "Invalid contents of {}"), (b"a{x}", "Invalid contents of {}"), (b"a**", "Invalid use of repetition operators"),
        (b"a?+", "Invalid use of repetition operators"), (b"a{2}*", "Invalid use of repetition operators"),
        (b"\\1", "Invalid back reference"), (b"(a)\\2", "Invalid back reference"), (b"(?x)", "Invalid regexp"), (b"(?", "Invalid regexp"),
        (b"(?#", "Invalid regexp"), (b"\\x{zz}", "Missing '}'"), (b"\\x{4", "Missing '}'"), (b"((a{200}){200}){200}", "Out of memory"),
        (b"a{99999}", "Invalid contents of {}"), (b"a{99999,}", "Out of memory"),
    ],
)  # fmt: skip
def test_what_is_none(pattern: bytes, error: str) -> None:
    with pytest.raises(BadExpression, match=re.escape(error)):
        Expression(pattern)


def test_references_are_known() -> None:
    assert Expression(b"(a)\\1").refers
    assert not Expression(b"(a)1").refers


def test_deep_and_long_expressions() -> None:
    assert Expression(b"(" * 1000 + b"a" + b")" * 1000).found_in(b"xa")
    assert Expression(b"(x" * 600 + b")" * 600).found_in(b"x" * 600)
    assert Expression(b"|".join(b"%d" % number for number in range(400))).found_in(b"-399")


def test_what_has_exponentially_many_ways() -> None:
    """A text of which a matcher that tries one way after the other would never be done; here each byte is one step."""
    expression = Expression(b"^(a|a)*(a*)*b$")
    assert not expression.found_in(b"a" * 20_000)
    assert expression.found_in(b"a" * 20_000 + b"b")


def test_more_states_than_are_kept() -> None:
    expression = Expression(b"a[ab]{12}c")
    number = 12345
    text = bytearray()
    for _ in range(6000):
        number = (number * 1103515245 + 12345) & 0x7FFFFFFF
        text.append(b"ab"[number >> 16 & 1])
    assert not expression.found_in(bytes(text))
    assert expression.found_in(bytes(text) + b"a" + bytes(text[:12]) + b"c")
