"""Scripts for the tester: what the placeholder `<script>` stands for, and the table of these commands."""

from __future__ import annotations

from .words import WORDS, Source, among

# Each takes a key of any type and a text. Nothing in them depends on the order of a set, or on the digits of a double.
SCRIPTS = (
    b"return redis.call('get', KEYS[1])",
    b"return redis.pcall('get', KEYS[1])",
    b"return redis.call('set', KEYS[1], ARGV[1])",
    b"redis.call('set', KEYS[1], ARGV[1]) return redis.call('append', KEYS[1], ARGV[1])",
    b"return redis.call('lpush', KEYS[1], ARGV[1], ARGV[1])",
    b"return redis.call('lrange', KEYS[1], 0, 5)",
    b"return {redis.pcall('rpop', KEYS[1]), redis.pcall('llen', KEYS[1])}",
    b"return redis.call('hset', KEYS[1], ARGV[1], 'x')",
    b"return redis.call('hget', KEYS[1], ARGV[1])",
    b"return redis.call('sadd', KEYS[1], ARGV[1])",
    b"return redis.call('zadd', KEYS[1], 3, ARGV[1])",
    b"return redis.call('zrange', KEYS[1], 0, 3)",
    b"redis.setresp(3) return redis.call('zrange', KEYS[1], 0, 3)",
    b"redis.setresp(3) local r = redis.pcall('hgetall', KEYS[1]) return r.err or r.map[ARGV[1]]",
    b"return redis.call('type', KEYS[1])",
    b"return redis.call('del', KEYS[1])",
    b"return redis.call('expire', KEYS[1], 1000)",
    b"return redis.call('exists', KEYS[1], KEYS[2])",
    b"redis.call('incr', KEYS[1]) error('stop')",
    b"redis.call('incr', KEYS[1]) error({err = 'OWN stop'})",
    b"local ok, e = pcall(redis.call, 'incr', KEYS[1]) return {ok, e}",
    b"return {KEYS, ARGV, #KEYS, tonumber(ARGV[1])}",
    b"return cjson.encode({ARGV[1], #ARGV[1], cjson.null})",
    b"return cjson.decode(ARGV[1])",
    b"return cmsgpack.pack(ARGV[1], #ARGV[1], {1, {a = ARGV[1]}})",
    b"return struct.pack('>Hs', #ARGV[1], ARGV[1])",
    b"return redis.sha1hex(ARGV[1])",
    b"return redis.error_reply(ARGV[1])",
    b"return redis.status_reply(ARGV[1])",
    b"return nosuch",
    b"return redis.call(ARGV[1], KEYS[1])",
    b"redis.call('select', 1) return redis.call('exists', KEYS[1])",
    b"#!lua flags=no-writes\nreturn redis.call('incr', KEYS[1])",
    b"#!lua\nreturn redis.call('strlen', KEYS[1])",
    b"return",
    b"return if",
)


def script(source: Source) -> bytes:
    """One of the scripts, or something that is none."""
    return source.odd_word() if source.odd(0.02) else source.rng.choice(SCRIPTS)


WORDS["script"] = script
KNOWN = b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"  # of `return 1`
WORDS["sha"] = among((KNOWN, KNOWN.upper(), b"x", b"0" * 40))

TABLE = """
20 EVAL <script> 1 <any> <text>
3 EVAL_RO <script> 1 <any> <text>
2 EVAL <script> (0 | 2 | -1 | 3 | <odd>) <any> <text>
1 EVAL <script>
2 EVALSHA <sha> 0
1 EVALSHA_RO <sha> (0 | 1 | <odd>)
1 SCRIPT LOAD <script>
1 SCRIPT EXISTS <sha>+
0.3 SCRIPT FLUSH [SYNC | ASYNC | NOPE]
0.3 SCRIPT (KILL | NOPE | LOAD)
1 FCALL (nosuch | <odd>) (0 | -1 | <odd>) <any>
1 FUNCTION (LIST | STATS | KILL | NOPE | DELETE nosuch | LOAD x | FLUSH NOPE | RESTORE x)
"""
