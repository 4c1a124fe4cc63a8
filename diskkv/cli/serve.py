"""`diskkv serve`: the server."""

from __future__ import annotations

import logging
import os
import resource
import signal
from typing import TYPE_CHECKING

import click

from diskkv.errors import SettingError, StoreError

if TYPE_CHECKING:
    from diskkv.config import Settings

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
        journal.info(
            "Increased maximum number of open files to %(files)d (it was originally set to %(before)d).", {"files": limit, "before": soft}
        )
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
    from diskkv.cli.daemon import go_to_background, pid_file
    from diskkv.conffile import read_file
    from diskkv.config import Settings
    from diskkv.server.journal import open_journal
    from diskkv.server.server import run
    from diskkv.server.supervision import supervise
    from diskkv.store.directory import make_directory

    settings = Settings()
    ignored: list[str] = []
    try:
        rest = list(words)
        if rest and not rest[0].startswith("--"):
            ignored = read_file(settings, rest.pop(0))
        settings.read_options(rest)
    except SettingError as error:
        raise click.UsageError(str(error)) from None
    journal = logging.getLogger("diskkv")
    supervised = settings["supervised"] == "systemd" or (settings["supervised"] == "auto" and "NOTIFY_SOCKET" in os.environ)
    detach = go_to_background() if settings["daemonize"] and not supervised else None
    # A terminal that closes does not end the server, as it does not end Redis.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def placed(name: str) -> str:
        """A file as a setting names it; a relative path is one inside the store."""
        return os.path.join(settings["dir"], settings[name]) if settings[name] else ""

    try:
        make_directory(settings["dir"])
        open_journal(settings, placed("logfile"))
        if ignored:
            journal.warning(
                "these directives of %(file)s mean nothing here and are passed over: %(names)s",
                {"file": settings.path, "names": ", ".join(ignored)},
            )
        allow_open_files(settings, journal)
        executor = open_executor(settings["dir"], settings)
    except SettingError as error:
        raise click.ClickException(str(error)) from None
    except (StoreError, OSError) as error:
        raise click.ClickException(f"can't open the store in {settings['dir']}: {error}") from None
    tell_manager = supervise(executor, settings["supervised"])

    def ready(addresses: list[str]) -> None:
        journal.info(
            "ready: %(dir)s on %(addresses)s, pid %(process)d",
            {"dir": os.path.abspath(settings["dir"]), "addresses": ", ".join(addresses), "process": os.getpid()},
        )
        tell_manager()
        if detach is not None:
            detach()

    with pid_file(placed("pidfile")):
        try:
            run(executor, ready)
        except SettingError as error:
            raise click.ClickException(str(error)) from None
        journal.info("stopped, everything is on disk")
