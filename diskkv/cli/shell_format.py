"""A reply as text: for people, raw, as CSV and as JSON, byte for byte as redis-cli 7.0 prints them.

Each format is a function from a reply to the bytes that go out for one command. Where redis-cli gives up on a reply (big numbers), the
number is printed; its `error:` in JSON is kept, so that scripts written for it find what they look for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diskkv.cli.shell_replies import Kind, Reply
from diskkv.cli.shell_words import quoted

Formatter = Callable[[Reply], bytes]

_EMPTY = {Kind.ARRAY: b"(empty array)", Kind.MAP: b"(empty hash)", Kind.SET: b"(empty set)", Kind.PUSH: b"(empty push)"}
_MARKS = {Kind.ARRAY: b")", Kind.MAP: b"#", Kind.SET: b"~", Kind.PUSH: b")"}


@dataclass(frozen=True, slots=True)
class Style:
    """How replies are shown. `delimiter` stands between the elements of a raw reply, `terminator` after each raw reply."""

    name: str
    delimiter: bytes = b"\n"
    terminator: bytes = b"\n"

    def format(self, reply: Reply, *, as_is: bool = False) -> bytes:
        """All bytes to print for a reply; `as_is` is for commands whose reply is a text of lines, such as INFO."""
        if as_is:
            return raw(reply, self.delimiter)
        if self.name == "raw":
            return raw(reply, self.delimiter) + self.terminator
        return _STYLES[self.name](reply)


def raw(reply: Reply, delimiter: bytes) -> bytes:
    match reply.kind:
        case Kind.NIL:
            return b""
        case Kind.ERROR:
            return reply.text + b"\n"
        case Kind.BOOLEAN:
            return b"(true)" if reply.text == b"t" else b"(false)"
        case Kind.ARRAY | Kind.PUSH | Kind.SET:
            return delimiter.join([raw(item, delimiter) for item in reply.items])
        case Kind.MAP:
            parts = [raw(item, delimiter) for item in reply.items]
            return delimiter.join(key + b" " + value for key, value in zip(parts[::2], parts[1::2], strict=True))
        case _:
            return reply.text


def standard(reply: Reply, prefix: bytes = b"") -> bytes:
    """For people: types are shown, strings quoted, elements numbered and nested ones indented by `prefix`. Ends with a newline."""
    match reply.kind:
        case Kind.ERROR:
            return b"(error) " + reply.text + b"\n"
        case Kind.SIMPLE | Kind.VERBATIM:
            return reply.text + b"\n"
        case Kind.INTEGER:
            return b"(integer) " + reply.text + b"\n"
        case Kind.DOUBLE:
            return b"(double) " + reply.text + b"\n"
        case Kind.BIG:
            return b"(big number) " + reply.text + b"\n"
        case Kind.BULK:
            return quoted(reply.text) + b"\n"
        case Kind.NIL:
            return b"(nil)\n"
        case Kind.BOOLEAN:
            return b"(true)\n" if reply.text == b"t" else b"(false)\n"
        case _:
            return _numbered(reply, prefix) if reply.items else _EMPTY[reply.kind] + b"\n"


def _numbered(reply: Reply, prefix: bytes) -> bytes:
    mark = _MARKS[reply.kind]
    is_map = reply.kind is Kind.MAP
    count = len(reply.items) // 2 if is_map else len(reply.items)
    width = len(str(count))
    inner = prefix + b" " * (width + 2)
    parts = []
    items = iter(reply.items)
    for number in range(1, count + 1):
        parts.append((prefix if number > 1 else b"") + b"%*d%b " % (width, number, mark))
        text = standard(next(items), inner)
        if is_map:
            item = next(items)
            value = standard(item, inner)
            # A list of several lines starts on one of its own, so that its numbers stand in one column.
            text = text[:-1] + b" => " + (b"\n" + inner if item.items and b"\n" in value[:-1] else b"") + value
        parts.append(text)
    return b"".join(parts)


def csv(reply: Reply) -> bytes:
    return _csv(reply) + b"\n"


def _csv(reply: Reply) -> bytes:
    match reply.kind:
        case Kind.ERROR:
            return b"ERROR," + quoted(reply.text)
        case Kind.SIMPLE | Kind.BULK | Kind.VERBATIM:
            return quoted(reply.text)
        case Kind.NIL:
            return b"NULL"
        case Kind.BOOLEAN:
            return b"true" if reply.text == b"t" else b"false"
        case Kind.INTEGER | Kind.DOUBLE | Kind.BIG:
            return reply.text
        case _:
            return b",".join([_csv(item) for item in reply.items])


def json(reply: Reply) -> bytes:
    """Strings keep their bytes as they are (UTF-8 stays readable)."""
    return _json(reply, _json_string) + b"\n"


def quoted_json(reply: Reply) -> bytes:
    """ASCII only: strings are escaped as in `standard`, and that text again for JSON."""
    return _json(reply, _json_quoted_string) + b"\n"


def _json(reply: Reply, string: Callable[[bytes], bytes]) -> bytes:
    match reply.kind:
        case Kind.ERROR:
            return b"error:" + string(reply.text)
        case Kind.SIMPLE | Kind.BULK | Kind.VERBATIM:
            return string(reply.text)
        case Kind.NIL:
            return b"null"
        case Kind.BOOLEAN:
            return b"true" if reply.text == b"t" else b"false"
        case Kind.INTEGER | Kind.DOUBLE | Kind.BIG:
            return reply.text
        case Kind.MAP:
            keys = [_json_key(item, string) for item in reply.items[::2]]
            values = [_json(item, string) for item in reply.items[1::2]]
            return b"{" + b",".join(key + b":" + value for key, value in zip(keys, values, strict=True)) + b"}"
        case _:
            return b"[" + b",".join([_json(item, string) for item in reply.items]) + b"]"


def _json_key(reply: Reply, string: Callable[[bytes], bytes]) -> bytes:
    """JSON's keys are strings: what is not one already is put between quotes as it stands."""
    text = _json(reply, string)
    return text if text.startswith(b'"') else string(text)


_JSON_NAMES = {0x5C: b"\\\\", 0x22: b'\\"', 0x0A: b"\\n", 0x0C: b"\\f", 0x0D: b"\\r", 0x09: b"\\t", 0x08: b"\\b"}
_JSON_PIECES = [_JSON_NAMES.get(byte) or (bytes([byte]) if byte > 0x1F else b"\\u%04x" % byte) for byte in range(256)]


def _json_string(value: bytes) -> bytes:
    return b'"' + b"".join(map(_JSON_PIECES.__getitem__, value)) + b'"'


def _json_quoted_string(value: bytes) -> bytes:
    return _json_string(quoted(value)[1:-1])


def invalidation(reply: Reply) -> bytes | None:
    """A push of client-side caching on one line for people, None if the push is something else."""
    if len(reply.items) != 2 or reply.items[0].text != b"invalidate" or reply.items[1].kind is not Kind.ARRAY:
        return None
    return b"-> invalidate: " + b", ".join(quoted(item.text) for item in reply.items[1].items) + b"\n"


_STYLES: dict[str, Formatter] = {"standard": standard, "csv": csv, "json": json, "quoted-json": quoted_json}
