"""What there is to know about commands, asked of whoever will run them.

The source is `COMMAND DOCS`. A server that gives a `usage` line is taken at its word; from one that only describes arguments as a
tree (Redis does) the line is built. Everything else in the shell (hints, completion, help) works on the usage line alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from diskkv.cli.shell_replies import Kind, Reply


@dataclass(frozen=True, slots=True)
class CommandDoc:
    """`name` is in capitals with a space before a subcommand; `usage` is what follows the name."""

    name: str
    usage: str
    summary: str
    group: str
    since: str


class Docs:
    """The documents of the place the shell talks to.

    `ask` sends a command aside and returns its reply or None; `generation` changes when the answer may have become another (a new link,
    another user), and only then is it asked again.
    """

    def __init__(self, ask: Callable[[Sequence[bytes]], Reply | None], generation: Callable[[], int]) -> None:
        self._ask = ask
        self._generation = generation
        self._asked = -1
        self._docs: dict[str, CommandDoc] = {}

    def all(self) -> dict[str, CommandDoc]:
        """Documents by name, sorted by name; empty if the other side has none to give."""
        if self._asked != self._generation():
            self._asked = self._generation()
            reply = self._ask([b"COMMAND", b"DOCS"])
            if reply is not None and reply.kind is not Kind.ERROR:
                self._docs = {doc.name: doc for doc in sorted(docs_of(reply), key=lambda doc: doc.name)}
        return self._docs

    def find(self, words: Sequence[str]) -> tuple[CommandDoc | None, int]:
        """The document of the command that a line begins with, and of how many words its name consists."""
        docs = self.all()
        for count in (2, 1):
            doc = docs.get(" ".join(words[:count]).upper()) if len(words) >= count else None
            if doc is not None:
                return doc, count
        return None, 0


def docs_of(reply: Reply) -> Iterator[CommandDoc]:
    """The documents in a reply to COMMAND DOCS of either protocol version, subcommands included."""
    for name, about in _pairs(reply):
        fields = {field.text.decode(): value for field, value in _pairs(about)}
        full_name = _text(name).replace("|", " ").upper()
        yield CommandDoc(
            full_name,
            _usage(full_name, fields),
            _text(fields.get("summary")),
            _text(fields.get("group")),
            _text(fields.get("since")),
        )
        if (below := fields.get("subcommands")) is not None:
            yield from docs_of(below)


def _usage(name: str, fields: dict[str, Reply]) -> str:
    given = _text(fields.get("usage"))
    if given:
        return given[len(name) :].strip() if given.upper().startswith(name) else given
    if "arguments" in fields:
        return " ".join(map(argument_usage, fields["arguments"].items))
    return ""


def argument_usage(argument: Reply) -> str:
    """One node of Redis' tree of arguments as it stands in a usage line."""
    fields = {field.text.decode(): value for field, value in _pairs(argument)}
    flags = {_text(flag) for flag in fields["flags"].items} if "flags" in fields else set()
    kind, token = _text(fields.get("type")), _text(fields.get("token"))
    below = [argument_usage(item) for item in fields["arguments"].items] if "arguments" in fields else []
    if kind == "oneof":
        text = " | ".join(below)
        if "optional" not in flags or "multiple" in flags or token:
            text = f"<{text}>"
    elif kind == "block":
        text = " ".join(below)
    elif kind == "pure-token":
        token, text = token or '""', ""
    else:
        text = _text(fields.get("display_text")) or _text(fields["name"])
    once = f"{token} {text}".strip() if token else text
    if "multiple" in flags:
        again = once if "multiple_token" in flags else text
        once = f"{once} [{again} ...]"
    return f"[{once}]" if "optional" in flags else once


def _pairs(reply: Reply) -> Iterator[tuple[Reply, Reply]]:
    """A map, or the flat array that stands for one in RESP2."""
    return zip(reply.items[::2], reply.items[1::2], strict=False)


def _text(reply: Reply | None) -> str:
    return reply.text.decode(errors="replace") if reply is not None else ""
