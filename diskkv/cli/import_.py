"""`diskkv import`: data from Redis into a store."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from diskkv.errors import DiskkvError, StoreError

if TYPE_CHECKING:
    from diskkv.transfer.report import Report

# What the exit code says.
INCOMPLETE = 3


@click.command("import")
@click.argument("source")
@click.option("--into", type=click.Path(file_okay=False), help="The store's directory; made if it is not there.")
@click.option("-h", "host", metavar="HOST", help="Into a server that is running: its host.  [default: 127.0.0.1]")
@click.option("-p", "port", metavar="PORT", type=click.IntRange(1, 65535), help="Its port.")
@click.option("--user", metavar="USER", help="Log in there as this user.")
@click.option("-a", "--pass", "password", metavar="PASSWORD", help="Log in there with this password; better kept in REDISCLI_AUTH.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, keep nothing.")
@click.option("--flush", is_flag=True, help="Delete all that is there before.")
@click.option("--match", metavar="PATTERN", help="Only keys that match the pattern, as KEYS has them.")
@click.option("--db", "databases", type=click.IntRange(0), multiple=True, help="Only this database; may be given several times.")
@click.option("--databases", "numbers", type=click.IntRange(1), default=16, show_default=True, help="How many databases the store has.")
@click.option("--maxmemory", default="64mb", show_default=True, help="The memory budget while it lasts.")
@click.option("--quiet", is_flag=True, help="No progress line, even at a terminal.")
def import_(
    source: str, into: str | None, host: str | None, port: int | None, user: str | None, password: str | None, dry_run: bool, flush: bool,
    match: str | None, databases: tuple[int, ...], numbers: int, maxmemory: str, quiet: bool,
) -> None:  # fmt: skip
    """Bring data into a store, or into a server.

    SOURCE is an RDB file of any version up to 16; an append-only file, with or without RDB preamble; a manifest of append-only files, or
    the directory that it is in; or the lines of JSON that `diskkv export` writes; or a
    server that is running, as HOST:PORT or redis://[[USER]:PASSWORD@]HOST:PORT, read as a replica would or else key by key.

    Keys replace what stands under their names, so an import that was interrupted can simply be run again. The commands of an append-only
    file add to what is there, so they go into an empty store only: after an interruption use --flush. What can't be represented is
    listed at the end, and the exit code is then 3.
    """
    from diskkv.cli.address import Address, parse_address
    from diskkv.cli.import_sources import Server, recognise
    from diskkv.cli.import_targets import Nowhere, OwnStore, Remote, Target
    from diskkv.cli.progress import Progress
    from diskkv.lib.glob import compile_glob
    from diskkv.rdb.content import Commands, Key, Library, Skipped
    from diskkv.transfer.report import Report

    remote = host is not None or port is not None
    if dry_run + (into is not None) + remote != 1:
        raise click.UsageError("say where to: --into DIR, -h HOST -p PORT, or --dry-run")
    server = None if os.path.exists(source) else parse_address(source)
    one = databases[0] if len(databases) == 1 else None
    try:
        place = Server(server, one, lambda text: click.echo(text, err=True)) if server is not None else recognise(source)
    except (DiskkvError, OSError) as error:
        raise click.ClickException(f"can't read {source}: {error}") from None
    if place.commands_only() and (match or databases):
        raise click.UsageError("--match and --db choose among keys, and this source has commands, too: import all of it")
    matches = compile_glob(os.fsencode(match)) if match is not None else None

    def wanted(db: int, key: bytes) -> bool:
        return (not databases or db in databases) and (matches is None or bool(matches(key)))

    report = Report()
    target: Target = Nowhere(report, wanted)
    if into is not None:
        target = OwnStore(into, report, wanted, maxmemory=maxmemory, databases=str(numbers))
    elif remote:
        target = Remote(Address(host or "127.0.0.1", port or 6379, user, password), report, wanted)
    again = " with --flush" if place.commands_only() else ""
    stopped = "nothing was to be kept" if dry_run else f"what came in is kept; run it again{again} to have all of it"

    def part() -> float | None:
        return place.done() / place.total if place.total else None

    with Progress(part, place.done, lambda: report.keys + report.commands, stopped=stopped, quiet=quiet) as progress:
        try:
            if flush:
                target.flush()
            elif place.commands_only() and not target.empty():
                raise StoreError("there are keys or functions already, and commands would add to them: use --flush to delete them before")
            for item in place.items():
                if isinstance(item, Key):
                    item.content.parts = progress.over(item.content.parts)
                    target.key(item)
                elif isinstance(item, Commands):
                    target.commands(item)
                elif isinstance(item, Library):
                    target.library(item)
                elif isinstance(item, Skipped):
                    report.leave_out(item.what)
                progress.tick()
            target.finish()
        except (DiskkvError, OSError) as error:
            raise click.ClickException(f"the import stopped after {report.keys} keys: {error}") from None
        finally:
            target.close()
    say(report, progress.seconds())
    if report.left_out:
        sys.exit(INCOMPLETE)


def say(report: Report, seconds: float) -> None:
    """What came of it, on standard error."""
    counts = [f"{report.keys} keys"]
    counts += [f"{count} {name}" for count, name in ((report.commands, "commands"), (report.libraries, "function libraries")) if count]
    counts += [f"{count} keys {name}" for count, name in ((report.expired, "had expired"), (report.filtered, "were not wanted")) if count]
    click.echo(f"{', '.join(counts)}; {seconds:.1f} s", err=True)
    if report.left_out:
        click.echo("left out:", err=True)
        for what in report.left_out:
            click.echo(f"  {what}", err=True)
        if report.unnamed:
            click.echo(f"  and {report.unnamed} more", err=True)
