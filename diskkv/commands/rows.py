"""Rows: what a client that sends one command again and again is answered, in a loop (see `dispatch/packets.py`).

Each function does for several requests what the command's own does for one, and takes only those of the commonest form: one element,
a key that is there. What remains, and whatever is an error, it leaves to the command. Those for one large object go on as long as the
key is the same, so that it is looked up once.
"""

from __future__ import annotations

from typing import Any

from diskkv.commands.strings import increment, put, put_pairs
from diskkv.dispatch.packets import BULKY
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import row
from diskkv.errors import CommandError, StoreError
from diskkv.lib.multibulk import HEADS
from diskkv.lib.numbers import INT_MAX, parse_float, parse_int
from diskkv.replies import SHORT
from diskkv.store.residents import SHIFT
from diskkv.store.value import Gone
from diskkv.types.hashes import Hash
from diskkv.types.lists import List
from diskkv.types.sets import Set
from diskkv.types.strings import String
from diskkv.types.zsets import ZSet

Requests = list[list[bytes]]

# So many elements are pushed or popped at once.
MOST = 256
# So many requests of other commands are a row at most. Any number of them, 20 us each, would be a slow command to the slow log.
LONGEST = 64
# So many words they have at most, where each is as much work.
WORDS = 512


def bulk(data: bytes) -> bytes:
    """A reply of bytes."""
    return HEADS[len(data)] + data + b"\r\n" if len(data) < SHORT else b"$%d\r\n%b\r\n" % (len(data), data)


def nil(ctx: Session) -> bytes:
    """The reply that there is nothing."""
    return b"_\r\n" if ctx.protocol == 3 else b"$-1\r\n"


def alike(requests: Requests, at: int, most: int) -> int:
    """How many requests from a place on, `most` at most, have that one's name, key and number of arguments."""
    first = requests[at]
    name, key, size = first[0], first[1], len(first)
    count = 0
    for argv in requests[at : at + most]:
        if len(argv) != size or argv[1] != key or argv[0] != name:
            break
        count += 1
    return count


@row("get")
def get(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """GETs of short strings in memory, or of what is known to be absent."""
    shards, moment, name = ctx.db.shards, ctx.store.moment, requests[at][0]
    for argv in requests[at : at + LONGEST]:
        if len(argv) != 2 or argv[0] != name:
            break
        key = argv[1]
        value = shards[hash(key) >> SHIFT].get(key)
        if value.__class__ is String and value.expire is None and not value.oid and len(value.data) < SHORT:
            if value.freq < 3:
                value.freq += 1
            value.seen = moment
            out.append(HEADS[len(value.data)] + value.data + b"\r\n")
        elif value.__class__ is Gone:
            out.append(nil(ctx))
        else:
            break
        at += 1
    return at


@row("set")
def set_(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """SETs without options."""
    name = requests[at][0]
    try:
        for argv in requests[at : at + LONGEST]:
            if len(argv) != 3 or argv[0] != name:
                break
            put(ctx, argv[1], argv[2])
            out.append(b"+OK\r\n")
            at += 1
    except (CommandError, StoreError):
        pass
    return at


@row("mset")
def mset(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """MSETs, as many as do not take long."""
    name, left = requests[at][0], WORDS
    for argv in requests[at : at + LONGEST]:
        left -= len(argv)
        if left < 0 or len(argv) < 3 or not len(argv) % 2 or argv[0] != name:
            break
        before = ctx.store.changes
        try:
            put_pairs(ctx, argv[1:])
        except (CommandError, StoreError):
            if ctx.store.changes != before:
                raise  # It is all or none.
            break
        if len(argv) > BULKY:
            ctx.store.backlog.commands += len(argv) // 2
        out.append(b"+OK\r\n")
        at += 1
    return at


@row("incr")
def incr(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """INCRs. Those of short strings in memory are written out: counters are counted all day."""
    shards, moment, name = ctx.db.shards, ctx.store.moment, requests[at][0]
    try:
        for argv in requests[at : at + LONGEST]:
            if len(argv) != 2 or argv[0] != name:
                break
            key = argv[1]
            value: Any = shards[hash(key) >> SHIFT].get(key)
            if value.__class__ is String and value.expire is None and not value.oid:
                number = parse_int(value.data)
                if number is None or number == INT_MAX:
                    break
                data = b"%d" % (number + 1)
                value.set(data)
                if value.freq < 3:
                    value.freq += 1
                value.seen = moment
                out.append(b":" + data + b"\r\n")
            else:
                out.append(b":%d\r\n" % increment(ctx, key, 1))
            at += 1
    except (CommandError, StoreError):
        pass
    return at


@row("hget")
def hget(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """HGETs of one hash, of short fields in memory."""
    if len(requests[at]) != 3:
        return at
    _, key, _ = requests[at]
    value = ctx.db.get(key, Hash)
    if value is None:
        return at
    fields = value.resident
    for _, _, field in requests[at : at + alike(requests, at, LONGEST)]:
        data = fields.get(field)
        if data is None:
            if not value.complete:
                break
            out.append(nil(ctx))
        elif len(data) < SHORT:
            out.append(HEADS[len(data)] + data + b"\r\n")
        else:
            break
        at += 1
    return at


@row("hset")
def hset(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """HSETs of single fields of one hash that has none that expire."""
    if len(requests[at]) != 4:
        return at
    value = ctx.db.get(requests[at][1], Hash)
    if value.__class__ is not Hash:
        return at
    try:
        for _, _, field, data in requests[at : at + alike(requests, at, LONGEST)]:
            if not value.complete:
                value.get(field)
            value.touch()
            out.append(b":1\r\n" if value.put(field, data) is None else b":0\r\n")
            at += 1
    except StoreError:
        pass
    return at


@row("lpush", "rpush")
def push(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """LPUSHes, or RPUSHes, of single elements to one list: as one of all of them."""
    if len(requests[at]) != 3:
        return at
    value = ctx.db.get(requests[at][1], List)
    count = alike(requests, at, MOST)
    if value is None or count == 1:
        return at
    elements = [argv[2] for argv in requests[at : at + count]]
    length = value.push_left(elements) if requests[at][0].lower() in LEFT else value.push_right(elements)
    ctx.store.changes += count - 1
    out += [b":%d\r\n" % number for number in range(length - count + 1, length + 1)]
    return at + count


LEFT = frozenset({b"lpush", b"lpop"})


@row("lpop", "rpop")
def pop(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """LPOPs, or RPOPs, of one list with short elements that has more: as one of all of them."""
    if len(requests[at]) != 2:
        return at
    value = ctx.db.get(requests[at][1], List)
    if value is None or (value.loose if value.oid else value.size >= SHORT):
        return at
    count = min(alike(requests, at, MOST), len(value) - 1)
    if count < 2:
        return at
    elements = value.pops(count, left=requests[at][0].lower() in LEFT)
    ctx.store.changes += count - 1
    out += [HEADS[len(element)] + element + b"\r\n" for element in elements]
    return at + count


@row("sadd")
def sadd(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """SADDs of single members to one set."""
    if len(requests[at]) != 3:
        return at
    value = ctx.db.get(requests[at][1], Set)
    if value is None:
        return at
    resident = value.resident
    begin = at
    added = []
    try:
        for argv in requests[at : at + alike(requests, at, LONGEST)]:
            if resident.get(argv[2]) is None and value.add(argv[2:]):
                added.append(argv)
                out.append(b":1\r\n")
            else:
                out.append(b":0\r\n")
            at += 1
    except StoreError:
        pass
    _log_some(ctx, added, at - begin)
    return at


def _log_some(ctx: Session, changes: Requests, count: int) -> None:
    """Have the log say only the requests, out of `count`, that changed something."""
    if 0 < len(changes) < count:
        for argv in changes:
            ctx.log_as(*argv)


@row("spop")
def spop(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """SPOPs of one set that is whole in memory, with members that are mostly short, and has more."""
    if len(requests[at]) != 2:
        return at
    value = ctx.db.get(requests[at][1], Set)
    if value is None:
        return at
    count = min(alike(requests, at, LONGEST), len(value) - 1)
    if count < 1 or not value.complete or value.weight > SHORT * len(value):
        return at
    members = value.pop_some(count)
    ctx.store.changes += count - 1
    ctx.log_as(b"SREM", requests[at][1], *members)
    # It is one command, but as much of it waits for the engine.
    ctx.store.backlog.commands += count - 1
    out += [bulk(member) for member in members]
    return at + count


@row("zadd")
def zadd(ctx: Session, requests: Requests, at: int, out: list[bytes]) -> int:
    """ZADDs of single members to one sorted set, without options."""
    if len(requests[at]) != 4:
        return at
    value = ctx.db.get(requests[at][1], ZSet)
    if value is None:
        return at
    store = ctx.store
    begin = at
    changed = []
    try:
        for argv in requests[at : at + alike(requests, at, LONGEST)]:
            score = parse_float(argv[2])
            if score is None:
                break
            before = store.changes
            out.append(b":1\r\n" if value.assign(argv[3], score + 0.0) else b":0\r\n")
            if store.changes != before:
                changed.append(argv)
            at += 1
    except StoreError:
        pass
    _log_some(ctx, changed, at - begin)
    return at
