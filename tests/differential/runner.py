"""Plays steps on both sides and yields what differs.

Commands of one client go out in batches and are compared as the replies come in. Batches of different clients never overlap, so the
order in which a server sees all commands is the order of the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .compare import Argv, Judge, name_of
from .deviations import Deviations
from .hazards import without_wait
from .pair import LOST, Pair
from .rules import USERS
from .steps import JOIN, LANES, PARK, Step
from .wire import Address, Lost, Reply, encode, show, show_command

BATCH = 50
BATCH_BYTES = 48 << 10  # below what two socket buffers hold, so that a server which stops reading until we read cannot dead-lock with us
DATABASES = 16
# A server may read no more of a client at once (diskkv's reactor begins with so much): what follows in the same packet then comes after
# what others send.
READ_AT_ONCE = 4096

_CONTENT: dict[bytes, Callable[[bytes], Argv]] = {
    b"string": lambda key: (b"GET", key),
    b"list": lambda key: (b"LRANGE", key, b"0", b"-1"),
    b"hash": lambda key: (b"HGETALL", key),
    b"set": lambda key: (b"SMEMBERS", key),
    b"zset": lambda key: (b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"),
    b"stream": lambda key: (b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"),
}


@dataclass(frozen=True)
class Difference:
    """Two replies that should agree and do not. `state` is true when only the state of the servers showed it."""

    place: int
    argv: Argv
    left: Reply
    right: Reply
    state: bool = False

    @property
    def signature(self) -> tuple[str, ...]:
        """What makes two differences the same one to a reader: command and the nature of both replies."""
        words = [word.decode("latin-1").upper() for word in self.argv[:2]]
        name = " ".join(words) if words[:1] and words[0] in ("OBJECT", "CLIENT") else words[0] if words else ""
        return ("state" if self.state else "reply", name, _nature(self.left), _nature(self.right))

    @property
    def fatal(self) -> bool:
        """Whether a side fell silent, so that this run cannot go on."""
        return LOST in (self.left[0], self.right[0])

    def text(self, names: tuple[str, str] = ("left", "right")) -> str:
        where = "state, seen by" if self.state else "command"
        return f"{where}: {show_command(self.argv)}\n  {names[0]:>7}: {show(self.left)}\n  {names[1]:>7}: {show(self.right)}"


def _nature(reply: Reply) -> str:
    kind, value = reply
    if kind in "-!":
        return kind + " ".join(value.decode("latin-1").split("'")[0].split()[:5])
    return f"{kind}nil" if value is None else kind


class Runner:
    """Plays steps on two servers, from empty. `protocols` are those of the lanes, in turn."""

    def __init__(self, left: Address, right: Address, *, judge: Judge, deviations: Deviations, protocols: Sequence[int] = (2, 3)) -> None:
        self.addresses = left, right
        self.judge = judge
        self.deviations = deviations
        self.protocols = protocols
        self.commands = 0
        self.errors = 0
        self.pairs: list[Pair] = []
        self.overseer: Pair | None = None

    def restart(self) -> None:
        """Empty both servers and connect anew."""
        self.close()
        self.overseer = Pair(*self.addresses, protocol=2)
        for reply in self.overseer.call(b"FLUSHALL"):
            if reply != ("+", b"OK"):
                raise Lost(f"FLUSHALL: {show(reply)}")
        self.overseer.call(b"ACL", b"DELUSER", *USERS)
        self.pairs = [Pair(*self.addresses, protocol=self.protocols[lane % len(self.protocols)]) for lane in range(LANES)]

    def close(self) -> None:
        for pair in [*self.pairs, *([self.overseer] if self.overseer else [])]:
            pair.close()
        self.pairs, self.overseer = [], None

    def play(self, steps: Sequence[Step], check_every: int = 1000) -> Iterator[Difference]:
        """Play the steps from an empty start; yields every difference that is not listed. The caller stops at the first when it must.

        After a difference the sides may have drifted apart, so what follows one can be its echo.
        """
        self.restart()
        at, checked = 0, 0
        while at < len(steps):
            step = steps[at]
            pair = self.pairs[step.lane]
            try:
                if step.mode == JOIN or pair.waiting:
                    yield from self._join(pair, at)
                    at += step.mode == JOIN
                elif step.mode == PARK:
                    yield from self._park(pair, step, at)
                    at += 1
                elif pair.walks(step.argv):
                    yield from self._settle(pair, step.argv, *pair.walk(step.argv), None, at)
                    self.commands += 1
                    at += 1
                else:
                    end = self._batch_end(steps, at)
                    yield from self._batch(pair, steps, at, end)
                    at = end
            except Lost as lost:
                yield Difference(at, step.argv, (LOST, str(lost).encode()), (LOST, b"see the other side"))
                return
            if at - checked >= check_every:
                yield from self.compare_state(at - 1)
                checked = at
        for pair in self.pairs:
            if pair.waiting:
                yield from self._join(pair, at - 1)
        yield from self.compare_state(at - 1)

    def _batch_end(self, steps: Sequence[Step], at: int) -> int:
        lane, size, end = steps[at].lane, 0, at
        while end < len(steps) and end - at < BATCH:
            step = steps[end]
            size += sum(map(len, step.argv))
            if step.lane != lane or step.mode in (PARK, JOIN) or (end > at and (size > BATCH_BYTES or self.pairs[lane].walks(step.argv))):
                break
            end += 1
        return end

    def _batch(self, pair: Pair, steps: Sequence[Step], at: int, end: int) -> Iterator[Difference]:
        wires: list[tuple[int, Argv, bool]] = []
        for place in range(at, end):
            wires += [(place, argv, judged) for argv, judged in pair.expand(steps[place].argv)]
        pair.send([argv for _, argv, _ in wires])
        self.commands += len(wires)
        before: tuple[Reply, Reply] | None = None
        for place, argv, judged in wires:
            left, right = pair.read()
            if LOST in (left[0], right[0]):
                yield Difference(place, argv, left, right)
                raise Lost("a side fell silent")
            yield from self._settle(pair, argv, left, right, before if judged else None, place, judged=judged)
            before = left, right

    def _park(self, pair: Pair, step: Step, at: int) -> Iterator[Difference]:
        """ECHO and the blocking command go out together: once ECHO is answered, the client waits."""
        both = [(b"ECHO", b"parked"), step.argv]
        if sum(len(encode(argv)) for argv in both) > READ_AT_ONCE:
            self.commands += 1
            argv = step.argv if pair.in_multi else without_wait(step.argv)
            yield from self._settle(pair, argv, *pair.call(*argv), None, at)
            return
        if not pair.parked_ids:
            if pair.in_multi:
                yield from self._settle(pair, step.argv, *pair.call(*step.argv), None, at)
                return
            pair.parked_ids = pair.ids()
        pair.send(both)
        pair.parked, pair.waiting = step.argv, True
        self.commands += 2
        yield from self._settle(pair, (b"ECHO", b"parked"), *pair.read(), None, at)

    def _join(self, pair: Pair, at: int) -> Iterator[Difference]:
        if not pair.waiting or self.overseer is None:
            return
        argv, pair.waiting = pair.parked or (), False
        for side, number in zip(self.overseer.sides, pair.parked_ids, strict=True):
            side.send(encode((b"CLIENT", b"UNBLOCK", number)))
        yield from self._settle(self.overseer, (b"CLIENT", b"UNBLOCK"), *self.overseer.read(), None, at)
        left, right = pair.read()
        yield from self._settle(pair, argv, left, right, None, at)
        if LOST in (left[0], right[0]):
            raise Lost("a side fell silent")

    def _settle(
        self, pair: Pair, argv: Argv, left: Reply, right: Reply, before: tuple[Reply, Reply] | None, place: int, *, judged: bool = False
    ) -> Iterator[Difference]:
        """Compare one pair of replies; what a transaction queued is compared one by one when EXEC answers."""
        if left[0] == "-":
            self.errors += 1
        if left == ("+", b"QUEUED") == right:
            pair.queued.append((argv, judged))
            return
        name = name_of(argv)
        if name == b"EXEC" and left[0] == right[0] == "*" and left[1] and right[1] and len(left[1]) == len(right[1]) == len(pair.queued):
            queued, pair.queued = pair.queued, []
            earlier = None
            for (inner, inner_judged), one, other in zip(queued, left[1], right[1], strict=True):
                yield from self._settle(pair, inner, one, other, earlier if inner_judged else None, place, judged=inner_judged)
                earlier = one, other
            return
        if name == b"EXEC" or (name in (b"DISCARD", b"RESET") and len(argv) == 1):
            pair.queued = []
        if not self.judge.equal(argv, left, right, before) and not self.deviations.cover(argv, left, right):
            yield Difference(place, argv, left, right)

    def compare_state(self, place: int) -> Iterator[Difference]:
        """Every key of every database: its type, content and expiry."""
        if self.overseer is None:
            return
        keys_of = self._ask([argv for number in range(DATABASES) for argv in ((b"SELECT", b"%d" % number), (b"KEYS", b"*"))])[1::2]
        for number, (left, right) in enumerate(keys_of):
            yield from self._differ((b"KEYS", b"*"), left, right, place)
            if left[0] != "*" or right[0] != "*" or not left[1]:
                continue
            keys = sorted({key[1] for key in left[1]} & {key[1] for key in right[1]})
            types = self._ask([(b"SELECT", b"%d" % number), *((b"TYPE", key) for key in keys)])[1:]
            questions: list[Argv] = []
            for key, (one, other) in zip(keys, types, strict=True):
                yield from self._differ((b"TYPE", key), one, other, place)
                if one == other:
                    questions.append((b"PEXPIRETIME", key))
                    questions.append((b"OBJECT", b"ENCODING", key))
                    if one[1] in _CONTENT:
                        questions.append(_CONTENT[one[1]](key))
            for argv, (one, other) in zip(questions, self._ask(questions), strict=True):
                yield from self._differ(argv, one, other, place)

    def _differ(self, argv: Argv, left: Reply, right: Reply, place: int) -> Iterator[Difference]:
        if not self.judge.equal(argv, left, right) and not self.deviations.cover(argv, left, right):
            yield Difference(place, argv, left, right, state=True)

    def _ask(self, argvs: Iterable[Argv]) -> list[tuple[Reply, Reply]]:
        assert self.overseer is not None
        asked = list(argvs)
        answers: list[tuple[Reply, Reply]] = []
        for start in range(0, len(asked), BATCH):
            piece = asked[start : start + BATCH]
            self.overseer.send(piece)
            answers += [self.overseer.read() for _ in piece]
        return answers
