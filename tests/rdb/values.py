"""Commands that make values of every type, size and encoding, by a seed."""

from __future__ import annotations

import struct
from random import Random

EDGES = [edge + by for bits in (0, 7, 8, 12, 13, 15, 16, 23, 24, 31, 32, 62) for edge in (1 << bits, -(1 << bits)) for by in (-1, 0, 1)]
EDGES += [(1 << 63) - 1, -(1 << 63)]
SIZES = (1, 2, 20, 128, 129, 600, 1500)


def word(rng: Random) -> bytes:
    """A string: an integer at some edge, random bytes around the limits of encodings, or something that compresses."""
    chance = rng.random()
    if chance < 0.3:
        return b"%d" % rng.choice(EDGES)
    if chance < 0.4:
        return rng.randbytes(rng.choice((0, 1, 63, 64, 65, 127, 128)))
    if chance < 0.43:
        return b"abc" * rng.randrange(1, 3000)
    if chance < 0.44:
        return rng.randbytes(rng.choice((4095, 4096, 16383, 16384)))
    return b"w%d" % rng.randrange(100_000)


def string(rng: Random, key: bytes) -> list[list[bytes]]:
    value = rng.choice([word(rng), b"x" * rng.randrange(300_000), rng.randbytes(70_000), b"", b"12345678901234567890"])
    return [[b"SET", key, value]]


def list_(rng: Random, key: bytes) -> list[list[bytes]]:
    return [[b"RPUSH", key, *(word(rng) for _ in range(rng.choice(SIZES)))]]


def set_(rng: Random, key: bytes) -> list[list[bytes]]:
    bits = rng.choice((15, 31, 63, 0))
    count = rng.choice(SIZES)
    if bits:
        return [[b"SADD", key, *(b"%d" % rng.randrange(-(1 << bits), 1 << bits) for _ in range(count))]]
    return [[b"SADD", key, *(word(rng) for _ in range(count))]]


def hash_(rng: Random, key: bytes) -> list[list[bytes]]:
    return [[b"HSET", key, *(word(rng) for _ in range(2 * rng.choice(SIZES)))]]


def zset(rng: Random, key: bytes) -> list[list[bytes]]:
    command = [b"ZADD", key]
    for _ in range(rng.choice(SIZES)):
        score = struct.unpack("<d", rng.randbytes(8))[0]
        usual = b"%r" % score if score == score else b"0"
        # Not -0.0, which Redis keeps in large sorted sets only and diskkv never.
        command += [rng.choice([b"inf", b"-inf", b"0", b"%d" % rng.randrange(-5, 1 << 50), usual]), word(rng)]
    return [command]


def stream(rng: Random, key: bytes) -> list[list[bytes]]:
    commands = []
    ms = 0
    for seq in range(1, rng.choice((1, 5, 130, 400)) + 1):
        ms += rng.choice((0, 0, 1, 5, 1 << 33))
        fields = [b"a", word(rng), b"b", word(rng)] if rng.random() < 0.7 else [word(rng) for _ in range(2 * rng.randrange(1, 4))]
        commands.append([b"XADD", key, b"%d-%d" % (ms, seq), *fields])
        if rng.random() < 0.1:
            commands.append([b"XDEL", key, b"%d-%d" % (ms, seq)])
    for group in rng.sample([b"g1", b"g2", b"\xff"], rng.randrange(4)):
        commands.append([b"XGROUP", b"CREATE", key, group, rng.choice([b"0", b"$", b"5-5"])])
        commands.append([b"XGROUP", b"CREATECONSUMER", key, group, b"idle"])
        for consumer in (b"alice", b"bob"):
            commands.append([b"XREADGROUP", b"GROUP", group, consumer, b"COUNT", b"%d" % rng.choice((1, 10, 200)), b"STREAMS", key, b">"])
        commands.append([b"XACK", key, group, b"%d-%d" % (ms, seq)])
    if rng.random() < 0.5:
        commands.append([b"XDEL", key, b"%d-%d" % (ms, seq)])
    return commands


MAKERS = (string, list_, set_, hash_, zset, stream)
