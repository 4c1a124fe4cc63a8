"""What each command's changes are called in keyspace notifications.

A command that writes has a line here; most take the plain rule `own`. Those that say other events, or in an order of their own, have a
function. See `dispatch/notices.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from diskkv.dispatch.notices import READING, RULES, Account, Happening, Rule, own
from diskkv.lib.eventclasses import Classes
from diskkv.lib.numbers import parse_int

GENERIC, STRING, LIST, SET = Classes.GENERIC, Classes.STRING, Classes.LIST, Classes.SET
HASH, ZSET, STREAM = Classes.HASH, Classes.ZSET, Classes.STREAM


def _named(kind: Classes, event: str, *commands: str) -> None:
    for command in commands:
        RULES[command] = own(kind, event.encode())


def _themselves(kind: Classes, *commands: str) -> None:
    for command in commands:
        _named(kind, command, command)


def _rule(*commands: str) -> Callable[[Rule], Rule]:
    def declare(rule: Rule) -> Rule:
        for command in commands:
            RULES[command] = rule
        return rule

    return declare


# What only deletes, or does not change keys one by one: `del` comes of the story.
for _name in ("del", "unlink", "getdel", "flushdb", "flushall", "swapdb"):
    RULES[_name] = own(GENERIC)

_named(STRING, "set", "setnx", "getset", "msetnx")
_themselves(STRING, "append", "setrange", "incrbyfloat")
_named(STRING, "incrby", "incr", "decr", "incrby", "decrby")
_named(STRING, "setbit", "setbit", "bitfield")
_named(STRING, "set", "bitop")
_named(STRING, "pfadd", "pfadd", "pfmerge")

_named(HASH, "hset", "hset", "hmset", "hsetnx")
_themselves(HASH, "hdel", "hincrby", "hincrbyfloat")

_themselves(LIST, "lpush", "rpush", "lpop", "rpop", "lset", "linsert", "lrem", "ltrim")
_named(LIST, "lpush", "lpushx")
_named(LIST, "rpush", "rpushx")
_named(LIST, "lpop", "blpop")
_named(LIST, "rpop", "brpop")
_named(LIST, "sortstore", "sort")

_themselves(SET, "sadd", "srem", "spop", "sinterstore", "sunionstore", "sdiffstore")

_themselves(ZSET, "zrem", "zpopmin", "zpopmax", "zunionstore", "zinterstore", "zdiffstore", "zrangestore", "geosearchstore")
_themselves(ZSET, "zremrangebyrank", "zremrangebyscore", "zremrangebylex")
_named(ZSET, "zadd", "geoadd")
_named(ZSET, "zincr", "zincrby")
_named(ZSET, "zpopmin", "bzpopmin")
_named(ZSET, "zpopmax", "bzpopmax")
_named(ZSET, "georadiusstore", "georadius", "georadiusbymember")

_themselves(STREAM, "xdel", "xtrim", "xsetid")

_named(GENERIC, "persist", "persist")
_named(GENERIC, "restore", "restore")


@_rule("set", "setex", "psetex")
def _set(account: Account) -> None:
    account.follow(STRING, b"set")
    expires = account.command.name != "set" or bool({b"EX", b"PX", b"EXAT", b"PXAT"} & {word.upper() for word in account.argv[3:]})
    if expires and any(what is not Happening.MISSED and what is not Happening.EXPIRED for what, _, _ in account.story):
        account.tell(GENERIC, b"expire", account.argv[1])


@_rule("mset", "msetnx")
def _mset(account: Account) -> None:
    if account.command.name == "msetnx" and account.reply != 1:
        account.background()
        return
    created = {key for what, _, key in account.story if what is Happening.CREATED}
    for what, db, key in account.story:
        if what is Happening.EXPIRED:
            account.aside(what, db, key)
    for key in account.argv[1::2]:
        if key in created:
            created.discard(key)
            account.tell(Classes.NEW, b"new", key)
        account.tell(STRING, b"set", key)


@_rule("getex")
def _getex(account: Account) -> None:
    account.follow(GENERIC, b"persist" if b"PERSIST" in account.options() else b"expire")


@_rule("expire", "pexpire", "expireat", "pexpireat")
def _expire(account: Account) -> None:
    account.follow(GENERIC, b"expire")


@_rule("rename", "renamenx")
def _rename(account: Account) -> None:
    source, target = account.argv[1], account.argv[2]
    account.background()
    if account.removed(source):
        account.tell(GENERIC, b"rename_from", source)
        account.tell(GENERIC, b"rename_to", target)


@_rule("move")
def _move(account: Account) -> None:
    key = account.argv[1]
    account.background()
    for what, db, met in account.story:
        if what is Happening.REMOVED and met == key and db is account.session.db:
            account.tell(GENERIC, b"move_from", key)
            target = next(other for happened, other, _ in account.story if happened is Happening.CREATED)
            account.tell(GENERIC, b"move_to", key, target)
            return


@_rule("copy")
def _copy(account: Account) -> None:
    account.background()
    made = [(db, key) for what, db, key in account.story if what in (Happening.CREATED, Happening.TOUCHED)]
    if made:
        db, key = made[-1]
        account.tell(GENERIC, b"copy_to", key, db)


@_rule("lmove", "blmove", "rpoplpush", "brpoplpush")
def _lmove(account: Account) -> None:
    source, target = account.argv[1], account.argv[2]
    if not account.touched(source):
        account.background()
        return
    moving = account.command.name in ("lmove", "blmove")
    taken, given = (word[:1].lower() for word in account.argv[3:5]) if moving else (b"r", b"l")
    account.background()
    account.tell(LIST, given + b"push", target)
    account.tell(LIST, taken + b"pop", source)
    if account.removed(source):
        account.tell(GENERIC, b"del", source)


@_rule("lmpop", "blmpop")
def _lmpop(account: Account) -> None:
    account.follow(LIST, b"lpop" if _direction(account) == b"LEFT" else b"rpop")


@_rule("zmpop", "bzmpop")
def _zmpop(account: Account) -> None:
    account.follow(ZSET, b"zpopmin" if _direction(account) == b"MIN" else b"zpopmax")


def _direction(account: Account) -> bytes:
    """The word behind the keys of LMPOP and its like."""
    at = 2 if account.command.name.startswith("b") else 1
    count = parse_int(account.argv[at]) or 0
    return account.argv[at + count + 1].upper()


@_rule("smove")
def _smove(account: Account) -> None:
    source, target = account.argv[1], account.argv[2]
    if account.reply != 1 or source == target:
        account.background()
        return
    account.tell(SET, b"srem", source)
    if account.removed(source):
        account.tell(GENERIC, b"del", source)
    account.background()
    if any(key == target and what in (Happening.CREATED, Happening.TOUCHED) for what, _, key in account.story):
        account.tell(SET, b"sadd", target)


@_rule("zadd")
def _zadd(account: Account) -> None:
    account.follow(ZSET, b"zincr" if b"INCR" in {word.upper() for word in account.argv[2:6]} else b"zadd")


@_rule("xadd")
def _xadd(account: Account) -> None:
    account.follow(STREAM, b"xadd")


# The commands that write and yet look up keys as readers do.
READING.update(
    {
        "getex",
        "getset",
        "getdel",
        "copy",
        "sort",
        "bitop",
        "sinterstore",
        "sunionstore",
        "sdiffstore",
        "zunionstore",
        "zinterstore",
        "zdiffstore",
        "zrangestore",
        "geosearchstore",
        "georadius",
        "georadiusbymember",
    }
)
