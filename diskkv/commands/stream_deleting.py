"""Streams: deleting with regard to what consumer groups refer to: entries that are pending, or that they have yet to be given."""

from __future__ import annotations

from collections.abc import Sequence

from diskkv.commands.stream_bounds import identifier
from diskkv.commands.streams import ACKED, DELREF, KEEPREF, REFERENCES
from diskkv.dispatch.args import Args, bounded
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import FAST, WRITE, group
from diskkv.errors import BadSyntax, CommandError
from diskkv.lib.numbers import INT_MAX
from diskkv.types.streams import Stream

command = group("stream")

# What is replied of each entry.
MISSING, DELETED, KEPT = -1, 1, 2


def _read_options(words: Sequence[bytes]) -> tuple[bytes, Sequence[bytes]]:
    """What becomes of references, and the words that must be ids."""
    references, ids = b"", None
    args = Args(words)
    while args:
        option = args.word()
        if option in REFERENCES and not references:
            references = option
        elif option == b"IDS" and args:
            count = bounded(args.next(), 1, INT_MAX, "Number of IDs must be a positive integer")
            if count > len(args):
                raise CommandError("The `numids` parameter must match the number of arguments")
            ids = args.take(count)
        else:
            raise BadSyntax
    if ids is None:
        raise CommandError("IDS option is required")
    return references or KEEPREF, ids


def _delete(value: Stream, number: int, references: bytes) -> int:
    if references == ACKED and value.referenced(number):
        return KEPT
    if references == DELREF:
        value.dereference((number,))
    return DELETED if value.delete((number,)) else MISSING


@command("XDELEX key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]", WRITE | FAST, since="8.2.0", arity=-5)
def xdelex(ctx: Session, key: bytes, *words: bytes) -> list[int]:
    """Delete entries of a stream, with their references in consumer groups, or only if there are none; reply what became of each."""
    value = ctx.db.get(key, Stream)
    references, ids = _read_options(words)
    if value is None:
        return [MISSING] * len(ids)
    return [_delete(value, number, references) for number in [identifier(word) for word in ids]]


@command("XACKDEL key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]", WRITE | FAST, since="8.2.0", arity=-6)
def xackdel(ctx: Session, key: bytes, name: bytes, *words: bytes) -> list[int]:
    """Acknowledge entries, and delete those that were pending as XDELEX does; reply what became of each."""
    value = ctx.db.get(key, Stream)
    references, ids = _read_options(words)
    found = None if value is None else value.groups().get(name)
    if value is None or found is None:
        return [MISSING] * len(ids)
    replies = []
    for number in [identifier(word) for word in ids]:
        if not found.acknowledge((number,)):
            replies.append(MISSING)
        else:
            replies.append(KEPT if _delete(value, number, references) == KEPT else DELETED)
    return replies
