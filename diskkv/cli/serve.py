"""`diskkv serve`: the server."""

from __future__ import annotations

import logging
import os
import resource
import sys
from typing import TYPE_CHECKING

import click

from diskkv.errors import SettingError, StoreError

if TYPE_CHECKING:
    from diskkv.config import Settings

LEVELS = {"debug": logging.DEBUG, "verbose": logging.INFO, "notice": logging.INFO, "warning": logging.WARNING, "nothing": 100}

# LevelDB's tables, the log, listening sockets.
FILES_OF_OUR_OWN = 1000
# With fewer no store can be opened.
FEWEST_FILES = 64


def allow_open_files(settings: Settings, journal: logging.Logger) -> None:
    """Have the system allow the open files that maxclients needs, or lower maxclients to what it allows, and say so as Redis does.

    REQUIRES: the engine, which looks at the limit, is not open yet. SettingError when not a single client could be served.
    """
    wanted = settings["maxclients"] + FILES_OF_OUR_OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    reason = ""
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            # root may
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError) as error:
            reason = str(error)
        else:
            hard = wanted
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if limit != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit == wanted:
        journal.info("Increased maximum number of open files to %d (it was originally set to %d).", limit, soft)
        return
    clients = limit - min(FILES_OF_OUR_OWN, limit // 2)
    if limit < FEWEST_FILES:
        raise SettingError(
            f"Your current 'ulimit -n' of {limit} is not enough for the server to start. Please increase your open file limit to at "
            f"least {wanted}."
        )
    journal.warning("You requested maxclients of %d requiring at least %d max file descriptors.", settings["maxclients"], wanted)
    journal.warning("Server can't set maximum open files to %d because of OS error: %s.", wanted, reason)
    settings.set("maxclients", str(clients))
    journal.warning(
        "Current maximum open files is %d. maxclients has been reduced to %d to compensate for low ulimit. If you need higher maxclients "
        "increase 'ulimit -n'.",
        limit, clients,
    )  # fmt: skip


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
    try:
        allow_open_files(settings, journal)
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
