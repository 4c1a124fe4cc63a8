r"""Golden scripts: commands and the replies that every front of diskkv, and Redis, must give.

    # a comment; what follows a blank line begins as a new paragraph for the eye only
    > SADD a 1 2
    :2
    other> BLPOP list 0
    blocked
    > RPUSH list x
    :1
    other<
    ["list" "x"]
    @advance 100ms

`>` sends a command, in another session if a name stands before it, and reads its reply; `<` reads what comes without being asked for. The
reply is in the notation of `notation`, or `blocked` (none comes yet) or `closed` (the connection ends). Where no rule leads from one
protocol to the other, two replies stand under `resp2|` and `resp3|`. Where the oracle, Redis 7.0, says something else on purpose, what it
says stands under `oracle|` with the reason behind `##`. Words are quoted as in redis-cli; `{1..3: @ m@}` writes `1 m1 2 m2 3 m3`.

Directives stand in the scripts of `timed/`, which run in process only: `@advance 100ms`, `@checkpoint`, `@evict`, `@reopen`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from diskkv.lib.words import split_words
from tests.differential.wire import Lost, Reply, show
from tests.support.notation import matches, parse

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
COMMAND = re.compile(r"(\w*)([><])(?: (.*))?$")
REPEAT = re.compile(r"\{(\d+)\.\.(\d+): ([^}]*)\}")
VARIANTS = ("resp2", "resp3", "oracle", "oracle2", "oracle3")


@dataclass
class Step:
    """One thing to do in a script. `verb` is `>`, `<` or `@`; `replies` are the expected ones by variant, `""` for the usual one."""

    line: int
    session: str
    verb: str
    text: str
    replies: dict[str, str] = field(default_factory=dict)

    @property
    def argv(self) -> list[bytes]:
        words = split_words(REPEAT.sub(_repeat, self.text).encode())
        if not words:
            raise BadScript(f"line {self.line}: not a command: {self.text}")
        return words

    def expected(self, protocol: int, oracle: bool) -> str:
        """What is to be answered, as text."""
        names = (f"oracle{protocol}", "oracle") if oracle else ()
        for name in (*names, f"resp{protocol}", ""):
            if name in self.replies:
                return self.replies[name].partition(" ## ")[0].strip()
        raise BadScript(f"line {self.line}: no reply for RESP{protocol} to: {self.text}")


class BadScript(Exception):
    """A script that cannot be read."""


class Different(AssertionError):
    """A reply is not what the script says."""


def _repeat(match: re.Match[str]) -> str:
    return " ".join(match[3].replace("@", str(number)) for number in range(int(match[1]), int(match[2]) + 1))


def read(path: Path) -> list[Step]:
    """The steps of a script."""
    steps: list[Step] = []
    variant = ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("@"):
            steps.append(Step(number, "", "@", line[1:].strip()))
        elif found := COMMAND.match(line):
            steps.append(Step(number, found[1], found[2], found[3] or ""))
            variant = ""
        else:
            name, bar, rest = line.partition("|")
            if bar and name in VARIANTS:
                variant, line = name, rest
                if name.startswith("oracle") and " ## " not in line:
                    raise BadScript(f"{path.name}:{number}: why does Redis differ?")
            if not steps:
                raise BadScript(f"{path.name}:{number}: a reply to nothing")
            replies = steps[-1].replies
            replies[variant] = f"{replies[variant]}\n{line}" if variant in replies else line
    return steps


def names(folder: str = "") -> list[str]:
    """The scripts in a folder of `tests/golden`."""
    return sorted(path.stem for path in (GOLDEN / folder).glob("*.txt"))


class Peer(Protocol):
    """One session at whatever runs a script."""

    def send(self, raw: bytes) -> None: ...

    def read(self) -> Reply: ...

    def blocked(self) -> bool:
        """Whether the last command waits, and nothing has been answered."""

    def close(self) -> None: ...


class Front(Protocol):
    """Whatever runs a script. `oracle` tells that it is Redis."""

    oracle: bool

    def open(self, protocol: int) -> Peer: ...

    def direct(self, words: list[str]) -> None:
        """Carry out a directive."""


@dataclass
class Outcome:
    """What a step led to: a reply, or `blocked` or `closed`. `protocol` is the one that the session spoke."""

    step: Step
    protocol: int
    reply: Reply | str

    def judge(self, oracle: bool) -> None:
        """Different when that is not what the script says."""
        expected = self.step.expected(self.protocol, oracle)
        if isinstance(self.reply, str):
            fits = expected == self.reply
        else:
            fits = expected not in ("blocked", "closed") and matches(parse(expected), self.reply, self.protocol)
        if not fits:
            shown = self.reply if isinstance(self.reply, str) else show(self.reply, 4000)
            raise Different(f"line {self.step.line}, RESP{self.protocol}: {self.step.text}\n  expected {expected}\n  got      {shown}")


def play(steps: list[Step], front: Front, protocol: int, after: Callable[[], None] | None = None) -> Iterator[Outcome]:
    """Run the steps, each when it is asked for; `after` is called after each."""
    peers: dict[str, Peer] = {}
    protocols: dict[str, int] = {}
    try:
        for step in steps:
            if step.verb == "@":
                if step.text == "reopen":
                    # Sessions end with the store.
                    for peer in peers.values():
                        peer.close()
                    peers.clear()
                front.direct(step.text.split())
                continue
            if step.session not in peers:
                peers[step.session] = front.open(protocol)
                protocols[step.session] = protocol
            peer = peers[step.session]
            argv = step.argv if step.verb == ">" else []
            if argv:
                peer.send(b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in argv))
            reply = _answer(step, peer)
            protocols[step.session] = _protocol(argv, reply, protocols[step.session])
            yield Outcome(step, protocols[step.session], reply)
            if after is not None:
                after()
    finally:
        for peer in peers.values():
            peer.close()


def _answer(step: Step, peer: Peer) -> Reply | str:
    if "blocked" in step.replies.get("", "") and peer.blocked():
        return "blocked"
    try:
        return peer.read()
    except Lost as lost:
        return "closed" if str(lost) == "connection closed" else str(lost)


def _protocol(argv: list[bytes], reply: Reply | str, now: int) -> int:
    name = argv[0].upper() if argv else b""
    if name == b"RESET":
        return 2
    if name == b"HELLO" and len(argv) > 1 and reply[0] != "-":
        return int(argv[1])
    return now
