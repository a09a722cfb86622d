"""`qflow runs`: what became of events."""

from __future__ import annotations

import click

from qflow.cli import again, cancel, display, nudge
from qflow.cli.context import CONNECTION, as_json, connect, opener, with_settings
from qflow.config import Settings
from qflow.core.status import ENDED, RUN_STATUSES
from qflow.read import functions, runs
from qflow.read.runs import RunRow
from qflow.store.keys import Keys
from qflow.store.redis import Redis


@click.group()
def command() -> None:
    """List, show, follow and control runs."""


for control in (
    cancel.command, again.rerun, again.replay, nudge.skip_sleep, nudge.retry_now, nudge.discard,
):  # fmt: skip
    command.add_command(control)


@command.command("list")
@click.option("--function", default="", help="Only runs of this function.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(RUN_STATUSES),
    help="Only these; may be repeated.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many.",
)
@click.option("--cursor", default="", help="Go on after this run of an earlier listing.")
@as_json
@with_settings(*CONNECTION)
def list_command(
    settings: Settings,
    function: str,
    statuses: tuple[str, ...],
    limit: int,
    cursor: str,
    as_json: bool,
) -> None:
    """List runs, newest first."""
    redis, keys = connect(settings)
    found = runs.page(redis, keys, function=function, statuses=statuses, cursor=cursor, limit=limit)
    if function and not found.rows:
        functions.function(redis, keys, function)  # says so if there is no such function
    shown = tuple(map(opener().row, found.rows))
    if as_json:
        display.print_json([row.as_dict() for row in shown])
        return
    if not shown:
        click.echo("no runs")
        return
    _print(shown, runs.now_ms(redis))
    if found.cursor:
        click.echo(f"more: add --cursor {found.cursor}")


def _print(rows: tuple[RunRow, ...], now_ms: int) -> None:
    table = display.table(
        "run", "function", "status", "created", "took", "error", right=("took",), give_way="error"
    )
    for row in rows:
        table.add_row(
            row.id,
            display.one_line(row.function, 30),
            display.status(row.status),
            display.ago(row.created, now_ms),
            display.length(row.duration_ms),
            display.cell(display.error_line(row.error), "red"),
        )
    display.console().print(table)


@command.command("show")
@click.argument("run_id", metavar="ID")
@click.option("--logs", is_flag=True, help="Also what its steps printed and logged.")
@click.option("--level", default="", help="Of that only this level and above, such as warning.")
@as_json
@with_settings(*CONNECTION)
def show_command(settings: Settings, run_id: str, logs: bool, level: str, as_json: bool) -> None:
    """Show the run ID (or the only one that begins with it or ends in it), step by step."""
    from qflow.cli import story
    from qflow.read.said import lines
    from qflow.read.timeline import as_dict, timeline

    redis, keys = connect(settings)
    told = opener().story(timeline(redis, keys, runs.find(redis, keys, run_id)))
    if as_json:
        display.print_json(as_dict(told))
        return
    said = lines(told, level) if logs or level else None
    story.print_story(told)
    if said is not None:
        story.print_lines(said)


@command.command("tail")
@click.argument("run_id", metavar="[ID]", required=False)
@as_json
@with_settings(*CONNECTION)
def tail_command(settings: Settings, run_id: str | None, as_json: bool) -> None:
    """Follow runs as they begin and end, or the steps of the run ID until it ends."""
    redis, keys = connect(settings)
    if run_id:
        from qflow.cli.live import follow

        follow(redis, keys, runs.find(redis, keys, run_id), as_json=as_json)
    else:
        _tail(redis, keys, as_json)


def _tail(redis: Redis, keys: Keys, as_json: bool) -> None:
    from qflow.read import follow

    for row in map(opener().row, follow.runs(redis, keys)):
        if as_json:
            display.print_json(row.as_dict(), indent=None)
            continue
        ended = row.ended if row.status in ENDED else None
        when = display.moment(ended or row.created, day=False)
        took = f" in {display.length(row.duration_ms)}" if row.duration_ms is not None else ""
        error = f"  {display.error_line(row.error, 60)}" if row.error else ""
        word = click.style(f"{row.status:<9}", fg=display.ansi(row.status))
        click.echo(f"{when}  {row.id}  {word}  {display.one_line(row.function)}{took}{error}")
