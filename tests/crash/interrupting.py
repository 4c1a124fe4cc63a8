"""Rounds of Ctrl-C and kill -9: a subcommand that reads or makes stores and files is ended at a random moment, and everything verified.

What it read is as it was. What it was to make is whole, or not there under its name, and is made by running it again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import diskkv
from diskkv.app import open_executor
from diskkv.store.check import check
from tests.differential.servers import ROOT
from tests.support.contents import contents

TASKS = ("import", "import-aof", "export", "backup", "restore", "restore-until", "check", "repair")
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
SECONDS = 300
# What a signal's exit status is: of a task that gave up, and of a process that had not got so far, or was not asked.
GIVEN_UP = {number: {128 + number, -number, 1} for number in ENDS}


def fill(path: Path, random: Random, keys: int) -> None:
    """A store with every type, some values with records of their own and some large strings."""
    with diskkv.open(str(path)) as db:
        for number in range(keys):
            pipe = db.pipeline(transaction=False)
            pipe.set(f"string:{number}", random.randbytes(random.choice((5, 50, 500))), px=random.choice((None, 10**9)))
            pipe.hset(f"hash:{number}", mapping={f"f{field}": field for field in range(random.choice((2, 20)))})
            pipe.zadd(f"zset:{number}", {f"m{member}": random.random() for member in range(5)})
            pipe.rpush(f"list:{number}", *range(7))
            pipe.execute()
        for number in range(3):
            db.set(f"large:{number}", random.randbytes(500_000))
            db.sadd(f"set:{number}", *range(5000))
            db.rpush(f"long:{number}", *range(5000))
            for entry in range(300):
                db.xadd(f"stream:{number}", {"n": entry})
            db.xgroup_create(f"stream:{number}", "group", "0")
            db.xreadgroup("group", "me", {f"stream:{number}": ">"}, count=50)


def read(path: Path) -> dict[tuple[int, bytes], Any]:
    """All that a store holds; it must be in order."""
    executor = open_executor(str(path))
    try:
        with executor.store.lock:
            executor.store.checkpoint()
            assert [str(finding) for finding in check(executor.store)] == []
        return contents(executor.store)
    finally:
        executor.store.close()


class Interruptions:
    """A directory with a store, and files and backups of it, that tasks are done with."""

    def __init__(self, path: Path, seed: int, keys: int = 1500) -> None:
        self.path = path
        self.random = Random(seed)
        self.store = path / "store"
        fill(self.store, self.random, keys)
        self.whole = read(self.store)
        self.rdb, self.aof, self.backups, self.archive = (path / name for name in ("dump.rdb", "dump.aof", "backups", "archive"))
        for words in (("export", self.store, self.rdb), ("export", self.store, self.aof), ("backup", self.backups, "--store", self.store)):
            self._done(*words)
        self._go_on()
        self.lasting: dict[str, float] = {}

    def _go_on(self) -> None:
        """Of what comes after the backup the log knows."""
        with diskkv.open(str(self.store), archive_dir=str(self.archive)) as db:
            for number in range(500):
                db.set(f"later:{number}", number)
        shutil.copytree(self.store / "log", self.archive, dirs_exist_ok=True)
        self.later = read(self.store)

    def round(self, task: str, end: signal.Signals) -> str:
        """Do a task once and end it at some moment; what came of it, in a word."""
        target = self.path / "target"
        for leftover in self.path.glob("target*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        words = self._words(task, target)
        if task not in self.lasting:
            began = time.monotonic()
            self._done(*words)
            self.lasting[task] = time.monotonic() - began
            self._verify(task, target)
            return self.round(task, end)
        process = self._begun(*words)
        try:
            process.wait(self.random.uniform(0.2, 1.05) * self.lasting[task])
        except subprocess.TimeoutExpired:
            process.send_signal(end)
        said = process.communicate(timeout=SECONDS)[0].decode()
        status = process.returncode
        assert status == 0 or status in GIVEN_UP[end], (task, end, status, said)
        if status == 128 + end:
            assert "interrupted: " in said
        # Python itself may have been about to begin.
        assert "Traceback" not in said or said.endswith("KeyboardInterrupt\n"), said
        self._verify_sources()
        self._verify(task, target, whole=status == 0)
        if status:
            self._again(task, target, words)
        return "done" if status == 0 else "given up" if status > 0 else "killed"

    def _words(self, task: str, target: Path) -> tuple[str | Path, ...]:
        match task:
            case "import":
                return "import", self.rdb, "--into", target
            case "import-aof":
                return "import", self.aof, "--into", target, "--flush"
            case "export":
                return "export", self.store, target.with_suffix(".rdb")
            case "backup":
                return "backup", target, "--store", self.store
            case "restore":
                return "restore", self.backups, target
            case "restore-until":
                return "restore", self.backups, target, "--archive", self.archive
            case "check":
                return "check", self.store
            case _:
                return "repair", self.store, target

    def _verify(self, task: str, target: Path, *, whole: bool = True) -> None:
        """That what a task was to make is right, and is there if it came to its end."""
        match task:
            case "import" | "import-aof":
                found = read(target) if (target / "tree").exists() else {}
                assert found == self.whole if whole else found.keys() <= self.whole.keys()
            case "export":
                file = target.with_suffix(".rdb")
                assert file.exists() or not whole
                if file.exists():
                    self._done("import", file, "--into", self.path / "target-read")
                    assert read(self.path / "target-read") == self.later
                    shutil.rmtree(self.path / "target-read")
            case "backup":
                made = [path for path in target.glob("*") if path.suffix != ".partial"]
                assert made or not whole
                for path in made:
                    self._done("restore", path, self.path / "target-read")
                    assert read(self.path / "target-read") == self.later
                    shutil.rmtree(self.path / "target-read")
            case "restore" | "restore-until" | "repair":
                assert target.exists() or not whole
                if target.exists():
                    assert read(target) == (self.whole if task == "restore" else self.later)

    def _verify_sources(self) -> None:
        assert read(self.store) == self.later
        assert not (self.store / "backup").exists()

    def _again(self, task: str, target: Path, words: tuple[str | Path, ...]) -> None:
        """Run once more, it comes to its end; where something is in the way, it says so."""
        if task in ("restore", "restore-until", "repair") and target.exists():
            # It had come to its end.
            return
        leftover = target.with_name(f"target{'.repairing' if task == 'repair' else '.partial'}")
        if task in ("restore", "restore-until", "repair") and leftover.exists():
            process = self._begun(*words)
            said = process.communicate(timeout=SECONDS)[0].decode()
            assert process.returncode != 0 and "delete it" in said, said
            shutil.rmtree(leftover)
        self._done(*words)
        self._verify(task, target)
        if task == "backup":
            assert not list(target.glob("*.partial"))

    def _begun(self, *words: str | Path) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "diskkv", *map(str, words)]
        return subprocess.Popen(command, cwd=self.path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def _done(self, *words: str | Path) -> None:
        process = self._begun(*words)
        said = process.communicate(timeout=SECONDS)[0].decode()
        assert process.returncode == 0, (words, process.returncode, said)

