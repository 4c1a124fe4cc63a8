"""The decision: may this user run this command, with these arguments?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diskkv.dispatch.acl.selectors import READ, WRITE, Selector
from diskkv.dispatch.args import quoted
from diskkv.dispatch.keyspecs import WRITING
from diskkv.dispatch.positions import NoKeys, Use, channel_positions, key_uses
from diskkv.dispatch.table import Command, Flag
from diskkv.lib.glob import compile_glob

if TYPE_CHECKING:
    from diskkv.dispatch.acl.users import User
    from diskkv.dispatch.session import Session

# From what is the less to what is the more telling: of several selectors' denials the one that came furthest is reported.
_ORDER = ("command", "key", "channel")


@dataclass(frozen=True, slots=True)
class Denial:
    """What a command was refused for: `reason` is command, key or channel, `object` its name, `position` its place in argv."""

    reason: str
    object: bytes
    position: int = 0

    def text(self, user: bytes, *, shown: bool) -> str:
        """In words; `shown`: which key or channel it is is said, too."""
        name = user.decode("utf-8", "surrogateescape")
        if self.reason == "command":
            return f"User {name} has no permissions to run the '{quoted(self.object)}' command"
        if shown:
            return f"User {name} has no permissions to access the '{quoted(self.object)}' {self.reason}"
        return f"No permissions to access a {self.reason}"


def check(user: User, command: Command, argv: Sequence[bytes]) -> Denial | None:
    """Why the user may not run the command with these arguments; None if one of the user's selectors permits all of it."""
    if not user.restricted:
        return None
    uses: list[Use] | None = None
    worst = Denial("command", command.name.encode())
    for selector in user.selectors:
        if uses is None and not selector.all_keys:
            uses = _uses(command, argv)
        denial = _check(selector, command, argv, uses or [])
        if denial is None:
            return None
        if (_ORDER.index(denial.reason), denial.position) > (_ORDER.index(worst.reason), worst.position):
            worst = denial
    return worst


def reads_everything(user: User, command: Command, argv: Sequence[bytes]) -> bool:
    """Whether a selector that permits the command permits reading every key as well (SORT's BY and GET)."""
    if not user.restricted:
        return True
    uses = _uses(command, argv)
    return any(
        _check(selector, command, argv, uses) is None and (selector.all_keys or bool(selector.patterns.get(b"*", 0) & READ))
        for selector in user.selectors
    )


def _uses(command: Command, argv: Sequence[bytes]) -> list[Use]:
    """The keys of a command. One whose arguments contradict themselves will answer with an error and touches none."""
    try:
        return key_uses(command, argv)
    except NoKeys:
        return []


def _check(selector: Selector, command: Command, argv: Sequence[bytes], uses: Sequence[Use]) -> Denial | None:
    if not selector.all_commands and not command.flags & Flag.NO_AUTH and not _allows(selector, command, argv):
        return Denial("command", command.name.encode())
    if not selector.all_keys:
        for position, flags in uses:
            if not may_touch(selector, argv[position], flags):
                return Denial("key", argv[position], position)
    if not selector.all_channels:
        positions, literal = channel_positions(command, argv)
        for position in positions:
            if not may_hear(selector.channels, argv[position], literal=literal):
                return Denial("channel", argv[position], position)
    return None


def _allows(selector: Selector, command: Command, argv: Sequence[bytes]) -> bool:
    if command.name in selector.allowed:
        return True
    firsts = selector.first_arguments.get(command.name)
    return firsts is not None and len(argv) > 1 and quoted(argv[1]).lower() in firsts


def _matches(pattern: bytes, text: bytes) -> bool:
    """As Redis matches rules: an empty key or channel is permitted by an empty pattern, or where all are permitted, but not by `*`."""
    return compile_glob(pattern)(text) if text else not pattern


def may_touch(selector: Selector, key: bytes, flags: Sequence[str]) -> bool:
    """Whether the patterns permit what the flags of `keyspecs` say to be done to a key."""
    needed = (READ if "access" in flags else 0) | (0 if WRITING.isdisjoint(flags) else WRITE)
    return any(rights & needed == needed and _matches(pattern, key) for pattern, rights in selector.patterns.items())


def may_hear(patterns: Sequence[bytes] | dict[bytes, None] | set[bytes], channel: bytes, *, literal: bool) -> bool:
    """Whether a channel is among those permitted. A pattern (`literal`) must be one of them word by word, not just match."""
    if literal:
        return channel in patterns
    return any(_matches(pattern, channel) for pattern in patterns)


def hears(session: Session, allowed: set[bytes]) -> bool:
    """Whether all that a client is subscribed to is permitted. Whoever adds kinds of subscriptions adds them here."""
    return all(may_hear(allowed, pattern, literal=True) for pattern in session.patterns) and all(
        may_hear(allowed, channel, literal=False) for channel in session.subscriptions
    )
