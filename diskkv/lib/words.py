"""A line cut into words by the rules of inline commands, redis.conf and redis-cli."""

from __future__ import annotations

import re

# Blanks before a word are more kinds than those that end one: a quirk of Redis, as is that NUL ends the line.
_BLANKS = re.compile(rb"[ \t\n\r\v\f]*")
_PLAIN = re.compile(rb"[^ \t\n\r\"']+")
_IN_DOUBLE = re.compile(rb'[^"\\]+')
_IN_SINGLE = re.compile(rb"[^'\\]+")
_HEX = re.compile(rb"x([0-9a-fA-F]{2})")
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
_ENDS = b" \t\n\r\v\f"
_SPECIAL = re.compile(rb'[^\x20-\x7e]|["\\]')
_ESCAPED = {b"\\": rb"\\", b'"': rb"\"", b"\n": rb"\n", b"\r": rb"\r", b"\t": rb"\t", b"\b": rb"\b", b"\a": rb"\a"}


def quote(word: bytes) -> bytes:
    """What stands for a word between double quotes, all of it printable."""
    return _SPECIAL.sub(lambda match: _ESCAPED.get(match[0]) or b"\\x%02x" % ord(match[0]), word)


def split_words(line: bytes) -> list[bytes] | None:
    r"""The words of a line; None if a quote isn't closed, or is followed by something else than a blank.

    Between double quotes `\n`, `\r`, `\t`, `\b`, `\a` and `\xHH` are special, between single quotes only `\'`. A quoted part
    may follow a plain one without a blank; it ends the word.
    """
    line = line.partition(b"\0")[0]
    words: list[bytes] = []
    at = _skip(line, 0)
    while at < len(line):
        read = _read_word(line, at)
        if read is None:
            return None
        word, at = read
        words.append(word)
        at = _skip(line, at)
    return words


def _skip(line: bytes, at: int) -> int:
    match = _BLANKS.match(line, at)
    assert match is not None
    return match.end()


def _read_word(line: bytes, at: int) -> tuple[bytes, int] | None:
    word = b""
    while at < len(line):
        if match := _PLAIN.match(line, at):
            word += match[0]
            at = match.end()
            continue
        char = line[at : at + 1]
        if char not in (b'"', b"'"):
            break
        quoted = _read_quoted(line, at + 1, char)
        if quoted is None:
            return None
        return word + quoted[0], quoted[1]
    return word, at


def _read_quoted(line: bytes, at: int, quote: bytes) -> tuple[bytes, int] | None:
    """What stands before the closing quote, and the place after it."""
    plain = _IN_DOUBLE if quote == b'"' else _IN_SINGLE
    pieces: list[bytes] = []
    while at < len(line):
        if match := plain.match(line, at):
            pieces.append(match[0])
            at = match.end()
            continue
        if line[at : at + 1] == quote:
            at += 1
            if at < len(line) and line[at] not in _ENDS:
                return None
            return b"".join(pieces), at
        piece, at = _read_escape(line, at + 1, quote)
        pieces.append(piece)
    return None


def _read_escape(line: bytes, at: int, quote: bytes) -> tuple[bytes, int]:
    """What a backslash, just read, and the following bytes mean."""
    char = line[at : at + 1]
    if quote == b"'":
        return (b"'", at + 1) if char == b"'" else (b"\\", at)
    if match := _HEX.match(line, at):
        return bytes((int(match[1], 16),)), match.end()
    if not char:
        return b"\\", at
    return _ESCAPES.get(char, char), at + 1
