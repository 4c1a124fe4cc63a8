"""What a program did to the files of a directory, call by call, as strace saw it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

# All calls that change files; those that `Recording` does not understand must not occur on files of the directory.
CALLS = (
    "openat,creat,close,dup,dup2,dup3,write,pwrite64,writev,pwritev,lseek,fsync,fdatasync,ftruncate,truncate,fallocate,rename,renameat,"
    "renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,sendfile,copy_file_range,clone,clone3,fork,vfork"
)
FORKS = (b"clone", b"fork", b"vfork")
LINE = re.compile(rb"(\d+) +(\d+\.\d+) (.*)", re.DOTALL)
CALL = re.compile(rb"(\w+)\((.*)\) += (-?\d+)(?: .*)?", re.DOTALL)
STRING = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
UNFINISHED = b" <unfinished ...>"
STANDARD_OUTPUT = 1


class Event(NamedTuple):
    """One step: when it was (seconds), what it was, and with what.

    open handle path create truncate | close handle | write handle data offset (None: where the handle stands) | seek handle offset
    resize handle size | grow handle size | begin_sync handle token | end_sync token | rename old new | link old new | unlink path
    mkdir path | say bytes (to standard output)
    """

    at: float
    kind: str
    arguments: tuple[Any, ...]


def record(command: Sequence[str], trace: Path, **options: Any) -> int:
    """Run a command under strace; its exit code."""
    strace = shutil.which("strace")
    assert strace is not None, "strace is needed"
    watching = [strace, "-f", "-qq", "-xx", "-ttt", "-s", "100000000", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(trace)]
    return subprocess.run([*watching, *command], check=False, **options).returncode


def other_processes(trace: Path) -> set[bytes]:
    """The processes that the program started: their handles have the same numbers, but are others."""
    found: set[bytes] = set()
    begun: dict[bytes, bytes] = {}
    with trace.open("rb") as lines:
        for line in lines:
            match = LINE.fullmatch(line.rstrip(b"\n"))
            assert match is not None, line[:200]
            thread, text = match[1], match[3]
            if text.startswith(FORKS) and text.endswith(UNFINISHED):
                begun[thread] = text
            elif text.startswith((*FORKS, *(b"<... " + fork for fork in FORKS))):
                child = text.rpartition(b" = ")[2]
                if child.isdigit() and (b"CLONE_FILES" not in begun.pop(thread, b"") + text or thread in found):
                    found.add(child)
    return found


class Recording:
    """The events that concern what lies under `root`, and what the program said. `cwd` is where it ran."""

    def __init__(self, trace: Path, root: Path, cwd: Path) -> None:
        self.events: list[Event] = []
        self._root = os.path.realpath(root)
        self._cwd = cwd
        self._handles: set[int] = set()
        self._tokens = 0
        begun: dict[bytes, tuple[bytes, int]] = {}
        others = other_processes(trace)
        with trace.open("rb") as lines:
            for line in lines:
                match = LINE.fullmatch(line.rstrip(b"\n"))
                assert match is not None, line[:200]
                thread, at, text = match[1], float(match[2]), match[3]
                if thread in others or text.startswith((*FORKS, *(b"<... " + fork for fork in FORKS))):
                    continue
                if text.endswith(UNFINISHED):
                    text = text[: -len(UNFINISHED)]
                    begun[thread] = text, self._begin(at, text)
                elif text.startswith(b"<... "):
                    head, token = begun.pop(thread)
                    self._end(at, head + text.partition(b" resumed>")[2], token)
                elif not text.startswith((b"+++", b"---")):
                    self._end(at, text, self._begin(at, text))

    def _begin(self, at: float, text: bytes) -> int:
        """A call begins. What a sync that begins here will cover is what happened before; and a handle that is being closed may be given
        to another thread before the call has ended."""
        closed = re.match(rb"close\((\d+)", text)
        if closed is not None and int(closed[1]) in self._handles:
            self._handles.discard(int(closed[1]))
            self._note(at, "close", int(closed[1]))
        match = re.match(rb"f(?:data)?sync\((\d+)", text)
        if match is None or int(match[1]) not in self._handles:
            return 0
        self._tokens += 1
        self._note(at, "begin_sync", int(match[1]), self._tokens)
        return self._tokens

    def _note(self, at: float, kind: str, *arguments: Any) -> None:
        self.events.append(Event(at, kind, arguments))

    def _inside(self, path: bytes) -> str | None:
        full = os.path.normpath(os.path.join(self._cwd, path.decode()))
        if full == self._root:
            return ""
        return full[len(self._root) + 1 :] if full.startswith(self._root + "/") else None

    def _end(self, at: float, text: bytes, token: int) -> None:
        call = CALL.fullmatch(text)
        if call is None or int(call[3]) < 0:
            return  # killed in the middle of it, or it failed
        name, result = call[1].decode(), int(call[3])
        strings = [bytes.fromhex(match[1].replace(b"\\x", b"").decode()) for match in STRING.finditer(call[2])]
        words = STRING.sub(b"", call[2]).split(b", ")
        if name in ("openat", "creat"):
            path = self._inside(strings[0])
            self._handles.discard(result)
            if path is not None:
                assert name == "openat"
                flags = words[2]
                assert b"O_APPEND" not in flags or b"O_TRUNC" not in flags
                self._handles.add(result)
                self._note(at, "open", result, path, b"O_CREAT" in flags, b"O_TRUNC" in flags, b"O_APPEND" in flags)
        elif name.startswith(("rename", "link", "unlink", "mkdir", "rmdir", "truncate")):
            paths = [self._inside(string) for string in strings]
            if any(path is not None for path in paths):
                assert None not in paths and name != "truncate", f"not understood: {text[:300]!r}"
                kind = {"rmdir": "unlink"}.get(name, re.sub("(at2?)$", "", name))
                self._note(at, kind, *paths)
        elif name == "write" and int(words[0]) == STANDARD_OUTPUT:
            self._note(at, "say", strings[0])
        else:
            self._on_handle(at, name, [word.strip() for word in words], strings, result, token)

    def _on_handle(self, at: float, name: str, words: list[bytes], strings: list[bytes], result: int, token: int) -> None:
        if name == "close":
            return
        touched = [int(word) for word in words[:2] if word.isdigit() and int(word) in self._handles]
        handle = int(words[0])
        if handle not in self._handles and not (name in ("sendfile", "copy_file_range") and touched):
            return
        match name:
            case "write" | "pwrite64":
                self._note(at, "write", handle, strings[0][:result], int(words[3]) if name == "pwrite64" else None)
            case "lseek":
                self._note(at, "seek", handle, result)
            case "fsync" | "fdatasync":
                self._note(at, "end_sync", token)
            case "ftruncate":
                self._note(at, "resize", handle, int(words[1]))
            case "fallocate":
                self._note(at, "grow", handle, int(words[2]) + int(words[3]))
            case _:
                raise AssertionError(f"not understood: {name} {words[:4]}")
