"""HyperLogLogs: strings that estimate how many different elements they have been given."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.args import quoted
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ADMIN, DENYOOM, FAST, MAY_REPLICATE, READONLY, WRITE, Keys, group
from diskkv.errors import CommandError
from diskkv.lib import hyperloglog as hll
from diskkv.replies import OK, Simple
from diskkv.types.strings import String

command = group("hyperloglog")


class NoHyperLogLog(CommandError):
    code, text = "WRONGTYPE", "Key is not a valid HyperLogLog string value."


class CorruptedHyperLogLog(CommandError):
    code, text = "INVALIDOBJ", "Corrupted HLL object detected"


def _read(string: String) -> bytes:
    data = string.value()
    if not hll.is_valid(data):
        raise NoHyperLogLog
    return data


def _limit(ctx: Session) -> int:
    """The longest that a sparse one may be. In a replay any length: what became dense is said in the log, as the setting may change."""
    return hll.UNLIMITED if ctx.store.replaying else int(ctx.executor.settings["hll-sparse-max-bytes"])


def _replace(ctx: Session, string: String, data: bytes, made: bytes, *argv: bytes) -> None:
    """Change a HyperLogLog by the command `argv`."""
    string.set(made)
    if hll.is_dense(made) and not hll.is_dense(data):
        ctx.log_as(*argv)
        ctx.log_as(b"PFDEBUG", b"TODENSE", string.key)


@command("PFADD key [element [element ...]]", WRITE | DENYOOM | FAST, since="2.8.9")
def pfadd(ctx: Session, key: bytes, *elements: bytes) -> int:
    """Add elements to a HyperLogLog, creating it if need be; reply whether its estimate may have changed."""
    string = ctx.db.open(key, String)
    data = _read(string) if string.linked else hll.EMPTY
    try:
        made = hll.add(data, elements, _limit(ctx))
    except hll.Corrupted:
        raise CorruptedHyperLogLog from None
    if made is None:
        if string.linked:
            return 0
        made = hll.invalidated(bytearray(hll.EMPTY))
    _replace(ctx, string, data, made, b"PFADD", key, *elements)
    return 1


@command("PFCOUNT key [key ...]", READONLY | MAY_REPLICATE, since="2.8.9")
def pfcount(ctx: Session, key: bytes, *more: bytes) -> int:
    """Return about how many different elements a HyperLogLog, or the union of several, was given."""
    try:
        if more:
            return hll.count_registers(_united(ctx, [key, *more])[0])
        string = ctx.db.get(key, String)
        if string is None:
            return 0
        data = _read(string)
        cardinality = hll.cached(data)
        if cardinality is None:
            cardinality = hll.count(data)
            # To note it in the string is a change, which has to wait if nothing can be written now.
            if not ctx.executor.gated:
                string.set(hll.with_cached(data, cardinality))
    except hll.Corrupted:
        raise CorruptedHyperLogLog from None
    # As in Redis, a crafted one comes out as a signed number.
    return cardinality - (1 << 64) if cardinality >> 63 > 0 else cardinality


def _united(ctx: Session, keys: list[bytes]) -> tuple[bytes, bool]:
    """The registers of several, and whether any of them is dense."""
    values = bytes(hll.REGISTERS)
    dense = False
    for key in keys:
        string = ctx.db.get(key, String)
        if string is not None:
            data = _read(string)
            dense = dense or hll.is_dense(data)
            values = hll.union(values, hll.registers(data))
    return values, dense


@command("PFMERGE destkey [sourcekey [sourcekey ...]]", WRITE | DENYOOM, since="2.8.9", keys=Keys(1, -1, 1))
def pfmerge(ctx: Session, destkey: bytes, *sourcekeys: bytes) -> Any:
    """Make a HyperLogLog the union of itself and others."""
    try:
        values, dense = _united(ctx, [destkey, *sourcekeys])
        string = ctx.db.open(destkey, String)
        data = string.value() if string.linked else hll.EMPTY
        made = hll.merge(data, values, _limit(ctx), dense=dense)
    except hll.Corrupted:
        raise CorruptedHyperLogLog from None
    _replace(ctx, string, data, made, b"PFMERGE", destkey, *sourcekeys)
    return OK


@command("PFDEBUG subcommand key", WRITE | DENYOOM | ADMIN, since="2.8.9")
def pfdebug(ctx: Session, subcommand: bytes, key: bytes) -> Any:
    """Show what is in a HyperLogLog (GETREG, DECODE, ENCODING), or make it dense (TODENSE)."""
    string = ctx.db.get(key, String)
    if string is None:
        raise CommandError("The specified key does not exist")
    data = _read(string)
    sparse = not hll.is_dense(data)
    match subcommand.upper():
        case b"GETREG":
            return list(hll.registers(_make_dense(string, data)))
        case b"DECODE":
            if not sparse:
                raise CommandError("HLL encoding is not sparse")
            return hll.opcodes(data)
        case b"ENCODING":
            return Simple(b"sparse" if sparse else b"dense")
        case b"TODENSE":
            _make_dense(string, data)
            return int(sparse)
    raise CommandError(f"Unknown PFDEBUG subcommand '{quoted(subcommand)}'")


def _make_dense(string: String, data: bytes) -> bytes:
    try:
        made = hll.to_dense(data)
    except hll.Corrupted:
        raise CorruptedHyperLogLog from None
    if made is not data:
        string.set(made)
    return made


@command("PFSELFTEST", ADMIN, since="2.8.9")
def pfselftest(ctx: Session) -> Any:
    """Check that both forms of a HyperLogLog agree, and that its estimates are good."""
    sparse, dense = hll.EMPTY, hll.to_dense(hll.EMPTY)
    salt = ctx.random.getrandbits(64)
    done = 0
    for size in (1, 10, 100, 1000, 10_000):
        elements = [(number ^ salt).to_bytes(8, "little") for number in range(done, size)]
        sparse = hll.add(sparse, elements, hll.UNLIMITED if size <= 1000 else 0) or sparse
        dense = hll.add(dense, elements, 0) or dense
        done = size
        if hll.registers(sparse) != hll.registers(dense) or hll.count(sparse) != hll.count(dense):
            raise CommandError("dense/sparse disagree", code="TESTFAILED")
        # Six standard errors of 1.04 / sqrt(16384) each.
        if abs(hll.count(dense) - size) > max(1, 6 * 1.04 / 128 * size):
            raise CommandError(f"Too big error. card:{size} abserr:{abs(hll.count(dense) - size)}", code="TESTFAILED")
    if hll.to_dense(sparse)[hll.HEADER :] != dense[hll.HEADER :]:
        raise CommandError("registers are not kept", code="TESTFAILED")
    return OK
