"""What the placeholders of the stream commands stand for, and the table of these commands.

Ids are told, never made of the clock, so that both sides have the same; idle times are nothing or longer than any run.
"""

from __future__ import annotations

from .words import WORDS, Source, among, value

LONG_AGO = 1000  # a time of delivery, in ms
LONG = b"1000000000"  # ms that something has been idle for if it was delivered then, and not if it was now


def _near(source: Source, back: int) -> int:
    return max(1, source.top - source.rng.randint(0, back))


def new_id(source: Source) -> bytes:
    """The id of an entry to be added: mostly the next one, at times one that is too low or none."""
    rng = source.rng
    dice = rng.random()
    if dice < 0.03:
        word = source.odd_word()
        return b"0-0" if word == b"*" else word
    if dice < 0.07:
        return b"%d-%d" % (_near(source, 5), rng.randrange(3))
    source.top += rng.random() < 0.7
    return rng.choice((b"%d-*", b"%d-*", b"%d-1", b"%d")) % source.top


def entry_id(source: Source) -> bytes:
    """An id that may be an entry's."""
    rng = source.rng
    if source.odd(0.02):
        return source.odd_word()
    return b"%d-%d" % (_near(source, rng.choice((3, 15, 200))), rng.choice((0, 1, 1, 2)))


def bound(source: Source) -> bytes:
    rng = source.rng
    if rng.random() < 0.4:
        return rng.choice((b"-", b"+"))
    return (b"(" if rng.random() < 0.2 else b"") + (entry_id(source) if rng.random() < 0.8 else b"%d" % _near(source, 20))


def entry(source: Source) -> list[bytes]:
    """Fields and values; at times an odd number of them."""
    rng = source.rng
    words = [word for _ in range(rng.choice((1, 1, 1, 2, 4))) for word in (b"f%d" % rng.randrange(4), value(source)[:2000])]
    return words[:-1] if source.odd(0.01) else words


def top_id(source: Source) -> bytes:
    """An id above all that were ever used: of lower ones the 7.0 oracle asks less than 7.2 does."""
    source.top += 2
    return b"%d-0" % source.top


WORDS |= {
    "topid": top_id,
    "newid": new_id,
    "id": entry_id,
    "idbound": bound,
    "entry": entry,
    "group": among((b"g1", b"g1", b"g2", b"g3"), 0.02),
    "consumer": among((b"ann", b"bob", b"cyd"), 0.01),
    "idle": among((b"0", b"0", LONG), 0.01),
    "new": among((b">",), 0.01),
    "few": among((b"1", b"2", b"3", b"10", b"0", b"-1"), 0.02),
    "length": among((b"0", b"1", b"3", b"10", b"30"), 0.02),
}

TABLE = """
12 XADD <own_stream> <newid> <entry>
2 XADD <own_stream> {NOMKSTREAM | MAXLEN <length> | MAXLEN = <length> | MINID <id> | MAXLEN ~ 100000 | LIMIT 5} <newid> <entry>
1 XLEN <stream>
3 XRANGE <stream> <idbound> <idbound> [COUNT <few>]
2 XREVRANGE <stream> <idbound> <idbound> [COUNT <few>]
4 XDEL <stream> <id>+
1 XTRIM <stream> {MAXLEN <length> | MAXLEN = <length> | MINID <id> | MAXLEN ~ 100000 | LIMIT 0}
1 XSETID <stream> <topid> {ENTRIESADDED <few> | ENTRIESADDED 1000 | MAXDELETEDID <id>}
3 XREAD {COUNT <few> | BLOCK 1 | NOACK | GROUP <group> <consumer>} STREAMS <stream> (<id> | $ | 0)
1 XREAD [COUNT <few>] STREAMS <stream> <stream> <id> <id>
1 XINFO STREAM <stream>
2 XINFO STREAM <stream> FULL [COUNT <few>]
2 XINFO GROUPS <stream>
1 XINFO CONSUMERS <stream> <group>
1 XINFO (STREAM | GROUPS | CONSUMERS <stream> | NOPE <stream> | STREAM <stream> NOPE)
4 XGROUP CREATE <own_stream> <group> (<id> | 0 | $) {MKSTREAM | ENTRIESREAD <few>}
1 XGROUP SETID <stream> <group> (<id> | 0 | $ | -) [ENTRIESREAD <few>]
0.4 XGROUP DESTROY <stream> <group>
1 XGROUP CREATECONSUMER <stream> <group> <consumer>
0.5 XGROUP DELCONSUMER <stream> <group> <consumer>
0.3 XGROUP (NOPE <stream> <group> | CREATE <stream> <group> | SETID <stream> <group> | DESTROY <stream>)
14 XREADGROUP GROUP <group> <consumer> {COUNT <few> | NOACK | BLOCK 1} STREAMS <stream> (<new> | <new> | <new> | 0 | <id>)
1 XREADGROUP GROUP <group> <consumer> [COUNT <few>] STREAMS <stream> <stream> (<new> | 0) (<new> | <id>)
0.5 XREADGROUP GROUP <group> <consumer> {COUNT <few> | NOPE} STREAMS <stream> ($ | <odd>)
8 XACK <stream> <group> <id>+
1 XPENDING <stream> <group>
3 XPENDING <stream> <group> [IDLE <idle>] <idbound> <idbound> <few> [<consumer>]
5 XCLAIM <stream> <group> <consumer> <idle> <id>+ {TIME 1000 | IDLE 0 | RETRYCOUNT <few> | FORCE | JUSTID | LASTID <id> | NOPE}
4 XAUTOCLAIM <stream> <group> <consumer> <idle> (0 | - | <idbound>) {COUNT <few> | JUSTID}
1 DEL <stream>
1 COPY <stream> <own_stream> {REPLACE | DB <db>}
1 RENAME <stream> <own_stream>
1 OBJECT ENCODING <stream>
"""
