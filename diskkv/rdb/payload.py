"""DUMP's payloads: one value with a version and a checksum behind it."""

from __future__ import annotations

from diskkv import rdb
from diskkv.errors import BadDump
from diskkv.rdb.checksum import crc64
from diskkv.rdb.content import Content
from diskkv.rdb.dump import dump
from diskkv.rdb.load import load
from diskkv.rdb.source import Source

FOOTER = 10


class BadFooter(BadDump):
    """The version is too high or the checksum wrong."""


def write_payload(content: Content) -> bytes:
    """The payload of a content, of the lowest version that can hold it."""
    kind, version, pieces = dump(content)
    body = b"".join([bytes((kind,)), *pieces, version.to_bytes(2, "little")])
    return body + crc64(body).to_bytes(8, "little")


def read_payload(payload: bytes) -> Content:
    """The content of a payload, its parts taken. BadFooter, or BadDump when the value is damaged or of no known kind."""
    verify(payload)
    source = Source.of(payload[1:-FOOTER])
    content = load(payload[0], source)
    content.gather()
    return content


def verify(payload: bytes) -> None:
    """BadFooter when the version can't be read or the checksum is wrong."""
    at = len(payload) - FOOTER
    if at < 0 or int.from_bytes(payload[at : at + 2], "little") > rdb.NEWEST:
        raise BadFooter("a payload's version can't be read")
    if crc64(memoryview(payload)[: at + 2]) != int.from_bytes(payload[at + 2 :], "little"):
        raise BadFooter("a payload's checksum is wrong")
