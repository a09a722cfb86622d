"""`qflow functions`: what workers published, and how its runs stand."""

from __future__ import annotations

from collections.abc import Iterator

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, with_settings
from qflow.cli.explain import command as explain_command
from qflow.config import Settings
from qflow.read import functions
from qflow.read.functions import FunctionView


@click.group()
def command() -> None:
    """List, show and explain published functions."""


command.add_command(explain_command)


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
    console = display.console()
    for name, value in _facts(view):
        console.print(display.fact(name, value))
    counts = display.table(*view.runs, right=tuple(view.runs))
    counts.add_row(*(str(count) for count in view.runs.values()))
    console.print()
    console.print(counts)


def _facts(view: FunctionView) -> Iterator[tuple[str, str]]:
    spec = view.spec
    yield "function", view.id
    if not spec:
        yield "", "no worker publishes it any more"
        return
    yield "name", spec["name"]
    yield "app", spec["app"]
    for at, trigger in enumerate(view.triggers):
        yield "" if at else "triggers", trigger
    yield "retries", f"{spec['retries']} for each step"
    if spec["timeout_ms"]:
        yield "time-out", display.length(spec["timeout_ms"])
    yield "version", spec["version"]
    if spec["file"]:
        yield "source", f"{spec['file']}:{spec['line']}"
