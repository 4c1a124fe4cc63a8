"""The synchronous client."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as TimedOut
from redis.retry import Retry

from diskkv.client import shared as stores
from diskkv.client.caller import Caller, Wait
from diskkv.client.plain import decode
from diskkv.client.shared import Shared
from diskkv.client.short import METHODS, Short, call_long
from diskkv.client.wire import Line, argument_list, is_push, login, new_encoder, pool_options
from diskkv.replies import POSTPONED


class LocalConnection(Line):
    """A connection of redis-py's whose other end is a session in this process. As redis-py's, for one thread at a time."""

    def connect(self) -> None:
        """Open a session, unless one is open."""
        self._connected()

    def _connected(self) -> Caller:
        caller = self.caller
        if caller is not None:
            if caller.cause is None:
                return caller
            self.hang_up()
        caller = self.caller = Caller(self.shared, threading.Event, protocol=self.protocol, index=self.db, login=self.login)
        for callback in list(self._callbacks):
            callback(self)
        return caller

    def disconnect(self, *_: Any, **__: Any) -> None:
        """End the session."""
        self.hang_up()

    def send_command(self, *args: Any, **_: Any) -> None:
        """Run a command; `read_response` gives its reply."""
        self.send_packed_command([argument_list(args, self.encoder)])

    def send_packed_command(self, command: list[list[bytes]], check_health: bool = True) -> None:
        """Run what `pack_commands` packed, in one tick unless something in it must wait."""
        caller = self._connected()
        at = 0
        while at < len(command):
            at, held = caller.advance(command, at)
            caller.give_way()
            if held is None:
                if at < len(command):
                    caller.wait_for_room()
                continue
            try:
                while not caller.settled(held):
                    held.alarm.wait(caller.seconds(held))
                reply = caller.collect(held)
            except BaseException:
                with contextlib.suppress(Disconnected):
                    caller.abandon(held)
                self.disconnect()
                raise
            caller.inbox.append(reply)
            at += 1

    def can_read(self, timeout: float | None = 0) -> bool:
        """Wait up to `timeout` seconds (None: for ever) for something to read."""
        caller = self._connected()
        while not caller.inbox:
            if caller.cause is not None:
                raise Disconnected(caller.cause)
            alarm = caller.listening = threading.Event()
            if not caller.inbox and caller.cause is None and not alarm.wait(timeout):
                return False
        return True

    def read_response(
        self,
        disable_decoding: bool = False,
        *,
        timeout: Any = None,
        disconnect_on_error: bool = True,
        push_request: bool = False,
    ) -> Any:
        """The next reply, or with `push_request` the next message; waits for it. Error replies are raised."""
        limit = timeout if isinstance(timeout, (int, float)) else None
        while True:
            if not self.can_read(limit):
                raise TimedOut(f"Timeout reading from {self.shared.place}")
            item = self._connected().inbox.popleft()
            if is_push(item):
                item = self.read_plain(item, disable_decoding)
                handler = self._parser.pubsub_push_handler_func
                if handler is not None:
                    item = handler(item)
                if push_request:
                    return item
                continue
            return self.read_plain(item, disable_decoding)


class Pool(redis.ConnectionPool):
    """Connections that are sessions: made when needed, kept when clean, never limited."""

    def __init__(self, shared: Shared, **kwargs: Any) -> None:
        super().__init__(connection_class=LocalConnection, shared=shared, **pool_options(Retry(NoBackoff(), 0)), **kwargs)
        self.shared = shared
        self._free: list[LocalConnection] = []
        self._lent: set[LocalConnection] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__}(path={self.shared.place},db={self.connection_kwargs['db']})>"

    def make_connection(self) -> Any:
        """A new connection."""
        return LocalConnection(**self.connection_kwargs)

    def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        """A connection with a session that nobody else uses."""
        wanted = self.connection_kwargs["db"]
        connection = None
        while self._free:
            with contextlib.suppress(IndexError):  # another thread was faster
                connection = self._free.pop()
                break
        if connection is None or connection.caller is None or connection.caller.session.index != wanted:
            connection = self.make_connection()
        self._lent.add(connection)
        connection.connect()
        return connection

    def release(self, connection: Any) -> None:
        """Take a connection back."""
        self._lent.discard(connection)
        if connection.clean():
            self._free.append(connection)
        else:
            connection.disconnect()

    def disconnect(self, inuse_connections: bool = True) -> None:
        """End the sessions of all connections; who waits on one gets ConnectionError."""
        while self._free:
            self._free.pop().disconnect()
        if inuse_connections:
            for connection in list(self._lent):
                connection.cut("the client is closed")


class Client(Short, redis.Redis):
    """redis-py's `Redis` on a store in this process. Made by `diskkv.open`; safe to share between threads.

    Commands, arguments, replies and errors are redis-py's. What needs a session of its own has one: `pipeline()`, `pubsub()`,
    `lock()`, blocking commands, and `client()`, which as in redis-py is for one thread. `close()` it, or use it in a `with`.
    """

    def __init__(self, connection_pool: Pool, single_connection_client: bool = False) -> None:
        kwargs = connection_pool.connection_kwargs
        self._shared = connection_pool.shared
        self._encoder = new_encoder(kwargs["encoding"], kwargs["encoding_errors"], kwargs["decode_responses"])
        self._text = self._encoder.decode_responses
        self._owner = False
        known = login(kwargs["username"], kwargs["password"])
        self._caller = Caller(
            self._shared, threading.Event, protocol=kwargs["protocol"], index=kwargs["db"], login=known, common=True
        )
        super().__init__(connection_pool=connection_pool, single_connection_client=single_connection_client)
        # The short ways look at no rights.
        if single_connection_client or known is not None or not plain_utf8(self._encoder):
            call_long(self, *METHODS)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__}(path={self._shared.place},db={self._caller.session.index})>"

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command and return its reply as redis-py does."""
        if self.connection is not None:
            return super().execute_command(*args, **options)
        reply = self._caller.call(argument_list(args, self._encoder))
        self._caller.give_way()
        if reply is POSTPONED:
            # It waits on a session of its own: this one is everybody's.
            return super().execute_command(*args, **options)
        if reply.__class__ is Wait:
            try:
                reply.alarm.wait()
            except BaseException:
                self._caller.abandon(reply)
                raise
            reply = self._caller.collect(reply)
        follow_select(self.connection_pool, self._caller)
        return finish(reply, args[0], options, self._encoder, self.response_callbacks)

    def set_response_callback(self, command: str, callback: Any) -> None:
        """Have a command's replies go through a function of yours."""
        call_long(self, command)
        super().set_response_callback(command, callback)

    def close(self) -> None:
        """End the client's sessions. The last client of a store closes the store."""
        if not hasattr(self, "connection"):
            return
        super().close()
        self._caller.leave()
        if self._owner:
            self._owner = False
            self.connection_pool.disconnect()
            stores.release(self._shared)

    def __del__(self) -> None:
        caller = getattr(self, "_caller", None)
        if caller is not None:
            caller.leave()
        if self._owner:
            self._owner = False
            stores.release_later(self._shared)


def finish(reply: Any, name: Any, options: dict[str, Any], encoder: Any, callbacks: Any) -> Any:
    """What redis-py does with what it has read: decoding, errors, response callbacks."""
    if isinstance(reply, Exception):
        if EMPTY_RESPONSE in options and isinstance(reply, ResponseError):
            return options[EMPTY_RESPONSE]
        raise reply
    if encoder.decode_responses and NEVER_DECODE not in options:
        reply = decode(reply, encoder)
    for option in (NEVER_DECODE, EMPTY_RESPONSE, "keys"):
        options.pop(option, None)
    callback = callbacks.get(name)
    return reply if callback is None else callback(reply, **options)


def follow_select(pool: Any, caller: Caller) -> None:
    """After SELECT, new pipelines and the like work on the same database as the client."""
    if caller.session.index != pool.connection_kwargs["db"]:
        pool.connection_kwargs["db"] = caller.session.index


def plain_utf8(encoder: Any) -> bool:
    """Whether text is encoded as Python does by default."""
    return encoder.encoding.lower() in ("utf-8", "utf8") and encoder.encoding_errors == "strict"


def open_client(path: str, **options: Any) -> Client:
    """What `diskkv.open` does."""
    kwargs, settings = sort_options(options)
    shared = stores.acquire(path, settings)
    try:
        client = Client(Pool(shared, **kwargs))
    except BaseException:
        stores.release(shared)
        raise
    client._owner = True
    return client


def sort_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A client's own options, with their defaults, and what is left: the store's settings as text."""
    own: dict[str, Any] = {"db": 0, "decode_responses": False, "encoding": "utf-8", "encoding_errors": "strict", "protocol": 2}
    own |= {"username": None, "password": None}
    for name in own:
        if name in options:
            own[name] = options.pop(name)
    if own["protocol"] not in (2, 3):
        raise ValueError("protocol must be 2 or 3")
    return own, {name: _text(value) for name, value in options.items()}


def _text(value: Any) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
