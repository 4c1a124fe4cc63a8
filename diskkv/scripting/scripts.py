"""The scripts that clients have sent, and the running of scripts and functions."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

from diskkv.clock import perf_ns
from diskkv.dispatch.executor import Executor
from diskkv.dispatch.session import Session
from diskkv.errors import CommandError, DiskQuota, NoScript, OutOfMemory
from diskkv.lib.multibulk import encode_bulks
from diskkv.replies import Blocked
from diskkv.scripting.flags import ALLOW_OOM, EVAL_COMPATIBLE, NO_WRITES, read_shebang
from diskkv.scripting.interpreter import Interpreter, Lost
from diskkv.scripting.libraries import Libraries
from diskkv.scripting.run import Run
from diskkv.scripting.turns import drive_in_thread

journal = logging.getLogger("diskkv.script")

VERSION = "7.2.0"
# Of the scripts that came with EVAL so many are remembered for EVALSHA, as in Redis 7.4; those of SCRIPT LOAD stay.
MOST_EVALUATED = 500
# A child that has compiled so many is given up, and with it those that nobody sends any more.
MOST_COMPILED = 2000
# Redis' limit for FUNCTION LOAD, in ms.
LOAD_TIMEOUT = 500
# How often it is told that a script keeps everybody waiting and nothing is stuck.
PULSE_NS = 1_000_000_000


class Scripts:
    """All scripts and functions of an executor, and the child process that runs them, started with the first. REQUIRES: the lock."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        # SHA-1 -> text and flags; in `_evaluated` those that EVAL brought, the longest unused first
        self._known: dict[bytes, tuple[bytes, int]] = {}
        self._evaluated: dict[bytes, None] = {}
        self._lua: Interpreter | None = None
        # the command of the script that runs, for FUNCTION STATS
        self.argv: list[bytes] = []
        self.libraries = Libraries(executor.store, self)
        # what lets others have their turn while a script runs for long; a front with an event loop has its own
        self.drive: Callable[[Run], None] = drive_in_thread
        executor.store.at_close.append(self.close)

    # -- the scripts known

    def __contains__(self, sha: bytes) -> bool:
        return sha.lower() in self._known

    def __len__(self) -> int:
        return len(self._known)

    def size(self) -> int:
        """Bytes of all texts."""
        return sum(len(text) for text, _ in self._known.values())

    def flush(self) -> None:
        """Forget all scripts."""
        self._known.clear()
        self._evaluated.clear()
        self.retire()

    def load(self, text: bytes, *, stays: bool) -> bytes:
        """Remember a script; its SHA-1 in hexadecimal. CommandError when it does not compile."""
        sha = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
        if sha not in self._known:
            body, flags = read_shebang(text)
            self._compile(self.lua(), sha, body)
            self._known[sha] = (text, flags)
            if not stays:
                self._evaluated[sha] = None
                if len(self._evaluated) > MOST_EVALUATED:
                    oldest = next(iter(self._evaluated))
                    del self._evaluated[oldest], self._known[oldest]
        elif stays:
            self._evaluated.pop(sha, None)
        return sha

    # -- the child

    def lua(self) -> Interpreter:
        """The child, started if need be."""
        lua = self._lua
        if lua is None or not lua.alive or lua.heavy or len(lua.scripts) > MOST_COMPILED:
            self.retire()
            lua = self._lua = Interpreter(VERSION)
        return lua

    def await_child(self) -> None:
        """Wait until the child has started, which on a busy machine may take longer than what it is then asked for may take."""
        self.ask(b"C0\n", -1)

    def retire(self) -> None:
        """End the child; the next script starts another."""
        if self._lua is not None:
            self._lua.kill()
            self._lua = None

    def close(self) -> None:
        """The store closes."""
        run = self._executor.busy
        if run is not None:
            run.drop()
        self.retire()

    def ask(self, request: bytes, milliseconds: int) -> tuple[int, bytes] | None:
        """Something that is no script: the child's answer, or None when it takes longer, and then the child has been ended."""
        for last in (False, True):
            lua = self.lua()
            try:
                lua.send(request)
                frame = lua.receive(milliseconds)
                while frame is not None and frame[0] not in b"re":
                    lua.send(b"")
                    frame = lua.receive(milliseconds)
            except Lost:
                if last:
                    raise CommandError("the process for scripts died, it may have used too much memory") from None
                continue
            if frame is None:
                self.retire()
                return None
            return frame[0], frame[1][:-8]
        return None

    def _compile(self, lua: Interpreter, sha: bytes, body: bytes) -> None:
        frame = self.ask(b"C0%b\n%b" % (sha, body), -1)
        assert frame is not None
        if frame[0] == 0x65:
            raise CommandError(f"Error compiling script (new function): {frame[1][1:].decode('utf-8', 'surrogateescape')}")
        self.lua().scripts.add(sha)

    # -- running

    def evaluate(self, caller: Session, sha: bytes, keys: Sequence[bytes], args: Sequence[bytes], *, read_only: bool) -> Any:
        """Run a script that was loaded. NoScript when it was not. The result, or `Blocked` when it takes long."""
        sha = sha.lower()
        known = self._known.get(sha)
        if known is None:
            raise NoScript
        if sha in self._evaluated:
            del self._evaluated[sha]
            self._evaluated[sha] = None
        text, flags = known
        read_only = self.admit(flags, read_only=read_only)
        lua = self.lua()
        if sha not in lua.scripts:
            self._compile(lua, sha, read_shebang(text)[0])
            lua = self.lua()
        run = Run(self._executor, lua, caller, sha, function=False, read_only=read_only)
        run.starved = self._executor.quota.starved and not flags & ALLOW_OOM
        head = b"E%d%b\n" % (caller.protocol, sha)
        return self._run(run, head + encode_bulks(keys) + encode_bulks(args))

    def call_function(self, caller: Session, name: bytes, keys: Sequence[bytes], args: Sequence[bytes], *, read_only: bool) -> Any:
        """Run a function of a library. The result, or `Blocked` when it takes long."""
        library, entry = self.libraries.function(name)
        read_only = self.admit(entry.flags, read_only=read_only)
        self.libraries.provide(library)
        run = Run(self._executor, self.lua(), caller, entry.name, function=True, read_only=read_only)
        run.starved = self._executor.quota.starved and not entry.flags & ALLOW_OOM
        head = b"F%d%b.%b\n" % (caller.protocol, library.name, entry.name)
        return self._run(run, head + encode_bulks(keys) + encode_bulks(args))

    def may_write(self, command: str, script: bytes) -> bool:
        """Whether what EVAL, EVALSHA or FCALL is to run may write, for all that is known of it."""
        try:
            match command:
                case "eval":
                    flags = read_shebang(script)[1]
                case "evalsha":
                    flags = self._known[script.lower()][1]
                case _:
                    flags = self.libraries.function(script)[1].flags
        except (CommandError, KeyError):
            # It will be refused, but by then.
            return True
        return not flags & NO_WRITES

    def admit(self, flags: int, *, read_only: bool) -> bool:
        """Whether a script with flags runs read-only. CommandError when it may not run at all."""
        if flags & EVAL_COMPATIBLE:
            return read_only
        if not flags & NO_WRITES:
            self._executor.store.admit()
            if read_only:
                raise CommandError("Can not execute a script with write flag using *_ro command.")
        if self._executor.quota.starved and not flags & (ALLOW_OOM | NO_WRITES):
            if self._executor.quota.over:
                raise DiskQuota("allow-oom flag is not set on the script, can not run it when the store exceeds 'max-disk-size'")
            raise OutOfMemory("allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'")
        return read_only or bool(flags & NO_WRITES)

    def _run(self, run: Run, request: bytes) -> Any:
        executor = self._executor
        run.argv = self.argv
        limit = executor.settings["busy-reply-threshold"]
        deadline = run.started + limit * 1_000_000 if limit > 0 else 1 << 63
        store = executor.store
        mark, before = executor.clock_mark, store.changes
        pulse = run.started + PULSE_NS
        lua = run.lua
        executor.open_atomic()
        waiting = False
        try:
            lua.send(request)
            receive, answer = lua.receive, run.answer
            while True:
                left = (min(deadline, pulse) - perf_ns()) // 1_000_000
                try:
                    frame = receive(left if left > 0 else 0)
                except KeyboardInterrupt:
                    if run.wrote:
                        continue
                    lua.kill()
                    raise
                if frame is not None and answer(*frame):
                    return run.reply
                now = perf_ns()
                if now >= pulse:
                    executor.pulse()
                    pulse = now + PULSE_NS
                if now < deadline:
                    continue
                if not store.hold(executor.mark):
                    lua.kill()
                    return CommandError("the log can't be written")
                journal.warning(
                    "Slow script detected: still in execution after %(milliseconds)d milliseconds. You can try killing the script using "
                    "the %(kind)s KILL command. Script name is: %(script)s.",
                    {"milliseconds": run.milliseconds(), "kind": run.word, "script": run.name.decode("utf-8", "backslashreplace")},
                )  # fmt: skip
                waiting = executor.gated = True
                executor.busy = run
                executor.hide_keys()
                return Blocked((), 0, None, run=run)
        except Lost:
            return run.lost()
        finally:
            executor.clock_mark = mark
            if store.changes != before:
                # What it called has been counted, and nothing else would be done again.
                store.backlog.work -= perf_ns() - mark
            if not waiting:
                executor.close_atomic()
