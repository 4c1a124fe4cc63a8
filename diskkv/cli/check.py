"""`diskkv check`: examines a store."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NoReturn

import click

from diskkv.cli.connecting import connect, follow, server_options
from diskkv.cli.progress import Progress
from diskkv.errors import StoreError

# As Examination.progress
Figures = Callable[[], tuple[float, int, int]]
CLEAN, FINDINGS, CANNOT_OPEN = 0, 1, 2


def _nothing_yet() -> tuple[float, int, int]:
    return 0.0, 0, 0


@click.command()
@click.argument("path", type=click.Path(), required=False)
@server_options
@click.option("--quiet", is_flag=True, help="No progress line, even at a terminal.")
def check(path: str | None, quiet: bool, **server: Any) -> None:
    """Verify everything that is in a store: the one in PATH, which nobody else may have open, or without PATH a server's, which goes on
    serving.

    The exit status is 0 when nothing is wrong, 1 when something is, and 2 when the store can't be opened or the server can't be asked.
    """
    figures: Figures = _nothing_yet

    def watch(source: Figures) -> None:
        nonlocal figures
        figures = source

    progress = Progress(
        lambda: figures()[0] or None, lambda: int(figures()[0] * figures()[2]), lambda: figures()[1], noun="records", quiet=quiet,
        stopped="not everything was examined" if path is not None else "the server goes on examining itself",
    )  # fmt: skip
    with progress:
        found, total = _of_server(server, watch, progress) if path is None else _of_store(path, watch, progress)
    click.echo(f"{found} findings" if found else f"{total} keys, nothing is wrong")
    sys.exit(FINDINGS if found else CLEAN)


def _of_store(path: str, watch: Callable[[Figures], None], progress: Progress) -> tuple[int, int]:
    """How many findings there are, which are printed, and how many keys."""
    from diskkv.app import open_executor
    from diskkv.store.check import Examination, check_memory

    if not os.path.isdir(os.path.join(path, "tree")):
        _give_up(f"there is no store in {os.path.abspath(path)}")
    try:
        executor = open_executor(path)
    except (StoreError, OSError) as error:
        _give_up(f"can't open the store in {os.path.abspath(path)}: {error}")
    store = executor.store
    store.log.kept = True
    found = total = 0
    examination = Examination(store, progress.tick)
    watch(examination.progress)
    try:
        with store.lock:
            store.checkpoint()
            for finding in chain(check_memory(store), examination.findings()):
                found += 1
                click.echo(str(finding))
            total = sum(db.count for db in store.databases)
    except (StoreError, OSError) as error:
        found += 1
        click.echo(f"damage: {error}")
    finally:
        if found:
            for line in _holes(store.engine):
                click.echo(line)
        last = examination.progress()
        watch(lambda: last)
        store.close()
    return found, total


def _holes(engine: Any) -> Iterator[str]:
    """Where in which files damage lies, for people."""
    from diskkv.format.explain import place

    for file, offset, size, low, high in engine.holes():
        where = "" if high is None else f": records up to {place(high)}" if low is None else f": records from {place(low)} to {place(high)}"
        yield f"damage: {file}: {size:,} bytes at {offset:,} can't be read{where}"


def _of_server(server: dict[str, Any], watch: Callable[[Figures], None], progress: Progress) -> tuple[int, int]:
    """As `_of_store`, of a server's store."""

    def look(found: dict[str, Any]) -> None:
        watch(lambda: (float(found["part"]), found["records"], found["bytes"]))
        progress.tick()

    try:
        status = follow(connect(**server), "DISKKV.CHECK", [], look)
    except click.ClickException as error:
        _give_up(f"can't ask the server: {error.message}")
    if status["state"] != b"done":
        _give_up(f"the examination failed: {os.fsdecode(status['error'])}")
    for line in status["named"]:
        click.echo(os.fsdecode(line))
    return status["findings"], status["keys"]


def _give_up(why: str) -> NoReturn:
    click.echo(why, err=True)
    sys.exit(CANNOT_OPEN)
