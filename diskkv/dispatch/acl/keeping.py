"""Where an executor's users come from at the start, and where they are written: see `files.py` for which file when."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from diskkv.config import Settings
from diskkv.dispatch.acl.files import KEPT, BadUsers, configured_users, read_users, write_users
from diskkv.dispatch.acl.users import Users
from diskkv.errors import CommandError, SettingError

journal = logging.getLogger("diskkv")

NO_FILE = (
    "This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a "
    "CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration."
)


class Keeper:
    """Reads and writes one executor's users. `directory` is the store's; None for a store in memory."""

    def __init__(self, users: Users, settings: Settings, directory: str | None) -> None:
        self._users = users
        self._settings = settings
        path = settings["aclfile"]
        self._file = os.path.join(directory or "", path) if path else None
        # what ACL SETUSER has said about these names is kept in `users.acl`
        self._kept: set[bytes] = set()
        self._own = os.path.join(directory, KEPT) if directory is not None and not path and not settings.users else None

    def start(self) -> None:
        """Load the users. SettingError when there is something wrong with them."""
        settings, users = self._settings, self._users
        if settings["requirepass"]:
            users.require(settings["requirepass"])
        if self._file is not None and settings.users:
            raise SettingError("there are users in an ACL file and users in the configuration: give either, not both")
        try:
            if self._file is not None:
                users.replace(read_users(self._file, all_channels=users.all_channels))
            elif settings.users:
                users.add(configured_users(settings.users, all_channels=users.all_channels))
            elif self._own is not None and os.path.exists(self._own):
                kept = read_users(self._own, all_channels=users.all_channels)
                self._kept = set(kept)
                users.add(kept)
                if settings["requirepass"]:
                    users.require(settings["requirepass"])
        except BadUsers as error:
            raise SettingError(str(error)) from None

    def load(self) -> None:
        """ACL LOAD. CommandError when there is no file, or something wrong with it; nothing has changed then."""
        if self._file is None:
            raise CommandError(NO_FILE)
        try:
            self._users.replace(read_users(self._file, all_channels=self._users.all_channels))
        except BadUsers as error:
            raise CommandError(str(error)) from None

    def save(self) -> None:
        """ACL SAVE. CommandError when there is no file, or it can't be written."""
        if self._file is None:
            raise CommandError(NO_FILE)
        try:
            write_users(self._file, self._users.ordered())
        except OSError as error:
            journal.warning("ACL SAVE: %(file)s: %(error)s", {"file": self._file, "error": error})
            raise CommandError("There was an error trying to save the ACLs. Please check the server logs for more information") from None

    def keep(self, names: Iterable[bytes]) -> None:
        """ACL SETUSER or DELUSER has changed these users. CommandError when that can't be written down where it should be."""
        if self._own is None:
            return
        self._kept.update(names)
        self._kept &= self._users.by_name.keys()
        try:
            write_users(self._own, [user for user in self._users.ordered() if user.name in self._kept])
        except OSError as error:
            journal.warning("keeping the users in %(file)s: %(error)s", {"file": self._own, "error": error})
            text = f"the users could not be written to {KEPT}, the change is lost with the next start: {error.strerror}"
            raise CommandError(text) from None
