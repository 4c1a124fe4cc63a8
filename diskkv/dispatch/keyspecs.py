"""Where a command's keys stand, and what is done to them: the facts behind access control, COMMAND GETKEYS and COMMAND INFO.

    line  := spec ("; " spec)* ": " name*          a command's specs in Redis' order
    spec  := flag* where
    where := first [".." last] ["/" step]          places in argv; a negative last counts from the end
           | "#" place ["/" step]                  the number of keys stands there, the keys behind it
           | WORD "@" from [".." last ["%" part]]  behind the first such word from there on (negative: searched backwards);
                                                   of what follows, only one part in so many
           | "?"                                   not to be said so simply: see `positions`

Flags: RO reads the value, RW changes it, OW overwrites it, RM removes it; of what the user keeps in it, `access` returns or copies
something, `update` changes, `insert` adds, `delete` removes something; `not_key` is no key though a cluster places it like one.
A command that is not listed has its keys where the usage line says, and whoever runs it must be allowed to read and to write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from diskkv.dispatch.table import Command, Flag

_LISTED = """
OW insert 1: setnx
OW insert 1..-1/2: msetnx
OW update #1/2: msetex
OW update 1: psetex restore restore-asking setex
OW update 1..-1/2: mset
OW update 1; RO access #2: zdiffstore zinterstore zunionstore
OW update 1; RO access 2: geosearchstore zrangestore
OW update 1; RO access 2..-1: sdiffstore sunionstore
OW update 2; RO access 3..-1: bitop
RM delete 1..-1: del unlink
RO 1: hexists hlen hstrlen llen scard sismember strlen type xlen zcard
RO 1..-1: exists touch watch
RO 2: memory|usage object|encoding object|freq object|idletime object|refcount
RO access #1: sintercard zdiff zinter zintercard zunion
RO access #2: eval_ro evalsha_ro fcall_ro
RO access 1: bitcount bitfield_ro bitpos digest dump expiretime geodist geohash geopos georadius_ro georadiusbymember_ro geosearch
    get getbit getrange hexpiretime hget hgetall hkeys hmget hpexpiretime hpttl hrandfield hscan httl hvals lindex lpos lrange
    pexpiretime pttl smembers smismember srandmember sscan substr ttl xpending xrange xrevrange zcount zlexcount zmscore zrandmember
    zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore
RO access 1..-1: mget sdiff sinter sunion
RO access 1..2: lcs
RO access 1; OW update 2: copy
RO access 1; OW update STORE@5; OW update STOREDIST@5: georadiusbymember
RO access 1; OW update STORE@6; OW update STOREDIST@6: georadius
RO access 1; RO access ?: sort_ro
RO access 1; RO access ?; OW update ?: sort
RO access 2: xinfo|consumers xinfo|groups xinfo|stream
RO access STREAMS@1..-1%2: xread
RO access STREAMS@4..-1%2: xreadgroup
RW access 1..-1: pfcount
RW access 2: pfdebug
RW access delete #1: lmpop zmpop
RW access delete #2: blmpop bzmpop
RW access delete 1: delex getdel hgetdel lpop rpop spop zpopmax zpopmin
RW access delete 1..-2: blpop brpop bzpopmax bzpopmin
RW access delete 1; OW insert 2: renamenx
RW access delete 1; OW update 2: rename
RW access delete 1; RW insert 2: blmove brpoplpush lmove rpoplpush smove
RW access delete 3; RW access delete incomplete KEYS@-2..-1: migrate
RW access insert 1; RO access 2..-1: pfmerge
RW access update #2: eval evalsha fcall
RW access update 1: decr decrby getex getset hgetex hincrby hincrbyfloat incr incrby incrbyfloat move setbit zincrby
RW access update variable_flags 1: bitfield set
RW delete 1: hdel lrem ltrim srem xackdel xautoclaim xdel xdelex xtrim zrem zremrangebylex zremrangebyrank zremrangebyscore
RW delete 2: xgroup|delconsumer xgroup|destroy
RW insert 1: append hsetnx linsert lpush lpushx pfadd rpush rpushx sadd
RW insert 2: xgroup|create xgroup|createconsumer
RW update 1: expire expireat geoadd hexpire hexpireat hmset hpersist hpexpire hpexpireat hset hsetex lset persist pexpire pexpireat
    setrange xack xadd xclaim xsetid zadd
RW update 1; RO access 2..-1: sinterstore
RW update 2: xgroup|setid
not_key 1: spublish
not_key 1..-1: ssubscribe sunsubscribe
"""

# What a command that changes a key does to it, in a spec's flags.
WRITING = frozenset({"insert", "delete", "update"})

_WHERE = re.compile(r"(?:(#)|([A-Z]+)@)?(-?\d+)(?:\.\.(-?\d+))?(?:/(\d+))?(?:%(\d+))?")
_STORES = re.compile(r"\b(STORE|STOREDIST) \w")
_STREAMS = re.compile(r"\bSTREAMS \w")


@dataclass(frozen=True, slots=True)
class KeySpec:
    """Keys that stand together. `last` counts from `first` (negative: from the end); `counted`: their number stands at `first`."""

    flags: tuple[str, ...]
    first: int = 0
    last: int = 0
    step: int = 1
    part: int = 0
    counted: bool = False
    keyword: str = ""
    unknown: bool = False

    @property
    def is_key(self) -> bool:
        return "not_key" not in self.flags


def _parse(text: str) -> KeySpec:
    *flags, where = text.split(" ")
    if where == "?":
        return KeySpec(tuple(flags), unknown=True)
    match = _WHERE.fullmatch(where)
    assert match is not None, text
    counted, keyword, first, last, step, part = match.groups()
    reach = int(last or 0)
    behind = reach if last is None or keyword or reach < 0 else reach - int(first)
    return KeySpec(tuple(flags), int(first), behind, int(step or 1), int(part or 0), bool(counted), keyword or "")


def _read() -> Iterator[tuple[str, tuple[KeySpec, ...]]]:
    for line in _LISTED.strip().replace("\n    ", " ").split("\n"):
        texts, _, names = line.partition(": ")
        specs = tuple(_parse(text) for text in texts.split("; "))
        for name in names.split(" "):
            yield name, specs


LISTED: dict[str, tuple[KeySpec, ...]] = dict(_read())


@cache
def specs_of(command: Command) -> tuple[KeySpec, ...]:
    """A command's key specs."""
    listed = LISTED.get(command.name)
    return listed if listed is not None else tuple(_derived(command))


def _derived(command: Command) -> Iterator[KeySpec]:
    """What the usage line says. Whether a key is only written to it does not say, so it counts as read, too."""
    flags = ("RO", "access") if not command.flags & Flag.WRITE else ("RW", "access", "update")
    keys = command.keys
    if keys.first:
        yield KeySpec(flags, keys.first, keys.last if keys.last < 0 else keys.last - keys.first, keys.step)
    if keys.numkeys:
        yield KeySpec(flags, keys.numkeys, step=keys.step or 1, counted=True)
    if _STREAMS.search(command.usage):
        yield KeySpec(flags, 1, -1, part=2, keyword="STREAMS")
    for word in ("STORE", "STOREDIST") if _STORES.search(command.usage) else ():
        yield KeySpec(flags, 1, keyword=word)
