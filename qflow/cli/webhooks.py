"""`qflow webhooks`: where other services deliver to."""

from __future__ import annotations

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, with_settings
from qflow.config import Settings
from qflow.core.webhook import PRESETS, Webhook
from qflow.errors import UsageError
from qflow.read import webhooks
from qflow.store import webhook


@click.group()
def command() -> None:
    """List, add and remove inbound webhooks, which the dashboard takes at /w/ID."""


@command.command("list")
@as_json
@with_settings(*CONNECTION)
def list_command(settings: Settings, as_json: bool) -> None:
    """List webhooks with how many deliveries each took and refused."""
    redis, keys = connect(settings)
    found = webhooks.webhooks(redis, keys)
    if as_json:
        display.print_json([each.as_dict() for each in found])
        return
    if not found:
        click.echo("no webhooks; add one: qflow webhooks add --help")
        return
    table = display.table(
        "id", "preset", "event", "secret in", "taken", "refused", give_way="event"
    )
    for each in found:
        hook = each.hook
        counts = (str(each.taken), str(each.refused))
        table.add_row(hook.id, hook.preset, display.cell(hook.event), hook.secret_env, *counts)
    display.console().print(table)


@command.command("add")
@click.argument("hook", metavar="ID")
@click.option("--preset", type=click.Choice(PRESETS), required=True, help="Who signs, and how.")
@click.option("--event", required=True, help="Name of the event; {type} is the sender's own type.")
@click.option(
    "--secret-env", required=True, help="Environment variable of the dashboard with the secret."
)
@click.option("--header", default="X-Signature", help="hmac: header of the signature.")
@click.option("--id-header", default="X-Delivery-Id", help="hmac: header of the delivery's id.")
@with_settings(*CONNECTION)
def add_command(settings: Settings, hook: str, **given: str) -> None:
    """Add the webhook ID, or change it."""
    redis, keys = connect(settings)
    made = Webhook(hook, **given)
    new = webhook.save(redis, keys, made)
    click.echo(f"{'added' if new else 'changed'} {hook}: the dashboard takes POST /w/{hook}")


@command.command("remove")
@click.argument("hook", metavar="ID")
@with_settings(*CONNECTION)
def remove_command(settings: Settings, hook: str) -> None:
    """Remove the webhook ID."""
    redis, keys = connect(settings)
    if not webhook.remove(redis, keys, hook):
        raise UsageError(f"no webhook {hook!r}; see `qflow webhooks list`")
    click.echo(f"removed {hook}")
