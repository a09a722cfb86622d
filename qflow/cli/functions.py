"""`qflow functions`: what workers published, and how its runs stand."""

from __future__ import annotations

from collections.abc import Iterator

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, with_settings
from qflow.cli.explain import command as explain_command
from qflow.config import Settings
from qflow.errors import QflowError
from qflow.read import functions
from qflow.read.functions import FunctionView
from qflow.read.nearest import unknown_function
from qflow.store import pause, script


@click.group()
def command() -> None:
    """List, show, explain, pause and resume published functions."""


command.add_command(explain_command)


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that handle failures, too.")
@as_json
@with_settings(*CONNECTION)
def list_command(settings: Settings, everything: bool, as_json: bool) -> None:
    """List the published functions with their runs by status."""
    views = [v for v in functions.functions(*connect(settings)) if everything or not v.hidden]
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
        name = display.one_line(view.id) + (" (paused)" if view.paused else "")
        table.add_row(name, display.cell(", ".join(view.triggers)), *counts)
    display.console().print(table)


@command.command("pause")
@click.argument("function")
@click.option(
    "--hold", is_flag=True, help="Hold new events back until resume, instead of skipping."
)
@with_settings(*CONNECTION)
def pause_command(settings: Settings, function: str, hold: bool) -> None:
    """Start no more steps of FUNCTION until it is resumed.

    New events are recorded as skipped runs or, with --hold, wait. Queued steps wait; those that execute
    come to their end.
    """
    redis, keys = connect(settings)
    functions.function(redis, keys, function)
    reply = script.run(redis, pause.pause(keys, function, "hold" if hold else "skip"))
    if reply == pause.UNPUBLISHED:
        raise unknown_function(function, (), keys.ns)
    fate = "wait" if hold else "are skipped"
    click.echo(f"function {function} is paused{'' if reply else ' already'}: new events {fate}")


@command.command("resume")
@click.argument("function")
@with_settings(*CONNECTION)
def resume_command(settings: Settings, function: str) -> None:
    """End the pause of FUNCTION and start what it held back. Exit 1 where it was not paused."""
    redis, keys = connect(settings)
    functions.function(redis, keys, function)
    done = pause.unpause(redis, keys, function)
    if not done.was_paused and not done.queued:
        raise QflowError(f"function {function!r} is not paused")
    queued = done.queued
    with display.progress(done.left) as bar:
        while done.left:
            done = pause.unpause(redis, keys, function)
            queued += done.queued
            bar.step(done)
    click.echo(f"function {function} goes on; {queued} runs had waited")


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
    if view.paused:
        fates = {"skip": "new events are skipped", "hold": "new events wait"}
        yield "paused", fates.get(view.paused, "no longer; what had waited is being queued")
    yield "app", spec["app"]
    for at, trigger in enumerate(view.triggers):
        yield "" if at else "triggers", trigger
    yield "retries", f"{spec['retries']} for each step"
    if spec["timeout_ms"]:
        yield "time-out", display.length(spec["timeout_ms"])
    yield "version", spec["version"]
    if spec["file"]:
        yield "source", f"{spec['file']}:{spec['line']}"
