"""One logical client, connected to both sides: sends a command to each, reads the reply of each."""

from __future__ import annotations

from collections.abc import Callable

from .compare import SCANS, Argv, name_of
from .hazards import without_wait
from .wire import Address, Connection, Lost, Reply, encode

LOST = "!"

# What is read before a command of chance, so that its outcome can be judged.
READINGS: dict[bytes, Callable[[bytes], Argv]] = {
    b"SPOP": lambda key: (b"SMEMBERS", key),
    b"SRANDMEMBER": lambda key: (b"SMEMBERS", key),
    b"HRANDFIELD": lambda key: (b"HGETALL", key),
    b"ZRANDMEMBER": lambda key: (b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"),
}


class Pair:
    """A client with a connection to the left and one to the right, both in the same protocol."""

    def __init__(self, left: Address, right: Address, protocol: int) -> None:
        self.protocol = protocol
        self.sides = (Connection(left), Connection(right))
        self.in_multi = False  # as predicted from what was sent; replies may still be under way
        self.queued: list[tuple[Argv, bool]] = []
        self.parked: Argv | None = None
        self.parked_ids: list[bytes] = []
        self.waiting = False  # between PARK and JOIN
        for side in self.sides if protocol != 2 else ():  # RESP2 is what a connection begins with
            greeting = side.call(b"HELLO", b"%d" % protocol)
            if greeting[0] == "-":
                self.close()
                raise Lost(f"HELLO {protocol} was refused: {greeting[1]!r}")

    def close(self) -> None:
        for side in self.sides:
            side.close()

    def ids(self) -> list[bytes]:
        """What each side calls this client."""
        return [b"%d" % side.call(b"CLIENT", b"ID")[1] for side in self.sides]

    def expand(self, argv: Argv) -> list[tuple[Argv, bool]]:
        """The commands that stand for one step, each with whether it is judged by the reading just before it.

        A random SPOP is followed by DEL, which makes both sides equal again; RESET by HELLO, which restores the protocol.
        """
        name = name_of(argv)
        if not self.in_multi:
            argv = without_wait(argv)
        if name == b"RANDOMKEY" and len(argv) == 1:
            return [((b"KEYS", b"*"), False), (argv, True)]
        if name in READINGS and len(argv) > 1:
            wires = [(READINGS[name](argv[1]), False), (argv, True)]
            return [*wires, ((b"DEL", argv[1]), False)] if name == b"SPOP" else wires
        if name == b"EXEC":  # with words too many as well: Redis aborts the transaction then
            self.in_multi = False
        elif len(argv) == 1:
            if name == b"MULTI":
                self.in_multi = True
            elif name == b"DISCARD":
                self.in_multi = False
            elif name == b"RESET":
                self.in_multi = False
                return [(argv, False), ((b"HELLO", b"%d" % self.protocol), False)]
        return [(argv, False)]

    def walks(self, argv: Argv) -> bool:
        """Whether the step is a SCAN from the beginning, which is followed to its end."""
        place = SCANS.get(name_of(argv))
        return place is not None and len(argv) > place and argv[place] == b"0" and not self.in_multi

    def send(self, argvs: list[Argv]) -> None:
        raw = b"".join(map(encode, argvs))
        for side in self.sides:
            side.send(raw)

    def read(self) -> tuple[Reply, Reply]:
        """The next reply of each side; kind `!` where none came."""
        replies: list[Reply] = []
        for side in self.sides:
            try:
                replies.append(side.read())
            except Lost as lost:
                replies.append((LOST, str(lost).encode()))
        return replies[0], replies[1]

    def call(self, *argv: bytes) -> tuple[Reply, Reply]:
        try:
            self.send([argv])
        except Lost as lost:
            return (LOST, str(lost).encode()), (LOST, b"")
        return self.read()

    def walk(self, argv: Argv) -> tuple[Reply, Reply]:
        """What a SCAN family command yields from cursor 0 to the end, as a sorted list without repetitions; or its error."""
        both = [self._walk(side, argv) for side in self.sides]
        return both[0], both[1]

    def _walk(self, side: Connection, argv: Argv) -> Reply:
        place = SCANS[name_of(argv)]
        width = 2 if name_of(argv) in (b"HSCAN", b"ZSCAN") else 1
        found: set[tuple[Reply, ...]] = set()
        cursor = b"0"
        for _ in range(200_000):
            try:
                reply = side.call(*argv[:place], cursor, *argv[place + 1 :])
            except Lost as lost:
                return LOST, str(lost).encode()
            if reply[0] != "*" or len(reply[1]) != 2 or reply[1][0][0] != "$" or reply[1][1][0] != "*":
                return reply
            cursor, items = reply[1][0][1], reply[1][1][1]
            found.update(zip(*[iter(items)] * width, strict=True))
            if cursor == b"0":
                return "*", [item for couple in sorted(found) for item in couple]
        return LOST, b"a scan without end"
