"""Every command of the tested groups with its options, as Redis 7.0 has them: weight, then form (see `grammar`)."""

from __future__ import annotations

from . import rules, script_words, stream_words

TABLES: dict[str, str] = {}

TABLES["string"] = """
8 SET <own_str> <value> {NX | XX | GET | KEEPTTL | EX <seconds> | PX <ms> | EXAT <at> | PXAT <atms>}
3 SET <own_num> <increment>
2 SET <own_short> <text>
6 GET (<str> | <num> | <short>)
2 GETDEL <str>
3 GETEX <str> [PERSIST | EX <seconds> | PX <ms> | EXAT <at> | PXAT <atms> | {PERSIST | EX <seconds> | PXAT <atms>}]
2 GETSET <own_str> <value>
3 APPEND <str> <value>
1 APPEND <short> <text>
2 STRLEN <str>
3 GETRANGE <str> <index> <index>
1 SUBSTR <str> <index> <index>
3 SETRANGE <str> <offset> <text>
3 INCR <num>
2 DECR <num>
3 INCRBY <num> <increment>
2 DECRBY <num> <increment>
3 INCRBYFLOAT <num> <fraction>
3 MGET (<str> | <num> | <any>)+
2 MSET (<own_str> <value>)+
1 MSETNX (<own_str> <value>)+
1 MSETNX <own_short> <text> <own_num> <increment>
2 SETNX <own_str> <value>
1 SETEX <own_str> <seconds> <value>
1 PSETEX <own_str> <ms> <value>
3 LCS (<short> <short> | <short> <short> | <short> <hash>) {LEN | IDX | MINMATCHLEN <count> | WITHMATCHLEN}
"""

TABLES["hash"] = """
6 HSET <hash> (<field> <value>)+
2 HMSET <hash> (<field> <value>)+
2 HSETNX <hash> <field> <value>
5 HGET <hash> <field>
3 HMGET <hash> <field>+
2 HGETALL <hash>
1 HKEYS <hash>
1 HVALS <hash>
2 HLEN <hash>
2 HEXISTS <hash> <field>
2 HSTRLEN <hash> <field>
3 HDEL <hash> <field>+
3 HINCRBY <hash> <field> <increment>
2 HINCRBY <hash> (n | m) <increment>
2 HINCRBYFLOAT <hash> (f | g) <fraction>
1 HINCRBYFLOAT <hash> <field> <fraction>
3 HRANDFIELD <hash> [<scount> [WITHVALUES]]
1 HSCAN <hash> <cursor> {MATCH <pattern> | COUNT <scancount>}
"""

TABLES["list"] = """
5 LPUSH <list> <value>+
5 RPUSH <list> <value>+
2 RPUSH <list> <sortable>+
1 LPUSHX <list> <value>+
1 RPUSHX <list> <value>+
3 LPOP <list> [<count>]
3 RPOP <list> [<count>]
2 LLEN <list>
4 LRANGE <list> <index> <index>
2 LRANGE <list> 0 -1
3 LINDEX <list> <index>
3 LSET <list> <index> <value>
3 LINSERT <list> (BEFORE | AFTER) <text> <value>
3 LREM <list> <scount> <text>
1 LTRIM <list> <index> <index>
2 LTRIM <list> (0 | 1) (-1 | -2 | 100)
3 LPOS <list> <text> {RANK <rank> | COUNT <count> | MAXLEN <maxlen>}
3 LMOVE <list> <list> (LEFT | RIGHT) (LEFT | RIGHT)
2 RPOPLPUSH <list> <list>
2 LMPOP <keys_list> (LEFT | RIGHT) [COUNT <count>]
1 BLPOP <list>+ <timeout>
1 BRPOP <list>+ <timeout>
1 BLMOVE <list> <list> (LEFT | RIGHT) (LEFT | RIGHT) <timeout>
1 BRPOPLPUSH <list> <list> <timeout>
1 BLMPOP <timeout> <keys_list> (LEFT | RIGHT) [COUNT <count>]
"""

TABLES["set"] = """
4 SADD <set> <member>+
3 SADD <set> <intmember>+
3 SREM <set> (<member> | <intmember>)+
2 SMEMBERS <set>
2 SCARD <set>
3 SISMEMBER <set> (<member> | <intmember>)
2 SMISMEMBER <set> (<member> | <intmember>)+
3 SMOVE <set> <set> (<member> | <intmember>)
2 SPOP <set> [<count>]
3 SRANDMEMBER <set> [<scount>]
2 SINTER <set>+
2 SUNION <set>+
2 SDIFF <set>+
2 SINTERSTORE <own_set> <set>+
2 SUNIONSTORE <own_set> <set>+
2 SDIFFSTORE <own_set> <set>+
2 SINTERCARD <keys_set> {LIMIT <limit>}
1 SSCAN <set> <cursor> {MATCH <pattern> | COUNT <scancount>}
"""

TABLES["sorted_set"] = """
6 ZADD <zset> (<score> <member>)+
4 ZADD <zset> {NX | XX | GT | LT | CH | INCR} <score> <member>
2 ZADD <zset> {NX | XX | GT | LT | CH} (<score> <member>)+
2 ZADD <zset> (0 <member>)+
3 ZADD <own_lex> (0 <member>)+
3 ZINCRBY <zset> <score> <member>
2 ZCARD <zset>
3 ZSCORE <zset> <member>
2 ZMSCORE <zset> <member>+
2 ZRANK <zset> <member>
2 ZREVRANK <zset> <member>
3 ZREM <zset> <member>+
2 ZCOUNT <zset> <min> <max>
2 ZLEXCOUNT <lex_key> <lex> <lex>
3 ZRANGE <zset> <index> <index> {WITHSCORES | REV}
3 ZRANGE <zset> <min> <max> BYSCORE {WITHSCORES | REV | LIMIT <limit> <limit>}
3 ZRANGE <lex_key> <lex> <lex> BYLEX {WITHSCORES | REV | LIMIT <limit> <limit>}
1 ZRANGE <lex_key> <index> <index> {WITHSCORES | REV | BYSCORE | BYLEX | LIMIT <limit> <limit>}
2 ZRANGESTORE <own_zset> <zset> <index> <index> {REV}
2 ZRANGESTORE <own_zset> <zset> <min> <max> BYSCORE {REV | LIMIT <limit> <limit>}
1 ZRANGESTORE <own_zset> <lex_key> <lex> <lex> BYLEX {REV | LIMIT <limit> <limit> | WITHSCORES}
2 ZREVRANGE <zset> <index> <index> {WITHSCORES}
2 ZRANGEBYSCORE <zset> <min> <max> {WITHSCORES | LIMIT <limit> <limit>}
2 ZREVRANGEBYSCORE <zset> <max> <min> {WITHSCORES | LIMIT <limit> <limit>}
2 ZRANGEBYLEX <lex_key> <lex> <lex> {LIMIT <limit> <limit>}
2 ZREVRANGEBYLEX <lex_key> <lex> <lex> {LIMIT <limit> <limit>}
1 ZREMRANGEBYRANK <zset> <index> <index>
1 ZREMRANGEBYSCORE <zset> <min> <max>
1 ZREMRANGEBYLEX <lex_key> <lex> <lex>
2 ZPOPMIN <zset> [<count>]
2 ZPOPMAX <zset> [<count>]
2 ZMPOP <keys_zset> (MIN | MAX) [COUNT <count>]
1 BZPOPMIN <zset>+ <timeout>
1 BZPOPMAX <zset>+ <timeout>
1 BZMPOP <timeout> <keys_zset> (MIN | MAX) [COUNT <count>]
3 ZRANDMEMBER <zset> [<scount> [WITHSCORES]]
2 ZUNION (<keys_zset> | <keys_set>) {WEIGHTS <weights> | AGGREGATE (SUM | MIN | MAX) | WITHSCORES}
2 ZINTER (<keys_zset> | <keys_zset> | <keys_set>) {WEIGHTS <weights> | AGGREGATE (SUM | MIN | MAX) | WITHSCORES}
2 ZDIFF <keys_zset> {WITHSCORES}
2 ZUNIONSTORE <own_zset> (<keys_zset> | <keys_set>) {WEIGHTS <weights> | AGGREGATE (SUM | MIN | MAX)}
2 ZINTERSTORE <own_zset> <keys_zset> {WEIGHTS <weights> | AGGREGATE (SUM | MIN | MAX)}
1 ZDIFFSTORE <own_zset> <keys_zset>
2 ZINTERCARD <keys_zset> {LIMIT <limit>}
1 ZSCAN <zset> <cursor> {MATCH <pattern> | COUNT <scancount>}
"""

TABLES["bitmap"] = """
5 SETBIT <bits> <offset> <bit>
3 GETBIT <bits> <offset>
4 BITCOUNT (<bits> | <str>) [<bitindex> <bitindex> [BYTE | BIT] | <bitindex>]
4 BITPOS (<bits> | <str>) <bit> [<bitindex> [<bitindex> [BYTE | BIT]]]
2 BITOP (AND | OR | XOR) <own_bits> (<bits> | <str>)+
1 BITOP NOT <own_bits> <bits>
4 BITFIELD <bits> {GET <field_at> | SET <field_at> <increment> | INCRBY <field_at> <increment> | OVERFLOW (WRAP | SAT | FAIL)}
4 BITFIELD <bits> [OVERFLOW (WRAP | SAT | FAIL)] (GET <field_at> | SET <field_at> <increment> | INCRBY <field_at> <increment>)+
2 BITFIELD_RO (<bits> | <str>) (GET <field_at>)+
1 BITFIELD_RO <bits> {GET <field_at> | SET <field_at> <increment>}
1 SET <own_bits> <value>
1 GET <bits>
"""

TABLES["hyperloglog"] = """
8 PFADD <own_hll> <member>+
3 PFADD <own_hll> (<value> | <member> | <increment>)+
1 PFADD <own_hll>
4 PFCOUNT <hll>
3 PFCOUNT <hll>+
2 PFMERGE <own_hll> <hll>+
1 PFMERGE <own_hll>
3 GET <hll>
1 PFDEBUG (ENCODING | DECODE | TODENSE | GETREG | NOPE) <hll>
1 DEL <own_hll>
1 COPY <own_hll> <own_hll>
"""

TABLES["geo"] = """
6 GEOADD <geo> (<place> <town>)+
3 GEOADD <geo> {NX | XX | CH} (<place> <town>)+
2 GEODIST <geo> <town> <town> [<unit>]
2 GEOHASH <geo> <town>+
2 GEOPOS <geo> <town>+
5 GEOSEARCH <geo> (FROMMEMBER <town> | FROMLONLAT <place>) (BYRADIUS <far> <unit> | BYBOX <far> <far> <unit>) {ASC | DESC | COUNT <count> | COUNT <count> ANY | WITHDIST | WITHCOORD | WITHHASH}
1 GEOSEARCH <geo> {FROMMEMBER <town> | FROMLONLAT <place> | BYRADIUS <far> <unit> | BYBOX <far> <far> <unit> | ASC | STOREDIST | COUNT <count>} ASC WITHDIST WITHCOORD DESC ASC
2 GEOSEARCHSTORE <own_zset> <geo> (FROMMEMBER <town> | FROMLONLAT <place>) (BYRADIUS <near> km | BYBOX <near> <near> km) {ASC | DESC | COUNT <count> | STOREDIST | WITHDIST}
2 GEORADIUS <geo> <place> <far> <unit> {ASC | DESC | COUNT <count> | ANY | WITHDIST | WITHCOORD | WITHHASH}
1 GEORADIUS <geo> <place> <near> km {STORE <own_zset> | STOREDIST <own_zset> | DESC | COUNT <count>}
2 GEORADIUSBYMEMBER <geo> <town> <far> <unit> {ASC | DESC | COUNT <count> | ANY | WITHDIST | WITHCOORD | WITHHASH}
1 GEORADIUSBYMEMBER <geo> <town> <near> km {STORE <own_zset> | STOREDIST <own_zset> | COUNT <count>}
1 GEORADIUS_RO <geo> <place> <far> <unit> {ASC | DESC | COUNT <count> | WITHDIST | STORE <zset>}
1 GEORADIUSBYMEMBER_RO <geo> <town> <far> <unit> {ASC | DESC | COUNT <count> | WITHDIST | STORE <zset>}
2 ZREM <geo> <town>
1 DEL <geo>
2 ZRANGE <geo> 0 -1 [WITHSCORES]
"""  # noqa: E501

TABLES["generic"] = """
4 DEL <any>+
2 UNLINK <any>+
3 EXISTS <any>+
1 TOUCH <any>+
4 TYPE <any>
3 EXPIRE <any> <seconds> {NX | XX | GT | LT}
2 PEXPIRE <any> <ms> {NX | XX | GT | LT}
3 EXPIREAT <any> <at> {NX | XX | GT | LT}
3 PEXPIREAT <any> <atms> {NX | XX | GT | LT}
2 TTL <any>
2 PTTL <any>
2 EXPIRETIME <any>
3 PEXPIRETIME <any>
2 PERSIST <any>
2 RENAME (<str> <own_str> | <hash> <own_hash> | <list> <own_list> | <set> <own_set> | <zset> <own_zset>)
1 RENAMENX (<str> <own_str> | <hash> <own_hash> | <list> <own_list> | <set> <own_set> | <zset> <own_zset>)
3 COPY (<str> <own_str> | <hash> <own_hash> | <list> <own_list> | <set> <own_set> | <zset> <own_zset>) {REPLACE | DB <db>}
2 MOVE <any> <db>
1 KEYS <pattern>
1 SCAN <cursor> {MATCH <pattern> | COUNT <scancount> | TYPE <type>}
1 RANDOMKEY
4 OBJECT ENCODING <any>
1 OBJECT REFCOUNT <hash>
1 OBJECT IDLETIME <any>
1 OBJECT (FREQ <any> | NOPE <any> | ENCODING | ENCODING <any> <any>)
3 SORT (<list> | <set> | <zset>) {BY <by> | LIMIT <limit> <limit> | GET <get> | ASC | DESC | ALPHA}
2 SORT <list> {BY <by> | LIMIT <limit> <limit> | GET <get> | ASC | DESC | ALPHA | STORE <own_list>}
2 SORT (<list> | <set> | <zset>) ALPHA {LIMIT <limit> <limit> | ASC | DESC | STORE <own_list>}
1 SORT_RO (<list> | <set>) {BY <by> | LIMIT <limit> <limit> | GET <get> | ASC | DESC | ALPHA | STORE <list>}
"""

TABLES["server"] = """
4 DBSIZE
1 FLUSHDB [SYNC | ASYNC | NOPE]
1 FLUSHALL [SYNC | ASYNC]
1 SWAPDB <db> <db>
1 TIME
1 LASTSAVE
"""

TABLES["alone"] = """
2 ROLE [x]
2 (REPLICAOF | SLAVEOF) (NO ONE | no one | no x | localhost x | localhost 70000 | NO | <odd> <odd> <odd>)
2 FAILOVER {ABORT | FORCE | TIMEOUT <count> | TO localhost <count> | <odd>}
2 WAIT 0 (0 | 1 | -1 | x | <odd>)
1 WAIT (x | <odd>) 1
2 CLUSTER (INFO | NODES | SLOTS | SHARDS | MYID | LINKS | RESET | RESET HARD | FLUSHSLOTS | BUMPEPOCH | SAVECONFIG | NOPE | HELP x)
2 CLUSTER (COUNTKEYSINSLOT | KEYSLOT | FORGET | REPLICAS | REPLICATE | MEET | ADDSLOTS | SETSLOT) [<count>] [<count>] [<odd>]
1 (READONLY | READWRITE | ASKING) [x]
1 MODULE (LIST | LIST x | NOPE | UNLOAD)
1 MEMORY (PURGE | PURGE x | NOPE | USAGE | USAGE nonesuch SAMPLES | USAGE nonesuch SAMPLES -1 | USAGE nonesuch SAMPLES x)
2 CONFIG GET (timeout | time* | databases | nope | maxclients | TIMEOUT | tim[de]out)
2 CONFIG SET (timeout <odd> | timeout x | databases 3 | nope 1 | timeout 0 timeout 0 | timeout | timeout 0 nope 1 | maxmemory x)
1 CONFIG (NOPE | RESETSTAT x | REWRITE | REWRITE x | GET | SET)
6 DEBUG DIGEST-VALUE (<str> | <hash> | <list> | <set>)
2 DEBUG DIGEST-VALUE (<str> | <hash> | <list> | <set>)+
1 DEBUG (RELOAD | LOADAOF x | NOPE | SLEEP | SLEEP 0 | ERROR <text> | OBJECT nonesuch | POPULATE <count> x y z | LOG x)
1 DEBUG PROTOCOL (string | integer | bignum | null | array | set | map | true | false | verbatim | attrib | nope)
"""

TABLES["connection"] = """
4 PING [<value>]
3 ECHO <value>
2 SELECT 0
1 SELECT <db>
2 CLIENT SETNAME (conn | <text> | <odd>)
2 CLIENT GETNAME
1 CLIENT ID
1 CLIENT INFO
1 CLIENT LIST [TYPE (normal | master | pubsub | nope) | ID 0]
1 CLIENT UNBLOCK (0 | 999999 | <odd>) [TIMEOUT | ERROR | <odd>]
1 CLIENT KILL (1.2.3.4:5 | ID 999999 | ID abc | ID -1 | ID 0 | TYPE nope | ADDR 1.2.3.4:5 | USER nobody | FOO bar)
1 CLIENT REPLY (ON | NOPE)
1 CLIENT NO-EVICT (ON | OFF | NOPE)
1 CLIENT UNPAUSE
1 CLIENT (NOPE | GETNAME x | SETNAME | ID 1 | KILL | UNBLOCK | PAUSE | PAUSE abc | PAUSE -1 | PAUSE 0 NOPE)
1 HELLO
1 HELLO <proto> [SETNAME (me | <odd>) | AUTH default <text> | AUTH default | FOO | SETNAME]
1 AUTH <text>
1 AUTH (default | nobody) <text>
1 RESET
2 <unknown>
"""

TABLES["transactions"] = """
0.3 MULTI
0.3 MULTI x
1 EXEC
1 EXEC x
1 DISCARD
1 WATCH <any>+
1 WATCH
1 UNWATCH
"""

TABLES["acl"] = rules.TABLE
TABLES["stream"] = stream_words.TABLE
TABLES["scripting"] = script_words.TABLE

DEFAULT_GROUPS = tuple(TABLES)

SHARES: dict[str, float] = {
    "acl": 2,
    "string": 20,
    "hash": 14,
    "list": 16,
    "set": 12,
    "sorted_set": 22,
    "bitmap": 8,
    "hyperloglog": 4,
    "geo": 6,
    "stream": 16,
    "scripting": 3,
    "generic": 18,
    "server": 0.3,
    "alone": 1,
    "connection": 2,
    "transactions": 0.5,
}
