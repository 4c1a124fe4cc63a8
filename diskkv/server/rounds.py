"""Rounds: what many clients sent at the same time, each a request of its own.

A server that is asked for much finds something from most of its clients each time that it looks. Often it is the same command: a cache is
read, events are counted, a queue is filled. Such requests in a row are executed as one, as those that one client pipelines are (see
`dispatch/packets.py`), in the order in which they came. Any other that reads or writes keys is executed by itself, but without all that a
connection has to see to that holds parts of requests, or requests that wait. What is not as simple as that goes its connection's own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diskkv.clock import perf_ns
from diskkv.dispatch.packets import ROW_TIME, Plan
from diskkv.server.connection import TURN, Connection
from diskkv.server.reactor import Packet, Wire, deliver, failed

if TYPE_CHECKING:
    from diskkv.server.server import Server

Known = tuple[Wire, Connection, bytes]

# Of fewer in a row nothing is gained.
FEW = 2


class Rounds:
    """Executes what was gathered in a round of the reactor. Every method requires the lock."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._executor = server.executor
        # what was executed here in this tick: who sent it, the reply, what it was, and whether it changed something
        self._answered: list[tuple[Wire, Connection, bytes, bytes, bool]] = []

    def receive(self, gathered: list[Packet]) -> None:
        """Execute what was read, in its order; the replies leave with `send`."""
        server = self._server
        if not server.ticking:
            server.begin_tick()
        if not self._simple():
            for wire, data in gathered:
                deliver(wire, data)
            return
        plans, plan_of = self._executor.stats.plans, self._executor.packets.plan
        # those before that are alike: the command's name, what else they have in common, who sent what, and what that means
        name = b""
        plan: Plan | None = None
        db, protocol = None, 0
        packets: list[Known] = []
        requests: list[list[bytes]] = []
        for wire, data in gathered:
            connection: Any = wire.receiver
            argv = connection.alone(data)
            if plan is not None:
                if argv is not None and argv[0] == name and connection.session.db is db and connection.session.protocol == protocol:
                    packets.append((wire, connection, data))
                    requests.append(argv)
                    continue
                self._execute(plan, packets, requests)
            plan = (plans.get(argv[0]) or plan_of(argv[0])) if argv is not None else None
            if plan is None or argv is None:
                deliver(wire, data, argv)
            elif plan.row is None:
                plan = None
                self._execute_one((wire, connection, data), argv)
            else:
                name, db, protocol = argv[0], connection.session.db, connection.session.protocol
                packets, requests = [(wire, connection, data)], [argv]
        if plan is not None:
            self._execute(plan, packets, requests)

    def _simple(self) -> bool:
        """Whether nobody looks on, or has others wait, now."""
        executor = self._executor
        return not executor.gated and not executor.observed and executor.stats.slow_after >= ROW_TIME and self._server.spent <= TURN

    def _execute(self, plan: Plan, packets: list[Known], requests: list[list[bytes]]) -> None:
        """Execute requests for the same command, of clients with the same database and protocol."""
        at, end = 0, len(requests)
        while end - at >= FEW and self._simple():
            at = self._execute_row(plan, packets, requests, at)
        for packet, argv in zip(packets[at:], requests[at:], strict=True):
            self._execute_one(packet, argv)

    def _execute_one(self, packet: Known, argv: list[bytes]) -> None:
        """Execute a request of a command that reads or writes keys."""
        wire, connection, data = packet
        if self._server.spent > TURN or connection.closing:
            deliver(wire, data, argv)
            return
        session = connection.session
        executor, store = self._executor, self._server.store
        parts = store.log.parts
        before, mark = store.changes, len(parts)
        out: list[bytes] = []
        began = perf_ns()
        try:
            stop = executor.packets.run(session, [argv], 0, out, self._server.encoders[session.protocol])
            wrote = store.changes != before
            if wrote and len(parts) == mark + 1 and parts[mark] is argv:
                # It is logged as it came, and need not be put together again.
                parts[mark] = data
            session.last_seen, session.last_command = store.now, argv[0]
            if stop is None:
                self._answered.append((wire, connection, out[0], data, wrote))
            else:
                connection.go_on_with(data, argv, stop, wrote=wrote)
        except Exception as error:
            failed(wire, error)
        wire.keep_up(executor.clock_mark - began)

    def _execute_row(self, plan: Plan, packets: list[Known], requests: list[list[bytes]], at: int) -> int:
        """Execute one request or more from `at` on; where the first stands that was not."""
        session = packets[at][1].session
        executor, store = self._executor, self._server.store
        log = store.log
        before, mark = store.changes, len(log.parts)
        out: list[bytes] = []
        executor.clock_mark = began = perf_ns()
        done = at if session.db.heeded else executor.packets.run_row(session, plan, requests, at, out)
        if done == at:
            self._execute_one(packets[at], requests[at])
            return at + 1
        took = (executor.clock_mark - began) // (done - at)
        row = packets[at:done]
        wrote = store.changes != before
        if wrote and log.parts[mark:] == requests[at:done]:
            # Every request changed something and is logged as it came.
            log.parts[mark:] = [data for _, _, data in row]
        now, name = store.now, requests[at][0]
        for (wire, connection, data), reply in zip(row, out, strict=True):
            session = connection.session
            session.last_seen, session.last_command = now, name
            self._answered.append((wire, connection, reply, data, wrote))
            wire.keep_up(took)
        return done

    def send(self) -> None:
        """The tick has been committed: the replies leave."""
        answered, self._answered = self._answered, []
        for wire, connection, reply, _, _ in answered:
            wire.write(reply)
            if wire.size:
                connection.check_output()

    def give_back(self) -> None:
        """The tick was undone: each connection is to see to its own again."""
        answered, self._answered = self._answered, []
        for _, connection, reply, data, wrote in answered:
            connection.take_back(reply, data, wrote=wrote)
