"""`diskkv settings`: the table of settings."""

from __future__ import annotations

import click


@click.command()
def settings() -> None:
    """List every setting with its default and what it does."""
    from diskkv.config import TABLE

    for setting in TABLE:
        mark = " (at start only)" if setting.fixed else ""
        default = setting.default or '""'
        click.echo(f"{setting.name} {default}\n    {setting.doc}{mark}")
