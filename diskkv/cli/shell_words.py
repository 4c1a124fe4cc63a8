"""A line and its words, by the quoting rules that users of redis-cli have in their fingers.

Words are separated by white space. Inside double quotes `\\n \\r \\t \\b \\a \\xHH` mean a byte, and a backslash before anything else
means that character; inside single quotes only `\\'` is special. A closing quote must end the word. Words are bytes throughout.
"""

from __future__ import annotations

import re

SPACE = b" \t\n\v\f\r"

_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
_NAMES = {0x5C: "\\\\", 0x22: '\\"', 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x07: "\\a", 0x08: "\\b"}
_PIECES = [_NAMES.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in range(256)]

_PLAIN = re.compile(rb"[^ \t\n\v\f\r\0\"']+")
_DOUBLE = re.compile(rb'"((?:\\[\s\S]|[^\\"])*)"')
_SINGLE = re.compile(rb"'((?:\\'|[^'])*)'")
_ESCAPED = re.compile(rb"\\(x[0-9a-fA-F]{2}|[\s\S])")


def split(line: bytes) -> list[bytes] | None:
    """The words of a line, or None if its quotes don't balance or something sticks to a closing quote."""
    words: list[bytes] = []
    at, end = 0, len(line)
    while True:
        while at < end and line[at] in SPACE:
            at += 1
        if at >= end or line[at] == 0:
            return words
        word = b""
        while at < end and line[at] not in SPACE and line[at] != 0:
            if plain := _PLAIN.match(line, at):
                word += plain[0]
                at = plain.end()
                continue
            quoted = _DOUBLE.match(line, at) or _SINGLE.match(line, at)
            if quoted is None:
                return None
            word += _unescaped(quoted[1]) if quoted[0][:1] == b'"' else quoted[1].replace(b"\\'", b"'")
            at = quoted.end()
            if at < end and line[at] not in SPACE:
                return None
        words.append(word)


def _unescaped(text: bytes) -> bytes:
    return _ESCAPED.sub(_escape, text)


def _escape(match: re.Match[bytes]) -> bytes:
    what = match[1]
    if len(what) == 3:
        return bytes([int(what[1:], 16)])
    return _ESCAPES.get(what, what)


def quoted(value: bytes) -> bytes:
    """The value between double quotes, printable ASCII only; `split` reads it back."""
    return ('"' + "".join(map(_PIECES.__getitem__, value)) + '"').encode("ascii")
