"""Rules, read and printed: what one selector permits.

A user has a root selector and may have more, `(...)`, each a whole set of permissions: a command may run if one of them permits all of
it. Rules about commands are remembered as they were given, but for those that a later rule has made void, and printed so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from diskkv.dispatch.acl.names import names
from diskkv.dispatch.categories import CATEGORIES

READ, WRITE = 1, 2
SIGNS = {READ | WRITE: b"~", READ: b"%R~", WRITE: b"%W~"}
_BLANKS = frozenset(b" \t\n\v\f\r\0")


class RuleError(Exception):
    """A rule that can't be applied; the text is Redis' reason. `unknown`: it is about a command or category that nobody knows."""

    def __init__(self, reason: str, *, unknown: bool = False) -> None:
        super().__init__(reason)
        self.unknown = unknown


SYNTAX = "Syntax error"
UNKNOWN = "Unknown command or category name in ACL"
BEHIND_ALL = (
    "Adding a pattern after the * pattern (or the '{0}' flag) is not valid and does not have any effect. Try '{1}' to start with an "
    "empty list of {2}"
)


def has_blanks(text: bytes) -> bool:
    """Whether a name or a pattern has spaces or null characters, which rules could not be printed with."""
    return not _BLANKS.isdisjoint(text)


def words(raw: bytes) -> str:
    """A rule's text as C compares it: up to its first null character."""
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


class Selector:
    """A set of permissions; changed by rules only."""

    __slots__ = (
        "all_channels", "all_commands", "all_keys", "allowed", "channels", "first_arguments", "open_ended", "parts", "patterns", "rules",
    )  # fmt: skip

    def __init__(self, *, all_channels: bool = False) -> None:
        self.all_keys = False
        self.all_channels = all_channels
        # nothing has been taken away since +@all; open_ended: the rules began with it, whatever was taken away
        self.all_commands = False
        self.open_ended = False
        self.allowed: frozenset[str] = frozenset()
        # command -> the first arguments it is allowed with though it is not allowed as such, in lower case
        self.first_arguments: dict[str, dict[str, None]] = {}
        # pattern -> READ, WRITE or both
        self.patterns: dict[bytes, int] = {}
        self.channels: dict[bytes, None] = {}
        # about commands: name -> sign, in the order given; parts: command -> which of them are about a part of it
        self.rules: dict[str, str] = {}
        self.parts: dict[str, dict[str, None]] = {}

    def copy(self) -> Selector:
        made = Selector(all_channels=self.all_channels)
        made.all_keys, made.all_commands, made.open_ended = self.all_keys, self.all_commands, self.open_ended
        made.allowed = self.allowed
        made.first_arguments = {name: dict(held) for name, held in self.first_arguments.items()}
        made.parts = {name: dict(held) for name, held in self.parts.items()}
        made.patterns, made.channels, made.rules = dict(self.patterns), dict(self.channels), dict(self.rules)
        return made

    @property
    def unrestricted(self) -> bool:
        return self.all_commands and self.all_keys and self.all_channels

    # -- rules

    def apply(self, rule: bytes) -> None:
        """Change what one rule says. RuleError when it is none; nothing has changed then."""
        match words(rule).lower():
            case "allkeys" | "~*":
                self.all_keys = True
                self.patterns = {}
            case "resetkeys":
                self.all_keys = False
                self.patterns = {}
            case "allchannels" | "&*":
                self.all_channels = True
                self.channels = {}
            case "resetchannels":
                self.all_channels = False
                self.channels = {}
            case "allcommands" | "+@all":
                self._all_or_none(True)
            case "nocommands" | "-@all":
                self._all_or_none(False)
            case word:
                self._apply_to_one(rule, word)

    def _all_or_none(self, everything: bool) -> None:
        self.all_commands = self.open_ended = everything
        self.allowed = names().every if everything else frozenset()
        self.first_arguments = {}
        self.rules = {}
        self.parts = {}

    def _apply_to_one(self, rule: bytes, word: str) -> None:
        sign = word[:1]
        if sign in ("~", "%"):
            self._add_pattern(rule)
        elif sign == "&":
            self._add_channel(rule[1:])
        elif word[:2] in ("+@", "-@"):
            self._set_category(word)
        elif sign == "+" and "|" in word:
            self._allow_part(word[1:])
        elif sign in ("+", "-"):
            name = _lookup(word[1:])
            self._set_command(name, sign == "+")
            self._remember(sign, name)
        else:
            raise RuleError(SYNTAX)

    def _add_pattern(self, rule: bytes) -> None:
        if self.all_keys:
            raise RuleError(BEHIND_ALL.format("allkeys", "resetkeys", "patterns"))
        kind, tilde, pattern = rule.partition(b"~")
        rights = READ | WRITE
        if kind:
            letters = kind[1:].upper()
            if not tilde or letters not in (b"R", b"W", b"RW", b"WR"):
                # Without a tilde Redis takes what are only letters for rights to an empty pattern.
                if tilde or not letters or letters.strip(b"RW") or len(set(letters)) != len(letters):
                    raise RuleError(SYNTAX)
                pattern = b""
            rights = (READ if b"R" in letters else 0) | (WRITE if b"W" in letters else 0)
        if has_blanks(pattern):
            raise RuleError(SYNTAX)
        self.patterns[pattern] = self.patterns.get(pattern, 0) | rights

    def _add_channel(self, pattern: bytes) -> None:
        if self.all_channels:
            raise RuleError(BEHIND_ALL.format("allchannels", "resetchannels", "channels"))
        if has_blanks(pattern):
            raise RuleError(SYNTAX)
        self.channels[pattern] = None

    def _set_category(self, word: str) -> None:
        if word[2:] not in CATEGORIES:
            raise RuleError(UNKNOWN, unknown=True)
        self._remember(word[0], word[1:])
        self._set_commands(names().category(word[2:]), word[0] == "+")

    def _allow_part(self, word: str) -> None:
        """`+config|get`, or `+select|0`: the latter only for a command that has no subcommands."""
        whole, _, part = word.rpartition("|")
        name = _lookup(whole)
        if "|" in name:
            raise RuleError("Allowing first-arg of a subcommand is not supported")
        if not part:
            raise RuleError(SYNTAX)
        if name in names().subcommands:
            self._set_command(_lookup(word), True)
        else:
            self.first_arguments.setdefault(name, {})[part] = None
        self._remember("+", word)

    def _set_command(self, name: str, allow: bool) -> None:
        self._set_commands(names().family(name), allow)

    def _set_commands(self, chosen: frozenset[str], allow: bool) -> None:
        if allow:
            self.allowed |= chosen
        else:
            self.allowed -= chosen
            # An empty category takes nothing away.
            self.all_commands = self.all_commands and not chosen
        for name in chosen & self.first_arguments.keys():
            del self.first_arguments[name]

    def _remember(self, sign: str, name: str) -> None:
        for part in self.parts.pop(name, ()):
            del self.rules[part]
        whole, bar, _ = name.partition("|")
        if bar:
            self.parts.setdefault(whole, {})[name] = None
        self.rules.pop(name, None)
        self.rules[name] = sign

    # -- printed

    def describe_commands(self) -> bytes:
        """The rules about commands, from `+@all` or `-@all` on."""
        shown = ["+@all" if self.open_ended else "-@all", *(sign + name for name, sign in self.rules.items())]
        return " ".join(shown).encode("utf-8", "surrogateescape")

    def describe_keys(self) -> bytes:
        """The rules about keys."""
        return b"~*" if self.all_keys else b" ".join(SIGNS[rights] + pattern for pattern, rights in self.patterns.items())

    def describe_channels(self) -> bytes:
        """The rules about channels."""
        return b"&*" if self.all_channels else b" ".join(b"&" + pattern for pattern in self.channels)

    def describe(self) -> bytes:
        """All rules, as they would be given to make a new selector like this one."""
        channels = self.describe_channels() if self.all_channels else b"resetchannels " + self.describe_channels()
        return b" ".join(part.rstrip(b" ") for part in (self.describe_keys(), channels, self.describe_commands()) if part)


def _lookup(word: str) -> str:
    name = names().find(word)
    if name is None:
        raise RuleError(UNKNOWN, unknown=True)
    return name


def split_words(text: bytes) -> list[bytes]:
    """The rules inside a selector's parentheses."""
    return text.split()


def merge_parentheses(rules: Sequence[bytes]) -> list[bytes]:
    """Rules with every selector in one piece, however it was spread over words. RuleError when a parenthesis stays open."""
    merged: list[bytes] = []
    opened: list[bytes] = []
    for rule in rules:
        if opened or (rule.startswith(b"(") and not rule.endswith(b")")):
            opened.append(rule)
            if len(opened) > 1 and rule.endswith(b")"):
                merged.append(b" ".join(opened))
                opened = []
        else:
            merged.append(rule)
    if opened:
        raise RuleError(f"Unmatched parenthesis in acl selector starting at '{words(opened[0])}'.")
    return merged


def read_selector(rules: Iterable[bytes], *, all_channels: bool) -> Selector:
    """A selector made by rules. RuleError when one of them is wrong."""
    made = Selector(all_channels=all_channels)
    for rule in rules:
        made.apply(rule)
    return made
