"""The codecs sort, go there and back, and write what format 1 says for ever."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.errors import Damaged
from diskkv.format import ARRAY, HASH, SLOT, STREAM, STRING, ZSET, groups, keys, producers
from diskkv.format.explain import explain
from diskkv.format.meta import (
    Meta,
    decode,
    encode_header,
    encode_inline,
    pack_items,
    pack_state,
    pack_value,
    unpack_items,
    unpack_state,
    unpack_value,
)
from diskkv.format.ordered import pack_f64, pack_u32, pack_u64, unpack_f64, unpack_u32, unpack_u64

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
F64 = st.floats(allow_nan=False)


@given(U32, U32)
def test_u32(a: int, b: int) -> None:
    assert unpack_u32(pack_u32(a)) == a
    assert (a < b) == (pack_u32(a) < pack_u32(b))


@given(U64, U64)
def test_u64(a: int, b: int) -> None:
    assert unpack_u64(pack_u64(a)) == a
    assert (a < b) == (pack_u64(a) < pack_u64(b))


@given(F64, F64)
def test_f64(a: float, b: float) -> None:
    assert unpack_f64(pack_f64(a)) == a
    assert (a < b) == (pack_f64(a) < pack_f64(b))
    assert (a == b) == (pack_f64(a) == pack_f64(b))


def test_f64_at_its_ends() -> None:
    ascending = [-math.inf, -1.7976931348623157e308, -1.0, -5e-324, 0.0, 5e-324, 1.0, 1.7976931348623157e308, math.inf]
    assert sorted(map(pack_f64, ascending)) == [pack_f64(number) for number in ascending]
    assert math.copysign(1, unpack_f64(pack_f64(-0.0))) == 1


@given(st.sampled_from([STRING, HASH, 77]), st.one_of(st.none(), U64), st.binary(max_size=2000))
def test_inline_meta(tag: int, expire: int | None, body: bytes) -> None:
    assert decode(encode_inline(tag, expire, body)) == Meta(tag, expire, body, 0, 0, b"")


@given(st.sampled_from([STRING, ZSET]), st.one_of(st.none(), U64), U64, U64, st.binary(max_size=20))
def test_header_meta(tag: int, expire: int | None, oid: int, count: int, extras: bytes) -> None:
    assert decode(encode_header(tag, expire, oid, count, extras)) == Meta(tag, expire, None, oid, count, extras)


@given(st.binary(max_size=3000))
def test_values(value: bytes) -> None:
    assert unpack_value(pack_value(value)) == value


def test_values_that_pay_are_compressed() -> None:
    assert len(pack_value(b"x" * 10_000)) < 200
    assert unpack_value(pack_value(b"x" * 10_000)) == b"x" * 10_000


@given(st.lists(st.one_of(st.binary(), F64, st.integers(-(2**63), 2**64 - 1)), max_size=30))
def test_items(items: list[object]) -> None:
    assert unpack_items(pack_items(items)) == items


def test_state() -> None:
    state = {"log": [3, 17], "oid": 9, "epoch": 2, "databases": {0: [1, 5, 2], 3: [4, 0, 0]}}
    assert unpack_state(pack_state(state)) == state


@given(U64, U32, st.binary(max_size=30))
def test_expiry_keys(when: int, epoch: int, key: bytes) -> None:
    assert keys.split_expiry(keys.expiry_key(when, epoch, key)) == (when, epoch, key)


@given(st.binary(min_size=1, max_size=5).filter(lambda prefix: prefix.strip(b"\xff") != b""), st.binary(max_size=5))
def test_after(prefix: bytes, rest: bytes) -> None:
    if prefix.rstrip(b"\xff"):
        assert prefix + rest < keys.after(prefix)
        assert not keys.after(prefix).startswith(prefix)


@pytest.mark.parametrize("raw", [b"", b"\x01", b"\x01\x01", b"\x01\x01\0\0\0", b"\x02\x02\0\0", b"\x01\x04not lz4 at all"])
def test_what_is_no_meta_is_damaged(raw: bytes) -> None:
    with pytest.raises(Damaged):
        decode(raw)


@pytest.mark.parametrize("raw", [b"", b"\x02x", b"\x01not lz4"])
def test_what_is_no_packed_value_is_damaged(raw: bytes) -> None:
    with pytest.raises(Damaged):
        unpack_value(raw)


def test_format_1_to_the_byte() -> None:
    """Never change these: stores have them."""
    assert keys.meta_prefix(1) + b"user" == b"M\0\0\0\x01user"
    assert keys.data_prefix(7) == b"D\0\0\0\0\0\0\0\x07"
    assert keys.expiry_key(1_700_000_000_000, 2, b"k") == b"E\0\0\x01\x8b\xcf\xe5h\0\0\0\0\x02k"
    assert keys.garbage_object(258) == b"G\0\0\0\0\0\0\x01\x02o"
    assert keys.garbage_epoch(3) == b"G\0\0\0\0\0\0\0\x03e"
    assert encode_inline(STRING, None, b"value") == b"\x01\0value"
    assert encode_inline(STRING, 5, b"value") == b"\x01\x01\0\0\0\0\0\0\0\x05value"
    assert encode_header(HASH, None, 7, 300, b"\x01") == b"\x02\x02" + b"\0\0\0\0\0\0\0\x07" + b"\0\0\0\0\0\0\x01\x2c" + b"\x01"
    assert encode_header(ZSET, 5, 7, 1)[:10] == b"\x05\x03\0\0\0\0\0\0\0\x05"
    assert pack_value(b"v") == b"\0v"
    assert pack_items([b"f", b"v", 1.5]) == b"\x93\xc4\x01f\xc4\x01v\xcb?\xf8\0\0\0\0\0\0"
    assert pack_f64(1.5) == b"\xbf\xf8\0\0\0\0\0\0"
    assert pack_f64(-1.5) == b"\x40\x07\xff\xff\xff\xff\xff\xff"
    assert pack_f64(-math.inf) == b"\0\x0f\xff\xff\xff\xff\xff\xff"
    assert keys.garbage_group(258, 3) == b"G\0\0\0\0\0\0\x01\x02\0\0\0\x03g"
    assert (groups.group_sub(1), groups.consumer_sub(1, 2)) == (b"g\0\0\0\x01", b"n\0\0\0\x01\0\0\0\x02")
    assert (groups.pending_sub(1), groups.owned_sub(1, 2)) == (b"p\0\0\0\x01", b"o\0\0\0\x01\0\0\0\x02")
    assert groups.pack_delivery(2, 5, 1) == b"\0\0\0\x02" + b"\0\0\0\0\0\0\0\x05" + b"\0\0\0\0\0\0\0\x01"
    group = groups.GroupRecord(b"g", 1 << 64, -1, 3, 0, 2, 7)
    packed = b"\x97\xc4\x01g\xc4\x10" + groups.pack_id(1 << 64) + b"\xff\x03\xc4\x10" + bytes(16) + b"\xc4\x10" + bytes(15) + b"\x02\x07"
    assert (groups.pack_group(group), groups.unpack_group(packed)) == (packed, group)
    assert groups.waiting_sub(1) == b"t\0\0\0\x01"
    both = groups.waiting_number(5, 1 << 64 | 2)
    assert groups.numbered(groups.waiting_sub(1), both)[5:] == b"\0\0\0\0\0\0\0\x05" + groups.pack_id(1 << 64 | 2)
    assert groups.waiting_parts(both) == (5, 1 << 64 | 2)
    group = group._replace(waiting=groups.WaitingRecord(2, 3, 0, both))
    more = b"\xc4\x10" + bytes(15) + b"\x02\x03\xc4\x18" + bytes(24) + b"\xc4\x18" + both.to_bytes(24, "big")
    assert (groups.pack_group(group), groups.unpack_group(b"\x9b" + packed[1:] + more)) == (b"\x9b" + packed[1:] + more, group)
    assert groups.numbered(groups.released_sub(1), both) == b"k\0\0\0\x01\0\0\0\0\0\0\0\x05" + groups.pack_id(1 << 64 | 2)
    ends = b"\x09\x02\xc4\x18" + bytes(24) + b"\xc4\x18" + both.to_bytes(24, "big")
    group = group._replace(released=groups.ReleasedRecord(9, 2, 0, both))
    whole = b"\x9f" + packed[1:] + more + ends
    assert (groups.pack_group(group), groups.unpack_group(whole)) == (whole, group)
    group = group._replace(waiting=None)
    more = b"\xc0" * 4 + ends
    assert (groups.pack_group(group), groups.unpack_group(b"\x9f" + packed[1:] + more)) == (b"\x9f" + packed[1:] + more, group)
    production = producers.ProductionRecord(7, 100, 50, 9, 2, 4, 3, 8, 5, 1 << 64)
    head = b"".join(map(pack_u32, (7, 100, 50))) + pack_u64(9) + pack_u64(2) + pack_u32(4) + pack_u32(3) + pack_u64(8)
    head += bytes(15) + b"\x05" + groups.pack_id(1 << 64)
    assert (producers.pack_production(production), producers.unpack_production(head)) == (head, production)
    assert producers.producer_sub(1, 2) == b"d\0\0\0\x01\0\0\0\x02"
    assert groups.numbered(producers.message_sub(1), 5) == b"i\0\0\0\x01" + bytes(15) + b"\x05"
    assert groups.numbered(producers.turn_sub(1, 2), 5) == b"q\0\0\0\x01\0\0\0\x02" + bytes(15) + b"\x05"
    producer = producers.ProducerRecord(b"p", 5, 3, 1, 4)
    assert (producers.pack_producer(producer), producers.unpack_producer(b"\x95\xc4\x01p\5\3\1\4")) == (b"\x95\xc4\x01p\5\3\1\4", producer)
    message = producers.MessageRecord(2, 5, 1 << 64, b"m")
    whole = pack_u32(2) + pack_u64(5) + groups.pack_id(1 << 64) + b"m"
    assert (producers.pack_message(message), producers.unpack_message(whole)) == (whole, message)
    consumer = groups.ConsumerRecord(b"c", 5, -1, 3, 0, 2)
    packed = b"\x96\xc4\x01c\x05\xff\x03\xc4\x10" + bytes(16) + b"\xc4\x10" + bytes(15) + b"\x02"
    assert (groups.pack_consumer(consumer), groups.unpack_consumer(packed)) == (packed, consumer)
    assert keys.member_hasher(42)(b"member").hex() == "5be5ac05"


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_anything_can_be_explained(key: bytes, value: bytes) -> None:
    kinds = tuple(b"D\0\0\0\0\0\0\0\x01" + kind for kind in (b"m", b"b", b"x", b"g", b"n", b"p", b"o", b"t", b"k", b"d", b"i", b"q"))
    for table in (b"", b"M", b"D", b"E", b"G", b"X", b"Xstate", b"Xformat", *kinds):
        line = explain(table + key, value)
        assert line
        assert "\n" not in line


def test_explanations() -> None:
    assert explain(b"M\0\0\0\x01user:1", encode_inline(STRING, 1_700_000_000_000, b"hello")) == (
        'meta epoch 1 "user:1" string 5 B "hello" expires 2023-11-14 22:13:20.000Z'
    )
    small = encode_inline(HASH, None, pack_items([b"f", b"v"]))
    assert explain(keys.meta_prefix(1) + b"h", small) == 'meta epoch 1 "h" hash 1 entries, 7 B'
    assert explain(keys.meta_prefix(1) + b"z", encode_header(ZSET, None, 7, 300)) == 'meta epoch 1 "z" zset 300 entries in records of oid 7'
    assert explain(keys.data_prefix(7) + b"m\0\0\0\x01a\n", b"\0v") == 'data oid 7 member "a\\n" hash 00000001 -> "\\x00v"'
    assert explain(keys.data_prefix(7) + b"r" + pack_f64(2.5) + b"x", b"") == 'data oid 7 ranked 2.5 "x"'
    assert explain(keys.data_prefix(7) + b"c" + pack_u32(3), b"\0abc") == "data oid 7 piece 3 -> 3 B"
    entry = pack_value(pack_items([b"f", b"v"]))
    assert explain(keys.data_prefix(7) + b"x" + pack_u64(5) + pack_u64(1), entry) == 'data oid 7 entry 5-1 -> "f" "v"'
    place = keys.data_prefix(7)
    group = groups.pack_group(groups.GroupRecord(b"workers", 5 << 64, -1, 3, 0, 2, 7))
    assert explain(place + groups.group_sub(1), group) == 'data oid 7 group 1 "workers" last 5-0 how many read is unknown, 3 pending'
    waiting = groups.GroupRecord(b"workers", 5 << 64, 5, 3, 0, 2, 7, groups.WaitingRecord(4 << 64, 2, 0, 0))
    assert explain(place + groups.group_sub(1), groups.pack_group(waiting)) == (
        'data oid 7 group 1 "workers" last 5-0 5 read, 3 pending, 2 of them up to 4-0 by time'
    )
    consumer = groups.pack_consumer(groups.ConsumerRecord(b"ann", 0, -1, 3, 0, 2))
    assert explain(place + groups.consumer_sub(1, 2), consumer) == (
        'data oid 7 consumer 2 of group 1 "ann" seen 1970-01-01 00:00:00.000Z, never active, 3 pending'
    )
    number = groups.pack_id(5 << 64 | 1)
    assert explain(place + groups.pending_sub(1) + number, groups.pack_delivery(2, 0, 4)) == (
        "data oid 7 pending 5-1 in group 1 for consumer 2 since 1970-01-01 00:00:00.000Z, delivered 4 times"
    )
    assert explain(place + groups.owned_sub(1, 2) + number, b"") == "data oid 7 owned 5-1 by consumer 2 of group 1"
    both = groups.waiting_number(1, 5 << 64 | 1)
    assert explain(place + groups.numbered(groups.waiting_sub(1), both), b"") == (
        "data oid 7 waiting since 1970-01-01 00:00:00.001Z in group 1: 5-1"
    )
    assert explain(place + groups.numbered(groups.released_sub(1), both), b"") == "data oid 7 given back 5-1 in group 1, turn 1"
    assert explain(place + groups.pending_sub(1) + number, groups.pack_delivery(groups.NOBODY, 3, 4)) == (
        "data oid 7 pending 5-1 in group 1 for nobody, turn 3, delivered 4 times"
    )
    released = groups.GroupRecord(b"workers", 5 << 64, 5, 3, 0, 2, 7, None, groups.ReleasedRecord(9, 2, 0, 0))
    assert explain(place + groups.group_sub(1), groups.pack_group(released)) == (
        'data oid 7 group 1 "workers" last 5-0 5 read, 3 pending, 2 given back'
    )
    producer = producers.pack_producer(producers.ProducerRecord(b"ann", 5, 3, 1, 4))
    assert explain(place + producers.producer_sub(1, 2), producer) == 'data oid 7 producer 2 of production 1 "ann", 3 messages'
    message = producers.pack_message(producers.MessageRecord(2, 4, 5 << 64 | 1, b"m"))
    assert explain(place + groups.numbered(producers.message_sub(1), 255), message) == (
        f'data oid 7 message {"0" * 30}ff of production 1 "m" of producer 2, turn 4: 5-1'
    )
    assert explain(place + groups.numbered(producers.turn_sub(1, 2), 4), bytes(15) + b"\xff") == (
        f"data oid 7 turn 4 of producer 2 of production 1: message {'0' * 30}ff"
    )
    assert explain(keys.garbage_group(7, 1), b"") == "garbage group 1 of oid 7"
    stream = encode_inline(STREAM, None, pack_items([bytes(56), bytes(16), [b"f", b"v"]]))
    assert explain(keys.meta_prefix(1) + b"x", stream).startswith('meta epoch 1 "x" stream 1 entries, ')
    array = encode_inline(ARRAY, None, pack_items([2**64 - 1, 7, b"seven", 2**64 - 2, b"last"]))
    assert explain(keys.meta_prefix(1) + b"x", array).startswith('meta epoch 1 "x" array 2 entries, ')
    assert explain(place + groups.numbered(SLOT, 258), pack_value(b"v")) == 'data oid 7 slot 258 -> "v"'
    assert groups.numbered(SLOT, 258) == b"a\0\0\0\0\0\0\x01\x02"
    assert explain(keys.data_prefix(7) + b"?x", b"") == 'data oid 7 unknown kind "?x" -> ""'
    assert explain(keys.expiry_key(2**62, 1, b"k"), b"") == f'expiry {2**62} ms epoch 1 "k"'
    assert explain(keys.garbage_epoch(3), b"") == "garbage epoch 3"
    assert explain(b"Xformat", pack_u32(1)) == "system format 1"
    assert explain(b"Q", b"") == 'unreadable "Q" -> ""'
