"""Commands that nobody would send: the usage lines of the table, filled with words that are too long, too odd, or out of place."""

from __future__ import annotations

from random import Random

from diskkv.dispatch.table import TABLE, Command, container

Argv = list[bytes]

NUMBERS = (
    b"0", b"1", b"-1", b"2", b"3", b"10", b"-0", b"+1", b"007", b" 1", b"1 ", b"1e3", b"0x10", b"1.5", b"-2.5", b"nan", b"inf", b"-inf",
    b"(1", b"[a", b"+", b"-", b"1e400", b"-1e400", b"1e-400", b"1e308", b"5e-324", b"0.1", b"1000000", b"-1000000",
    b"2147483647", b"2147483648", b"-2147483648", b"4294967295", b"4294967296", b"536870911", b"536870912", b"4294967295",
    b"4611686018427387904", b"-4611686018427387904", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808",
    b"18446744073709551615", b"18446744073709551616", b"9" * 40, b"9" * 5000, b"-" + b"9" * 400, b"1" + b"0" * 308, b"0." + b"3" * 3000,
)  # fmt: skip
TEXTS = (
    b"", b"a", b"b", b"m1", b"m2", b"1-1", b"1-*", b"*", b"$", b">", b"0-0", b"18446744073709551615-18446744073709551615", b"5-1",
    b"\x00", b"\xff\xfe", b"a\r\nb", b"\r\n", b"%s%n", b"[", b"[^", b"[a-", b"\\", b"h[^", b"k*", b"*a*a*a*a*a*a*a*b", b"?" * 500,
    b"u8", b"i64", b"u63", b"u64", b"i0", b"#1", b"#9223372036854775807", b"#536870912", b"#", b"m", b"km", b"x" * 600, b"x" * 70_000,
    b"return 1", b"return KEYS", b"return {1,{2,{3}}}", b"local a = {} a[1] = a return a",
    b"error({err='x'})", b"return redis.call('PING')",
    b"return string.rep('x', 1000)", b"return redis.pcall('SET')", b"return {ok='', err=''}", b"}{", b"#!lua", b"#!lua name=x\n",
    b"#!lua flags=zz\n",
    b"return cjson.decode('[[[[')", b"return cmsgpack.unpack('\\221')", b"return struct.unpack('>I9', 'x')", b"return redis.sha1hex()",
    b"default", b"on", b"off", b"~*", b"+@all", b"-@all", b">secret", b"nocommands", b"yes", b"no", b"allkeys-lru", b"everysec", b"always",
    b"AAAA", b"normal 0 0 0", b"::1", b"127.0.0.1", b"127.0.0.1:1", b"2:10",
)  # fmt: skip
LARGE = (b"y" * 1_000_000, b"ab" * 500_000)
KEYS = (
    b"string",
    b"number",
    b"large",
    b"list",
    b"hash",
    b"timed",
    b"set",
    b"ints",
    b"zset",
    b"geo",
    b"stream",
    b"hll",
    b"biglist",
    b"bigset",
    b"bighash",
    b"bigzset",
    b"none",
    b"",
    b"k\x00",
)
OPTIONS = (
    b"COUNT", b"LIMIT", b"MATCH", b"STORE", b"BY", b"GET", b"ASC", b"DESC", b"ALPHA", b"WITHSCORES", b"WITHVALUES", b"NX", b"XX", b"GT",
    b"LT",
    b"CH", b"INCR", b"EX", b"PX", b"EXAT", b"KEEPTTL", b"FIELDS", b"IDS", b"STREAMS", b"BLOCK", b"GROUP", b"MAXLEN", b"MINID", b"~", b"=",
    b"REPLACE", b"ABSTTL", b"IDX", b"LEN", b"MINMATCHLEN", b"RANK", b"LEFT", b"RIGHT", b"MIN", b"MAX", b"BYRADIUS", b"BYBOX", b"FROMLONLAT",
    b"FROMMEMBER", b"WITHDIST", b"WITHHASH", b"ANY", b"TYPE", b"NOVALUES", b"FORCE", b"JUSTID", b"LASTID", b"AGGREGATE", b"WEIGHTS", b"SUM",
    b"REV", b"BYLEX", b"BYSCORE", b"FLUSH", b"APPEND", b"NOMKSTREAM", b"ACKED", b"DELREF", b"OVERFLOW", b"SAT", b"SET", b"INCRBY", b"HELP",
)  # fmt: skip

# What ends the server, stops it for as long as it is told, reaches for other machines, or takes the client away.
LEFT_OUT = {
    "shutdown", "quit", "client|pause", "client|kill", "client|reply", "failover", "psync", "sync", "replicaof", "slaveof", "migrate",
    "monitor", "diskkv.backup|start", "acl|setuser", "acl|deluser", "acl|load", "config|rewrite", "auth", "hello", "reset", "subscribe",
    "psubscribe", "ssubscribe", "wait", "waitaof", "save", "bgsave",
}  # fmt: skip


def candidates() -> list[Command]:
    """Every command and subcommand that may be called with anything."""
    found = {}
    for command in TABLE.values():
        for each in (command, *command.subcommands.values()):
            if each.handler is not container and each.name not in LEFT_OUT:
                found[each.name] = each
    return [found[name] for name in sorted(found)]


class Fuzzer:
    """Makes commands; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.commands = candidates()

    def command(self) -> Argv:
        """The next one."""
        random = self.random
        return self.fill(random.choice(self.commands))

    def fill(self, command: Command) -> Argv:
        """A command with arguments."""
        random = self.random
        name = command.name.encode().split(b"|")
        if random.random() < 0.25:
            words = [self.word() for _ in range(random.randrange(9))]
        else:
            words = self._by_usage(command.usage.split(" ")[len(name) :])
        while words and random.random() < 0.2:
            at = random.randrange(len(words))
            match random.randrange(4):
                case 0:
                    del words[at]
                case 1:
                    words.insert(at, words[random.randrange(len(words))])
                case 2:
                    words[at] = self.word()
                case 3:
                    words.insert(at, random.choice(OPTIONS))
        if (
            command.name == "debug"
            and words
            and words[0].upper() in (b"SLEEP", b"SEGFAULT", b"PANIC", b"RESTART", b"CRASH-AND-RECOVER", b"OOM")
        ):
            words[0] = b"HELP"
        if command.low > 1 and random.random() < 0.9:
            while len(name) + len(words) < command.low:
                words.append(self.word())
        return [*name, *words]

    def word(self) -> bytes:
        """Any word."""
        random = self.random
        chance = random.random()
        if chance < 0.35:
            return random.choice(NUMBERS)
        if chance < 0.6:
            return random.choice(TEXTS)
        if chance < 0.85:
            return random.choice(KEYS)
        return random.choice(LARGE) if chance > 0.995 else random.choice(OPTIONS)

    def _by_usage(self, tokens: list[str]) -> Argv:
        random = self.random
        words: Argv = []
        depth = skipped = 0
        for token in tokens:
            opened = len(token) - len(token.lstrip("[<"))
            closed = len(token) - len(token.rstrip("]>"))
            bare = token.strip("[]<>.")
            for _ in range(opened):
                depth += 1
                if not skipped and token[0] == "[" and random.random() < 0.4:
                    skipped = depth
            if not skipped and bare and bare != "|":
                words.append(self._argument(bare))
            for _ in range(closed):
                if skipped == depth:
                    skipped = 0
                depth -= 1
        return words

    def _argument(self, name: str) -> bytes:
        random = self.random
        if name.isupper():
            return name.encode() if random.random() < 0.95 else self.word()
        if random.random() < 0.07:
            return self.word()
        if "key" in name or name in ("source", "destination"):
            return random.choice(KEYS)
        if name in (
            "script",
            "function",
            "code",
            "pattern",
            "group",
            "consumer",
            "element",
            "value",
            "string",
            "field",
            "id",
            "member",
            "parameter",
        ):
            return random.choice(TEXTS if random.random() < 0.8 else NUMBERS)
        return random.choice(NUMBERS)


def furniture() -> list[Argv]:
    """Commands that make a key of each kind, so that there is something to hit."""
    numbers = [b"%d" % number for number in range(60_000)]
    return [
        [b"SET", b"string", b"hello"],
        [b"SET", b"number", b"42"],
        [b"SETRANGE", b"large", b"3000000", b"end"],
        [b"RPUSH", b"list", *numbers[:50]],
        [b"HSET", b"hash", *numbers[:50]],
        [b"HSET", b"timed", *numbers[:50]],
        [b"HPEXPIRE", b"timed", b"5000", b"FIELDS", b"2", b"0", b"2"],
        [b"SADD", b"set", b"a", b"b", b"c"],
        [b"SADD", b"ints", *numbers[:40]],
        [b"ZADD", b"zset", b"1", b"a", b"2", b"b", b"inf", b"c"],
        [b"GEOADD", b"geo", b"13.3", b"38.1", b"m1", b"15", b"37.5", b"m2", b"-179", b"80", b"a"],
        [b"XADD", b"stream", b"1-1", b"f", b"v"],
        [b"XADD", b"stream", b"5-1", b"f", b"v"],
        [b"XGROUP", b"CREATE", b"stream", b"a", b"0"],
        [b"XREADGROUP", b"GROUP", b"a", b"b", b"COUNT", b"1", b"STREAMS", b"stream", b">"],
        [b"PFADD", b"hll", *numbers[:2000]],
        [b"RPUSH", b"biglist", *numbers],
        [b"SADD", b"bigset", *numbers],
        [b"HSET", b"bighash", *numbers],
        [b"ZADD", b"bigzset", *(word for number in numbers[:30_000] for word in (number, number))],
    ]
