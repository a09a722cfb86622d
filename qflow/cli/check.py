"""`qflow check`: what is wrong with the source of functions, without running it."""

from __future__ import annotations

import os

import click

from qflow.cli import display
from qflow.cli.context import as_json, path, with_settings
from qflow.config import Settings
from qflow.errors import UsageError


@click.command()
@path
@click.option("--no-tools", is_flag=True, help="Leave ruff and mypy out.")
@as_json
@with_settings()
def command(settings: Settings, no_tools: bool, as_json: bool) -> int:
    """Check the modules of the folder PATH, or one file.

    Ids of steps, effects between steps, imports, triggers, secrets in the code; then ruff and mypy where
    they are installed. Nothing is executed. Exit 1 where something is found.
    """
    from qflow.authoring.check import check_file, check_folder

    if os.path.isdir(settings.path):
        found = check_folder(settings.path, tools=not no_tools)
    elif os.path.isfile(settings.path):
        found = check_file(settings.path, tools=not no_tools)
    else:
        raise UsageError(f"no file or folder at {settings.path!r}: name another as PATH")
    if as_json:
        display.print_json([finding.as_dict() for finding in found])
    else:
        for finding in found:
            click.echo(display.safe(str(finding)))
        if not found:
            click.echo("nothing to object to")
    return 1 if found else 0
