"""Keys as lines of JSON, without loss.

    line   := {"library": TEXT}
            | {"db": number, "key": TEXT, "type": name, "expire": ms (if it expires), "timed": true (of a hash,
               if fields of it expire), "value": VALUE, "state": STATE (of streams, in the
               last line), "cursor": index (of an array that has one, in the first line),
               "more": true (if the next line goes on with this key)}
    TEXT   := the string if its bytes are UTF-8, else {"base64": digits}
    VALUE  := TEXT                                      of a string
            | [TEXT ...]                                of a list or a set
            | [[field, value] or [field, value, deadline in ms] ...]             of a hash
            | [[member, score] ...]                     of a sorted set; infinite scores as "inf" and "-inf"
            | [["ms-seq", [field, value ...]] ...]      of a stream
            | [[index, TEXT] ...]                       of an array

A large key takes several lines, so that no line is very long; the values of its lines follow one another.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from diskkv import format
from diskkv.errors import BadDump
from diskkv.rdb.commands import stream_id
from diskkv.rdb.content import ID_BITS, Consumer, Content, Group, Item, Key, Library, Pending, Production, StreamState

TAGS = {name: tag for tag, name in format.TAG_NAMES.items()}
FAILURES = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def write_key(key: Key) -> Iterator[str]:
    """A key's lines."""
    content = key.content
    head: dict[str, Any] = {"db": key.db, "key": write_text(key.name), "type": format.TAG_NAMES[content.tag]}
    if key.expire is not None:
        head["expire"] = key.expire
    if content.timed:
        head["timed"] = True
    if content.cursor is not None:
        head["cursor"] = content.cursor
    part = next(content.parts, None)
    while part is not None:
        following = next(content.parts, None)
        line = {**head, "value": _write_part(content, part)}
        if following is not None:
            line["more"] = True
        elif content.state is not None:
            line["state"] = _write_state(content.state)
        yield json.dumps(line, ensure_ascii=False)
        head.pop("expire", None)
        head.pop("cursor", None)
        part = following
        if part is None:
            return
    empty: dict[str, Any] = {**head, "value": "" if content.tag == format.STRING else []}
    if content.state is not None:
        empty["state"] = _write_state(content.state)
    yield json.dumps(empty, ensure_ascii=False)


def write_library(library: Library) -> str:
    """A function library's line."""
    return json.dumps({"library": write_text(library.code)}, ensure_ascii=False)


def write_text(raw: bytes) -> Any:
    """TEXT of the grammar."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode("ascii")}


def _write_part(content: Content, part: Any) -> Any:
    text = write_text
    if content.tag == format.STRING:
        return text(part)
    if content.tag in (format.LIST, format.SET):
        return list(map(text, part))
    if content.tag == format.ZSET:
        return [[text(part[at]), _write_score(part[at + 1])] for at in range(0, len(part), 2)]
    if content.tag == format.STREAM:
        return [[stream_id(number).decode(), list(map(text, items))] for number, items in part]
    if content.tag == format.ARRAY:
        return [[index, text(data)] for index, data in part]
    if not content.timed:
        return [[text(part[at]), text(part[at + 1])] for at in range(0, len(part), 2)]
    return [[text(part[at]), text(part[at + 1]), *([part[at + 2]] if part[at + 2] else [])] for at in range(0, len(part), 3)]


def _write_score(score: float) -> Any:
    return score if abs(score) != float("inf") else "inf" if score > 0 else "-inf"


def _write_state(state: StreamState) -> dict[str, Any]:
    def number(value: int) -> str:
        return stream_id(value).decode()

    return {
        "last": number(state.last),
        "max_deleted": number(state.max_deleted),
        "added": state.added,
        "groups": [
            {
                "name": write_text(group.name),
                "last": number(group.last),
                "read": group.read,
                "consumers": [[write_text(one.name), one.seen, one.active] for one in group.consumers],
                "pending": [
                    [number(one.id), None if one.consumer is None else write_text(one.consumer), one.time, one.count]
                    for one in group.pending
                ],
                **({"released": list(map(number, group.released))} if group.released else {}),
            }
            for group in state.groups
        ],
        **({} if state.production is None else {"production": _write_production(state.production)}),
    }


def _write_production(production: Production) -> dict[str, Any]:
    return {
        "seconds": production.seconds,
        "most": production.most,
        "added": production.added,
        "duplicates": production.duplicates,
        "producers": [
            [write_text(name), [[write_text(message), stream_id(number).decode()] for message, number in messages]]
            for name, messages in production.producers.items()
        ],
    }


def read_lines(lines: Iterable[bytes]) -> Iterator[Item]:
    """The items of some lines. A key's content must be taken before the next item is asked for. BadDump when a line is none."""
    rest = enumerate(lines, 1)
    for place, raw in rest:
        if not raw.strip():
            continue
        line = _parse(place, raw)
        try:
            if "library" in line:
                yield Library(read_text(line["library"]))
                continue
            tag = TAGS[line["type"]]
            name = read_text(line["key"])
            expire = line.get("expire")
            state = StreamState() if tag == format.STREAM else None
            timed = tag == format.HASH and (bool(line.get("timed")) or any(len(pair) > 2 for pair in line["value"]))
            count = None if line.get("more") else _count(tag, line["value"])
            parts = chain((_read_part(tag, line, timed, state),), _following(rest, tag, line, timed, state))
            cursor = None if line.get("cursor") is None else _index(line["cursor"])
            found = Key(int(line["db"]), name, Content(tag, count, parts, timed=timed, state=state, cursor=cursor), expire)
            if (expire is not None and expire.__class__ is not int) or found.db < 0:
                raise ValueError
        except FAILURES as error:
            raise BadDump(f"line {place}: {error!r}") from None
        yield found
        for _ in parts:
            pass


def _following(rest: Iterator[tuple[int, bytes]], tag: int, line: dict[str, Any], timed: bool, state: StreamState | None) -> Iterator[Any]:
    """The parts in the lines that go on with a key."""
    head = line["db"], line["key"], line["type"]
    while line.get("more"):
        place, raw = next(rest, (0, b""))
        if not place:
            raise BadDump("the last line says that there is more")
        line = _parse(place, raw)
        try:
            if (line["db"], line["key"], line["type"]) != head:
                raise BadDump(f"line {place} does not go on with the key of the line before")
            part = _read_part(tag, line, timed, state)
        except FAILURES as error:
            raise BadDump(f"line {place}: {error!r}") from None
        yield part


def _parse(place: int, raw: bytes) -> dict[str, Any]:
    try:
        line = json.loads(raw)
    except ValueError as error:
        raise BadDump(f"line {place}: {error}") from None
    if not isinstance(line, dict):
        raise BadDump(f"line {place} is no object")
    return line


def _count(tag: int, value: Any) -> int:
    return len(read_text(value)) if tag == format.STRING else len(value)


def read_text(text: Any) -> bytes:
    """TEXT of the grammar."""
    if isinstance(text, str):
        return text.encode("utf-8")
    return base64.b64decode(text["base64"], validate=True)


def _read_part(tag: int, line: dict[str, Any], timed: bool, state: StreamState | None) -> Any:
    value = line["value"]
    text = read_text
    if state is not None and "state" in line:
        _read_state(line["state"], state)
    if tag == format.STRING:
        return text(value)
    if not isinstance(value, list):
        raise TypeError("a collection is no array")
    if tag in (format.LIST, format.SET):
        return list(map(text, value))
    if tag == format.STREAM:
        return [(_read_id(number), tuple(map(text, items))) for number, items in value]
    if tag == format.ARRAY:
        return [(_index(index), text(data)) for index, data in value]
    if tag == format.ZSET:
        return [part for member, score in value for part in (text(member), _read_score(score))]
    if timed:
        return [part for field, item, *rest in value for part in (text(field), text(item), int(rest[0]) if rest else 0)]
    return [part for field, item in value for part in (text(field), text(item))]


def _read_score(score: Any) -> float:
    number = float(score)
    if number != number:
        raise ValueError("a score is not a number")
    return number + 0.0


def _read_id(text: str) -> int:
    ms, _, seq = text.partition("-")
    if not 0 <= int(ms) <= 1 << ID_BITS or not 0 <= int(seq) < 1 << ID_BITS:
        raise ValueError("an id is out of range")
    return int(ms) << ID_BITS | int(seq)


def _index(number: int) -> int:
    if not 0 <= int(number) < (1 << 64) - 1:
        raise ValueError("an index is out of range")
    return int(number)


def _read_production(raw: dict[str, Any]) -> Production:
    producers = {
        read_text(name): [(read_text(message), _read_id(number)) for message, number in messages] for name, messages in raw["producers"]
    }
    return Production(int(raw["seconds"]), int(raw["most"]), int(raw["added"]), int(raw["duplicates"]), producers)


def _read_state(raw: dict[str, Any], state: StreamState) -> None:
    state.last, state.max_deleted, state.added = _read_id(raw["last"]), _read_id(raw["max_deleted"]), int(raw["added"])
    for group in raw["groups"]:
        read = group["read"]
        state.groups.append(
            Group(
                read_text(group["name"]),
                _read_id(group["last"]),
                None if read is None else int(read),
                [
                    Consumer(read_text(name), int(seen), None if active is None else int(active))
                    for name, seen, active in group["consumers"]
                ],
                [
                    Pending(_read_id(number), None if owner is None else read_text(owner), int(time), int(count))
                    for number, owner, time, count in group["pending"]
                ],
                list(map(_read_id, group.get("released", ()))),
            )
        )
        unowned = sorted(one.id for one in state.groups[-1].pending if one.consumer is None)
        if unowned != sorted(state.groups[-1].released):
            raise ValueError("what was given back is not what is pending for nobody")
    if "production" in raw:
        state.production = _read_production(raw["production"])
