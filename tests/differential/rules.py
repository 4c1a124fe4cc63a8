"""Users and rules: the grammar's words for ACL, and the table of its commands.

The 7.0 oracle prints rules about commands in other words than Redis 7.2, so the users that are printed (`aclk1`) have only rules about
keys, channels and passwords, and those with rules about commands are asked what they may do; tests/commands/test_acl.py has the printing.
A new user of 7.0 is neither `sanitize-payload` nor `skip-sanitize-payload`; here, as in 7.2, it is the former.
"""

from __future__ import annotations

from .words import WORDS, Source, among

USERS = (b"acl1", b"acl2", b"aclk1", b"aclk2")
_COMMANDS = (
    b"get set mset del keys sort sort_ro zadd zunionstore lpush blpop hset sadd copy publish subscribe config config|get config|set client "
    b"client|kill eval xread geoadd debug cluster|slots select|0 select|1 nonesuch config|nonesuch get|a config|get|a object|encoding"
).split()
_CATEGORIES = (
    b"all read write keyspace string list set sortedset hash bitmap geo stream pubsub admin fast slow dangerous connection transaction none"
).split()
_PATTERNS = (b"*", b"a*", b"s*", b"h?", b"[lz]*", b"s1", b"", b"a b", b"n*")
_SIGNS = (b"~", b"%R~", b"%W~", b"%RW~", b"&", b"%X~", b"%r~")
_KEY_RULES = (
    b"allkeys resetkeys allchannels resetchannels on off nopass resetpass >pw >other <pw <none reset clearselectors sanitize-payload "
    b"skip-sanitize-payload +@all -@all allcommands nocommands foo ALLKEYS #zz #" + b"a1" * 32 + b" !" + b"a1" * 32
).split()


def key_rule(source: Source) -> bytes:
    """A rule about keys, channels, passwords or flags."""
    rng = source.rng
    return rng.choice(_SIGNS) + rng.choice(_PATTERNS) if rng.random() < 0.5 else rng.choice(_KEY_RULES)


def any_rule(source: Source) -> bytes:
    """Any rule, about commands most of all."""
    rng = source.rng
    dice = rng.random()
    if dice < 0.25:
        return rng.choice((b"+", b"-")) + rng.choice(_COMMANDS)
    if dice < 0.5:
        return rng.choice((b"+@", b"-@")) + rng.choice(_CATEGORIES)
    if dice < 0.6:
        return b"(" + b" ".join(any_rule(source) for _ in range(rng.randrange(4))) + b")"
    return key_rule(source)


WORDS |= {
    "acluser": among((b"acl1", b"acl2"), 0),
    "aclkeyuser": among((b"aclk1", b"aclk2"), 0),
    "aclrule": any_rule,
    "aclkeyrule": key_rule,
}

TABLE = """
6 ACL SETUSER <acluser> <aclrule>+
3 ACL SETUSER <aclkeyuser> sanitize-payload <aclkeyrule>+
3 ACL GETUSER <aclkeyuser>
1 ACL DELUSER (<acluser> | <aclkeyuser> | default | nobody)+
1 ACL USERS
1 ACL WHOAMI [x]
1 ACL (CAT | CAT nope | CAT a b | GENPASS 0 | GENPASS x | LOG x | LOG a b | NOPE | SAVE | LOAD | SETUSER | DRYRUN nobody GET a)
6 ACL DRYRUN <acluser> (GET <any> | SET <any> v [GET] | DEL <any>+ | MGET <any>+ | MSET (<any> v)+ | COPY <any> <any> | RENAME <any> <any>)
4 ACL DRYRUN <acluser> (ZUNIONSTORE <any> <keys_zset> | LMPOP <keys_list> LEFT | BLPOP <any>+ 0 | SORT <any> [BY nosort] [STORE <any>])
4 ACL DRYRUN <acluser> (CONFIG GET x | CONFIG SET a b | CLIENT KILL x | SELECT 0 | SELECT 1 | PING | KEYS x | OBJECT ENCODING <any>)
2 ACL DRYRUN <acluser> (BITFIELD <any> GET u8 0 [SET u8 0 1] | PUBLISH <any> v | SUBSCRIBE <any>+ | PSUBSCRIBE <any>+)
2 ACL DRYRUN <acluser> (<unknown> | GET | OBJECT | XREAD STREAMS <any> <any> 0 0 | STRLEN <any> | EXISTS <any>+ | LPUSH <any> v)
2 COMMAND (GETKEYS | GETKEYSANDFLAGS) (SET <any> v [GET] | SORT <any> [STORE <any>] | ZUNIONSTORE <any> <keys_zset> | MSET (<any> v)+)
"""
