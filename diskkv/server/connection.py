"""One client: bytes in, commands run, bytes out."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from diskkv.clock import perf_ns
from diskkv.dispatch.blocking import Waiter
from diskkv.dispatch.session import QUEUED_COST, QUEUED_WORD_COST, NoFront, Session
from diskkv.errors import CommandError, ProtocolError
from diskkv.lib.multibulk import TooLong
from diskkv.replies import POSTPONED, SHORT, Blocked, Postponed
from diskkv.resp.encode import ENCODERS
from diskkv.resp.parse import RequestParser

if TYPE_CHECKING:
    from diskkv.server.server import Server

# A client that waits may send ahead so much before reading from its socket stops.
READ_AHEAD = 1 << 20
# Pieces shorter than that are put together: each is an object.
CRUMB = 1024
# So many requests of a client that has given no password are looked at in a row: to refuse one takes longer than to send it.
STRANGERS = 16
# A client for which so many bytes of replies wait has no more commands executed until it has read most of them. What it sends is kept
# as it came, up to client-query-buffer-limit: a client may well send a whole pipeline before it reads the first reply.
OUTPUT_AHEAD = 4 << 20
# A round of the loop in which so many bytes of long replies were made ends; whoever has more to do gets its turn in the next one.
# So one client, or a hundred, that asks for much delays the others by a millisecond and not by seconds.
TURN = 1 << 20


TOO_MANY = b"-ERR max number of clients reached\r\n"


class Told(bytes):
    """Bytes that answer no request: what a client is told beside its replies."""


class Connection(asyncio.Protocol):
    """A client's connection, and the front of its session."""

    __slots__ = (
        "__weakref__", "_ahead", "_chunks", "_over", "_over_soft_since", "_paused", "_produced", "_stalled", "_timer", "_todo", "_unread",
        "_unread_size", "_waiter", "_whole", "_wrote", "closing", "connected", "held", "out", "parser", "queued", "server", "session",
        "throttled", "transport", "unix",
    )  # fmt: skip

    def __init__(self, server: Server, *, unix: bool) -> None:
        self.server = server
        self.unix = unix
        # From when it is connected: who is one too many never is, nor who fails to shake hands over TLS.
        self.session: Session
        self.parser = RequestParser(max_bulk=server.settings["proto-max-bulk-len"])
        # the reactor's Wire, or an asyncio transport (TLS); uvloop's are no instances of asyncio's class
        self.transport: Any = None
        self.out: list[bytes] = []
        self.closing = False
        self.connected = False
        self._todo: deque[list[bytes]] = deque()
        self._waiter: Waiter | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._chunks: list[bytes] | None = None
        self._wrote = False
        # whether the parser holds no part of a request
        self._whole = True
        self._over_soft_since: float | None = None
        self._paused = False
        # the client sends no more
        self._over = False
        # produced: bytes of long replies since the last flush; stalled: the transport holds as much as it may
        self._produced = 0
        self._stalled = False
        self._unread: deque[bytes] = deque()
        self._unread_size = 0
        # ahead: what `_todo` takes, as it was filled; throttled: reads only when its turn comes
        self._ahead = 0
        self.throttled = False
        # queued: waits for a turn; held: bytes kept for it, as the server last counted them
        self.queued = False
        self.held = 0

    # -- asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        if self.server.full():
            self.closing = True
            self.transport.write(TOO_MANY)
            self.transport.close()
            return
        self.session = self.server.executor.open_session(self)
        self.connected = True
        self.set_output_ahead()
        self.server.connected(self)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.connected:
            return
        self.connected = False
        self.closing = True
        self.server.disconnected(self)
        self.server.held -= self.held
        self.held = 0
        if self._timer is not None:
            self._timer.cancel()
        # Session and connection know each other, and the collector does not look for such rings: open this one, or nothing of it is freed.
        self.session.front = NoFront()
        self._waiter = self._timer = None
        self._todo.clear()
        self._unread.clear()

    def data_received(self, data: bytes) -> None:
        with self.server.lock:
            self.receive(data)

    def alone(self, data: bytes) -> list[bytes] | None:
        """The one request that this is, if nothing stands in the way of executing it together with those of other clients."""
        if self.closing or self._stalled or self.queued or self._unread or self._todo or self._waiter is not None or self.session.gated:
            return None
        return self.parser.alone(data) if self._chunks is None else None

    def receive(self, data: bytes, argv: list[bytes] | None = None) -> bool:
        """As `data_received`; whether nothing of it was left for later. `argv` is what `alone` has made of it. REQUIRES: the lock."""
        if self.closing:
            return True
        server = self.server
        store = server.store
        if not server.ticking:
            server.begin_tick()
        self.session.last_seen = store.now
        if self._stalled or self.queued or self._unread or self._todo or self._waiter is not None or server.spent > TURN:
            self._leave_unread(data)
            return False
        # Kept until the tick's end, should its reads have to be done again; see `redo`.
        if self._chunks is None:
            server.active.append(self)
            self._chunks = [data] if self._whole else []
        elif self._chunks:
            self._chunks.append(data)
        before = store.changes
        if self.session.gated:
            self._feed(data)
        else:
            parser = self.parser
            parser.authenticated = True
            self._run(data, argv)
            if parser.more and not (self._todo or self._waiter is not None or self.closing):
                self._feed(b"")
        if store.changes != before:
            self._wrote = True
        return not self._todo and self._waiter is None

    def go_on_with(self, data: bytes, argv: list[bytes], stop: tuple[int, Any], *, wrote: bool) -> None:
        """As `receive`, of a request that `alone` has made of it and that was executed: `stop` is what `Packets.run` said of the reply."""
        if self._chunks is None:
            self.server.active.append(self)
            self._chunks = [data]
        self._execute([argv], len(data), stop)
        self._wrote = self._wrote or wrote

    def eof_received(self) -> bool:
        return False

    def end_received(self) -> bool:
        """The client sends no more: what waits for its turn is executed before it is disconnected, but what waits for a key never is."""
        self._over = self._waiter is None and not self.closing and self._has_more()
        if self.out and not self._over:
            # It was answered outside of this round.
            self.close()
        return self._over or self.closing

    # -- running commands

    def _feed(self, data: bytes) -> None:
        """Execute what these bytes complete. REQUIRES: nothing that came before them waits."""
        session, parser = self.session, self.parser
        for _ in range(STRANGERS):
            # Everybody who is not let in is gated. (For all others this comes to what `receive` does by itself.)
            parser.authenticated = not session.gated or session.admitted()
            self._run(data)
            if not parser.more or self._todo or self._waiter is not None or self.closing:
                return
            data = b""
        self.server.take_turn(self)

    def _run(self, data: bytes, argv: list[bytes] | None = None) -> None:
        try:
            requests = [argv] if argv is not None else self.parser.feed(data)
        except ProtocolError as error:
            self._refuse(error)
            return
        log = self.server.store.log
        mark = len(log.parts)
        parser = self.parser
        if not self._execute(requests, len(data)):
            self._whole = self._whole and not parser.memory()
            return
        if argv is not None or parser.verbatim:
            self._whole = True
            if len(log.parts) > mark and log.parts[mark:] == requests:
                # Every request changed something and is logged as it came: the packet need not be put together again.
                log.parts[mark:] = [data]
                log.merged += len(requests) - 1
            return
        held = parser.memory()
        self._whole = not held
        if held > READ_AHEAD:
            self._weigh()
            if parser.buffered() > self.server.settings["client-query-buffer-limit"]:
                self.close()

    def _execute(self, requests: list[list[bytes]], size: int, stop: tuple[int, Any] | None = None) -> bool:
        """Run requests that came in so many bytes, 0 if they have been kept; False when some of them have to wait, or it is over. `stop`:
        one has been run, and so has been said of it."""
        server, session, out = self.server, self.session, self.out
        run, encoders = server.executor.packets.run, server.encoders
        at = 0
        while stop is not None or (stop := run(session, requests, at, out, encoders[session.protocol])) is not None:
            at, reply = stop
            stop = None
            kind = reply.__class__
            if kind is Blocked or kind is Postponed:
                self._hold(requests[at], reply)
                self._put_off(requests[at + 1 :], size)
                return False
            at += 1
            encoded = self._encoded(reply)
            out.append(encoded)
            # Only long replies count: no packet asks for many megabytes of shorter ones.
            if len(encoded) >= SHORT:
                self._produced += len(encoded)
                server.spent += len(encoded)
            if self.closing:
                return False
            if server.spent <= TURN and at < len(requests) and server.executor.until < perf_ns():
                server.spent = TURN + 1
            if server.spent > TURN:
                # Others have their turn. That there is more to do is looked at when the replies have left.
                self._produced += 1
                self._put_off(requests[at:], size)
                self._whole = False
                return False
        if requests:
            session.last_command = requests[-1][0]
        if at and session.queued + session.name_size > READ_AHEAD:
            self._weigh()
        return True

    def _put_off(self, requests: list[list[bytes]], size: int) -> None:
        """Keep what was read with a command that others wait behind; it came in so many bytes, 0 if it was kept before."""
        self._todo.extend(requests)
        if not size:
            return  # It has been weighed, and there is less of it now.
        self._ahead = size + QUEUED_COST * len(self._todo) + QUEUED_WORD_COST * sum(map(len, self._todo))
        if self._ahead > READ_AHEAD:
            self._weigh()

    def _hold(self, argv: list[bytes], reply: Any) -> None:
        """The command can't be answered now: wait for its keys, or for the pause to end. What follows waits behind it."""
        if reply is POSTPONED:
            self._todo.append(argv)
            self.server.postponed(self)
            return
        self._waiter = self.server.executor.waiters.park(self.session, argv, reply, self._resume)
        self._waiter.moved = self._arm
        self._arm()

    def _arm(self) -> None:
        """Have the waiting command looked at again when it is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiter = self._waiter
        if waiter is not None and waiter.due is not None:
            delay = max(0.001, (waiter.due - self.server.store.clock()) / 1000)
            self._timer = self.server.loop.call_later(delay, self._time_up, waiter)

    def _resume(self, reply: Any) -> None:
        """A blocked command has been answered, within some tick."""
        self._waiter = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.connected and not self.session.muted():
            self._send(self._encoded(reply))
        if self._has_more():
            self.server.loop.call_soon(self.go_on)

    def _time_up(self, waiter: Waiter) -> None:
        if waiter is self._waiter:
            with self.server.lock:
                self.server.begin_tick()
                self.server.executor.waiters.time_up(waiter)
            if self._waiter is waiter:
                self._arm()

    def go_on(self) -> None:
        """Run what has waited behind a command that could not be answered, or for the client to read."""
        if self.closing or self._waiter is not None or self._stalled:
            return
        with self.server.lock:
            self.server.begin_tick()
            self.touch()
            before = self.server.store.changes
            requests = list(self._todo)
            self._todo.clear()
            if self._execute(requests, 0):
                self._go_on_reading()
            if self._over and (self._waiter is not None or not self._has_more()):
                self.close()
            if self.server.store.changes != before:
                self._wrote = True

    def _go_on_reading(self) -> None:
        """Nothing that was read waits any more: read on, first in what was left unread."""
        self._ahead = 0
        self.resume_reading()
        if self.closing:
            return
        self._feed(self._next_unread())
        if self._unread and not self._todo and self._waiter is None:
            self.server.take_turn(self)

    def _has_more(self) -> bool:
        """Whether something that the client sent has yet to be executed."""
        return bool(self._todo or self._unread or self.parser.more)

    def _pause_reading(self) -> None:
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read what the client sends again."""
        if self._paused and not self.closing:
            self._paused = False
            self.transport.resume_reading()

    def _leave_unread(self, data: bytes) -> None:
        """The client waits for something, does not read its replies, or others have their turn: keep what it sends for later.

        From a megabyte on it is read a piece at a time, at a rate that leaves the loop to the others; while it waits, not at all.
        """
        if self._unread and len(self._unread[-1]) < CRUMB:
            self._unread[-1] += data
        else:
            self._unread.append(data)
        self._unread_size += len(data)
        waits = self._waiter is not None or bool(self._todo)
        if not self._stalled and not waits:
            self.server.take_turn(self)
        if self._unread_size > READ_AHEAD:
            self._pause_reading()
            self._weigh()
            if waits:
                return
            self.server.throttle(self)
            if self._unread_size > self.server.settings["client-query-buffer-limit"]:
                self.server.report("client %(client)d dropped: it sends on and on without reading", {"client": self.session.id})
                self.drop()

    def _weigh(self) -> None:
        """Have the server know how much it keeps for this client. May drop it."""
        if self.closing:
            return  # It may have been dropped for that already, and is not to be counted twice.
        server = self.server
        size = self._unread_size + self._ahead + self.parser.memory() + self.session.kept()
        size += self.transport.get_write_buffer_size() if self.connected else 0
        server.held += size - self.held
        self.held = size
        if server.held > server.client_memory:
            server.shed_clients()

    def drop(self) -> None:
        """Disconnect at once, whatever is still to be sent."""
        self.closing = True
        self.server.held -= self.held
        self.held = 0
        self.out.clear()
        self._todo.clear()
        self._ahead = 0
        self._unread.clear()
        self._unread_size = 0
        if self.connected:
            self.transport.abort()

    def _next_unread(self) -> bytes:
        if self.closing or self.parser.more or not self._unread:
            return b""
        data = self._unread.popleft()
        self._unread_size -= len(data)
        return data

    def _refuse(self, error: ProtocolError) -> None:
        self.touch()
        self.out.append(b"-ERR " + str(error).encode("utf-8", "surrogateescape") + b"\r\n")
        self.close()

    # -- replies

    def _encoded(self, reply: Any) -> bytes:
        """A reply's bytes. One that is longer than all that may be kept for clients is not made: who asked for it is dropped."""
        session, server = self.session, self.server
        encoders = ENCODERS if session.no_evict else server.encoders
        try:
            return encoders[session.protocol][reply.__class__](reply)
        except TooLong:
            server.executor.stats.evicted_clients += 1
            server.report("client %(client)d dropped: it asked for more than maxmemory-clients allows", {"client": session.id})
            self.drop()
            return b""

    def push(self, reply: Any) -> None:
        """Send something that this packet did not ask for. REQUIRES: the lock; opens a tick if none is.

        May be called by the keeper's thread, which expires keys: the loop's own sends it then.
        """
        if not self.connected:
            return
        raw = Told(self._encoded(reply))
        if threading.get_ident() != self.server.thread:
            self.server.loop.call_soon_threadsafe(self._send, raw)
        else:
            self._send(raw)

    def _send(self, raw: bytes) -> None:
        with self.server.lock:
            self.server.begin_tick()
            self.touch()
            self.out.append(raw)

    def touch(self) -> None:
        """Have `flush` called at the tick's end; what was done in this tick can't be done again."""
        if self._chunks is None:
            self.server.active.append(self)
        self._chunks = []

    def fail(self, error: CommandError) -> None:
        """Answer the error in place of every reply of this tick."""
        refusal = ENCODERS[2][CommandError](error)
        self.out[:] = [raw if raw.__class__ is Told else refusal for raw in self.out]

    def take_back(self, reply: bytes, data: bytes, *, wrote: bool) -> None:
        """The tick's changes were undone, and this was answered before anything else in it: as if `receive` had executed it."""
        if self._chunks is None:
            self.server.active.append(self)
            self._chunks = [data]
        self.out.insert(0, reply)
        self._wrote = self._wrote or wrote

    def redo(self, error: CommandError) -> None:
        """The tick's changes were undone: do this client's reads again, or answer the error in place of every reply."""
        if self._chunks and not self._wrote and self._waiter is None and not self._todo and not self.closing and self._whole:
            self.out.clear()
            self._feed(b"".join(self._chunks))
        else:
            self.fail(error)

    def flush(self) -> None:
        """The tick has ended: the replies leave."""
        self._chunks = None
        self._wrote = False
        out = self.out
        if out:
            if self.connected:
                if len(out) == 1:
                    self.transport.write(out[0])
                elif self._produced:
                    # Long replies: one system call takes them from where they lie.
                    self.transport.writelines(out)
                else:
                    self.transport.write(b"".join(out))
            self.out = []
            if self.transport.get_write_buffer_size():
                self.check_output()
        if self._produced:
            self._produced = 0
            if self._has_more() and not self._stalled:
                self.server.take_turn(self)
        if self.closing and self.connected:
            # Whoever looks for the client from now on, such as one that redirects its invalidations, is to find it gone.
            with self.server.lock:
                self.server.executor.close_session(self.session)
            self.transport.close()

    def check_output(self) -> None:
        """Drop a client that reads too slowly, by client-output-buffer-limit's hard and soft limits."""
        self._weigh()
        if not self.connected or self.closing:
            return
        hard, soft, seconds = self.server.output_limits["pubsub" if self.session.listening() else "normal"]
        size = self.transport.get_write_buffer_size()
        now = self.server.loop.time()
        if soft and size > soft:
            if self._over_soft_since is None:
                self._over_soft_since = now
        else:
            self._over_soft_since = None
        if (hard and size > hard) or (self._over_soft_since is not None and now - self._over_soft_since > seconds):
            self.server.report(
                "client %(client)d dropped: it reads too slowly, %(bytes)d bytes wait for it", {"client": self.session.id, "bytes": size}
            )
            self.drop()

    def check(self) -> None:
        """Once a second: drop the client if it has read too slowly for too long; count again what is kept for it."""
        if self.connected and (self._over_soft_since is not None or self.transport.get_write_buffer_size()):
            self.check_output()
        elif self.held or self.session.kept():
            self._weigh()

    def set_output_ahead(self) -> None:
        """How much may wait for the client to read before its commands do: enough for it to go over its limits, if there are any."""
        hard, soft, _ = self.server.output_limits["normal"]
        self.transport.set_write_buffer_limits(max(OUTPUT_AHEAD, hard, soft))

    def pause_writing(self) -> None:
        """asyncio: more than OUTPUT_AHEAD, or than its limits, waits for the client to read."""
        self._stalled = True

    def resume_writing(self) -> None:
        """asyncio: the client has read most of what waited for it."""
        self.check_output()
        self._stalled = False
        self.server.take_turn(self)

    # -- for the session

    def close(self) -> None:
        """Disconnect, after what has been answered."""
        self.closing = True
        self.server.begin_tick()
        self.touch()

    def describe(self) -> dict[str, str]:
        """For CLIENT LIST."""
        if self.unix:
            name = self.transport.get_extra_info("sockname") or ""
            address = local = f"{name if isinstance(name, str) else name.decode()}:0"
        else:
            address, local = (_address(self.transport.get_extra_info(which)) for which in ("peername", "sockname"))
        raw: socket.socket | None = self.transport.get_extra_info("socket")
        waiting = sum(map(len, self.out))
        behind = self.transport.get_write_buffer_size() if self.connected else 0
        # What came in this tick counts: the request that asks is in it.
        unread = self.parser.buffered() + self._unread_size + sum(map(len, self._chunks or ()))
        ahead = sum(len(word) for argv in self._todo for word in argv)
        return {
            "addr": address,
            "laddr": local,
            "flags": "U" if self.unix else "",
            "fd": str(raw.fileno() if raw is not None else -1),
            "qbuf": str(unread),
            # No client has a buffer for requests, or one for replies, that stays when it is empty.
            "qbuf-free": "0",
            "argv-mem": str(ahead),
            "rbs": "0",
            "rbp": "0",
            "obl": str(waiting),
            "oll": "1" if behind else "0",
            "omem": str(behind),
            "tot-mem": str(unread + ahead + waiting + behind),
            "events": "rw" if behind else "r",
        }


def _address(name: Any) -> str:
    if not isinstance(name, tuple) or len(name) < 2:
        return "?:0"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
