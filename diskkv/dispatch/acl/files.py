"""Users as text: the `aclfile`, and `user` lines of the configuration.

    file := ("user " name (" " rule)* "\\n")*

With an `aclfile` it is as in Redis: its users are loaded at the start, ACL SAVE writes all users to it, ACL LOAD reads it again. A path
that is not absolute is one inside the store's directory (Redis, too, goes there first). A file that is not there is an error.

Without one, and without `user` lines, Redis forgets what ACL SETUSER did when it stops, unless CONFIG REWRITE was called. A store that
promises to keep what it has acknowledged had better not forget who may read it; so then each ACL SETUSER and DELUSER also writes the users
they are about to `users.acl` in the store's directory, before it is answered, and the next start begins with them. `requirepass` goes
before the file: what it says about the default user's password holds. Whoever has locked himself out deletes that file, or gives an
`aclfile` or `user` lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from diskkv.dispatch.acl.selectors import RuleError, has_blanks, merge_parentheses, words
from diskkv.dispatch.acl.users import User

KEPT = "users.acl"


class BadUsers(Exception):
    """A text that is no list of users; the text names each error, as Redis does."""


def read_users(path: str, *, all_channels: bool) -> dict[bytes, User]:
    """The users of a file, all of them or BadUsers."""
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise BadUsers(f"Error loading ACLs, opening file '{path}': {error.strerror}") from None
    users: dict[bytes, User] = {}
    errors: list[str] = []
    for number, line in enumerate(text.split(b"\n"), 1):
        line = line.strip(b" \t\r\n")
        if line:
            errors += _read_line(users, f"{path}:{number}", number, line.split(b" "), all_channels)
    if errors:
        raise BadUsers("".join(errors) + "WARNING: ACL errors detected, no change to the previously active ACL rules was performed")
    return users


def _read_line(users: dict[bytes, User], place: str, number: int, parts: list[bytes], all_channels: bool) -> Iterable[str]:
    """Take one user; what is wrong with it."""
    if parts[0] != b"user" or len(parts) < 2:
        return [f"{place} should start with user keyword followed by the username. "]
    name, rules = parts[1], parts[2:]
    if has_blanks(name):
        return [f"'{place}: username '{words(name)}' contains invalid characters. "]
    if name in users:
        return [f"WARNING: Duplicate user '{words(name)}' found on line {number}. "]
    user = users[name] = User(name, all_channels=all_channels)
    try:
        merged = merge_parentheses(rules)
    except RuleError:
        return [f"{place}: Unmatched parenthesis in selector definition."]
    errors = []
    told = False
    for rule in merged:
        rule = rule.strip(b"\t\r\n")
        try:
            user.apply(rule, all_channels=all_channels)
        except RuleError as error:
            if error.unknown:
                errors.append(f"{place}: Error in applying operation '{words(rule)}': {error}. ")
            elif not told:
                # Only the first: it might be about a password, and the others follow from it.
                errors.append(f"{place}: {error}. ")
                told = True
    user.settle()
    return errors


def write_users(path: str, users: Iterable[User]) -> None:
    """Replace a file by one with these users, whole or not at all, even if the power fails. OSError when it can't be done."""
    text = b"".join(user.describe() + b"\n" for user in users)
    aside = f"{path}.tmp-{os.getpid()}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        try:
            left = memoryview(text)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(aside, path)
    except OSError:
        os.unlink(aside)
        raise
    directory = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def configured_users(lines: Iterable[list[str]], *, all_channels: bool) -> dict[bytes, User]:
    """The users of a configuration's `user` lines, each without the first word. BadUsers when one is wrong."""
    users: dict[bytes, User] = {}
    for line in lines:
        name, *rules = (part.encode("utf-8", "surrogateescape") for part in line)
        if has_blanks(name):
            raise BadUsers("Spaces not allowed in ACL usernames")
        if name in users:
            raise BadUsers(f"Duplicate user '{words(name)}' found. A user can only be defined once in config files")
        user = users[name] = User(name, all_channels=all_channels)
        rule = b""
        try:
            for rule in merge_parentheses(rules):
                user.apply(rule, all_channels=all_channels)
        except RuleError as error:
            shown = words(rule) if rule[:1] not in (b">", b"<") else rule[:1].decode() + "..."
            raise BadUsers(f"Error loading ACL rule '{shown}' for the user named '{words(name)}': {error}") from None
        user.settle()
    return users
