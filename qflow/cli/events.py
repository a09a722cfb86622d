"""`qflow events`: what is on the event stream."""

from __future__ import annotations

import json
from typing import Any

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, opener, with_settings
from qflow.config import Settings
from qflow.read import events
from qflow.read.events import EventRow

limit = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many.",
)
cursor = click.option(
    "--cursor", default="", help="Go on after this entry, from an earlier listing."
)


@click.group()
def command() -> None:
    """List and follow events."""


@command.command("list")
@click.option("--name", default="", help="Only events of this name; * stands for anything.")
@limit
@cursor
@as_json
@with_settings(*CONNECTION)
def list_command(settings: Settings, name: str, limit: int, cursor: str, as_json: bool) -> None:
    """List events, newest first."""
    redis, keys = connect(settings)
    found = events.page(redis, keys.events, cursor=cursor, limit=limit, name=name)
    _show(found.rows, found.cursor, as_json, "events list")


@command.command("rejected")
@limit
@cursor
@as_json
@with_settings(*CONNECTION)
def rejected_command(settings: Settings, limit: int, cursor: str, as_json: bool) -> None:
    """List malformed events with the reason each was rejected for, newest first."""
    redis, keys = connect(settings)
    found = events.page(redis, keys.rejected, cursor=cursor, limit=limit)
    _show(found.rows, found.cursor, as_json, "events rejected")


@command.command("show")
@click.argument("event")
@as_json
@with_settings(*CONNECTION)
def show_command(settings: Settings, event: str, as_json: bool) -> None:
    """Show the event of that id (or entry), and what became of it for each function."""
    from qflow.read.fates import fates

    redis, keys = connect(settings)
    found = events.find(redis, keys.events, event)
    told = fates(redis, keys, found)
    row = opener().event(found)
    if as_json:
        display.print_json({**row.as_dict(), "functions": [fate.as_dict() for fate in told]})
        return
    click.echo(f"{display.one_line(row.name)}  {row.id or row.entry}  {display.moment(row.at)}")
    click.echo(_data(row, 200))
    if not told:
        click.echo("no published function listens for it")
        return
    table = display.table("function", "outcome", "run", "status", "why", give_way="why")
    for fate in told:
        table.add_row(
            fate.function,
            fate.outcome,
            fate.run,
            display.status(fate.status),
            display.cell(fate.why),
        )
    display.console().print(table)


@command.command("tail")
@click.option("--name", default="", help="Only events of this name; * stands for anything.")
@as_json
@with_settings(*CONNECTION)
def tail_command(settings: Settings, name: str, as_json: bool) -> None:
    """Print events as they arrive, until Ctrl-C."""
    redis, keys = connect(settings)
    for row in map(opener().event, events.tail(redis, keys.events, name)):
        if as_json:
            display.print_json(row.as_dict(), indent=None)
        else:
            when = click.style(display.moment(row.at, day=False), dim=True)
            click.echo(f"{when}  {display.one_line(row.name):24}  {_data(row, 60)}")


def _show(found: tuple[EventRow, ...], cursor: str, as_json: bool, again: str) -> None:
    rows = tuple(map(opener().event, found))
    if as_json:
        display.print_json([row.as_dict() for row in rows])
        return
    if not rows:
        click.echo("none")
        return
    rejected = again == "events rejected"
    columns = ("entry", "name", "reason") if rejected else ("entry", "arrived", "name", "data")
    table = display.table(*columns, give_way=columns[-1])
    for row in rows:
        name = display.one_line(row.name, 40)
        if rejected:
            table.add_row(row.entry, name, display.cell(row.reason))
        else:
            table.add_row(row.entry, display.moment(row.at), name, display.cell(_data(row, 200)))
    display.console().print(table)
    if cursor:
        click.echo(f"more: qflow {again} --cursor {cursor}")


def _data(row: EventRow, width: int) -> str:
    data: Any = row.data
    return display.one_line(
        data if isinstance(data, str) else json.dumps(data, ensure_ascii=False), width
    )
