"""Usage lines can be read, and the tree that is read says the same as the line."""

from __future__ import annotations

import pytest

from diskkv import commands
from diskkv.dispatch.table import TABLE, Command
from diskkv.dispatch.usage import Argument, parse_arguments

commands.load()
EVERY = [
    one
    for name, command in TABLE.items()
    if name == name.lower()
    for one in (command, *command.subcommands.values())
]


def arguments_of(command: Command) -> str:
    return " ".join(command.usage.split(" ")[command.name.count("|") + 1 :])


def show(argument: Argument) -> str:
    """An argument as it stands in a usage line."""
    inner = [show(one) for one in argument.arguments]
    if argument.kind == "oneof":
        text = " | ".join(inner)
        if not argument.optional or argument.token:
            text = f"<{text}{' ...' if argument.multiple and not argument.token else ''}>"
    elif argument.kind == "block":
        text = " ".join(inner)
    else:
        text = "" if argument.kind == "pure-token" else argument.name
    value = text
    text = " ".join(part for part in (argument.token, text) if part)
    if argument.multiple and argument.kind != "oneof":
        text += f" [{text if argument.multiple_token else value} ...]"
    elif argument.multiple and argument.optional:
        text += " ..."
    return f"[{text}]" if argument.optional else text


@pytest.mark.parametrize("command", EVERY, ids=lambda command: command.name)
def test_every_usage_line_is_read_as_it_stands(command: Command) -> None:
    line = arguments_of(command)
    assert " ".join(map(show, parse_arguments(line))) == line


def test_the_tree() -> None:
    line = (
        "key [NX | XX] [EX seconds | KEEPTTL] [LIMIT offset count] field value [field value ...] [GET pattern [GET pattern ...]]"
    )
    assert parse_arguments(line) == [
        Argument("key", "key"),
        Argument("nx-or-xx", "oneof", optional=True, arguments=[Argument("nx", "pure-token", "NX"), Argument("xx", "pure-token", "XX")]),
        Argument(
            "seconds-or-keepttl", "oneof", optional=True,
            arguments=[Argument("seconds", "integer", "EX"), Argument("keepttl", "pure-token", "KEEPTTL")],
        ),
        Argument("limit", "block", "LIMIT", optional=True, arguments=[Argument("offset", "integer"), Argument("count", "integer")]),
        Argument("field-value", "block", multiple=True, arguments=[Argument("field", "string"), Argument("value", "string")]),
        Argument("pattern", "pattern", "GET", optional=True, multiple=True, multiple_token=True),
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["[key", "key]", "<a | b", "key [ | x]", "a | b"])
def test_broken_lines_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_arguments(line)
