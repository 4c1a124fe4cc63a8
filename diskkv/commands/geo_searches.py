"""Members near a place: within a circle or a rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from diskkv.commands.geo import read_place, read_unit, show_distance, show_place
from diskkv.commands.zset_ranges import store
from diskkv.dispatch.args import Args
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import DENYOOM, MOVABLEKEYS, READONLY, WRITE, Keys, group
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib import geohash
from diskkv.lib.geohash import Place, Shape
from diskkv.lib.numbers import parse_float
from diskkv.types.zsets import ZSet

command = group("geo")

# Members are read so many at a time, and logged so many at a time.
STRIDE = 512

# A member found: distance in metres, its score, the member, its place.
Found = tuple[float, float, bytes, Place]


class Search:
    """What a search asks for, read from its words."""

    __slots__ = ("center", "count", "enough", "order", "shape_words", "storing", "target", "unit", "wanted", "zset")

    def __init__(self, zset: ZSet | None) -> None:
        self.zset = zset
        self.center: Place | None = None
        # radius, or width and height, in the unit
        self.shape_words: tuple[float, ...] = ()
        self.unit = 1.0
        self.order = b""
        self.count = 0
        # ANY: any members will do as long as there are enough
        self.enough = False
        self.wanted: set[bytes] = set()
        self.target: bytes | None = None
        # what becomes the score of what is stored: STORE or STOREDIST
        self.storing = b"STORE"

    def around(self, longitude: bytes, latitude: bytes) -> None:
        """The centre is a place."""
        self.center = read_place(longitude, latitude)

    def around_member(self, member: bytes) -> None:
        """The centre is a member's place. REQUIRES: there is a sorted set."""
        assert self.zset is not None
        score = self.zset.get(member)
        if score is None:
            raise CommandError("could not decode requested zset member")
        self.center = geohash.decode(score)

    def circle(self, radius: bytes, unit: bytes) -> None:
        """What is searched is a circle."""
        number = _number(radius, "need numeric radius")
        if number < 0:
            raise CommandError("radius cannot be negative")
        self.shape_words = (number,)
        self.unit = read_unit(unit)

    def box(self, width: bytes, height: bytes, unit: bytes) -> None:
        """What is searched is a rectangle."""
        numbers = _number(width, "need numeric width"), _number(height, "need numeric height")
        if min(numbers) < 0:
            raise CommandError("height or width cannot be negative")
        self.shape_words = numbers
        self.unit = read_unit(unit)

    def take_common(self, word: bytes, args: Args) -> bool:
        """Read an option that all searches have; False when it is none."""
        match word:
            case b"WITHDIST" | b"WITHHASH" | b"WITHCOORD":
                self.wanted.add(word)
            case b"ANY":
                self.enough = True
            case b"ASC" | b"DESC":
                self.order = word
            case b"COUNT" if args:
                self.count = args.int()
                if self.count <= 0:
                    raise CommandError("COUNT must be > 0")
            case _:
                return False
        return True

    def check_storing(self, name: str) -> None:
        """The replies' options mean nothing when the result is stored."""
        if self.target is not None and self.wanted:
            raise CommandError(f"{name} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")

    def run(self, ctx: Session) -> Any:
        """Carry it out: the reply."""
        if self.enough and not self.count:
            raise CommandError("the ANY argument requires COUNT argument")
        found: list[Found] = [] if self.zset is None else self._find(self.zset)
        # Without ANY, COUNT means the nearest ones.
        order = self.order or (b"ASC" if self.count and not self.enough else b"")
        if order:
            found.sort(key=itemgetter(0), reverse=order == b"DESC")
        if self.count:
            del found[self.count :]
        return [self._show(item) for item in found] if self.target is None else self._store(ctx, self.target, found)

    def _find(self, zset: ZSet) -> list[Found]:
        found: list[Found] = []
        assert self.center is not None
        words, unit = self.shape_words, self.unit
        if len(words) == 1:
            shape = Shape(self.center, words[0] * unit)
            diagonal = words[0] * unit
        else:
            shape = Shape(self.center, None, words[0] * unit, words[1] * unit)
            diagonal = geohash.half_diagonal(*words) * unit
        limit = self.count if self.enough else 0
        decode, reach = geohash.decode, shape.reach
        for low, high in shape.cells(diagonal):
            start, stop = zset.between(float(low), float(high), without_high=True)
            while start < stop:
                for member, score in zset.pairs_by_rank(start, min(start + STRIDE, stop)):
                    place = decode(score)
                    away = reach(place)
                    if away is not None:
                        found.append((away, score, member, place))
                        if len(found) == limit:
                            return found
                start += STRIDE
        return found

    def _show(self, item: Found) -> Any:
        if not self.wanted:
            return item[2]
        shown: list[Any] = [item[2]]
        if b"WITHDIST" in self.wanted:
            shown.append(show_distance(item[0] / self.unit))
        if b"WITHHASH" in self.wanted:
            shown.append(int(item[1]))
        if b"WITHCOORD" in self.wanted:
            shown.append(show_place(item[3]))
        return shown

    def _store(self, ctx: Session, target: bytes, found: list[Found]) -> int:
        by_distance = self.storing == b"STOREDIST"
        pairs = [(member, away / self.unit if by_distance else score) for away, score, member, _ in found]
        store(ctx, target, pairs)
        # What is near is a matter of the C library's sines: the log has the result.
        ctx.log_as(b"DEL", target)
        for at in range(0, len(pairs), STRIDE):
            ctx.log_as(b"ZADD", target, *(part for member, score in pairs[at : at + STRIDE] for part in (b"%r" % score, member)))
        return len(pairs)


def _number(raw: bytes, text: str) -> float:
    number = parse_float(raw)
    if number is None:
        raise CommandError(text)
    return number


# -- GEOSEARCH


@command(
    "GEOSEARCH key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | "
    "BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
    READONLY, since="6.2.0", arity=-7,
)  # fmt: skip
def geosearch(ctx: Session, key: bytes, *words: bytes) -> Any:
    """Return the members within a circle or a rectangle around a member or a place."""
    return _search(ctx, Search(ctx.db.get(key, ZSet)), words, "GEOSEARCH")


@command(
    "GEOSEARCHSTORE destination source <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | "
    "BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [STOREDIST]",
    WRITE | DENYOOM, since="6.2.0", arity=-8, keys=Keys(1, 2, 1),
)  # fmt: skip
def geosearchstore(ctx: Session, destination: bytes, source: bytes, *words: bytes) -> Any:
    """Store what a search finds as another sorted set; reply how many members it has."""
    search = Search(ctx.db.get(source, ZSet))
    search.target = destination
    return _search(ctx, search, words, "GEOSEARCHSTORE")


def _search(ctx: Session, search: Search, words: Sequence[bytes], name: str) -> Any:
    origin = shape = b""
    args = Args(words)
    while args:
        word = args.word()
        if search.take_common(word, args):
            continue
        match word:
            case b"STOREDIST" if search.target is not None:
                search.storing = word
            case b"FROMMEMBER" if args and origin != b"FROMLONLAT":
                member = args.next()
                if search.zset is not None:
                    search.around_member(member)
                origin = word
            case b"FROMLONLAT" if len(args) >= 2 and origin != b"FROMMEMBER":
                search.around(*args.take(2))
                origin = word
            case b"BYRADIUS" if len(args) >= 2 and shape != b"BYBOX":
                search.circle(*args.take(2))
                shape = word
            case b"BYBOX" if len(args) >= 3 and shape != b"BYRADIUS":
                search.box(*args.take(3))
                shape = word
            case _:
                raise BadSyntax
    search.check_storing(name)
    if not origin:
        raise CommandError(f"exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}")
    if not shape:
        raise CommandError(f"exactly one of BYRADIUS and BYBOX can be specified for {name}")
    return search.run(ctx)


# -- GEORADIUS


@command(
    "GEORADIUS key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] "
    "[STORE key | STOREDIST key]",
    WRITE | DENYOOM | MOVABLEKEYS, since="3.2.0", keys=Keys(1, 1, 1),
)  # fmt: skip
def georadius(ctx: Session, key: bytes, *words: bytes) -> Any:
    """Return, or store, the members within a circle around a place."""
    return _radius(ctx, key, words, stores=True)


@command(
    "GEORADIUS_RO key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]",
    READONLY, since="3.2.10",
)  # fmt: skip
def georadius_ro(ctx: Session, key: bytes, *words: bytes) -> Any:
    """Return the members within a circle around a place."""
    return _radius(ctx, key, words, stores=False)


def _radius(ctx: Session, key: bytes, words: Sequence[bytes], *, stores: bool) -> Any:
    search = Search(ctx.db.get(key, ZSet))
    search.around(words[0], words[1])
    search.circle(words[2], words[3])
    return _finish_radius(ctx, search, words[4:], stores)


@command(
    "GEORADIUSBYMEMBER key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] "
    "[STORE key | STOREDIST key]",
    WRITE | DENYOOM | MOVABLEKEYS, since="3.2.0", keys=Keys(1, 1, 1),
)  # fmt: skip
def georadiusbymember(ctx: Session, key: bytes, *words: bytes) -> Any:
    """Return, or store, the members within a circle around a member."""
    return _radius_by_member(ctx, key, words, stores=True)


@command(
    "GEORADIUSBYMEMBER_RO key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]",
    READONLY, since="3.2.10",
)  # fmt: skip
def georadiusbymember_ro(ctx: Session, key: bytes, *words: bytes) -> Any:
    """Return the members within a circle around a member."""
    return _radius_by_member(ctx, key, words, stores=False)


def _radius_by_member(ctx: Session, key: bytes, words: Sequence[bytes], *, stores: bool) -> Any:
    search = Search(ctx.db.get(key, ZSet))
    if search.zset is not None:
        # As in Redis, nobody looks at the words for the circle where there is nothing to search.
        search.around_member(words[0])
        search.circle(words[1], words[2])
    return _finish_radius(ctx, search, words[3:], stores)


def _finish_radius(ctx: Session, search: Search, options: Sequence[bytes], stores: bool) -> Any:
    args = Args(options)
    while args:
        word = args.word()
        if search.take_common(word, args):
            continue
        match word:
            case b"STORE" | b"STOREDIST" if args and stores:
                search.storing, search.target = word, args.next()
            case _:
                raise BadSyntax
    search.check_storing("STORE option in GEORADIUS")
    return search.run(ctx)
