"""`diskkv shell`: redis-cli's manners, over a socket or on a store in this process.

How a command travels: `shell_words` cuts a line into words, `shell_loop` obeys the shell's own ones and hands the others to
`shell_session`, which follows the connection's state over a link of `shell_links`; `shell_replies` reads what comes back and
`shell_format` prints it. For those at a terminal, `shell_docs` fetches what is known of the commands, `shell_hints` works out what may
follow, `shell_complete` and `shell_help` say it, and `shell_input` draws it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diskkv.cli.shell_format import Style
from diskkv.cli.shell_links import LocalPlace, Place, TcpPlace, UnixPlace, client_context
from diskkv.cli.shell_loop import Manner, Quit, Shell
from diskkv.cli.shell_session import Login

if TYPE_CHECKING:
    import ssl

INTERRUPTED = 130
FILE = click.Path(path_type=Path)

EPILOG = """\
\b
Examples:
  diskkv shell ./mydata                    a prompt on a store in process
  diskkv shell ./mydata HGETALL user:1     one command on it
  diskkv shell -p 6379 GET k               one command, to a server
  diskkv shell -p 6379 < commands.txt      a script, one command a line
  diskkv shell -p 6379 -r -1 -i 1 INFO stats
  diskkv shell -p 6379 -x SET k < photo.jpg
"""


@click.command(context_settings={"allow_interspersed_args": False, "help_option_names": ["--help"]}, epilog=EPILOG)
@click.option("-h", "host", metavar="HOST", help="Server's host.  [default: 127.0.0.1]")
@click.option("-p", "port", metavar="PORT", type=click.IntRange(0, 65535), help="Server's port.  [default: 6379]")
@click.option("-s", "unix", metavar="SOCKET", type=click.Path(path_type=Path), help="Server's unix socket, instead of host and port.")
@click.option("--tls", is_flag=True, help="Speak TLS.")
@click.option("--cacert", type=FILE, help="Certificate of the authority to trust, instead of the system's.")
@click.option("--cacertdir", type=FILE, help="Directory of such certificates.")
@click.option("--cert", type=FILE, help="Certificate to show to the server.")
@click.option("--key", type=FILE, help="Its private key.")
@click.option("--sni", metavar="NAME", help="Whom the server's certificate must be for.  [default: the host]")
@click.option("--insecure", is_flag=True, help="Take any certificate.")
@click.option("-a", "--pass", "password", metavar="PASSWORD", help="Log in with this password; better kept in REDISCLI_AUTH.")
@click.option("--askpass", is_flag=True, help="Ask for the password at the terminal.")
@click.option("--user", metavar="USER", help="Log in as this user; needs a password.")
@click.option("--no-auth-warning", is_flag=True, help="Do not warn that other users may see a password given with -a.")
@click.option("-n", "database", metavar="DB", type=click.IntRange(0), default=0, help="Database number.")
@click.option("-2", "resp2", is_flag=True, help="Speak RESP2.")
@click.option("-3", "resp3", is_flag=True, help="Speak RESP3.")
@click.option("--raw/--no-raw", "raw", default=None, help="Raw replies, or replies with their types.  [default: raw unless at a terminal]")
@click.option("--csv", "style", flag_value="csv", help="Replies as CSV.")
@click.option("--json", "style", flag_value="json", help="Replies as JSON; speaks RESP3 unless -2 is given.")
@click.option("--quoted-json", "style", flag_value="quoted-json", help="As --json, with strings escaped to ASCII.")
@click.option("-d", "delimiter", metavar="TEXT", default="\n", help="Put between the elements of a raw reply.  [default: a newline]")
@click.option("-D", "terminator", metavar="TEXT", default="\n", help="Put after each raw reply.  [default: a newline]")
@click.option("-r", "repeat", metavar="N", type=int, default=1, help="Run the command N times; for ever if negative.")
@click.option("-i", "interval", metavar="SECONDS", type=click.FloatRange(0), default=0.0, help="Wait after each run; 0.1 is fine.")
@click.option("-x", "last_from_stdin", is_flag=True, help="Take the command's last argument from standard input.")
@click.option("-e", "exit_code", is_flag=True, help="Exit with 1 if a reply is an error; a single command's error goes to stderr.")
@click.option("--show-pushes", type=click.Choice(["yes", "no"]), help="Print RESP3 pushes.  [default: yes at a terminal]")
@click.argument("words", metavar="[PATH] [COMMAND [ARG]...]", nargs=-1, type=click.UNPROCESSED)
def shell(
    *,
    host: str | None,
    port: int | None,
    unix: Path | None,
    tls: bool,
    cacert: Path | None,
    cacertdir: Path | None,
    cert: Path | None,
    key: Path | None,
    sni: str | None,
    insecure: bool,
    password: str | None,
    askpass: bool,
    user: str | None,
    no_auth_warning: bool,
    database: int,
    resp2: bool,
    resp3: bool,
    raw: bool | None,
    style: str | None,
    delimiter: str,
    terminator: str,
    repeat: int,
    interval: float,
    last_from_stdin: bool,
    exit_code: bool,
    show_pushes: str | None,
    words: tuple[str, ...],
) -> None:
    """Talk to a Redis-speaking server, or to a store in this process.

    With -h, -p or -s, all words are a command for that server. Without, the first word is the PATH of a store, which is opened right
    here; with no words at all it is the server at 127.0.0.1:6379. Options stand before the words.

    With no command given, commands are read from the terminal, or from standard input if that is not one. `help` at the prompt tells more.

    History is kept in ~/.diskkv_history, or in the file that DISKKV_HISTFILE names (empty: nowhere).
    """
    if resp2 and resp3:
        raise click.UsageError("-2 and -3 exclude each other")
    if user is not None and not (password or askpass or os.environ.get("REDISCLI_AUTH")):
        raise click.UsageError("--user needs a password: -a, --askpass or REDISCLI_AUTH")
    context = None
    if tls:
        context = client_context(authority=cacert, authorities=cacertdir, certificate=cert, key=key, insecure=insecure)
    elif cacert or cacertdir or cert or key or sni or insecure:
        raise click.UsageError("certificates are for --tls")
    place, argv = choose_place(host, port, unix, words, context, sni)
    if last_from_stdin:
        if not argv:
            raise click.UsageError("-x needs a command")
        argv.append(sys.stdin.buffer.read())
    if askpass:
        password = click.prompt("Password", hide_input=True, err=True)
    elif password is None:
        password = os.environ.get("REDISCLI_AUTH")
    elif not no_auth_warning:
        click.echo("Warning: a password given with -a can be seen by other users of this machine; REDISCLI_AUTH hides it.", err=True)
    chosen = style or ("raw" if (not sys.stdout.isatty() if raw is None else raw) else "standard")
    protocol = 2 if resp2 else 3 if resp3 else None
    if protocol is None and chosen.endswith("json"):
        protocol = 3
    login = Login(
        password=os.fsencode(password) if password is not None else None,
        user=os.fsencode(user) if user is not None else None,
        database=database,
        protocol=protocol if protocol != 2 else None,
    )
    pushes = sys.stdout.isatty() if show_pushes is None else show_pushes == "yes"
    shown = Style(chosen, os.fsencode(delimiter), os.fsencode(terminator))
    manner = Manner(shown, interval=interval, show_pushes=pushes, strict=exit_code and bool(argv))
    app = Shell(place, login, manner, sys.stdout.buffer)
    try:
        if argv:
            app.run(argv, repeat=repeat)
        elif sys.stdin.isatty():
            converse(app)
            exit_code = False
        else:
            app.connect()
            app.run_lines(sys.stdin.buffer)
    except Quit:
        pass
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        app.session.close()
    sys.exit(1 if (argv and app.lost) or (exit_code and (app.failed or app.lost)) else 0)


def choose_place(
    host: str | None,
    port: int | None,
    unix: Path | None,
    words: Sequence[str],
    context: ssl.SSLContext | None = None,
    name: str | None = None,
) -> tuple[Place, list[bytes]]:
    """Where to, and the command that is left of the words.

    A word without a slash that names nothing on disk is far more likely a command than a store to be: it is refused, not created.
    """
    if unix is not None and context is not None:
        raise click.UsageError("--tls is for a host and a port")
    if unix is not None or host is not None or port is not None or context is not None or not words:
        port = 6379 if port is None else port
        place: Place = UnixPlace(unix) if unix is not None else TcpPlace(host or "127.0.0.1", port, context, name)
    else:
        path, *words = words
        if os.sep not in path and not Path(path).exists():
            advice = f"For a new one say ./{path}; for a command to a server name the server: -p 6379 {path}"
            raise click.UsageError(f"there is no store {path!r}. {advice}")
        place = LocalPlace(Path(path))
    if words and words[0].startswith("-"):
        raise click.UsageError(f"{words[0]!r} comes too late: options stand before the words")
    return place, [os.fsencode(word) for word in words]


def converse(app: Shell) -> None:
    """Read lines from the terminal until the user leaves."""
    # prompt_toolkit takes longer to import than a command takes to run, so only those who converse pay for it.
    from diskkv.cli.shell_input import Terminal

    terminal = Terminal(app.docs, history_path())
    app.connect()
    while True:
        app.docs.all()  # Fetched here, where Ctrl-C works, and not at the first key.
        terminal.hints = app.hints
        try:
            entry = terminal.ask(app.prompt())
        except (EOFError, KeyboardInterrupt):
            return
        try:
            app.run_lines(entry.split(b"\n"))
        except KeyboardInterrupt:
            app.recover()


def history_path() -> Path | None:
    name = os.environ.get("DISKKV_HISTFILE")
    if name is None:
        return Path.home() / ".diskkv_history"
    return Path(name) if name else None
