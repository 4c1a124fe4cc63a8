"""COMMAND: the command table, told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diskkv.dispatch.args import Args, quoted
from diskkv.dispatch.categories import categories
from diskkv.dispatch.keyspecs import KeySpec, specs_of
from diskkv.dispatch.positions import NoKeys, Use, key_uses, takes_keys
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import LOADING, OURS, STALE, Command, Flag, group, help_lines
from diskkv.dispatch.usage import Argument, parse_arguments
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib.glob import compile_glob
from diskkv.replies import Simple

command = group("server")

FLAGS = LOADING | STALE


@command("COMMAND", FLAGS, since="2.8.13", arity=-1)
def command_(ctx: Session, *words: bytes) -> list[Any]:
    """Return details about all commands."""
    if words:
        raise CommandError(f"unknown subcommand '{quoted(words[0][:128])}'. Try COMMAND HELP.")
    return [_describe(one) for one in _commands(ctx)]


@command("COMMAND COUNT", FLAGS, since="2.8.13")
def command_count(ctx: Session) -> int:
    """Return how many commands there are."""
    return len(_commands(ctx))


@command("COMMAND LIST [FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]", FLAGS, since="7.0.0")
def command_list(ctx: Session, *words: bytes) -> list[bytes]:
    """Return the names of all commands and subcommands, or of some."""
    chosen: Iterable[Command] = [one for parent in _commands(ctx) for one in (parent, *parent.subcommands.values())]
    args = Args(words)
    if args:
        if args.word() != b"FILTERBY" or len(args) != 2:
            raise BadSyntax
        by, value = args.word(), args.next()
        match by:
            case b"MODULE":
                chosen = []
            case b"ACLCAT":
                category = value.lower().decode("utf-8", "replace")
                chosen = [one for one in chosen if category in categories(one)]
            case b"PATTERN":
                matches = compile_glob(value, True)
                chosen = [one for one in chosen if matches(one.name.encode())]
            case _:
                raise BadSyntax
    return [one.name.encode() for one in chosen]


@command("COMMAND INFO [command-name [command-name ...]]", FLAGS, since="2.8.13")
def command_info(ctx: Session, *names: bytes) -> list[Any]:
    """Return details about some commands, or all."""
    if not names:
        return command_(ctx)
    return [_describe(found) if found is not None else None for found in (_find(ctx, name) for name in names)]


@command("COMMAND DOCS [command-name [command-name ...]]", FLAGS, since="7.0.0")
def command_docs(ctx: Session, *names: bytes) -> dict[bytes, Any]:
    """Return documents of some commands, or of all."""
    chosen = [_find(ctx, name) for name in names] if names else _commands(ctx)
    return {one.name.encode(): _document(one) for one in chosen if one is not None}


@command("COMMAND GETKEYS command [arg [arg ...]]", FLAGS, since="2.8.13")
def command_getkeys(ctx: Session, *argv: bytes) -> list[bytes]:
    """Return which words of a command are keys."""
    return [argv[position] for position, _ in _uses(ctx, argv)]


@command("COMMAND GETKEYSANDFLAGS command [arg [arg ...]]", FLAGS, since="7.0.0")
def command_getkeysandflags(ctx: Session, *argv: bytes) -> list[Any]:
    """Return which words of a command are keys, and what is done to them."""
    return [[argv[position], _ordered(flags)] for position, flags in _uses(ctx, argv)]


@command("COMMAND HELP", FLAGS, since="5.0.0")
def command_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("command")


def _commands(ctx: Session) -> list[Command]:
    """All commands, without the spellings in capitals that the table also has."""
    return [one for name, one in ctx.executor.table.items() if name == one.name.encode()]


def _find(ctx: Session, name: bytes) -> Command | None:
    parent, bar, sub = name.lower().partition(b"|")
    found = ctx.executor.table.get(parent)
    return found.subcommands.get(sub) if found is not None and bar else found


def _uses(ctx: Session, argv: tuple[bytes, ...]) -> list[Use]:
    found = ctx.executor.find(argv)
    if isinstance(found, CommandError) or (found.subcommands and len(argv) > 1):
        raise CommandError("Invalid command specified")
    if not takes_keys(found):
        raise CommandError("The command has no key arguments")
    if not found.low <= len(argv) <= found.high:
        raise CommandError("Invalid number of arguments specified for command")
    try:
        return key_uses(found, argv)
    except NoKeys:
        if found.flags & Flag.NO_MANDATORY_KEYS:
            return []
        raise CommandError("Invalid arguments specified for command") from None


def _describe(one: Command) -> list[Any]:
    """A command as COMMAND INFO has it."""
    keys = one.keys
    return [
        one.name.encode(),
        one.arity,
        {Simple(name) for name in _flag_names(one)},
        keys.first,
        keys.last,
        keys.step if keys.first else 0,
        _ordered(["@" + name for name in categories(one)]),
        [],
        [_key_spec(spec) for spec in specs_of(one)],
        [_describe(sub) for sub in one.subcommands.values()],
    ]


def _flag_names(one: Command) -> list[bytes]:
    return [str(flag.name).lower().encode() for flag in Flag if one.flags & flag & ~OURS]


def _ordered(names: Iterable[str]) -> Any:
    """A set in Redis' order."""
    return dict.fromkeys(Simple(name.encode()) for name in names).keys()


def _key_spec(spec: KeySpec) -> dict[bytes, Any]:
    """Where keys stand and what is done to them, in the form that clients of a cluster read."""
    begin: dict[bytes, Any]
    find: dict[bytes, Any]
    if spec.unknown:
        begin = find = {b"type": b"unknown", b"spec": {}}
    else:
        if spec.keyword:
            begin = {b"type": b"keyword", b"spec": {b"keyword": spec.keyword.encode(), b"startfrom": spec.first}}
        else:
            begin = {b"type": b"index", b"spec": {b"index": spec.first}}
        if spec.counted:
            find = {b"type": b"keynum", b"spec": {b"keynumidx": 0, b"firstkey": 1, b"keystep": spec.step}}
        else:
            find = {b"type": b"range", b"spec": {b"lastkey": spec.last, b"keystep": spec.step, b"limit": spec.part}}
    return {b"flags": _ordered(spec.flags), b"begin_search": begin, b"find_keys": find}


def _document(one: Command) -> dict[bytes, Any]:
    """A command as COMMAND DOCS has it, and its usage line, from which all the rest comes."""
    document: dict[bytes, Any] = {
        b"summary": one.summary.encode(),
        b"since": one.since.encode(),
        b"group": one.group.encode(),
        b"usage": one.usage.encode(),
    }
    arguments = parse_arguments(" ".join(one.usage.split(" ")[one.name.count("|") + 1 :]))
    if arguments:
        document[b"arguments"] = [_argument(argument) for argument in arguments]
    if one.subcommands:
        document[b"subcommands"] = {sub.name.encode(): _document(sub) for sub in one.subcommands.values()}
    return document


def _argument(argument: Argument) -> dict[bytes, Any]:
    shown: dict[bytes, Any] = {b"name": argument.name.encode(), b"type": argument.kind.encode()}
    if argument.kind not in ("pure-token", "oneof", "block"):
        shown[b"display_text"] = argument.name.encode()
    if argument.token:
        shown[b"token"] = argument.token.encode()
    flags = [name for name in ("optional", "multiple", "multiple_token") if getattr(argument, name)]
    if flags:
        shown[b"flags"] = [Simple(flag.encode()) for flag in flags]
    if argument.arguments:
        shown[b"arguments"] = [_argument(inner) for inner in argument.arguments]
    return shown
