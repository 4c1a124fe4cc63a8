"""Every key shape, built and taken apart. See the package's docstring for the grammar."""

from __future__ import annotations

from collections.abc import Callable

import xxhash

from diskkv.format.ordered import pack_u32, pack_u64, unpack_u32, unpack_u64

META = b"M"
DATA = b"D"
EXPIRY = b"E"
GARBAGE = b"G"
SYSTEM = b"X"
# what the names of documents begin with
DOCUMENT = b"document:"


def meta_prefix(epoch: int) -> bytes:
    """What every meta key of a database begins with; the user's key follows it."""
    return META + pack_u32(epoch)


def data_prefix(oid: int) -> bytes:
    """What every data key of an object begins with; kind and sub follow it."""
    return DATA + pack_u64(oid)


def expiry_key(expire: int, epoch: int, key: bytes) -> bytes:
    return EXPIRY + pack_u64(expire) + pack_u32(epoch) + key


def split_expiry(raw: bytes) -> tuple[int, int, bytes]:
    """An expiry record's time, epoch and user key."""
    return unpack_u64(raw, 1), unpack_u32(raw, 9), raw[13:]


def garbage_object(oid: int) -> bytes:
    return GARBAGE + pack_u64(oid) + b"o"


def garbage_epoch(epoch: int) -> bytes:
    return GARBAGE + pack_u64(epoch) + b"e"


def garbage_group(oid: int, group: int) -> bytes:
    return GARBAGE + pack_u64(oid) + pack_u32(group) + b"g"


def after(prefix: bytes) -> bytes:
    """The first key behind all that begin with `prefix`. REQUIRES: `prefix` has a byte below 0xff."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,))


def member_hasher(seed: int) -> Callable[[bytes], bytes]:
    """The store's `hash32`: member -> the four bytes that its record sorts by."""
    digest = xxhash.xxh3_64_digest

    def hash32(member: bytes) -> bytes:
        raw: bytes = digest(member, seed)
        return raw[:4]

    return hash32


def message_hasher(seed: int) -> Callable[[bytes], int]:
    """The store's `hash128`: what a message of a stream's producer is found by."""
    digest = xxhash.xxh3_128_intdigest

    def hash128(message: bytes) -> int:
        number: int = digest(message, seed)
        return number

    return hash128
