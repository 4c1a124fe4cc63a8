"""`diskkv dump`: a store's records as lines."""

from __future__ import annotations

import os
from itertools import islice

import click

from diskkv.errors import StoreError


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False))
@click.option("--prefix", default="", help="Only records whose key begins so; \\xNN is a byte. The first letter is the table: M D E G X.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="No more than so many lines.")
def dump(path: str, prefix: str, limit: int | None) -> None:
    """Print what lies in a store's engine, one record a line.

    What is only in the log, not yet in the engine, is not shown. Nobody else may have the store open meanwhile.
    """
    from diskkv.format import keys
    from diskkv.format.explain import explain
    from diskkv.store.directory import open_records

    start = raw_prefix(prefix)
    try:
        with open_records(path) as engine:
            for key, value in islice(engine.scan(start, keys.after(start) if start.rstrip(b"\xff") else None), limit):
                click.echo(explain(key, value))
    except (StoreError, OSError) as error:
        raise click.ClickException(f"can't read the store in {os.path.abspath(path)}: {error}") from None


def raw_prefix(text: str) -> bytes:
    """A prefix as it is typed: characters, and \\xNN for bytes that are none. UsageError when an escape is wrong."""
    first, *parts = text.split("\\x")
    raw = os.fsencode(first)
    for part in parts:
        try:
            raw += bytes.fromhex(part[:2].ljust(2, "?")) + os.fsencode(part[2:])
        except ValueError:
            raise click.UsageError(f"--prefix: '\\x{part[:2]}' is no byte") from None
    return raw
