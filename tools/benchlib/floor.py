"""The least that a server in CPython costs which keeps its data in dicts, a log and LevelDB: what diskkv's figures can be compared with.

It parses requests without a check, knows no types, no expiry, no errors, no limits, and one way to answer. What it does is what no store of
this kind can leave out: read, cut, put into a dict, write to a log that is synced every second, write to the client, and, once for
so many changes, write to LevelDB what has changed since, on another thread. What it costs is no proof of what is possible, but where it is
slower than a limit, a store that keeps promises besides will hardly be faster.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
import zlib
from pathlib import Path

import plyvel

# As often as diskkv does when all is asked of 100,000 keys.
CHANGES = 150_000
# Of a list's elements LevelDB has so many in a record.
RUN = 16


class Floor:
    """The server's data, and its one way to execute each command that is measured."""

    def __init__(self, directory: Path) -> None:
        self._log = os.open(directory / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._db = plyvel.DB(str(directory / "tree"), create_if_missing=True, write_buffer_size=4 << 20, bloom_filter_bits=10)
        self._data: dict[bytes, bytes] = {}
        self._list: list[bytes] = []
        # what of the list is not yet a whole record
        self._tail: list[bytes] = []
        self._dirty: dict[bytes, bytes | None] = {}
        self._stored: dict[bytes, bytes] = {}
        self._changes = 0
        self._writer = threading.Thread()
        threading.Thread(target=self._sync, daemon=True).start()

    def execute(self, argv: list[bytes]) -> bytes:
        name, data = argv[0], self._data
        if name == b"GET" or name == b"HGET":
            value = data.get(argv[-1])
            return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)
        if name == b"SET" or name == b"MSET":
            words = iter(argv)
            next(words)
            for key, value in zip(words, words, strict=False):
                data[key] = self._dirty[key] = value
            self._changes += len(argv) >> 1
            return b"+OK\r\n"
        self._changes += 1
        if name == b"INCR":
            data[argv[1]] = self._dirty[argv[1]] = b"%d" % (int(data.get(argv[1], b"0")) + 1)
        elif name == b"HSET" or name == b"SADD":
            words = iter(argv[2:] if name == b"HSET" else [word for member in argv[2:] for word in (member, b"")])
            for key, value in zip(words, words, strict=False):
                data[key] = self._dirty[key] = value
        elif name == b"ZADD":
            words = iter(argv[2:])
            for score, key in zip(words, words, strict=False):
                old = data.get(key)
                if old is not None:
                    self._stored.setdefault(key, old)
                data[key] = self._dirty[key] = score
        elif name == b"LPUSH":
            self._list += argv[2:]
            self._tail += argv[2:]
            if len(self._tail) >= RUN:
                self._dirty[b"%d" % len(self._list)] = b"".join(self._tail)
                self._tail = []
        elif name == b"RPOP" or name == b"SPOP":
            if not (self._list if name == b"RPOP" else data):
                return b"$-1\r\n"
            if name == b"RPOP":
                value = self._list.pop()
                if not len(self._list) % RUN:
                    self._dirty[b"%d" % len(self._list)] = None
            else:
                value, _ = data.popitem()
                self._dirty[value] = None
            return b"$%d\r\n%b\r\n" % (len(value), value)
        elif name == b"FLUSHALL":
            self._data, self._list, self._tail = {}, [], []
        return b"+PONG\r\n" if name == b"PING" else b":1\r\n"

    def commit(self, packets: list[bytes]) -> None:
        """End a round of the loop: log what came, and perhaps begin to write to LevelDB; so when nothing came for a second."""
        data = b"".join(packets)
        zlib.crc32(data)
        os.write(self._log, data)
        if self._dirty and (self._changes >= CHANGES or not packets) and not self._writer.is_alive():
            batch = self._db.write_batch(sync=True)
            for key, value in self._dirty.items():
                if value is None:
                    batch.delete(key)
                    continue
                batch.put(key, value)
                if key in self._stored:
                    batch.delete(self._stored[key] + key)
                    batch.put(value + key, b"")
            self._dirty, self._stored, self._changes = {}, {}, 0
            self._writer = threading.Thread(target=batch.write)
            self._writer.start()

    def _sync(self) -> None:
        while True:
            time.sleep(1)
            os.fdatasync(self._log)


def requests_in(data: bytes) -> list[list[bytes]]:
    """What a packet of whole requests asks for; IndexError when one is not whole."""
    parts = data.split(b"\r\n")
    found = []
    at = 0
    while at < len(parts) - 1:
        after = at + 2 * int(parts[at][1:]) + 1
        if after >= len(parts):
            raise IndexError
        found.append(parts[at + 2 : after : 2])
        at = after
    return found


def serve(port: int, directory: Path) -> None:
    floor = Floor(directory)
    listening = socket.create_server(("127.0.0.1", port))
    poll = select.epoll()
    poll.register(listening, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    held: dict[int, bytes] = {}
    while True:
        replies = []
        packets = []
        events = poll.poll(1.0)
        for number, _ in events:
            if number == listening.fileno():
                client, _ = listening.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[client.fileno()] = client
                poll.register(client, select.EPOLLIN)
                continue
            data = os.read(number, 1 << 18)
            if not data:
                poll.unregister(number)
                clients.pop(number).close()
                continue
            data = held.pop(number, b"") + data
            try:
                made = b"".join([floor.execute(argv) for argv in requests_in(data)])
            except IndexError:
                held[number] = data
                continue
            packets.append(data)
            replies.append((number, made))
        if packets or not events:
            floor.commit(packets)
        for number, made in replies:
            os.write(number, made)


if __name__ == "__main__":
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
    serve(int(options["--port"]), Path(options["--dir"]))
