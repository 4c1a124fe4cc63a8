"""The names that rules may speak of: every command here, and those that only Redis has."""

from __future__ import annotations

from functools import lru_cache

from diskkv.dispatch.categories import categories
from diskkv.dispatch.table import TABLE, Command

# Every command of Redis 7.4. A rule about one that does not exist here (`-debug`, `+cluster|slots`) is read and printed like others, so
# that the users of a Redis can be taken over as they are; there is only nothing that it could allow.
_REDIS = """
acl acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|help acl|list acl|load acl|log acl|save acl|setuser acl|users acl|whoami
append asking auth bgrewriteaof bgsave bitcount bitfield bitfield_ro bitop bitpos blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax
bzpopmin client client|caching client|getname client|getredir client|help client|id client|info client|kill client|list client|no-evict
client|no-touch client|pause client|reply client|setinfo client|setname client|tracking client|trackinginfo client|unblock
client|unpause cluster cluster|addslots cluster|addslotsrange cluster|bumpepoch cluster|count-failure-reports cluster|countkeysinslot
cluster|delslots cluster|delslotsrange cluster|failover cluster|flushslots cluster|forget cluster|getkeysinslot cluster|help
cluster|info cluster|keyslot cluster|links cluster|meet cluster|myid cluster|myshardid cluster|nodes cluster|replicas cluster|replicate
cluster|reset cluster|saveconfig cluster|set-config-epoch cluster|setslot cluster|shards cluster|slaves cluster|slots command
command|count command|docs command|getkeys command|getkeysandflags command|help command|info command|list config config|get config|help
config|resetstat config|rewrite config|set copy dbsize debug decr decrby del discard dump echo eval eval_ro evalsha evalsha_ro exec
exists expire expireat expiretime failover fcall fcall_ro flushall flushdb function function|delete function|dump function|flush
function|help function|kill function|list function|load function|restore function|stats geoadd geodist geohash geopos georadius
georadius_ro georadiusbymember georadiusbymember_ro geosearch geosearchstore get getbit getdel getex getrange getset hdel hello hexists
hexpire hexpireat hexpiretime hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hpersist hpexpire hpexpireat hpexpiretime hpttl
hrandfield hscan hset hsetnx hstrlen httl hvals incr incrby incrbyfloat info keys lastsave latency latency|doctor latency|graph
latency|help latency|histogram latency|history latency|latest latency|reset lcs lindex linsert llen lmove lmpop lolwut lpop lpos lpush
lpushx lrange lrem lset ltrim memory memory|doctor memory|help memory|malloc-stats memory|purge memory|stats memory|usage mget migrate
module module|help module|list module|load module|loadex module|unload monitor move mset msetnx multi object object|encoding object|freq
object|help object|idletime object|refcount persist pexpire pexpireat pexpiretime pfadd pfcount pfdebug pfmerge pfselftest ping psetex
psubscribe psync pttl publish pubsub pubsub|channels pubsub|help pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub
punsubscribe quit randomkey readonly readwrite rename renamenx replconf replicaof reset restore restore-asking role rpop rpoplpush rpush
rpushx sadd save scan scard script script|debug script|exists script|flush script|help script|kill script|load sdiff sdiffstore select
set setbit setex setnx setrange shutdown sinter sintercard sinterstore sismember slaveof slowlog slowlog|get slowlog|help slowlog|len
slowlog|reset smembers smismember smove sort sort_ro spop spublish srandmember srem sscan ssubscribe strlen subscribe substr sunion
sunionstore sunsubscribe swapdb sync time touch ttl type unlink unsubscribe unwatch wait waitaof watch xack xadd xautoclaim xclaim xdel
xgroup xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|help xgroup|setid xinfo xinfo|consumers xinfo|groups
xinfo|help xinfo|stream xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim zadd zcard zcount zdiff zdiffstore zincrby zinter
zintercard zinterstore zlexcount zmpop zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem
zremrangebylex zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore
"""


class Names:
    """Command names, `config|get` among them: which exist, which belong together, and what is in a category."""

    def __init__(self, commands: dict[str, Command]) -> None:
        self.commands = commands
        every = set(commands) | set(_REDIS.split())
        self.every = frozenset(every)
        self.subcommands: dict[str, frozenset[str]] = {}
        for name in every:
            parent, bar, _ = name.partition("|")
            if bar:
                self.subcommands[parent] = self.subcommands.get(parent, frozenset()) | {name}
        self._categories: dict[str, frozenset[str]] = {}

    def find(self, word: str) -> str | None:
        """The command of that name in any spelling, or None."""
        name = word.lower()
        return name if name in self.every else None

    def family(self, name: str) -> frozenset[str]:
        """A command and its subcommands."""
        return self.subcommands.get(name, frozenset()) | {name}

    def category(self, category: str) -> frozenset[str]:
        """The commands in a category, with the subcommands of those among them that have any (as rules mean it)."""
        found = self._categories.get(category)
        if found is None:
            members = [name for name, command in self.commands.items() if category in categories(command)]
            found = self._categories[category] = frozenset().union(*map(self.family, members))
        return found


@lru_cache(maxsize=1)
def names() -> Names:
    """The names. REQUIRES: the command table has been filled."""
    commands = {}
    for command in TABLE.values():
        commands[command.name] = command
        commands |= {sub.name: sub for sub in command.subcommands.values()}
    return Names(commands)
