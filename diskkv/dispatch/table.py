"""The command table: the line in the manual is the declaration.

    @command("SADD key member [member ...]", WRITE | DENYOOM | FAST, since="1.0.0")
    def sadd(ctx: Session, key: bytes, member: bytes, *more: bytes) -> int:
        '''Add members to a set, creating it if need be; reply how many were new.'''

Name, arity and key positions come from the usage line, the summary from the docstring's first line, the group from the module's
`group("...")`. A line whose name has two words ("OBJECT ENCODING key") is a subcommand; its container is made by itself.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from diskkv.replies import Simple

if TYPE_CHECKING:
    from diskkv.dispatch.session import Session

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)


class Flag(enum.IntFlag):
    """What a command is; named as in Redis' COMMAND INFO, in lower case."""

    WRITE = enum.auto()
    READONLY = enum.auto()
    DENYOOM = enum.auto()
    ADMIN = enum.auto()
    PUBSUB = enum.auto()
    NOSCRIPT = enum.auto()
    BLOCKING = enum.auto()
    LOADING = enum.auto()
    STALE = enum.auto()
    SKIP_MONITOR = enum.auto()
    SKIP_SLOWLOG = enum.auto()
    FAST = enum.auto()
    NO_AUTH = enum.auto()
    MAY_REPLICATE = enum.auto()
    NO_MULTI = enum.auto()
    MOVABLEKEYS = enum.auto()
    ALLOW_BUSY = enum.auto()
    NO_ASYNC_LOADING = enum.auto()
    NO_MANDATORY_KEYS = enum.auto()
    # ours, not shown: runs at once even when the session queues commands for EXEC, or is subscribed in RESP2
    DURING_MULTI = enum.auto()
    WHILE_SUBSCRIBED = enum.auto()
    # ours, not shown: the arguments may hold a password and are not written down
    SECRET = enum.auto()


WRITE = Flag.WRITE
READONLY = Flag.READONLY
DENYOOM = Flag.DENYOOM
ADMIN = Flag.ADMIN
PUBSUB = Flag.PUBSUB
NOSCRIPT = Flag.NOSCRIPT
BLOCKING = Flag.BLOCKING
LOADING = Flag.LOADING
STALE = Flag.STALE
SKIP_MONITOR = Flag.SKIP_MONITOR
SKIP_SLOWLOG = Flag.SKIP_SLOWLOG
FAST = Flag.FAST
NO_AUTH = Flag.NO_AUTH
MAY_REPLICATE = Flag.MAY_REPLICATE
NO_MULTI = Flag.NO_MULTI
MOVABLEKEYS = Flag.MOVABLEKEYS
ALLOW_BUSY = Flag.ALLOW_BUSY
NO_ASYNC_LOADING = Flag.NO_ASYNC_LOADING
NO_MANDATORY_KEYS = Flag.NO_MANDATORY_KEYS
DURING_MULTI = Flag.DURING_MULTI
WHILE_SUBSCRIBED = Flag.WHILE_SUBSCRIBED
SECRET = Flag.SECRET
OURS = DURING_MULTI | WHILE_SUBSCRIBED | SECRET

UNBOUNDED = 1 << 31


@dataclass(frozen=True, slots=True)
class Keys:
    """Where keys stand in argv: the first, the last (negative from the end) and the step; or where their number stands and their step."""

    first: int = 0
    last: int = 0
    step: int = 0
    numkeys: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """One command or subcommand; frozen once declared."""

    name: str
    usage: str
    summary: str
    group: str
    since: str
    flags: Flag
    arity: int
    keys: Keys
    handler: Handler
    low: int
    high: int
    skip: int
    writes: bool
    # reads or writes keys, and does nothing to the client or the server
    data: bool
    subcommands: dict[bytes, Command] = field(default_factory=dict)


# Executes requests of one command, from a place on, as long as they have its simplest form: appends the reply to each, encoded, to the list
# and returns where the first stands that is left. See `packets.py`, which calls it.
Row = Callable[["Session", "list[list[bytes]]", int, "list[bytes]"], int]
R = TypeVar("R", bound=Row)

TABLE: dict[bytes, Command] = {}
ROWS: dict[str, Row] = {}


def row(*names: str) -> Callable[[R], R]:
    """The decorator of a function that executes several requests of a command at once."""

    def declare(function: R) -> R:
        ROWS.update(dict.fromkeys(names, function))
        return function

    return declare


def group(name: str) -> Callable[..., Callable[[H], H]]:
    """The decorator `command` for a module whose commands belong to group `name`."""

    def command(
        usage: str, flags: Flag, *, since: str, arity: int | None = None, keys: Keys | None = None, name_words: int | None = None
    ) -> Callable[[H], H]:
        def declare(handler: H) -> H:
            words = leading_names(usage) if name_words is None else name_words
            tokens = usage.split(" ")
            title = "|".join(tokens[:words]).lower()
            derived = words + count_required(" ".join(tokens[words:]))
            final = arity if arity is not None else derived
            low, high = (abs(final), UNBOUNDED) if final < 0 else (final, final)
            summary = (handler.__doc__ or "").strip().split("\n")[0]
            made = Command(
                title, usage, summary, name, since, flags, final, keys or find_keys(tokens, words), handler,
                low, high, words, bool(flags & Flag.WRITE), bool(flags & (Flag.WRITE | Flag.READONLY)),
            )  # fmt: skip
            _enter(made, words)
            return handler

        return declare

    return command


def _enter(command: Command, words: int) -> None:
    raw = command.name.encode()
    if words == 1:
        held = TABLE.get(raw)
        subcommands = held.subcommands if held is not None else {}
        _store(Command(**{**_fields(command), "subcommands": subcommands}))
        return
    parent, _, sub = raw.partition(b"|")
    held = TABLE.get(parent)
    if held is None:
        title = parent.decode()
        held = Command(
            title, title.upper(), f"A container for {title.upper()} commands.", command.group, command.since, Flag(0), -2, Keys(),
            container, 2, UNBOUNDED, 1, False, False,
        )  # fmt: skip
        _store(held)
    elif held.handler is container and _version(command.since) < _version(held.since):
        _store(Command(**{**_fields(held), "since": command.since}))
    held.subcommands[sub] = command


def _version(since: str) -> tuple[int, ...]:
    return tuple(map(int, since.split(".")))


def _store(command: Command) -> None:
    raw = command.name.encode()
    # The upper-case spelling is entered, too: it is what most clients send, and spares them a lower().
    TABLE[raw] = TABLE[raw.upper()] = command


def _fields(command: Command) -> dict[str, Any]:
    return {name: getattr(command, name) for name in Command.__slots__}


def container(*_: Any) -> Any:
    """The handler of a container, which has nothing but subcommands."""
    raise AssertionError("a container is never called")


def help_lines(container: str) -> list[Simple]:
    """The reply to HELP of a container: each subcommand's usage and summary."""
    lines = [f"{container.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for sub in TABLE[container.encode()].subcommands.values():
        lines += [sub.usage.partition(" ")[2], f"    {sub.summary}"]
    return [Simple(line.encode()) for line in lines]


def leading_names(usage: str) -> int:
    """How many of a usage line's first words are the command's name: those in capitals, two at most."""
    words = usage.split(" ")
    return 2 if len(words) > 1 and re.fullmatch(r"[A-Z][A-Z0-9-]+", words[1]) else 1


def count_required(arguments: str) -> int:
    """How many words must at least follow; negative (as Redis' arity, the name counted by the caller) when more may."""
    required, more = 0, False
    depth = 0
    for token in re.findall(r"\.\.\.|[\[\]<>]|[^\s\[\]<>]+", arguments):
        if token in "[<":
            more = more or (token == "[" and depth == 0)
            if token == "<" and depth == 0:
                required += 1
            depth += 1
        elif token in "]>":
            depth -= 1
        elif depth == 0 and token == "...":
            more = True
        elif depth == 0:
            required += 1
    return _Arity(required, more)


class _Arity(int):
    """A count of required words to which the name's words can be added: negative when more may follow."""

    more: bool

    def __new__(cls, required: int, more: bool) -> _Arity:
        self = super().__new__(cls, required)
        self.more = more
        return self

    def __radd__(self, words: int) -> int:
        total = words + int(self)
        return -total if self.more else total


KEY_NAMES = {"key", "source", "destination", "newkey", "key1", "key2", "destkey"}


def find_keys(tokens: list[str], words: int) -> Keys:
    """Where the keys stand, by the names that a usage line gives its arguments."""
    plain = [token.strip("[]") for token in tokens]
    at = [index for index in range(words, len(plain)) if plain[index] in KEY_NAMES and "<" not in tokens[index]]
    if not at or "numkeys" in plain:
        numkeys = plain.index("numkeys") if "numkeys" in plain else 0
        return Keys(at[0] if at and at[0] < numkeys else 0, at[0] if at and at[0] < numkeys else 0, 1 if at else 0, numkeys)
    first = at[0]
    if "..." in " ".join(tokens) and len(at) > 1 and plain[at[-1]] == "key" and tokens[at[-1]].startswith("["):
        step = at[-1] - at[-2]
        rest = tokens[at[-1] :]
        last = -1 if rest[-1].endswith("...]") and len(rest) <= step + 1 else at[-2]
        return Keys(first, last, step)
    following = [index for index in at if not tokens[index].startswith("[")]
    consecutive = first
    while consecutive + 1 in following:
        consecutive += 1
    return Keys(first, consecutive, 1)
