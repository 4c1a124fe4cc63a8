"""A value's fingerprint: the one that Redis' DEBUG DIGEST-VALUE computes, so that equal data give equal texts there and here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha1
from typing import Any

from diskkv.lib.numbers import format_shortest
from diskkv.store.value import Value
from diskkv.types.arrays import Array
from diskkv.types.hashes import Hash
from diskkv.types.ledgers import ID_MAX
from diskkv.types.lists import List
from diskkv.types.sets import Set
from diskkv.types.streams import Stream
from diskkv.types.strings import String
from diskkv.types.zsets import ZSet

EMPTY = bytes(20)
# How many elements of a long list or stream are in memory at once.
RUN = 1000


def combine(digest: bytes, data: bytes) -> bytes:
    """Add data whose place in a sequence does not matter."""
    return bytes(map(int.__xor__, digest, sha1(data).digest()))


def mix(digest: bytes, data: bytes) -> bytes:
    """Add data whose place in a sequence matters."""
    return sha1(combine(digest, data)).digest()


def mix_all(*parts: bytes) -> bytes:
    """The digest of a fixed sequence."""
    digest = EMPTY
    for part in parts:
        digest = mix(digest, part)
    return digest


def digest_value(value: Value, digest: bytes = EMPTY) -> bytes:
    """Add a value's type, content and whether it expires to a digest. REQUIRES: nothing is changed meanwhile."""
    number, add = KINDS[type(value)]
    digest = add(value, mix(digest, number.to_bytes(4, "big")))
    return combine(digest, b"!!expire!!") if value.expire is not None else digest


def _string(value: String, digest: bytes) -> bytes:
    return mix(digest, value.value())


def _list(value: List, digest: bytes) -> bytes:
    for start in range(0, len(value), RUN):
        for element in value.range(start, start + RUN - 1):
            digest = mix(digest, element)
    return digest


def _set(value: Set, digest: bytes) -> bytes:
    for member in value.members():
        digest = combine(digest, member)
    return digest


def _zset(value: ZSet, digest: bytes) -> bytes:
    for member, score in value.items():
        digest = combine(digest, mix_all(member, format_shortest(score)))
    return digest


def _hash(value: Hash, digest: bytes) -> bytes:
    for field, content in value.items():
        digest = combine(digest, mix_all(field, content))
    return digest


def _stream(value: Stream, digest: bytes) -> bytes:
    for entry, items in _entries(value):
        digest = mix(digest, b"%d.%d" % divmod(entry, 1 << 64))
        for item in items:
            digest = mix(digest, item)
    return digest


def _entries(value: Stream) -> Iterator[tuple[int, Any]]:
    start = 0
    while entries := value.range(start, ID_MAX, RUN):
        yield from entries
        start = entries[-1][0] + 1


def _array(value: Array, digest: bytes) -> bytes:
    for index, data in value.scan():
        digest = mix(mix(digest, b"%d" % index), data)
    return digest


# The numbers are Redis' own for the types.
KINDS: dict[type[Value], tuple[int, Callable[[Any, bytes], bytes]]] = {
    String: (0, _string),
    List: (1, _list),
    Set: (2, _set),
    ZSet: (3, _zset),
    Hash: (4, _hash),
    Stream: (6, _stream),
    Array: (8, _array),
}
