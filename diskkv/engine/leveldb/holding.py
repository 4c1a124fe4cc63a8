"""Keeps the files that LevelDB deletes until there is time for it.

LevelDB deletes what a compaction has made superfluous while it holds the lock that each look-up takes: two to four milliseconds for a
file of 2 MB on a busy disk, half a dozen in a row, and meanwhile nobody is answered (nearly all of the answers that took more than 20 ms
did so for this). To take a file's name away costs some microseconds as long as it is open elsewhere. So its tables and logs are held open
here as soon as they are written, and let go by a thread that nobody waits for.

Of a store with more files than may be held, only the newest are. The space of what was deleted comes back within a second. All stores of
a process share the descriptors that this may take, and what was deleted and not yet let go counts among them.
"""

from __future__ import annotations

import contextlib
import os
import resource
import weakref
from collections import OrderedDict, deque

SUFFIXES = (".ldb", ".log")
# Of the descriptors that the process may have so large a part is taken, but never more than MOST: with the 490 tables that LevelDB itself
# keeps open it has to stay below what the server keeps from its clients (`FILES_OF_OUR_OWN` in `cli/serve.py`).
PART = 16
MOST = 400

_all: weakref.WeakSet[Holding] = weakref.WeakSet()


class Holding:
    """The files of one LevelDB. All but `let_go` are quick, and called by one thread at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        # name -> descriptor, the oldest first
        self._held: OrderedDict[str, int] = OrderedDict()
        # of files that have been deleted
        self._deleted: deque[int] = deque()
        _all.add(self)

    def _most(self) -> int:
        """How many may be held: this store's share. One that was opened before another has too many until it writes its next file."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (MOST if limit == resource.RLIM_INFINITY else min(limit // PART, MOST)) // max(len(_all), 1)

    def there(self) -> list[str]:
        """The names of what was there before, as far as it may be held."""
        names = [name for name in os.listdir(self._path) if name.endswith(SUFFIXES)]
        # They are numbers, of six digits or more, and the newest have the highest.
        names.sort(key=lambda name: (len(name), name))
        return names[max(len(names) - self._most(), 0) :]

    def written(self, name: str) -> None:
        """A file is complete."""
        if not name.endswith(SUFFIXES) or name in self._held:
            return
        with contextlib.suppress(OSError):
            self._held[name] = os.open(os.path.join(self._path, name), os.O_RDONLY | os.O_CLOEXEC)
        # What waits to be let go is room that others can't have, and it may wait long: the thread that does it also writes checkpoints.
        most = self._most()
        while self._held and len(self._held) + len(self._deleted) > most:
            os.close(self._held.popitem(last=False)[1])

    def deleted(self, name: str) -> None:
        """A file's name has gone."""
        handle = self._held.pop(name, None)
        if handle is not None:
            self._deleted.append(handle)

    def let_go(self) -> None:
        """Give the space of deleted files back, which takes as long as that does. Any thread's."""
        while self._deleted:
            os.close(self._deleted.popleft())

    def close(self) -> None:
        """Hold nothing any more."""
        _all.discard(self)
        while self._held:
            os.close(self._held.popitem()[1])
        self.let_go()
