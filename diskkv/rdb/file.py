"""A whole RDB file, item by item."""

from __future__ import annotations

from collections.abc import Iterator

from diskkv import rdb
from diskkv.errors import BadDump
from diskkv.rdb.content import Item, Key, Library, Remark, Sizes, Skipped
from diskkv.rdb.load import LOADERS, EmptyValue, load
from diskkv.rdb.source import Source

SIGNATURE = b"REDIS"
MODULE_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# What parts of a module's value take: by opcode, how many bytes; integers and strings tell themselves.
MODULE_END, MODULE_SIGNED, MODULE_UNSIGNED, MODULE_FLOAT, MODULE_DOUBLE, MODULE_STRING = range(6)


def read_file(source: Source) -> Iterator[Item]:
    """The items of an RDB file up to and with its checksum. BadDump when it is none or is damaged.

    A key's content must be taken to the end before the next item is asked for. The checksum stands at the end: whoever must not act on
    damaged data has to wait for it.
    """
    if source.take(5) != SIGNATURE:
        raise BadDump("it does not begin as an RDB file does")
    digits = source.take(4)
    if not digits.isdigit():
        raise BadDump("it has no version")
    version = int(digits)
    if not 1 <= version <= rdb.NEWEST:
        raise BadDump(f"it has version {version}; versions from 1 to {rdb.NEWEST} can be read")
    db = 0
    expire: int | None = None
    idle: int | None = None
    while True:
        kind = source.byte()
        if kind in LOADERS:
            name = source.string()
            try:
                yield Key(db, name, load(kind, source), expire, idle)
            except EmptyValue:
                yield Skipped(f"the key {name!r} of database {db}, a collection without elements")
            expire = idle = None
        elif kind == rdb.EXPIRE_MS:
            expire = source.milliseconds()
        elif kind == rdb.EXPIRE:
            expire = 1000 * source.seconds()
        elif kind == rdb.IDLE:
            idle = source.length()
        elif kind == rdb.FREQ:
            source.byte()
        elif kind == rdb.SELECT_DB:
            db = source.length()
        elif kind == rdb.RESIZE_DB:
            keys = source.length()
            yield Sizes(db, keys, source.length())
        elif kind == rdb.AUX:
            name = source.string()
            yield Remark(name, source.string())
        elif kind == rdb.FUNCTION:
            yield Library(source.string())
        elif kind == rdb.MODULE_2:
            name = source.string()
            module = _module_name(source.length())
            _skip_module(source)
            yield Skipped(f"the key {name!r} of database {db}, a value of the module type {module}")
            expire = idle = None
        elif kind == rdb.MODULE_AUX:
            module = _module_name(source.length())
            if source.length() != MODULE_UNSIGNED:
                raise BadDump("a module's data is not as it must be")
            source.length()
            _skip_module(source)
            yield Skipped(f"data of the module type {module} beside the keys")
        elif kind == rdb.FUNCTION_PRE_GA:
            name = source.string()
            source.string()
            if source.length():
                source.string()
            source.string()
            yield Skipped(f"the function {name!r}, in the form of a release candidate of Redis 7.0")
        elif kind == rdb.SLOT_INFO:
            for _ in range(3):
                source.length()
        elif kind == rdb.END:
            break
        elif kind == rdb.MODULE_PRE_GA:
            raise BadDump("it holds a module's value in a form that can't be read past")
        else:
            raise BadDump(f"there is no kind {kind} of value or item")
    if version >= 5:
        computed = source.checksum()
        said = int.from_bytes(source.take(8), "little")
        if said and said != computed:
            raise BadDump("its checksum is wrong: it is damaged")


def _module_name(number: int) -> str:
    """The name in a module type's id: nine letters of six bits, then a version of ten."""
    return "".join(MODULE_ALPHABET[number >> 10 + 6 * place & 63] for place in range(8, -1, -1))


def _skip_module(source: Source) -> None:
    while (opcode := source.length()) != MODULE_END:
        if opcode in (MODULE_SIGNED, MODULE_UNSIGNED):
            source.length()
        elif opcode == MODULE_FLOAT:
            source.take(4)
        elif opcode == MODULE_DOUBLE:
            source.take(8)
        elif opcode == MODULE_STRING:
            for _ in source.pieces()[1]:
                pass
        else:
            raise BadDump("a module's value is not as it must be")
