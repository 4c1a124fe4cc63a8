"""`diskkv serve`: the server."""

from __future__ import annotations

import logging
import os
import resource
import sys

import click

from diskkv.errors import SettingError, StoreError

LEVELS = {"debug": logging.DEBUG, "verbose": logging.INFO, "notice": logging.INFO, "warning": logging.WARNING, "nothing": 100}

# LevelDB's tables, the log, listening sockets.
FILES_OF_OUR_OWN = 1000


def allow_open_files(wanted: int) -> None:
    """Have the system allow so many open files, or as many as it will; before the engine, which looks at the limit, is opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[CONFIG_FILE] [--NAME VALUE ...]")
def serve(words: tuple[str, ...]) -> None:
    """Serve a store over RESP to any Redis client.

    Settings carry Redis' names and are given as redis-server takes them, on the command line or in a file:

    \b
      diskkv serve --dir ./mydata --port 6380
      diskkv serve my.conf --maxmemory 1gb --appendfsync always

    See `diskkv settings` for all of them.
    """
    from diskkv.app import open_executor
    from diskkv.conffile import read_file
    from diskkv.config import Settings
    from diskkv.server.server import run

    settings = Settings()
    ignored: list[str] = []
    try:
        rest = list(words)
        if rest and not rest[0].startswith("--"):
            ignored = read_file(settings, rest.pop(0))
        settings.read_options(rest)
    except SettingError as error:
        raise click.UsageError(str(error)) from None
    logging.basicConfig(
        level=LEVELS[settings["loglevel"]],
        format="%(asctime)s %(levelname)s %(message)s",
        **({"filename": settings["logfile"]} if settings["logfile"] else {"stream": sys.stdout}),
    )
    journal = logging.getLogger("diskkv")
    if ignored:
        journal.warning("these directives of %s mean nothing here and are passed over: %s", settings.path, ", ".join(ignored))
    allow_open_files(settings["maxclients"] + FILES_OF_OUR_OWN)
    try:
        executor = open_executor(settings["dir"], settings)
    except SettingError as error:
        raise click.ClickException(str(error)) from None
    except (StoreError, OSError) as error:
        raise click.ClickException(f"can't open the store in {settings['dir']}: {error}") from None

    def ready(addresses: list[str]) -> None:
        journal.info("ready: %s on %s, pid %d", os.path.abspath(settings["dir"]), ", ".join(addresses), os.getpid())

    try:
        run(executor, ready)
    except SettingError as error:
        raise click.ClickException(str(error)) from None
    journal.info("stopped, everything is on disk")
