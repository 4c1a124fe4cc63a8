"""The data of a server that is running.

As a replica would get it: PSYNC has the server send an RDB file of this moment, which is read as it comes. Where that is not allowed (many
hosted ones, and diskkv's own) keys are listed by SCAN and fetched by DUMP: each is then as it was at its own moment, and whole in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from diskkv.clock import system_clock
from diskkv.errors import BadDump, CommandError
from diskkv.rdb.commands import encode_command
from diskkv.rdb.content import Item, Key, Skipped
from diskkv.rdb.file import read_file
from diskkv.rdb.payload import read_payload
from diskkv.transfer.link import Link

# How many keys are asked for at a time.
KEYS = 100
EOF_MARK = 40


def read_server(link: Link, database: int | None, notice: Callable[[str], None]) -> Iterator[Item]:
    """Everything that a server has, or one database of it. OSError, BadDump, CommandError when it does not give it.

    The link is of no use afterwards. `notice` is told how the data will come.
    """
    for argv in ((b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"), (b"PSYNC", b"?", b"-1")):
        link.send(encode_command(list(argv)))
        reply = link.reply(patient=True)
        if isinstance(reply, CommandError) or (argv[0] == b"PSYNC" and not reply.startswith(b"FULLRESYNC")):
            notice(f"it does not serve as a master ({reply if isinstance(reply, CommandError) else reply.decode()}): reading key by key")
            yield from _scan(link, database)
            return
    notice("it sends its data as to a replica")
    source = link.source
    while not (line := source.line()):
        # An empty line now and then while it prepares the file.
        pass
    if line[:1] != b"$":
        raise BadDump(f"it answers {line[:80]!r} to PSYNC")
    source.restart()
    yield from read_file(source)
    if line.startswith(b"$EOF:"):
        source.take(EOF_MARK)


def _scan(link: Link, database: int | None) -> Iterator[Item]:
    # Before Redis 7.0 only the time that is left can be asked for, and by the answer's arrival it is less.
    absolute = not isinstance(link.call(b"PEXPIRETIME", b""), CommandError)
    numbers = [database] if database is not None else _databases(link)
    for number in numbers:
        link.ask(b"SELECT", b"%d" % number)
        cursor = b"0"
        while True:
            cursor, names = link.ask(b"SCAN", cursor, b"COUNT", b"%d" % KEYS)
            yield from _fetch(link, number, names, absolute=absolute)
            if cursor == b"0":
                break


def _databases(link: Link) -> list[int]:
    """The databases in which there are keys."""
    text: bytes = link.ask(b"INFO", b"keyspace")
    return [int(line[2:].partition(b":")[0]) for line in text.splitlines() if line.startswith(b"db")]


def _fetch(link: Link, number: int, names: list[bytes], *, absolute: bool) -> Iterator[Item]:
    when = b"PEXPIRETIME" if absolute else b"PTTL"
    now = 0 if absolute else system_clock()
    link.send(b"".join([encode_command([when, name]) + encode_command([b"DUMP", name]) for name in names]))
    for name in names:
        expire, payload = link.reply(), link.reply()
        if isinstance(expire, CommandError) or isinstance(payload, CommandError):
            raise payload if isinstance(payload, CommandError) else expire
        if payload is None:
            continue
        try:
            content = read_payload(payload)
        except BadDump as error:
            yield Skipped(f"the key {name!r} of database {number}: {error}")
            continue
        yield Key(number, name, content, now + expire if expire >= 0 else None)
