"""`diskkv check`: examines a store."""

from __future__ import annotations

import os
import sys
from itertools import chain

import click

from diskkv.errors import StoreError

CLEAN, FINDINGS, CANNOT_OPEN = 0, 1, 2


@click.command()
@click.argument("path", type=click.Path())
def check(path: str) -> None:
    """Open a store, and verify everything that is in it.

    Nobody else may have it open meanwhile. The exit status is 0 when nothing is wrong, 1 when something is, and 2 when the store can't
    be opened.
    """
    from diskkv.app import open_executor
    from diskkv.store.check import check as examine
    from diskkv.store.check import check_memory

    if not os.path.isdir(os.path.join(path, "tree")):
        click.echo(f"there is no store in {os.path.abspath(path)}", err=True)
        sys.exit(CANNOT_OPEN)
    try:
        executor = open_executor(path)
    except (StoreError, OSError) as error:
        click.echo(f"can't open the store in {os.path.abspath(path)}: {error}", err=True)
        sys.exit(CANNOT_OPEN)
    store = executor.store
    found = 0
    try:
        with store.lock:
            store.checkpoint()
            for finding in chain(check_memory(store), examine(store)):
                found += 1
                click.echo(str(finding))
            total = sum(db.count for db in store.databases)
    except (StoreError, OSError) as error:
        found += 1
        click.echo(f"damage: {error}")
        total = 0
    finally:
        store.close()
    click.echo(f"{found} findings" if found else f"{total} keys, nothing is wrong")
    sys.exit(FINDINGS if found else CLEAN)
