"""A hypothesis machine that runs commands on a store and on `Model`, and does to the store what time, memory and crashes do.

Which rules may run must not depend on how far the store's threads have come, or hypothesis could not repeat what it has done: there are no
preconditions, a rule that finds nothing to do does nothing.

The profile is short and the same each time, for CI. DISKKV_DEEP=1 makes it long and random: `DISKKV_DEEP=1 pytest tests/model`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from diskkv.engine import Engine
from diskkv.errors import CommandError
from diskkv.replies import NIL_ARRAY, Named, Pairs, Score, Simple
from tests.model.commands import GROUP_NAMES, Argv, Command
from tests.model.model import Model
from tests.model.wrong import Wrong
from tests.support.contents import copy_of
from tests.support.engines import Held
from tests.support.runner import Runner

DEEP = os.environ.get("DISKKV_DEEP") == "1"
PROFILE = settings(
    max_examples=int(os.environ.get("DISKKV_EXAMPLES", "1000")) if DEEP else 30,
    stateful_step_count=60 if DEEP else 40,
    derandomize=not DEEP,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


class StoreMachine(RuleBasedStateMachine):
    """What is done to a store whatever is in it. The commands come with `with_commands`."""

    maxmemory = "64mb"
    # Drop whatever is clean from memory after each step.
    forgetful = False

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="model-"))
        self.engines: list[Held] = []
        self.crashes = 0
        self.runner = Runner(self.directory / "store", wrap=self._wrap, maxmemory=self.maxmemory, databases="2")
        self.model = Model(self.runner.clock())
        self._train()

    def _wrap(self, inner: Engine) -> Engine:
        self.engines.append(Held(inner))
        return self.engines[-1]

    def _train(self) -> None:
        """Make the store just opened choose as every other does, and forget if it is to."""
        store = self.runner.executor.store
        store.random.seed(1)
        if self.forgetful:
            store.cache.budget = 0

    # -- commands

    def command(self, argv: Argv) -> None:
        """Run a command on both."""
        reply = self.runner(*argv)
        self.compare(argv, reply)

    def compare(self, argv: Argv, reply: Any) -> None:
        heard = plain(reply)
        expected = self.model.run(*argv, heard=heard)
        assert same(expected, heard), f"{argv}: expected {brief(expected)}, got {brief(heard)}"

    def transaction(self, commands: list[Argv]) -> None:
        """Run commands in MULTI and EXEC on both."""
        self.runner("MULTI")
        for argv in commands:
            assert self.runner(*argv) == Simple(b"QUEUED")
        replies = self.runner("EXEC")
        for argv, reply in zip(commands, replies, strict=True):
            self.compare(argv, reply)

    def tick(self, commands: list[Argv]) -> None:
        """Run commands in one tick on both."""
        for argv, reply in zip(commands, self.runner.batch(commands), strict=True):
            self.compare(argv, reply)

    def meet(self, commands: list[Argv], endings: list[str]) -> None:
        """Run commands while a checkpoint of what was before them is under way: the likeliest place for a mistake."""
        self.land()
        self.freeze(slices=0)
        for argv in commands:
            self.command(argv)
        for ending in endings:
            match ending:
                case "fail":
                    self.fail("lost")
                case "land":
                    self.land()
                case "crash":
                    self.crash()
                    self.look()

    # -- what befalls a store

    @rule(ms=st.sampled_from([1, 4, 95, 100, 900_000]))
    def time_passes(self, ms: int) -> None:
        self.model.now = self.runner.clock.advance(ms)

    @rule()
    def checkpoint(self) -> None:
        self.engines[-1].release()
        self.runner.checkpoint()

    @rule()
    def evict(self) -> None:
        self.engines[-1].release()
        self.runner.evict()

    @rule(slices=st.integers(0, 1))
    def freeze(self, slices: int) -> None:
        """Begin a checkpoint that does not land until something waits for it."""
        self.engines[-1].hold()
        store = self.runner.executor.store
        with store.lock:
            store.commit()
            if not store.writer.active:
                store.writer.freeze()
                for _ in range(slices):
                    if store.writer.encoding:
                        store.writer.step()

    @rule(manner=st.sampled_from(["lost", "applied"]))
    def fail(self, manner: str) -> None:
        """Let the checkpoint under way fail, if it is still held: nothing of it is applied, or all of it without anyone knowing."""
        engine = self.engines[-1]
        store = self.runner.executor.store
        if not store.writer.active:
            return
        with store.lock:
            engine.fail_next = manner
            engine.release()
            store.writer.finish()
            engine.fail_next = None
        while store.writer.healing:
            time.sleep(0.001)

    @rule()
    def land(self) -> None:
        """Let a checkpoint under way land."""
        self.engines[-1].release()
        store = self.runner.executor.store
        with store.lock:
            store.writer.finish()

    @rule()
    def crash(self) -> None:
        """Go on from a copy of the directory, as after a kill -9."""
        self.crashes += 1
        old = self.runner
        held = self.engines[-1]
        held.hold()
        with old.executor.store.lock:
            copy = copy_of(old.path, self.directory / f"crash{self.crashes}")
        clock = old.clock
        held.release()
        old.close()
        shutil.rmtree(old.path)
        self.runner = Runner(copy, wrap=self._wrap, clock=clock, maxmemory=self.maxmemory, databases="2")
        self.model.index = 0
        self._train()

    @rule()
    def reopen(self) -> None:
        self.engines[-1].release()
        self.runner.reopen()
        self.model.index = 0
        self._train()

    @rule()
    def look(self) -> None:
        """Compare everything."""
        selected = b"%d" % self.model.index
        for number in (b"0", b"1"):
            self.command(Argv((b"SELECT", number)))
            for key in (b"a", b"b", b"c", b"d"):
                self.command(Argv((b"TYPE", key)))
                self.command(Argv((b"PTTL", key)))
                kind = self.model.run(b"TYPE", key)
                if kind == b"stream":
                    for group in GROUP_NAMES:
                        self.command(Argv((b"XPENDING", key, group, b"-", b"+", b"1000")))
                if reader := READERS.get(kind):
                    self.command(Argv((reader[0], key, *reader[1:])))
            self.command(Argv((b"KEYS", b"*")))
            self.command(Argv((b"DBSIZE",)))
        self.command(Argv((b"SELECT", selected)))

    @rule()
    def examine(self) -> None:
        """Let the store look for what is wrong with itself."""
        self.engines[-1].release()
        findings = self.runner.findings()
        assert not findings, findings

    def teardown(self) -> None:
        try:
            self.engines[-1].release()
            self.look()
            self.examine()
        finally:
            self.runner.close()
            shutil.rmtree(self.directory)


ENDINGS = st.sampled_from([["land", "crash"], ["crash"], ["fail", "crash"], ["land"], ["fail"], []])
READERS = {
    b"string": (b"GET",),
    b"hash": (b"HGETALL",),
    b"list": (b"LRANGE", b"0", b"-1"),
    b"set": (b"SMEMBERS",),
    b"zset": (b"ZRANGE", b"0", b"-1", b"WITHSCORES"),
    b"stream": (b"XRANGE", b"-", b"+"),
}


def with_commands(name: str, commands: Command, **attributes: Any) -> Any:
    """A test case that runs these commands on a store with these attributes of `StoreMachine`."""
    rows = st.lists(commands, min_size=1, max_size=5)
    # A command stands several times among the rules, because one is drawn as often as another.
    rules: dict[str, Any] = {
        **{f"command{number}": rule(argv=commands)(lambda self, argv: self.command(argv)) for number in range(5)},
        "run_transaction": rule(commands=rows)(lambda self, commands: self.transaction(commands)),
        "run_meeting": rule(commands=rows, endings=ENDINGS)(lambda self, commands, endings: self.meet(commands, endings)),
        "run_tick": rule(commands=rows)(lambda self, commands: self.tick(commands)),
    }
    machine: Any = type(name, (StoreMachine,), {**rules, **attributes})
    case = machine.TestCase
    case.settings = PROFILE
    return case


def plain(reply: Any) -> Any:
    """A reply in the model's terms."""
    if isinstance(reply, CommandError):
        return Wrong(reply.line().split()[0].decode())
    if isinstance(reply, Simple):
        return reply.text
    if reply is NIL_ARRAY:
        return None
    if isinstance(reply, Score):
        return reply.value
    if isinstance(reply, Named):
        return [[name, plain(item)] for name, item in reply.items]
    if isinstance(reply, Pairs):
        return [plain(part) for pair in reply.items for part in pair]
    if isinstance(reply, (list, tuple)):
        return [plain(part) for part in reply]
    return reply


def same(expected: Any, heard: Any) -> bool:
    """Whether a reply is the expected one, in any order where order means nothing."""
    if isinstance(expected, set):
        return not isinstance(heard, Wrong) and len(heard) == len(expected) and set(heard) == expected
    if isinstance(expected, dict) and isinstance(heard, list):
        return len(heard) == 2 * len(expected) and dict(zip(heard[::2], heard[1::2], strict=True)) == expected
    return bool(expected == heard)


def brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 300 else f"{text[:150]} ... {text[-100:]} ({len(text)} characters)"
