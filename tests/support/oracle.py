"""Debian's redis-server as the oracle, and replies in a form in which ours and its can be compared."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import hiredis
import pytest

from diskkv.errors import CommandError
from diskkv.replies import NIL_ARRAY, Digits, Encoded, Named, OrderedSet, Pairs, Push, Score, Several, Simple, Verbatim
from diskkv.resp.decode import decode


class Oracle:
    """A redis-server on a unix socket. `run` speaks RESP2, or RESP3 after `run("HELLO", 3)`."""

    def __init__(self, *options: str) -> None:
        self._directory = tempfile.mkdtemp(prefix="oracle-")
        self.path = str(Path(self._directory) / "socket")
        command = ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--appendonly", "no", "--dir", self._directory]
        self._process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        self._reader = hiredis.Reader()
        for _ in range(2000):
            try:
                self._socket = self.connect()
                return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.005)
        raise RuntimeError("redis-server did not start")

    def connect(self) -> socket.socket:
        """Another connection, for whoever wants to speak raw bytes."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self.path)
        except OSError:
            connection.close()
            raise
        return connection

    def run(self, *argv: Any) -> Any:
        """A command's reply: bytes, int, None, list, dict ...; an error is `Error` with its line."""
        words = [word if isinstance(word, bytes) else str(word).encode() for word in argv]
        self._socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return self.next()

    def next(self) -> Any:
        """The next reply, where a command has more than one."""
        while True:
            reply = self._reader.gets()
            if reply is not False:
                return plain(reply)
            data = self._socket.recv(1 << 16)
            if not data:
                raise RuntimeError("redis-server hung up")
            self._reader.feed(data)

    def close(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory)


class Error(str):
    """An error's line, code first."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Error({str(self)!r})"


def start(*options: str) -> Oracle:
    """An oracle. Without redis-server the test fails, or is skipped when DISKKV_NO_ORACLE=1 says that there is none."""
    if shutil.which("redis-server") is None:
        if os.environ.get("DISKKV_NO_ORACLE") == "1":
            pytest.skip("DISKKV_NO_ORACLE=1: no redis-server to compare with")
        pytest.fail("no redis-server to compare with (set DISKKV_NO_ORACLE=1 to go without)")
    return Oracle(*options)


def plain(reply: Any) -> Any:
    """A reply of either side as RESP2 would have it, in plain values."""
    if isinstance(reply, CommandError):
        return Error(reply.line().decode("utf-8", "surrogateescape"))
    if isinstance(reply, hiredis.ReplyError):
        return Error(str(reply))
    if isinstance(reply, Encoded):
        return plain(decode(reply.wire))
    if isinstance(reply, Simple):
        return reply.text
    if isinstance(reply, Verbatim):
        return reply.text
    if reply is NIL_ARRAY:
        return None
    if isinstance(reply, Digits):
        return reply.text
    if isinstance(reply, Score):
        return b"%r" % reply.value
    if isinstance(reply, bool):
        return int(reply)
    if isinstance(reply, Pairs):
        return [plain(part) for pair in reply.items for part in pair]
    if isinstance(reply, Named):
        return [plain(pair) for pair in reply.items]
    if isinstance(reply, Push):
        return plain(list(reply.items))
    if isinstance(reply, Several):
        return [plain(part) for part in reply.items]
    if isinstance(reply, dict):
        return [plain(part) for pair in reply.items() for part in pair]
    if isinstance(reply, (list, tuple, set, frozenset, OrderedSet)):
        return [plain(part) for part in reply]
    return reply
