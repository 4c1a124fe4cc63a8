"""Keyspace notifications, compared: random steps on two servers, and after each the events that both published."""

from __future__ import annotations

from collections.abc import Sequence

from .pair import Pair
from .steps import JOIN, LANES, PARK, Step
from .wire import Address, Connection, Reply, show_command

GROUPS = ("string", "hash", "list", "set", "sorted_set", "bitmap", "generic", "transactions")
# Their answers, and so their events, depend on chance or on the moment.
LEFT_OUT = frozenset({b"RANDOMKEY", b"CLIENT", b"RESET", b"HELLO", b"SELECT", b"SWAPDB", b"OBJECT", b"SCAN", b"WAIT", b"DEBUG", b"CONFIG"})
Event = tuple[bytes, ...]


class Ear:
    """A client that hears every event of one server."""

    def __init__(self, address: Address, classes: bytes) -> None:
        self._line = Connection(address)
        for argv in (
            (b"FLUSHALL",), (b"CONFIG", b"SET", b"notify-keyspace-events", classes), (b"HELLO", b"3"), (b"PSUBSCRIBE", b"__key*__:*"),
        ):  # fmt: skip
            self._line.call(*argv)

    def heard(self) -> list[Event]:
        """The events since the last time: channel and message. Not those of expiry, whose moment is each server's own."""
        events: list[Event] = []
        reply: Reply = self._line.call(b"PING")
        while reply[0] == ">":
            channel, message = reply[1][2][1], reply[1][3][1]
            if not channel.endswith(b"__:expired") and message != b"expired":
                events.append((channel, message))
            reply = self._line.read()
        return events

    def close(self) -> None:
        self._line.close()


class Hearing:
    """Two servers, the clients that do the steps, and one ear each."""

    def __init__(self, left: Address, right: Address, classes: bytes) -> None:
        self._ears = (Ear(left, classes), Ear(right, classes))
        self._masters = (Connection(left), Connection(right))
        self._lanes = [Pair(left, right, 3) for _ in range(LANES)]
        self._ids = [lane.ids() for lane in self._lanes]
        self._parked: set[int] = set()
        self.events = 0
        self.commands = 0

    def close(self) -> None:
        for part in (*self._ears, *self._masters, *self._lanes):
            part.close()

    def run(self, steps: Sequence[Step]) -> list[str]:
        """Do the steps; each difference in words."""
        found = []
        for step in steps:
            if step.argv and step.argv[0].upper() in LEFT_OUT:
                continue
            self._do(step)
            left, right = (ear.heard() for ear in self._ears)
            self.events += len(right)
            if left != right:
                found.append(f"{show_command(step.argv)}\n  diskkv {left}\n  redis  {right}")
        return found

    def _do(self, step: Step) -> None:
        lane = self._lanes[step.lane]
        if step.mode == JOIN:
            self._join(step.lane)
            return
        if step.lane in self._parked:
            return
        if step.mode == PARK:
            if not lane.in_multi:
                lane.send([step.argv])
                self._parked.add(step.lane)
                self._settle(step.lane)
            return
        for argv, _ in lane.expand(step.argv):
            self.commands += 1
            lane.call(*argv)

    def _settle(self, number: int) -> None:
        """Wait until both servers have come to a parked command: it waits, or has been answered."""
        for master, client, side in zip(self._masters, self._ids[number], self._lanes[number].sides, strict=True):
            while not side.ready():
                if b" cmd=" in (line := master.call(b"CLIENT", b"LIST", b"ID", client)[1]) and b"b" in line.split(b"flags=")[1].split()[0]:
                    break

    def _join(self, number: int) -> None:
        if number not in self._parked:
            return
        self._parked.discard(number)
        for master, client in zip(self._masters, self._ids[number], strict=True):
            master.call(b"CLIENT", b"UNBLOCK", client)
        self._lanes[number].read()
