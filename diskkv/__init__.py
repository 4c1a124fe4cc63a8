"""diskkv: Redis on disk. Redis' commands over a data set that is larger than memory, in process, served, or typed at.

    >>> import diskkv
    >>> with diskkv.open(":memory:", decode_responses=True) as r:
    ...     r.hset("user:1", mapping={"name": "Ada", "born": 1815})
    ...     r.hgetall("user:1")
    2
    {'name': 'Ada', 'born': '1815'}

The layers, each of which knows only those before it:

- `errors`, `replies`, `clock`, `config`: the words of the house; `lib`: algorithms that know nothing of it.
- `engine`: ordered bytes on disk or in memory, behind a handful of promises.
- `format`: what the bytes are: records that sort as their values do.
- `store`: from key to typed value with time: log, checkpoints, the memory budget, expiry.
- `types`: what a list or a sorted set is, as records and as an object in memory.
- `dispatch`: from argv to reply: the command table, sessions, gates, transactions, who waits for whom.
- `commands`: what each command takes and answers.
- `app`: puts all of these together.
- `resp` and `server`: the same commands on sockets; `client`: in process, as redis-py; `cli`: the command line and the shell.

Importing this package loads none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diskkv.errors import BadFormat, Damaged, DiskkvError, SettingError, StoreError, StoreLocked

if TYPE_CHECKING:
    import os

    from diskkv.client.aio import AsyncClient, Opening
    from diskkv.client.sync import Client

__all__ = [
    "AsyncClient", "BadFormat", "Client", "Damaged", "DiskkvError", "SettingError", "StoreError", "StoreLocked", "open", "open_async",
]  # fmt: skip

_CLIENTS = {"Client": "diskkv.client.sync", "AsyncClient": "diskkv.client.aio"}


def open(
    path: str | os.PathLike[str],
    *,
    db: int = 0,
    decode_responses: bool = False,
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
    protocol: int = 2,
    username: str | None = None,
    password: str | None = None,
    **settings: Any,
) -> Client:
    """Open the store in a directory, creating it if need be, and return a client: redis-py's `Redis`, in process.

    `":memory:"` is a new store that is gone when it is closed. `settings` are those of `diskkv settings`, with underscores:
    `maxmemory="1gb"`, `appendfsync="always"`. Whoever opens a store owns it: every command may be run, whatever users and passwords it has
    for its server's clients; with a `username` or a `password` the client is that user instead. `protocol` 2 or 3 shapes replies as
    redis-py does with a server in RESP2 or RESP3.

    A directory is open once per process: opening it again gives another client of the same store, which closes with its last client.
    StoreLocked when another process has it, BadFormat or Damaged when it can't be read, SettingError for a setting that can't be, or
    that differs from what the store is already open with. A store does not survive a fork: open it in the process that uses it.
    """
    from diskkv.client.sync import open_client

    return open_client(
        _place(path), db=db, decode_responses=decode_responses, encoding=encoding, encoding_errors=encoding_errors, protocol=protocol,
        username=username, password=password, **settings,
    )  # fmt: skip


def open_async(
    path: str | os.PathLike[str],
    *,
    db: int = 0,
    decode_responses: bool = False,
    encoding: str = "utf-8",
    encoding_errors: str = "strict",
    protocol: int = 2,
    username: str | None = None,
    password: str | None = None,
    **settings: Any,
) -> Opening:
    """As `open`, for asyncio: `r = await diskkv.open_async(path)`, or `async with diskkv.open_async(path) as r:`.

    The client is redis-py's `redis.asyncio.Redis`, in process. It shares the store with all other clients of this process.
    """
    from diskkv.client.aio import Opening

    return Opening(
        _place(path),
        {
            "db": db, "decode_responses": decode_responses, "encoding": encoding, "encoding_errors": encoding_errors,
            "protocol": protocol, "username": username, "password": password, **settings,
        },
    )  # fmt: skip


def _place(path: str | os.PathLike[str]) -> str:
    import os

    return os.fspath(path)


def __getattr__(name: str) -> Any:
    if name in _CLIENTS:
        from importlib import import_module

        return getattr(import_module(_CLIENTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
