"""Executes commands: finds them, lets them through the gates, calls them, has their changes logged, turns errors into replies."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from diskkv.clock import microseconds, perf_ns, sleep, system_clock
from diskkv.config import Settings
from diskkv.dispatch.acl.keeping import Keeper
from diskkv.dispatch.acl.users import Users
from diskkv.dispatch.args import quoted
from diskkv.dispatch.blocking import Waiter, Waiters
from diskkv.dispatch.cursors import Cursors
from diskkv.dispatch.damage import failure, isolate_written, lost, tree_full
from diskkv.dispatch.frequencies import Frequencies
from diskkv.dispatch.observers import Observers
from diskkv.dispatch.packets import BULKY, Packets
from diskkv.dispatch.pausing import Pausing
from diskkv.dispatch.positions import NoKeys, key_positions
from diskkv.dispatch.pubsub import PubSub
from diskkv.dispatch.quota import Quota, takes_memory
from diskkv.dispatch.session import HIDDEN, Front, Session
from diskkv.dispatch.stats import Stats
from diskkv.dispatch.table import TABLE, Command, Flag, container
from diskkv.errors import ERRORS, Busy, CommandError, Damaged, ExecAborted, LogFailed, NoAuth, TooMuch, UnknownCommand, WrongArity
from diskkv.lib.multibulk import UNBOUNDED
from diskkv.replies import NO_REPLY, POSTPONED, QUEUED, Blocked, Followed, Several, Spoken, without_waiting
from diskkv.store.checking import Checks
from diskkv.store.store import Store
from diskkv.transfer.peers import Peers
from diskkv.transfer.saving import Saver

journal = logging.getLogger("diskkv")

MULTI = b"*1\r\n$5\r\nMULTI\r\n"
EXEC = b"*1\r\n$4\r\nEXEC\r\n"

# A client of whose packet so many ns of a round have been spent has the rest of it executed in a later round.
TURN_TIME = 5_000_000


class Executor:
    """Runs commands against one store. Every method requires the store's lock."""

    # More than thirty attributes: in a dict of its own each would be found more slowly.
    __slots__ = (
        "_moment", "_nested", "_next_id", "_usage", "busy", "call", "checks", "clock_mark", "counting", "cursors", "frequencies", "gated",
        "keeper", "longest", "mark", "observed", "observers", "packets", "pausing", "peers", "pubsub", "pulse", "purge", "quota", "renames",
        "replication_id", "run_id", "saver", "scripts", "scripts_unrestricted", "sessions", "settings", "shutdown", "slept", "stats",
        "store", "table", "until", "users", "waiters",
    )  # fmt: skip

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.table = TABLE
        # the names that rename-command gave, in small letters -> the commands'
        self.renames: dict[bytes, bytes] = {}
        self.sessions: dict[int, Session] = {}
        self.users = Users(self)
        self.keeper = Keeper(self.users, settings, store.path)
        self.pubsub = PubSub()
        self.waiters = Waiters(self)
        self.cursors = Cursors()
        # runs a command that has passed the gates; the observers put themselves here while somebody looks on, which is then `observed`
        self.call: Callable[[Session, Command, list[bytes]], Any] = self.call_unobserved
        self.observed = False
        self.observers = Observers(self)
        self.frequencies = Frequencies(self)
        # an LFU policy is selected: every command goes through the gates, to be counted
        self.counting = False
        self.stats = Stats()
        self.saver = Saver(store, settings)
        self.checks = Checks(store)
        self.peers = Peers(store)
        self._usage = self.stats.usage
        self.packets = Packets(self)
        # gated: some commands may not run now, whoever sends them; recomputed at the beginning of every tick
        self.gated = False
        self.quota = Quota(store)
        self.pausing = Pausing(self)
        # `save` or `nosave` once SHUTDOWN was called. A front looks at it when a tick ends: it takes no more commands, sends what was
        # answered, and closes the store, which writes everything to the engine. `nosave` allows it to leave that to the next start.
        self.shutdown: str | None = None
        # gives free memory back to the system; the server says how
        self.purge: Callable[[], object] = lambda: None
        # how many bytes a reply may have; the server says it
        self.longest = UNBOUNDED
        # called now and then by what keeps everybody waiting for long and is not stuck: a script before its time, SAVE
        self.pulse: Callable[[], None] = lambda: None
        # `scripts` is given by app.py; `busy` is the script that has run for so long that others have their turn
        self.scripts: Any = None
        self.busy: Any = None
        self.run_id = secrets.token_hex(20)
        self.replication_id = secrets.token_hex(20)
        # what TIME has said within what `open_atomic` keeps together; 0 for nothing yet
        self._moment = 0
        # time has passed in the middle of a tick
        self.slept = False
        # scripts may call what they may not (DEBUG SET-DISABLE-DENY-SCRIPTS)
        self.scripts_unrestricted = False
        self.stats.started = store.clock()
        # when what runs now began, as far as the statistics are concerned
        self.clock_mark = 0
        # from when on others have their turn
        self.until = 0
        self._nested = 0
        # how many parts the log had when the outermost of what is under way as a whole began
        self.mark = 0
        self._next_id = 1

    # -- for fronts

    def open_session(self, front: Front | None = None, *, owner: bool = False) -> Session:
        """A session for a new client. The owner has the store in this process, needs no password and may do everything."""
        session = Session(self, front)
        session.id = self._next_id
        self._next_id += 1
        session.user = self.users.owner if owner else self.users.default
        session.authenticated = owner or self.users.open
        session.regate()
        self.sessions[session.id] = session
        return session

    def close_session(self, session: Session) -> None:
        """The client has gone."""
        self.sessions.pop(session.id, None)
        self.pubsub.forget(session)
        self.observers.tracking.end(session)
        self.observers.monitors.end(session)
        session.unwatch()
        self.pausing.held.pop(session, None)
        if session.blocked is not None:
            self.waiters.cancel(session.blocked)

    def begin(self) -> None:
        """A tick begins."""
        store = self.store
        if store.recovering:
            store.wait_until_recovered()
        store.tick()
        self.clock_mark = perf_ns()
        self.until = self.clock_mark + TURN_TIME
        self.gated = (
            self.quota.starved
            or store.failed is not None
            or store.log.sync_error is not None
            or (self.pausing.until > 0 and self.pausing.on())
            or store.writer.backlogged()
            or self.counting
            or self.busy is not None
            or store.lost is not None
        )
        if store.ready_keys and not self._nested:
            # The keeper has expired a key that somebody waits for more in.
            self.waiters.serve()

    def execute(self, session: Session, argv: list[bytes]) -> Any:
        """Run one command: a reply value, a CommandError (returned, not raised), Blocked, or POSTPONED."""
        command = self.table.get(argv[0])
        if command is None or command.subcommands:
            found = self.find(argv)
            if isinstance(found, CommandError):
                if argv[0].lower() in BROWSERS:
                    journal.warning("client %(client)d speaks HTTP, possibly made to by a web page: disconnected", {"client": session.id})
                    session.front.close()
                    return NO_REPLY
                return self._refuse(session, found)
            command = found
            if argv[0].lower() in self.renames:
                # The log knows commands by their own names only.
                argv = [self.renames[argv[0].lower()], *argv[1:]]
        count = len(argv)
        if count < command.low or count > command.high:
            return self._refuse(session, WrongArity(command.name), command)
        if session.gated or self.gated:
            return self._execute_gated(session, command, argv)
        return self.call(session, command, argv)

    def find(self, argv: Sequence[bytes]) -> Command | CommandError:
        """The command or subcommand that argv names, or the error to answer."""
        command = self.table.get(argv[0]) or self.table.get(argv[0].lower())
        if command is None:
            renamed = self.renames.get(argv[0].lower())
            if renamed is None:
                return UnknownCommand(list(argv))
            command = TABLE[renamed]
        if command.subcommands and len(argv) > 1:
            sub = command.subcommands.get(argv[1].lower())
            if sub is not None:
                return sub
            if command.handler is container:
                return CommandError(f"unknown subcommand '{quoted(argv[1][:128])}'. Try {command.name.upper()} HELP.")
        return command

    def call_unobserved(self, session: Session, command: Command, argv: list[bytes]) -> Any:
        """Run a command that has passed the gates."""
        store = self.store
        before = store.changes
        reply: Any
        try:
            # Spelled out for the commonest numbers of arguments: unpacking a slice costs a tenth of a microsecond.
            count = len(argv) - command.skip
            if count == 1:
                reply = command.handler(session, argv[-1])
            elif count == 2:
                reply = command.handler(session, argv[-2], argv[-1])
            else:
                if count > BULKY and command.writes:
                    store.backlog.commands += count // 2
                reply = command.handler(session, *argv[command.skip :])
        except CommandError as error:
            reply = error
        except Exception as error:
            reply = failure(session, command, argv, error)
            if store.changes != before:
                store.spoiled = command.name
        clock = perf_ns()
        spent = clock - self.clock_mark
        self.clock_mark = clock
        if store.changes != before:
            store.backlog.work += spent
            effects = session.effects
            if effects is None:
                store.record(session.index, argv)
            else:
                for effect in effects:
                    store.record(session.index, effect)
                session.effects = None
        elif session.effects is not None:
            session.effects = None
        usage = self._usage.get(command)
        if usage is None:
            usage = self.stats.usage_of(command)
        usage.nanoseconds += spent
        usage.buckets[spent.bit_length()] += 1
        if spent > self.stats.slow_after or reply.__class__ in ERRORS:
            self.stats.note(command, usage, argv, spent, reply, session)
        if store.ready_keys and not self._nested:
            self.waiters.serve()
        return reply

    @property
    def nested(self) -> bool:
        """Whether what runs now is part of something greater (EXEC, a blocked client's turn)."""
        return self._nested > 0

    def open_atomic(self) -> None:
        """What is called from now on is logged between MULTI and EXEC, and nobody who waits is served before `close_atomic`. May be nested:
        the outermost counts."""
        if not self._nested:
            self.mark = len(self.store.log.parts)
            self._moment = 0
        self._nested += 1

    def close_atomic(self) -> None:
        """End what `open_atomic` began."""
        self._nested -= 1
        if self._nested:
            return
        store = self.store
        parts = store.log.parts
        if len(parts) > self.mark + 1:
            parts.insert(self.mark, MULTI)
            parts.append(EXEC)
        if store.ready_keys:
            self.waiters.serve()

    def retry(self, waiter: Waiter) -> Any:
        """Run a blocked client's command again, if its user still may."""
        refused = self.users.refusal(waiter.session, waiter.command, waiter.argv)
        if refused is not None:
            self.stats.refused(refused, waiter.command)
            return refused
        self._nested += 1
        try:
            return self.call_gated(waiter.session, waiter.command, waiter.argv)
        finally:
            self._nested -= 1

    # -- gates, in Redis' order

    def _refuse(self, session: Session, error: CommandError, command: Command | None = None) -> Any:
        if session.queue is not None:
            session.queue_broken = True
        if command is not None and command.name == "exec":
            session.leave_multi()
            error = ExecAborted(f"Transaction discarded because of: {error.text if error.code == 'ERR' else error}")
        self.stats.refused(error, command)
        if session.reply_mode != "on":
            if session.reply_mode == "skip":
                session.reply_mode = "on"
                session.regate()
            return NO_REPLY
        return error

    def _execute_gated(self, session: Session, command: Command, argv: list[bytes]) -> Any:
        if session.tracking is None and not session.monitoring and not session.listening():
            return self._execute_in_mode(session, command, argv)
        self.observers.running = session
        pushes: list[Any] = []
        session.pending = pushes
        try:
            reply = self._execute_in_mode(session, command, argv)
        finally:
            self.observers.running = session.pending = None
        if session.tracking is not None and session.queue is None and not command.name.startswith("client|"):
            session.tracking.caching = False
        if reply.__class__ is Blocked and reply.run is not None:
            # A script that takes long: what the client is told until it is over leaves behind its reply, too.
            session.pending = pushes
            return reply
        if not pushes:
            return reply
        if reply.__class__ is Blocked or reply is POSTPONED:
            for push in pushes:
                session.front.push(push)
            return reply
        return Followed(reply, pushes)

    def _execute_in_mode(self, session: Session, command: Command, argv: list[bytes]) -> Any:
        if session.reply_mode != "on":
            return self._execute_quietly(session, command, argv)
        return self._through_gates(session, command, argv)

    def _through_gates(self, session: Session, command: Command, argv: list[bytes]) -> Any:
        flags = command.flags
        if not flags & Flag.NO_AUTH and not session.admitted():
            return self._refuse(session, NoAuth(), command)
        if self.store.lost is not None and not flags & Flag.ALLOW_BUSY:
            return self._refuse(session, lost(self.store), command)
        if session.queue is not None and flags & Flag.NO_MULTI:
            return self._refuse(session, CommandError("Command not allowed inside a transaction"), command)
        if session.user.restricted:
            refused = self.users.refusal(session, command, argv)
            if refused is not None:
                return self._refuse(session, refused, command)
        if self.quota.starved and takes_memory(session, command):
            return self._refuse(session, self.quota.refusal(), command)
        if command.writes and (self.store.failed is not None or self.store.log.sync_error is not None):
            try:
                self.store.admit()
            except LogFailed as error:
                return self._refuse(session, error, command)
        if session.protocol == 2 and session.listening() and not flags & Flag.WHILE_SUBSCRIBED:
            return self._refuse(
                session,
                CommandError(
                    f"Can't execute '{command.name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
                    "are allowed in this context"
                ),
                command,
            )
        if session.monitoring and flags & (Flag.WRITE | Flag.READONLY | Flag.MAY_REPLICATE):
            return self._refuse(session, CommandError("Replica can't interact with the keyspace"), command)
        if self.busy is not None and not flags & Flag.ALLOW_BUSY:
            return self._refuse(session, Busy(self.busy.word), command)
        if self.pausing.on() and self.pausing.holds(session, command, argv):
            return POSTPONED
        if session.queue is not None and not flags & Flag.DURING_MULTI:
            session.enqueue(command, argv)
            return QUEUED
        if (command.writes or command.name == "exec") and self.store.writer.backlogged():
            if self.store.writer.stuck:
                # Nobody knows for how long: with damage, for ever.
                return self._refuse(session, tree_full(self.store), command)
            return POSTPONED
        return self.call_gated(session, command, argv)

    def call_gated(self, session: Session, command: Command, argv: list[bytes]) -> Any:
        """`call`, as CLIENT NO-TOUCH and CLIENT TRACKING would have it."""
        reply = self.caller(session)(session, command, argv)
        if session.tracking is not None:
            self.observers.tracking.remember(session, command, argv)
        return reply

    def caller(self, session: Session) -> Callable[[Session, Command, list[bytes]], Any]:
        """By what way a session's commands are called: `call`, or one that sees to what counts as a use of a key."""
        return self._call_untouched if session.no_touch else self._call_counted if self.counting else self.call

    def _call_counted(self, session: Session, command: Command, argv: list[bytes]) -> Any:
        return self.frequencies.call(self.call, session, command, argv)

    def _call_untouched(self, session: Session, command: Command, argv: list[bytes]) -> Any:
        """CLIENT NO-TOUCH: run a command without its counting as a use of its keys. TOUCH means it."""
        if command.name == "touch":
            return self.call(session, command, argv)
        try:
            keys = [argv[position] for position in key_positions(command, argv)]
        except NoKeys:
            keys = []
        objects = session.db.objects
        before = {key: (value.freq, value.seen) for key in keys if (value := objects.get(key)) is not None}
        try:
            return self.call(session, command, argv)
        finally:
            for key, (freq, seen) in before.items():
                value = objects.get(key)
                if value is not None:
                    value.freq, value.seen = freq, seen

    def _execute_quietly(self, session: Session, command: Command, argv: list[bytes]) -> Any:
        """CLIENT REPLY OFF and SKIP: the command runs, its reply does not leave."""
        if session.reply_mode == "skip":
            session.reply_mode = "skipping"
        reply = self._through_gates(session, command, argv)
        if reply is POSTPONED:
            if session.reply_mode == "skipping":
                session.reply_mode = "skip"
            return reply
        # What SUBSCRIBE answers are pushes, which are sent whatever the mode. For who waits his front asks when there is a reply.
        return NO_REPLY if reply.__class__ is not Blocked and session.muted() and reply.__class__ is not Several else reply

    # -- for commands

    def microseconds(self) -> int:
        """The time in microseconds (TIME); of the clocks that may be handed in, only the system's is as fine."""
        if self.store.clock is not system_clock:
            return self.store.now * 1000
        if not self._nested:
            return microseconds()
        # One moment for all that is done together.
        self._moment = self._moment or microseconds()
        return self._moment

    def sleep(self, seconds: float) -> None:
        """Stand still, and everybody else with it (DEBUG SLEEP)."""
        sleep(seconds)
        self.slept = True

    def reset(self, session: Session) -> None:
        """Make a session as if it were new (RESET); its number, its library and what it has answered stay."""
        session.leave_multi()
        self.pubsub.forget(session)
        self.observers.tracking.end(session)
        self.observers.monitors.end(session)
        session.select(0)
        session.protocol = 2
        session.name = b""
        if session.reply_mode != "skipping":
            session.reply_mode = "on"
        session.no_evict = session.no_touch = False
        session.fieldsets.clear()
        session.fieldset_size = 0
        session.user = self.users.default
        session.authenticated = self.users.open
        session.regate()

    def execute_queue(self, session: Session) -> Any:
        """EXEC's work: run what was queued, atomically; None (a null array) when a watched key was touched."""
        queue = session.queue
        assert queue is not None
        broken = session.queue_broken
        touched = session.watcher is not None and (session.watcher.touched or self._watched_expired(session))
        session.leave_multi()
        if broken:
            raise ExecAborted
        if touched:
            return None
        self.open_atomic()
        return self._go_through(session, queue, [])

    def _go_through(self, session: Session, queue: list[tuple[Command, list[bytes]]], replies: list[Any]) -> Any:
        """Run what of a queue has no reply yet; `Blocked` when a script takes long, which will then go on with this."""
        held = False
        size = 0
        protocol = session.protocol
        try:
            for command, argv in queue[len(replies) :]:
                reply = self._call_queued(session, command, argv)
                if session.protocol != protocol:
                    replies[:] = [Spoken(protocol, earlier) for earlier in replies]
                    protocol = session.protocol
                if reply.__class__ is Blocked and reply.run is not None:
                    held = True
                    reply.run.then(lambda found: self._go_through(session, queue, [*replies, found]))
                    return reply
                size += len(reply) if reply.__class__ is bytes else 0
                replies.append(without_waiting(reply) if size <= self.longest else TooMuch())
        finally:
            if not held:
                self.close_atomic()
        return replies

    def _call_queued(self, session: Session, command: Command, argv: list[bytes]) -> Any:
        refused = self.users.refusal(session, command, argv, "multi")
        if refused is not None:
            # The user's rights have changed since it was queued.
            self.stats.refused(refused, command)
            return refused
        return self.call_gated(session, command, argv)

    def _watched_expired(self, session: Session) -> bool:
        """Whether a key that existed when it was watched has expired since: looking it up deletes it, which touches its watchers."""
        for index, key in session.watching:
            self.store.databases[index].find(key)
        return session.watcher is not None and session.watcher.touched

    def hide_keys(self) -> None:
        """A script that is half done lets others have their turn: none of those who look past the commands may find a key."""
        for session in self.sessions.values():
            self.hide_keys_from(session)

    def hide_keys_from(self, session: Session) -> None:
        """As `hide_keys`, for one session; `reselect` ends it. In process only, where nobody else but commands looks."""
        if getattr(session.front, "common", False):
            session.db = HIDDEN

    def reselect(self) -> None:
        """The numbered databases were exchanged: point every session at its own again."""
        for session in self.sessions.values():
            session.db = self.store.databases[session.index]

    def replay(self, session: Session, argv: list[bytes]) -> None:
        """Run one command of the log. An error means that the log and the store disagree: it is reported, not ignored."""
        name = argv[0].upper()
        if name in (b"MULTI", b"EXEC"):
            return
        found = self.find(argv)
        if isinstance(found, CommandError):
            raise found
        # SWAPDB exchanges the databases within a tick.
        session.db = self.store.databases[session.index]
        try:
            reply = found.handler(session, *argv[found.skip :])
        except Damaged as error:
            isolate_written(session, found, argv, error)
            reply = None
        session.effects = None
        self.store.backlog.commands += 1 if len(argv) <= BULKY else len(argv) // 2
        if isinstance(reply, CommandError):
            raise reply


# How a request begins that a browser was made to send; Redis, too, hangs up.
BROWSERS = frozenset({b"post", b"host:"})
