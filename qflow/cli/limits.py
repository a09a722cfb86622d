"""`qflow limits`: concurrency limits, who holds slots and who waits."""

from __future__ import annotations

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, with_settings
from qflow.config import Settings
from qflow.read.limits import LimitView, limits


@click.command()
@click.option(
    "--busiest",
    type=click.IntRange(1, 1000),
    default=3,
    show_default=True,
    help="Show so many keys of each limit.",
)
@as_json
@with_settings(*CONNECTION)
def command(settings: Settings, busiest: int, as_json: bool) -> None:
    """List concurrency limits with their keys, holders, waiters and busiest keys."""
    redis, keys = connect(settings)
    found = limits(redis, keys)
    if as_json:
        display.print_json([view.as_dict(busiest) for view in found])
        return
    if not found:
        click.echo("no function has a concurrency limit")
        return
    table = display.table(
        "limit", "allows", "keys", "holders", "waiters", "busiest", give_way="busiest"
    )
    for view in found:
        most = "not in force" if view.most is None else str(view.most)
        table.add_row(
            view.id, most, str(len(view.keys)), str(view.holders), str(view.waiters),
            display.cell(_busiest(view, busiest)),
        )  # fmt: skip
    display.console().print(table)


def _busiest(view: LimitView, count: int) -> str:
    return ", ".join(
        f"{display.one_line(each.key, 30)} ({each.holders} + {each.waiters} waiting)"
        for each in view.keys[:count]
    )
