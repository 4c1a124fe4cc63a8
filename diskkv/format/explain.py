"""Any record as one line for people. Whatever lies there, nothing is raised: what can't be read is shown as it is."""

from __future__ import annotations

import struct
from datetime import datetime, timezone

from diskkv.errors import Damaged
from diskkv.format import (
    BUCKET,
    COMPRESSED,
    CONSUMER,
    DEADLINE,
    EDITED,
    ELEMENT,
    ENTRY,
    EXPIRES,
    GROUP,
    HASH,
    LIST_RUN,
    MEMBER,
    MESSAGE,
    OWNED,
    PARTS,
    PENDING,
    PIECE,
    PRODUCER,
    RANKED,
    RECORDS,
    RELEASED,
    SLOT,
    STREAM,
    STRING,
    TAG_NAMES,
    TURN,
    WAITING,
    ZSET,
    keys,
)
from diskkv.format.groups import NOBODY, unpack_consumer, unpack_delivery, unpack_group, unpack_id
from diskkv.format.meta import Meta, decode, unpack_items, unpack_state, unpack_value
from diskkv.format.ordered import unpack_f64, unpack_u32, unpack_u64
from diskkv.format.producers import unpack_message, unpack_producer

# How much of a key or a value is shown.
SHOWN = 60


def explain(key: bytes, value: bytes) -> str:
    """What a record is and says. Never raises; never longer than about 300 characters."""
    table = TABLES.get(key[:1])
    if table is not None:
        try:
            return table(key, value)
        except (Damaged, struct.error, LookupError, ValueError, TypeError, OverflowError):
            pass
    return f"unreadable {quoted(key)} -> {quoted(value)}"


def place(key: bytes) -> str:
    """Where in the order of all records a key lies."""
    if key[:1] == keys.META and len(key) >= 5:
        return f"key {quoted(key[5:])} in epoch {unpack_u32(key, 1)}"
    if key[:1] == keys.DATA and len(key) >= 9:
        return f"oid {unpack_u64(key, 1)} {quoted(key[9:])}"
    return quoted(key)


def quoted(raw: bytes) -> str:
    """Bytes in double quotes, what is not printable ASCII as \\xNN, the middle of what is long left out."""
    shown = raw if len(raw) <= SHOWN else raw[: SHOWN - 10]
    text = "".join(ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in shown)
    return f'"{text}"' if len(raw) <= SHOWN else f'"{text}"... ({len(raw)} bytes)'


def moment(ms: int) -> str:
    """A time as people write it; those beyond the year 9999 as the number of ms."""
    try:
        at = datetime.fromtimestamp(ms / 1000, tz=timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"
    return f"{at:%Y-%m-%d %H:%M:%S}.{ms % 1000:03d}Z"


def _meta(key: bytes, value: bytes) -> str:
    epoch, meta = unpack_u32(key, 1), decode(value)
    kind = TAG_NAMES.get(meta.tag, f"tag {meta.tag}")
    expires = f" expires {moment(meta.expire)}" if meta.expire is not None else ""
    due = f" from {moment(meta.due)} on fields expire" if meta.due is not None else ""
    return f"meta epoch {epoch} {quoted(key[5:])} {kind} {_extent(meta)}{_flags(value[1])}{expires}{due}"


def _extent(meta: Meta) -> str:
    """How much an object holds, and where."""
    if meta.body is None:
        extras = f" extras {quoted(meta.extras)}" if meta.extras else ""
        return f"{meta.length} {'B' if meta.tag == STRING else 'entries'} in records of oid {meta.oid}{extras}"
    if meta.tag == STRING:
        return f"{len(meta.body)} B {quoted(meta.body)}"
    try:
        items = unpack_items(meta.body)
        # What stands before the entries are flags, and times of fields.
        count = sum(item.__class__ is not int and (meta.tag == STREAM or item.__class__ is not list) for item in items)
    except Exception:  # msgpack has a dozen ways to dislike what it reads
        return f"{len(meta.body)} B, unreadable"
    # A stream's entries come in pairs, too, behind what else stands in its body.
    return f"{count // 2 if meta.tag in (HASH, ZSET, STREAM) else count} entries, {len(meta.body)} B"


def _flags(flags: int) -> str:
    unknown = flags & ~(EXPIRES | RECORDS | COMPRESSED | PARTS | EDITED)
    named = (" lz4" if flags & COMPRESSED else "") + (" edited" if flags & EDITED else "")
    return named + (f" unknown flags {unknown:#x}" if unknown else "")


def _data(key: bytes, value: bytes) -> str:
    oid, kind = unpack_u64(key, 1), key[9:10]
    sub = key[10:]
    start = f"data oid {oid}"
    if kind == MEMBER:
        return f"{start} member {quoted(sub[4:])} hash {unpack_u32(sub):08x} -> {quoted(value)}"
    if kind == DEADLINE:
        return f"{start} field {quoted(sub[8:])} expires {moment(unpack_u64(sub))}"
    if kind == RANKED:
        return f"{start} ranked {unpack_f64(sub)!r} {quoted(sub[8:])}"
    if kind == BUCKET:
        # A sorted set's begins with a score, a list's is a position; the record alone does not tell which.
        return f"{start} bucket from {sub[:8].hex()} {quoted(sub[8:])} -> {unpack_u32(value)} entries"
    if kind == ELEMENT:
        return f"{start} element {unpack_u64(sub)} -> {quoted(unpack_value(value))}"
    if kind == LIST_RUN:
        offsets, *elements = unpack_items(unpack_value(value))
        return f"{start} run {unpack_u64(sub)} -> {', '.join(f'{at}: {quoted(item)}' for at, item in zip(offsets, elements, strict=False))}"
    if kind == ENTRY:
        return f"{start} entry {unpack_u64(sub)}-{unpack_u64(sub, 8)} -> {_fields(unpack_items(unpack_value(value)))}"
    if kind == SLOT:
        return f"{start} slot {unpack_u64(sub)} -> {quoted(unpack_value(value))}"
    if kind == PIECE:
        return f"{start} piece {unpack_u32(sub)} -> {len(unpack_value(value))} B"
    part = _group_part(kind, sub, value, start) or _producer_part(kind, sub, value, start)
    return part or f"{start} unknown kind {quoted(key[9:])} -> {quoted(value)}"


def _group_part(kind: bytes, sub: bytes, value: bytes, start: str) -> str | None:
    """A record of a stream's consumer group."""
    if kind == GROUP:
        group = unpack_group(value)
        read = f"{group.read} read" if group.read >= 0 else "how many read is unknown"
        waiting = f", {group.waiting.entries} of them up to {_id(group.waiting.upto)} by time" if group.waiting is not None else ""
        released = f", {group.released.entries} given back" if group.released is not None else ""
        place = f"{start} group {unpack_u32(sub)} {quoted(group.name)}"
        return f"{place} last {_id(group.last)} {read}, {group.pending} pending{waiting}{released}"
    if kind == CONSUMER:
        consumer = unpack_consumer(value)
        active = f"active {moment(consumer.active)}" if consumer.active >= 0 else "never active"
        place = f"{start} consumer {unpack_u32(sub, 4)} of group {unpack_u32(sub)} {quoted(consumer.name)}"
        return f"{place} seen {moment(consumer.seen)}, {active}, {consumer.pending} pending"
    if kind == PENDING:
        holder, time, times = unpack_delivery(value)
        place = f"{start} pending {_id(unpack_id(sub))} in group {unpack_u32(sub)}"
        if holder == NOBODY:
            return f"{place} for nobody, turn {time}, delivered {times} times"
        return f"{place} for consumer {holder} since {moment(time)}, delivered {times} times"
    if kind == OWNED:
        return f"{start} owned {_id(unpack_id(sub))} by consumer {unpack_u32(sub, 4)} of group {unpack_u32(sub)}"
    if kind == RELEASED:
        return f"{start} given back {_id(unpack_id(sub))} in group {unpack_u32(sub)}, turn {unpack_u64(sub, 4)}"
    if kind == WAITING:
        return f"{start} waiting since {moment(unpack_u64(sub, 4))} in group {unpack_u32(sub)}: {_id(unpack_id(sub))}"
    return None


def _producer_part(kind: bytes, sub: bytes, value: bytes, start: str) -> str | None:
    """A record of what a stream remembers of its producers' messages."""
    if kind == PRODUCER:
        producer = unpack_producer(value)
        place = f"{start} producer {unpack_u32(sub, 4)} of production {unpack_u32(sub)} {quoted(producer.name)}"
        return f"{place}, {producer.messages} messages"
    if kind == MESSAGE:
        message = unpack_message(value)
        place = f"{start} message {sub[4:].hex()} of production {unpack_u32(sub)} {quoted(message.name)}"
        return f"{place} of producer {message.producer}, turn {message.turn}: {_id(message.entry)}"
    if kind == TURN:
        turn = int.from_bytes(sub[8:], "big")
        return f"{start} turn {turn} of producer {unpack_u32(sub, 4)} of production {unpack_u32(sub)}: message {value.hex()}"
    return None


def _id(number: int) -> str:
    return f"{number >> 64}-{number & ((1 << 64) - 1)}"


def _fields(items: list[bytes]) -> str:
    """The first few of an entry's fields and values."""
    return " ".join(map(quoted, items[:4])) + (f" ... ({len(items)} fields and values)" if len(items) > 4 else "")


def _expiry(key: bytes, value: bytes) -> str:
    when, epoch, name = keys.split_expiry(key)
    return f"expiry {moment(when)} epoch {epoch} {quoted(name)}"


def _garbage(key: bytes, value: bytes) -> str:
    if key[13:] == b"g":
        return f"garbage group {unpack_u32(key, 9)} of oid {unpack_u64(key, 1)}"
    return f"garbage {GARBAGE_NAMES[key[9:]]} {unpack_u64(key, 1)}"


def _system(key: bytes, value: bytes) -> str:
    name = key[1:]
    if name == b"format":
        return f"system format {unpack_u32(value)}"
    if name == b"seed":
        return f"system seed {unpack_u64(value):016x}"
    if name.startswith(keys.DOCUMENT):
        text = unpack_value(value)
        return f"system document {quoted(name[len(keys.DOCUMENT) :])} -> {len(text)} B {quoted(text)}"
    if name != b"state":
        return f"system {quoted(name)} -> {quoted(value)}"
    try:
        state = unpack_state(value)
    except Exception:  # as above
        return f"system state unreadable {quoted(value)}"
    used = {number: tuple(entry) for number, entry in state["databases"].items() if entry[1] or entry[2]}
    databases = ", ".join(f"{number}: epoch {epoch} keys {count} expiring {some}" for number, (epoch, count, some) in used.items())
    segment, offset = state["log"]
    return f"system state log {segment}:{offset} next oid {state['oid']} next epoch {state['epoch']} databases {{{databases}}}"


ESCAPES = {ord('"'): '\\"', ord("\\"): "\\\\", 10: "\\n", 13: "\\r", 9: "\\t"}
GARBAGE_NAMES = {b"o": "oid", b"e": "epoch"}
TABLES = {keys.META: _meta, keys.DATA: _data, keys.EXPIRY: _expiry, keys.GARBAGE: _garbage, keys.SYSTEM: _system}
