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
HASH, ZSET, STREAM, ARRAY = Classes.HASH, Classes.ZSET, Classes.STREAM, Classes.ARRAY


EXPIRY = {b"EX", b"PX", b"EXAT", b"PXAT"}


def _named(kind: Classes, event: str, *commands: str, takes: bool = False) -> None:
    """Declare commands whose changes are called so."""
    for command in commands:
        RULES[command] = own(kind, event.encode(), takes=takes)


def _themselves(kind: Classes, *commands: str, takes: bool = False) -> None:
    """Declare commands whose changes are called as the command."""
    for command in commands:
        _named(kind, command, command, takes=takes)


def _rule(*commands: str) -> Callable[[Rule], Rule]:
    def declare(rule: Rule) -> Rule:
        for command in commands:
            RULES[command] = rule
        return rule

    return declare


# What only deletes, or does not change keys one by one: `del` comes of the story.
for _name in ("del", "unlink", "getdel", "delex", "migrate", "flushdb", "flushall", "swapdb"):
    RULES[_name] = own(GENERIC)

_named(STRING, "set", "setnx", "getset", "msetnx")
_themselves(STRING, "append", "setrange", "incrbyfloat")
_named(STRING, "incrby", "incr", "decr", "incrby", "decrby")
_themselves(STRING, "setbit")
_named(STRING, "pfadd", "pfadd", "pfmerge")

_named(HASH, "hset", "hset", "hmset", "hsetnx", "himport|set")
_themselves(HASH, "hincrby", "hincrbyfloat")
_themselves(HASH, "hdel", takes=True)

_themselves(LIST, "lpush", "rpush", "lset", "linsert")
_themselves(LIST, "lpop", "rpop", "lrem", "ltrim", takes=True)
_named(LIST, "lpush", "lpushx")
_named(LIST, "rpush", "rpushx")
_named(LIST, "lpop", "blpop", takes=True)
_named(LIST, "rpop", "brpop", takes=True)

_themselves(SET, "srem", "spop", takes=True)
_themselves(SET, "sadd")

_themselves(ZSET, "zrem", "zpopmin", "zpopmax", "zremrangebyrank", "zremrangebyscore", "zremrangebylex", takes=True)
_named(ZSET, "zadd", "geoadd")
_named(ZSET, "zincr", "zincrby")
_named(ZSET, "zpopmin", "bzpopmin", takes=True)
_named(ZSET, "zpopmax", "bzpopmax", takes=True)

_themselves(STREAM, "xdel", "xtrim")

_themselves(ARRAY, "arset", "armset", "arinsert", "arring", "arseek")
_themselves(ARRAY, "ardel", "ardelrange", takes=True)

# Only what their handlers say themselves.
for _name in ("xack", "xnack", "xcfgset", "xidmprecord", "xreadgroup", "xsetid", "xclaim", "xautoclaim", "pfdebug"):
    RULES[_name] = Account.background
for _name in ("load", "delete", "flush", "restore"):
    RULES[f"function|{_name}"] = Account.background
for _name in ("create", "setid", "destroy", "createconsumer", "delconsumer"):
    RULES[f"xgroup|{_name}"] = Account.background
_named(STREAM, "xdel", "xdelex", "xackdel", takes=True)

_themselves(HASH, "hpersist")
_named(HASH, "hdel", "hgetdel", takes=True)

_named(GENERIC, "persist", "persist")
_named(GENERIC, "restore", "restore")


@_rule("set", "setex", "psetex")
def _set(account: Account) -> None:
    if b"GET" in {word.upper() for word in account.argv[3:]} and account.reply is None:
        account.tell(Classes.KEY_MISS, b"keymiss", account.argv[1])
    account.follow(STRING, b"set")
    expires = account.command.name != "set" or bool(EXPIRY & {word.upper() for word in account.argv[3:]})
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


def _stores(kind: Classes, event: bytes) -> Rule:
    """The rule of commands that put a result in a key's place, or delete the key when there is none."""

    def rule(account: Account) -> None:
        # Deleting what is not there is no look-up of a reader's.
        if account.reply == 0 and account.story[-1][0] is Happening.MISSED:
            account.story.pop()
        account.follow(kind, event)

    return rule


for _kind, _names in (
    (SET, ("sinterstore", "sunionstore", "sdiffstore")),
    (ZSET, ("zunionstore", "zinterstore", "zdiffstore", "zrangestore", "geosearchstore")),
):
    for _name in _names:
        RULES[_name] = _stores(_kind, _name.encode())
RULES["georadius"] = RULES["georadiusbymember"] = _stores(ZSET, b"georadiusstore")
RULES["sort"] = _stores(LIST, b"sortstore")


@_rule("bitop")
def _bitop(account: Account) -> None:
    # The destination is looked up, too, but not as by a reader.
    misses = [at for at, (what, _, key) in enumerate(account.story) if what is Happening.MISSED and key == account.argv[2]]
    if misses and not account.failed():
        del account.story[misses[-1]]
    account.follow(STRING, b"set")


@_rule("bitfield")
def _bitfield(account: Account) -> None:
    # A string that only grew for a field which was then left as it was has not changed for Redis.
    words = [word.upper() for word in account.argv[2:]]
    replies = iter(account.reply if isinstance(account.reply, list) else ())
    at = 0
    wrote = False
    only_read = not account.failed()
    while at < len(words):
        word = words[at]
        at += {b"OVERFLOW": 2, b"GET": 3}.get(word, 4)
        if word != b"OVERFLOW":
            reply = next(replies, None)
            wrote = wrote or (word != b"GET" and reply is not None)
            only_read = only_read and word == b"GET"
    if only_read and not account.touched(account.argv[1]):
        account.missed(account.argv[1])
    elif wrote:
        account.follow(STRING, b"setbit")
    else:
        account.background()


@_rule("msetex")
def _msetex(account: Account) -> None:
    expires = bool(EXPIRY & account.options())
    for what, db, key in account.story:
        if what is Happening.CREATED:
            account.tell(Classes.NEW, b"new", key)
        elif what is not Happening.TOUCHED:
            account.aside(what, db, key)
    if account.reply == 1:
        count = parse_int(account.argv[1]) or 0
        for key in account.argv[2 : 2 + 2 * count : 2]:
            account.tell(STRING, b"set", key)
            if expires:
                account.tell(GENERIC, b"expire", key)


@_rule("increx")
def _increx(account: Account) -> None:
    options = account.options()
    account.follow(STRING, b"incrbyfloat" if b"BYFLOAT" in options else b"incrby")
    if account.touched(account.argv[1]) and EXPIRY & options:
        account.tell(GENERIC, b"expire", account.argv[1])


@_rule("getex")
def _getex(account: Account) -> None:
    account.follow(GENERIC, b"persist" if b"PERSIST" in account.options() else b"expire")


@_rule("expire", "pexpire", "expireat", "pexpireat")
def _expire(account: Account) -> None:
    account.follow(GENERIC, b"expire")


@_rule("hexpire", "hpexpire", "hexpireat", "hpexpireat")
def _hexpire(account: Account) -> None:
    # 2 is the answer for a field whose time has already come.
    gone = isinstance(account.reply, list) and 2 in account.reply
    account.follow(HASH, b"hdel" if gone else b"hexpire", takes=True)


@_rule("hgetex")
def _hgetex(account: Account) -> None:
    if account.removed(account.argv[1]):
        account.follow(HASH, b"hdel", takes=True)
    else:
        account.follow(HASH, b"hpersist" if account.argv[2].upper() == b"PERSIST" else b"hexpire")


@_rule("hsetex")
def _hsetex(account: Account) -> None:
    key = account.argv[1]
    account.follow(HASH, b"hset", takes=True)
    if account.touched(key) and not account.removed(key) and EXPIRY & account.options():
        account.tell(HASH, b"hexpire", key)


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
    if account.story[0] == (Happening.MISSED, account.session.db, account.argv[1]):
        account.missed(account.argv[1])
        return
    account.background()
    made = [(db, key) for what, db, key in account.story if what in (Happening.CREATED, Happening.TOUCHED)]
    if made:
        db, key = made[-1]
        account.tell(GENERIC, b"copy_to", key, db)


@_rule("lmove", "blmove", "lmovem", "blmovem", "rpoplpush", "brpoplpush")
def _lmove(account: Account) -> None:
    source, target = account.argv[1], account.argv[2]
    if not account.touched(source):
        account.background()
        return
    moving = not account.command.name.endswith("rpoplpush")
    taken, given = (word[:1].lower() for word in account.argv[3:5]) if moving else (b"r", b"l")
    account.background()
    account.tell(LIST, given + b"push", target)
    account.tell(LIST, taken + b"pop", source)
    if account.removed(source):
        account.tell(GENERIC, b"del", source)


@_rule("lmpop", "blmpop")
def _lmpop(account: Account) -> None:
    account.follow(LIST, b"lpop" if _direction(account) == b"LEFT" else b"rpop", takes=True)


@_rule("zmpop", "bzmpop")
def _zmpop(account: Account) -> None:
    account.follow(ZSET, b"zpopmin" if _direction(account) == b"MIN" else b"zpopmax", takes=True)


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
