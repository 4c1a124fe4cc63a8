"""`help` in the shell: about the shell, about a command, about a group of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diskkv.cli.shell_docs import CommandDoc

BOLD, GREY, YELLOW, PLAIN = "\x1b[1m", "\x1b[90m", "\x1b[33m", "\x1b[0m"

ABOUT = """\
help COMMAND        about a command, or all that begin with these words
help @GROUP         the commands of a group: {groups}
clear               clear the screen
connect HOST PORT   talk to another server
:set hints          show arguments while you type; `:set nohints` does not
N COMMAND ...       run a command N times
quit                leave; so do `exit` and Ctrl-D
"""


def help_text(words: Sequence[str], docs: dict[str, CommandDoc], *, color: bool) -> str:
    """The text for `help words...`, with ANSI colours if wanted."""
    if not docs:
        return ABOUT.format(groups="none known") + "\nThere is no help on commands: COMMAND DOCS got no answer.\n"
    if not words:
        return ABOUT.format(groups=" ".join(sorted({f"@{doc.group}" for doc in docs.values()})))
    if words[0].startswith("@"):
        group = words[0][1:].lower()
        found = [doc for doc in docs.values() if doc.group.lower() == group]
        text = "".join(_entry(doc, with_group=False) for doc in found)
    else:
        found = list(_named(words, docs))
        text = "".join(_entry(doc, with_group=True) for doc in found)
    if not found:
        return f"There is no help on {' '.join(words)!r}.\n"
    if not color:
        for code in (BOLD, GREY, YELLOW, PLAIN):
            text = text.replace(code, "")
    return f"\n{text}"


def _named(words: Sequence[str], docs: dict[str, CommandDoc]) -> Iterator[CommandDoc]:
    """The command of exactly this name; else those whose name begins with these words, the last of which may be cut short."""
    wanted = " ".join(words).upper()
    if wanted in docs:
        yield docs[wanted]
        return
    yield from (doc for name, doc in docs.items() if name.startswith(wanted))


def _entry(doc: CommandDoc, *, with_group: bool) -> str:
    lines = [f"  {BOLD}{doc.name}{PLAIN} {GREY}{doc.usage}{PLAIN}".rstrip(), f"  {YELLOW}summary:{PLAIN} {doc.summary}"]
    if doc.since:
        lines.append(f"  {YELLOW}since:{PLAIN} {doc.since}")
    if with_group:
        lines.append(f"  {YELLOW}group:{PLAIN} {doc.group}")
    return "\n".join(lines) + "\n\n"
