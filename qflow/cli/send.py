"""`qflow send`: send an event."""

from __future__ import annotations

import os
import time

import click

from qflow.cli.context import CONNECTION, connect, with_settings
from qflow.cli.payload import data, read_data
from qflow.config import Settings
from qflow.core.event import Event
from qflow.core.ids import ulid


@click.command()
@click.argument("name")
@data
@click.option(
    "--id",
    "event_id",
    default="",
    help="Its id: sent twice within 24 h, it starts each function once.",
)
@click.option(
    "--ts",
    type=click.IntRange(min=0),
    default=0,
    help="When it happened, in ms since the epoch; default: now.",
)
@click.option("--v", "version", default="", help="Version of the form of its data.")
@click.option("--json", "as_json", is_flag=True, help='Print {"ids": […]}.')
@with_settings(*CONNECTION)
def command(
    settings: Settings, name: str, data: str, event_id: str, ts: int, version: str, as_json: bool
) -> None:
    """Send the event NAME, such as user/created, and print its id."""
    from qflow.store.stream import append

    now_ms = time.time_ns() // 1_000_000
    event = Event(
        name, read_data(data), event_id or ulid(now_ms, os.urandom(10)), ts or now_ms, version
    )
    redis, keys = connect(settings)
    ids = append(redis, keys, [event])
    if as_json:
        from qflow.cli.display import print_json

        print_json({"ids": ids}, indent=None)
    else:
        click.echo("\n".join(ids))
