"""What the placeholders of the command tables stand for: mostly sane words from a small world, some hostile ones.

Each public name in `WORDS` is a function from a `Source` (the random state of a generator) to one word or a list of words.
The world is small on purpose: a few keys per type, a dozen members, so that commands meet each other's results.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FAMILIES: dict[str, tuple[bytes, ...]] = {
    "str": (b"s1", b"s2", b"s3", b"s4", b"s\r\n\x00\xff"),
    "num": (b"n1", b"n2", b"n3"),
    "short": (b"c1", b"c2"),
    "bits": (b"b1", b"b2", b"b3"),
    "hash": (b"h1", b"h2", b"h3"),
    "list": (b"l1", b"l2", b"l3"),
    "set": (b"t1", b"t2", b"t3", b"t4"),
    "zset": (b"z1", b"z2", b"z3", b"z4"),
    "lex": (b"y1", b"y2"),
    "hll": (b"p1", b"p2", b"p3"),
    "geo": (b"g1", b"g2"),
    "stream": (b"x1", b"x2", b"x3"),
}
# Families a command on any key may use. `short` is kept out: LCS is quadratic, so its keys must stay short. So is `lex`: ranges by name
# are defined among equal scores only. And `geo`: of members at the same place, a search with COUNT may find any.
MIXED = tuple(key for family, keys in FAMILIES.items() if family not in ("short", "lex", "geo") for key in keys)
WITHOUT_ZSETS = tuple(key for key in MIXED if not key.startswith(b"z"))
MISSING = (b"nokey", b"no:such", b"")

ODD = (
    b"", b"0", b"-1", b"1", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"-9223372036854775809",
    b"4294967296", b"2147483648", b"-2147483649", b"18446744073709551616", b"1.5", b"-0", b"+1", b" 1", b"1 ", b"01", b"0x10", b"1e3",
    b"nan", b"NaN", b"inf", b"-inf", b"+inf", b"infinity", b"1e400", b"-1e400", b"1e-400", b"3.0", b".5", b"5.", b"abc", b"a\r\nb", b"\x00",
    b"\xff\xfe", b"*", b"(", b"[", b"(1", b"[a", b"-", b"+", b"WITHSCORES", b"LIMIT", b"COUNT", b"NX", b"EX", b"GET", b"MATCH", b"#1",
)  # fmt: skip
TEXTS = (
    b"a", b"b", b"hello", b"Hello World", b"", b"foobar", b"10", b"-3", b"3.14", b"0", b"9223372036854775807", b"1e2", b"x\r\ny\x00z",
    b"\x00\x01\x02\xff", b"caf\xc3\xa9", b"a,b", b"ohmytext", b"mynewtext", b"12345678901234567890", b"0.1", b" 7", b"007",
)  # fmt: skip
MEMBERS = (b"a", b"b", b"c", b"d", b"e", b"1", b"2", b"3", b"10", b"-5", b"", b"foo", b"a\r\n\x00", b"\xff", b"1.5")
SORTABLE = (b"1", b"2", b"3", b"10", b"-5", b"1.5", b"7", b"0")
PATTERNS = (
    b"*", b"s*", b"h?", b"[a-l]*", b"[^s]*", b"*1", b"\\*", b"", b"?", b"z[1-3]", b"f*", b"a*", b"[b-a]*", b"[", b"*[", b"t\\1", b"**",
)  # fmt: skip
SCORES = (
    b"0", b"1", b"2", b"3", b"5", b"-1", b"1.5", b"0.1", b"-2.25", b"1e3", b"100", b"3.0", b"1e20", b"17179869184", b"0.3333333333333333",
)  # fmt: skip
INDEXES = (b"0", b"1", b"2", b"3", b"5", b"-1", b"-2", b"-3", b"-10", b"10", b"100", b"-100")
OFFSET_LIMIT = 100_000


class Source:
    """The random state behind one stream of commands. `wide` makes members and values come from a large world for one command."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        self.wide = False
        self.numkeys = 0
        # about the highest time of an id so far
        self.top = 1

    def odd(self, chance: float) -> bool:
        return self.rng.random() < chance

    def odd_word(self) -> bytes:
        return self.rng.choice(ODD)


Word = Callable[[Source], bytes | list[bytes]]
Single = Callable[[Source], bytes]


def key(family: str, wrong: float = 0.05) -> Single:
    """A key of the family; with chance `wrong` one that has another type as a rule, sometimes one that never exists."""
    own = FAMILIES[family] if family != "any" else MIXED
    strange = WITHOUT_ZSETS if family == "lex" else MIXED

    def draw(source: Source) -> bytes:
        dice = source.rng.random()
        if dice < wrong:
            return source.rng.choice(strange)
        if dice < wrong * 1.6:
            return source.rng.choice(MISSING)
        return source.rng.choice(own)

    return draw


def among(words: tuple[bytes, ...], odd: float = 0.03) -> Single:
    """One of the words, seldom an odd one."""

    def draw(source: Source) -> bytes:
        return source.odd_word() if source.odd(odd) else source.rng.choice(words)

    return draw


def between(low: int, high: int, odd: float = 0.03) -> Single:
    """An integer of the range, seldom an odd word."""

    def draw(source: Source) -> bytes:
        return source.odd_word() if source.odd(odd) else b"%d" % source.rng.randint(low, high)

    return draw


def value(source: Source) -> bytes:
    """A value of any length: short as a rule, now and then beyond each of the limits that change an encoding."""
    rng = source.rng
    if source.wide:
        return b"v%d" % rng.randint(0, 999)
    dice = rng.random()
    if dice < 0.80:
        return rng.choice(TEXTS)
    if dice < 0.90:
        return b"%d" % rng.randint(-1000, 1000)
    if dice < 0.985:
        return rng.choice(b"abcxyz\x00\r").to_bytes(1, "big") * rng.choice((44, 45, 63, 64, 65, 100))
    if dice < 0.997:
        return rng.randbytes(20) * rng.choice((50, 205, 410, 420))
    return rng.randbytes(50) * 1400


def member(source: Source) -> bytes:
    rng = source.rng
    if source.wide:
        return b"m%d" % rng.randint(0, 400) if rng.random() < 0.9 else b"%d" % rng.randint(0, 400)
    dice = rng.random()
    if dice < 0.93:
        return rng.choice(MEMBERS)
    if dice < 0.99:
        return b"%d" % rng.randint(-40000, 40000)
    return rng.choice((b"m", b"\x00")) * rng.choice((64, 65, 300, 9000))


def integer_member(source: Source) -> bytes:
    """A member that keeps an intset an intset; at times one just over a width of its integers."""
    rng = source.rng
    if rng.random() < 0.06:
        return rng.choice((b"32767", b"32768", b"-32769", b"2147483648", b"9223372036854775807", b"9223372036854775808", b"01"))
    return b"%d" % rng.randint(0, 700 if source.wide else 30)


def increment(source: Source) -> bytes:
    rng = source.rng
    if source.odd(0.04):
        return source.odd_word()
    if rng.random() < 0.03:
        return rng.choice((b"9223372036854775807", b"-9223372036854775808", b"9223372036854775800"))
    return b"%d" % rng.choice((1, 2, 10, -1, -7, 1000, rng.randint(-100000, 100000)))


def fraction(source: Source) -> bytes:
    """An increment for the float commands."""
    rng = source.rng
    if source.odd(0.05):
        return source.odd_word()
    if rng.random() < 0.3:
        return b"%d.%d" % (rng.randint(-99, 99), rng.randint(0, 99))
    return rng.choice((b"1", b"0.5", b"-1.5", b"0.1", b"3.0e3", b"1e-3", b"2.25", b"-0.1", b"100", b"5.0e-1"))


def score(source: Source) -> bytes:
    rng = source.rng
    dice = rng.random()
    if dice < 0.02:
        return source.odd_word()
    if dice < 0.05:
        return rng.choice((b"inf", b"-inf", b"+inf", b"-0", b"1e308", b"5e-324"))
    return rng.choice(SCORES) if dice < 0.6 else b"%d" % rng.randint(-20, 20)


def score_bound(source: Source) -> bytes:
    rng = source.rng
    if source.odd(0.02):
        return source.odd_word()
    word = rng.choice((b"-inf", b"+inf", b"inf", b"0", b"1", b"2", b"3", b"-5", b"5", b"1.5", b"100", b"1e3"))
    return b"(" + word if rng.random() < 0.25 else word


def lex_bound(source: Source) -> bytes:
    rng = source.rng
    if source.odd(0.03):
        return source.odd_word()
    if rng.random() < 0.4:
        return rng.choice((b"-", b"+"))
    return rng.choice((b"[", b"(")) + rng.choice((b"a", b"b", b"c", b"e", b"foo", b"1", b"", b"z", b"m1", b"m3"))


def seconds(source: Source) -> bytes:
    """A time to live of hours, so that nothing expires during a run; equal ones are rare, so GT and LT never hang on a millisecond."""
    return source.rng.choice((b"0", b"-1", b"-100")) if source.odd(0.06) else b"%d" % source.rng.randint(7200, 9_999_999)


def milliseconds(source: Source) -> bytes:
    return source.rng.choice((b"0", b"-1", b"-5000")) if source.odd(0.06) else b"%d" % source.rng.randint(7_200_000, 9_999_999_999)


def unix_seconds(source: Source) -> bytes:
    """A moment after 2039, in the window that `compare` holds to be exact; seldom one in the past."""
    return b"1000000000" if source.odd(0.05) else b"%d" % source.rng.randint(2_200_000_000, 2_200_000_050)


def unix_milliseconds(source: Source) -> bytes:
    return b"1000000000000" if source.odd(0.05) else b"%d" % source.rng.randint(2_200_000_000_000, 2_200_000_050_000)


def far_offset(source: Source) -> bytes:
    rng = source.rng
    dice = rng.random()
    if dice < 0.03:
        return source.odd_word()
    if dice < 0.06:
        return b"%d" % rng.choice((16383, 16384, 65536, 70000, OFFSET_LIMIT, 536870912, 4294967295))
    return b"%d" % rng.randint(0, 120)


def field_type(source: Source) -> bytes:
    rng = source.rng
    if source.odd(0.04):
        return rng.choice((b"u64", b"i65", b"u0", b"x8", b"8", b"i", b"U8", b"I16"))
    return rng.choice((b"u", b"i")) + b"%d" % rng.choice((1, 2, 4, 5, 7, 8, 13, 16, 31, 32, 63))


def field_offset(source: Source) -> bytes:
    rng = source.rng
    if source.odd(0.04):
        return rng.choice((b"-1", b"#-1", b"##1", b"a", b"#", b"4294967296", b"#4294967296", b""))
    return (b"#" if rng.random() < 0.3 else b"") + b"%d" % rng.randint(0, 100)


def numkeys(family: str) -> Word:
    """A count and that many keys; the count is wrong at times. `<weights>` after it draws as many numbers."""
    draw = key(family)

    def pack(source: Source) -> list[bytes]:
        count = source.rng.choice((1, 2, 2, 2, 3))
        source.numkeys = count
        keys = [draw(source) for _ in range(count)]
        told = source.rng.choice((b"0", b"-1", b"7", b"a", b"9223372036854775807")) if source.odd(0.03) else b"%d" % count
        return [told, *keys]

    return pack


def weights(source: Source) -> list[bytes]:
    count = source.numkeys + (source.rng.choice((-1, 1)) if source.odd(0.03) else 0)
    return [among((b"1", b"2", b"0.5", b"-1", b"3", b"0", b"inf"), 0.02)(source) for _ in range(count)]


def place(source: Source) -> list[bytes]:
    """A longitude and a latitude, mostly around Sicily; never two the same but by ill luck."""
    rng = source.rng
    if source.odd(0.03):
        return [source.odd_word(), rng.choice((b"10", b"85.06", b"-86", b"x"))]
    if rng.random() < 0.7:
        return [b"%.9f" % rng.uniform(12, 17), b"%.9f" % rng.uniform(36, 39)]
    return [b"%r" % rng.uniform(-180, 180), b"%r" % rng.uniform(-85, 85)]


def missing_command(source: Source) -> list[bytes]:
    """A command nobody knows, with arguments that its error text shows."""
    name = source.rng.choice((b"FOO", b"get2", b"x" * 150, b"a b", b"", b"F\r\nO"))
    return [name, *(value(source) for _ in range(source.rng.randint(0, 4)))]


WORDS: dict[str, Word] = {family: key(family) for family in FAMILIES}
WORDS |= {f"own_{family}": key(family, 0.01) for family in FAMILIES}
WORDS |= {f"keys_{family}": numkeys(family) for family in FAMILIES}
WORDS |= {
    "any": key("any"),
    "lex_key": key("lex"),
    "value": value,
    "text": among(tuple(text for text in TEXTS if len(text) < 30), 0.02),
    "member": member,
    "field": member,
    "sortable": among(SORTABLE, 0.01),
    "intmember": integer_member,
    "increment": increment,
    "fraction": fraction,
    "score": score,
    "min": score_bound,
    "max": score_bound,
    "lex": lex_bound,
    "seconds": seconds,
    "ms": milliseconds,
    "at": unix_seconds,
    "atms": unix_milliseconds,
    "index": among(INDEXES),
    "count": among((b"0", b"1", b"2", b"3", b"5", b"100"), 0.05),
    "scount": among((b"0", b"1", b"2", b"3", b"-1", b"-3", b"5", b"100", b"-20"), 0.04),
    "limit": among((b"0", b"1", b"2", b"-1", b"3"), 0.03),
    "offset": far_offset,
    "bit": among((b"0", b"1"), 0.03),
    "bitindex": among((b"0", b"1", b"2", b"-1", b"-2", b"5", b"30", b"-30", b"100"), 0.03),
    "type": among((b"string", b"list", b"set", b"zset", b"hash", b"stream", b"STRING", b"nope"), 0.02),
    "pattern": among(PATTERNS, 0.02),
    "by": among((b"nosort", b"n*", b"s*", b"h*->1", b"h1->*", b"nokey*", b"h*->", b"*", b"c*"), 0.02),
    "get": among((b"#", b"n*", b"s*", b"h1->*", b"h*->a", b"#->1", b"nokey", b"*"), 0.02),
    "rank": among((b"1", b"2", b"-1", b"-2", b"3"), 0.05),
    "maxlen": among((b"0", b"1", b"2", b"10"), 0.05),
    "timeout": among((b"0", b"0.001", b"0.002", b"0.002", b"0.005"), 0.04),
    "db": among((b"0", b"1", b"2", b"0"), 0.06),
    "cursor": among((b"0",), 0.04),
    "scancount": among((b"1", b"2", b"10", b"1000"), 0.04),
    "field_at": lambda source: [field_type(source), field_offset(source)],
    "weights": weights,
    "place": place,
    "town": among((b"Palermo", b"Catania", b"Enna", b"Noto", b"Gela", b"Bronte", b"Agira"), 0.02),
    "unit": among((b"m", b"km", b"ft", b"mi", b"KM"), 0.03),
    "near": among((b"0", b"1", b"20", b"150.5", b"300"), 0.02),
    "far": among((b"0", b"10", b"200", b"1000.25", b"5000", b"1e4", b"30000"), 0.04),
    "unknown": missing_command,
    "odd": Source.odd_word,
    "proto": among((b"2", b"3", b"4", b"1", b"a"), 0.05),
}
