"""Runs one unit of the suite against one server and reads what became of its tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from differential.servers import Server, StartFailed

OK, FAILED, SKIPPED, HUNG = "ok", "err", "skip", "hung"
LINE = re.compile(r"\[(ok|err|skip|ignore|exception)\]: (.*)")
MILLISECONDS = re.compile(r" \(\d+ ms\)$")
PLACE = re.compile(r" in tests/\S+\.tcl$")
OTHER_LINES = ("[", "***", "Testing ", "Killing ", "!!!", "Execution time", "\\o/")
RUNNING = re.compile(r"=> \(IN PROGRESS\) (.*)")
# A unit may hang this often, each time in another test, and is begun anew without those tests.
MOST_HANGS = 6
# The suite looks for free ports just below the one it is given, and wants the one 10,000 above to be free as well.
HIGHEST_PORT = 65_535 - 10_000


class NotRun(Exception):
    """The suite ended before it came to any test."""


@dataclass
class Outcome:
    """What became of a unit's tests: `results` by name (a second test of the same name is `name #2`), and `words` of those that failed."""

    results: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    # What went wrong outside of any test, which may have cost the unit the tests that would have come after it.
    broken: list[str] = field(default_factory=list)

    def count(self, result: str) -> int:
        return sum(1 for each in self.results.values() if each == result)


def read(output: str) -> tuple[Outcome, str | None]:
    """A run's output: what became of the tests, and the one in which it hung, if it did."""
    outcome = Outcome()
    seen: Counter[str] = Counter()
    hung = None
    said: list[str] = []
    failing = ""
    for line in [*output.splitlines(), "[end]"]:
        if (stuck := RUNNING.search(line)) is not None:
            hung = stuck[1]
        found = LINE.match(line)
        if found is None and not line.startswith(OTHER_LINES):
            said.append(line)
            continue
        if failing:
            outcome.words[failing] = " ".join(said).strip()[:500]
        elif said and outcome.broken and not outcome.broken[-1]:
            outcome.broken[-1] = " ".join(said).strip()[:1000]
        failing, said = "", []
        if found is None:
            continue
        kind, text = found.groups()
        if kind == "exception" or (kind == "err" and PLACE.search(text) is None):
            outcome.broken.append("")
            said = [text]
            continue
        name = PLACE.sub("", text) if kind == "err" else MILLISECONDS.sub("", text) if kind == "ok" else text
        seen[name] += 1
        if seen[name] > 1:
            name = f"{name} #{seen[name]}"
        outcome.results[name] = SKIPPED if kind == "ignore" else kind
        failing = name if kind == "err" else ""
    return outcome, hung


def run(
    suite: Path, unit: str, start: Callable[[], Server], *, tags: str, options: tuple[str, ...], patience: int, base_port: int
) -> Outcome:
    """Run a unit. A test without progress for `patience` seconds is reported as hung, and the unit begun anew without it.

    Raises NotRun.
    """
    hung: list[str] = []
    whole = Outcome()
    while True:
        try:
            with start() as server:
                output = _runtest(suite, unit, server, tags, options, patience, base_port, hung)
                ended = not server.running()
                last = server.output.read_text(errors="replace")[-2000:] if ended else ""
        except StartFailed as error:
            whole.broken.append(str(error))
            return whole
        outcome, stuck = read(output)
        if f"Testing {unit}" not in output:
            raise NotRun(f"{unit}: {output[-2000:]}")
        if ended:
            outcome.broken.append(f"the server ended: {last}")
        for name in hung:
            outcome.results[name] = HUNG
        whole = outcome
        if stuck is None or stuck in hung:
            return whole
        hung.append(stuck)
        whole.results[stuck] = HUNG
        if len(hung) == MOST_HANGS:
            whole.broken.append(f"given up after {MOST_HANGS} tests that hung")
            return whole


def _runtest(
    suite: Path, unit: str, server: Server, tags: str, options: tuple[str, ...], patience: int, base_port: int, without: list[str]
) -> str:
    skips = [word for name in without for word in ("--skiptest", name)]
    command = [
        "./runtest", "--host", "127.0.0.1", "--port", str(server.port), "--single", unit, "--durable", "--tags", tags,
        "--timeout", str(patience), "--baseport", str(base_port), *options, *skips,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=suite, env=os.environ | {"TERM": "dumb", "LC_ALL": "C.UTF-8"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=max(900, patience * 10))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output += b"\n[exception]: the unit took too long altogether\n"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return output.decode("utf-8", "replace")
