"""Packets: commands that came together, executed one after the other.

Nearly all that is asked of a server are commands that read or write keys, and simply run: no transaction, no rights to look at, nobody who
looks on. They are executed here, without a call of anything but their functions: half of what a hot GET costs is what stands around it.
All others are the executor's.

A client that pipelines mostly sends the same command again and again (to fill a hash, to read a hundred keys). Such a row can be executed
as one where its command has a function for rows (`table.row`), which does in a loop what the command does, for the requests of its simplest
form; what is not, it leaves. A row is counted as so many calls of the same length.

Many clients of a leaderboard or a feed ask for the same range all the time. The encoded reply to the last such request about a list or
sorted set is kept with it, from the second time on, until it changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from diskkv.clock import perf_ns
from diskkv.dispatch.damage import failure
from diskkv.dispatch.table import ROWS, Command
from diskkv.errors import ERRORS, CommandError
from diskkv.lib.multibulk import HEADS, TooLong
from diskkv.replies import SHORT, Encoded, Simple
from diskkv.store.residents import SHIFT
from diskkv.store.value import Recorded

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.dispatch.session import Session
    from diskkv.dispatch.stats import Usage

# The kinds of reply that are always short.
PLAIN = frozenset({int, type(None), Simple})
# A command of more words than this is as much work, and as much waits for a checkpoint, as with half as many commands.
BULKY = 8
# Who wants to know of commands that took less than this, in ns, wants to know of each by itself.
ROW_TIME = 1_000_000

# The commands of which replies are kept (lists of bytes, which depend on nothing but what the key has), and up to how many bytes. All
# together take no more than that part of the cache's budget; each takes so much more than its reply. (Most are of a few bytes.)
REPEATED = frozenset({"lrange", "zrange", "zrevrange"})
KEPT = 16384
PART = 64
MEMO_COST = 500
# A longer request, in bytes, is not remembered: BYLEX may come with bounds of any length, and nobody counts what it takes.
REQUEST = 256

Encode = Mapping[type, Callable[[Any], bytes]]


class Memo:
    """A request and its encoded reply. (`Recorded.memo` is the request's hash if that was made but once.)"""

    __slots__ = ("argv", "reply")

    def __init__(self, argv: list[bytes], reply: Encoded) -> None:
        self.argv = argv
        self.reply: Encoded | None = reply

    def clear(self) -> None:
        """Be no request's. What it belongs to is not known here, and goes on having it until it is asked for something."""
        self.argv, self.reply = [], None


class Plan:
    """What is to be known of a command to run it, by the name that a client gave it."""

    __slots__ = ("command", "handler", "high", "low", "repeated", "row", "usage")

    def __init__(self, command: Command, usage: Usage) -> None:
        self.command = command
        self.handler = command.handler
        self.low = command.low
        self.high = command.high
        self.row = ROWS.get(command.name)
        self.repeated = command.name in REPEATED
        self.usage = usage


class Packets:
    """Runs packets on an executor. Every method requires the store's lock."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._plans = executor.stats.plans
        # the memos, those made first to the left, and how many bytes they take
        self._memos: deque[tuple[Memo, int]] = deque()
        self._memo_bytes = 0

    def run(self, session: Session, requests: list[list[bytes]], at: int, out: list[bytes], encoders: Encode) -> tuple[int, Any] | None:
        """Execute the requests from `at` on and put the encoded replies into `out`, until there is one that its front has to look at: where
        that request stands, and its reply, which is then not in `out`. None when all of them were executed. So it is, too, with the
        first that ends after the client's turn: the front may let others have theirs.

        A front need not look at the short replies of commands that read or write keys: they change nothing of what it keeps.
        """
        executor = self._executor
        executor.clock_mark = mark = perf_ns()
        if session.gated or executor.gated or executor.observed:
            # Its front looks at each reply by itself.
            return (at, executor.execute(session, requests[at])) if at < len(requests) else None
        plans = self._plans
        store = executor.store
        log, slow, until = store.log, executor.stats.slow_after, executor.until
        before = store.changes
        end = len(requests)
        rows = end > 1 and slow >= ROW_TIME and not session.db.heeded
        reply: Any
        while at < end:
            argv = requests[at]
            plan = plans.get(argv[0]) or self.plan(argv[0])
            count = len(argv)
            if plan is None or not plan.low <= count <= plan.high:
                executor.clock_mark = mark
                return at, executor.execute(session, argv)
            if rows and plan.row is not None and at + 1 < end and requests[at + 1][0] == argv[0]:
                executor.clock_mark = mark
                done = self.run_row(session, plan, requests, at, out)
                mark, before = executor.clock_mark, store.changes
                if done > at:
                    at = done
                    if mark > until and at < end:
                        return at - 1, Encoded(out.pop())
                    continue
                rows = False
            try:
                if plan.repeated and (kept := _recall(session, argv)) is not None:
                    reply = kept
                # Spelled out for the commonest numbers of arguments: unpacking a slice costs a tenth of a microsecond.
                elif count == 2:
                    reply = plan.handler(session, argv[1])
                elif count == 3:
                    reply = plan.handler(session, argv[1], argv[2])
                else:
                    reply = plan.handler(session, *argv[1:])
            except CommandError as error:
                reply = error
            except Exception as error:
                reply = failure(session, plan.command, argv, error)
                if store.changes != before:
                    store.spoiled = plan.command.name
            clock = perf_ns()
            spent, mark = clock - mark, clock
            if store.changes != before:
                before = store.changes
                store.backlog.work += spent
                if count > BULKY:
                    store.backlog.commands += count // 2
                if session.effects is not None:
                    for effect in session.effects:
                        store.record(session.index, effect)
                    session.effects = None
                elif log.database == session.index:
                    log.parts.append(argv)
                else:
                    store.record(session.index, argv)
            elif session.effects is not None:
                session.effects = None
            usage = plan.usage
            usage.nanoseconds += spent
            usage.buckets[spent.bit_length()] += 1
            kind = reply.__class__
            if spent > slow or kind in ERRORS:
                executor.stats.note(plan.command, usage, argv, spent, reply, session)
            if store.ready_keys and not executor.nested:
                executor.clock_mark = mark
                executor.waiters.serve()
                mark, before = executor.clock_mark, store.changes
            if kind is bytes and len(reply) < SHORT:
                out.append(HEADS[len(reply)] + reply + b"\r\n")
            elif kind in PLAIN:
                out.append(encoders[kind](reply))
            elif kind is list:
                try:
                    encoded = encoders[list](reply)
                except TooLong:
                    break  # Its front finds it out once more, and says so.
                if plan.repeated and len(encoded) <= KEPT:
                    self._remember(session, argv, encoded)
                if len(encoded) >= SHORT:
                    reply = Encoded(encoded)
                    break
                out.append(encoded)
            elif kind is Encoded and len(reply.wire) < SHORT:
                out.append(reply.wire)
            else:
                break
            at += 1
            if mark > until and at < end:
                executor.clock_mark = mark
                # Its front may let others have their turn.
                return at - 1, Encoded(out.pop())
        else:
            executor.clock_mark = mark
            return None
        executor.clock_mark = mark
        return at, reply

    def plan(self, name: bytes) -> Plan | None:
        """What is to be known of the command of that name, if it is run here."""
        command = self._executor.table.get(name)
        # A script's own commands are counted one by one.
        if command is None or not command.data or command.skip != 1 or command.group == "scripting":
            return None
        plan = self._plans[name] = Plan(command, self._executor.stats.usage_of(command))
        return plan

    def _remember(self, session: Session, argv: list[bytes], encoded: bytes) -> None:
        """Keep a reply if it is the second time that it was asked for."""
        value = session.db.objects.get(argv[1])
        if not isinstance(value, Recorded):
            return
        mark = hash(tuple(argv))
        if value.memo != mark or sum(map(len, argv)) > REQUEST:
            value.memo = mark
            return
        memo = value.memo = Memo(argv, Encoded(encoded))
        size = len(encoded) + MEMO_COST
        self._memos.append((memo, size))
        self._memo_bytes += size
        while self._memo_bytes > self._executor.store.cache.budget // PART:
            oldest, size = self._memos.popleft()
            oldest.clear()
            self._memo_bytes -= size

    def run_row(self, session: Session, plan: Plan, requests: list[list[bytes]], at: int, out: list[bytes]) -> int:
        """Execute the requests from `at` on as a row; where the first stands that was not."""
        executor = self._executor
        store = executor.store
        before = store.changes
        replied = len(out)
        assert plan.row is not None
        try:
            done = plan.row(session, requests, at, out)
        except Exception as error:
            session.effects = None
            if store.changes == before:
                # Nothing has happened: one by one it will be seen whose fault it was.
                del out[replied:]
                return at
            failure(session, plan.command, requests[at], error)
            store.spoiled = plan.command.name
            # All of the tick is about to be undone, and every reply to be the error that says so.
            out[replied:] = [b""] * (len(requests) - at)
            return len(requests)
        if done == at:
            return at
        clock = perf_ns()
        spent = clock - executor.clock_mark
        executor.clock_mark = clock
        if store.changes != before:
            store.backlog.work += spent
            if session.effects is None:
                store.record(session.index, requests[at])
                store.log.parts += requests[at + 1 : done]
            else:
                for effect in session.effects:
                    store.record(session.index, effect)
        session.effects = None
        usage = plan.usage
        usage.nanoseconds += spent
        usage.buckets[(spent // (done - at)).bit_length()] += done - at
        if spent > executor.stats.slow_after:
            executor.stats.note(plan.command, usage, requests[at], spent, None, session)
        if store.ready_keys and not executor.nested:
            executor.waiters.serve()
        return done


def _recall(session: Session, argv: list[bytes]) -> Encoded | None:
    """The reply to a request, if it was kept."""
    value = session.db.shards[hash(argv[1]) >> SHIFT].get(argv[1])
    memo: Any = None if value is None else value.memo
    if memo.__class__ is not Memo or memo.argv != argv or value is None:
        return None
    if value.expire is not None and value.expire <= session.store.now:
        return None
    if value.freq < 3:
        value.freq += 1
    value.seen = session.store.moment
    reply: Encoded | None = memo.reply
    return reply
