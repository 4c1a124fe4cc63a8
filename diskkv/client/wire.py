"""What takes the place of a socket in both kinds of redis-py connection: argument lists instead of packed bytes, plain replies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from redis._parsers import encoders
from redis.exceptions import ConnectionError as Disconnected

from diskkv.client.plain import Pushed, decode

if TYPE_CHECKING:
    from diskkv.client.caller import Caller
    from diskkv.client.shared import Shared

# Names as redis-py gives them ("CONFIG GET") -> their words. Bounded, should somebody make up names.
_names: dict[Any, list[bytes]] = {}
MANY_NAMES = 2000


def new_encoder(encoding: str, encoding_errors: str, decode_responses: bool) -> Any:
    """redis-py's judge of what an argument may be, and of how text is encoded."""
    make: Any = encoders.Encoder
    return make(encoding, encoding_errors, decode_responses)


def pool_options(retry: Any) -> dict[str, Any]:
    """What a pool of redis-py's is told besides: never to try again, and not to expect word of a cluster's maintenance (redis-py 7)."""
    try:
        from redis.maint_notifications import MaintNotificationsConfig
    except ImportError:
        return {"retry": retry}
    return {"retry": retry, "maint_notifications_config": MaintNotificationsConfig(enabled=False)}


def argument_list(args: Sequence[Any], encoder: Any) -> list[bytes]:
    """A command as the executor wants it; redis-py's DataError for what is no argument. A name of several words is taken apart."""
    name = args[0]
    words = _names.get(name)
    if words is None:
        raw = name.encode() if isinstance(name, str) else bytes(encoder.encode(name))
        words = raw.split() if b" " in raw else [raw]
        if len(_names) < MANY_NAMES:
            _names[name] = words
    encode, encoding, errors = encoder.encode, encoder.encoding, encoder.encoding_errors
    argv = words[:]
    for arg in args[1:]:
        if arg.__class__ is bytes:
            argv.append(arg)
        elif arg.__class__ is str:
            argv.append(arg.encode(encoding, errors))
        else:
            argv.append(bytes(encode(arg)))
    return argv


class PushHandlers:
    """The part of redis-py's parsers that PubSub speaks to: who is told of messages in RESP3."""

    def __init__(self) -> None:
        self.pubsub_push_handler_func: Any = None

    def set_pubsub_push_handler(self, handler: Any) -> None:
        """Have a function called with each message."""
        self.pubsub_push_handler_func = handler


class Line:
    """The state and the synchronous half of a connection of redis-py's that leads to a session in this process."""

    caller: Caller | None

    def __init__(
        self,
        shared: Shared,
        *,
        retry: Any,
        db: int,
        protocol: int,
        encoding: str,
        encoding_errors: str,
        decode_responses: bool,
        username: str | None = None,
        password: str | None = None,
        **_: Any,  # whatever else redis-py's pools hand to connections
    ) -> None:
        self.shared = shared
        self.db = db
        self.protocol = protocol
        self.login = login(username, password)
        self.encoder = new_encoder(encoding, encoding_errors, decode_responses)
        self.caller = None
        # what redis-py asks of a connection
        self.pid = os.getpid()
        self.retry = retry
        self.retry_on_error: list[type[Exception]] = []
        self.retry_on_timeout = False
        self.socket_timeout = None
        self.health_check_interval = 0
        self.next_health_check = 0
        self.himport_registry = None
        self.credential_provider = None
        self._parser = PushHandlers()
        self._callbacks: list[Any] = []

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__}(path={self.shared.place},db={self.db})>"

    def __del__(self) -> None:
        self.hang_up()

    @property
    def is_connected(self) -> bool:
        """Whether there is a session, and it has not been ended."""
        return self.caller is not None and self.caller.cause is None

    def hang_up(self) -> None:
        """End the session, if there is one."""
        caller, self.caller = self.caller, None
        if caller is not None:
            caller.leave()

    def cut(self, cause: str) -> None:
        """End the session under whoever uses it: he gets ConnectionError."""
        caller = self.caller
        if caller is not None:
            with contextlib.suppress(Disconnected), caller.lock:
                caller.cut(cause)

    def clean(self) -> bool:
        """Whether another user may take the connection over as it is."""
        caller = self.caller
        if caller is None or caller.cause is not None or caller.inbox:
            return False
        session = caller.session
        same = session.user is caller.user and session.protocol == self.protocol
        return same and not session.unusual() and session.watcher is None

    def pack_command(self, *args: Any) -> list[list[bytes]]:
        """A command in the form that `send_packed_command` takes."""
        return [argument_list(args, self.encoder)]

    def pack_commands(self, commands: Iterable[Sequence[Any]]) -> list[list[bytes]]:
        """Several commands in that form."""
        return [argument_list(args, self.encoder) for args in commands]

    def register_connect_callback(self, callback: Any) -> None:
        """Have a function called with each new session: PubSub subscribes again."""
        if callback not in self._callbacks:
            self._callbacks.append(callback)

    def deregister_connect_callback(self, callback: Any) -> None:
        """Do not call it any more."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def should_reconnect(self) -> bool:
        """Nothing ever asks for that here."""
        return False

    def get_protocol(self) -> int:
        """The version of RESP that replies are shaped by."""
        return self.protocol

    def extract_connection_details(self) -> str:
        """For redis-py's debug log."""
        return repr(self)

    def read_plain(self, item: Any, disable_decoding: bool) -> Any:
        """An item of the inbox as read_response returns it; errors are raised."""
        if isinstance(item, Exception):
            raise item
        return item if disable_decoding else decode(item, self.encoder)


def login(username: str | None, password: str | None) -> tuple[bytes, bytes] | None:
    """User and password as a session takes them; None when neither is given."""
    if username is None and password is None:
        return None
    return (username or "default").encode(), (password or "").encode()


def is_push(item: Any) -> bool:
    """Whether an item of the inbox is a message in RESP3."""
    return item.__class__ is Pushed
