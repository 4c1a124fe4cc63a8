"""A server's process: in the background if that is wished, its number in a file, no notice taken of a terminal that closes."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator

journal = logging.getLogger("diskkv")


def go_to_background() -> Callable[[], None]:
    """Go on in a child process with a session of its own; what is to be called once it is ready.

    The parent waits for that, so errors until then reach the terminal, and its exit status says how it went.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        if os.read(reading, 1):
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(128 - code if code < 0 else code)
    os.close(reading)
    os.setsid()

    def ready() -> None:
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        os.close(nothing)
        # Nobody may be waiting any more.
        with contextlib.suppress(BrokenPipeError):
            os.write(writing, b"\n")
        os.close(writing)

    return ready


@contextlib.contextmanager
def pid_file(path: str) -> Iterator[None]:
    """Have this process's number in a file, if that can be had; nothing for an empty path."""
    line = f"{os.getpid()}\n"
    if path:
        try:
            with open(path, "w") as file:
                file.write(line)
        except OSError as error:
            journal.warning("can't write the pid file %(path)s: %(error)s", {"path": path, "error": error.strerror})
    try:
        yield
    finally:
        # Another server may have written its own over it.
        with contextlib.suppress(OSError), open(path) as file:
            if file.read() == line:
                os.unlink(path)
