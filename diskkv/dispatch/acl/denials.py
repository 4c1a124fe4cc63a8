"""What was refused to whom (ACL LOG), the latest first; what happens again and again is counted in one entry."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diskkv.dispatch.listing import client_line

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session

# As Redis: the same within a minute is the same entry, if it is among the latest ten.
SAME_FOR = 60_000
LOOKED_AT = 10


@dataclass(slots=True)
class Entry:
    """One entry; times in ms. `reason` is command, key, channel or auth, `context` toplevel, multi or lua."""

    id: int
    reason: str
    context: str
    object: bytes
    username: bytes
    created: int
    updated: int
    client: str
    count: int = 1


class Denials:
    """The log. `totals` counts everything since the start, by reason."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._next = 0
        self.entries: deque[Entry] = deque()
        self.totals = dict.fromkeys(("auth", "command", "key", "channel"), 0)

    def note(self, session: Session, reason: str, context: str, object_: bytes, username: bytes, command: str) -> None:
        """Something was refused by a command."""
        self.totals[reason] += 1
        now = self._executor.store.now
        line = client_line(session, command)
        entry = self._same(reason, context, object_, username, now)
        if entry is None:
            entry = Entry(self._next, reason, context, object_, username, now, now, line)
            self._next += 1
        else:
            self.entries.remove(entry)
            entry.client, entry.updated = line, now
            entry.count += 1
        self.entries.appendleft(entry)
        self.trim()

    def _same(self, reason: str, context: str, object_: bytes, username: bytes, now: int) -> Entry | None:
        for _, entry in zip(range(LOOKED_AT), self.entries, strict=False):
            what = (entry.reason, entry.context, entry.object, entry.username)
            if what == (reason, context, object_, username) and abs(now - entry.updated) <= SAME_FOR:
                return entry
        return None

    def trim(self) -> None:
        """Forget what is beyond acllog-max-len."""
        limit = self._executor.settings["acllog-max-len"]
        while len(self.entries) > limit:
            self.entries.pop()
