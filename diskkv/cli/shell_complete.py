"""What Tab offers and which arguments are shown in grey, as plain functions of the line so far."""

from __future__ import annotations

from collections.abc import Sequence

from diskkv.cli.shell_docs import CommandDoc, Docs
from diskkv.cli.shell_hints import openings, parse, remaining, show
from diskkv.cli.shell_words import split

SHELL_WORDS = ("clear", "connect", "exit", "help", "quit", ":set")
SHELL_USAGE = {"connect": "host port", "help": "[command | @group]", ":set": "hints | nohints"}


def hint(line: str, docs: Docs) -> str:
    """The arguments still to come, with the space that is missing before them; empty if there are none or the line makes no sense."""
    words = _words(line)
    if not words:
        return ""
    usage, typed = _usage(words, docs)
    rest = remaining(parse(usage), typed) if usage else None
    text = show(rest) if rest else ""
    return text if not text or line[-1].isspace() else f" {text}"


def completions(line: str, docs: Docs) -> tuple[list[str], str]:
    """The words that the last word of the line may become, and that word as typed (empty after a space)."""
    words = _words(line)
    if words is None:
        return [], ""
    last = words.pop() if words and not line[-1].isspace() else ""
    found = [word for word in _candidates(words, docs) if word.upper().startswith(last.upper())]
    if (last or "".join(words[:1])).islower():
        found = [word.lower() for word in found]
    return found, last


def _candidates(words: Sequence[str], docs: Docs) -> list[str]:
    """All that may stand at the end of these words."""
    if not words:
        return sorted({name.split()[0] for name in docs.all()}) + list(SHELL_WORDS)
    if words[0] == ":set":
        return ["hints", "nohints"] if len(words) == 1 else []
    if words[0].lower() == "help":
        below = _subcommands(words[1], docs) if len(words) == 2 else []
        groups = sorted({f"@{doc.group}" for doc in docs.all().values()})
        return groups + sorted({name.split()[0] for name in docs.all()}) if len(words) == 1 else below
    if len(words) == 1 and (below := _subcommands(words[0], docs)):
        return below
    usage, typed = _usage(words, docs)
    rest = remaining(parse(usage), typed)
    return list(dict.fromkeys(openings(rest))) if rest else []


def _subcommands(name: str, docs: Docs) -> list[str]:
    return [other.split()[1] for other in docs.all() if other.startswith(f"{name.upper()} ")]


def _usage(words: Sequence[str], docs: Docs) -> tuple[str, Sequence[str]]:
    """The usage line of the command that the words begin with, and the words after its name."""
    found: CommandDoc | None
    found, count = docs.find(words)
    if found is not None:
        return found.usage, words[count:]
    return SHELL_USAGE.get(words[0].lower(), ""), words[1:]


def _words(line: str) -> list[str] | None:
    """The line's words without a repeat count before them; None while a quote is open."""
    found = split(line.encode(errors="surrogateescape"))
    if found is None:
        return None
    words = [word.decode(errors="replace") for word in found]
    if words and words[0].isdigit() and (len(words) > 1 or line[-1].isspace()):
        del words[0]
    return words
