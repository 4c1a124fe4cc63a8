"""The asyncio client. Commands take microseconds and run in the event loop; only what waits for other clients is awaited."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Generator
from functools import wraps
from types import CoroutineType, TracebackType
from typing import Any, cast

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected

from diskkv.client import shared as stores
from diskkv.client.caller import RETRY_SECONDS, Caller, Wait
from diskkv.client.shared import Shared
from diskkv.client.short import METHODS, Short, call_long
from diskkv.client.sync import finish, follow_select, plain_utf8, sort_options
from diskkv.client.wire import Line, argument_list, is_push, login, new_encoder, pool_options
from diskkv.replies import POSTPONED


class LoopAlarm:
    """Wakes a task, from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung: asyncio.Future[None] = self._loop.create_future()

    def set(self) -> None:
        """Wake the task. Nothing happens when its event loop is gone."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        if not self._rung.done():
            self._rung.set_result(None)

    async def wait(self, timeout: float | None) -> bool:
        """Sleep until `set` was called, True, or for so many seconds, False."""
        done, _ = await asyncio.wait([self._rung], timeout=timeout)
        return bool(done)


class AsyncLocalConnection(Line):
    """A connection of redis-py's whose other end is a session in this process."""

    async def connect(self) -> None:
        """Open a session, unless one is open."""
        await self._connected()

    async def _connected(self) -> Caller:
        caller = self.caller
        if caller is not None:
            if caller.cause is None:
                return caller
            self.hang_up()
        caller = self.caller = Caller(self.shared, LoopAlarm, protocol=self.protocol, index=self.db, login=self.login)
        for callback in list(self._callbacks):
            made = callback(self)
            if inspect.isawaitable(made):
                await made
        return caller

    async def disconnect(self, *_: Any, **__: Any) -> None:
        """End the session."""
        self.hang_up()

    async def send_command(self, *args: Any, **_: Any) -> None:
        """Run a command; `read_response` gives its reply."""
        await self.send_packed_command([argument_list(args, self.encoder)])

    async def send_packed_command(self, command: list[list[bytes]], check_health: bool = True) -> None:
        """Run what `pack_commands` packed, in one tick unless something in it must wait."""
        caller = await self._connected()
        at = 0
        while at < len(command):
            at, held = caller.advance(command, at)
            if held is None:
                if at < len(command):
                    await asyncio.sleep(RETRY_SECONDS)
                continue
            try:
                while not caller.settled(held):
                    await held.alarm.wait(caller.seconds(held))
                reply = caller.collect(held)
            except BaseException:
                with contextlib.suppress(Disconnected):
                    caller.abandon(held)
                self.hang_up()
                raise
            caller.inbox.append(reply)
            at += 1

    async def can_read(self, timeout: float | None = 0) -> bool:
        """Wait up to `timeout` seconds (None: for ever) for something to read."""
        caller = await self._connected()
        while not caller.inbox:
            if caller.cause is not None:
                raise Disconnected(caller.cause)
            alarm = LoopAlarm()
            caller.listening = alarm
            if not caller.inbox and caller.cause is None and not await alarm.wait(timeout):
                return False
        return True

    can_read_destructive = can_read

    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,
        *,
        disconnect_on_error: bool = True,
        push_request: bool | None = False,
    ) -> Any:
        """The next reply, or with `push_request` the next message; None if it does not come in `timeout` seconds."""
        limit = None if timeout == float("inf") else timeout
        while True:
            if not await self.can_read(limit):
                return None
            item = (await self._connected()).inbox.popleft()
            if is_push(item):
                item = self.read_plain(item, disable_decoding)
                handler = self._parser.pubsub_push_handler_func
                if handler is not None:
                    item = await handler(item)
                if push_request:
                    return item
                continue
            return self.read_plain(item, disable_decoding)


class AsyncPool(redis.asyncio.ConnectionPool):
    """Connections that are sessions: made when needed, kept when clean, never limited."""

    def __init__(self, shared: Shared, **kwargs: Any) -> None:
        connection_class: Any = AsyncLocalConnection
        super().__init__(connection_class=connection_class, shared=shared, **pool_options(Retry(NoBackoff(), 0)), **kwargs)
        self.shared = shared
        self._free: list[AsyncLocalConnection] = []
        self._lent: set[AsyncLocalConnection] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__}(path={self.shared.place},db={self.connection_kwargs['db']})>"

    def make_connection(self) -> Any:
        """A new connection."""
        return AsyncLocalConnection(**self.connection_kwargs)

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        """A connection with a session that nobody else uses."""
        connection = self._free.pop() if self._free else None
        if connection is None or connection.caller is None or connection.caller.session.index != self.connection_kwargs["db"]:
            connection = cast(AsyncLocalConnection, self.make_connection())
        self._lent.add(connection)
        await connection.connect()
        return connection

    async def release(self, connection: Any) -> None:
        """Take a connection back."""
        self._lent.discard(connection)
        if connection.clean():
            self._free.append(connection)
        else:
            connection.hang_up()

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """End the sessions of all connections; who waits on one gets ConnectionError."""
        while self._free:
            self._free.pop().hang_up()
        if inuse_connections:
            for connection in list(self._lent):
                connection.cut("the client is closed")

    async def aclose(self) -> None:
        """End the sessions of all connections."""
        await self.disconnect()


def awaited(way: Callable[..., Any]) -> Any:
    """A short way as a coroutine function; what it leaves to the long way is awaited."""

    @wraps(way)
    async def run(self: Any, *args: Any, **options: Any) -> Any:
        found = way(self, *args, **options)
        return await found if found.__class__ is CoroutineType else found

    return run


class AsyncClient(redis.asyncio.Redis):
    """redis-py's `redis.asyncio.Redis` on a store in this process. Made by `diskkv.open_async`.

    As `Client`; blocking commands, pub/sub and `lock()` are awaited and leave the event loop free. `await aclose()` it, or use it in
    an `async with`.
    """

    def __init__(self, connection_pool: AsyncPool, single_connection_client: bool = False) -> None:
        kwargs = connection_pool.connection_kwargs
        self._shared = connection_pool.shared
        self._encoder = new_encoder(kwargs["encoding"], kwargs["encoding_errors"], kwargs["decode_responses"])
        self._text: bool = self._encoder.decode_responses
        self._owner = False
        known = login(kwargs["username"], kwargs["password"])
        self._caller = Caller(self._shared, LoopAlarm, protocol=kwargs["protocol"], index=kwargs["db"], login=known, common=True)
        super().__init__(connection_pool=connection_pool, single_connection_client=single_connection_client)
        self._single = single_connection_client
        if single_connection_client or known is not None or not plain_utf8(self._encoder):
            call_long(self, *METHODS)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__}(path={self._shared.place},db={self._caller.session.index})>"

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command and return its reply as redis-py does."""
        if self._single:
            return await cast(Any, super()).execute_command(*args, **options)
        reply = self._caller.call(argument_list(args, self._encoder))
        if reply is POSTPONED:
            # It waits on a session of its own: this one is everybody's.
            return await cast(Any, super()).execute_command(*args, **options)
        if reply.__class__ is Wait:
            try:
                await reply.alarm.wait(None)
            except BaseException:
                self._caller.abandon(reply)
                raise
            reply = self._caller.collect(reply)
        follow_select(self.connection_pool, self._caller)
        made = finish(reply, args[0], options, self._encoder, self.response_callbacks)
        return await made if inspect.isawaitable(made) else made

    def set_response_callback(self, command: str, callback: Any) -> None:
        """Have a command's replies go through a function of yours."""
        call_long(self, command)
        super().set_response_callback(command, callback)

    get = awaited(Short.get)
    hget = awaited(Short.hget)
    exists = awaited(Short.exists)
    mget = awaited(Short.mget)
    set = awaited(Short.set)
    incr = incrby = awaited(Short.incrby)
    delete = awaited(Short.delete)
    hset = awaited(Short.hset)
    sadd = awaited(Short.sadd)
    lpush = awaited(Short.lpush)
    rpush = awaited(Short.rpush)
    lpop = awaited(Short.lpop)
    rpop = awaited(Short.rpop)
    zadd = awaited(Short.zadd)
    _call = Short._call

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """End the client's sessions. The last client of a store closes the store, in a thread of its own."""
        connection, self.connection = self.connection, None
        if connection is not None:
            await self.connection_pool.release(connection)
        self._caller.leave()
        if self._owner:
            self._owner = False
            await self.connection_pool.disconnect()
            await asyncio.shield(asyncio.to_thread(stores.release, self._shared))

    async def close(self, close_connection_pool: bool | None = None) -> None:
        """The older name of `aclose`."""
        await self.aclose(close_connection_pool)

    def __del__(self, *_: Any) -> None:
        caller = getattr(self, "_caller", None)
        if caller is not None:
            caller.leave()
        if self._owner:
            self._owner = False
            stores.release_later(self._shared)


class Opening:
    """A client that is being opened: `await` it, or enter it with `async with`."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        self._path = path
        self._kwargs, self._settings = sort_options(options)
        self._client: AsyncClient | None = None

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        return self._open().__await__()

    async def _open(self) -> AsyncClient:
        # Opening may replay a log: the event loop goes on meanwhile.
        opened = asyncio.get_running_loop().run_in_executor(None, stores.acquire, self._path, self._settings)
        try:
            shared = await asyncio.shield(opened)
        except asyncio.CancelledError:
            opened.add_done_callback(_give_back)
            raise
        try:
            client = AsyncClient(AsyncPool(shared, **self._kwargs))
        except BaseException:
            await asyncio.to_thread(stores.release, shared)
            raise
        client._owner = True
        return client

    async def __aenter__(self) -> AsyncClient:
        self._client = await self._open()
        return self._client

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._client is not None:
            await self._client.aclose()


def _give_back(opened: asyncio.Future[Shared]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        stores.release_later(opened.result())
