"""One run of a script or function: answers what it asks for, until it has a result."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diskkv.clock import perf_ns
from diskkv.dispatch.acl.access import check
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import Command, Flag, container
from diskkv.errors import CommandError, ScriptError
from diskkv.lib.multibulk import TooLong
from diskkv.lib.reports import VERBOSE
from diskkv.replies import Blocked, Encoded, Simple
from diskkv.resp.encode import make_encoders
from diskkv.resp.parse import RequestParser
from diskkv.scripting.interpreter import KEEP, MEMORY, Lost

if TYPE_CHECKING:
    from diskkv.dispatch.executor import Executor
    from diskkv.scripting.interpreter import Interpreter

journal = logging.getLogger("diskkv.script")

LEVELS = (logging.DEBUG, VERBOSE, logging.INFO, logging.WARNING)
# How long others may have to wait for one turn of a script that is past its time: then it is theirs again.
TURN_NS = 5_000_000
UNKILLABLE = (
    "Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the "
    "server in a hard way using the SHUTDOWN NOSAVE command."
)


ENCODERS = make_encoders(MEMORY)

# Commands that wait if an option says so; scripts may not ask for it.
WAITING_BY_OPTION = frozenset({"xread", "xreadgroup"})


class Run:
    """A script that runs, in `lua`, for `caller`. Every method requires the store's lock."""

    def __init__(self, executor: Executor, lua: Interpreter, caller: Session, name: bytes, *, function: bool, read_only: bool) -> None:
        self.executor = executor
        self.lua = lua
        self.caller = caller
        self.name = name
        self.function = function
        self.read_only = read_only
        self.argv: list[bytes] = []
        self.started = perf_ns()
        self.now = executor.store.now
        # whether it has called a command that writes
        self.wrote = False
        # maxmemory is so small that nothing may be added
        self.starved = False
        self.killed = False
        self.over = False
        self.reply: Any = None
        self.resume: Callable[[Any], None] = _nobody
        # called when it is over: whoever drives it need not any more
        self.leave: Callable[[], None] = _nothing
        self._then: list[Callable[[Any], Any]] = []
        self.session = session = Session(executor)
        session.id = caller.id
        session.script = True
        session.select(caller.index)
        session.user = caller.user
        session.no_touch = caller.no_touch

    @property
    def word(self) -> str:
        """What kills it: SCRIPT KILL or FUNCTION KILL."""
        return "FUNCTION" if self.function else "SCRIPT"

    def milliseconds(self) -> int:
        """For how long it has run."""
        return (perf_ns() - self.started) // 1_000_000

    # -- while it runs

    def answer(self, kind: int, body: bytes) -> bool:
        """Answer one frame; True when it was the result, which then is in `reply`."""
        if kind == 0x63 or kind == 0x43:  # c, C
            session = self.session
            session.protocol = 2 if kind == 0x63 else 3
            reply = self._call(RequestParser(max_bulk=1 << 40).feed(body)[0])
            self.lua.send(_encoded(session.protocol, reply))
            return False
        if kind == 0x72:  # r
            self._finished(body)
            self.reply = _value(body[:-8])
            return True
        if kind == 0x65:  # e
            self._finished(body)
            self.reply = ScriptError(body[1:-8], counted=body[:1] == b"1")
            return True
        if kind == 0x73:  # s
            self.lua.send(hashlib.sha1(body, usedforsecurity=False).hexdigest().encode())
        elif kind == 0x6C:  # l
            journal.log(LEVELS[body[0] - 48], "%s", body[1:].decode("utf-8", "backslashreplace"))
            self.lua.send(b"")
        else:  # a
            self.lua.send(self._allowed(RequestParser(max_bulk=1 << 40).feed(body)[0]))
        return False

    def _finished(self, body: bytes) -> None:
        self.lua.heavy = int(body[-8:], 16) > KEEP

    def _allowed(self, argv: list[bytes]) -> bytes:
        """redis.acl_check_cmd: whether the caller may run a command."""
        command = self.executor.find(argv)
        if isinstance(command, CommandError):
            return b"?"
        return b"1" if check(self.caller.user, command, argv) is None else b"0"

    def _call(self, argv: list[bytes]) -> Any:
        executor, session = self.executor, self.session
        command = executor.find(argv)
        try:
            if isinstance(command, CommandError):
                raise CommandError("Unknown Redis command called from script")
            self._let_through(command, argv)
        except CommandError as error:
            executor.stats.refused(error, command if isinstance(command, Command) else None)
            return error
        # SWAPDB exchanges the databases within a tick.
        session.db = executor.store.databases[session.index]
        executor.clock_mark = perf_ns()
        reply = executor.caller(session)(session, command, argv)
        if self.caller.tracking is not None:
            executor.observers.tracking.remember(self.caller, command, argv)
        return reply.refusal if reply.__class__ is Blocked else reply

    def _let_through(self, command: Command, argv: list[bytes]) -> None:
        """CommandError unless a script may call a command: the one gate of all inner commands, in Redis' order."""
        executor = self.executor
        if not command.low <= len(argv) <= command.high:
            raise CommandError("Wrong number of args calling Redis command from script")
        flags = command.flags
        if (flags & Flag.NOSCRIPT and not executor.scripts_unrestricted) or command.handler is container:
            raise CommandError("This Redis command is not allowed from script")
        refused = executor.users.refusal(self.caller, command, argv, "lua")
        if refused is not None:
            raise refused
        if self.read_only and flags & (Flag.WRITE | Flag.MAY_REPLICATE):
            raise CommandError("Write commands are not allowed from read-only scripts.")
        if self.starved and flags & Flag.DENYOOM and not self.wrote:
            raise executor.quota.refusal()
        if command.writes and not self.wrote:
            executor.store.admit()
            self.wrote = True
        if command.name in WAITING_BY_OPTION and asks_to_wait(argv):
            raise CommandError(f"{command.name} command is not allowed with BLOCK option from scripts")

    # -- when it takes long

    def then(self, step: Callable[[Any], Any]) -> None:
        """Have what comes of it go through `step` before anybody is told: it ran inside something that has to go on."""
        self._then.append(step)

    def step(self) -> None:
        """It is past its time, and the child may have said something: answer what it asked for, for one turn. REQUIRES: not `over`."""
        store, observers = self.executor.store, self.executor.observers
        now, store.now = store.now, self.now
        outer, observers.running = observers.running, self.caller
        started = perf_ns()
        try:
            while not self.over:
                frame = self.lua.receive(0)
                if frame is None:
                    break
                if self.answer(*frame):
                    self.end(self.reply)
                elif perf_ns() - started > TURN_NS:
                    break
        except Lost:
            self.end(self.lost())
        finally:
            store.now = now
            observers.running = outer

    def lost(self) -> CommandError:
        """What is answered when the child has ended without a result."""
        place = f" script: {self.name.decode('utf-8', 'surrogateescape')}"
        if self.killed:
            return CommandError(f"Script killed by user with {self.word} KILL...{place}")
        journal.error("the process that ran the script %(script)s has died", {"script": self.name.decode("utf-8", "backslashreplace")})
        return CommandError(f"Error running script: its process died, it may have used too much memory{place}")

    def end(self, reply: Any) -> None:
        """It is over: let everybody go on as before, and tell whoever waits for it."""
        executor = self.executor
        self.over = True
        self.leave()
        executor.busy = None
        executor.store.held = False
        executor.reselect()
        executor.close_atomic()
        for at, step in enumerate(self._then):
            outer, executor.observers.running = executor.observers.running, self.caller
            try:
                reply = step(reply)
            finally:
                executor.observers.running = outer
            if reply.__class__ is Blocked and reply.run is not None:
                # Another script in the same transaction takes long, too.
                for rest in self._then[at + 1 :]:
                    reply.run.then(rest)
                reply.run.resume = self.resume
                executor.scripts.drive(reply.run)
                return
        self.resume(reply)
        self.caller.release()

    def abandon(self) -> None:
        """Whoever waits for it does not any more (an interrupt): it is killed, unless it has written."""
        if not self.over and not self.wrote:
            self.kill()

    def drop(self) -> None:
        """The store closes, and undoes what it did."""
        self.over = True
        self.leave()
        self.executor.busy = None

    def kill(self) -> None:
        """SCRIPT KILL: end it. CommandError when it has written, so that it can't be ended."""
        if self.wrote:
            raise CommandError(UNKILLABLE, code="UNKILLABLE")
        self.killed = True
        self.lua.kill()
        self.end(self.lost())


def _encoded(protocol: int, reply: Any) -> bytes:
    try:
        return ENCODERS[protocol][reply.__class__](reply)
    except TooLong:
        return ENCODERS[protocol][CommandError](CommandError("the reply is longer than all the memory that scripts have"))


def asks_to_wait(argv: list[bytes]) -> bool:
    """Whether XREAD or XREADGROUP is called with BLOCK."""
    words = [word.upper() for word in argv]
    streams = words.index(b"STREAMS") if b"STREAMS" in words else len(words)
    return b"BLOCK" in words[:streams]


def _nobody(reply: Any) -> None:
    """Nobody waits for it (any more)."""


def _nothing() -> None:
    """Nobody drives it."""


def _value(wire: bytes) -> Any:
    """A result: the commonest forms as values, others as they came."""
    kind = wire[:1]
    if kind == b"$":
        stop = wire.index(b"\r")
        size = int(wire[1:stop])
        return None if size < 0 else wire[stop + 2 : stop + 2 + size]
    if kind == b":":
        return int(wire[1:-2])
    if kind == b"+":
        return Simple(wire[1:-2])
    if kind == b"-":
        return ScriptError(wire[1:-2])
    return None if kind == b"_" else Encoded(wire)
