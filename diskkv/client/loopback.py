"""A client in this process that speaks RESP: bytes in, bytes out, no socket. The shell's way to a local store."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from diskkv.client.caller import LONGEST
from diskkv.dispatch.blocking import Waiter
from diskkv.dispatch.executor import Executor
from diskkv.errors import LogFailed, ProtocolError
from diskkv.replies import POSTPONED, Blocked
from diskkv.resp.encode import ENCODERS
from diskkv.resp.parse import RequestParser

# How long to wait before a command that may not run yet is tried again (CLIENT PAUSE).
RETRY = 0.02


class Loopback:
    """One session's two ends: `send` executes what it is given, `receive` waits for replies and messages.

    One thread may use it at a time; others may publish to it and serve its blocking commands meanwhile.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._store = executor.store
        self._arrived = threading.Condition(self._store.lock)
        self._parser = RequestParser(max_bulk=executor.settings["proto-max-bulk-len"])
        self._todo: deque[list[bytes]] = deque()
        self._out: list[bytes] = []
        self._waiter: Waiter | None = None
        self._closed = False
        with self._store.lock:
            self._session = executor.open_session(self, owner=True)
        self._parser.authenticated = self._session.admitted()

    def send(self, data: bytes) -> None:
        """Execute the requests that these bytes complete. Those behind one that waits are executed by `receive`."""
        with self._arrived:
            try:
                self._todo.extend(self._parser.feed(data))
                self._work()
                while self._parser.more and not self._todo:
                    self._parser.authenticated = self._session.admitted()
                    self._todo.extend(self._parser.feed(b""))
                    self._work()
            except ProtocolError as error:
                self._out.append(b"-ERR " + str(error).encode("utf-8", "surrogateescape") + b"\r\n")
                self._closed = True

    def receive(self) -> bytes:
        """Wait for at least one byte; empty once closed."""
        with self._arrived:
            while not self._out and not self._closed:
                waiter = self._waiter
                if self._todo and waiter is None:
                    self._arrived.wait(RETRY)
                    self._work()
                elif waiter is None or waiter.due is None:
                    self._arrived.wait()
                elif (left := (waiter.due - self._store.clock()) / 1000) > 0:
                    self._arrived.wait(min(left, LONGEST))
                else:
                    self._time_up(waiter)
            data = b"".join(self._out)
            self._out.clear()
            return data

    def close(self) -> None:
        """End the session."""
        with self._arrived:
            self._closed = True
            self._executor.close_session(self._session)
            self._arrived.notify_all()

    # -- for the session

    def push(self, reply: Any) -> None:
        """Hand over something that no command asked for. REQUIRES: the lock."""
        self._out.append(ENCODERS[self._session.protocol][reply.__class__](reply))
        self._arrived.notify_all()

    def describe(self) -> dict[str, str]:
        """For CLIENT LIST."""
        return {"addr": "local:0", "laddr": "local:0", "fd": "-1"}

    # -- inside

    def _work(self) -> None:
        """Execute what is to do, one tick a request, as far as it can be."""
        executor, session = self._executor, self._session
        while self._todo and self._waiter is None and not self._closed:
            argv = self._todo.popleft()
            executor.begin()
            reply = executor.execute(session, argv)
            try:
                self._store.commit()
            except LogFailed as error:
                reply = error
            if reply is POSTPONED:
                self._todo.appendleft(argv)
                return
            if isinstance(reply, Blocked):
                self._waiter = executor.waiters.park(session, argv, reply, self._resume)
                self._waiter.moved = self._arrived.notify_all
                return
            self.push(reply)

    def _time_up(self, waiter: Waiter) -> None:
        mark = len(self._out)
        self._executor.begin()
        self._executor.waiters.time_up(waiter)
        try:
            self._store.commit()
        except LogFailed as error:
            if self._waiter is None:
                self._out[mark:] = []
                self.push(error)

    def _resume(self, reply: Any) -> None:
        self._waiter = None
        if not self._session.muted():
            self.push(reply)
        if self._todo:
            self._work()


