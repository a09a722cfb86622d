"""`qflow run`: start one function directly and follow it."""

from __future__ import annotations

import json

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, opener, with_settings
from qflow.cli.payload import data, read_data
from qflow.config import Settings
from qflow.read import functions, topology
from qflow.read.nearest import unknown_function
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.stream import Keep


@click.command()
@click.argument("function")
@data
@click.option("--detach", is_flag=True, help="Print the run's id and do not wait for its end.")
@as_json
@with_settings(*CONNECTION)
def command(settings: Settings, function: str, data: str, detach: bool, as_json: bool) -> int:
    """Start FUNCTION with an event of that data, follow its steps and print what it returns.

    Exit 1 where the run does not complete. Ctrl-C stops following, not the run. With --json, only
    the whole run is printed, at its end.
    """
    redis, keys = connect(settings)
    run = start(redis, keys, function, read_data(data), Keep(*settings.kept_s))
    if detach:
        display.print_json({"id": run}, indent=None) if as_json else click.echo(run)
        return 0
    return _follow(redis, keys, run, as_json)


def start(redis: Redis, keys: Keys, function: str, values: dict[str, object], keep: Keep) -> str:
    """Start a function with an event of these data, and return the id of the run that it has for it.

    Raises NotFound where no worker publishes the function.
    """
    from qflow.engine import invoking

    view = functions.function(redis, keys, function)
    run = invoking.start(redis, keys, view.spec, values, keep) if view.spec else ""
    if not run:
        raise unknown_function(function, (), keys.ns)
    return run


def _follow(redis: Redis, keys: Keys, run: str, as_json: bool) -> int:
    from qflow.cli.live import follow
    from qflow.read import follow as reading
    from qflow.read.timeline import as_dict, timeline

    if not any(left > 0 for left in topology.leases(redis, keys).values()):
        click.echo("no worker is running: start `qflow worker`; waiting for one", err=True)
    if as_json:
        for _ in reading.trace(redis, keys, run):
            pass
        told = opener().story(timeline(redis, keys, run))
        display.print_json(as_dict(told))
        return 0 if told.row.status == "completed" else 1
    click.echo(f"run {run}")
    try:
        status = follow(redis, keys, run, as_json=False)
    except KeyboardInterrupt:
        click.echo(f"\nthe run goes on: qflow runs tail {run}", err=True)
        raise
    told = opener().story(timeline(redis, keys, run))
    if told.error:
        click.echo(click.style(display.error_line(told.error), fg="red"), err=True)
        click.echo(f"see: qflow runs show {run}", err=True)
    elif status == "completed":
        click.echo(json.dumps(told.output, ensure_ascii=False))
    return 0 if status == "completed" else 1
