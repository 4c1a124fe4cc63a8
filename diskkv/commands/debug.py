"""DEBUG: what tests need to look inside, allowed by enable-debug-command."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from diskkv.config import memory
from diskkv.dispatch.args import bounded, integer, quoted
from diskkv.dispatch.session import Session, is_local
from diskkv.dispatch.table import ADMIN, LOADING, NOSCRIPT, STALE, group
from diskkv.errors import CommandError, NoSuchKey, SettingError, StoreError
from diskkv.lib.glob import compile_glob
from diskkv.rdb.payload import write_payload
from diskkv.replies import OK, Encoded, Simple, Verbatim
from diskkv.transfer.values import content_of
from diskkv.types.digests import EMPTY, combine, digest_value, mix
from diskkv.types.strings import String

command = group("server")
journal = logging.getLogger("diskkv")

NOT_ALLOWED = (
    'DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local connection, otherwise '
    "you need to set this option in the configuration file, and then restart the server."
)
# What DUMP puts around a value: its type, a version, a checksum.
AROUND = 11


@command("DEBUG subcommand [arg [arg ...]]", ADMIN | NOSCRIPT | LOADING | STALE, since="1.0.0", arity=-2)
def debug(ctx: Session, subcommand: bytes, *words: bytes) -> Any:
    """Do what tests of the server itself need."""
    allowed = ctx.executor.settings["enable-debug-command"]
    if allowed == "no" or (allowed == "local" and not is_local(ctx)):
        raise CommandError(NOT_ALLOWED)
    name = subcommand.upper()
    if name in ABSENT:
        raise CommandError(f"DEBUG {name.decode()} is not there: {ABSENT[name]}")
    low, high, run = SUBCOMMANDS.get(name, (1, 0, _help))
    if not low <= len(words) <= high:
        raise CommandError(f"unknown subcommand or wrong number of arguments for '{quoted(subcommand[:128])}'. Try DEBUG HELP.")
    return run(ctx, *words)


def _sleep(ctx: Session, seconds: bytes) -> Any:
    try:
        ctx.executor.sleep(max(0.0, float(seconds)))
    except (ValueError, OverflowError):
        raise CommandError("value is not a valid float") from None
    return OK


def _set_active_expire(ctx: Session, flag: bytes) -> Any:
    ctx.store.expiry.active = integer(flag) != 0
    ctx.store.keeper.rouse()
    return OK


def _reload(ctx: Session, *options: bytes) -> Any:
    words = {option.upper() for option in options}
    if not words <= {b"MERGE", b"NOFLUSH", b"NOSAVE"}:
        raise CommandError("DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    if b"NOSAVE" in words:
        raise CommandError("DEBUG RELOAD has to save here: what is on the disk is never another state than the one in memory")
    if words == {b"NOFLUSH"} and (any(db.count for db in ctx.store.databases) or ctx.executor.scripts.libraries.count()):
        raise CommandError("Error trying to load the RDB dump, check server logs.")
    # What was saved a moment ago, merged into what it was saved from, changes nothing.
    return _read_anew(ctx, checkpoint=True)


def _loadaof(ctx: Session) -> Any:
    return _read_anew(ctx, checkpoint=False)


def _read_anew(ctx: Session, *, checkpoint: bool) -> Any:
    """The store is closed and opened again underneath, while all clients stay."""
    if ctx.executor.nested:
        raise CommandError("the store can't be read anew in the middle of a transaction")
    try:
        ctx.store.reload(checkpoint=checkpoint)
    except StoreError as error:
        raise CommandError(f"Error trying to reload the store: {error}") from None
    return OK


def _object(ctx: Session, key: bytes) -> Any:
    value = ctx.db.peek(key)
    if value is None:
        raise NoSuchKey
    seconds = value.seen // 1000
    length = len(write_payload(content_of(value))) - AROUND
    return Simple(
        b"Value at:0x%x refcount:1 encoding:%b serializedlength:%d lru:%d lru_seconds_idle:%d"
        % (id(value), value.encoding(), length, seconds & 0xFFFFFF, max(0, ctx.now // 1000 - seconds))
    )


def _digest(ctx: Session) -> Any:
    whole = EMPTY
    for number, db in enumerate(ctx.store.databases):
        if db.count:
            whole = mix(whole, number.to_bytes(4, "big"))
            for key in db.scan():
                value = db.peek(key)
                assert value is not None
                whole = combine(whole, digest_value(value, mix(EMPTY, key)))
                ctx.store.cache.trim()
    return Simple(whole.hex().encode())


def _digest_value(ctx: Session, *keys: bytes) -> list[Simple]:
    values = [ctx.db.peek(key) for key in keys]
    return [Simple((digest_value(value) if value is not None else EMPTY).hex().encode()) for value in values]


def _populate(ctx: Session, count: bytes, prefix: bytes = b"key", size: bytes = b"0") -> Any:
    least, longest = 0, ctx.executor.settings["proto-max-bulk-len"]
    keys = bounded(count, least, 2**63 - 1, "value is out of range, must be positive")
    length = bounded(size, least, 2**63 - 1, "value is out of range, must be positive")
    if length > longest:
        raise CommandError("string exceeds maximum allowed size (proto-max-bulk-len)")
    for number in range(keys):
        key = b"%b:%d" % (prefix, number)
        if ctx.db.find(key, remember=False) is None:
            data = b"value:%d" % number
            data = data[:length].ljust(length, b"\0") if length else data
            ctx.db.replace(key, String).set(data)
            ctx.log_as(b"SET", key, data)
    return OK


def _stringmatch_len(ctx: Session, size: bytes, pattern: bytes) -> int:
    matches = compile_glob(pattern)
    return int(matches(b"A" * bounded(size, 0, 1 << 30, "value is out of range")))


def _quicklist_packed_threshold(ctx: Session, size: bytes) -> Any:
    """From which size an element has a node of its own in Redis; here each element of a large list has a record of its own."""
    try:
        most = memory(size.decode("latin-1"))
    except SettingError:
        most = -1
    if not 0 <= most <= (1 << 32) - (1 << 20):
        raise CommandError("argument must be a memory value bigger than 1 and smaller than 4gb")
    return OK


def _change_repl_id(ctx: Session) -> Any:
    ctx.executor.replication_id = secrets.token_hex(20)
    return OK


def _set_disable_deny_scripts(ctx: Session, flag: bytes) -> Any:
    ctx.executor.scripts_unrestricted = integer(flag) != 0
    return OK


def _error(ctx: Session, text: bytes) -> Any:
    code, space, rest = text.decode("utf-8", "surrogateescape").partition(" ")
    return Encoded(b"-%b\r\n" % (code + space + rest).replace("\r", " ").replace("\n", " ").encode("utf-8", "surrogateescape"))


def _log(ctx: Session, text: bytes) -> Any:
    journal.warning("DEBUG LOG: %s", text.decode("utf-8", "replace"))
    return OK


POPULARITY = b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"
USAGE = b">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"
BIG = b"1234567999999999999999999999999999999"


def _protocol(ctx: Session, name: bytes) -> Any:
    """An example of each type that the protocols have."""
    third = ctx.protocol == 3
    match name.lower():
        case b"string":
            return b"Hello World"
        case b"integer":
            return 12345
        case b"double":
            return 3.141
        case b"bignum":
            return Encoded(b"(" + BIG + b"\r\n") if third else BIG
        case b"null":
            return None
        case b"array":
            return [0, 1, 2]
        case b"set":
            return Encoded(b"~3\r\n:0\r\n:1\r\n:2\r\n") if third else [0, 1, 2]
        case b"map":
            return Encoded(b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n") if third else [0, 0, 1, 1, 2, 0]
        case b"attrib":
            following = b"Some real reply following the attribute"
            return Encoded(POPULARITY + b"$%d\r\n%b\r\n" % (len(following), following)) if third else following
        case b"push" if third:
            following = b"Some real reply following the push reply"
            return Encoded(USAGE + b"$%d\r\n%b\r\n" % (len(following), following))
        case b"push":
            raise CommandError("RESP2 is not supported by this command")
        case b"true" | b"false" as truth:
            return Encoded(b"#%b\r\n" % truth[:1]) if third else int(truth == b"true")
        case b"verbatim":
            return Verbatim(b"This is a verbatim\nstring")
    raise CommandError(
        "Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|"
        "true|false"
    )


def _help(ctx: Session) -> list[Simple]:
    return [Simple(line.encode()) for line in _help_lines()]


def _help_lines() -> Iterator[str]:
    yield "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    for usage, text in HELP:
        yield usage
        yield f"    {text}"


HELP = (
    ("CHANGE-REPL-ID", "Choose another replication id."),
    ("DIGEST", "Return a fingerprint of all data."),
    ("DIGEST-VALUE <key> [<key> ...]", "Return fingerprints of keys' values."),
    ("ERROR <string>", "Fail with an error of this text."),
    ("HELP", "Return this text."),
    ("LOADAOF", "Read the store anew, with the end of the log replayed."),
    ("LOG <message>", "Write a message into the server's report."),
    ("OBJECT <key>", "Return how a value is held."),
    ("POPULATE <count> [<prefix>] [<size>]", "Create strings named <prefix>:<number>, where there are no such keys."),
    ("PROTOCOL <type>", "Return an example of a type of the protocol."),
    ("QUICKLIST-PACKED-THRESHOLD <size>", "Check the size; there are no packed nodes here."),
    ("RELOAD", "Write everything into the tree and read the store anew from there."),
    ("SET-ACTIVE-EXPIRE <0|1>", "Let keys expire only when they are looked for, or by themselves."),
    ("SET-DISABLE-DENY-SCRIPTS <0|1>", "Let scripts call what they may not, or not."),
    ("SLEEP <seconds>", "Stop everything for some seconds."),
    ("STRINGMATCH-LEN <size> <pattern>", "Match so many letters A against a pattern."),
)

# name -> the fewest and the most words that follow, and what is done
SUBCOMMANDS: dict[bytes, tuple[int, int, Callable[..., Any]]] = {
    b"CHANGE-REPL-ID": (0, 0, _change_repl_id),
    b"DIGEST": (0, 0, _digest),
    b"DIGEST-VALUE": (0, 1 << 31, _digest_value),
    b"ERROR": (1, 1, _error),
    b"HELP": (0, 0, _help),
    b"LOADAOF": (0, 0, _loadaof),
    b"LOG": (1, 1, _log),
    b"OBJECT": (1, 1, _object),
    b"POPULATE": (1, 3, _populate),
    b"PROTOCOL": (1, 1, _protocol),
    b"QUICKLIST-PACKED-THRESHOLD": (1, 1, _quicklist_packed_threshold),
    b"RELOAD": (0, 1 << 31, _reload),
    b"SET-ACTIVE-EXPIRE": (1, 1, _set_active_expire),
    b"SET-DISABLE-DENY-SCRIPTS": (1, 1, _set_disable_deny_scripts),
    b"SLEEP": (1, 1, _sleep),
    b"STRINGMATCH-LEN": (2, 2, _stringmatch_len),
}

# What Redis' DEBUG does and this one does not, with the reason.
ABSENT: dict[bytes, str] = {
    name.encode(): reason
    for reason, names in {
        "nothing here crashes on purpose": "ASSERT CRASH-AND-RECOVER LEAK OOM PANIC RESTART SEGFAULT",
        "there is no cluster": "CLUSTERLINK DROP-CLUSTER-PACKET-FILTER",
        "there are no replicas": "REPLICATE",
        "memory is Python's": "CLIENT-EVICTION HTSTATS HTSTATS-KEY MALLCTL MALLCTL-STR REPLYBUFFER SDSLEN STRUCTSIZE",
        "values are not held so": "LISTPACK QUICKLIST",
        "the log is written before anybody is answered": "AOF-FLUSH-SLEEP",
        "a checksum that is not verified protects nothing": "SET-SKIP-CHECKSUM-VALIDATION",
        "what is kept of the settings is what was set": "CONFIG-REWRITE-FORCE-ALL",
        "what is to be done now and then is done by three threads": "PAUSE-CRON",
        "the matcher has tests of its own": "STRINGMATCH-TEST",
    }.items()
    for name in names.split()
}
