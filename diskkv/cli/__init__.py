"""The command line: one subcommand, one file, loaded when it is named.

`SUBCOMMANDS` is all that `diskkv --help` needs to know, so help and completion of names import none of the modules behind them;
those may be as heavy as they like. A module in the table holds a click command under the subcommand's own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from keyword import iskeyword
from typing import Any

import click

SUBCOMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("diskkv.cli.serve", "Serve a store to Redis clients."),
    "shell": ("diskkv.cli.shell", "Talk to a server, or to a store in process."),
    "top": ("diskkv.cli.top", "Watch a server: commands, cache, memory, log, clients."),
    "keys": ("diskkv.cli.keys", "Show what takes the space, and what is used most."),
    "settings": ("diskkv.cli.settings", "List every setting, its default and what it does."),
    "import": ("diskkv.cli.import_", "Bring in data: RDB and append-only files."),
    "export": ("diskkv.cli.export", "Write a store out: as RDB, commands or JSON."),
    "backup": ("diskkv.cli.backup", "Back a store up, also while it is being served."),
    "restore": ("diskkv.cli.restore", "Make a store of a backup, as it was at any moment."),
    "check": ("diskkv.cli.check", "Examine a store and report what is wrong with it."),
    "repair": ("diskkv.cli.repair", "Save what can be read of a damaged store into a new one."),
    "dump": ("diskkv.cli.dump", "Print what lies in a store, one record a line."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported one at a time, when looked up.

    `table` maps a name to (module, one line of help). A module that is absent makes that one subcommand fail with a message;
    a module that is there and fails to import shows its own error.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module_name, _ = self.table[cmd_name]
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name != module_name:
                raise
            raise click.ClickException(f"this installation has no '{cmd_name}' (module {module_name} is missing)") from error
        # `import` is no name for a function.
        command = getattr(module, f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands from the table alone: click's own listing would import every one of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])


def print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    try:
        number = version("diskkv")
    except PackageNotFoundError:
        number = "(not installed)"
    click.echo(f"diskkv {number}")
    ctx.exit()


@click.group(cls=LazyGroup, table=SUBCOMMANDS, context_settings={"help_option_names": ["--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=print_version, help="Print the version and exit.")
def main() -> None:
    """Redis on disk.

    A store is one directory that holds Redis' data types, larger than memory if need be. Serve it to any Redis client, or open it
    right here in a shell.

    `diskkv COMMAND --help` tells about one command.
    """
