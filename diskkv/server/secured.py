"""TLS between a wire and a connection: to the one a receiver, to the other a wire.

An event loop's own TLS shuts a connection down as soon as the client has said that it sends no more; here, as without TLS, what it sent
before is executed and answered. Nor does TLS ask for more: only one of its two directions has ended.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from diskkv.server.reactor import Receiver, Wire

# A client that has not shaken hands after so many seconds is dropped; it counts as none until then.
HANDSHAKE = 10.0
# TLS hands out what it has of one record, which is never more.
RECORD = 16384


class Secured:
    """One client's side of TLS. What serves it is made when it has shaken hands."""

    __slots__ = ("_arrived", "_closing", "_ended", "_leaving", "_loop", "_make", "_receiver", "_timer", "_tls", "_wire")

    _wire: Wire
    _timer: asyncio.TimerHandle

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext, make: Callable[[], Receiver]) -> None:
        self._loop = loop
        self._make = make
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_side=True)
        self._receiver: Receiver | None = None
        # the client has said that it sends no more
        self._ended = False
        self._closing = False

    # -- for the wire

    def connection_made(self, wire: Wire) -> None:
        self._wire = wire
        self._timer = self._loop.call_later(HANDSHAKE, wire.abort)

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._timer.cancel()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost(error)

    def alone(self, data: bytes) -> list[bytes] | None:
        """Nobody knows before it is deciphered."""
        return None

    def receive(self, data: bytes, argv: list[bytes] | None = None) -> bool:
        if self._ended or self._closing:
            return True
        self._arrived.write(data)
        try:
            if self._receiver is None:
                self._tls.do_handshake()
                self._timer.cancel()
                self._send()
                self._receiver = self._make()
                self._receiver.connection_made(self)
            return self._read()
        except ssl.SSLWantReadError:
            # Of a handshake; what is read may have an answer, too, such as a new key's.
            self._send()
        except ssl.SSLError:
            # The client is told why.
            self._send()
            self._closing = True
            self._wire.close()
        return True

    def _read(self) -> bool:
        """Hand on what has arrived whole; as `receive`. SSLError when it was not sent as TLS has it."""
        tls, arrived = self._tls, self._arrived
        pieces = []
        whole = True
        try:
            # Where nothing is left it is not asked: the exception would cost more than the packet.
            while arrived.pending or tls.pending():
                piece = tls.read(RECORD)
                if not piece:
                    self._ended = True
                    break
                pieces.append(piece)
        finally:
            receiver = self._receiver
            if pieces and receiver is not None:
                whole = receiver.receive(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._ended and receiver is not None and not receiver.end_received():
            self.close()
        return whole

    def end_received(self) -> bool:
        if self._ended:
            return not self._closing
        self._ended = True
        return self._receiver is not None and self._receiver.end_received()

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.pause_writing()

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.resume_writing()

    # -- for the connection

    def write(self, data: bytes) -> None:
        """Send, now or when the client takes it."""
        if self._closing or not data:
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self._wire.fail(error)
            return
        self._wire.write(self._leaving.read())

    def writelines(self, pieces: list[bytes]) -> None:
        """As `write`, some pieces. They are encrypted, so copied, anyway."""
        self.write(b"".join(pieces))

    def _send(self) -> None:
        if self._leaving.pending:
            self._wire.write(self._leaving.read())

    def close(self) -> None:
        """End, once all is sent."""
        if self._closing:
            return
        self._closing = True
        with contextlib.suppress(ssl.SSLError):
            # Whether the client says goodbye, too, nobody waits to see.
            self._tls.unwrap()
        self._send()
        self._wire.close()

    def abort(self) -> None:
        """End at once."""
        self._closing = True
        self._wire.abort()

    def pause_reading(self) -> None:
        self._wire.pause_reading()

    def resume_reading(self) -> None:
        self._wire.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._wire.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int) -> None:
        self._wire.set_write_buffer_limits(high)

    def get_extra_info(self, name: str) -> Any:
        return self._wire.get_extra_info(name)
