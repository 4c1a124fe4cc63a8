"""The steps of a run, and how a seed becomes chapters of them.

A chapter starts from empty servers and fresh connections and depends on nothing but (seed, number, length, groups), so it can be played
alone, in part, and again. Most steps are single commands; woven in are transactions (with another client writing what was watched),
clients that block while another pushes, and refills that carry a key from the small encodings to the large ones.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from .grammar import Draw, Table, compile_form
from .hazards import hazardous
from .tables import SHARES, TABLES
from .words import Source

LANES = 3

PLAIN = "plain"
PARK = "park"  # send a blocking command and leave it waiting
JOIN = "join"  # unblock the lane if it still waits, and read its answer


@dataclass(frozen=True, slots=True)
class Step:
    """What one client does next. `lane` is the client; `argv` is empty for `JOIN`."""

    lane: int
    mode: str
    argv: tuple[bytes, ...]


_REFILLS = (
    "HSET <own_hash> (<field> <value>)+",
    "HSET <own_hash> (<field> <text>)+",
    "RPUSH <own_list> <value>+",
    "RPUSH <own_list> <sortable>+",
    "SADD <own_set> <member>+",
    "SADD <own_set> <intmember>+",
    "SADD <own_set> <sortable>+",
    "ZADD <own_zset> (<score> <member>)+",
    "ZADD <own_zset> (0 <member>)+",
    "ZADD <own_lex> (0 <member>)+",
    "SET <own_str> <value>",
    "SET <own_num> <increment>",
    "SET <own_bits> <value>",
    "SET <own_short> <text>",
)
_PARKS = (
    "BLPOP <own_list>+ 0",
    "BRPOP <own_list>+ 0",
    "BLMOVE <own_list> <own_list> (LEFT | RIGHT) (LEFT | RIGHT) 0",
    "BRPOPLPUSH <own_list> <own_list> 0",
    "BLMPOP 0 <keys_list> (LEFT | RIGHT) [COUNT <count>]",
    "BZPOPMIN <own_zset>+ 0",
    "BZPOPMAX <own_zset>+ 0",
    "BZMPOP 0 <keys_zset> (MIN | MAX) [COUNT <count>]",
)
_WAKES = (
    "RPUSH <own_list> <value>+",
    "LPUSH <own_list> <value>+",
    "ZADD <own_zset> (<score> <member>)+",
    "LMOVE <own_list> <own_list> (LEFT | RIGHT) (LEFT | RIGHT)",
    "RENAME <own_list> <own_list>",
    "COPY <own_zset> <own_zset> REPLACE",
    "ZUNIONSTORE <own_zset> <keys_set>",
    "SORT <set> ALPHA STORE <own_list>",
    "SET <own_list> <text>",
    "DEL <own_list>+",
)


class Author:
    """Writes the steps of one chapter."""

    def __init__(self, source: Source, groups: Collection[str]) -> None:
        self.source = source
        self.tables = [_TABLES[group] for group in groups]
        self.shares = list(accumulate(SHARES[group] for group in groups))
        known = set().union(*(table.names for table in self.tables))
        self.refills, self.parks, self.wakes = (
            [compile_form(form) for form in forms if form.split()[0] in known] for forms in (_REFILLS, _PARKS, _WAKES)
        )
        self.transactions = "transactions" in groups

    def write(self, length: int) -> Iterator[Step]:
        """Endless scenes, cut after `length` steps."""
        written = 0
        while written < length:
            for step in self._scene():
                yield step
                written += 1

    def _scene(self) -> Iterator[Step]:
        rng = self.source.rng
        lane = rng.randrange(LANES)
        dice = rng.random()
        if 0.45 <= dice < 0.65 and self.refills:
            yield from self._refill(lane)
        elif 0.65 <= dice < 0.92 and self.transactions:
            yield from self._transaction(lane)
        elif dice >= 0.92 and self.parks:
            yield from self._parked(lane)
        else:
            yield from self._singles(lane, rng.randint(5, 45))

    def _singles(self, lane: int, times: int, spoiled: float = 0.05) -> Iterator[Step]:
        for _ in range(times):
            yield Step(lane, PLAIN, self.command(spoiled))

    def _refill(self, lane: int) -> Iterator[Step]:
        argv = self._from(self.refills)
        yield Step(lane, PLAIN, (b"DEL", argv[1]))
        yield Step(lane, PLAIN, argv)

    def _transaction(self, lane: int) -> Iterator[Step]:
        rng = self.source.rng
        other = (lane + 1) % LANES
        spoiled = rng.choice((0.0, 0.0, 0.0, 0.05))  # one word too few aborts the whole transaction
        if rng.random() < 0.5:
            watched = self.command(0)[1:3]
            yield Step(lane, PLAIN, (b"WATCH", *watched))
            if watched and rng.random() < 0.5:
                touch = rng.choice(
                    ((b"DEL",), (b"TOUCH",), (b"PERSIST",), (b"PEXPIREAT", b"2200000000000"), (b"APPEND", b"x"), (b"SADD", b"x"))
                )
                yield Step(rng.choice((lane, other)), PLAIN, (touch[0], watched[0], *touch[1:]))
        if rng.random() < 0.2:
            yield from self._singles(lane, rng.randint(1, 2))
        if rng.random() < 0.3:
            yield from self._singles(other, rng.randint(1, 4))
        yield Step(lane, PLAIN, (b"MULTI",))
        for _ in range(rng.randint(0, 6)):
            yield from self._singles(lane if rng.random() < 0.85 else other, rng.randint(1, 2), spoiled)
        yield Step(lane, PLAIN, (rng.choice((b"EXEC", b"exec", b"EXEC", b"EXEC", b"DISCARD")),))

    def _parked(self, lane: int) -> Iterator[Step]:
        other = (lane + 1) % LANES
        yield Step(lane, PARK, self._from(self.parks))
        for _ in range(self.source.rng.randint(1, 3)):
            yield Step(other, PLAIN, self._from(self.wakes))
        yield Step(lane, JOIN, ())

    def command(self, spoiled: float = 0.05) -> tuple[bytes, ...]:
        """A command of the groups; with chance `spoiled` something is wrong with its words."""
        while True:
            argv = self.source.rng.choices(self.tables, cum_weights=self.shares)[0].draw(self.source)
            if self.source.odd(spoiled) and argv[0].upper() not in (b"CLIENT", b"RESET", b"HELLO"):
                self._spoil(argv)
            if not hazardous(argv):
                return tuple(argv)

    def _from(self, forms: list[Draw]) -> tuple[bytes, ...]:
        while True:
            argv: list[bytes] = []
            self.source.rng.choice(forms)(self.source, argv)
            self.source.wide = False
            if not hazardous(argv):
                return tuple(argv)

    def _spoil(self, argv: list[bytes]) -> None:
        rng = self.source.rng
        place = rng.randrange(1, len(argv)) if len(argv) > 1 else 1
        match rng.randrange(6):
            case 0:
                del argv[-1 if len(argv) > 1 else len(argv) :]
            case 1:
                del argv[place:]
            case 2:
                argv.append(self.source.odd_word())
            case 3:
                argv.insert(place, self.source.odd_word())
            case 4 if len(argv) > 1:
                argv[place] = self.source.odd_word()
            case _:
                argv.extend(argv[place:])


_TABLES = {group: Table(text) for group, text in TABLES.items()}


def chapter(seed: int, number: int, length: int, groups: Iterable[str]) -> list[Step]:
    """The steps of one chapter; equal arguments give equal steps."""
    return list(Author(Source(f"{seed}/{number}"), list(groups)).write(length))


def save(path: Path, steps: Iterable[Step]) -> None:
    """Write steps as JSON lines, bytes as latin-1 text."""
    lines = [json.dumps({"lane": step.lane, "mode": step.mode, "argv": [word.decode("latin-1") for word in step.argv]}) for step in steps]
    path.write_text("\n".join(lines) + "\n")


def load(path: Path) -> list[Step]:
    """The steps that `save` wrote."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [Step(row["lane"], row["mode"], tuple(word.encode("latin-1") for word in row["argv"])) for row in rows]
