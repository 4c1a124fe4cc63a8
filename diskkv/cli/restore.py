"""`diskkv restore`: a store of a backup."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from diskkv.errors import DiskkvError


@click.command()
@click.argument("source", type=click.Path(exists=True, file_okay=False))
@click.argument("directory", type=click.Path())
@click.option(
    "--until", metavar="TIME",
    help="Only what had happened by then, such as 2026-11-22T21:30:00+01:00 (without a zone: local time).",
)  # fmt: skip
@click.option(
    "--archive", "archives", multiple=True, type=click.Path(exists=True, file_okay=False),
    help="Go on from the backup with the log's segments in this directory: the archive-dir, and the store's own log. May be repeated.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="No progress line, even at a terminal.")
def restore(source: str, directory: str, until: str | None, archives: tuple[str, ...], quiet: bool) -> None:
    """Make a store in DIRECTORY, which must be new or empty, of a backup.

    SOURCE is a backup, or a directory of backups: then the last that fits is taken. Nothing of the store is shared with the backup.
    """
    from diskkv.cli.progress import Progress
    from diskkv.rewind import choose, restore_until

    moment = None
    if until is not None:
        try:
            moment = int(datetime.fromisoformat(until.replace("Z", "+00:00")).timestamp() * 1000)
        except ValueError:
            raise click.UsageError(f"--until: {until!r} is no time") from None
    done = size = ticks = 0

    def look(*figures: int) -> None:
        nonlocal done, size, ticks
        done, size, ticks = figures
        progress.tick()

    with Progress(
        lambda: done / size if size else None, lambda: done, lambda: ticks, noun="ticks of the log",
        stopped=f"{directory} was not made", quiet=quiet,
    ) as progress:  # fmt: skip
        try:
            backup = choose(Path(source), moment)
            label, ticks = restore_until(backup, Path(directory), [Path(archive) for archive in archives], moment, look)
        except (DiskkvError, OSError) as error:
            raise click.ClickException(str(error)) from None
    followed = f", and {ticks:,} ticks of the log since" if archives else ""
    click.echo(f"{directory}: the backup of {datetime.fromtimestamp(label.time / 1000).isoformat(' ', 'milliseconds')}{followed}")
