"""`qflow functions`: what workers published, and how its runs stand."""

from __future__ import annotations

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, with_settings
from qflow.config import Settings
from qflow.read import functions
from qflow.read.functions import FunctionView


@click.group()
def command() -> None:
    """List and show published functions."""


@command.command("list")
@as_json
@with_settings(*CONNECTION)
def list_command(settings: Settings, as_json: bool) -> None:
    """List the published functions with their runs by status."""
    views = functions.functions(*connect(settings))
    if as_json:
        display.print_json(
            [{k: v for k, v in view.as_dict().items() if k != "source"} for view in views]
        )
        return
    if not views:
        click.echo("no functions published yet: start `qflow worker` or `qflow dev`")
        return
    shown = ("queued", "running", "waiting", "completed", "failed")
    table = display.table("function", "triggers", *shown, right=shown, give_way="triggers")
    for view in views:
        counts = [str(view.runs[status]) for status in shown]
        table.add_row(display.one_line(view.id), display.cell(", ".join(view.triggers)), *counts)
    display.console().print(table)


@command.command("show")
@click.argument("function")
@as_json
@with_settings(*CONNECTION)
def show_command(settings: Settings, function: str, as_json: bool) -> None:
    """Show the FUNCTION of that id: triggers, retries, runs by status, source."""
    redis, keys = connect(settings)
    view = functions.function(redis, keys, function)
    if as_json:
        display.print_json(view.as_dict())
    else:
        _print(view)


def _print(view: FunctionView) -> None:
    from rich.table import Table

    console = display.console()
    spec = view.spec
    facts = Table.grid(padding=(0, 2))
    facts.add_row("function", display.cell(view.id, "bold"))
    if not spec:
        facts.add_row("", display.cell("no worker publishes it any more", "yellow"))
    else:
        facts.add_row("name", display.cell(spec["name"]))
        facts.add_row("app", display.cell(spec["app"]))
        facts.add_row("triggers", "\n".join(map(display.one_line, view.triggers)), style="")
        facts.add_row("retries", f"{spec['retries']} for each step")
        if spec["timeout_ms"]:
            facts.add_row("time-out", display.length(spec["timeout_ms"]))
        facts.add_row("version", spec["version"])
        facts.add_row("source", display.cell(f"{spec['file']}:{spec['line']}"))
    console.print(facts)
    counts = display.table(*view.runs, right=tuple(view.runs))
    counts.add_row(*(str(count) for count in view.runs.values()))
    console.print()
    console.print(counts)
