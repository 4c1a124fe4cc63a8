"""`diskkv repair`: saves what can be read of a damaged store."""

from __future__ import annotations

import sys

import click

from diskkv.cli.progress import Progress
from diskkv.errors import DiskkvError

SAVED, NOTHING, INCOMPLETE = 0, 2, 3
# So many lines of a kind are printed, unless all are asked for.
SHOWN = 50


@click.command()
@click.argument("source", type=click.Path(exists=True, file_okay=False))
@click.argument("directory", type=click.Path())
@click.option("--behind-holes", is_flag=True, help="Also do again what the log says behind a part of it that can't be read.")
@click.option("--quiet", is_flag=True, help="No progress line, even at a terminal.")
@click.option("--all", "everything", is_flag=True, help=f"Name every key that was not saved, not only {SHOWN} of a kind.")
def repair(source: str, directory: str, behind_holes: bool, everything: bool, quiet: bool) -> None:
    """Save what can be read of the store in SOURCE into a new one in DIRECTORY, and say what could not be saved.

    SOURCE is only read, and nobody may have it open meanwhile. Large values of which some records can't be read keep the others; strings
    are saved whole or not at all. The exit status is 0 when everything was saved, 3 when something was not, and 2 when nothing could be.
    """
    from diskkv.repair import repair as save
    from diskkv.repair.findings import Outcome

    outcome = Outcome()

    def look(so_far: Outcome) -> None:
        nonlocal outcome
        outcome = so_far
        progress.tick()

    progress = Progress(
        lambda: outcome.seen / outcome.expected if outcome.expected else None, None, lambda: outcome.seen + outcome.ticks,
        noun="keys and ticks of the log", stopped=f"{directory} was not made, {source} is as it was", quiet=quiet,
    )  # fmt: skip
    with progress:
        try:
            outcome = save(source, directory, behind_holes=behind_holes, look=look)
        except (DiskkvError, OSError) as error:
            click.echo(f"can't repair {source}: {error}", err=True)
            sys.exit(NOTHING)
    for title, lines in (("damaged", outcome.damage), ("in part", outcome.partial), ("lost", outcome.lost)):
        for line in lines if everything else lines[:SHOWN]:
            click.echo(f"{title}: {line}")
        if len(lines) > SHOWN and not everything:
            click.echo(f"{title}: {len(lines) - SHOWN:,} more, see --all")
    if outcome.damage:
        click.echo("what lay in damaged files is missing, or is there as it was before: that may concern keys that are not named here")
    if outcome.unnamed:
        click.echo(f"lost: {outcome.unnamed:,} keys whose names can't be read")
    if outcome.left_out:
        click.echo(f"left out: {outcome.left_out:,} later ticks of the log can be read; --behind-holes does them again")
    click.echo(
        f"{directory}: {outcome.whole:,} keys whole, {len(outcome.partial):,} in part, {len(outcome.lost) + outcome.unnamed:,} losses; "
        f"{outcome.ticks:,} ticks of the log done again"
    )
    sys.exit(SAVED if outcome.complete() else INCOMPLETE)
