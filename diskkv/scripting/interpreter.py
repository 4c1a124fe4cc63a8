"""One child process with Lua in it, and the wire to it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

from diskkv.errors import CommandError

CHILD = Path(__file__).with_name("child.py")
# Bytes of address space that scripts may use, besides what the process takes when it starts.
MEMORY = 768 << 20
# A child that holds more KB of Lua's memory than this after a script is given up: what glibc keeps of it would not come back.
KEEP = 16 << 10
HEAD = 9


class Lost(Exception):
    """The child has ended, or was ended."""


class Interpreter:
    """A child process. Starts with the object; `kill` ends it, as does the end of this process, whatever it is doing.

    The wire: either side sends frames, eight hexadecimal digits of length and as many bytes; those of the child begin with a letter.
    """

    def __init__(self, version: str) -> None:
        found = importlib.util.find_spec("lupa")
        if found is None or not found.submodule_search_locations or not sys.executable:
            raise CommandError("Lua is not installed here: scripts need the Python package lupa")
        directory = os.path.dirname(next(iter(found.submodule_search_locations)))
        theirs, self._to = os.pipe()
        self.fd, answers = os.pipe()
        self._lifeline, end = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(CHILD), directory, version, str(MEMORY)],
                stdin=theirs, stdout=answers, stderr=end.fileno(), cwd="/", start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            os.close(self._to)
            os.close(self.fd)
            self._lifeline.close()
            raise CommandError(f"the process for scripts can't be started: {error.strerror}") from None
        finally:
            os.close(theirs)
            os.close(answers)
            end.close()
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        self.pid = self._process.pid
        self.scripts: set[bytes] = set()
        self.libraries: dict[bytes, bytes] = {}
        self.alive = True
        self.heavy = False

    def send(self, body: bytes) -> None:
        """Send a frame. Lost when nobody is there to read it."""
        data = b"%08x" % len(body) + body
        try:
            done = os.write(self._to, data)
            while done < len(data):
                done += os.write(self._to, memoryview(data)[done:])
        except OSError:
            self.kill()
            raise Lost from None

    def receive(self, milliseconds: int) -> tuple[int, bytes] | None:
        """The next frame's letter and body, or None when none has begun within a time. Lost when the child has ended."""
        if not self._poll.poll(milliseconds):
            return None
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return None
        if len(data) >= HEAD:
            size = int(data[1:HEAD], 16)
            if len(data) == HEAD + size:
                return data[0], data[HEAD:]
        return self._rest(data)

    def _rest(self, data: bytes) -> tuple[int, bytes]:
        parts = [data]
        have, size = len(data), -1
        while size < 0 or have < size:
            if size < 0 and have >= HEAD:
                head = b"".join(parts)
                parts = [head]
                size = HEAD + int(head[1:HEAD], 16)
                continue
            try:
                data = os.read(self.fd, 1 << 20)
            except BlockingIOError:
                # An event loop that has watched the pipe leaves it so.
                self._poll.poll()
                continue
            if not data:
                self.kill()
                raise Lost
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        return whole[0], whole[HEAD:]

    def kill(self) -> None:
        """End the child at once. A second call does nothing."""
        if not self.alive:
            return
        self.alive = False
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self.fd)
        self._lifeline.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.kill()
