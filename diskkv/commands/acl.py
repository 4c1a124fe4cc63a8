"""ACL: users, what they may do, and what was refused to them."""

from __future__ import annotations

import secrets
from typing import Any

from diskkv.dispatch.acl.access import check
from diskkv.dispatch.acl.selectors import Selector
from diskkv.dispatch.args import bounded, integer, quoted
from diskkv.dispatch.categories import CATEGORIES, categories
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ADMIN, LOADING, NOSCRIPT, SECRET, STALE, Command, group, help_lines
from diskkv.errors import CommandError
from diskkv.replies import OK, Simple

command = group("server")

OPEN = NOSCRIPT | LOADING | STALE
FLAGS = ADMIN | OPEN

# The longest password that ACL GENPASS makes, in bits.
LONGEST = 4096


@command("ACL CAT [category]", OPEN, since="6.0.0", arity=-2)
def acl_cat(ctx: Session, *words: bytes) -> list[bytes]:
    """Return the categories of commands, or the commands in one."""
    if len(words) > 1:
        raise _misused("CAT")
    if not words:
        return [name.encode() for name in CATEGORIES]
    wanted = quoted(words[0]).lower()
    if wanted not in CATEGORIES:
        raise CommandError(f"Unknown category '{quoted(words[0])[:128]}'")
    return [one.name.encode() for one in _all_commands(ctx) if wanted in categories(one)]


def _all_commands(ctx: Session) -> list[Command]:
    parents = [one for name, one in ctx.executor.table.items() if name == one.name.encode()]
    return [one for parent in parents for one in (parent, *parent.subcommands.values())]


def _misused(name: str) -> CommandError:
    return CommandError(f"unknown subcommand or wrong number of arguments for '{name}'. Try ACL HELP.")


@command("ACL DELUSER username [username ...]", FLAGS | SECRET, since="6.0.0")
def acl_deluser(ctx: Session, *names: bytes) -> int:
    """Delete users and disconnect their clients; return how many there were."""
    deleted = ctx.executor.users.delete(names)
    ctx.executor.keeper.keep(names)
    return deleted


@command("ACL DRYRUN username command [arg [arg ...]]", FLAGS | SECRET, since="7.0.0")
def acl_dryrun(ctx: Session, name: bytes, *argv: bytes) -> Any:
    """Return whether a user may run a command, without running it."""
    user = ctx.executor.users.by_name.get(name)
    if user is None:
        raise CommandError(f"User '{quoted(name)}' not found")
    found = ctx.executor.find(argv)
    if isinstance(found, CommandError) or (found.subcommands and len(argv) > 1):
        raise CommandError(f"Command '{quoted(argv[0])}' not found")
    if not found.low <= len(argv) <= found.high:
        raise CommandError(f"wrong number of arguments for '{found.name}' command")
    denial = check(user, found, argv)
    return OK if denial is None else denial.text(name, shown=True).encode("utf-8", "surrogateescape")


@command("ACL GENPASS [bits]", OPEN, since="6.0.0", arity=-2)
def acl_genpass(ctx: Session, *words: bytes) -> bytes:
    """Return a random password that nobody can guess, in hexadecimal digits."""
    if len(words) > 1:
        raise _misused("GENPASS")
    text = f"ACL GENPASS argument must be the number of bits for the output password, a positive number up to {LONGEST}"
    bits = bounded(b"%d" % integer(words[0]), 1, LONGEST, text) if words else 256
    digits = (bits + 3) // 4
    return secrets.token_hex((digits + 1) // 2)[:digits].encode()


@command("ACL GETUSER username", FLAGS | SECRET, since="6.0.0")
def acl_getuser(ctx: Session, name: bytes) -> dict[bytes, Any] | None:
    """Return what a user may do, and the hashes of its passwords."""
    user = ctx.executor.users.by_name.get(name)
    if user is None:
        return None
    return {
        b"flags": dict.fromkeys(user.flags()).keys(),
        b"passwords": list(user.passwords),
        **_described(user.root),
        b"selectors": [_described(selector) for selector in user.selectors[1:]],
    }


def _described(selector: Selector) -> dict[bytes, Any]:
    return {
        b"commands": selector.describe_commands(),
        b"keys": selector.describe_keys(),
        b"channels": selector.describe_channels(),
    }


@command("ACL LIST", FLAGS, since="6.0.0")
def acl_list(ctx: Session) -> list[bytes]:
    """Return all users, as lines of an ACL file."""
    return [user.describe() for user in ctx.executor.users.ordered()]


@command("ACL LOAD", FLAGS, since="6.0.0")
def acl_load(ctx: Session) -> Any:
    """Read the users of the ACL file again, all or none."""
    ctx.executor.keeper.load()
    return OK


@command("ACL LOG [count | RESET]", FLAGS, since="6.0.0", arity=-2)
def acl_log(ctx: Session, *words: bytes) -> Any:
    """Return what was refused to whom, the latest first, or forget it."""
    if len(words) > 1:
        raise _misused("LOG")
    denials = ctx.executor.users.denials
    if words and words[0].upper() == b"RESET":
        denials.entries.clear()
        return OK
    count = max(integer(words[0]), 0) if words else 10
    return [
        {
            b"count": entry.count,
            b"reason": entry.reason.encode(),
            b"context": entry.context.encode(),
            b"object": entry.object,
            b"username": entry.username,
            b"age-seconds": (ctx.now - entry.updated) / 1000,
            b"client-info": entry.client.encode("utf-8", "surrogateescape"),
            b"entry-id": entry.id,
            b"timestamp-created": entry.created,
            b"timestamp-last-updated": entry.updated,
        }
        for entry in list(denials.entries)[:count]
    ]


@command("ACL SAVE", FLAGS, since="6.0.0")
def acl_save(ctx: Session) -> Any:
    """Write all users to the ACL file."""
    ctx.executor.keeper.save()
    return OK


@command("ACL SETUSER username [rule [rule ...]]", FLAGS | SECRET, since="6.0.0")
def acl_setuser(ctx: Session, name: bytes, *rules: bytes) -> Any:
    """Make a user, or change one, by rules."""
    ctx.executor.users.set(name, rules)
    ctx.executor.keeper.keep((name,))
    return OK


@command("ACL USERS", FLAGS, since="6.0.0")
def acl_users(ctx: Session) -> list[bytes]:
    """Return the names of all users."""
    return [user.name for user in ctx.executor.users.ordered()]


@command("ACL WHOAMI", OPEN, since="6.0.0")
def acl_whoami(ctx: Session) -> bytes:
    """Return the name of the connection's user."""
    return ctx.user.name


@command("ACL HELP", LOADING | STALE, since="6.0.0")
def acl_help(ctx: Session) -> list[Simple]:
    """Return this text."""
    return help_lines("acl")
