"""Reply values into what redis-py's parser makes of the bytes that a server would have sent.

`PLAIN[protocol]` is a table like those of `resp/encode.py`: from the type of a value to its function. The results are new objects
that share nothing changeable with the store. They are undecoded; `decode` is the second step, where it is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis import _parsers
from redis._parsers.base import BaseParser
from redis.connection import DefaultParser

from diskkv.errors import CommandError
from diskkv.lib.numbers import format_double
from diskkv.replies import Digits, Encoded, Named, NilArray, NoReply, OrderedSet, Pairs, Push, Score, Simple, Spoken, Verbatim
from diskkv.resp.decode import decode as decode_reply

Maker = Callable[[Any], Any]
# redis-py chooses the class by the error's text. (Its annotations have gaps, so some of it is `Any` here.)
_parse_error: Callable[[str], Exception] = BaseParser.parse_error


class Pushed(list[Any]):
    """What arrived out of band, in RESP3."""


class Makers(dict[type, Maker]):
    """A table that looks a type's bases up when the type itself isn't there, and remembers what it found."""

    def __missing__(self, kind: type) -> Maker:
        for base in kind.__mro__:
            maker = self.get(base)
            if maker is not None:
                self[kind] = maker
                return maker
        raise TypeError(f"no reply can be made of {kind.__name__}")


def exception(error: CommandError) -> Exception:
    """The exception of redis-py's that stands for an error reply."""
    return _parse_error(error.line().decode("utf-8", "replace"))


def decode(value: Any, encoder: Any) -> Any:
    """A plain reply with its bytes decoded, if that is what the encoder is set to."""
    return _decode(value, encoder.encoding, encoder.encoding_errors) if encoder.decode_responses else value


def _decode(value: Any, encoding: str, errors: str) -> Any:
    kind = value.__class__
    if kind is bytes:
        return value.decode(encoding, errors)
    if kind is list or kind is Pushed or kind is set:
        return kind([_decode(item, encoding, errors) for item in value])
    if kind is dict:
        return {_decode(key, encoding, errors): _decode(item, encoding, errors) for key, item in value.items()}
    return value


def _same(value: Any) -> Any:
    return value


def _nothing(value: Any) -> None:
    return None


def _common(table: Makers) -> Makers:
    def items(value: Any) -> list[Any]:
        return [item if item.__class__ is bytes else table[item.__class__](item) for item in value]

    def decoded(encoded: Encoded) -> Any:
        value = decode_reply(encoded.wire)
        try:
            return table[value.__class__](value)
        except RecursionError:
            return exception(CommandError("the script's reply is nested too deeply"))

    table.update(
        {
            type(None): _nothing,
            NilArray: _nothing,
            NoReply: _nothing,
            bytes: _same,
            int: _same,
            bool: int,
            list: items,
            tuple: items,
            Simple: lambda simple: simple.text,
            Verbatim: lambda verbatim: verbatim.text,
            CommandError: exception,
            Encoded: decoded,
        }
    )
    return table


def _resp2() -> Makers:
    table = _common(Makers())
    items = table[list]
    table.update(
        {
            float: format_double,
            set: items,
            frozenset: items,
            OrderedSet: items,
            dict: lambda mapping: items([part for pair in mapping.items() for part in pair]),
            Score: lambda score: format_double(score.value),
            Digits: lambda digits: digits.text,
            Push: lambda push: items(push.items),
            Named: lambda named: items(named.items),
            Pairs: lambda pairs: items([part for pair in pairs.items for part in pair]),
        }
    )
    return table


def _resp3() -> Makers:
    table = _common(Makers())
    items = table[list]

    def collection(value: Any) -> Any:
        made = items(value)
        if SETS_ARE_LISTS:
            return made
        try:
            return set(made)
        except TypeError:
            return made

    table.update(
        {
            float: _same,
            set: collection,
            frozenset: collection,
            OrderedSet: collection,
            dict: lambda mapping: {table[key.__class__](key): table[item.__class__](item) for key, item in mapping.items()},
            Score: lambda score: float(score.value),
            Push: lambda push: Pushed(items(push.items)),
            Named: lambda named: {table[key.__class__](key): table[item.__class__](item) for key, item in named.items},
            Pairs: lambda pairs: items(pairs.items),
        }
    )
    return table


class _OneSet:
    """Stands for a parser's buffer that holds an empty set."""

    def readline(self, **_: Any) -> bytes:
        return b"~0"

    def close(self) -> None:
        """Nothing was opened."""


def _sets_are_lists() -> bool:
    """Whether this redis-py reads a RESP3 set as a list: with hiredis it does, its own parser did not in 5.0."""
    parsers: Any = _parsers
    if DefaultParser is parsers._HiredisParser:
        return True
    parser = parsers._RESP3Parser(socket_read_size=16)
    parser._buffer = _OneSet()
    return isinstance(parser._read_response(), list)


SETS_ARE_LISTS = _sets_are_lists()
PLAIN: dict[int, Makers] = {2: _resp2(), 3: _resp3()}
for _table in PLAIN.values():
    _table[Spoken] = lambda spoken: PLAIN[spoken.protocol][spoken.reply.__class__](spoken.reply)
