"""HyperLogLogs in Redis' own bytes, so that a string made here is one that Redis would have made, and the other way round.

    hll     := "HYLL" encoding:u8 unused:3 cached:u64(little-endian) registers
    dense   := 16384 registers of 6 bits each, from the lowest bit of the first byte on
    sparse  := opcodes in the registers' order: 00nnnnnn = n+1 zeros, 01nnnnnn nnnnnnnn = n+1 zeros, 1vvvvvnn = n+1 times the value v+1

The highest bit of `cached` says that the cardinality there is out of date. All functions take whole strings for which `is_valid`
holds. Where a sparse one does not cover exactly all registers they raise `Corrupted`; `add` only if it comes upon that.

Nothing here loops over the registers: six-bit registers are base64 digits from the far end, the greater of two register sets is a few
operations on long integers. Measured: `count` of a dense one 0.1 ms, a union of two 0.1 ms, `add` 2 us (dense) to 25 us (sparse).
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections import Counter
from collections.abc import Iterable
from math import inf, isinf, sqrt
from struct import unpack_from

REGISTERS = 1 << 14
# Those of a hash's bits that do not choose the register.
Q = 50
MAGIC = b"HYLL"
HEADER = 16
DENSE_SIZE = HEADER + REGISTERS * 6 // 8
DENSE, SPARSE = 0, 1
EMPTY = MAGIC + bytes((SPARSE,)) + bytes(11) + b"\x7f\xff"
UNLIMITED = 1 << 62

# The greatest register, and the longest run of one, that a sparse opcode can say, and the longest run of zeros in one byte.
SPARSE_MOST = 32
VALUE_RUN = 4
ZERO_RUN = 64

_ALPHA = 0.721347520444481703680
_SEED = 0xADC83B19
_M = 0xC6A4A7935BD1E995
_MASK = (1 << 64) - 1
_STALE = 0x80

_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_DIGITS = bytes.maketrans(bytes(range(64)), _DIGITS)
_FROM_DIGITS = bytes.maketrans(_DIGITS, bytes(range(64)))

# The opcode of two bytes. Searched from the beginning of any opcode, it is found at the beginning of one.
_LONG = re.compile(rb"[\x40-\x7f].?", re.DOTALL)
# By opcode of one byte: how many registers it covers, and these.
_SPANS = bytes([op + 1 if op < 0x40 else (op & 3) + 1 if op >= 0x80 else 0 for op in range(256)])
_COVERED = [bytes(op + 1) if op < 0x40 else bytes(((op >> 2 & 31) + 1,)) * ((op & 3) + 1) for op in range(256)]
# Up to so many bytes, walking over opcodes one by one is faster than adding them up.
_FEW = 400
# How near to its goal a search by halves ends.
_NEAR = 32
# From so many elements on it pays to look at all registers at once.
_MANY = 32
# What a sparse opcode can say of registers in a row, and so many that not all opcodes that say them must have been joined.
_RUN = re.compile(rb"\0+|([^\0])\1{0,3}", re.DOTALL)
_CROWD = re.compile(rb"[^\0]{5}")
# How many opcodes are looked at for runs to be joined after a change, from the one before it on.
_JOINED = 5

_SEVENS = int.from_bytes(b"\x7f" * REGISTERS, "little")
_EIGHTS = int.from_bytes(b"\x80" * REGISTERS, "little")


class Corrupted(ValueError):
    """A sparse HyperLogLog whose opcodes do not cover all registers."""


def is_valid(data: bytes) -> bool:
    """Whether a string is a HyperLogLog as far as its header tells."""
    return len(data) >= HEADER and data[:4] == MAGIC and (data[4] == SPARSE or (data[4] == DENSE and len(data) == DENSE_SIZE))


def is_dense(data: bytes) -> bool:
    return data[4] == DENSE


# -- adding


def murmur(data: bytes) -> int:
    """MurmurHash64A with Redis' seed."""
    size = len(data)
    h = _SEED ^ (size * _M & _MASK)
    blocks = size >> 3
    if blocks:
        for k in unpack_from(f"<{blocks}Q", data):
            k = k * _M & _MASK
            h = (h ^ ((k ^ k >> 47) * _M & _MASK)) * _M & _MASK
    if size & 7:
        h = (h ^ int.from_bytes(data[blocks << 3 :], "little")) * _M & _MASK
    h = (h ^ h >> 47) * _M & _MASK
    return h ^ h >> 47


def place(element: bytes) -> tuple[int, int]:
    """The register that an element belongs to, and the least value that it must have."""
    h = murmur(element)
    rest = h >> 14 | 1 << Q
    return h & REGISTERS - 1, (rest & -rest).bit_length()


def add(data: bytes, elements: Iterable[bytes], limit: int) -> bytes | None:
    """The HyperLogLog with some more elements, None if that changes nothing. A sparse one longer than `limit` becomes dense."""
    places = list(map(place, elements))
    if data[4] == SPARSE and len(places) > _MANY:
        try:
            values = registers(data)
        except Corrupted:
            pass
        else:
            return _add_many(data, values, places, limit)
    return _add_each(data, places, limit)


def _add_many(data: bytes, values: bytes, places: list[tuple[int, int]], limit: int) -> bytes | None:
    """As `_add_each`, for a sparse one whose registers are known: most often what comes of it can be told from the registers at the end.

    What can't be said in `limit` bytes then has become dense on the way there, in whatever order the elements came. What can, even if no
    two registers shared an opcode, has not; and opcodes are joined in another order only where more than VALUE_RUN registers in a row are
    not zero. Those in `data` must have been joined like that, too.
    """
    raised = bytearray(values)
    steps = []
    for index, value in places:
        if raised[index] < value:
            raised[index] = value
            steps.append((index, value))
    if not steps:
        return None
    if max(raised) > SPARSE_MOST:
        return invalidated(bytearray(_packed(data, bytes(raised))))
    body, most = _spoken(raised)
    if HEADER + len(body) > limit:
        return invalidated(bytearray(_packed(data, bytes(raised))))
    if HEADER + most <= limit and _CROWD.search(raised) is None and _spoken(values)[0] == data[HEADER:]:
        return invalidated(bytearray(data[:HEADER] + body))
    return _add_each(data, steps, limit)


def _spoken(values: bytes | bytearray) -> tuple[bytes, int]:
    """Registers as the fewest sparse opcodes; and how many bytes these are if no two registers but zeros share one."""
    body = bytearray()
    shared = 0
    for found in _RUN.finditer(values):
        run = len(found[0])
        value = values[found.start()]
        if value:
            body.append(0x80 | value - 1 << 2 | run - 1)
            shared += run - 1
        else:
            body += bytes(_zeros(run))
    return bytes(body), len(body) + shared


def _add_each(data: bytes, places: Iterable[tuple[int, int]], limit: int) -> bytes | None:
    buffer: bytearray | None = None
    dense = data[4] == DENSE
    for index, value in places:
        held: bytes | bytearray = data if buffer is None else buffer
        if not dense:
            grown = _add_sparse(held, index, value, limit)
            if grown is None:
                buffer = bytearray(to_dense(bytes(held)))
                dense = True
                _set_dense(buffer, index, value)
            elif grown is not held:
                buffer = grown
        elif _get_dense(held, index) < value:
            if buffer is None:
                buffer = bytearray(data)
            _set_dense(buffer, index, value)
    return None if buffer is None else invalidated(buffer)


def invalidated(buffer: bytearray) -> bytes:
    """The string, its cached cardinality marked as out of date."""
    buffer[15] |= _STALE
    return bytes(buffer)


def _get_dense(data: bytes | bytearray, index: int) -> int:
    at, shift = HEADER + (index * 6 >> 3), index * 6 & 7
    # A register that begins at the third bit or before ends in the same byte.
    return (data[at] >> shift if shift <= 2 else (data[at] | data[at + 1] << 8) >> shift) & 63


def _set_dense(buffer: bytearray, index: int, value: int) -> None:
    at, shift = HEADER + (index * 6 >> 3), index * 6 & 7
    if shift <= 2:
        buffer[at] = buffer[at] & ~(63 << shift) & 255 | value << shift
        return
    both = (buffer[at] | buffer[at + 1] << 8) & ~(63 << shift) | value << shift
    buffer[at], buffer[at + 1] = both & 255, both >> 8 & 255


def _add_sparse(data: bytes | bytearray, index: int, value: int, limit: int) -> bytearray | None:
    """Data with a register raised: `data` itself when that changes nothing, None when the sparse form can't have it."""
    if value > SPARSE_MOST:
        return None
    before, at, first = _walk(data, index, HEADER, 0, -1) if len(data) <= _FEW else _find(data, index)
    op = data[at]
    if op >= 0x80 and (op >> 2 & 31) + 1 >= value:
        return data  # type: ignore[return-value]  # compared by identity only
    buffer = bytearray(data)
    return buffer if _raise_sparse(buffer, before, at, first, index, value, limit) else None


def _walk(data: bytes | bytearray, index: int, at: int, first: int, before: int) -> tuple[int, int, int]:
    """The opcode that covers a register: the place of the one before it (-1: none), its own, and the first register that it covers.

    Begins at the opcode at `at`, which covers register `first` and follows the one at `before`.
    """
    size = len(data)
    while at < size:
        op = data[at]
        if op < 0x40:
            span, width = op + 1, 1
        elif op >= 0x80:
            span, width = (op & 3) + 1, 1
        else:
            span, width = ((op & 63) << 8 | (data[at + 1] if at + 1 < size else 0)) + 1, 2
        if index < first + span:
            return before, at, first
        before = at
        at += width
        first += span
    raise Corrupted


def _find(data: bytes | bytearray, index: int) -> tuple[int, int, int]:
    """As `_walk` from the beginning, adding up what lies between the opcodes of two bytes."""
    at, first, before = HEADER, 0, -1
    size = len(data)
    while at < size:
        found = _LONG.search(data, at)
        stop = found.start() if found is not None else size
        spans = data[at:stop].translate(_SPANS)
        behind = first + sum(spans)
        if index < behind:
            return _walk(data, index, *_nearer(spans, index, at, first, before))
        if found is None:
            break
        if stop > at:
            before = stop - 1
        span = ((data[stop] & 63) << 8 | (data[stop + 1] if stop + 1 < size else 0)) + 1
        if index < behind + span:
            return before, stop, behind
        before, at, first = stop, stop + 2, behind + span
    raise Corrupted


def _nearer(spans: bytes | bytearray, index: int, at: int, first: int, before: int) -> tuple[int, int, int]:
    """Where to begin a walk over one-byte opcodes, the first of which is at `at` and covers `first`: not far before register `index`."""
    low, high = 0, len(spans)
    while high - low > _NEAR:
        middle = (low + high) // 2
        covered = sum(spans[low:middle])
        if index < first + covered:
            high = middle
        else:
            low, first = middle, first + covered
    return (at + low, first, at + low - 1) if low else (at, first, before)


def _raise_sparse(buffer: bytearray, before: int, at: int, first: int, index: int, value: int, limit: int) -> bool:
    """Give a register the value. REQUIRES: the opcode at `at`, which covers it, says less. False: that would be too long.

    The opcodes come out as Redis' do, which depends on the order of changes: a run is split, and what is now alike near by is joined.
    """
    op = buffer[at]
    single = 0x80 | value - 1 << 2
    if op >= 0x80:
        run, width = (op & 3) + 1, 1
    elif op < 0x40:
        run, width = op + 1, 1
    else:
        run, width = ((op & 63) << 8 | (buffer[at + 1] if at + 1 < len(buffer) else 0)) + 1, 2
    if run == 1 and width == 1:
        buffer[at] = single
    else:
        left, right = index - first, first + run - 1 - index
        if op >= 0x80:
            parts = [op & 0xFC | left - 1] if left else []
            parts.append(single)
            if right:
                parts.append(op & 0xFC | right - 1)
        else:
            parts = [*_zeros(left), single, *_zeros(right)]
        if len(parts) > width and len(buffer) + len(parts) - width > limit:
            return False
        buffer[at : at + width] = parts
    at = before if before >= 0 else HEADER
    for _ in range(_JOINED):
        if at >= len(buffer):
            break
        op = buffer[at]
        if op < 0x80:
            at += 1 if op < 0x40 else 2
            continue
        if at + 1 < len(buffer):
            following = buffer[at + 1]
            length = (op & 3) + (following & 3) + 2
            if following & 0xFC == op & 0xFC and length <= VALUE_RUN:
                del buffer[at]
                buffer[at] = op & 0xFC | length - 1
                continue
        at += 1
    return True


def _zeros(run: int) -> tuple[int, ...]:
    if run > ZERO_RUN:
        return 0x40 | run - 1 >> 8, run - 1 & 255
    return (run - 1,) if run else ()


# -- all registers


def registers(data: bytes) -> bytes:
    """The values of all registers, one a byte."""
    if data[4] == DENSE:
        return b2a_base64(data[:15:-1], newline=False).translate(_FROM_DIGITS)[::-1]
    parts = []
    at = HEADER
    for found in _LONG.finditer(data, HEADER):
        stop = found.start()
        parts += [_COVERED[op] for op in data[at:stop]]
        at = found.end()
        parts.append(bytes(((data[stop] & 63) << 8 | (data[stop + 1] if at - stop > 1 else 0)) + 1))
    parts += [_COVERED[op] for op in data[at:]]
    values = b"".join(parts)
    if len(values) != REGISTERS:
        raise Corrupted
    return values


def registers_of(elements: Iterable[bytes]) -> bytes:
    """The registers that elements bring about, one a byte."""
    values = bytearray(REGISTERS)
    for element in elements:
        index, value = place(element)
        if values[index] < value:
            values[index] = value
    return bytes(values)


def union(one: bytes, other: bytes) -> bytes:
    """The greater value of each register."""
    a, b = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    # Each byte's highest bit stays where a's is not less than b's; it then becomes the seven ones below it.
    kept = ((a | _EIGHTS) - b) & _EIGHTS
    kept -= kept >> 7
    return (a & kept | b & (kept ^ _SEVENS)).to_bytes(REGISTERS, "little")


def to_dense(data: bytes) -> bytes:
    """The same HyperLogLog in its dense form."""
    return data if data[4] == DENSE else _packed(data, registers(data))


def _packed(data: bytes, values: bytes) -> bytes:
    """The dense form of these registers, with the header of `data`."""
    return MAGIC + bytes((DENSE,)) + data[5:HEADER] + a2b_base64(values[::-1].translate(_TO_DIGITS))[::-1]


def merge(data: bytes, values: bytes, limit: int, *, dense: bool) -> bytes:
    """The HyperLogLog whose registers are the greater ones of its own and these; in the dense form if asked for or if need be."""
    if dense or data[4] == DENSE:
        return invalidated(bytearray(_packed(data, union(registers(data), values))))
    buffer = bytearray(data)
    # Where to begin the next search: the opcode before the last one changed, which may have been joined to it. Then registers ascend.
    place = start = HEADER, 0, -1
    for index, value in enumerate(values):
        if not value:
            continue
        before, at, first = _walk(buffer, index, *place)
        if before < 0 or at == place[0]:
            place = start
        else:
            earlier, _, lowest = _walk(buffer, first - 1, *place)
            place = before, lowest, earlier
        if buffer[at] >= 0x80 and (buffer[at] >> 2 & 31) + 1 >= value:
            continue
        if not _raise_sparse(buffer, before, at, first, index, value, limit):
            return merge(bytes(buffer), values, limit, dense=True)
    return invalidated(buffer)


# -- counting


def cached(data: bytes) -> int | None:
    """The cardinality that the string says it has; None when that is out of date."""
    return None if data[15] & _STALE else int.from_bytes(data[8:16], "little")


def with_cached(data: bytes, cardinality: int) -> bytes:
    """The string with its cardinality noted."""
    return data[:8] + (cardinality & _MASK).to_bytes(8, "little") + data[HEADER:]


def count(data: bytes) -> int:
    """The estimated number of different elements."""
    if data[4] == DENSE:
        return estimate(_histogram(registers(data)))
    histogram = [0] * 64
    body = data[HEADER:]
    for raw in _LONG.findall(body):
        histogram[0] += ((raw[0] & 63) << 8 | (raw[1] if len(raw) > 1 else 0)) + 1
    for op, times in Counter(_LONG.sub(b"", body)).items():
        histogram[_COVERED[op][0]] += _SPANS[op] * times
    if sum(histogram) != REGISTERS:
        raise Corrupted
    return estimate(histogram)


def count_registers(values: bytes) -> int:
    """The same of registers, one a byte."""
    return estimate(_histogram(values))


def _histogram(values: bytes) -> list[int]:
    histogram = []
    left = REGISTERS
    for value in range(64):
        times = values.count(value) if left else 0
        histogram.append(times)
        left -= times
    return histogram


def estimate(histogram: list[int]) -> int:
    """Otmar Ertl's estimator (arXiv:1702.01284) of how many registers have each value, each step rounded as in Redis."""
    m = float(REGISTERS)
    z = m * _tau((m - histogram[Q + 1]) / m)
    for times in histogram[Q:0:-1]:
        z = (z + times) * 0.5
    z += m * _sigma(histogram[0] / m)
    cardinality = _ALPHA * m * m / z if z else inf
    if isinf(cardinality):
        # Registers that no elements can bring about; what C makes of infinity.
        return -(1 << 63)
    whole = int(cardinality)
    return whole + (cardinality - whole >= 0.5)


def _sigma(x: float) -> float:
    if x == 1.0:
        return inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x = sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) * (1 - x) * y
    return z / 3


# -- for PFDEBUG


def opcodes(data: bytes) -> bytes:
    """A sparse one's opcodes in Redis' words: z and Z with a run of zeros, v with a value and its run."""
    words = []
    at = HEADER
    while at < len(data):
        op = data[at]
        if op < 0x40:
            words.append(b"z:%d" % (op + 1))
        elif op >= 0x80:
            words.append(b"v:%d,%d" % ((op >> 2 & 31) + 1, (op & 3) + 1))
        else:
            words.append(b"Z:%d" % (((op & 63) << 8 | (data[at + 1] if at + 1 < len(data) else 0)) + 1))
            at += 1
        at += 1
    return b" ".join(words)
