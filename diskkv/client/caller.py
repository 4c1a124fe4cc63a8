"""One client's session in process: runs its commands in ticks, and takes what is pushed to it."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError

from diskkv.client.plain import PLAIN, exception
from diskkv.client.shared import Shut
from diskkv.clock import sleep
from diskkv.dispatch.table import Flag
from diskkv.errors import CommandError, LogFailed, WrongPass
from diskkv.replies import POSTPONED, Blocked, Followed, Postponed, Several

if TYPE_CHECKING:
    from diskkv.client.shared import Shared
    from diskkv.dispatch.blocking import Waiter
    from diskkv.dispatch.session import Session

RETRY_SECONDS = 0.002
# Whoever has had the lock for so long lets others have it, for so many seconds: time enough for one that waits to wake up and take it.
LONG_NS = 1_000_000
COURTESY = 0.0001
STATEFUL = "{} needs a session of its own, and this one is for all threads: use pipeline(), pubsub() or client()"
KILLED = "the connection was closed by CLIENT KILL"


class Alarm(Protocol):
    """Wakes whoever waits; `set` may be called from any thread."""

    def set(self) -> None: ...


# No thread can wait for centuries; it looks once a day.
LONGEST = 86_400.0


class Wait:
    """A command that waits for its keys. Once `done`, `reply` is what came of it."""

    __slots__ = ("alarm", "done", "failures", "reply", "waiter")

    def __init__(self, alarm: Any, waiter: Waiter) -> None:
        self.alarm = alarm
        self.waiter = waiter
        self.done = False
        self.failures = 0
        self.reply: Any = None
        waiter.moved = self.wake

    def wake(self) -> None:
        """Have who waits look again when it is due."""
        self.alarm.set()


class Caller:
    """A session and its front. `new_alarm` makes what its thread, or its event loop, waits on.

    Methods take the lock themselves unless they say otherwise; on a closed client they raise redis-py's ConnectionError.
    """

    def __init__(
        self,
        shared: Shared,
        new_alarm: Callable[[], Any],
        *,
        protocol: int,
        index: int,
        login: tuple[bytes, bytes] | None = None,
        common: bool = False,
    ) -> None:
        self.shared = shared
        self.executor = shared.executor
        self.store = shared.store
        # replaced once nothing may be run any more
        self.lock: Any = shared.lock if shared.closed is None else Shut(shared.closed)
        self.new_alarm = new_alarm
        # common: all of a client's threads and tasks use it, so it must not come to an end before the client
        self.common = common
        # user and password; None: whoever opens the store owns it and may do everything
        self.login = login
        self.cause: str | None = None
        self.inbox: deque[Any] = deque()
        self.listening: Alarm | None = None
        self.waiting: Wait | None = None
        # how long the commands of the last tick took, in ns
        self.kept = 0
        with self.lock:
            shared.reap()
            self.session = self._new_session(protocol, index)
            self.user = self.session.user
            shared.callers.add(self)

    def _new_session(self, protocol: int, index: int) -> Session:
        session = self.executor.open_session(self, owner=True)
        session.protocol = protocol
        try:
            if self.login is not None and not self.executor.users.log_in(session, *self.login, b"AUTH"):
                raise WrongPass
            session.select(index)
        except CommandError as error:
            self.executor.close_session(session)
            raise exception(error) from None
        if self.executor.busy is not None:
            self.executor.hide_keys_from(session)
        return session

    # -- ticks

    def call(self, argv: list[bytes]) -> Any:
        """Run one command and return its plain reply, or `POSTPONED` if it can't be answered at once: `advance` can wait.

        Of a script that takes long, the `Wait`.
        """
        with self.lock:
            executor, session = self.executor, self.session
            executor.begin()
            began = executor.clock_mark
            session.last_seen = self.store.now
            reply = executor.execute(session, argv)
            kind = reply.__class__
            if kind is Blocked:
                # A script has begun, and can't be tried again.
                made: Any = POSTPONED if reply.run is None else self._park(argv, reply)
            elif kind is bytes or kind is Postponed:
                made = reply
            elif kind is Several:
                made = self._plain(reply.items[-1])
            else:
                made = PLAIN[session.protocol][kind](reply)
            try:
                self.store.commit()
            except LogFailed as error:
                made = self.undone([argv], error)[0]
            if session.gated or session.watcher is not None:
                made = self._forget_state(argv[0], made)
            self.kept = executor.clock_mark - began
        return made

    def advance(self, requests: Sequence[list[bytes]], at: int) -> tuple[int, Wait | None]:
        """One tick: run requests from `at` on; their replies go to the inbox.

        Returns how far it came and, if the next one waits for keys, the wait. Neither that nor the end: it is postponed.
        """
        with self.lock:
            executor, session = self.executor, self.session
            if self.shared.left:
                self.shared.reap()
            executor.begin()
            began = executor.clock_mark
            session.last_seen = self.store.now
            execute, plain = executor.execute, PLAIN[session.protocol]
            start, out = at, []
            held: Wait | None = None
            while at < len(requests):
                reply = execute(session, requests[at])
                kind = reply.__class__
                if kind is bytes:
                    out.append(reply)
                elif kind is Blocked:
                    held = self._park(requests[at], reply)
                    break
                elif kind is Postponed:
                    break
                elif kind is Several:
                    out.extend([self._plain(item) for item in reply.items])
                elif kind is Followed:
                    out.extend([self._plain(item) for item in (reply.reply, *reply.pushes)])
                else:
                    if session.protocol == 3:
                        plain = PLAIN[3]
                    out.append(plain[kind](reply))
                at += 1
            try:
                self.store.commit()
            except LogFailed as error:
                out = self.undone(requests[start:at], error)
            self.inbox.extend(out)
            self.kept = executor.clock_mark - began
        return at, held

    def give_way(self) -> None:
        """If the last tick was long, let other threads have theirs: the lock knows no order, and goes to whoever happens to be awake."""
        if self.kept > LONG_NS:
            sleep(COURTESY)

    def _forget_state(self, name: bytes, made: Any) -> Any:
        """If a command has put a state on the session that all threads share (MULTI, WATCH, SUBSCRIBE, AUTH): off with it."""
        session = self.session
        if session.user is self.user and session.watcher is None and not session.unusual():
            return made
        session.user = self.user
        session.authenticated = True
        session.no_touch = False
        self.executor.pubsub.forget(session)
        self.executor.observers.tracking.end(session)
        self.executor.observers.monitors.end(session)
        session.reply_mode = "on"
        session.leave_multi()
        return RedisError(STATEFUL.format(name.decode("utf-8", "replace").upper()))

    def _plain(self, reply: Any) -> Any:
        return PLAIN[self.session.protocol][reply.__class__](reply)

    def undone(self, requests: Sequence[list[bytes]], error: LogFailed) -> list[Any]:
        """The log could not be written, and what was done is undone: the error in place of every reply. REQUIRES: the lock.

        But a single read, which may have had something to log because it met an expired key, is done again.
        """
        executor = self.executor
        executor.reselect()
        if len(requests) == 1:
            command = executor.find(requests[0])
            if not isinstance(command, CommandError) and command.flags & Flag.READONLY:
                executor.begin()
                return [self._plain(executor.execute(self.session, requests[0]))]
        return [exception(error) for _ in requests]

    # -- waiting

    def _park(self, argv: list[bytes], blocked: Blocked) -> Wait:
        self.waiting = Wait(self.new_alarm(), self.executor.waiters.park(self.session, argv, blocked, self._resume))
        return self.waiting

    def _resume(self, reply: Any) -> None:
        """The command that waited has been answered, inside somebody's tick."""
        wait = self.waiting
        if wait is not None:
            self._finish(wait, self._plain(reply))

    def _finish(self, wait: Wait, made: Any) -> None:
        self.waiting = None
        wait.reply = made
        wait.failures = self.store.failures
        wait.done = True
        wait.alarm.set()

    def settled(self, wait: Wait) -> bool:
        """Whether a wait has ended; it may by this very call, when it is due. If not, its alarm is as new."""
        with self.lock:
            if not wait.done:
                self.executor.begin()
                due = wait.waiter.due
                if due is not None and due <= self.store.now:
                    self.executor.waiters.time_up(wait.waiter)
                # `collect` finds what failed.
                with contextlib.suppress(LogFailed):
                    self.store.commit()
            if not wait.done:
                wait.alarm = self.new_alarm()
            return wait.done

    def seconds(self, wait: Wait) -> float | None:
        """How long a command may wait until it is to be looked at again; None for ever."""
        due = wait.waiter.due
        return None if due is None else min(max(0.001, (due - self.store.clock()) / 1000), LONGEST)

    def collect(self, wait: Wait) -> Any:
        """What came of a wait that has ended."""
        # The lock also means that the tick which served it has been committed.
        with self.lock:
            if wait.failures != self.store.failures:
                return exception(LogFailed(self.store.failed or "the change was undone"))
            return wait.reply

    def abandon(self, wait: Wait) -> None:
        """Nobody waits any more (an interrupt, a cancelled task)."""
        with self.lock:
            self.executor.waiters.cancel(wait.waiter)
            self.waiting = None
            run = wait.waiter.blocked.run
            if run is not None:
                self.executor.begin()
                run.abandon()
                self.store.commit()

    def wait_for_room(self) -> None:
        """Something was postponed: wait a little, or until what made it wait is over."""
        with self.lock:
            self.store.wait_for_room()
        self.shared.over.wait(RETRY_SECONDS)

    # -- the end

    def leave(self) -> None:
        """The client needs the session no more."""
        self.lock = Shut(self.cause or "the client is closed")
        wait = self.waiting
        if wait is not None:
            # For a script; it finds that all is shut.
            wait.alarm.set()
        self.shared.leave(self)

    def cut(self, cause: str) -> None:
        """End the session, waking who waits. REQUIRES: the lock."""
        self.cause = cause
        self.lock = Shut(cause)
        if self.waiting is not None:
            self.executor.waiters.cancel(self.waiting.waiter)
            self._finish(self.waiting, Disconnected(cause))
        if self.listening is not None:
            self.listening.set()

    # -- the session's front; all of it is called with the lock

    def push(self, reply: Any) -> None:
        """Take something that no command asked for."""
        made = self._plain(reply)
        self.inbox.append(made)
        if self.listening is not None:
            self.listening.set()

    def close(self) -> None:
        """CLIENT KILL: the client gets a new session with its next command."""
        if self.common and (self.login is None or self.user in self.executor.users.by_name.values()):
            old = self.session
            self.executor.close_session(old)
            try:
                self.session = self._new_session(old.protocol, old.index)
            except RedisError:
                self.cut(KILLED)
        else:
            self.cut(KILLED)
            self.shared.left.append(self)

    def describe(self) -> dict[str, str]:
        """For CLIENT LIST: there is no address."""
        return {"addr": "127.0.0.1:0", "laddr": "127.0.0.1:0", "fd": "-1", "qbuf": "0", "obl": str(len(self.inbox)), "omem": "0"}
