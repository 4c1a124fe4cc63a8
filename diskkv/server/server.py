"""The server: listens, keeps the ticks, stops gracefully."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
from collections import OrderedDict, deque
from typing import Any

from diskkv.clock import perf_ns
from diskkv.config import DEFAULT_BUDGET, Settings, budget, memory
from diskkv.dispatch.executor import Executor
from diskkv.errors import CommandError, LogFailed, SettingError, StoreError
from diskkv.lib.reports import VERBOSE
from diskkv.resp.encode import make_encoders
from diskkv.server.connection import TURN, Connection
from diskkv.server.hugepages import HugePages
from diskkv.server.listening import Listening, open_unix
from diskkv.server.memory import Trimmer
from diskkv.server.metrics import Counted, Metrics, count
from diskkv.server.reactor import AVAILABLE, Port, Reactor
from diskkv.server.rounds import Rounds

try:
    import uvloop
except ImportError:  # not on every platform; asyncio's own loop serves, more slowly
    uvloop = None  # type: ignore[assignment]  # the stub package has no such case

journal = logging.getLogger("diskkv")

DENIED = (
    b"-DENIED diskkv is running in protected mode because protected mode is enabled and no password is set. In this mode "
    b"connections are only accepted from the loopback interface. Set requirepass, or protected-mode no, to change that.\r\n"
)
POSTPONED_RETRY = 0.002
# Those that go on then do so for so long, in ns, until others have their turn: fifty that waited would take 20 ms at once.
POSTPONED_TURN = 5_000_000
HOUSEKEEPING = 1.0
# Of the clients that send without reading, one has a packet read this often, in seconds.
THROTTLE = 0.002
# Collecting so many young objects takes about a millisecond.
YOUNG = 30_000


class Server:
    """Serves one executor's store."""

    def __init__(self, executor: Executor, loop: asyncio.AbstractEventLoop) -> None:
        self.executor = executor
        self.store = executor.store
        self.settings: Settings = executor.settings
        self.lock = self.store.lock
        self.loop = loop
        self.thread = threading.get_ident()
        # round: the reactor serves what is ready, and what it serves becomes one tick
        self.ticking = False
        self._round = False
        self.active: list[Connection] = []
        self.connections: set[Connection] = set()
        self.output_limits = parse_output_limits(self.settings["client-output-buffer-limit"])
        # spent: bytes of long replies made in this round; held: bytes kept for clients that do not read, or have not sent all
        self.spent = 0
        self.held = 0
        self.client_memory = self._client_memory()
        self.encoders = make_encoders(self.client_memory)
        executor.longest = self.client_memory
        self._turns: deque[Connection] = deque()
        self._turning = False
        self._throttled: deque[Connection] = deque()
        # those whose next command may not run yet, in order, and whether they will be looked at
        self._postponed: OrderedDict[Connection, None] = OrderedDict()
        self._retries = False
        # None where there is no epoll: asyncio's transports serve everybody then
        self._rounds = Rounds(self)
        self.reactor = Reactor(loop, self._rounds.receive) if AVAILABLE else None
        self._listening, self._listening_tls = (
            Listening(self.settings, loop, lambda: Connection(self, unix=False), name, reactor=self.reactor)
            for name in ("port", "tls-port")
        )
        self._metrics = Metrics(loop, self._count, lambda transport: not self._protected(transport))
        self._listening_metrics = Listening(self.settings, loop, self._metrics.protocol, "metrics-port")
        self._unix_server: asyncio.AbstractServer | Port | None = None
        self._stopped: asyncio.Future[None] = loop.create_future()
        self._unix_path: str | None = None
        self._trimmer = Trimmer()
        self._hugepages = HugePages()
        executor.purge = lambda: loop.run_in_executor(None, self._trimmer.trim)
        self.settings.listeners.append(self._setting_changed)
        executor.scripts.drive = self.drive_script

    # -- ticks

    def begin_tick(self) -> None:
        """Open a tick, unless one is open. REQUIRES: the lock."""
        if not self.ticking:
            self.ticking = True
            # First, so that whatever may go wrong, the tick ends.
            if not self._round:
                self.loop.call_soon(self.end_tick)
            self.executor.begin()

    def _serve_round(self) -> None:
        """The reactor has clients that sent something, or that take what waits for them."""
        assert self.reactor is not None
        with self.lock:
            self._round = True
            try:
                self.reactor.serve()
            finally:
                self._round = False
            self.end_tick()

    def end_tick(self) -> None:
        """Commit, and let the replies leave: still with the lock, for who has it has the interpreter for himself; see writer.py."""
        if not self.ticking:
            return  # a round that came first has ended it
        with self.lock:
            self.ticking = False
            self.spent = 0
            try:
                self.store.commit()
            except StoreError as broken:
                # Not even undoing worked: nobody may take what the tick answered for true.
                journal.error("the store can't be read: %(error)s", {"error": broken})
                self._rounds.give_back()
                for connection in self.active:
                    connection.fail(CommandError(f"the store can't be read: {broken}"))
            except LogFailed as error:
                # The clients' reads are done again on what the store now is; that changes nothing, so it needs no commit.
                self._rounds.give_back()
                self.executor.begin()
                for connection in self.active:
                    connection.redo(error)
            self._rounds.send()
            active, self.active = self.active, []
            for connection in active:
                connection.flush()
        if self.executor.shutdown is not None:
            self.stop()

    def take_turn(self, connection: Connection) -> None:
        """Have a connection go on with what waits in it, in a later round of the loop."""
        if not connection.queued:
            connection.queued = True
            self._turns.append(connection)
            if not self._turning:
                self._turning = True
                self.loop.call_soon(self._take_turns)

    def _take_turns(self) -> None:
        """As many connections go on as one round has room for; whoever comes anew is not before the next."""
        for _ in range(len(self._turns)):
            connection = self._turns.popleft()
            connection.queued = False
            connection.go_on()
            if self.spent > TURN or perf_ns() > self.executor.until:
                break
        self._turning = bool(self._turns)
        if self._turning:
            self.loop.call_soon(self._take_turns)

    def throttle(self, connection: Connection) -> None:
        """Have a connection that has stopped reading go on with it when its turn comes: one every now and then."""
        if not connection.throttled:
            connection.throttled = True
            self._throttled.append(connection)
            if len(self._throttled) == 1:
                self.loop.call_later(THROTTLE, self._read_one)

    def _read_one(self) -> None:
        connection = self._throttled.popleft()
        connection.throttled = False
        if self._throttled:
            self.loop.call_later(THROTTLE, self._read_one)
        connection.resume_reading()

    def shed_clients(self) -> None:
        """What is kept for clients is more than maxmemory-clients: drop those for which most is kept, as CLIENT NO-EVICT allows."""
        for connection in sorted(self.connections, key=lambda each: each.held, reverse=True):
            if self.held <= self.client_memory or not connection.held:
                return
            if not connection.session.no_evict:
                self.executor.stats.evicted_clients += 1
                self.report(
                    "client %(client)d evicted: %(bytes)d bytes are kept for it",
                    {"client": connection.session.id, "bytes": connection.held},
                )
                connection.drop()

    def _client_memory(self) -> int:
        wanted = self.settings["maxmemory-clients"]
        limit = budget(self.settings["maxmemory"])
        if wanted.endswith("%"):
            return limit * int(wanted[:-1]) // 100
        return int(wanted) or max(limit, DEFAULT_BUDGET)

    def postponed(self, connection: Connection) -> None:
        """A connection's next command may not run yet: try again soon."""
        self._postponed[connection] = None
        if not self._retries:
            self._retries = True
            self.loop.call_later(POSTPONED_RETRY, self._retry_postponed)

    def _retry_postponed(self) -> None:
        """Have the postponed go on, but not for long; who may still not run keeps its place before those that come later."""
        waiting = self._postponed
        still: list[Connection] = []
        until = perf_ns() + POSTPONED_TURN
        with self.lock:
            for _ in range(len(waiting)):
                connection, _ = waiting.popitem(last=False)
                connection.go_on()
                if connection not in waiting:
                    if perf_ns() > until:
                        break
                    continue
                still.append(connection)
                if self.store.writer.backlogged():
                    break  # Nor may the others, which write as well.
            for connection in reversed(still):
                waiting.move_to_end(connection, last=False)
        self._retries = bool(waiting)
        if waiting:
            self.loop.call_later(POSTPONED_RETRY if still else 0, self._retry_postponed)

    def drive_script(self, run: Any) -> None:
        """A script takes long: let it and the clients take turns until it is over."""
        # Of its own, because the script's ends with its process.
        watched = os.dup(run.lua.fd)

        def turn() -> None:
            with self.lock:
                if not run.over:
                    self.begin_tick()
                    run.step()

        def leave() -> None:
            self.loop.remove_reader(watched)
            os.close(watched)

        run.leave = leave
        self.loop.add_reader(watched, turn)

    # -- connections

    def full(self) -> bool:
        """Whether a client that comes now is one too many. Refusing it is to cost little: it may be one of a flood."""
        if len(self.connections) < self.settings["maxclients"]:
            return False
        self.executor.stats.connections += 1
        self.executor.stats.rejected_connections += 1
        return True

    def connected(self, connection: Connection) -> None:
        """A client has connected: may it?"""
        stats = self.executor.stats
        stats.connections += 1
        transport = connection.transport
        self.connections.add(connection)
        if not connection.unix and self._protected(transport):
            connection.closing = True
            transport.write(DENIED)
            transport.close()
            return
        connection.parser.authenticated = connection.session.admitted()
        if journal.isEnabledFor(VERBOSE):
            journal.log(
                VERBOSE, "Accepted %(address)s as client %(client)d",
                {"address": connection.describe()["addr"], "client": connection.session.id},
            )  # fmt: skip
        raw: Any = transport.get_extra_info("socket")
        keepalive = self.settings["tcp-keepalive"]
        if raw is not None and keepalive and not connection.unix:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, keepalive // 3))

    def _protected(self, transport: Any) -> bool:
        """Whether protected mode keeps a client on TCP out."""
        return bool(self.settings["protected-mode"]) and self.executor.users.default.nopass and not _loopback(transport)

    def _count(self) -> Counted:
        with self.lock:
            return count(self.executor, self.held)

    def disconnected(self, connection: Connection) -> None:
        """A client has gone."""
        journal.log(VERBOSE, "Client %(client)d closed the connection", {"client": connection.session.id})
        self.connections.discard(connection)
        self._postponed.pop(connection, None)
        with self.lock:
            self.executor.close_session(connection.session)

    def report(self, text: str, *details: object) -> None:
        """Say something in the server's report."""
        journal.warning(text, *details)

    # -- life

    async def listen(self) -> list[str]:
        """Open every socket that the settings name; their addresses. SettingError when one can't be had."""
        settings = self.settings
        if self.reactor is not None:
            self.reactor.start(self._serve_round)
        opened = await self._listening.begin()
        opened += [f"{address} (TLS)" for address in await self._listening_tls.begin()]
        path = settings["unixsocket"]
        if path:
            try:
                raw = open_unix(path, int(settings["unixsocketperm"], 8), settings["tcp-backlog"])
            except (OSError, ValueError) as error:
                raise SettingError(f"can't listen on {path}: {error}") from None
            if self.reactor is not None:
                self._unix_server = self.reactor.listen(raw, lambda: Connection(self, unix=True))
            else:
                self._unix_server = await self.loop.create_unix_server(lambda: Connection(self, unix=True), sock=raw)
            self._unix_path = path
            opened.append(path)
        for address in await self._listening_metrics.begin():
            journal.info("metrics at http://%(address)s/metrics", {"address": address})
        if not opened:
            raise SettingError("nowhere to listen: port and tls-port are 0 and unixsocket is not set")
        return opened

    async def serve(self) -> None:
        """Serve until SIGTERM, SIGINT or SHUTDOWN, then close every connection."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self.stop)
        self.loop.call_later(HOUSEKEEPING, self._keep_house)
        await self._stopped
        self._listening.close()
        self._listening_tls.close()
        self._listening_metrics.close()
        if self._unix_server is not None:
            self._unix_server.close()
        for connection in list(self.connections):
            connection.flush()
            connection.transport.close()
        await asyncio.sleep(0)
        if self.reactor is not None:
            self.reactor.close()
        if self._unix_path is not None and os.path.exists(self._unix_path):
            os.unlink(self._unix_path)

    def stop(self) -> None:
        """End `serve`."""
        if not self._stopped.done():
            self._stopped.set_result(None)

    def _keep_house(self) -> None:
        """Once a second: close idle clients, and drop those that are over their soft output limit for too long."""
        self.loop.call_later(HOUSEKEEPING, self._keep_house)
        if self.store.ready_keys:
            with self.lock:
                self.begin_tick()
        if gc.get_count()[0] < YOUNG:
            gc.collect(0)
        if self._trimmer.due(self.store.cache.used + self.store.graves.weight):
            self.loop.run_in_executor(None, self._trimmer.trim)
        if self._hugepages.due():
            self.loop.run_in_executor(None, self._hugepages.gather)
        idle = self.settings["timeout"] * 1000
        now = self.store.clock()
        for connection in list(self.connections):
            connection.check()
            session = connection.session
            if idle and session.blocked is None and not session.listening() and not session.monitoring and now - session.last_seen > idle:
                with self.lock:
                    connection.close()

    def _setting_changed(self, name: str) -> None:
        if name in ("bind", "port", "metrics-port") or name.startswith("tls-"):
            self._listening.changed(name)
            self._listening_tls.changed(name)
            self._listening_metrics.changed(name)
        elif name == "client-output-buffer-limit":
            self.output_limits = parse_output_limits(self.settings[name])
            for connection in self.connections:
                connection.set_output_ahead()
        elif name in ("maxmemory", "maxmemory-clients"):
            self.client_memory = self._client_memory()
            self.executor.longest = self.client_memory
            for table in self.encoders.values():
                table.most = self.client_memory
            self.shed_clients()
        elif name == "proto-max-bulk-len":
            for connection in self.connections:
                connection.parser.max_bulk = self.settings[name]


def parse_output_limits(text: str) -> dict[str, tuple[int, int, int]]:
    """client-output-buffer-limit: class -> hard bytes, soft bytes, soft seconds."""
    words = text.split()
    if len(words) % 4:
        raise SettingError("client-output-buffer-limit takes class, hard, soft, seconds")
    limits = {"normal": (0, 0, 0), "pubsub": (0, 0, 0)}
    for at in range(0, len(words), 4):
        if words[at] in limits:
            limits[words[at]] = (memory(words[at + 1]), memory(words[at + 2]), int(words[at + 3]))
    return limits


def _loopback(transport: Any) -> bool:
    name = transport.get_extra_info("peername")
    try:
        address = ipaddress.ip_address(name[0].split("%")[0])
    except (TypeError, ValueError, IndexError):
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def run(executor: Executor, ready: Any = None) -> None:
    """Serve an executor's store until told to stop, then close the store. `ready` is called with the addresses listened on."""
    # Other threads run Python now and then: let the loop have the interpreter back soon (the default is 5 ms).
    sys.setswitchinterval(0.0002)
    # The cycle collector would walk over every resident object, a second for some millions. What this process drops is freed by
    # reference counts; the few cycles (errors' tracebacks) are young, and `_keep_house` collects those.
    gc.disable()

    async def main() -> None:
        server = Server(executor, asyncio.get_running_loop())
        addresses = await server.listen()
        if ready is not None:
            ready(addresses)
        await server.serve()

    try:
        if uvloop is not None:
            uvloop.run(main())
        else:
            asyncio.run(main())
    finally:
        try:
            executor.store.close()
        except StoreError as error:
            journal.error("closing the store failed: %(error)s", {"error": error})
            raise
